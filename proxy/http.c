/* One pass over the bytes: a class table for names and targets, eight bytes at a time through values. A field's meaning is decided when
 * it is met (switch on the length of its name, then its letters); what takes the whole head (Host, framing, Connection) at the end. */
#include "proxy/http.h"

#include "proxy/name.h"

#include <arpa/inet.h>
#include <strings.h>

#define BLANK_LINES_MAX       2
#define METHOD_LEN_MAX        32
#define CONNECTION_TOKENS_MAX 32 /* bounds the search for the fields they name */

enum { TOKEN = 1, TARGET = 2, TEXT = 4 };

/* RFC 9110 5.6.2 (token) and 5.5 (text). Targets may hold any visible byte but '#': browsers send {|}^ and old links raw UTF-8, and
 * the back end has always had them. */
static const uint8_t class[256] = {
	['\t'] = TEXT,
	[' '] = TEXT,
	['!'] = TOKEN | TARGET | TEXT,
	['"'] = TARGET | TEXT,
	['#'] = TOKEN | TEXT,
	['$' ... '\''] = TOKEN | TARGET | TEXT,
	['(' ... ')'] = TARGET | TEXT,
	['*' ... '+'] = TOKEN | TARGET | TEXT,
	[','] = TARGET | TEXT,
	['-' ... '.'] = TOKEN | TARGET | TEXT,
	['/'] = TARGET | TEXT,
	['0' ... '9'] = TOKEN | TARGET | TEXT,
	[':' ... '@'] = TARGET | TEXT,
	['A' ... 'Z'] = TOKEN | TARGET | TEXT,
	['[' ... ']'] = TARGET | TEXT,
	['^' ... 'z'] = TOKEN | TARGET | TEXT,
	['{'] = TARGET | TEXT,
	['|'] = TOKEN | TARGET | TEXT,
	['}'] = TARGET | TEXT,
	['~'] = TOKEN | TARGET | TEXT,
	[0x80 ... 0xff] = TARGET | TEXT,
};

#define LONGEST_KNOWN 17 /* transfer-encoding */

/* What a field means to this parser; finer than enum http_field_id. */
enum known { K_OTHER, K_HOST, K_LENGTH, K_CODING, K_EXPECT, K_CONNECTION, K_UPGRADE, K_HOP, K_FORWARDED };

static const uint8_t known_id[] = {
	[K_OTHER] = FIELD_OTHER,           [K_HOST] = FIELD_HOST,
	[K_LENGTH] = FIELD_CONTENT_LENGTH, [K_CODING] = FIELD_TRANSFER_ENCODING,
	[K_EXPECT] = FIELD_EXPECT,         [K_CONNECTION] = FIELD_HOP,
	[K_UPGRADE] = FIELD_HOP,           [K_HOP] = FIELD_HOP,
	[K_FORWARDED] = FIELD_FORWARDED,
};

struct parser {
	struct http_head *h;
	const char *p, *end;
	struct slice authority;                                   /* of an absolute-form target */
	const struct http_field *host, *length, *coding, *expect; /* in h->fields */
	struct slice upgrade;
	bool upgrade_twice;
	bool close, keep_alive, wants_upgrade; /* Connection: */
	bool names;                            /* it names fields */
	unsigned tokens;                       /* in all of them */
};

static enum parse bad(struct http_head *h, unsigned status, const char *reason)
{
	h->bad_status = status;
	h->bad_reason = reason;
	return PARSE_BAD;
}

/* A byte where text or the CRLF after it should be. */
static enum parse bad_byte(struct http_head *h, char c)
{
	return bad(h, 400, c == '\n' ? "bare LF" : c == '\r' ? "bare CR" : c == '\0' ? "NUL byte" : "control byte");
}

static bool is(char c, int what)
{
	return class[(uint8_t)c] & what;
}

/* Case-blind for names of letters, digits and '-', over text: no other text byte becomes one of these by | 0x20. */
static bool same(const char *p, const char *lower, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((p[i] | 0x20) != lower[i])
			return false;
	return true;
}

