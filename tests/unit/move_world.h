#pragma once
/* move_world - what tests of moves move in: a proxy and daemons in memory, hooks that are real processes, a real database, and a controller
 * that may die at any point. alice is on the client server. */
#include "control/move.h"
#include "control/steps.h"
#include "tests/unit/fake_dnsupdate.h"
#include "tests/unit/fake_netctl.h"
#include "tests/unit/fake_proxy.h"

struct world {
	char dir[64], state[96];
	char *hook[4]; /* prepare, copy, seal, verify */
	struct fake_proxy *proxy;
	struct conf_control conf;
	struct who who;
	const char *crash_step, *crash_when;
	const char *full_step, *full_when; /* the disk is full from here on */
	const char *room_step;             /* after this step there is room again */
	struct journal *db;                /* while a controller runs */
	struct fake_netctl *netctl;        /* of the client server, where it intercepts; or NULL */
	struct fake_dnsupdate *dns;        /* or NULL: none is configured */
	const char *kind;                  /* of the next move; NULL: migrate */
	bool no_dns;
	bool force;         /* of a resume */
	bool cancelled;     /* somebody has pressed Ctrl-C */
	const char *price;  /* JSON: agreed to; or NULL */
	char homeward[100]; /* the proxy's calls when an account was about to leave the transit server */
};

int setup(void **state);
int teardown(void **state);
struct journal *open_db(struct world *w); /* journal_close() */

/* A hook notes that it ran, and fails when the file fail-NAME-PHASE is there. */
void touch(struct world *w, const char *name);
void forget(struct world *w, const char *name);
bool ran(struct world *w, const char *what); /* "copy:apply:alice:client:transit", or how it begins */

/* One controller: resumes what is open, or else moves alice. */
enum exit_code controller(struct world *w, enum side to, bool resume, enum move_state *state, struct err *err);
enum exit_code run(struct world *w, bool resume, enum move_state *state); /* to the transit server */
int run_child(struct world *w, bool resume); /* in a child that may die on the way: its exit code, 99 for the crash */

void assert_settled(struct world *w, enum side side); /* table, database and gate say one thing, and nothing is left open */
void undone(struct world *w, char *out, size_t cap);  /* the steps that the trail says were undone, in order */
