#pragma once
/* store - the last table on disk, so that a restart serves without a controller.
 * One text file: a line with format and version, a line of JSON per account, a closing line with the count, then one line per change of
 * a side or gate since. Each line carries a CRC32c that goes on from the line before. A snapshot is written beside it, fsynced, renamed
 * over it, and the directory fsynced; a change is appended and fdatasynced: O(1) at any size. A last line that is the beginning of a change
 * is one that was never acknowledged and is dropped. Anything else that is not as written is damage: -EBADMSG with file, line, found,
 * expected. Nobody's side is ever guessed. (Whole changes cut off the end leave a file as it once was; no check sum can tell.)
 * flock on "PATH.lock" keeps a second proxy away (-EWOULDBLOCK, err names its pid). */
#include "lib/acctdef.h"
#include "lib/err.h"

#include <sys/types.h>

struct store;

/* What the disk is asked for, so that tests can make it fail. */
struct store_ops {
	ssize_t (*write)(int fd, const void *bytes, size_t len);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*ftruncate)(int fd, off_t len);
	int (*rename)(const char *from, const char *to);
};

/* Makes the path's directory where it is missing (one level, mode 0700) and takes the lock. */
int store_open(struct store **out, const char *path, struct err *err);
int store_open_with(struct store **out, const char *path, const struct store_ops *ops, struct err *err);
void store_close(struct store *s); /* NULL is fine */
/* returns new, sides and gates as of the last change. -ENOENT: there is no table yet. -EBADMSG: damaged, of a later version, or not ours
 * (owner, or writable by others). 0 with store_wants_save(): it can be read, and could not be written anew: err says why. */
int store_load(struct store *s, struct acctset *out, struct err *err);
int store_save(struct store *s, const struct acctset *defs, struct err *err);
/* account is one of the last store_save() or store_load(). When write or fsync fails the file is in an unknown state: the error comes back,
 * the change is cut off again as far as the disk lets us, and until a store_save() has put a new snapshot there every store_change() fails
 * too. */
int store_change(struct store *s, const char *account, enum side side, enum gate gate, struct err *err);
bool store_wants_save(const struct store *s); /* many changes have been appended (or one failed): a snapshot is due */