static bool slice_same(struct slice s, const char *lower)
{
	return s.len == strlen(lower) && same(s.p, lower, s.len);
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s.p++, s.len--;
	while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes the next member of a comma-separated list off the front; members may be empty. False: there is none left. */
static bool list_next(struct slice *list, struct slice *member)
{
	const char *comma;

	if (list->p == NULL)
		return false;
	comma = memchr(list->p, ',', list->len);
	if (comma != NULL) {
		*member = trim((struct slice){list->p, (size_t)(comma - list->p)});
		list->len -= (size_t)(comma + 1 - list->p);
		list->p = comma + 1;
	} else {
		*member = trim(*list);
		*list = (struct slice){NULL, 0};
	}
	return true;
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is(s.p[i], TOKEN))
			return false;
	return s.len > 0;
}

/* The first byte at p that is no text; mostly the CR. */
static const char *skip_text(const char *p, const char *end)
{
	const uint64_t ones = UINT64_MAX / 255;

	while (end - p >= 8) {
		uint64_t v, del, low;

		memcpy(&v, p, sizeof(v));
		low = (v - ones * 0x20) & ~v; /* top bit of a byte set: it, or one before it, is below 0x20 */
		del = v ^ ones * 0x7f;
		del = (del - ones) & ~del;
		if ((low | del) & ones * 0x80)
			break;
		p += 8;
	}
	while (p < end && is(*p, TEXT))
		p++;
	return p;
}

static bool port_ok(const char *p, size_t len)
{
	unsigned port = 0;

	if (len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(p[i] - '0');
	}
	return port <= 65535;
}

static bool is_ipv6(const char *p, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (len >= sizeof(text))
		return false;
	memcpy(text, p, len);
	text[len] = '\0';
	return memchr(text, '\0', len) == NULL && inet_pton(AF_INET6, text, &a) == 1;
}

/* uri-host [":" port] (RFC 9110 7.2) into host, name and name_len. An IP literal has no name; an empty port goes. */
static bool take_host(struct http_head *h, struct slice s)
{
	struct in_addr v4;
	size_t n;

	h->name[0] = '\0';
	h->name_len = 0;
	if (s.len > 0 && s.p[0] == '[') {
		const char *close = memchr(s.p, ']', s.len);

		if (close == NULL || !is_ipv6(s.p + 1, (size_t)(close - s.p - 1)))
			return false;
		n = (size_t)(close + 1 - s.p);
	} else {
		const char *colon = s.len > 0 ? memchr(s.p, ':', s.len) : NULL;

		n = colon != NULL ? (size_t)(colon - s.p) : s.len;
		h->name_len = name_canon(h->name, s.p, n);
		if (h->name_len == 0)
			return false;
		if (h->name[h->name_len - 1] <= '9' && inet_pton(AF_INET, h->name, &v4) == 1) {
			h->name[0] = '\0';
			h->name_len = 0;
		}
	}
	if (n < s.len && (s.p[n] != ':' || !port_ok(s.p + n + 1, s.len - n - 1)))
		return false;
	if (s.len == n + 1)
		s.len = n;
	h->host = s;
	return true;
}

static enum http_method method_id(struct slice m)
{
	switch (m.len) {
	case 3:
		return memcmp(m.p, "GET", 3) == 0 ? METHOD_GET : memcmp(m.p, "PUT", 3) == 0 ? METHOD_PUT : METHOD_OTHER;
	case 4:
		return memcmp(m.p, "POST", 4) == 0 ? METHOD_POST : memcmp(m.p, "HEAD", 4) == 0 ? METHOD_HEAD : METHOD_OTHER;
	case 5:
		return memcmp(m.p, "PATCH", 5) == 0 ? METHOD_PATCH : METHOD_OTHER;
	case 6:
		return memcmp(m.p, "DELETE", 6) == 0 ? METHOD_DELETE : METHOD_OTHER;
	case 7:
		return memcmp(m.p, "OPTIONS", 7) == 0 ? METHOD_OPTIONS : METHOD_OTHER;
	}
	return METHOD_OTHER;
}

