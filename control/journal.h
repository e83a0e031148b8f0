#pragma once
/* journal - what the controller knows and did, on disk: accounts, moves, clocks, and the audit trail. One SQLite file.
 * synchronous=EXTRA and a rollback journal: what journal_commit() reported is there after a power cut. The file is made beside its
 * place and renamed into it whole, so an empty or cut one is damage, never "new": -EBADMSG, and nobody's side is guessed.
 * Schema: PRAGMA user_version counts up; older files are brought up to date in one transaction, newer ones refused (-EPROTONOSUPPORT).
 * The trail is append-only (triggers refuse anything else), and chained, so that going past the triggers shows.
 * Errors: 0 or -errno, text in err: -ENOSPC disk full, -EBUSY another process kept writing for 30 s, -EBADMSG damaged, -ENOENT not there.
 * Units: times are ms since 1970 UTC. Threads, forks: a struct journal stays in the process that opened it. */
#include "lib/acctdef.h"
#include "lib/clock.h"
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct journal;

struct who {
	char user[64]; /* "root", "root (sudo: anna)", "root (token: panel)" */
	int pid;
	char host[65];
};
void who_am_i(struct who *w);

enum journal_flags {
	JOURNAL_READ = 1,  /* a missing file reads as an empty one and is not made */
	JOURNAL_QUICK = 2, /* no integrity check: this program has just made it in another process */
	JOURNAL_BRIEF = 4  /* waits 2 s for another process that writes, not 30 */
};
int journal_open(struct journal **out, const char *path, unsigned flags, const struct who *who, struct err *err);
void journal_close(struct journal *j);
const char *journal_path(const struct journal *j);

/* A transaction; each of the calls below is one by itself outside of it. Nothing is on disk before commit's 0. */
int journal_begin(struct journal *j, struct err *err);
int journal_commit(struct journal *j, struct err *err); /* failed: it is rolled back */
void journal_rollback(struct journal *j);

/* ---- the trail ----
 * Each line's hash is the SHA-256, in lower-case hexadecimal, of these fields one after the other: the hash of the line before it (of 64
 * zeros for the first), id, at (ms), who, account, move, what, evidence (as stored: JSON without blanks, its keys in order). A field is its
 * length in bytes in decimal, ':', the bytes, ','; one that is not there (NULL) is "-,". Numbers are in decimal. It is computed inside the
 * transaction that writes the line. How many lines there are and the last one's hash are kept in a row of their own: the head. Whoever can
 * write the file can compute all of it anew: a head that was kept elsewhere shows even that. */
#define TRAIL_HASH_MAX 65
struct trail_head {
	int64_t lines;
	char hash[TRAIL_HASH_MAX];
};
int journal_head(struct journal *j, struct trail_head *out, struct err *err);
/* Walks over all of it. 0: unbroken, *found is its head; -EBADMSG: text in err names the first line that does not fit, and *found is where
 * that begins. kept: a head of before that must lie on the way; NULL: none. */
int journal_verify(struct journal *j, const struct trail_head *kept, struct trail_head *found, struct err *err);
bool trail_head_parse(struct trail_head *h, const char *text); /* "LINES:HASH" */
int journal_note(struct journal *j, const char *account, int64_t move, const char *what, const json_t *evidence, struct err *err);
/* Oldest first; each {"id","at","at-ms","who","account","move","what","evidence","hash"}. account NULL: all; since 0: from the start. */
int journal_log(struct journal *j, const char *account, int64_t since, json_t **out, struct err *err);
/* For who follows the trail: lines after a place, max at the most, as above. by_count: the place is how many of the account's lines came
 * before, else an id (0: from the start). account NULL: all, by id. */
int journal_after(struct journal *j, const char *account, bool by_count, int64_t place, int max, json_t **out, struct err *err);
int journal_count(struct journal *j, const char *account, int64_t upto, int64_t *count, struct err *err); /* of an account's, up to an id */
/* The last line of an account whose `what` begins so, as above; -ENOENT: none. Walks back over that account's lines alone. */
int journal_last(struct journal *j, const char *account, const char *what, json_t **out, struct err *err);

