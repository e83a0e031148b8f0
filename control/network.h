#pragma once
/* network - what concerns the server as a whole, through shunt-netctl of both hosts: start, reinstall, return, finish.
 * Each writes its intent, as a mark, before it asks for anything, and takes it back in the transaction that writes what came of it. Where
 * the addresses are is what netctl says of its plans: a takeover that is confirmed there has happened, one that is gone there has not,
 * whatever was intended. What is pending there reverts by itself unless it is confirmed in time. While a mark of reinstall or finish is set
 * no move begins (journal.h); LOCK_NET keeps two commands apart. Exit: 1 nothing changed; 3 undone, all is as it was; 4 not over: the
 * intent stays, and network_resume() looks again. Texts in err. */
#include "control/app.h"

#define MARK_START  "begin start"
#define MARK_RETURN "begin return"

/* Interception where it is configured, and the clock of the transit server. Done already: done again, and nothing changes. */
enum exit_code network_start(struct app *a, struct err *err);
bool network_started(struct app *a); /* nothing of it is missing */

struct network_wish {
	int confirm; /* seconds after which it reverts if we do not confirm; -1: as netctl is configured */
	bool without_client;
};
/* *already: nothing was to be done. */
enum exit_code network_reinstall(struct app *a, const struct network_wish *wish, bool *already, struct err *err);
enum exit_code network_return(struct app *a, const struct network_wish *wish, bool *already, struct err *err);
enum exit_code network_finish(struct app *a, bool *already, struct err *err);

/* The guards alone, for asking before. They are looked at again in the transaction that writes the intent. */
enum exit_code network_may_reinstall(struct app *a, bool without_client, struct err *err);
int network_may_start(struct app *a, struct err *err);
int network_may_return(struct app *a, struct err *err);
int network_may_finish(struct app *a, struct err *err);
bool network_needs_reply(const struct conf *c); /* start puts a way back of answers in force */

/* What was interrupted, and by nobody's living process: brought to an end, or said to be open still. go_on: a takeover that is pending is
 * proved and confirmed, rather than left to revert. */
enum exit_code network_resume(struct app *a, bool go_on, struct err *err);

void network_status(struct app *a); /* lines and "network"; away is fine */

/* ---- between the files that implement it ---- */
typedef int network_guard(struct app *a, struct err *err);
/* One transaction: the guard, the mark, and the trail. -EPERM and others: nothing is written. */
int network_begin(struct app *a, const char *mark, network_guard *guard, struct err *err);
/* One transaction: the mark goes, the trail says what and why (may be NULL). */
int network_end(struct app *a, const char *mark, const char *what, const char *why, struct err *err);
int network_all_on(struct app *a, enum side side, const char *command, struct err *err); /* and none is being moved */
int network_need(struct app *a, enum side host, const char *command, struct err *err);   /* it is configured */
bool network_clock(struct app *a, const char *name);                                     /* it runs */
bool network_mark(struct app *a, const char *name);
enum exit_code network_exit(int rc, enum ctl_code code);                    /* of netctl's answer to the first question: 1, 2, 3 or 4 */
enum exit_code takeover_resume(struct app *a, bool go_on, struct err *err); /* under LOCK_NET */
