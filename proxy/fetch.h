#pragma once
/* fetch - what a side answers a visitor of a domain: asked as probe.h asks, at the place where that visitor would be led, and told by facts
 * that can be compared with the other side's: status, Location, type, title, size, an outline of the page (outline.h), the certificate.
 * Only GET is ever asked, with a User-Agent of ours, and the answer's body is decoded and forgotten. Of an answer FETCH_MAX bytes are read.
 * Which place: the account's first one (probe_places()) of the protocol, in order of the listeners; the same for both sides.
 * A TLS server that chooses HTTP/2 is asked again on a second connection, in HTTP/1.1.
 * A set is what is asked at once of one account and side: at most FETCHES_MAX, FETCH_AT_ONCE at a time, FETCH_MS each; of all sets together
 * there are FETCH_SETS at most, so that memory, descriptors and the time of the main thread are bounded.
 * A back end that has answered nobody for a while is not waited for by each (quiet.h).
 * Ownership: the set is the proxy's (p->rounds, round.h) until its callback has run. Threads: the main one. */
#include "lib/acctdef.h"
#include "lib/conf.h"
#include "proxy/chunk.h"
#include "proxy/outline.h"
#include "proxy/probe_tls.h"

#define FETCH_MS      5000
#define FETCH_AT_ONCE 4
#define FETCH_SETS    32
#define FETCHES_MAX   64
#define FETCH_MAX     ((size_t)256 * 1024) /* of an answer, its head included */
#define FETCH_PATH    256                  /* with its NUL */

struct account;
struct fetch_set;
struct proxy;

struct fetch_wish {
	char domain[DOMAIN_MAX + 1];
	char path[FETCH_PATH]; /* begins with '/'; printable ASCII without blanks */
	bool tls;
};

struct fetch_facts {
	bool ok;                   /* there is an answer */
	char said[PROBE_SAID_MAX]; /* where there is none: why; with `at` AF_UNSPEC: there is nowhere to ask */
	const char *listener;      /* borrowed until the callback returns; NULL: no listener serves it */
	struct addr came_to, at;
	unsigned ms, status;
	char location[500], type[100]; /* "" where there is none */
	bool encoded;                  /* its body is, and nothing is known of that */
	bool whole;                    /* else it is longer than what was read */
	uint64_t size;                 /* of the body as far as it was read; decoded from chunks */
	struct outline outline;
	bool shook, h2; /* of TLS: the handshake was complete; the server chooses HTTP/2 where it is offered */
	char version[16];
	bool has_cert;
	struct probe_cert cert;
};

/* facts NULL: it was ended. */
typedef void fetch_done_fn(void *arg, const struct fetch_wish *wishes, const struct fetch_facts *facts, size_t n);
/* wishes are copied. done runs once, maybe before it returns. -ENOMEM; -EBUSY: too many sets: it never runs. */
int fetch_start(struct proxy *p, struct account *a, enum side side, const struct fetch_wish *wishes, size_t n, fetch_done_fn *done,
		void *arg);

/* An answer as it comes; pure. buf has FETCH_MAX bytes and is the caller's; zeroed else. */
struct fetch_answer {
	char *buf;
	size_t len;  /* the head's bytes and, decoded, the body's */
	size_t came; /* as they came, with the frames of chunks: of those, too, no more than FETCH_MAX are read */
	bool headed, chunked, until_close;
	size_t head;
	uint64_t length; /* of the body, where it was announced */
	struct chunk chunk;
};
/* n more bytes are at buf + len (n <= FETCH_MAX - len). end: no more will come. 1: it is complete, or as much of it as is read, and the
 * facts of status, fields and body are filled in; 0: not yet; -1: it is no answer, and f->said tells why. */
int fetch_feed(struct fetch_answer *a, size_t n, bool end, struct fetch_facts *f);