/* ---- clocks and marks ---- */
int journal_clock(struct journal *j, const char *name, int64_t *at, struct err *err); /* -ENOENT: not started */
int journal_clock_start(struct journal *j, const char *name, struct err *err);        /* runs already: stays as it is */
int journal_clock_stop(struct journal *j, const char *name, struct err *err);         /* none is fine */
/* A mark is a name and when it was set: an intent that is not over, or what shunt-netctl was told last. */
int journal_mark(struct journal *j, const char *name, int64_t *at, struct err *err); /* -ENOENT: not set; at may be NULL */
int journal_set_mark(struct journal *j, const char *name, bool on, struct err *err);
int journal_marks(struct journal *j, const char *prefix, json_t **out, struct err *err); /* new: the names, without the prefix */
/* While it is set no move begins: journal_move_begin() says -EPERM and why. */
#define MARK_REINSTALL "begin reinstall"
#define MARK_FINISH    "begin finish"
/* Set before the proxy is told of a new set of accounts, cleared with the commit of that set: found set, the proxy may know more. */
int journal_pending(struct journal *j, bool *pending, struct err *err);
int journal_set_pending(struct journal *j, bool pending, struct err *err);

/* ---- accounts ---- */
struct account_row {
	int64_t id; /* never used twice */
	struct acctdef def;
	int64_t since; /* on this side */
};
void account_row_done(struct account_row *a);
int journal_accounts(struct journal *j, struct acctset *out, struct err *err); /* in order of name; side, and gate as moves have left it */
int journal_account(struct journal *j, const char *name, struct account_row *out, struct err *err); /* -ENOENT */
int journal_account_put(struct journal *j, const struct acctdef *d, struct err *err);               /* a known one keeps its side */
int journal_account_remove(struct journal *j, const char *name, struct err *err);
int journal_account_side(struct journal *j, const char *name, enum side side, struct err *err);
/* name -> the domains of other accounts that are at or below one of its own, for those of `of` that have any (new). One pass over all
 * domains there are, which stay on disk: its time is linear in these (a million in about a second) whatever `of` is, its memory in what is
 * found.
 */
int journal_claims_below(struct journal *j, const struct acctset *of, json_t **out, struct err *err);

/* ---- moves ---- */
enum move_state { MOVE_MOVING, MOVE_STUCK, MOVE_DONE, MOVE_UNDONE };
const char *move_state_name(enum move_state s);

struct move_row {
	int64_t id, account_id;
	char account[ACCOUNT_NAME_MAX + 1];
	char kind[16]; /* migrate, rollback, relocate */
	enum side from, to;
	enum move_state state;
	char step[16];
	bool undo;           /* direction: false apply, true undo */
	bool fenced;         /* fence was acknowledged and no release begun */
	int drain, max_wait; /* seconds; max_wait -1: as the proxy is configured */
	double databases_gb;
	bool no_dns;
	int64_t started, changed, eta; /* eta: when it should be over; 0: unknown */
	double percent;                /* of the hook that runs; -1: unknown */
	struct who who;
	char reason[512];
	json_t *evidence; /* object, step -> what it answered; owned */
};
void move_row_done(struct move_row *m);

struct move_rows {
	struct move_row *rows;
	size_t n;
};
void move_rows_done(struct move_rows *m);

int journal_move_begin(struct journal *j, struct move_row *m,
		       struct err *err); /* sets id, started, who; -EEXIST: one is not over; -EPERM */
/* m's step, undo, fenced, state, reason, evidence to disk, and one line of the trail. */
int journal_move_put(struct journal *j, struct move_row *m, const char *what, const json_t *evidence, struct err *err);
int journal_move_progress(struct journal *j, const struct move_row *m, struct err *err);                /* percent and eta only */
int journal_move_owner(struct journal *j, struct move_row *m, struct err *err);                         /* who: this process */
int journal_moves_open(struct journal *j, const char *account, struct move_rows *out, struct err *err); /* moving or stuck; NULL: all */
int journal_move_last(struct journal *j, const char *account, const char *kind, struct move_row *out, struct err *err); /* -ENOENT; done */
