#pragma once
/* store - the last table on disk, so that a restart serves without a controller.
 * One text file: a line with format and version, a line of JSON per account, a closing line with the count, then one line per change of
 * a side or gate since. Each line carries a CRC32c. A snapshot is written beside it, fsynced, renamed over it, and the directory fsynced;
 * a change is appended and fdatasynced: O(1) at any size. A last line without its newline is a change that was never acknowledged and is
 * dropped. Anything else that is not as written is damage: -EBADMSG with file, line, found, expected. Nobody's side is ever guessed. flock
 * on "PATH.lock" keeps a second proxy away (-EWOULDBLOCK, err names its pid). */
#include "lib/acctdef.h"
#include "lib/err.h"

#include <sys/types.h>

struct store;

/* What the disk is asked for, so that tests can make it fail. */
struct store_ops {
	ssize_t (*write)(int fd, const void *bytes, size_t len);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*rename)(const char *from, const char *to);
};

int store_open(struct store **out, const char *path,
	       struct err *err); /* makes missing directories' last level, mode 0700; takes the lock */
int store_open_with(struct store **out, const char *path, const struct store_ops *ops, struct err *err);
void store_close(struct store *s); /* NULL is fine */
/* -ENOENT: there is no table yet. -EBADMSG: damaged, of a later version, or not ours (owner, or writable by others). */
int store_load(struct store *s, struct acctset *out, struct err *err); /* returns new, sides and gates as of the last change */
int store_save(struct store *s, const struct acctset *defs, struct err *err);
/* When write or fsync fails the file is in an unknown state: the error comes back, the old content is put back by a new snapshot at the
 * next store_save(), and until then every store_change() fails too. */
int store_change(struct store *s, const char *account, enum side side, enum gate gate, struct err *err);
bool store_wants_save(const struct store *s); /* many changes have been appended (or one failed): a snapshot is due */