static enum parse method(struct parser *ps)
{
	struct http_head *h = ps->h;
	const char *start = ps->p;

	while (ps->p < ps->end && is(*ps->p, TOKEN))
		ps->p++;
	h->method = (struct slice){start, (size_t)(ps->p - start)};
	if (h->method.len > METHOD_LEN_MAX)
		return bad(h, 501, "method too long");
	if (ps->p == ps->end)
		return PARSE_MORE;
	if (*ps->p != ' ' || h->method.len == 0)
		return bad(h, 400, "not a request line");
	ps->p++;
	/* A tunnel through us would reach any account; an echo of fields nobody needs either. */
	if (slice_is(h->method, "CONNECT") || slice_is(h->method, "TRACE"))
		return bad(h, 405, "method not allowed");
	h->method_id = method_id(h->method);
	h->idempotent = h->method_id != METHOD_OTHER && h->method_id != METHOD_POST && h->method_id != METHOD_PATCH;
	return PARSE_OK;
}

/* RFC 9112 3.2.2: scheme "://" authority path. The authority decides, the rest becomes the target. */
static enum parse absolute_form(struct parser *ps)
{
	struct http_head *h = ps->h;
	struct slice t = h->target;
	size_t skip = t.len > 7 && same(t.p, "http://", 7) ? 7 : t.len > 8 && same(t.p, "https://", 8) ? 8 : 0, n;

	if (skip == 0)
		return bad(h, 400, "bad target");
	for (n = skip; n < t.len && t.p[n] != '/' && t.p[n] != '?'; n++)
		;
	ps->authority = (struct slice){t.p + skip, n - skip};
	if (!take_host(h, ps->authority))
		return bad(h, 400, "bad authority in target");
	h->target = (struct slice){t.p + n, t.len - n};
	if (h->target.len == 0)
		h->target = slice_of(h->method_id == METHOD_OPTIONS ? "*" : "/"); /* RFC 9112 3.2.4 */
	return PARSE_OK;
}

static enum parse target(struct parser *ps)
{
	struct http_head *h = ps->h;
	const char *start = ps->p;

	while (ps->p < ps->end && is(*ps->p, TARGET))
		ps->p++;
	if (ps->p == start && ps->p < ps->end)
		return bad(h, 400, "bad target");
	if (ps->p == ps->end)
		return PARSE_MORE;
	if (*ps->p != ' ')
		return bad(h, 400, *ps->p == '\r' || *ps->p == '\n' ? "no version" : "bad byte in target");
	h->target = (struct slice){start, (size_t)(ps->p - start)};
	ps->p++;
	if (*start == '/' || (slice_is(h->target, "*") && h->method_id == METHOD_OPTIONS))
		return PARSE_OK;
	return absolute_form(ps);
}

/* "HTTP/1.0" or "HTTP/1.1". Later minors have never been defined: what a back end makes of them is anybody's guess. */
static enum parse version(struct parser *ps)
{
	static const char want[] = "HTTP/1.";

	for (unsigned i = 0; i < sizeof(want) - 1; i++, ps->p++) {
		if (ps->p == ps->end)
			return PARSE_MORE;
		if (*ps->p != want[i])
			return i == 5 && *ps->p >= '0' && *ps->p <= '9' ? bad(ps->h, 505, "HTTP version") : bad(ps->h, 400, "bad version");
	}
	if (ps->p == ps->end)
		return PARSE_MORE;
	if (*ps->p != '0' && *ps->p != '1')
		return *ps->p >= '2' && *ps->p <= '9' ? bad(ps->h, 505, "HTTP version") : bad(ps->h, 400, "bad version");
	ps->h->minor = (unsigned)(*ps->p++ - '0');
	return PARSE_OK;
}

