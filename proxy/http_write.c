/* Nothing is copied that was not parsed: lines are put together again from slices, and what frames the message is written by us alone. */
#include "proxy/http.h"

#include <inttypes.h>
#include <stdio.h>

struct writer {
	char *p, *end;
	bool full;
};

static void put(struct writer *w, const char *p, size_t len)
{
	if ((size_t)(w->end - w->p) < len) {
		w->full = true;
		return;
	}
	memcpy(w->p, p, len);
	w->p += len;
}

static void put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void put_slice(struct writer *w, struct slice s)
{
	if (s.len > 0)
		put(w, s.p, s.len);
}

static void put_line(struct writer *w, const char *name, struct slice value)
{
	put_text(w, name);
	put(w, ": ", 2);
	put_slice(w, value);
	put(w, "\r\n", 2);
}

static void put_field(struct writer *w, const struct http_field *f)
{
	put_slice(w, f->name);
	put(w, ": ", 2);
	put_slice(w, f->value);
	put(w, "\r\n", 2);
}

static void put_length(struct writer *w, uint64_t length)
{
	char text[48];

	put(w, text, (size_t)snprintf(text, sizeof(text), "Content-Length: %" PRIu64 "\r\n", length));
}

static void put_connection(struct writer *w, const struct http_head *h, const struct http_forward *f)
{
	if (h->upgrade.len > 0) {
		put_text(w, f->close ? "Connection: upgrade, close\r\n" : "Connection: upgrade\r\n");
		put_line(w, "Upgrade", h->upgrade);
	} else if (f->close) {
		put_text(w, "Connection: close\r\n");
	} else if (h->response && f->keep_alive_10) {
		put_text(w, "Connection: keep-alive\r\n");
	}
}

static size_t finish(struct writer *w, const char *start)
{
	put(w, "\r\n", 2);
	return w->full ? 0 : (size_t)(w->p - start);
}

static bool passes(const struct http_head *h, const struct http_field *field, const struct http_forward *f)
{
	switch (field->id) {
	case FIELD_OTHER:
		return true;
	case FIELD_EXPECT:
		return h->minor == 1;
	case FIELD_FORWARDED:
		return !f->headers;
	case FIELD_HOST:
	case FIELD_CONTENT_LENGTH:
	case FIELD_TRANSFER_ENCODING:
	case FIELD_HOP:
		break;
	}
	return false;
}

size_t http_write_request(char *out, size_t cap, const struct http_head *h, const struct http_forward *f)
{
	struct writer w = {.p = out, .end = out + cap};

	put_slice(&w, h->method);
	put(&w, " /", h->target.p[0] == '?' ? 2 : 1);
	put_slice(&w, h->target);
	if (h->host.len > 0) {
		put_text(&w, " HTTP/1.1\r\n");
		put_line(&w, "Host", h->host);
	} else {
		put_text(&w, " HTTP/1.0\r\n");
	}
	for (size_t i = 0; i < h->n_fields; i++)
		if (passes(h, &h->fields[i], f))
			put_field(&w, &h->fields[i]);
	if (f->headers) {
		put_line(&w, "X-Forwarded-For", slice_of(f->peer));
		put_line(&w, "X-Real-IP", slice_of(f->peer));
		put_line(&w, "X-Forwarded-Proto", slice_of(f->scheme));
	}
	if (h->framing == BODY_LENGTH)
		put_length(&w, h->length);
	else if (h->framing == BODY_CHUNKED)
		put_text(&w, "Transfer-Encoding: chunked\r\n");
	put_connection(&w, h, f);
	return finish(&w, out);
}

/* Answers to HEAD and 304 say how long the body would be (RFC 9110 8.6); 1xx and 204 never do. */
static bool announces_length(const struct http_head *h)
{
	return h->framing == BODY_NONE && h->status >= 200 && h->status != 204;
}

size_t http_write_response(char *out, size_t cap, const struct http_head *h, const struct http_forward *f)
{
	struct writer w = {.p = out, .end = out + cap};
	const char status[] = {' ', (char)('0' + h->status / 100), (char)('0' + h->status / 10 % 10), (char)('0' + h->status % 10), ' '};

	put_text(&w, "HTTP/1.1");
	put(&w, status, sizeof(status));
	put_slice(&w, h->reason);
	put(&w, "\r\n", 2);
	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *field = &h->fields[i];

		if (passes(h, field, f) || (field->id == FIELD_CONTENT_LENGTH && announces_length(h)))
			put_field(&w, field);
	}
	if (h->framing == BODY_LENGTH)
		put_length(&w, h->length);
	else if (h->framing == BODY_CHUNKED && !f->unframed)
		put_text(&w, "Transfer-Encoding: chunked\r\n");
	put_connection(&w, h, f);
	return finish(&w, out);
}
