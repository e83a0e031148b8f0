#pragma once
/* entry - what was changed in one zone for one account, and what is to be changed: the plan and its undo are the same thing.
 * A mark is one RRset: `before` is what the undo restores, `after` what we left there and expect to find, `next` what is about to be
 * written. `next` is on disk before it is sent; so what is found is `after` (it was not applied) or `next` (it was), else somebody else's.
 * Ownership: as rr.h. */
#include "dnsupdate/rr.h"

#include "lib/acctdef.h"

struct mark {
	struct rrset before, after, next; /* of one owner and type; no values: there is none */
	bool pending;                     /* next is set and not known to be settled */
	bool left; /* found as somebody else's and left to them: no verb works on it as long as this struct lives; not on disk */
};

enum verb { VERB_PREPARE, VERB_PUSH, VERB_UNDO, VERB_FINALISE };
const char *verb_text(enum verb v);

enum entry_state {
	ENTRY_NEW,       /* nothing of it is in the zone yet */
	ENTRY_PREPARED,  /* TTLs are lowered */
	ENTRY_PUSHED,    /* the values are the other side's */
	ENTRY_FINALISED, /* and the TTLs are the old ones again */
	ENTRY_UNDONE     /* all is as before: the entry can go */
};
const char *entry_state_text(enum entry_state s);

struct entry {
	char *account, *zone; /* zone: absolute */
	char *backend;        /* as backend_name() */
	enum entry_state state;
	enum side side; /* to which it was pushed */
	bool busy;      /* a verb is in flight: `doing` */
	enum verb doing;
	struct mark *marks;
	size_t n;
	int64_t began_ms, changed_ms; /* wall clock */
	int64_t verified_ms;          /* all servers showed `after`; 0: not (yet) */
	int64_t clean_ms;             /* from then on no resolver may hold what was there before; 0: not known */
	char *lagging;                /* servers that did not show it when last asked, for people; NULL: none */
};
int entry_init(struct entry *e, const char *account, const char *zone);
void entry_done(struct entry *e);
struct mark *entry_mark(struct entry *e, const char *owner, uint16_t type); /* NULL: none */
/* A fresh mark: before = after = found. */
struct mark *entry_add(struct entry *e, const struct rrset *found, const char *owner, uint16_t type); /* NULL: no memory */
json_t *entry_to_json(const struct entry *e);
int entry_from_json(struct entry *out, const json_t *object, struct err *err);
bool entry_pending(const struct entry *e); /* any mark is */
/* What the pending marks mean for the zone as it was read: those found as `next` become `after`, those found as `after` lose their `next`;
 * returns how many are neither (they keep it). */
size_t entry_settle(struct entry *e, const struct zone *z);
/* Before it, where a server changes record by record (backend_is_piecewise()): of a pending mark that is found with values of both `after`
 * and `next`, and no others, what is found becomes `after`: it is ours, and the rest is still to be done. -ENOMEM. */
int entry_settle_halves(struct entry *e, const struct zone *z);
void entry_compact(struct entry *e); /* drops marks whose after is their before */