static enum parse crlf(struct parser *ps)
{
	if (ps->p == ps->end)
		return PARSE_MORE;
	if (*ps->p != '\r')
		return is(*ps->p, TEXT) ? bad(ps->h, 400, "bytes after the version") : bad_byte(ps->h, *ps->p);
	if (ps->p + 1 == ps->end)
		return PARSE_MORE;
	if (ps->p[1] != '\n')
		return bad_byte(ps->h, '\r');
	ps->p += 2;
	return PARSE_OK;
}

static enum parse request_line(struct parser *ps)
{
	const char *start = ps->p, *end = ps->end;
	enum parse rc;

	if (end - start > HTTP_LINE_MAX + 2)
		ps->end = start + HTTP_LINE_MAX + 2;
	rc = method(ps);
	if (rc == PARSE_OK)
		rc = target(ps);
	if (rc == PARSE_OK)
		rc = version(ps);
	if (rc == PARSE_OK)
		rc = crlf(ps);
	if (rc == PARSE_MORE && ps->end != end)
		return bad(ps->h, 414, "request line too long");
	ps->end = end;
	return rc;
}

/* Lenient where framing is not touched: the reason may be empty, and the space before it missing. */
static enum parse status_line(struct parser *ps)
{
	struct http_head *h = ps->h;
	enum parse rc = version(ps);
	const char *p = ps->p;

	if (rc != PARSE_OK)
		return rc;
	for (unsigned i = 0; i < 4; i++, p++) {
		if (p == ps->end)
			return PARSE_MORE;
		if (i == 0 ? *p != ' ' : *p < '0' || *p > '9')
			return bad(h, 502, "bad status line");
		if (i > 0)
			h->status = h->status * 10 + (unsigned)(*p - '0');
	}
	if (h->status < 100 || h->status > 599)
		return bad(h, 502, "bad status code");
	if (p < ps->end && *p == ' ')
		p++;
	else if (p < ps->end && *p != '\r')
		return bad(h, 502, "bad status line");
	ps->p = skip_text(p, ps->end);
	h->reason = trim((struct slice){p, (size_t)(ps->p - p)});
	return crlf(ps);
}

static enum known known_request(const char *p, size_t len)
{
#define IS(text) same(p, text, sizeof(text) - 1)
	switch (len) {
	case 2:
		return IS("te") ? K_HOP : K_OTHER;
	case 4:
		return IS("host") ? K_HOST : K_OTHER;
	case 6:
		return IS("expect") ? K_EXPECT : K_OTHER;
	case 7:
		return IS("upgrade") ? K_UPGRADE : IS("trailer") ? K_HOP : K_OTHER;
	case 9:
		return IS("x-real-ip") || IS("forwarded") ? K_FORWARDED : K_OTHER;
	case 10:
		return IS("connection") ? K_CONNECTION : IS("keep-alive") ? K_HOP : K_OTHER;
	case 14:
		return IS("content-length") ? K_LENGTH : IS("http2-settings") ? K_HOP : K_OTHER;
	case 15:
		return IS("x-forwarded-for") ? K_FORWARDED : K_OTHER;
	case 16:
		return IS("proxy-connection") ? K_HOP : K_OTHER;
	case 17:
		return IS("transfer-encoding") ? K_CODING : IS("x-forwarded-proto") ? K_FORWARDED : K_OTHER;
	}
#undef IS
	return K_OTHER;
}

static enum known known(const struct http_head *h, const char *p, size_t len)
{
	enum known k = known_request(p, len);

	return h->response && (k == K_HOST || k == K_EXPECT || k == K_FORWARDED) ? K_OTHER : k; /* these mean nothing in an answer */
}

static enum parse connection_tokens(struct parser *ps, struct slice list)
{
	struct slice token;

	while (list_next(&list, &token)) {
		if (token.len == 0)
			continue;
		if (++ps->tokens > CONNECTION_TOKENS_MAX)
			return bad(ps->h, 400, "too many Connection options");
		if (slice_same(token, "close"))
			ps->close = true;
		else if (slice_same(token, "keep-alive"))
			ps->keep_alive = true;
		else if (slice_same(token, "upgrade"))
			ps->wants_upgrade = true;
		else
			ps->names = true;
	}
	return PARSE_OK;
}

