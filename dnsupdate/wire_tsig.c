#include "dnsupdate/tsig.h"

#include "dnsupdate/wire_parts.h"

#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLASS_ANY 255
#define MAC_MAX   EVP_MAX_MD_SIZE
#define OPEN_MAX  99 /* RFC 8945 5.3.1 */

enum { ERROR_BADSIG = 16, ERROR_BADKEY = 17, ERROR_BADTIME = 18 }; /* RFC 8945 3 */

int64_t tsig_now(void)
{
	int64_t shift = 0;
#ifdef SHUNT_TEST_KILL
	const char *text = getenv("SHUNT_TEST_CLOCK");

	shift = text ? strtoll(text, NULL, 10) : 0;
#endif
	return (int64_t)time(NULL) + shift;
}

/* ---- names as they are digested: without case (RFC 8945 4.3.3) ---- */

static int canonical(struct wire_name *out, const char *text)
{
	int rc = wire_name_parse(out, text);

	for (size_t i = 0; rc == 0 && i < out->len; i++) /* a length is at most 63 and so never a capital letter */
		if (out->bytes[i] >= 'A' && out->bytes[i] <= 'Z')
			out->bytes[i] = (uint8_t)(out->bytes[i] - 'A' + 'a');
	return rc;
}

static bool same_name(const struct wire_name *a, const char *text)
{
	char *own = wire_name_text(a);
	bool same = own && name_same(own, text);

	free(own);
	return same;
}

/* ---- the record ---- */

struct record {
	struct wire_name name, algorithm;
	int64_t time;
	uint16_t fudge, id, error;
	const uint8_t *mac, *other;
	size_t mac_len, other_len;
};

static int64_t get48(const uint8_t *p)
{
	return (int64_t)get16(p) << 32 | get32(p + 2);
}

static void put48(uint8_t *p, int64_t v)
{
	put16(p, (unsigned)(v >> 32) & 0xffff);
	put32(p + 2, (uint32_t)v);
}

static bool read_record(struct record *r, const uint8_t *m, size_t len, size_t at)
{
	*r = (struct record){0};
	if (wire_name_read(&r->name, m, len, &at) || len - at < 10 || get16(m + at + 8) != len - at - 10)
		return false;
	at += 10;
	if (wire_name_read(&r->algorithm, m, len, &at) || len - at < 10)
		return false;
	r->time = get48(m + at);
	r->fudge = get16(m + at + 6);
	r->mac_len = get16(m + at + 8);
	at += 10;
	if (len - at < r->mac_len + 6)
		return false;
	r->mac = m + at;
	at += r->mac_len;
	r->id = get16(m + at);
	r->error = get16(m + at + 2);
	r->other_len = get16(m + at + 4);
	r->other = m + at + 6;
	return len - at - 6 == r->other_len;
}

/* ---- digests ---- */

static EVP_MAC_CTX *digest_new(const struct tsig_key *key)
{
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *c = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	char digest[16]; /* the parameter takes no constant, and its length at once */
	OSSL_PARAM params[2];

	snprintf(digest, sizeof digest, "%s", key->digest);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	EVP_MAC_free(hmac);
	if (c && EVP_MAC_init(c, key->secret, key->secret_len, params) == 1)
		return c;
	EVP_MAC_CTX_free(c);
	return NULL;
}

static bool digest_variables(EVP_MAC_CTX *c, const struct tsig_key *key, const struct record *r)
{
	struct wire_name name, algorithm;
	uint8_t class_ttl[6] = {0, CLASS_ANY}, timers[8], tail[4];

	if (canonical(&name, key->name) < 0 || canonical(&algorithm, key->algorithm) < 0)
		return false;
	put48(timers, r->time);
	put16(timers + 6, r->fudge);
	put16(tail, r->error);
	put16(tail + 2, (unsigned)r->other_len);
	return EVP_MAC_update(c, name.bytes, name.len) && EVP_MAC_update(c, class_ttl, sizeof class_ttl) &&
	       EVP_MAC_update(c, algorithm.bytes, algorithm.len) && EVP_MAC_update(c, timers, sizeof timers) &&
	       EVP_MAC_update(c, tail, sizeof tail) && (r->other_len == 0 || EVP_MAC_update(c, r->other, r->other_len));
}

