#pragma once
/* wire - DNS messages: the files wire*.c are the only ones that know ldns.
 * What comes in is checked whole: a message that is cut, has a compression loop, or RDATA that is not what its type says, is -EBADMSG
 * with what was found. Names in RDATA come out uncompressed. Ownership: as rr.h. */
#include "dnsupdate/rr.h"

enum rcode { /* RFC 1035 4.1.1, RFC 2136 2.2 */
	     RCODE_NOERROR,
	     RCODE_FORMERR,
	     RCODE_SERVFAIL,
	     RCODE_NXDOMAIN,
	     RCODE_NOTIMP,
	     RCODE_REFUSED,
	     RCODE_YXDOMAIN,
	     RCODE_YXRRSET,
	     RCODE_NXRRSET,
	     RCODE_NOTAUTH,
	     RCODE_NOTZONE
};
const char *rcode_text(unsigned rcode); /* "NXRRSET"; "RCODE17" for what has no name; static until the next such call */

struct rr_list {
	struct rr *rrs;
	size_t n;
};
struct answer {
	uint16_t id;
	unsigned opcode, rcode;
	bool qr, aa, tc, ra;
	char *qname; /* NULL: the message had no question */
	uint16_t qtype;
	struct rr_list answer, authority, additional; /* OPT and TSIG are left out */
};
int wire_parse(struct answer *out, const uint8_t *bytes, size_t len, struct err *err); /* -EBADMSG, -ENOMEM */
void answer_done(struct answer *a);
/* Its RRset of that name and type, copied; of no values where there is none. */
int answer_rrset(const struct answer *a, const char *owner, uint16_t type, struct rrset *out);

/* RDATA in presentation form ("192.0.2.10", "\"v=spf1 -all\""), in what is not the type's own form as \# (RFC 3597 5). Returned new; NULL:
 * no memory. */
char *wire_rdata_text(uint16_t type, const uint8_t *bytes, size_t len);
/* The way back; *bytes is returned new. -EINVAL. */
int wire_rdata_parse(uint16_t type, const char *text, uint8_t **bytes, size_t *len, struct err *err);
/* For names in RDATA of NS, CNAME, PTR, DNAME, MX, SRV: the target, absolute, returned new; NULL for other types. */
char *wire_rdata_target(uint16_t type, const uint8_t *bytes, size_t len);