static enum parse once(struct parser *ps, const struct http_field **slot, const struct http_field *f, const char *reason)
{
	if (*slot != NULL)
		return bad(ps->h, 400, reason);
	*slot = f;
	return PARSE_OK;
}

static enum parse note_field(struct parser *ps, const struct http_field *f, enum known k)
{
	switch (k) {
	case K_HOST:
		return once(ps, &ps->host, f, "two Host fields");
	case K_LENGTH:
		return once(ps, &ps->length, f, "two Content-Length fields");
	case K_CODING:
		return once(ps, &ps->coding, f, "two Transfer-Encoding fields");
	case K_EXPECT:
		return once(ps, &ps->expect, f, "two Expect fields");
	case K_CONNECTION:
		return connection_tokens(ps, f->value);
	case K_UPGRADE:
		ps->upgrade_twice = ps->upgrade.p != NULL;
		ps->upgrade = f->value;
		return PARSE_OK;
	case K_OTHER:
	case K_HOP:
	case K_FORWARDED:
		break;
	}
	return PARSE_OK;
}

/* CGI and its kin take '_' and '-' in a name for the same (RFC 3875 4.1.18): behind us Content_Length or X_Forwarded_For would be believed.
 */
static bool poses(const struct http_head *h, const char *name, size_t len)
{
	char hyphens[LONGEST_KNOWN];

	if (h->response || len > sizeof hyphens || !memchr(name, '_', len))
		return false;
	for (size_t i = 0; i < len; i++)
		hyphens[i] = name[i] == '_' ? '-' : name[i];
	return known_request(hyphens, len) != K_OTHER;
}

static enum parse field_line(struct parser *ps)
{
	struct http_head *h = ps->h;
	const char *name = ps->p, *p = name, *end = ps->end, *value;
	struct http_field *f;
	enum known k;

	while (p < end && is(*p, TOKEN))
		p++;
	if (p == end)
		return PARSE_MORE;
	if (*p != ':' || p == name)
		return p == name && (*p == ' ' || *p == '\t') ? bad(h, 400, "folded or indented line")
		       : *p == ':'                            ? bad(h, 400, "empty field name")
		       : *p == ' ' || *p == '\t'              ? bad(h, 400, "white space in a field name")
		       : is(*p, TEXT)                         ? bad(h, 400, "bad field name")
							      : bad_byte(h, *p);
	if (h->n_fields == HTTP_FIELDS_MAX)
		return bad(h, 431, "too many fields");
	value = p + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	ps->p = skip_text(value, end);
	f = &h->fields[h->n_fields];
	f->name = (struct slice){name, (size_t)(p - name)};
	f->value = (struct slice){value, (size_t)(ps->p - value)};
	while (f->value.len > 0 && (value[f->value.len - 1] == ' ' || value[f->value.len - 1] == '\t'))
		f->value.len--;
	if (end - ps->p < 2 || ps->p[0] != '\r' || ps->p[1] != '\n')
		return crlf(ps); /* says what is wrong, or MORE */
	ps->p += 2;
	k = known(h, name, f->name.len);
	f->id = (enum http_field_id)known_id[k];
	h->n_fields++;
	if (k == K_OTHER)
		return poses(h, name, f->name.len) ? bad(h, 400, "underscore in the name of a field that decides something") : PARSE_OK;
	return note_field(ps, f, k);
}

static enum parse fields(struct parser *ps)
{
	enum parse rc;

	do {
		if (ps->p < ps->end && *ps->p == '\r')
			return crlf(ps);
		rc = field_line(ps);
	} while (rc == PARSE_OK);
	return rc;
}

/* "chunked" and nothing else is understood. Members in an order that no message may have are malformed, the rest merely unknown. */
static enum parse bad_coding(struct http_head *h, struct slice list)
{
	bool chunked = false;
	struct slice member;

