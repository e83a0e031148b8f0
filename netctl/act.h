#pragma once
/* act - what shunt-netctl does, whoever asks: the command line (cmd.c) and other hosts or programs (serve.c) alike. Each deed takes the
 * journal's lock, first does what is overdue, and answers with an object for the asker.
 * Threads: one. Ownership: all borrowed; answers are filled in. */
#include "lib/exits.h"
#include "netctl/build.h"
#include "netctl/op.h"

#include <stdbool.h>

struct act {
	struct world world;
	const struct conf *conf;
	const char *by; /* who asks, for the record */
};

int act_open(struct act *a, const struct conf *conf, struct err *err);
void act_close(struct act *a);

enum exit_code act_plan(struct act *a, const char *name, const struct build_wish *wish, json_t *answer, struct err *err);
/* confirm_s: -1 is the configuration's, 0 confirms at once. In force with the same content already: done. */
enum exit_code act_apply(struct act *a, const char *name, int confirm_s, const struct build_wish *wish, json_t *answer, struct err *err);
enum exit_code act_confirm(struct act *a, const char *name, json_t *answer, struct err *err);            /* name NULL: all that wait */
enum exit_code act_revert(struct act *a, const char *name, bool force, json_t *answer, struct err *err); /* NULL: all, newest first */
enum exit_code act_settle(struct act *a, const char *name, json_t *answer, struct err *err);
enum exit_code act_status(struct act *a, json_t *answer, struct err *err);
/* What lost its owner or was not confirmed in time is undone, a delayed stage applied; after a boot what was in force is put up again. */
enum exit_code act_recover(struct act *a, json_t *answer, struct err *err);
void act_overdue(struct act *a); /* the same, in passing: not while another is at work, and without a word but in the log */
/* Resets the connections to the pairs' addresses on the listeners' ports that local services hold themselves. */
enum exit_code act_reset_old(struct act *a, json_t *answer, struct err *err);
