/* What an answer says, from its bytes alone. */
#include "proxy/fetch.h"
#include "proxy/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX ((size_t)64 * 1024)

static int bad(struct fetch_facts *f, const char *why)
{
	snprintf(f->said, sizeof f->said, "%s", why);
	return -1;
}

static bool field_is(const struct http_field *f, const char *name)
{
	return f->name.len == strlen(name) && strncasecmp(f->name.p, name, f->name.len) == 0;
}

static void take_fields(struct fetch_facts *f, const struct http_head *h)
{
	f->status = h->status;
	for (size_t i = 0; i < h->n_fields; i++) {
		const struct slice v = h->fields[i].value;

		if (field_is(&h->fields[i], "Location") && !*f->location)
			outline_text(f->location, sizeof f->location, v.p, v.len);
		else if (field_is(&h->fields[i], "Content-Type") && !*f->type)
			outline_text(f->type, sizeof f->type, v.p, v.len);
		else if (field_is(&h->fields[i], "Content-Encoding"))
			f->encoded = f->encoded || (v.len && !(v.len == 8 && strncasecmp(v.p, "identity", 8) == 0));
	}
}

static bool is_markup(const char *type)
{
	return !*type || strncasecmp(type, "text/html", 9) == 0 || strcasestr(type, "xml");
}

static bool is_text(const char *type)
{
	return strncasecmp(type, "text/", 5) == 0 || strcasestr(type, "json") || strcasestr(type, "javascript");
}

static int complete(const struct fetch_answer *a, struct fetch_facts *f, bool whole)
{
	const char *body = a->buf + a->head;

	f->size = a->len - a->head;
	f->whole = whole;
	if (!f->encoded && (is_markup(f->type) || is_text(f->type)))
		outline_of(&f->outline, body, f->size, is_markup(f->type));
	snprintf(f->said, sizeof f->said, "%u", f->status);
	return 1;
}

/* The head is at buf[0..len), what follows it is the beginning of the body. */
static int read_head(struct fetch_answer *a, bool end, struct fetch_facts *f)
{
	struct http_head h;
	enum parse p;

	do { /* 1xx come before the answer */
		p = http_parse_response(&h, a->buf + a->head, a->len - a->head, HEAD_MAX, METHOD_GET);
		if (p == PARSE_BAD) {
			snprintf(f->said, sizeof f->said, "no HTTP answer that can be forwarded: %s", h.bad_reason);
			return -1;
		}
		if (p == PARSE_MORE && (end || a->len >= FETCH_MAX))
			return bad(f, a->len ? "the answer ended within its head" : "closed without an answer");
		if (p == PARSE_MORE)
			return 0;
		a->head += h.head_len;
	} while (h.status < 200 && h.status != 101);
	take_fields(f, &h);
	a->headed = true;
	a->chunked = h.framing == BODY_CHUNKED;
	a->until_close = h.framing == BODY_UNTIL_CLOSE;
	a->length = h.framing == BODY_LENGTH ? h.length : 0;
	chunk_init(&a->chunk, true);
	return 1;
}

/* The n bytes at the end of what is there, in place. */
static int dechunk(struct fetch_answer *a, size_t n, bool end, struct fetch_facts *f)
{
	char *at = a->buf + a->len - n;
	size_t used, data = 0;
	enum parse p = chunk_feed(&a->chunk, at, n, &used, at, &data);

	a->len += data - n;
	if (p == PARSE_BAD)
		return bad(f, "an answer whose chunks are broken");
	if (p == PARSE_OK)
		return complete(a, f, true);
	if (end)
		return bad(f, "the answer was cut");
	return a->came >= FETCH_MAX ? complete(a, f, false) : 0;
}

int fetch_feed(struct fetch_answer *a, size_t n, bool end, struct fetch_facts *f)
{
	a->len += n;
	a->came += n;
	if (!a->headed) {
		int rc = read_head(a, end, f);

		if (rc <= 0)
			return rc;
		n = a->len - a->head;
	}
	if (a->chunked)
		return dechunk(a, n, end, f);
	if (!a->until_close && a->len - a->head >= a->length) {
		a->len = a->head + (size_t)a->length;
		return complete(a, f, true);
	}
	if (end)
		return a->until_close ? complete(a, f, true) : bad(f, "the answer was cut");
	return a->len >= FETCH_MAX ? complete(a, f, false) : 0;
}
