#pragma once
/* claims - by what each account is known: its name, domains, addresses, logins and ports, in a table of the state database with an index.
 * Says in microseconds whether a word is somebody's, however many accounts there are. Triggers keep it in step with the accounts, in the
 * same transaction, whoever changes them; what is removed is in it no more.
 * Words are as lib/acctdef.h keeps them, in lower case: "alice", "*.alice.example", "192.0.2.11", "*@alice.example", "8300".
 * Errors: as journal.h. Threads: one. */
#include "control/journal.h"

enum claim_kind { CLAIM_OF_NAME, CLAIM_OF_DOMAIN, CLAIM_OF_ADDRESS, CLAIM_OF_LOGIN, CLAIM_OF_PORT };
enum claim_whose { CLAIM_NOBODYS, CLAIM_OWN, CLAIM_ANOTHERS };

/* own: the id of the account that asks; what it shares with another is its own. word: in lower case. -errno. */
int claims_whose(struct journal *j, enum claim_kind kind, const char *word, int64_t own, enum claim_whose *out, struct err *err);
/* Of a domain or a name below one, by the nearest that somebody has: www.alice.example is bob's, if he has that, and alice *.alice.example.
 * name: in lower case, without a dot at its end. */
int claims_whose_domain(struct journal *j, const char *name, int64_t own, enum claim_whose *out, struct err *err);

extern const char claims_schema[]; /* SQL, for journal.c: the table, filled from the accounts there are */
