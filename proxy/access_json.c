/* The access log as JSON lines with the names of OpenTelemetry's semantic conventions. */
#include "lib/utf8.h"
#include "proxy/access_parts.h"

#include <stdlib.h>

#define NAME_CAP   768u /* escaped: 253 bytes of a sane name fit, hostile ones are cut */
#define METHOD_CAP 64u
#define PATH_CAP   1280u
_Static_assert(NAME_CAP + METHOD_CAP + PATH_CAP + 5 * WORD_CAP + ADDR_TEXT_MAX + 10 * 20 + 900 <= LINE_CAP,
	       "a line of the longest fields fits");

/* ---- strings ---- */

/* What one character becomes, at most 6 bytes. C1 controls go as escapes too: a terminal may obey them. */
static size_t escape(char out[6], const unsigned char *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	int control = utf8_control(p, n);

	if (n == 0) {
		memcpy(out, "\xef\xbf\xbd", 3);
		return 3;
	}
	if (control >= 0) {
		memcpy(out, "\\u00", 4);
		out[4] = hex[control >> 4];
		out[5] = hex[control & 15];
		return 6;
	}
	if (p[0] == '"' || p[0] == '\\') {
		out[0] = '\\';
		out[1] = (char)p[0];
		return 2;
	}
	memcpy(out, p, n);
	return n;
}

/* Without the quotes, in at most cap bytes. */
static void add_escaped(struct access_text *l, size_t cap, const char *bytes, size_t len)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t i = 0, room = cap - 3;
	char one[6];

	for (; i < len && i < room && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\'; i++)
		; /* nearly always all of it */
	access_add(l, bytes, i);
	room -= i;
	while (i < len) {
		size_t n = utf8_len(p + i, len - i), need = escape(one, p + i, n);

		if (need > room) {
			ACCESS_ADD(l, "...");
			return;
		}
		access_add(l, one, need);
		room -= need;
		i += n ? n : 1;
	}
}

#define ADD_STRING(l, key, cap, p, len)           \
	do {                                      \
		ACCESS_ADD(l, ",\"" key "\":\""); \
		add_escaped(l, cap, p, len);      \
		ACCESS_ADD(l, "\"");              \
	} while (0)
#define ADD_WORD(l, key, word) ADD_STRING(l, key, WORD_CAP, word, strlen(word))
#define ADD_NUMBER(l, key, n)                   \
	do {                                    \
		ACCESS_ADD(l, ",\"" key "\":"); \
		access_add_number(l, n);        \
	} while (0)

/* ---- parts of a line ---- */

static void add_method(struct access_text *l, struct slice m)
{
	static const char *const known[] = {"GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (slice_is(m, known[i])) {
			ADD_STRING(l, "http.request.method", METHOD_CAP, m.p, m.len);
			return;
		}
	}
	ACCESS_ADD(l, ",\"http.request.method\":\"_OTHER\"");
	ADD_STRING(l, "http.request.method_original", METHOD_CAP, m.p, m.len);
}

/* Of "/path?query" and "http://host/path?query". "*" stays. */
static struct slice path_of(struct slice target)
{
	const char *scheme = memmem(target.p, target.len, "://", 3), *end;

	if (target.len && *target.p != '/' && scheme) {
		const char *path = scheme + 3, *stop = target.p + target.len;

		while (path < stop && *path != '/' && *path != '?' && *path != '#')
			path++;
		if (path == stop || *path != '/')
			return slice_of("/");
		target = (struct slice){path, (size_t)(stop - path)};
	}
	end = memchr(target.p, '?', target.len);
	if (end)
		target.len = (size_t)(end - target.p);
	return target;
}

static void add_http(struct access_text *l, const struct access_line *in)
{
	if (in->method.p)
		add_method(l, in->method);
	ACCESS_ADD(l, ",\"url.scheme\":\"http\"");
	if (in->target.p) {
		struct slice path = path_of(in->target);
		ADD_STRING(l, "url.path", PATH_CAP, path.p, path.len);
	}
	if (in->status)
		ADD_NUMBER(l, "http.response.status_code", in->status);
	if (in->status == 101)
		return;
	ADD_NUMBER(l, "http.request.body.size", in->body_up);
	if (!in->own)
		ADD_NUMBER(l, "http.response.body.size", in->body_down);
}

