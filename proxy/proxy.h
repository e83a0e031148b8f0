#pragma once
/* proxy - the whole of shunt-proxy: the main thread's loop with everything that is slow or shared (configuration, table, disk, names,
 * control socket), and the workers, which carry the traffic.
 * Ownership: main() makes one struct proxy; everything hangs off it. Threads: the main one, but for proxy_parked and what proxy_ask() says.
 */
#include "lib/conf.h"
#include "lib/loop.h"
#include "proxy/access.h"
#include "proxy/quiet.h"
#include "proxy/resolve.h"
#include "proxy/seen.h"
#include "proxy/source.h"
#include "proxy/store.h"
#include "proxy/table.h"

#include <event2/event_struct.h>
#include <signal.h>
#include <stdatomic.h>

struct alive;
struct counts;
struct ctl_server;
struct greet;
struct hold;
struct intercept;
struct listener;
struct probe_tls_shared;
struct prove;
struct round;
struct seenfile;
struct tls;
struct worker;

/* A loaded file, shared by everything made from it: listeners live as long as their last connection. */
struct config {
	atomic_uint refs;
	struct conf *conf;
};
struct config *config_ref(struct config *c);
void config_unref(struct config *c);

enum table_state { TABLE_EMPTY, TABLE_OK, TABLE_DAMAGED };

struct proxy {
	struct loop *loop;
	struct config *config;
	struct worker **workers;
	unsigned n_workers;
	struct listener **listeners;
	size_t n_listeners;
	struct intercept *intercept; /* NULL: off */
	struct alive *alive;
	uint32_t mark; /* of packets to local services, dial.h; 0 without interception */
	struct table *table;
	enum table_state table_state;
	struct store *store;
	struct counts *counts; /* on disk */
	struct seen_room seen_room;
	struct seenfile *seenfile; /* on disk */
	struct resolver *resolver;
	struct sources *sources;
	unsigned budget; /* connections that the descriptor limit, or max-connections, allows */
	struct access_file *access;
	struct account *nobody;
	struct ctl_server *ctl, *ctl_tls;   /* of this host, and of others */
	struct tls *tls;                    /* for the latter */
	struct hold *holds;                 /* accounts that are held, and what their holds have seen (control.c) */
	struct round *rounds;               /* questions to back ends that are not answered yet (round.h) */
	struct probe_tls_shared *probe_tls; /* of their connections; NULL: there was none yet */
	struct quiet quiet;                 /* back ends that do not answer them */
	struct prove *proves;               /* likewise, for whom they see (prove.h) */
	struct greet *greets;               /* likewise, for whether they expect a PROXY header (greet.h) */
	atomic_uint parked;                 /* flows that wait, all workers together */
	atomic_uint conns;                  /* connections of visitors, all workers together */
	struct event sigs[3];               /* TERM, INT, HUP */
	struct event second_ev;             /* every second: what has a deadline in the main thread */
	json_t *notice;                     /* what the controller left for others (control_notice.c); NULL: nothing */
	uint64_t notice_at;
	uint64_t started_ms, term_ms; /* term_ms: when SIGTERM came, 0 before */
	uint64_t reloads;
	int exit_code;
};

int proxy_new(struct proxy **out, struct config *config, struct err *err); /* takes config; listeners are bound, workers run */
int proxy_run(struct proxy *p);                                            /* until SIGTERM has drained; the exit code */
void proxy_free(struct proxy *p);
int proxy_reload(struct proxy *p, struct err *err);     /* reads the file again; all or nothing */
int proxy_check(const struct conf *c, struct err *err); /* that the proxy has something to do; -EINVAL */
/* Takes t: every worker uses it from its next turn on; after the last of them the old one is freed and then(arg) runs (NULL: nothing).
 * p->table_state goes along. -ENOMEM: nothing has changed, t is still the caller's. */
int proxy_use_table(struct proxy *p, struct table *t, void (*then)(void *), void *arg);

/* A question to every worker. in_worker() runs in each of them and leads, there and then or later, to one ask_answered(); when all have
 * answered done() runs in the main thread. Embedded first in what it is about; made by ask_new() because its size depends on the workers.
 */
struct ask {
	struct proxy *proxy;
	atomic_uint left;
	void (*in_worker)(struct worker *w, struct ask *a);
	void (*done)(struct ask *a);
	struct post back;
	struct ask_post *to;  /* one per worker */
	void (*then)(void *); /* for whoever asked, where done() is somebody else's */
	void *then_arg;
};
void *ask_new(struct proxy *p, size_t size); /* a zeroed struct of that size, which begins with a struct ask; NULL: no memory */
void ask_free(void *ask);
void ask_all(struct ask *a); /* the answers may come before it returns */
void ask_answered(struct ask *a);
