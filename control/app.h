#pragma once
/* app - one run of shunt: its options, configuration, state and the proxy it speaks to.
 * app_read() looks only: no state is made or changed, and the proxy may be away. app_write() makes the state ready for a change: the proxy
 * must answer, its table and ours are brought to agree, and moves whose owner died are finished or undone. */
#include "control/cmd.h"
#include "control/journal.h"
#include "control/lock.h"
#include "control/move.h"
#include "control/netctllink.h"
#include "control/notice.h"
#include "control/proxylink.h"
#include "lib/out.h"

struct app {
	struct options opt;
	struct out out;
	struct conf *conf;
	struct journal *db;
	struct locks *locks;
	struct proxylink *proxy;
	struct netctllink *netctl[2]; /* by side; NULL: not configured */
	struct dnslink *dns;          /* NULL: not configured */
	struct who who;
	struct progress progress;
	struct notice notice;
	bool writes;    /* app_write() has succeeded in this run */
	bool settles;   /* the command settles what DNS is owed by itself */
	bool set_held;  /* we have LOCK_SET */
	int sigfd;      /* SIGINT, SIGTERM, SIGHUP are blocked and come here; -1: not yet */
	json_t *prices; /* of the rollbacks of this run, by account, agreed to (price.h); NULL: none */
	void (*at)(void *arg, const char *step, const char *when); /* where tests crash; or NULL */
	void *at_arg;
};

const char *app_state_path(const struct app *a);
bool app_state_missing(const struct app *a); /* there is no file: nothing has begun, or we run on another host than the controller */
const char *app_proxy_address(const struct app *a);
bool app_intercepts(const struct app *a); /* shunt-netctl of the client server is to lead visitors to the proxy */
enum exit_code app_read(struct app *a, struct err *err);
/* As app_read(), for what looks again and again: a state that cannot be read within seconds is no error but in *state, and db is NULL then;
 * its pages are not checked. */
enum exit_code app_look(struct app *a, struct err *state, struct err *err);
enum exit_code app_write(struct app *a, bool importing, struct err *err);
/* As app_write(), for a child of a process that has just done so: opens, compares nothing, resumes nothing. */
enum exit_code app_reopen(struct app *a, struct err *err);
/* For a change that does without the proxy, which may be dead: nothing is compared, and no move resumed. */
enum exit_code app_write_alone(struct app *a, struct err *err);
void app_close(struct app *a); /* state and proxy; conf and options stay */
void app_done(struct app *a);
void app_mover(struct app *a, struct mover *with);
void app_at(const struct app *a, const char *step, const char *when); /* a point where a crash is tried */
int app_signals(struct app *a, struct err *err);                      /* fills sigfd */
void app_signals_end(struct app *a);                                  /* they have their usual effect again */

enum exit_code exit_of(int rc);    /* of an error before anything was changed: 2 for a state that cannot be used, else 1 */
enum exit_code trail_exit(int rc); /* as exit_of(), of reading the trail: a broken one stays so until a person looks */
void trail_out(struct app *a, const struct trail_head *h); /* members "lines" and "head" */
enum exit_code worse(enum exit_code a, enum exit_code b);
/* Asks on a terminal; without one, with --yes or --json: true. */
bool app_confirm(struct app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "root (pid 12 on web42) since 2026-..., at copying" */
void who_text(const struct move_row *m, char *out, size_t cap);
