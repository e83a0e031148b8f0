#pragma once
/* store - what shunt serve keeps on disk: tokens, operations and their answers, sessions of the panel. One SQLite file, section serve's
 * `state`. It is not the state database: a command holds that one's write lock for as long as it tells the proxy, and an event loop that
 * waited for it would stop for everybody. Here each transaction is one statement, of serve or of `shunt token`. synchronous=FULL: what was
 * written is there after a power cut. Schema: PRAGMA user_version, as in the state database. Errors: 0 or -errno, text in err, as
 * journal.h. Units: ms since 1970 UTC. Threads: one. */
#include "control/db.h"

#include <jansson.h>
#include <stdbool.h>

struct store {
	sqlite3 *db;
	char *path;
	int lock;
	char *run_dir; /* STATE.run, mode 0700: where answers of operations that run are written */
};
/* Makes file and directory where they are missing, mode 0600 and 0700. -EACCES: others may write there. */
int store_open(struct store *s, const char *path, struct err *err);
int store_lock(struct store *s, struct err *err); /* until store_close(), by one serve alone: -EBUSY */
json_t *store_time(int64_t ms);                   /* a text of RFC 3339, or null for 0; new */
void store_close(struct store *s);                /* zeroed is fine */
