#pragma once
/* verify - a change is published when every server that answers for the zone answers it, with authority.
 * Each server is asked for each RRset until its answer is the expected one; questions to a server that lags are spread (20 ms, growing to
 * 1 s) and only the first RRset that is not right yet is asked for. A resolver that holds the old record is not waited for. Serials are
 * compared by nobody: some servers do not move them. Units: ms on the monotonic clock. Ownership: borrows all but copies what it keeps of
 * expected and servers. */
#include "dnsupdate/authority.h"

struct sighting { /* one server's progress */
	const struct server *server;
	size_t seen;       /* RRsets that are as expected */
	int64_t after_ms;  /* when all of them were, counted from the start; -1: not yet */
	char trouble[200]; /* of a server that is behind: what it answered last, and to what; "" else */
};
struct verify;
/* all is in the order of servers. Each time a server is done (at = that one), and at the end (at = NULL; then the handle is gone): all
 * name servers are done and each resolver has said something, or wait_ms is over. */
typedef void verify_fn(void *arg, const struct sighting *all, size_t n, const struct sighting *at);
struct verify *verify_start(struct looker *l, const struct rrset *expected, size_t n_expected, const struct server_list *servers,
			    int wait_ms, verify_fn *fn, void *arg);
bool verify_waits(const struct verify *v); /* every server that does not show all of it yet lags: it is only asked now and then */
void verify_cancel(struct verify *v);      /* NULL is fine; also from its callback */

/* Whether an answer shows the RRset: pure. trouble, else: "answers A 192.0.2.10, TTL 3600". */
bool verify_shows(const struct answer *a, const struct rrset *expected, bool resolver, char *trouble, size_t cap);
