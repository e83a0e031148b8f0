#pragma once
/* plan_parts - what the files of plan share among themselves; nobody else includes it.
 * plan_stage.c: a plan's members, its stages, applied and undone. plan.c: what somebody asks for. plan_life.c: what is due by itself.
 * plan_drift.c: what ops are about, and whether it is still so. */
#include "netctl/plan.h"

#define PLAN_RETRY_MS 5000 /* after an undo that failed */

/* ---- plan_stage.c ---- */
void plan_boot_id(char out[64]);
bool plan_of_this_boot(const json_t *plan_or_stage);
const char *plan_name(const json_t *plan);
bool plan_is(const json_t *plan, const char *state);
void plan_set_state(json_t *plan, const char *state);
json_t *plan_stages(const json_t *plan);
bool plan_is_peer(const json_t *op);
int plan_check(json_t *plan, struct err *err); /* the form of all its ops */
int plan_say_hello(struct world *w, const json_t *peer, struct err *err);
int stage_know_undo(struct world *w, json_t *stage, struct err *err); /* sets "undo" from what the kernel has now */
/* Its undo is on disk before its first op. anew: after a boot, without what others were asked for then. */
int stage_apply(struct world *w, struct journal *j, json_t *plan, json_t *stage, bool anew, struct err *err);
int stage_undo(struct world *w, json_t *stage, bool force, struct err *err); /* past an op that fails; the first failure is told */
void stage_forget(json_t *stage);                                            /* as if it had never been applied */
/* All stages, backwards; the plan is gone then, or stuck. force: without the peers. */
enum plan_end plan_undo(struct world *w, struct journal *j, json_t *plan, bool force, struct err *err);

/* ---- plan_drift.c ---- */
bool plan_is_about(json_t *ops, const json_t *op); /* is one of ops about the same thing as op, whatever it makes of it? */