	while (list_next(&list, &member)) {
		if (!is_token(member) || chunked)
			return bad(h, 400, "malformed Transfer-Encoding");
		chunked = slice_same(member, "chunked");
	}
	return bad(h, 501, "unknown Transfer-Encoding");
}

static enum parse content_length(struct http_head *h, struct slice v)
{
	if (v.len == 0)
		return bad(h, 400, "empty Content-Length");
	for (size_t i = 0; i < v.len; i++) {
		unsigned digit = (unsigned char)v.p[i] - (unsigned)'0';

		if (digit > 9)
			return bad(h, 400, "bad Content-Length");
		if (h->length > ((uint64_t)INT64_MAX - digit) / 10)
			return bad(h, 400, "Content-Length too large");
		h->length = h->length * 10 + digit;
	}
	return PARSE_OK;
}

/* RFC 9112 6.3, with every choice it leaves to the recipient taken as a refusal. */
static enum parse framing(struct parser *ps)
{
	struct http_head *h = ps->h;

	if (ps->coding != NULL) {
		if (ps->length != NULL)
			return bad(h, 400, "Content-Length and Transfer-Encoding");
		if (h->minor == 0)
			return bad(h, 400, "Transfer-Encoding in HTTP/1.0");
		if (!slice_same(ps->coding->value, "chunked"))
			return bad_coding(h, ps->coding->value);
		h->framing = BODY_CHUNKED;
	} else if (ps->length != NULL) {
		h->framing = BODY_LENGTH;
		return content_length(h, ps->length->value);
	}
	return PARSE_OK;
}

/* RFC 9110 7.6.1. Only fields that mean nothing to us can be named: not Host, not framing, not Expect, not where a visitor came from. */
static void mark_named_fields(struct http_head *h)
{
	for (size_t i = 0; i < h->n_fields; i++) {
		struct slice list = h->fields[i].value, token;

		if (h->fields[i].id != FIELD_HOP || !slice_same(h->fields[i].name, "connection"))
			continue;
		while (list_next(&list, &token))
			for (size_t j = 0; token.len > 0 && j < h->n_fields; j++) {
				struct http_field *f = &h->fields[j];

				if (f->id == FIELD_OTHER && f->name.len == token.len && strncasecmp(f->name.p, token.p, token.len) == 0)
					f->id = FIELD_HOP;
			}
	}
}

/* Another HTTP in the tunnel would carry requests for any account past our eyes; a list is one offer, so it goes whole. */
static bool upgrade_ok(struct slice list)
{
	struct slice member;

	while (list_next(&list, &member)) {
		const char *slash = member.len > 0 ? memchr(member.p, '/', member.len) : NULL;
		struct slice name = {member.p, slash != NULL ? (size_t)(slash - member.p) : member.len};

		if (!is_token(name) || (slash != NULL && !is_token((struct slice){slash + 1, member.len - name.len - 1})))
			return false;
		if (slice_same(name, "h2c") || slice_same(name, "h2") || slice_same(name, "http"))
			return false;
	}
	return true;
}

static void connection(struct parser *ps)
{
	struct http_head *h = ps->h;

	h->keep_alive = !ps->close && (h->minor == 1 || ps->keep_alive);
	if (ps->names)
		mark_named_fields(h);
	if (ps->upgrade.len > 0 && !ps->upgrade_twice && h->minor == 1 && upgrade_ok(ps->upgrade))
		h->upgrade = ps->upgrade;
}

static enum parse conclude_request(struct parser *ps)
{
	struct http_head *h = ps->h;

	if (ps->host == NULL && h->minor == 1)
		return bad(h, 400, "no Host");
	if (ps->host != NULL && !take_host(h, ps->host->value))
		return bad(h, 400, ps->host->value.len == 0 ? "empty Host" : "bad Host");
	if (ps->authority.len > 0)
		take_host(h, ps->authority); /* it was good before */
	if (ps->expect != NULL && h->minor == 1) {
		if (!slice_same(ps->expect->value, "100-continue"))
			return bad(h, 417, "unknown Expect");
		h->expect_continue = true;
	}
	connection(ps);
	if (!ps->wants_upgrade)
		h->upgrade = (struct slice){NULL, 0};
	return framing(ps);
}

