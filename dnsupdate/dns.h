#pragma once
/* dns - what all work of one shunt-dnsupdate shares: configuration, loop, look-ups, primaries, journal, and the line in which work waits.
 * Work is what asks servers on behalf of one zone or one name; at most `parallel` of it is under way, in the order in which it came, but
 * what visitors may be waiting for goes first. What merely waits for others gives its place away, up to DNS_IDLE_MAX of it. Ownership:
 * dns_close() ends the back ends and look-ups; the loop stays the caller's. Threads: one. */
#include "dnsupdate/backend.h"
#include "dnsupdate/journal.h"
#include "dnsupdate/look.h"

#include "lib/conf.h"

#define DNS_IDLE_MAX 2000

struct loop;
struct job;
struct work {
	struct work *next, **link; /* set while in line */
	void (*start)(struct work *w);
	bool running, idle;
};
struct line {
	struct work *first, **end;
};

struct dns {
	const struct conf *conf;
	struct loop *loop;
	struct looker *looker;
	struct backend **backends; /* by conf->dns.zone_servers */
	size_t n_backends;
	struct journal *journal;
	struct line urgent, rest;
	size_t running, idle;
	struct job *waiting; /* job.c's: those that wait for another on their account */
	struct event *turn;  /* starts what may run, from the loop */
};

/* -EINVAL: the configuration has no section dns or no zone-server. A process of root becomes the journal directory's owner for good, once
 * the keys are read. */
int dns_open(struct dns *d, const struct conf *conf, struct loop *loop, struct err *err);
void dns_close(struct dns *d);
struct backend *dns_backend(const struct dns *d, const char *name); /* as backend_name() says; NULL (or name is): not configured any more */

void dns_enqueue(struct dns *d, struct work *w, bool urgent); /* start() comes from the loop */
void dns_idles(struct dns *d, struct work *w);                /* from now on it waits more than it works; twice is fine */
void dns_finished(struct dns *d, struct work *w);             /* also for one that has not started: it leaves the line */
