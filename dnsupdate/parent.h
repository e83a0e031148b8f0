#pragma once
/* parent - the zone in which a name lies, and its servers: where the delegation of a domain is asked for.
 * Thousands of domains have the same parent: what was found is remembered with the looker (PARENT_KEEP_MS, PARENTS_MAX names) and what is
 * being found is found once. A failure is remembered for PARENT_FAILED_MS.
 * Ownership: as look.h; the callback never comes from inside parent_find(). */
#include "dnsupdate/look.h"

#define PARENTS_MAX      256
#define PARENT_NAMES     6 /* of a zone's name servers, that many are looked up */
#define PARENT_SERVERS   12
#define PARENT_KEEP_MS   300000
#define PARENT_FAILED_MS 3000

struct parent_server {
	char *name; /* absolute */
	struct addr addr;
};
struct parent {
	char *zone;                                   /* NULL: not found; why says why */
	struct parent_server servers[PARENT_SERVERS]; /* first one address of each name, then their second ones, and so on */
	size_t n;
	char why[200];
};
struct parent_ask;
typedef void parent_fn(void *arg, const struct parent *p); /* borrowed for the call */

/* NULL: no memory. */
struct parent_ask *parent_find(struct looker *l, const char *name, parent_fn *fn, void *arg);
void parent_cancel(struct parent_ask *a); /* NULL is fine */
