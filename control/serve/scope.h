#pragma once
/* scope - what of a command's answer the owner of one account is shown.
 * Two layers. Of the answer only the members stay that the route's table names, and of lists with accounts only the own entries: what a
 * later version adds stays hidden until somebody decides. Then every text is looked through word by word: one that has another account's
 * name in it, or the name of a token that is not the account's, is left out, or (a reason that the owner waits for) replaced. Numbers that
 * count what happens on the whole server (ids of lines and moves, hashes) go, too. Who did something is told only of the account's own
 * tokens; anybody else is "the operator".
 * Ownership: answers are borrowed, what is returned is new. Threads: one. */
#include "control/journal.h"
#include "control/serve/store.h"

struct scope {
	const char *account;
	struct journal *state; /* who else there is; NULL: every text that is not plainly harmless goes */
	struct store *store;
	struct account_row own; /* its domains may be told whatever words are in them */
};
void scope_open(struct scope *s, const char *account, struct journal *state, struct store *store); /* borrows all three */
void scope_close(struct scope *s);
json_t *scope_answer(const struct scope *s, const char *keeps, const json_t *answer);
json_t *scope_event(const struct scope *s, const json_t *line); /* one line of the trail, of the account itself */
bool scope_tells(const struct scope *s, const char *text);      /* does it name another? */
int64_t state_account(struct journal *j, const char *account);  /* the id of its row; 0: there is none */
