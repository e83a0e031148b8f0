#pragma once
/* move - one account from one side to the other: the steps of steps.h in order, each with its intent on disk before it acts.
 * What fails before `switched` is undone backwards and released to the old side. After it, only forward. An undo that fails leaves the move
 * STUCK, unless it is the proxy that is away: then the move stays open without an owner, and the next start goes on with it.
 * move_resume() asks the proxy which side the account is on and what its gate does, and goes from there; what was intended only
 * says which steps may have left something behind.
 * The caller holds the account's lock (lock.h) all the while. Ownership: all borrowed but row.evidence and what move_done() frees. */
#include "control/dnslink.h"
#include "control/journal.h"
#include "control/netctllink.h"
#include "control/progress.h"
#include "control/proxylink.h"
#include "lib/conf.h"
#include "lib/exits.h"

/* What moves need of the world around them. */
struct mover {
	struct journal *db;
	struct proxylink *proxy;
	struct netctllink *netctl; /* of the client server, where it intercepts; else NULL */
	struct dnslink *dns;       /* NULL: DNS is nobody's business here */
	int dns_wait;              /* seconds until all servers shall show a change */
	const struct conf_control *conf;
	struct progress *progress;
	int cancel_fd; /* readable: the operator wants it undone (a signalfd); -1: none */
	bool force;    /* resume: go past an undo that fails */
	bool unproved; /* --force of a move: the new side need not answer */
	void (*at)(void *arg, const char *step,
		   const char *when); /* "before", "after", "undo-before", "undo-after": where tests crash; or NULL */
	void (*homeward)(void *arg);  /* the account is about to leave the transit server; or NULL */
	void (*tick)(void *arg);      /* about every second while a hook runs; or NULL */
	void *arg;                    /* of all three */
};

struct move {
	struct mover *with;
	struct move_row row;
	json_t *evidence; /* what the running step has to say; the step sets it, owned here */
	bool undoing;
	bool unsealed;                            /* the undo of the seal has run */
	bool unwritten;                           /* the journal could not be written since the switch */
	int64_t step_at, eta_sent_at, written_at; /* monotonic ms */
	int64_t line_at, line_left; /* of the last progress line: when it came, and what it made of the seconds left; -1: nothing */
	int64_t eta_sent;
	json_t *dns_account, *dns_plan; /* publish.h; owned; NULL: not asked */
	json_t *dns_home;               /* of a move home: what DNS said when it was led there first (homeward.h); owned; NULL: not */
	int64_t home_ms;                /* wall clock: no resolver remembers the transit server from then on */
	json_t *probe_before;           /* probe.h: what the old side answered; owned; NULL: not asked */
	char owed[800];                 /* why DNS is not published though the account has moved; "": nothing is owed */
};

/* row: account, account_id, kind, from, to and the options are set; its contents are taken. Then move_done(). */
void move_init(struct move *m, struct mover *with, struct move_row *row);
void move_done(struct move *m);
/* EXIT_STUCK with row.state MOVE_DONE: it has moved and is served, but its DNS is owed (publish.h). */
enum exit_code move_run(struct move *m, struct err *err);
enum exit_code move_resume(struct move *m, struct err *err); /* EXIT_DONE: it is over, as row.state says */

/* A hook says how far it is: screen, proxy and journal hear of it, the latter two not too often. */
void move_progress(struct move *m, double percent);
void move_tick(struct move *m);                /* the same, when it says nothing: time goes on */
bool move_may_fail_open(const struct move *m); /* on the way home, where visitors reach the new side when the proxy is away */
#define MOVE_FAILED_OPEN "failed-open"         /* in row.evidence: they did */
int64_t move_left(const struct move *m);       /* seconds until the account is served again, a day at most; -1: unknown */