static enum parse conclude_response(struct parser *ps, enum http_method method)
{
	struct http_head *h = ps->h;
	bool interim = h->status < 200, bare = interim || h->status == 204;
	enum parse rc;

	connection(ps);
	rc = framing(ps);
	if (rc != PARSE_OK)
		return rc;
	if (h->status == 101 && h->upgrade.len == 0)
		return bad(h, 502, "101 without Upgrade");
	if (h->status != 101)
		h->upgrade = (struct slice){NULL, 0};
	if (bare && (h->framing == BODY_CHUNKED || h->length > 0)) {
		if (interim)
			return bad(h, 502, "interim answer with a body");
		h->keep_alive = false; /* servers exist that send a body after 204: nothing may be read after it */
	}
	if (bare || h->status == 304 || method == METHOD_HEAD) {
		h->framing = BODY_NONE;
		h->length = 0;
	} else if (h->framing == BODY_NONE) {
		h->framing = BODY_UNTIL_CLOSE;
		h->keep_alive = false;
	}
	return PARSE_OK;
}

/* Not memset(): the field array is large and means nothing past n_fields. */
static void begin(struct parser *ps, struct http_head *h, const char *buf, size_t len, size_t head_max)
{
	static const struct slice none = {NULL, 0};

	*ps = (struct parser){.h = h, .p = buf, .end = buf + (len < head_max ? len : head_max)};
	h->response = false;
	h->minor = 0;
	h->method_id = METHOD_OTHER;
	h->method = h->target = h->host = h->reason = h->upgrade = none;
	h->name[0] = '\0';
	h->name_len = 0;
	h->status = 0;
	h->n_fields = 0;
	h->head_len = 0;
	h->framing = BODY_NONE;
	h->length = 0;
	h->keep_alive = h->expect_continue = h->idempotent = false;
	h->bad_status = 0;
	h->bad_reason = NULL;
}

static enum parse blank_lines(struct parser *ps)
{
	enum parse rc = PARSE_OK;

	for (unsigned n = 0; rc == PARSE_OK && ps->p < ps->end && (*ps->p == '\r' || *ps->p == '\n'); n++) {
		if (n == BLANK_LINES_MAX)
			return bad(ps->h, 400, "not a request line");
		rc = crlf(ps);
	}
	return rc;
}

enum parse http_parse_request(struct http_head *h, const char *buf, size_t len, size_t head_max)
{
	struct parser ps;
	enum parse rc;
	bool in_line;

	begin(&ps, h, buf, len, head_max);
	rc = blank_lines(&ps);
	if (rc == PARSE_OK)
		rc = request_line(&ps);
	in_line = rc != PARSE_OK;
	if (rc == PARSE_OK)
		rc = fields(&ps);
	if (rc == PARSE_MORE && len >= head_max)
		return in_line ? bad(h, 414, "request line too long") : bad(h, 431, "head too long");
	if (rc != PARSE_OK)
		return rc;
	h->head_len = (size_t)(ps.p - buf);
	return conclude_request(&ps);
}

enum parse http_parse_response(struct http_head *h, const char *buf, size_t len, size_t head_max, enum http_method method)
{
	struct parser ps;
	enum parse rc;

	begin(&ps, h, buf, len, head_max);
	h->response = true;
	rc = status_line(&ps);
	if (rc == PARSE_OK)
		rc = fields(&ps);
	if (rc == PARSE_MORE && len >= head_max)
		return bad(h, 502, "head too long");
	if (rc == PARSE_OK) {
		h->head_len = (size_t)(ps.p - buf);
		rc = conclude_response(&ps, method);
	}
	if (rc == PARSE_BAD)
		h->bad_status = 502;
	return rc;
}