static bool is_http(const struct access_line *in)
{
	return in->protocol && strcmp(in->protocol, "http") == 0;
}

static void add_network(struct access_text *l, const struct access_line *in)
{
	int family = in->peer ? addr_family(in->peer) : AF_UNSPEC;

	if (is_http(in))
		ACCESS_ADD(l, ",\"network.protocol.name\":\"http\"");
	if (in->version)
		ADD_WORD(l, "network.protocol.version", in->version);
	ACCESS_ADD(l, ",\"network.transport\":\"tcp\"");
	if (family == AF_INET)
		ACCESS_ADD(l, ",\"network.type\":\"ipv4\"");
	else if (family == AF_INET6)
		ACCESS_ADD(l, ",\"network.type\":\"ipv6\"");
}

/* "alice.example:8080", "[2001:db8::1]:80", or without a port: 0 then. */
static unsigned split_port(struct slice *name)
{
	size_t i = name->len;
	unsigned port = 0, unit = 1;

	while (i && name->p[i - 1] >= '0' && name->p[i - 1] <= '9' && name->len - i < 5) {
		port += (unsigned)(name->p[--i] - '0') * unit;
		unit *= 10;
	}
	if (i < 2 || i == name->len || name->p[i - 1] != ':' || port == 0 || port > 65535)
		return 0;
	if (memchr(name->p, ':', i - 1) && name->p[i - 2] != ']')
		return 0; /* an IPv6 address without brackets */
	name->len = i - 1;
	return port;
}

static void add_ends(struct access_text *l, const struct access_line *in)
{
	struct slice name = in->name;
	unsigned port = name.p ? split_port(&name) : 0;
	char text[ADDR_TEXT_MAX];

	if (name.len > 2 && name.p[0] == '[' && name.p[name.len - 1] == ']')
		name = (struct slice){name.p + 1, name.len - 2};
	if (name.len)
		ADD_STRING(l, "server.address", NAME_CAP, name.p, name.len);
	if (port || in->port)
		ADD_NUMBER(l, "server.port", port ? port : in->port);
	if (!in->peer || addr_family(in->peer) == AF_UNSPEC)
		return;
	addr_text(in->peer, text);
	ADD_STRING(l, "client.address", ADDR_TEXT_MAX, text, strlen(text));
	ADD_NUMBER(l, "client.port", addr_port(in->peer));
}

static void add_error(struct access_text *l, const struct access_line *in)
{
	if (in->status >= 500) {
		ACCESS_ADD(l, ",\"error.type\":\"");
		access_add_number(l, in->status);
		ACCESS_ADD(l, "\"");
	} else if (in->status < 400 && in->why && strcmp(in->why, "ok") != 0) {
		ADD_WORD(l, "error.type", in->why);
	}
}

static void add_ours(struct access_text *l, const struct access_line *in)
{
	if (in->account && strcmp(in->account, "-") != 0)
		ADD_WORD(l, "shunt.account", in->account);
	if (in->side && strcmp(in->side, "-") != 0)
		ADD_WORD(l, "shunt.side", in->side);
	if (in->why)
		ADD_WORD(l, "shunt.why", in->why);
	if (!is_http(in) || in->status == 101) {
		ADD_NUMBER(l, "shunt.bytes_up", in->bytes_up);
		ADD_NUMBER(l, "shunt.bytes_down", in->bytes_down);
	}
	ADD_NUMBER(l, "shunt.held_ms", in->wait_ms);
	ADD_NUMBER(l, "shunt.connect_ms", in->connect_ms);
	ADD_NUMBER(l, "shunt.total_ms", in->total_ms);
	if (in->protocol)
		ADD_WORD(l, "shunt.protocol", in->protocol);
	if (in->listener)
		ADD_WORD(l, "shunt.listener", in->listener);
	ADD_NUMBER(l, "shunt.connection", in->conn);
}

void access_format_json(struct access_text *l, struct access_clock *c, const struct access_line *in)
{
	ACCESS_ADD(l, "{\"timestamp\":\"");
	access_add_time(l, c, 6);
	ACCESS_ADD(l, "\"");
	if (is_http(in))
		add_http(l, in);
	add_network(l, in);
	add_ends(l, in);
	add_error(l, in);
	add_ours(l, in);
	ACCESS_ADD(l, "}\n");
}
