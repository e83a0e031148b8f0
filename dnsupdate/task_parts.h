#pragma once
/* task_parts - what the files of task share among themselves; nobody else includes it. */
#include "dnsupdate/task.h"

#define TASK_LOCK_WAIT_MS 30000
#define TASK_LOCK_LOOK_MS 50
#define TASK_IDLE_LOOK_MS 50 /* whether a zone does no more than wait for its secondaries */

void task_enter(struct task *t, enum task_state to);
void task_say(struct task *t, const char *text);
void task_unlock(struct task *t);
void task_through(struct task *t); /* nothing is sent any more; twice is fine */
void task_over(struct task *t);    /* done() has come when it returns: t may be gone */
void task_out_of_memory(struct task *t);
struct inquiry *task_inquire(struct task *t, inquiry_fn *fn); /* who answers for the zone, by its parent; NULL: no memory */
void task_judged(struct task *t, const struct delegation *d); /* what the inquiry has found */
int task_save(struct task *t, struct err *err);               /* the entry; an empty one is removed */

/* ---- task_see.c ---- */
void task_see(struct task *t); /* unlocks; ends with task_over() */

static inline struct task *task_of_timer(struct deadline *d)
{
	return (struct task *)((char *)d - offsetof(struct task, timer));
}
