#pragma once
/* dns_server - answers as a name server would sign them, written without the code under test: HMAC over bytes that are laid out here once
 * more (RFC 8945 4.3); and a server on the loopback, in the test's own event loop, that answers as the test says. */
#include "dnsupdate/key.h"

#include "lib/addr.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_KEY_NAME "redir."
struct tsig_key *dns_key(uint8_t fill); /* hmac-sha256, a secret of 32 equal bytes; tsig_key_free() */

struct dns_reply {
	uint8_t bytes[65535];
	size_t len;
};
/* The question of query again, with these flags (without QR) and rcode. */
void dns_reply(struct dns_reply *r, const uint8_t *query, size_t len, unsigned flags, unsigned rcode);
/* section: 1 answer, 2 authority. The owner is a pointer to the question's name where owner is NULL. */
void dns_record(struct dns_reply *r, int section, const char *owner, unsigned type, unsigned class, uint32_t ttl, const void *rdata,
		size_t len);

struct dns_signer {
	uint8_t mac[32]; /* the one before: first that of the query */
	bool timers;     /* RFC 8945 4.3.3.1: later messages of a transfer */
	int64_t shift;   /* of the server's clock, in seconds */
	unsigned fudge, error;
	const char *name; /* of the key, where it is not the right one */
	size_t mac_len;   /* of which so many bytes are sent; 0: all */
	const struct tsig_key *key;
	uint8_t unsigned_bytes[65535 * 4]; /* said since that MAC without signature */
	size_t unsigned_len;
};
/* Takes the MAC of a query that is signed with hmac-sha256 at its end. */
void dns_signer_init(struct dns_signer *s, const struct tsig_key *key, const uint8_t *query, size_t len);
void dns_sign(struct dns_signer *s, struct dns_reply *r);
void dns_skip(struct dns_signer *s, const struct dns_reply *r);            /* sent unsigned */
void dns_error(struct dns_signer *s, struct dns_reply *r, unsigned error); /* a TSIG record without MAC */

/* ---- the server ---- */

struct dns_server;
struct dns_peer; /* one connection */
/* query is one message; to be answered now, later or never. */
typedef void dns_query_fn(void *arg, struct dns_peer *peer, const uint8_t *query, size_t len);
struct dns_server *dns_server_new(struct event_base *base, dns_query_fn *fn, void *arg);
const struct addr *dns_server_addr(const struct dns_server *s);
int dns_server_accepted(const struct dns_server *s); /* connections so far */
void dns_server_free(struct dns_server *s);
void dns_send(struct dns_peer *p, const void *bytes, size_t len);
void dns_hang_up(struct dns_peer *p);
