#pragma once
/* spf - SPF records (RFC 7208) that name the server by its address: ip4: and ip6: mechanisms of just that address.
 * While an account moves, mail may leave either server: the partner's mechanism is put right behind the server's, with the same qualifier.
 * On the way home the transit server's goes, where the client's is there; else it becomes the client's.
 * The strings of a TXT record (RFC 1035 3.3.14) count as one text (RFC 7208 3.3); their borders stay where they are as far as
 * strings of 255 bytes allow. Wider prefixes say something about a network: they are left alone, and told of. */
#include "dnsupdate/rr.h"

#include "lib/addr.h"

#define SPF_LONG 450 /* bytes: longer ones may not fit into an answer of 512 bytes, over UDP without EDNS (RFC 7208 3.4) */

/* An address and its partner, in the direction in which records are rewritten. */
struct swap {
	struct addr from, to;
	bool has_to; /* false: from has no partner */
};

enum spf {
	SPF_NONE,  /* no SPF record, or one that names none of the addresses (nor their partners) */
	SPF_SAME,  /* nothing to do: it names partners already */
	SPF_OTHER, /* *out is the new record, owned by the caller */
	SPF_WIDE   /* a prefix holds an address, and neither it nor a mechanism the partner's: left alone */
};
/* home: the way back, see above. wide: the prefix of SPF_WIDE, and one that a record which changes has besides (not on the way home); ""
 * else. -ENOMEM, -EMSGSIZE: the record would be longer than any can be. */
int spf_rewrite(const struct rdata *record, const struct swap *swaps, size_t n, bool home, struct rdata *out, char wide[64]);
bool spf_is(const struct rdata *record);
size_t spf_length(const struct rdata *record); /* of its text, in bytes */
