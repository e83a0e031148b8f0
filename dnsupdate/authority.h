#pragma once
/* authority - who answers for a domain: judged from the parent's delegation (RFC 1034 4.2.1), not from who holds a zone of that name.
 * And the addresses of all servers that answer for a zone, so that a change can be seen on each of them.
 * Ownership: handles, to be cancelled before the looker is freed; after x_cancel() the callback never comes, and it never comes from
 * inside the start. */
#include "dnsupdate/look.h"

enum verdict {
	VERDICT_MANAGED,  /* delegated to the provider's servers, all of them */
	VERDICT_MIXED,    /* to some of the provider's and to others */
	VERDICT_EXTERNAL, /* to others; the provider has no such zone: the proxy covers it */
	VERDICT_LAME,     /* to the provider, whose servers have no such zone (or do not answer with authority) */
	VERDICT_SHADOW,   /* to others, though the provider has a zone of that name: a change of it would be seen by nobody */
	VERDICT_ABSENT,   /* the parent says there is no such domain */
	VERDICT_UNKNOWN   /* nobody could be asked; why says who */
};
const char *verdict_text(enum verdict v); /* "managed" .. "unknown" */
bool verdict_is_ours(enum verdict v);     /* a change makes sense: managed, mixed; and unknown, where the parent cannot be asked */

struct delegation {
	enum verdict verdict;
	char *cut; /* the zone as the parent delegates it, absolute; NULL where not known */
	char **ns; /* the names the parent delegates to, absolute, lower case, ordered */
	size_t n_ns;
	char why[300]; /* one sentence for people; never empty */
};
void delegation_done(struct delegation *d);

struct inquiry;
typedef void inquiry_fn(void *arg, const struct delegation *d); /* borrowed */
/* hosted: the apex of the zone by which one of the provider's primaries answers for domain, NULL: none does. nameservers: the provider's
 * (names, with or without final dot). Steps: SOA through the resolvers gives the cut; the parent's servers are asked for NS without
 * recursion; then, where the provider is among them, each of its servers for SOA with AA. */
struct inquiry *inquiry_start(struct looker *l, const char *domain, const char *hosted, char *const *nameservers, size_t n, inquiry_fn *fn,
			      void *arg);
void inquiry_cancel(struct inquiry *q);

struct server {
	char *name; /* absolute; for the primary and resolvers their address as text */
	struct addr addr;
	bool resolver; /* asked with recursion, content is compared, AA is not asked for */
};
struct server_list {
	struct server *servers;
	size_t n;
	char **lost; /* names of name servers without an address */
	size_t n_lost;
};
void server_list_done(struct server_list *s);

struct muster;
typedef void muster_fn(void *arg, struct server_list *servers); /* taken */
/* All addresses of all name servers of a zone: those of its apex NS RRset and those of the delegation (which may be NULL). An address is
 * taken from the zone's own content, else from primary's answer (may be NULL) , else looked up; each once. primary itself is in the list.
 */
struct muster *muster_start(struct looker *l, const struct zone *zone, const struct delegation *d, const struct addr *primary,
			    muster_fn *fn, void *arg);
void muster_cancel(struct muster *m);
