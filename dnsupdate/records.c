#include "dnsupdate/records.h"

#include "lib/acctdef.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_CAA 257

static const uint16_t types[] = {RR_A, RR_AAAA, RR_HTTPS, TYPE_CAA};
static const char *const keys[] = {"A", "AAAA", "HTTPS", "CAA"};
#define N_TYPES (sizeof types / sizeof *types)

struct question {
	struct records *all;
	size_t type;               /* index into types */
	json_t *into;              /* borrowed */
	struct look *look;         /* NULL: answered */
	char name[DOMAIN_MAX + 2]; /* asked for */
};

struct records {
	struct looker *looker;
	json_t *list;
	size_t left, n;
	records_fn *fn;
	void *arg;
	struct question questions[];
};

/* ---- HTTPS records as text: the ldns of our system has no form for them ---- */

enum svcb_key { KEY_ALPN = 1, KEY_IPV4HINT = 4, KEY_ECH = 5, KEY_IPV6HINT = 6 }; /* RFC 9460 14.3.2 */

/* Identifiers of one length byte each; what is no letter, digit or sign of theirs becomes '?'. */
static void put_alpn(FILE *f, const uint8_t *b, size_t len)
{
	for (size_t at = 0, n; at < len; at += n + 1) {
		n = b[at];
		if (at)
			fputc(',', f);
		for (size_t i = at + 1; i <= at + n && i < len; i++)
			fputc(isalnum(b[i]) || strchr("-./", b[i] ? b[i] : ' ') ? b[i] : '?', f);
	}
}

static void put_hints(FILE *f, int family, const uint8_t *b, size_t len)
{
	size_t size = family == AF_INET ? 4 : 16;
	char text[INET6_ADDRSTRLEN];

	for (size_t at = 0; at + size <= len; at += size)
		fprintf(f, "%s%s", at ? "," : "", inet_ntop(family, b + at, text, sizeof text) ? text : "?");
}

static void put_parameter(FILE *f, unsigned key, const uint8_t *b, size_t len)
{
	switch (key) {
	case KEY_ALPN:
		fputs(" alpn=", f);
		put_alpn(f, b, len);
		return;
	case KEY_IPV4HINT:
		fputs(" ipv4hint=", f);
		put_hints(f, AF_INET, b, len);
		return;
	case KEY_IPV6HINT:
		fputs(" ipv6hint=", f);
		put_hints(f, AF_INET6, b, len);
		return;
	case KEY_ECH:
		fprintf(f, " ech=%zu-bytes", len);
		return;
	default:
		fprintf(f, " key%u", key);
	}
}

/* Priority, target, then parameters of key, length, value (RFC 9460 2.2). NULL: no memory. */
static char *https_text(const uint8_t *b, size_t len)
{
	char *text = NULL;
	size_t size, at = 2;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "%u ", len >= 2 ? (unsigned)b[0] << 8 | b[1] : 0);
	if (at < len && b[at] == 0)
		fputc('.', f);
	for (; at < len && b[at]; at += b[at] + 1u) {
		for (size_t i = at + 1; i <= at + b[at] && i < len; i++)
			fputc(isalnum(b[i]) || b[i] == '-' || b[i] == '_' ? b[i] : '?', f);
		fputc('.', f);
	}
	for (at++; at + 4 <= len;) {
		unsigned key = (unsigned)b[at] << 8 | b[at + 1], n = (unsigned)b[at + 2] << 8 | b[at + 3];

		at += 4;
		put_parameter(f, key, b + at, at + n <= len ? n : len - at);
		at += n;
	}
	fclose(f);
	return text;
}

/* ---- asking ---- */

static void on_answer(void *arg, const struct answer *a, const struct err *err);

/* False: no memory; then it counts as answered. */
static bool ask(struct question *q)
{
	q->look = look_up(q->all->looker, q->name, types[q->type], on_answer, q);
	return q->look != NULL;
}

static size_t take(struct question *q, const struct answer *a)
{
	json_t *list = json_object_get(q->into, keys[q->type]);

	for (size_t i = 0; i < a->answer.n; i++) {
		const struct rr *r = &a->answer.rrs[i];
		char *text = r->type != types[q->type] ? NULL
			     : r->type == RR_HTTPS     ? https_text(r->rdata.bytes, r->rdata.len)
						       : wire_rdata_text(r->type, r->rdata.bytes, r->rdata.len);

		if (text)
			json_array_append_new(list, json_string(text));
		free(text);
	}
	return json_array_size(list);
}

static void trouble(struct question *q, const char *what)
{
	char text[600];

	snprintf(text, sizeof text, "%s of %s: %.300s", keys[q->type], q->name, what);
	json_object_set_new(q->into, "trouble", json_string(text));
}

/* To the parent, which is below the root. False: there is none. */
static bool climb(struct question *q)
{
	char *dot = strchr(q->name, '.');

	if (!dot || !strchr(dot + 1, '.'))
		return false;
	memmove(q->name, dot + 1, strlen(dot));
	return true;
}

static void answered(struct question *q)
{
	struct records *r = q->all;

	if (--r->left)
		return;
	r->fn(r->arg, r->list);
	free(r);
}

static void on_answer(void *arg, const struct answer *a, const struct err *err)
{
	struct question *q = arg;

	q->look = NULL;
	if (!a)
		trouble(q, err->text);
	else if (a->rcode != RCODE_NOERROR && a->rcode != RCODE_NXDOMAIN)
		trouble(q, rcode_text(a->rcode));
	else if (take(q, a) && types[q->type] == TYPE_CAA)
		json_object_set_new(q->into, "caa-at", json_string(q->name));
	else if (types[q->type] == TYPE_CAA && json_array_size(json_object_get(q->into, "CAA")) == 0 && climb(q) && ask(q))
		return;
	answered(q);
}

static json_t *describe(const char *domain)
{
	return json_pack("{s:s, s:[], s:[], s:[], s:[], s:n}", "domain", domain, "A", "AAAA", "HTTPS", "CAA", "caa-at");
}

struct records *records_start(struct looker *l, char *const *domains, size_t n, records_fn *fn, void *arg)
{
	struct records *r = calloc(1, sizeof *r + n * N_TYPES * sizeof *r->questions);
	bool asked = r && n > 0;

	if (!r)
		return NULL;
	*r = (struct records){.looker = l, .list = json_array(), .n = n * N_TYPES, .fn = fn, .arg = arg};
	r->left = r->n;
	for (size_t i = 0; asked && i < r->n; i++) {
		const char *domain = domains[i / N_TYPES];
		struct question *q = &r->questions[i];

		if (i % N_TYPES == 0)
			json_array_append_new(r->list, describe(domain));
		*q = (struct question){.all = r, .type = i % N_TYPES, .into = json_array_get(r->list, i / N_TYPES)};
		snprintf(q->name, sizeof q->name, "%s.", strncmp(domain, "*.", 2) == 0 ? domain + 2 : domain);
		asked = q->into && ask(q);
	}
	if (asked)
		return r;
	records_cancel(r);
	return NULL;
}

void records_cancel(struct records *r)
{
	for (size_t i = 0; r && i < r->n; i++)
		look_cancel(r->questions[i].look);
	if (r)
		json_decref(r->list);
	free(r);
}
