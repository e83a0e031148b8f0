#pragma once
/* visitor - what a connection of a visitor is, whatever is spoken on it: its socket, where it came from and wanted to go, what it said
 * before anybody could hear it, its flow, its one deadline. Embedded first in stream and visit. Ownership: owns all of it, and a reference
 * to its listener. Threads: its worker's. Units: ms on the loop's clock, cut to 32 bits. */
#include "lib/slice.h"
#include "proxy/end.h"
#include "proxy/flow.h"
#include "proxy/route.h"
#include "proxy/worker.h"

struct listener;

/* Bytes kept for later, exactly as many as there are. */
struct kept {
	size_t len;
	char bytes[];
};
int kept_set(struct kept **k, const void *bytes, size_t len); /* replaces (bytes may lie in the old one); len 0: NULL; -ENOMEM */

/* What a trusted peer's PROXY header said. */
struct via {
	struct addr src, dst;
};

struct visitor {
	struct conn_link link;
	struct flow flow;
	struct end client;
	struct listener *listener;
	struct kept *kept;
	struct via *via; /* NULL: the connection's own addresses hold */
	uint64_t id;     /* in every log line */
	struct addr source;
	uint32_t started, active; /* active: when bytes moved last */
	uint32_t queued;          /* visitor_still_taken()'s last answer */
	bool unsure;              /* an end may hide a reset: look again when they are quiet */
	union {
		struct again again;
		struct later later; /* once closed */
	};
};

/* Takes fd. on_client's arg is arg. Events come from end_watch() on: what the visitor has said by now is best read before. */
void visitor_open(struct visitor *v, struct worker *w, struct listener *l, int fd, const struct addr *peer, event_callback_fn on_client,
		  void *arg, void (*shutdown)(struct conn_link *, bool));
/* Ends everything the visitor holds; free_fn runs after this turn of the loop. Once. */
void visitor_close(struct visitor *v, bool reset, void (*free_fn)(struct later *));
uint32_t visitor_now(const struct visitor *v);
uint64_t visitor_active(const struct visitor *v); /* `active` as a moment of loop_now() */
const struct addr *visitor_peer(const struct visitor *v);
void visitor_dst(const struct visitor *v, struct addr *out);  /* where the visitor wanted to go */
void visitor_here(const struct visitor *v, struct addr *out); /* our own end of the connection; zeroed where it is gone */
/* The flow is in flight by this route, asked for by this name ("": none), to this address: counts it, and as a straggler (straggler.h) what
 * of a moved account still comes here. */
void visitor_count(struct visitor *v, const struct route *r, const char *name, size_t len, const struct addr *dst);

/* Gathers what was kept and what can be read now in worker->in. > 0: so many bytes; 0: nothing new; -ENODATA: the visitor has ended; other
 * -errno: broken. What was kept stays kept until kept_set(). */
long visitor_gather(struct visitor *v);
/* Looks for a PROXY header in the n gathered bytes. PARSE_OK: *skip bytes are it. */
enum parse visitor_proxy_header(struct visitor *v, size_t n, size_t *skip, const char **why);
/* While waiting and not reading: has the visitor left? fin: a FIN counts as leaving. */
bool visitor_left(const struct visitor *v, bool fin);
/* Have bytes moved at either end since it was asked last? Then `active` is now, and the visitor is due for a look when it has gone quiet.
 */
bool visitor_moved(struct visitor *v, struct end *other);
/* A slow reader empties the kernel's buffer long before we hear of it. Has what waits there changed since it was asked last? Then `active`
 * is now. */
bool visitor_still_taken(struct visitor *v, const struct end *other);
/* end_look_again() at both ends, of which either may have something; and from now on vanished peers are noticed. */
bool visitor_look_again(struct visitor *v, struct end *other);
#define LOOK_AGAIN_MS 500 /* see end_look_again() */
#define PP_TIMEOUT_MS 3000
#define FRESH_MS      1000 /* after SIGTERM: how long a new connection may take to say what it wants */
