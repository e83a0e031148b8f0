#pragma once
/* access - the access log: one line per request or connection, key=value.
 * Lines are gathered per worker and written when 16 KiB are full or a second has passed; writes never block. When the disk is full or the reader
 * gone, lines are counted as lost, traffic goes on, and the count is said once when writing works again.
 * access_reopen() after a rotation (SIGHUP). Threads: one struct access per worker; the file descriptor is O_APPEND and shared. */
#include "lib/err.h"
#include "lib/addr.h"
#include "lib/slice.h"

#include <stdint.h>

struct access_file; /* shared */
struct access;      /* a worker's */

/* spec: "none", "stderr", or a path (mode 0640). */
int access_open(struct access_file **out, const char *spec, struct err *err);
int access_reopen(struct access_file *f, struct err *err); /* the old file stays on failure */
void access_close(struct access_file *f);
uint64_t access_lost(const struct access_file *f);

struct access *access_new(struct access_file *f); /* NULL: no memory */
void access_free(struct access *a);               /* flushes */
bool access_wanted(const struct access *a);       /* false for "none": skip the work */
void access_flush(struct access *a);              /* the worker's tick calls it once a second */

struct access_line {
	uint64_t conn;           /* the connection's id */
	const char *listener, *protocol;
	const struct addr *peer;
	const char *account;     /* "-" for names of no account */
	const char *side;        /* "client", "transit", "-" when nobody was reached */
	struct slice name;       /* Host or SNI as asked; quoted in the line */
	struct slice method, target; /* http only; quoted */
	unsigned status;         /* http only; what the visitor was answered */
	uint64_t bytes_up, bytes_down;
	uint32_t wait_ms, connect_ms, total_ms; /* parked behind a hold; to the back end; all */
	const char *why;         /* static: "ok", "cut", "connect refused", "head timeout", ... */
};
void access_write(struct access *a, const struct access_line *line);
