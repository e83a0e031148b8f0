#pragma once
/* plan - a declared change of this host's network: stages of ops (op.h), applied in order, with their exact undo on disk before each stage.
 *
 * A plan is a JSON object: "plan" its name; "stages": [{"name", "ops": [..], "delay": S}]; "repeat": ops that the guard applies again for
 * some seconds (announcements). An op may bring its own "undo" ops; else op_undo() asks the kernel. A stage with a delay is applied so many
 * seconds after the confirmation, and is undone like any other. In force a plan is also "state", "by", "began", "deadline-ms", "boot", and
 * each stage's "undo", with the "boot" it is for, and "unfinished" as long as not all of the stage is known to be in effect. The states:
 *   applying -> pending -> confirmed   applied and verified; pending until somebody confirms in time (confirm_s 0: confirmed at once)
 *   any -> reverting -> (gone)         undone backwards, verified, and forgotten
 *   reverting -> stuck                 an undo failed; the guard tries again, loudly, and so does every `revert`
 * Whoever changes a plan holds the journal's lock. What one finds who has just got the lock has lost its owner: a plan that is applying or
 * reverting is undone; of a confirmed one, an unfinished stage is undone, and applied again where it is a delayed one. The guard (guard.h)
 * waits for just that, and for the deadline.
 * Units: seconds, and ms of CLOCK_BOOTTIME. Errors: -EEXIST in force already; -ENOENT not in force; else as op.h (err must be there
 * where a plan is applied: what happens next depends on its code).
 * Threads: the caller's. */
#include "netctl/journal.h"
#include "netctl/op.h"

#include <stdint.h>

enum plan_end { PLAN_DONE, PLAN_REFUSED /* nothing changed */, PLAN_UNDONE, PLAN_STUCK };

/* Fills each stage's "undo" from the kernel, for showing; changes nothing. */
int plan_preview(struct world *w, json_t *plan, struct err *err);

struct plan_owner {
	const char *by;                                                    /* who asks, for the record */
	const char *conf;                                                  /* the configuration's path, for the guard */
	int (*guard)(const char *conf, const char *plan, struct err *err); /* arms the guard; NULL in tests that have none */
};
/* Under the journal's lock, which is dropped and taken again by nobody but the caller. Takes nothing; plan gets its members in force. */
enum plan_end plan_apply(struct world *w, struct journal *j, json_t *plan, int confirm_s, const struct plan_owner *o, struct err *err);
/* Confirms what is pending, the peers first: one that cannot be told keeps its own deadline, and so do we. Confirmed already is fine. */
int plan_confirm(struct world *w, struct journal *j, const char *name, struct err *err);
/* A confirmed plan's "ease" ops come first: they let what uses the plan's effect come to an end, within bounds.
 * force: without the peers, whether they can be asked or not. A plan whose guard has gone home gets one again for the time it takes. */
enum plan_end plan_revert(struct world *w, struct journal *j, const char *name, bool force, const struct plan_owner *o, struct err *err);
/* What a changed configuration wants now, as further stages of the plan in force (its state stays): a failure leaves it as it was. */
enum plan_end plan_extend(struct world *w, struct journal *j, json_t *in_force, json_t *plan, const struct plan_owner *o, struct err *err);

/* Does what is due for one plan: undoes what lost its owner or was not confirmed in time, applies a delayed stage. *next_ms: when to come
 * back (of CLOCK_BOOTTIME; -1: there is nothing left to wait for). -ENOENT: the plan is gone. Under the lock. */
int plan_turn(struct world *w, struct journal *j, const char *name, int64_t *next_ms, struct err *err);
/* Undoes a plan whose time is over, without a word to the neighbours or to other hosts, and forgets it. -ENOENT: not in force. */
int plan_settle(struct world *w, struct journal *j, const char *name, struct err *err);
/* After a boot: of a confirmed plan whose last stage settles it and others, nothing is left that could be settled: all of them are
 * forgotten. Comes before plan_reboot() of any plan, which would put the others up again. */
int plan_reboot_ends(struct journal *j, const json_t *plan, struct err *err);
/* After a boot: what was confirmed is applied again, anything else undone. Under the lock. */
int plan_reboot(struct world *w, struct journal *j, const char *name, struct err *err);

const char *plan_state(const json_t *plan);
/* Ops whose effect is not there any more, as texts: somebody else changed it. Reported, never fought. What one of the younger plans in
 * force (an array, or NULL) is about is theirs: a return speaks again for what a takeover had silenced. */
int plan_drift(struct world *w, json_t *plan, const json_t *younger, json_t *texts, struct err *err);
int64_t plan_now_ms(void);
