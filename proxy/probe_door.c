#include "proxy/probe_door.h"

#include "proxy/http.h"

#include <stdio.h>
#include <string.h>

static const struct {
	uint16_t port;
	bool tls; /* by custom */
	enum door door;
} customs[] = {
	{21, false, DOOR_FTP},    {22, false, DOOR_SSH},     {25, false, DOOR_SMTP},    {110, false, DOOR_POP3},
	{140, false, DOOR_IMAP},  {143, false, DOOR_IMAP},   {443, true, DOOR_HTTP},    {465, true, DOOR_SMTP},
	{587, false, DOOR_SMTP},  {990, true, DOOR_FTP},     {993, true, DOOR_IMAP},    {995, true, DOOR_POP3},
	{2525, false, DOOR_SMTP}, {3306, false, DOOR_MYSQL}, {4190, false, DOOR_SIEVE}, {5432, false, DOOR_POSTGRESQL},
	{5671, true, DOOR_AMQP},  {5672, false, DOOR_AMQP},  {8443, true, DOOR_HTTP},
};

const char *door_name(enum door d)
{
	switch (d) {
	case DOOR_NONE:
		return NULL;
	case DOOR_HTTP:
		return "http";
	case DOOR_SMTP:
		return "smtp";
	case DOOR_FTP:
		return "ftp";
	case DOOR_POP3:
		return "pop3";
	case DOOR_IMAP:
		return "imap";
	case DOOR_SIEVE:
		return "sieve";
	case DOOR_SSH:
		return "ssh";
	case DOOR_MYSQL:
		return "mysql";
	case DOOR_POSTGRESQL:
		return "postgresql";
	case DOOR_AMQP:
		return "amqp";
	}
	return NULL;
}

enum door door_of(enum protocol protocol, uint16_t port, bool *tls)
{
	*tls = protocol == PROTOCOL_TLS;
	if (protocol == PROTOCOL_HTTP)
		return DOOR_HTTP;
	for (size_t i = 0; i < sizeof customs / sizeof *customs; i++) {
		if (customs[i].port != port)
			continue;
		if (protocol == PROTOCOL_TLS && !customs[i].tls)
			return DOOR_NONE; /* something else than the custom */
		*tls = customs[i].tls;
		return customs[i].door;
	}
	return DOOR_NONE;
}

/* ---- what one says ---- */

static size_t bytes_out(char *out, const void *bytes, size_t n)
{
	memcpy(out, bytes, n);
	return n;
}

