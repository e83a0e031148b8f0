#pragma once
/* tsig - signs what is sent and judges what comes back (RFC 8945), for one answer or for the many messages of a transfer.
 * The MACs are made here with OpenSSL instead of by ldns, which looks at the clock itself, does not check the time of an answer, and
 * knows no digest over the unsigned messages of a transfer (RFC 8945 5.3.1).
 * Units: seconds since 1970. Ownership: tsig_talk_done() frees; the key is borrowed. */
#include "dnsupdate/key.h"
#include "dnsupdate/request.h"
#include "dnsupdate/wire.h"

#include <openssl/types.h>
#include <stdbool.h>

#define TSIG_FUDGE 30 /* how long a captured update can be replayed, and by how much clocks may differ */

enum tsig_verdict {
	TSIG_GOOD,     /* the server said it; also of a message of a transfer whose signature is still to come */
	TSIG_BADTIME,  /* it said that our clock is off */
	TSIG_UNSIGNED, /* from here on nobody knows who said it */
	TSIG_BADKEY,
	TSIG_BADSIG,
	TSIG_BADMAC, /* signed by another key, or changed on the way */
	TSIG_LATE    /* the right MAC with a time outside its fudge: a replay, or clocks that differ */
};

struct tsig_talk {
	const struct tsig_key *key;
	EVP_MAC_CTX *digest; /* over what was said since the last MAC, that MAC included */
	bool answered;       /* the first answer was signed: timers alone follow */
	unsigned open;       /* messages since the last signed one, at most 99 */
	int64_t skew;        /* the server's clock minus ours, where an answer told: BADTIME, LATE */
};
/* Appends the TSIG record to m and starts the talk, which may be a fresh one (zeroed) or one of an earlier attempt. */
int tsig_sign(struct tsig_talk *t, const struct tsig_key *key, struct message *m, struct err *err); /* -ENOMEM, -EMSGSIZE */
/* at: where its TSIG record starts, as wire_parse_signed() told, 0: none. What is not GOOD leaves the talk as it was. */
enum tsig_verdict tsig_check(struct tsig_talk *t, const uint8_t *bytes, size_t len, size_t at);
void tsig_talk_done(struct tsig_talk *t);

/* What is to be done about a verdict other than GOOD, and who may be wrong: one sentence in err, -EPERM. */
int tsig_explain(const struct tsig_talk *t, enum tsig_verdict v, unsigned rcode, struct err *err);

int64_t tsig_now(void); /* the clock, shifted by SHUNT_TEST_CLOCK ("+3600") in builds for tests */

/* As wire_parse(), for who checks a signature: *tsig becomes the place of the TSIG record, 0 where there is none. */
int wire_parse_signed(struct answer *out, const uint8_t *bytes, size_t len, size_t *tsig, struct err *err);
