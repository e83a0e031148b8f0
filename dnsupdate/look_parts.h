#pragma once
/* look_parts - what the files behind look.h, authority.h and verify.h share.
 * A struct look is in exactly one list from its start to its end: waiting at a server, under way, at a host, or done. What is done is told
 * from one event of the looker, with no function of c-ares on the stack: so a callback may ask, cancel, and free the looker. */
#include "dnsupdate/look.h"

#include <event2/event.h>
#include <event2/event_struct.h>

struct cares;

struct look_list {
	struct look *first, **last; /* last: zeroed where the list was never used */
};
void look_push(struct look_list *list, struct look *k);
void look_unlink(struct look *k);

struct look {
	struct look *next, **link;
	struct look_list *list;
	struct looker *l;
	enum { LOOK_QUESTION, LOOK_ADDRESSES, LOOK_LATER } kind;
	union {
		look_fn *answer;
		look_addresses_fn *addresses;
		void (*later)(void *arg);
	} fn;
	void *arg;
	bool cancelled; /* waits for c-ares to give it back */
	bool answered;
	struct err err;
	/* of a question */
	char *name;
	uint16_t type;
	bool up;            /* asked of the resolvers, one after the other */
	size_t first, turn; /* the one to begin with; how many have been asked */
	struct look_channel *channel;
	int64_t sent_ms;
	struct answer answer;
	/* of a host */
	struct addr *addrs;
	size_t n;
};

struct look_host;
struct looker {
	struct event_base *base;
	struct event pump, sweep;
	bool telling; /* callbacks are being called */
	bool gone;    /* one of them has freed the looker */
	struct look_server *servers;
	struct look_channel *retired;
	size_t n_asked, n_open;
	struct look_list asked, done;
	struct addr *resolvers;
	size_t n_resolvers, good; /* good: the one to begin with */
	bool configured;          /* else they are those of /etc/resolv.conf */
	struct timespec conf_time;
	int64_t conf_looked_ms;
	struct look_host *hosts;
	size_t n_hosts;
	struct cares *hosts_file;
	struct companion { /* what is remembered by the files above for as long as the looker lives */
		void *state;
		void (*free)(void *state);
	} parents, inquiries;
};

void look_kick(struct looker *l);
void look_finish(struct look *k); /* it is told at the next turn */
struct look *look_alloc(struct looker *l, const char *name);
/* look_at(), with recursion where that is wanted. */
struct look *look_ask(struct looker *l, const struct addr *server, bool recursive, const char *name, uint16_t type, look_fn *fn, void *arg);
/* Calls fn at the next turn of the loop; look_cancel() takes it back. */
struct look *look_later(struct looker *l, void (*fn)(void *arg), void *arg);

/* look_host.c */
int look_read_resolvers(struct looker *l, char *const *names, size_t n, struct err *err);
void look_reread_resolvers(struct looker *l);
void look_hosts_free(struct looker *l);
/* What an A or AAAA record says; false for others and for addresses at which no server can be asked (unspecified, multicast, link-local).
 */
bool look_rdata_address(struct addr *out, uint16_t type, const struct rdata *r);
bool look_address_usable(const struct addr *a);
