#pragma once
/* jsonfile - one JSON object in a file, replaced whole (write, fsync, rename, fsync of the directory), so that what is read is the old
 * object or the new one, with a member "sum" that tells whether it is as it was written. The sum is over what the object means, not how
 * it is laid out; it finds what was cut, damaged or changed by hand, not who forges it.
 * A file is written beside its place as ".new-PID-N", whatever its name, so that names may have all of NAME_MAX and several processes may
 * write at a time (the last one to be done stays). A process that is killed leaves its own behind: no reader of a directory may take what
 * begins with a dot for a file of ours, and who reads one anyway sweeps (jsonfile_sweep()).
 * Arguments: dir is a descriptor of the directory (opened for reading: it is synced), name the file in it, shown_dir the path of the
 * directory as messages are to show it. most is the greatest size of a file in bytes, for writing and reading alike.
 * Errors: 0 or -errno, with the file's path in the text. Threads: any. */
#include "lib/err.h"

#include <jansson.h>
#include <stddef.h>

/* Sets the object's "sum"; mode 0600. On disk when it returns 0. After an error the old object is there or (where the directory could not
 * be synced) the new one. -EFBIG: it would have more than most bytes. */
int jsonfile_write(int dir, const char *name, const char *shown_dir, json_t *object, size_t most, struct err *err);
/* The same, but for the directory: after a power cut either the new object is there or the old one. For what can be found out again. */
int jsonfile_note(int dir, const char *name, const char *shown_dir, json_t *object, size_t most, struct err *err);
/* returns new, an object. -ENOENT; -EBADMSG: it is not as it was written, the text says what was found. Refused unread: -ELOOP a symbolic
 * link, -EPERM another user's, -EINVAL no regular file, -EFBIG more than most bytes. *out is NULL on failure. */
int jsonfile_read(int dir, const char *name, const char *shown_dir, size_t most, json_t **out, struct err *err);
/* Removes name if a process that is no more has left it half written: as a hint, so nothing is said. The process may be one of another PID
 * namespace, which cannot be seen: what was touched within the last SWEEP_AFTER_S is left alone. Other names are, too. */
#define SWEEP_AFTER_S 60
void jsonfile_sweep(int dir, const char *name);
int jsonfile_remove(int dir, const char *name, const char *shown_dir, struct err *err); /* for good when it returns; none there is fine */
