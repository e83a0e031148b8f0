#pragma once
/* journal - the entries on disk: DIR/ACCOUNT/ZONE, one file each, replaced whole and synced (lib/jsonfile.h); and the locks:
 * DIR/.locks/ZONE, DIR/.locks/@ACCOUNT. The directory is of mode 0700 and this user's alone. Zone names are written lower-case without the
 * final dot. Errors: -EBADMSG: a file is damaged or another version's: never guessed at, the text says what to do. */
#include "dnsupdate/entry.h"

struct journal;
int journal_open(struct journal **out, const char *dir, struct err *err); /* makes the directory where there is none */
void journal_close(struct journal *j);
int journal_read(struct journal *j, const char *account, const char *zone, struct entry *out, struct err *err); /* -ENOENT: none */
int journal_write(struct journal *j, struct entry *e, struct err *err); /* a changed_ms of 0 becomes now; on disk when it returns */
/* What another look at the zone would find out again: after a power cut the entry may be the one before. */
int journal_note(struct journal *j, struct entry *e, struct err *err);
int journal_remove(struct journal *j, const struct entry *e, struct err *err);
struct entry_list {
	struct entry *entries;
	size_t n;
};
void entry_list_done(struct entry_list *l);
/* account NULL: all. Ordered by account and zone. One that cannot be read is the error, the others come all the same. */
int journal_all(struct journal *j, const char *account, struct entry_list *out, struct err *err);

/* One who changes a zone holds its lock, among processes and within one. *fd is the lock; -EWOULDBLOCK: another has it. */
int journal_lock(struct journal *j, const char *zone, int *fd, struct err *err);
/* The same for who changes an account: its zones are many, and one command on all of them must not meet another in their midst. */
int journal_lock_account(struct journal *j, const char *account, int *fd, struct err *err);
void journal_unlock(int fd); /* -1 is fine */
