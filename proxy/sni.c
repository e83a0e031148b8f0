/* A cursor over the handshake bytes that hides where records begin. It runs from the start at every call: what is skipped costs nothing,
 * so even a hello that comes byte by byte is cheap. */
#include "proxy/sni.h"

#include "proxy/name.h"

#define RECORD_MAX     16384 /* RFC 8446 5.1 */
#define SESSION_ID_MAX 32

enum { HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_NAME = 0, HOST_NAME = 0 };

struct cursor {
	const uint8_t *p, *end;
	size_t record; /* bytes left of this record */
	size_t hello;  /* of the hello, once its length is known */
	unsigned records;
	enum parse rc;   /* why a read failed: MORE or BAD */
	const char *bad; /* static text */
};

static bool fail(struct cursor *c, const char *reason)
{
	c->rc = PARSE_BAD;
	c->bad = reason;
	return false;
}

/* Checks what is there of a record's header, so that what is no TLS ends at its first byte. */
static bool next_record(struct cursor *c)
{
	size_t have = (size_t)(c->end - c->p);

	if (c->records == SNI_RECORDS_MAX)
		return fail(c, "too many TLS records");
	if (have > 0 && c->p[0] != HANDSHAKE)
		return fail(c, "no TLS handshake record");
	if (have > 1 && c->p[1] != 3)
		return fail(c, "no TLS record version");
	if (have < 5) {
		c->rc = PARSE_MORE;
		return false;
	}
	c->record = (size_t)c->p[3] << 8 | c->p[4];
	if (c->record == 0 || c->record > RECORD_MAX)
		return fail(c, "bad TLS record length");
	c->p += 5;
	c->records++;
	return true;
}

/* Takes len bytes of the handshake stream; out may be NULL. */
static bool take(struct cursor *c, uint8_t *out, size_t len)
{
	if (len > c->hello)
		return fail(c, "ClientHello shorter than its parts");
	c->hello -= len;
	while (len > 0) {
		size_t n = len;

		if (c->record == 0 && !next_record(c))
			return false;
		if (n > c->record)
			n = c->record;
		if (n > (size_t)(c->end - c->p))
			n = (size_t)(c->end - c->p);
		if (n == 0) {
			c->rc = PARSE_MORE;
			return false;
		}
		if (out != NULL) {
			memcpy(out, c->p, n);
			out += n;
		}
		c->p += n;
		c->record -= n;
		len -= n;
	}
	return true;
}

static bool take_number(struct cursor *c, size_t bytes, size_t *value)
{
	uint8_t b[3];

	if (!take(c, b, bytes))
		return false;
	*value = 0;
	for (size_t i = 0; i < bytes; i++)
		*value = *value << 8 | b[i];
	return true;
}

/* RFC 6066 3: one list of one host_name. Other name types were never defined, so nobody can say what they would mean. */
static bool server_name(struct cursor *c, struct sni *s, size_t len)
{
	uint8_t name[SNI_NAME_MAX];
	size_t list, type, name_len;

	if (len < 5)
		return fail(c, "empty server name");
	if (!take_number(c, 2, &list))
		return false;
	if (list != len - 2)
		return fail(c, "bad server name list");
	if (!take_number(c, 1, &type) || !take_number(c, 2, &name_len))
		return false;
	if (type != HOST_NAME)
		return fail(c, "server name of an unknown type");
	if (name_len != list - 3)
		return fail(c, name_len < list - 3 ? "several server names" : "bad server name list");
	if (name_len > sizeof(name))
		return fail(c, "server name too long");
	if (!take(c, name, name_len))
		return false;
	s->name_len = name_canon(s->name, (const char *)name, name_len);
	return s->name_len > 0 ? true : fail(c, "bad server name");
}

static bool extensions(struct cursor *c, struct sni *s)
{
	size_t left, type, len;
	bool seen = false;

	if (!take_number(c, 2, &left))
		return false;
	if (left != c->hello)
		return fail(c, "bad length of the extensions");
	while (c->hello > 0) {
		if (!take_number(c, 2, &type) || !take_number(c, 2, &len))
			return false;
		if (len > c->hello)
			return fail(c, "extension longer than the hello");
		if (type == SERVER_NAME) {
			if (seen)
				return fail(c, "two server name extensions");
			seen = true;
			if (!server_name(c, s, len))
				return false;
		} else if (!take(c, NULL, len)) {
			return false;
		}
	}
	return true;
}

/* RFC 8446 4.1.2, and the same in every version since SSL 3.0. */
static bool client_hello(struct cursor *c, struct sni *s, size_t hello_max)
{
	size_t n;

	c->hello = 4;
	if (!take_number(c, 1, &n))
		return false;
	if (n != CLIENT_HELLO)
		return fail(c, "no ClientHello");
	if (!take_number(c, 3, &n))
		return false;
	if (n > hello_max)
		return fail(c, "ClientHello too long");
	c->hello = n;
	if (!take_number(c, 1, &n))
		return false;
	if (n != 3)
		return fail(c, "no TLS version");
	if (!take(c, NULL, 1 + 32) || !take_number(c, 1, &n)) /* minor version, random; session id */
		return false;
	if (n > SESSION_ID_MAX)
		return fail(c, "session id too long");
	if (!take(c, NULL, n) || !take_number(c, 2, &n)) /* cipher suites */
		return false;
	if (n == 0 || n % 2 != 0)
		return fail(c, "bad cipher suites");
	if (!take(c, NULL, n) || !take_number(c, 1, &n)) /* compression methods */
		return false;
	if (n == 0)
		return fail(c, "no compression methods");
	if (!take(c, NULL, n))
		return false;
	return c->hello == 0 || extensions(c, s);
}

enum parse sni_parse(struct sni *s, const uint8_t *buf, size_t len, size_t hello_max)
{
	struct cursor c = {.p = buf, .end = buf + (len < hello_max ? len : hello_max), .rc = PARSE_OK};

	s->name[0] = '\0';
	s->name_len = 0;
	s->bad_reason = NULL;
	if (client_hello(&c, s, hello_max))
		return PARSE_OK;
	if (c.rc == PARSE_MORE && len >= hello_max)
		fail(&c, "ClientHello too long");
	s->name[0] = '\0'; /* a name is an answer only with the whole hello */
	s->name_len = 0;
	s->bad_reason = c.bad;
	return c.rc;
}
