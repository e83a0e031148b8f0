#include "control/panel/listing.h"

#include "lib/member.h"
#include "lib/utf8.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is looked for ---- */

/* The value of a field of the query, decoded, new; NULL: there is none that a text could be. evhttp_parse_query_str() would forget all of
 * a query for one & too many, and end a value at a NUL. */
static char *field(const char *query, const char *name)
{
	size_t len = strlen(name), size = 0;
	for (const char *p = query; p; p = strchr(p, '&'), p += p != NULL) {
		if (strncmp(p, name, len) != 0 || p[len] != '=')
			continue;
		char *raw = strndup(p + len + 1, strcspn(p + len + 1, "&#"));
		char *text = raw ? evhttp_uridecode(raw, 1, &size) : NULL;
		free(raw);
		if (text && strlen(text) == size)
			return text;
		free(text);
		return NULL;
	}
	return NULL;
}

/* Characters of text's first len bytes; more than LISTING_FIND: too many, or not UTF-8. */
static size_t characters(const char *text, size_t len)
{
	size_t n = 0, one;
	for (; len && n <= LISTING_FIND; n++, text += one, len -= one) {
		one = utf8_len((const unsigned char *)text, len);
		if (!one)
			return LISTING_FIND + 1;
	}
	return n;
}

static void read_find(struct listing *l, const char *text)
{
	static const char space[] = " \t\r\n\v\f";
	text += strspn(text, space);
	size_t len = strlen(text);
	while (len && strchr(space, text[len - 1]))
		len--;
	if (characters(text, len) <= LISTING_FIND)
		snprintf(l->find, sizeof(l->find), "%.*s", (int)len, text);
}

void listing_read(struct listing *l, const char *query)
{
	char *find = field(query, "find"), *side = field(query, "side"), *page = field(query, "page");
	*l = (struct listing){.side = "", .page = 1, .n_pages = 1};
	if (find)
		read_find(l, find);
	if (side && strcmp(side, "client") == 0)
		l->side = "client";
	else if (side && strcmp(side, "transit") == 0)
		l->side = "transit";
	if (page) /* no number is 0, a greater one than there can be the greatest: both have a nearest page */
		l->page = strtoll(page, NULL, 10);
	free(find);
	free(side);
	free(page);
}

bool listing_is_whole(const struct listing *l)
{
	return !*l->find && !*l->side;
}

/* ---- what is found ---- */

static bool holds(const struct listing *l, const char *text)
{
	return text && strcasestr(text, l->find);
}

const char *listing_domain(const struct listing *l, const json_t *account)
{
	const json_t *d, *domains = json_object_get(account, "domains");
	const char *first = json_string_value(json_array_get(domains, 0));
	size_t i;
	json_array_foreach (domains, i, d) {
		if (holds(l, json_string_value(d)))
			return json_string_value(d);
	}
	return first ? first : "";
}

bool listing_has(const struct listing *l, const json_t *account)
{
	const json_t *d;
	size_t i;
	if (*l->side && strcmp(member_text(account, "side"), l->side) != 0)
		return false;
	if (!*l->find || holds(l, member_text(account, "name")))
		return true;
	json_array_foreach (json_object_get(account, "domains"), i, d) {
		if (holds(l, json_string_value(d)))
			return true;
	}
	return false;
}

void listing_turn(struct listing *l, size_t n)
{
	l->n = n;
	l->n_pages = n ? (long long)((n - 1) / LISTING_ROWS) + 1 : 1;
	l->page = l->page < 1 ? 1 : l->page > l->n_pages ? l->n_pages : l->page;
	l->first = (size_t)(l->page - 1) * LISTING_ROWS;
	l->end = n - l->first > LISTING_ROWS ? l->first + LISTING_ROWS : n;
}

json_t *listing_rows(struct listing *l, const json_t *accounts)
{
	json_t *rows = json_array(), *a;
	size_t i, n = 0, at = 0;
	json_array_foreach (accounts, i, a)
		n += listing_has(l, a);
	listing_turn(l, n);
	json_array_foreach (accounts, i, a) {
		if (!listing_has(l, a))
			continue;
		if (at >= l->first && at < l->end)
			json_array_append(rows, a);
		at++;
	}
	return rows;
}

/* ---- where it is ---- */

static void add(char out[LISTING_QUERY_MAX], const char *name, const char *value)
{
	size_t len = strlen(out);
	snprintf(out + len, LISTING_QUERY_MAX - len, "%c%s=%s", len ? '&' : '?', name, value);
}

void listing_query(const struct listing *l, long long page, char out[LISTING_QUERY_MAX])
{
	char *find = evhttp_uriencode(l->find, -1, 0), number[24];
	*out = '\0';
	if (find && *find)
		add(out, "find", find);
	if (*l->side)
		add(out, "side", l->side);
	snprintf(number, sizeof(number), "%lld", page);
	if (page > 1)
		add(out, "page", number);
	free(find);
}