/* The digest of what follows starts with the MAC it follows (RFC 8945 4.3.1). */
static bool follow(struct tsig_talk *t, const uint8_t *mac, size_t len)
{
	EVP_MAC_CTX *next = digest_new(t->key);
	uint8_t size[2];

	put16(size, (unsigned)len);
	if (!next || !EVP_MAC_update(next, size, 2) || !EVP_MAC_update(next, mac, len)) {
		EVP_MAC_CTX_free(next);
		return false;
	}
	EVP_MAC_CTX_free(t->digest);
	t->digest = next;
	t->open = 0;
	return true;
}

/* ---- signing ---- */

static bool make_mac(const struct tsig_key *key, const struct message *m, const struct record *r, uint8_t *mac)
{
	EVP_MAC_CTX *c = digest_new(key);
	size_t len = 0;
	bool good = c && EVP_MAC_update(c, m->bytes, m->len) && digest_variables(c, key, r) && EVP_MAC_final(c, mac, &len, MAC_MAX) &&
		    len == key->mac_len;

	EVP_MAC_CTX_free(c);
	return good;
}

static size_t write_record(uint8_t *p, const struct wire_name *name, const struct wire_name *algorithm, const struct record *r)
{
	uint8_t *start = p;

	memcpy(p, name->bytes, name->len);
	p += name->len;
	put16(p, RR_TSIG);
	put16(p + 2, CLASS_ANY);
	put32(p + 4, 0);
	put16(p + 8, (unsigned)(algorithm->len + 10 + r->mac_len + 6));
	p += 10;
	memcpy(p, algorithm->bytes, algorithm->len);
	p += algorithm->len;
	put48(p, r->time);
	put16(p + 6, r->fudge);
	put16(p + 8, (unsigned)r->mac_len);
	memcpy(p + 10, r->mac, r->mac_len);
	p += 10 + r->mac_len;
	put16(p, r->id);
	put16(p + 2, 0);
	put16(p + 4, 0);
	return (size_t)(p + 6 - start);
}

int tsig_sign(struct tsig_talk *t, const struct tsig_key *key, struct message *m, struct err *err)
{
	struct record r = {.time = tsig_now(), .fudge = TSIG_FUDGE, .id = m->id, .mac_len = key->mac_len};
	struct wire_name name, algorithm;
	uint8_t mac[MAC_MAX], *grown;

	tsig_talk_done(t);
	t->key = key;
	r.mac = mac;
	if (canonical(&name, key->name) < 0 || canonical(&algorithm, key->algorithm) < 0)
		return err_set(err, -EINVAL, "found key %.300s, expected a name as domains have", key->name);
	if (m->len + name.len + 10 + algorithm.len + 16 + r.mac_len > MESSAGE_MAX)
		return err_set(err, -EMSGSIZE, "found a message of %zu bytes, which leaves no room to sign it", m->len);
	if (!make_mac(key, m, &r, mac) || !follow(t, mac, r.mac_len))
		return err_set(err, -ENOMEM, "OpenSSL makes no HMAC of %s", key->digest);
	grown = realloc(m->bytes, m->len + name.len + 10 + algorithm.len + 16 + r.mac_len);
	if (!grown)
		return err_set(err, -ENOMEM, "out of memory");
	m->bytes = grown;
	m->len += write_record(m->bytes + m->len, &name, &algorithm, &r);
	put16(m->bytes + 10, get16(m->bytes + 10) + 1u);
	return 0;
}

/* ---- judging ---- */

/* The message as it was before its TSIG record was added, and with the id it had then (RFC 8945 4.3.2). */
static bool digest_message(EVP_MAC_CTX *c, const uint8_t *bytes, size_t at, uint16_t id)
{
	uint8_t header[WIRE_HEADER];

	memcpy(header, bytes, sizeof header);
	put16(header, id);
	put16(header + 10, get16(header + 10) - 1u);
	return EVP_MAC_update(c, header, sizeof header) && EVP_MAC_update(c, bytes + WIRE_HEADER, at - WIRE_HEADER);
}

static bool right_mac(struct tsig_talk *t, const struct record *r, const uint8_t *bytes, size_t at)
{
	EVP_MAC_CTX *c = EVP_MAC_CTX_dup(t->digest);
	uint8_t mac[MAC_MAX], timers[8];
	size_t len = 0;
	bool good = c && digest_message(c, bytes, at, r->id);

	put48(timers, r->time);
	put16(timers + 6, r->fudge);
	if (good)
		good = t->answered ? EVP_MAC_update(c, timers, sizeof timers) : digest_variables(c, t->key, r);
	good = good && EVP_MAC_final(c, mac, &len, sizeof mac) && len == r->mac_len && CRYPTO_memcmp(mac, r->mac, len) == 0;
	EVP_MAC_CTX_free(c);
	return good;
}

