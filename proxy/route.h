#pragma once
/* route - whose is this traffic? A name decides where there is one; else the port and address it came to; else `unknown`.
 * An IP literal is no name: it says where the visitor went, which the destination address says better.
 * Pure look-ups in the table: a worker's for traffic, the main thread's for `shunt route`. */
#include "lib/conf.h"
#include "proxy/table.h"

struct route {
	struct account *account; /* borrowed; NULL: refused */
	const char *why;         /* static: "name", "port", "address", "unknown", "unknown is refused" */
	const char *matched;     /* the domain as the account claims it, where the name decided */
};
struct route route_find(const struct table *t, enum unknown unknown, struct account *nobody, enum protocol protocol, const char *name,
			size_t len, const struct addr *dst, uint16_t port);
