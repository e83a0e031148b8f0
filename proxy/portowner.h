#pragma once
/* portowner - who has the address and port that could not be bound (EADDRINUSE).
 * Looks for a listening TCP socket in /proc/net/tcp and tcp6 that stands in the way, wildcards included, and for the process that
 * holds it in /proc/<pid>/fd. Only a message depends on it: what /proc does not tell, or tells in words not expected, is left out.
 * Reads all of /proc: for start and reload, not for each connection. */
#include "lib/addr.h"

#include <stddef.h>

#define PORTOWNER_MAX 128 /* enough for what it says */

/* Writes "pid 1234 (nginx)", "pid 1234 (nginx) and 3 more", or "uid 33 (www-data)" where the process cannot be seen (it is another
 * user's, or in another pid namespace). Returns 0, -ENOENT when nobody listens there (any more), or -errno; then out is "". */
int portowner_describe(const struct addr *a, char *out, size_t cap);