static enum tsig_verdict check_unsigned(struct tsig_talk *t, const uint8_t *bytes, size_t len)
{
	EVP_MAC_CTX *c;

	if (!t->answered || t->open >= OPEN_MAX)
		return TSIG_UNSIGNED;
	c = EVP_MAC_CTX_dup(t->digest);
	if (!c || !EVP_MAC_update(c, bytes, len)) {
		EVP_MAC_CTX_free(c);
		return TSIG_UNSIGNED;
	}
	EVP_MAC_CTX_free(t->digest);
	t->digest = c;
	t->open++;
	return TSIG_GOOD;
}

enum tsig_verdict tsig_check(struct tsig_talk *t, const uint8_t *bytes, size_t len, size_t at)
{
	struct record r;
	int64_t now = tsig_now();

	if (at == 0)
		return check_unsigned(t, bytes, len);
	if (!read_record(&r, bytes, len, at))
		return TSIG_BADMAC;
	if (r.mac_len == 0 && r.error == ERROR_BADKEY)
		return TSIG_BADKEY;
	if (r.mac_len == 0 && r.error == ERROR_BADSIG)
		return TSIG_BADSIG;
	if (!same_name(&r.name, t->key->name) || !same_name(&r.algorithm, t->key->algorithm) || !right_mac(t, &r, bytes, at))
		return TSIG_BADMAC;
	if (r.error == ERROR_BADTIME) { /* it carries our time, and the server's as other data (RFC 8945 5.2.3) */
		t->skew = r.other_len == 6 ? get48(r.other) - now : 0;
		return TSIG_BADTIME;
	}
	if (r.error)
		return TSIG_BADSIG;
	if (now - r.time > r.fudge || r.time - now > r.fudge) {
		t->skew = r.time - now;
		return TSIG_LATE;
	}
	if (!follow(t, r.mac, r.mac_len))
		return TSIG_BADMAC;
	t->answered = true;
	return TSIG_GOOD;
}

void tsig_talk_done(struct tsig_talk *t)
{
	EVP_MAC_CTX_free(t->digest);
	*t = (struct tsig_talk){0};
}

int tsig_explain(const struct tsig_talk *t, enum tsig_verdict v, unsigned rcode, struct err *err)
{
	const char *name = t->key ? t->key->name : "", *said = rcode_text(rcode);
	long long skew = t->skew < 0 ? -(long long)t->skew : (long long)t->skew;

	switch (v) {
	case TSIG_GOOD:
		return err_set(err, -EPERM, "found %s", said);
	case TSIG_BADTIME:
		return err_set(err, -EPERM,
			       "found BADTIME: the server's clock is %lld s %s ours, and %d s are allowed; set both clocks by NTP (key %s)",
			       skew, t->skew < 0 ? "behind" : "ahead of", TSIG_FUDGE, name);
	case TSIG_BADKEY:
		return err_set(
			err, -EPERM,
			"found an unauthenticated %s with BADKEY: the server has no key %s of algorithm %s, or does not let it do this "
			"(Knot says so too where an acl does not fit); compare the key's name there with the key file",
			said, name, t->key ? t->key->algorithm : "");
	case TSIG_BADSIG:
		return err_set(
			err, -EPERM,
			"found an unauthenticated %s with BADSIG: the server knows key %s with another secret; copy its secret into the "
			"key file",
			said, name);
	case TSIG_UNSIGNED:
		return err_set(
			err, -EPERM,
			"found an unauthenticated %s: an answer without signature, which anybody could have sent; likely causes: the "
			"server does not know key %s or has another secret for it, its clock differs by more than %d s, it does not "
			"have the zone, or it is not set to let this key do this",
			said, name, TSIG_FUDGE);
	case TSIG_BADMAC:
		return err_set(
			err, -EPERM,
			"found an unauthenticated %s: its signature is not one of key %s; somebody on the way changes or forges answers",
			said, name);
	case TSIG_LATE:
		return err_set(
			err, -EPERM,
			"found an unauthenticated %s: signed by key %s, but %lld s %s our time; an answer sent again, or clocks that "
			"differ (set both by NTP)",
			said, name, skew, t->skew < 0 ? "before" : "after");
	}
	return -EPERM;
}
