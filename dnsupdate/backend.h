#pragma once
/* backend - one primary that holds zones and takes changes: DNS UPDATE (rfc2136.c), PowerDNS' HTTP API (pdns.c), alwaysdata's REST API
 * (alwaysdata.c). All work is started here and told by a callback from the loop, never from inside the call that starts it.
 * Any number of calls may be under way; one change per zone at a time is the caller's duty (journal.h).
 * Each call has an end: a backend gives every step a deadline and says in err which server did not do what in time.
 * Ownership: calls belong to the backend; after backend_cancel() the callback never comes. backend_free() cancels all.
 * Secrets are read at the start of backend_new() from files that only their owner may read, and stay in memory. */
#include "dnsupdate/rr.h"

#include "lib/conf.h"

struct event_base;
struct backend;
struct backend_call;

/* One RRset as it is and as it shall be. was.n 0: there is none yet; next.n 0: it goes. */
struct change {
	struct rrset was, next; /* same owner and type */
};

enum outcome {
	OUTCOME_DONE,    /* the server says it is done; what is true is found by reading */
	OUTCOME_DRIFT,   /* an RRset was not as `was` says; nothing of this message was changed */
	OUTCOME_REFUSED, /* the server will not: key, policy, zone; asking again changes nothing */
	OUTCOME_BUSY,    /* the server could not just now (SERVFAIL, 429, 5xx); read, wait, try again */
	OUTCOME_AWAY,    /* it was not asked: nobody answers there */
	OUTCOME_UNKNOWN  /* asked, and no (believable) answer came: read to find out */
};
const char *outcome_text(enum outcome o);

/* zone is the apex of the zone that holds the name, absolute, borrowed for the call; NULL: not hosted here (err->code 0), or err. */
typedef void backend_find_fn(void *arg, const char *zone, const struct err *err);
/* zone: taken by the callback (zone_done()) and in order; NULL: err. */
typedef void backend_read_fn(void *arg, struct zone *zone, const struct err *err);
/* err is set unless DONE. */
typedef void backend_change_fn(void *arg, enum outcome outcome, const struct err *err);

int backend_new(struct backend **out, struct event_base *base, const struct conf_zone_server *conf, struct err *err);
void backend_free(struct backend *b);
const char *backend_name(const struct backend *b); /* for messages: "192.0.2.53 (rfc2136)", "http://192.0.2.54:8081 (powerdns)" */
/* Where its content can be read by ordinary queries; NULL: nowhere that it knows of. */
const struct addr *backend_address(const struct backend *b);

struct backend_call *backend_find(struct backend *b, const char *name, backend_find_fn *fn, void *arg);
struct backend_call *backend_read(struct backend *b, const char *zone, backend_read_fn *fn, void *arg);
/* All changes or none, as far as the server knows how (one message up to a size; then message after message, each all or none). Borrows
 * changes until the callback. */
struct backend_call *backend_change(struct backend *b, const char *zone, const struct change *changes, size_t n, backend_change_fn *fn,
				    void *arg);
void backend_cancel(struct backend_call *c); /* NULL is fine */
/* Record by record: where it ends in the middle, half of an RRset is the old one. */
bool backend_is_piecewise(const struct backend *b);
/* Seconds that n changes will take by the server's own limits; 0: no limit worth telling. */
int backend_eta(const struct backend *b, size_t n);

/* ---- what a kind implements; the functions above do the rest ---- */
struct backend_ops {
	const char *name;
	bool piecewise;
	int (*open)(struct backend *b, struct err *err); /* sets b->impl */
	void (*close)(struct backend *b);                /* ends what is under way; impl may be NULL */
	/* Start a call whose fields are set already. -ENOMEM: it was not started. */
	int (*find)(struct backend_call *c, const char *name);
	int (*read)(struct backend_call *c, const char *zone);
	int (*change)(struct backend_call *c, const char *zone, const struct change *changes, size_t n);
	void (*cancel)(struct backend_call *c); /* drop c->impl */
	int (*eta)(const struct backend *b, size_t n);
};
struct backend {
	const struct backend_ops *ops;
	const struct conf_zone_server *conf;
	struct event_base *base;
	char *shown;
	struct addr address;
	bool has_address;
	struct backend_call *calls;
	void *impl;
};
struct backend_call {
	struct backend *b;
	struct backend_call *next, **link;
	enum { CALL_FIND, CALL_READ, CALL_CHANGE } kind;
	union {
		backend_find_fn *find;
		backend_read_fn *read;
		backend_change_fn *change;
	} fn;
	void *arg;
	void *impl; /* the kind's own */
};
/* A kind ends a call with one of these: unlinks it, frees it, then tells. */
void backend_found(struct backend_call *c, const char *zone, const struct err *err);
void backend_was_read(struct backend_call *c, struct zone *zone, const struct err *err); /* takes zone's contents */
void backend_changed(struct backend_call *c, enum outcome outcome, const struct err *err);

extern const struct backend_ops backend_rfc2136, backend_powerdns, backend_alwaysdata;