size_t door_opening(enum door d, const char *name, char out[DOOR_SAY_MAX])
{
	/* PostgreSQL's protocol, 55.7: length, and the code 80877103 */
	static const unsigned char ssl_request[] = {0, 0, 0, 8, 4, 210, 22, 47};
	static const char amqp[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

	if (d == DOOR_POSTGRESQL)
		return bytes_out(out, ssl_request, sizeof ssl_request);
	if (d == DOOR_AMQP)
		return bytes_out(out, amqp, sizeof amqp);
	if (d != DOOR_HTTP)
		return 0;
	return (size_t)snprintf(out, DOOR_SAY_MAX,
				"GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: shunt-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n", name);
}

/* A login that fails (HandshakeResponse41, without password): to MySQL that is a visitor who is refused, while one who goes without a word
 * counts against max_connect_errors, after which the whole address is blocked. */
static size_t mysql_login(char *out)
{
	static const unsigned char head[] = {0, 0, 0, 1, 0x01, 0x82, 0x08, 0, 0, 0, 0, 1, 33};
	static const char user[] = "shunt-probe", plugin[] = "mysql_native_password";
	char *at = out + sizeof head;

	memcpy(out, head, sizeof head);
	memset(at, 0, 23);
	at += 23;
	memcpy(at, user, sizeof user);
	at += sizeof user;
	*at++ = 0; /* so many bytes of a password */
	memcpy(at, plugin, sizeof plugin);
	at += sizeof plugin;
	out[0] = (char)(at - out - 4);
	return (size_t)(at - out);
}

size_t door_leaving(enum door d, char out[DOOR_SAY_MAX])
{
	switch (d) {
	case DOOR_SMTP:
	case DOOR_FTP:
	case DOOR_POP3:
		return bytes_out(out, "QUIT\r\n", 6);
	case DOOR_IMAP:
		return bytes_out(out, "a LOGOUT\r\n", 10);
	case DOOR_SIEVE:
		return bytes_out(out, "LOGOUT\r\n", 8);
	case DOOR_MYSQL:
		return mysql_login(out);
	case DOOR_NONE:
	case DOOR_HTTP:
	case DOOR_SSH:
	case DOOR_POSTGRESQL:
	case DOOR_AMQP:
		break;
	}
	return 0;
}

/* ---- what one is told ---- */

static int judge_http(const char *bytes, size_t len, size_t cap, bool end, char said[PROBE_SAID_MAX])
{
	struct http_head h;
	size_t at = 0;

	*said = '\0';
	do { /* 1xx come before the answer */
		enum parse p = http_parse_response(&h, bytes + at, len - at, cap, METHOD_GET);

		if (p == PARSE_BAD) {
			snprintf(said, PROBE_SAID_MAX, "no HTTP answer that can be forwarded: %s", h.bad_reason);
			return -1;
		}
		if (p == PARSE_MORE && end) {
			snprintf(said, PROBE_SAID_MAX, len ? "the answer ended within its head" : "closed without an answer");
			return -1;
		}
		if (p == PARSE_MORE)
			return 0;
		at += h.head_len;
	} while (h.status < 200 && h.status != 101);
	snprintf(said, PROBE_SAID_MAX, "%u", h.status);
	if (h.status >= 500 || h.status == 421)
		return -1;
	if (h.framing == BODY_LENGTH && len - at < h.length && end) {
		snprintf(said, PROBE_SAID_MAX, "%u, but the answer was cut", h.status);
		return -1;
	}
	return h.framing == BODY_NONE || end || len >= cap || (h.framing == BODY_LENGTH && len - at >= h.length);
}

/* Of foreign bytes, what people can read. */
static void quote(char *said, const char *bytes, size_t len)
{
	size_t n = 0;

	while (n < len && n < PROBE_SAID_MAX - 1 && bytes[n] >= ' ' && bytes[n] <= '~')
		n++;
	memcpy(said, bytes, n);
	said[n] = '\0';
}

static bool begins(const char *line, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(line, with, n) == 0;
}

static bool is_greeting(enum door d, const char *line, size_t len)
{
	switch (d) {
	case DOOR_SMTP:
	case DOOR_FTP:
		return begins(line, len, "220 ") || begins(line, len, "220-") || (len == 3 && begins(line, len, "220"));
	case DOOR_POP3:
		return begins(line, len, "+OK");
	case DOOR_IMAP:
		return begins(line, len, "* OK") || begins(line, len, "* PREAUTH");
	case DOOR_SIEVE:
		return begins(line, len, "\"") || begins(line, len, "OK");
	case DOOR_SSH:
		return begins(line, len, "SSH-2.0-") || begins(line, len, "SSH-1.99-");
	case DOOR_NONE:
	case DOOR_HTTP:
	case DOOR_MYSQL:
	case DOOR_POSTGRESQL:
	case DOOR_AMQP:
		break;
	}
	return false;
}

/* The first line; before SSH's there may be others (RFC 4253 4.2). */
static int judge_lines(enum door d, const char *bytes, size_t len, size_t cap, bool end, char said[PROBE_SAID_MAX])
{
	const char *line = bytes, *lf;

	while ((lf = memchr(line, '\n', len - (size_t)(line - bytes)))) {
		size_t n = (size_t)(lf - line) - (lf > line && lf[-1] == '\r');

		quote(said, line, n);
		if (is_greeting(d, line, n))
			return 1;
		if (d != DOOR_SSH)
			return -1;
		line = lf + 1;
	}
	if (!end && len < cap)
		return 0;
	snprintf(said, PROBE_SAID_MAX, len ? "no greeting of %s" : "closed without a greeting of %s", door_name(d));
	return -1;
}

/* A packet: its length in three bytes, a number, then 10 and the version's text; or 255, an error's number, and its text. */
static int judge_mysql(const unsigned char *b, size_t len, bool end, char said[PROBE_SAID_MAX])
{
	size_t n = len >= 4 ? b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 : 0;

	if (len > 4 && (b[4] == 10 || b[4] == 9) && memchr(b + 5, 0, len - 5)) {
		quote(said, (const char *)b + 5, len - 5);
		return 1;
	}
	if (len > 7 && b[4] == 255 && len - 4 >= n) {
		char text[PROBE_SAID_MAX];

		quote(text, (const char *)b + 7, len - 7);
		snprintf(said, PROBE_SAID_MAX, "error %u: %.150s", b[5] | (unsigned)b[6] << 8, text);
		return -1;
	}
	if (!end && len < 2048 && (len <= 4 || b[4] == 10 || b[4] == 9 || b[4] == 255))
		return 0;
	snprintf(said, PROBE_SAID_MAX, len ? "no greeting of mysql" : "closed without a greeting of mysql");
	return -1;
}

static int judge_first_byte(enum door d, const char *b, size_t len, char said[PROBE_SAID_MAX])
{
	if (len == 0) {
		snprintf(said, PROBE_SAID_MAX, "closed without an answer");
		return -1;
	}
	if (d == DOOR_POSTGRESQL && (*b == 'S' || *b == 'N')) {
		snprintf(said, PROBE_SAID_MAX, "answers, %s TLS", *b == 'S' ? "with" : "without");
		return 1;
	}
	if (d == DOOR_AMQP && (*b == 1 || *b == 'A')) {
		snprintf(said, PROBE_SAID_MAX, "%s", *b == 1 ? "answers" : "answers, in another version");
		return 1;
	}
	snprintf(said, PROBE_SAID_MAX, "no answer of %s", door_name(d));
	return -1;
}

int door_judge(enum door d, const char *bytes, size_t len, size_t cap, bool end, char said[PROBE_SAID_MAX])
{
	*said = '\0';
	if (d == DOOR_HTTP)
		return judge_http(bytes, len, cap, end, said);
	if (d == DOOR_MYSQL)
		return judge_mysql((const unsigned char *)bytes, len, end, said);
	if (d == DOOR_POSTGRESQL || d == DOOR_AMQP)
		return len == 0 && !end ? 0 : judge_first_byte(d, bytes, len, said);
	return judge_lines(d, bytes, len, cap, end, said);
}
