#pragma once
/* guard - a process of its own for each plan that is being made or waits for something. It outlives whoever made the plan, kill -9
 * included: it waits for the journal's lock, which the maker holds while at work, and then for what is due - the deadline of the
 * confirmation, a delayed stage. It ends when the plan is gone or has nothing left to wait for. What it does is written to DIR/guard.log.
 * Should the guard itself be killed, the next start of any shunt-netctl (`recover` at boot, `serve`, every command that changes something)
 * does what is overdue. */
#include "lib/err.h"

#define GUARD_READY_FD 3 /* of the process: where it says that it stands by */

struct conf;

/* Starts it and waits until it stands by. The caller may hold the lock. -errno: no guard, so nothing must be changed. */
int guard_start(const char *conf, const char *plan, struct err *err);
/* What the process does (shunt-netctl guard PLAN): detaches, stands by, and never returns but with an exit code. ready_fd is told (-1:
 * none). */
int guard_main(const struct conf *conf, const char *plan, int ready_fd);
