#pragma once
/* scope - what of a command's answer the owner of one account is shown.
 * Two layers. Of the answer only the members stay that the route's table names, of a line's evidence those that scope.c names, of lists and
 * of objects by name only the own entries, and of the trail only what was written since there is this account: what a later version adds
 * stays hidden until somebody decides. Then every text and every name of a member is looked through (names.h): one that tells of another
 * account, or of a token that is not the account's, is left out, or (a reason that the owner waits for) replaced; persons, processes and
 * files of the server go from the others. Numbers that count what happens on the whole server (ids of lines and moves, hashes) go, too. Who
 * did something is told only of the account's own tokens; anybody else is "the operator".
 * Ownership: answers are borrowed, what is returned is new. Threads: one. */
#include "control/journal.h"
#include "control/serve/names.h"

struct scope {
	const char *account;
	struct names names;
	struct journal *reading; /* its transaction is ours: the answer is looked through as of one moment, and waits for a lock once */
	int64_t before;          /* the last line of the trail about another account that was called the same; 0: there was none */
};
/* id: of the account's row, as the token has it. Borrows the others. */
void scope_open(struct scope *s, const char *account, int64_t id, struct journal *state, struct store *store, const struct conf *conf);
void scope_close(struct scope *s);
json_t *scope_answer(const struct scope *s, const char *keeps, const json_t *answer);
json_t *scope_event(const struct scope *s, const json_t *line); /* one line of the trail, of the account itself */
bool scope_tells(const struct scope *s, const char *text);      /* does it name another? */
int64_t scope_before(struct journal *j, const char *account);   /* as in the struct; INT64_MAX: it cannot be told */
int64_t state_account(struct journal *j, const char *account);  /* the id of its row; 0: there is none */
