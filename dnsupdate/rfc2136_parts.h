#pragma once
/* rfc2136_parts - one call of the RFC 2136 back end while it is under way; only rfc2136*.c know it.
 * An errand asks one message after the other. Its answers are judged as they come; what they mean is told when the request is over. */
#include "dnsupdate/backend.h"
#include "dnsupdate/tcp.h"
#include "dnsupdate/tsig.h"

struct primary {
	struct tcp *tcp;
	struct tsig_key *key;
};

struct errand {
	struct backend_call *c;
	struct primary *p;
	struct tcp_request *request;
	struct tsig_talk talk;
	char *name;         /* find: the name; read, change: the zone */
	const char *asked;  /* the name that is asked for: into name */
	uint16_t type;      /* of the question: SOA, AXFR; of an update SOA (RFC 2136 2.3) */
	unsigned opcode;    /* 0 query, 5 update */
	struct answer said; /* find, change: the answer that was believed */
	/* What came and was not believed, told at the end (RFC 8945 5.3). */
	bool doubted;
	enum tsig_verdict doubt;
	unsigned doubted_rcode;
	struct err doubted_err; /* set where it was not even an answer: code is not 0 */
	/* read */
	struct zone zone;
	struct rr *soa; /* the first record; the second time it is the last */
	bool complete;
	struct err wrong; /* believed and wrong: code is not 0 */
	/* change */
	const struct change *changes;
	size_t n, done, batch;
};

struct errand *errand_new(struct backend_call *c, const char *name, uint16_t type, unsigned opcode); /* NULL: no memory */
void errand_free(struct errand *j);
int errand_ask(struct errand *j, enum tcp_kind kind, const struct tcp_ops *ops);
int errand_build_query(void *arg, uint16_t id, struct message *out, struct err *err);
/* Parses and judges one message. True: a believed answer to what was asked is in *out; otherwise the doubt is noted and out is empty. */
bool errand_believes(struct errand *j, const uint8_t *bytes, size_t len, struct answer *out);
/* What is to be done about a message that was not believed. BADTIME is signed, and final. After a refusal that is not signed, a signed
 * answer is waited for a second more: a server that does not know the key, or not the zone, has no other. */
enum tcp_judgement errand_doubts(struct errand *j);
/* Why it ended so, with the server's name and what was doubted before. */
void errand_why(const struct errand *j, const struct err *end, struct err *out);

int rfc2136_read(struct backend_call *c, const char *zone);
