#pragma once
/* worker - one thread that accepts, routes and relays. A connection stays with its worker for life.
 * What workers share is immutable (table, settings), atomic (the gate of an account, the count of the parked) or locked for nanoseconds
 * (sources). The main thread changes what a worker uses only by messages (proxy_ask()), so no path of traffic takes a lock for it. Threads:
 * all of this is the worker's own; worker_new(), _start() and _free() are the main thread's. */
#include "lib/conf.h"
#include "lib/loop.h"
#include "proxy/access.h"
#include "proxy/dial.h"
#include "proxy/meter.h"
#include "proxy/pipes.h"
#include "proxy/source.h"
#include "proxy/table.h"

#include <pthread.h>

struct proxy;
struct listener;
struct stragglers;
struct stream;
struct upstream;
struct visit;

/* Something that used up its share of a turn and goes on in the next one. Embedded; zeroed is "not queued". */
struct again {
	struct again *next, **link;
	void (*fn)(struct again *self);
};

/* What went to one side, since the start. */
struct side_stats {
	uint64_t requests, bytes_up, bytes_down, errors;
};

/* Objects of one size, carved from slabs of 64 that go back to the system at the end only. */
struct slabs {
	void *free, *all;
};

struct worker {
	struct proxy *proxy;
	unsigned index;
	pthread_t thread;
	struct loop *loop;
	const struct table *table;     /* borrowed; replaced by message */
	const struct conf_proxy *conf; /* likewise: the limits and times in force */
	bool refuse_all;               /* the table on disk was damaged and nobody has said yet who is where */
	bool draining;                 /* SIGTERM: kept connections end after their current request */
	struct pipes *pipes;
	struct access *access;
	struct sources *sources; /* shared */
	struct account *nobody;  /* for names of no account; never held; its side follows `unknown` */
	struct again *again, **again_tail;
	struct event again_ev, second_ev, accept_ev; /* accept_ev: try to accept again after running out of something */
	struct event beat_ev;                        /* the sign of life */
	struct dialer dialer;
	bool starved; /* accepting is paused */
	bool running;
	unsigned n_conns;
	struct conn_link *conns; /* every stream and visit, for shutdown */
	uint64_t starved_at, warned_at, warnings_left_out, refused_sources;
	struct slabs streams, visits, upstreams;
	struct upstream *pooled;    /* between requests, whichever account's */
	struct side_stats stats[2]; /* by side */
	struct meter meter;
	struct busy_list *busy;        /* NULL: nobody looks (busy.h) */
	struct stragglers *stragglers; /* what of moved accounts still comes here, by name */
	struct listener **listening;
	size_t n_listening;
	uint64_t next_id;
	char in[64 * 1024];   /* what was just read; valid within one callback */
	char out[160 * 1024]; /* what is about to be sent: a head, then framed body bytes of one `in` */
};

/* First member of what a worker keeps in its list of connections. */
struct conn_link {
	struct conn_link *next, **link;
	void (*shutdown)(struct conn_link *self, bool now); /* SIGTERM: now = false ends what is idle, true resets all */
};
void worker_add_conn(struct worker *w, struct conn_link *c);
void worker_remove_conn(struct worker *w, struct conn_link *c);

int worker_new(struct worker **out, struct proxy *p, unsigned index, struct err *err);
int worker_start(struct worker *w, struct err *err); /* its thread */
void worker_free(struct worker *w);                  /* ends the thread, resets what is still open; NULL is fine */
struct worker *worker_current(void);                 /* this thread's */
void worker_again(struct worker *w, struct again *a, void (*fn)(struct again *)); /* once, next turn; queued already is fine */
void worker_again_cancel(struct worker *w, struct again *a);
void worker_watch(struct worker *w);                        /* accepts from now on; not while starved */
void worker_starved(struct worker *w, const char *of_what); /* out of descriptors or memory: accept nothing for 100 ms; said once */

/* log_warn(), but at most one a second and worker: a back end that is away would fill the disk. */
void worker_warn(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void *slab_take(struct slabs *s, size_t size); /* zeroed; NULL: no memory */
void slab_give(struct slabs *s, void *object);
void slabs_done(struct slabs *s);
