/* The tables the other way round: a configuration as its own file would say it, and all keys for the manual. */
#include "lib/conf_parts.h"

#include <ctype.h>
#include <string.h>

static void indent(FILE *to, int depth)
{
	for (int i = 0; i < depth; i++)
		fputc('\t', to);
}

static void quoted(FILE *to, const char *text)
{
	char quote = strstr(text, "${") ? '\'' : '"'; /* what looks like a variable may only stand in single quotes */

	fputc(quote, to);
	for (; *text; text++) {
		if (*text == quote || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc(quote, to);
}

static bool is_set(const struct conf_key *k, const void *base)
{
	const char *field = (const char *)base + k->at;
	char *text;

	switch (k->kind) {
	case KIND_INT:
	case KIND_MARK:
	case KIND_BOOL:
		return true;
	case KIND_PORT:
		return *(const uint16_t *)field != 0;
	case KIND_ENUM:
		return k->words[*(const int *)field] != NULL;
	case KIND_HOST:
	case KIND_HOST_PORT:
		return ((const struct conf_host *)field)->text != NULL;
	case KIND_HOSTS:
	case KIND_NETS:
		return *(const size_t *)((const char *)base + k->count_at) != 0;
	case KIND_FILE:
	case KIND_LOG:
	case KIND_NAME:
	case KIND_URL:
	case KIND_SOCKET:
	case KIND_PEER:
	case KIND_LISTEN:
	case KIND_SERVE:
	case KIND_ADDRESS:
		break;
	}
	memcpy(&text, field, sizeof(text));
	return text != NULL;
}

static void print_host(const struct conf_host *h, bool with_port, FILE *to)
{
	if (with_port && strchr(h->text, ':'))
		fprintf(to, "\"[%s]:%u\"", h->text, h->port);
	else if (with_port)
		fprintf(to, "\"%s:%u\"", h->text, h->port);
	else
		quoted(to, h->text);
}

static void print_list(const struct conf_key *k, const void *base, FILE *to)
{
	size_t n = *(const size_t *)((const char *)base + k->count_at);
	const char *field = (const char *)base + k->at;
	char text[ADDR_TEXT_MAX], **hosts;
	struct addr_net *nets;

	memcpy(&hosts, field, sizeof(hosts));
	memcpy(&nets, field, sizeof(nets));
	fputc('{', to);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : "", to);
		if (k->kind == KIND_HOSTS)
			quoted(to, hosts[i]);
		else
			fprintf(to, "\"%s/%u\"", addr_text(&nets[i].base, text), nets[i].bits);
	}
	fputc('}', to);
}

static void print_value(const struct conf_key *k, const void *base, FILE *to)
{
	const char *field = (const char *)base + k->at;
	char *text;

	switch (k->kind) {
	case KIND_INT:
	case KIND_MARK:
		fprintf(to, "%d", *(const int *)field);
		return;
	case KIND_PORT:
		fprintf(to, "%u", *(const uint16_t *)field);
		return;
	case KIND_BOOL:
		fputs(*(const bool *)field ? "true" : "false", to);
		return;
	case KIND_ENUM:
		quoted(to, k->words[*(const int *)field]);
		return;
	case KIND_HOST:
	case KIND_HOST_PORT:
		print_host((const struct conf_host *)field, k->kind == KIND_HOST_PORT, to);
		return;
	case KIND_HOSTS:
	case KIND_NETS:
		print_list(k, base, to);
		return;
	case KIND_FILE:
	case KIND_LOG:
	case KIND_NAME:
	case KIND_URL:
	case KIND_SOCKET:
	case KIND_PEER:
	case KIND_LISTEN:
	case KIND_SERVE:
	case KIND_ADDRESS:
		memcpy(&text, field, sizeof(text));
		quoted(to, text);
		return;
	}
}

static void print_sections(const struct conf_section *sections, const void *base, FILE *to, int depth)
{
	for (const struct conf_section *s = sections; s->name; s++) {
		const char *own = (const char *)base + s->at;
		size_t n = s->many ? *(const size_t *)((const char *)base + s->count_at) : 1;
		char *title = NULL;

		if (s->many)
			memcpy(&own, (const char *)base + s->at, sizeof(own));
		for (size_t i = 0; i < n; i++) {
			const char *one = own + i * s->size;

			if (s->present_at != CONF_NOWHERE && !*(const bool *)(one + s->present_at))
				continue;
			if (s->titled) {
				memcpy(&title, one + s->title_at, sizeof(title));
				if (!title) /* each that is there has one */
					continue;
			}
			indent(to, depth);
			fputs(s->name, to);
			if (s->titled) {
				fputc(' ', to);
				quoted(to, title);
			}
			fputs(" {\n", to);
			for (const struct conf_key *k = s->keys; k->name; k++) {
				if (!is_set(k, one))
					continue;
				indent(to, depth + 1);
				fprintf(to, "%s = ", k->name);
				print_value(k, one, to);
				fputc('\n', to);
			}
			if (s->subs)
				print_sections(s->subs, one, to, depth + 1);
			indent(to, depth);
			fputs("}\n", to);
		}
	}
}

void conf_print(const struct conf *c, FILE *to)
{
	print_sections(conf_sections, c, to, 0);
}

static void document_sections(const struct conf_section *sections, const char *parent, FILE *to)
{
	for (const struct conf_section *s = sections; s->name; s++) {
		char path[128], expected[CONF_TEXT_MAX];

		snprintf(path, sizeof(path), "%s%s%s", parent, *parent ? " " : "", s->name);
		fprintf(to, ".Ss Section %s%s\n%s\n", path, s->titled ? " \"NAME\"" : "", s->help);
		if (s->keys->name)
			fputs(".Bl -tag -width indent\n", to);
		for (const struct conf_key *k = s->keys; k->name; k++) {
			fprintf(to, ".It Cm %s\n%c%s.\nTakes %s", k->name, toupper((unsigned char)k->help[0]), k->help + 1,
				conf_expected(k, expected));
			if (k->dflt)
				fprintf(to, "; the default is %s.\n", k->dflt);
			else
				fputs(k->required ? "; required.\n" : ".\n", to);
		}
		if (s->keys->name)
			fputs(".El\n", to);
		if (s->subs)
			document_sections(s->subs, path, to);
	}
}

void conf_document(FILE *to)
{
	document_sections(conf_sections, "", to);
}
