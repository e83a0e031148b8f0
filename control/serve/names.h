#pragma once
/* names - what a text tells the owner of one account: about other accounts, about the people who run the server, about the machine.
 * It names another account by its name, by a domain, an address, a login or a port of it (control/claims.h), by the name of somebody
 * else's token, or by the name of an account that was removed. A name counts as a word of its own, as a label of a domain, and before or
 * behind a hyphen ("ftp-bob"). What cannot be looked up counts as another's.
 * Ownership: all is borrowed until names_close(); what is returned is new. Threads: one. */
#include "control/journal.h"
#include "control/serve/store.h"
#include "lib/conf.h"

#include <regex.h>

#define NAMES_PARTS 4 /* of a text that are replaced: persons, processes, files, peers */

struct names {
	const char *account;
	int64_t id;            /* of the account's row; 0: there is none */
	struct journal *state; /* NULL: every word that is not plainly harmless is another's */
	struct store *store;
	const struct conf *conf; /* the partner of another's address tells, too; NULL: there are no pairs */
	json_t *seen;            /* what was asked for already; owned */
	regex_t parts[NAMES_PARTS];
	bool blind; /* no memory for these: nothing is told */
};
void names_open(struct names *n, const char *account, int64_t id, struct journal *state, struct store *store, const struct conf *conf);
void names_close(struct names *n);
/* only_full: of our own words, which an account may be called: only domains, addresses and logins with a domain count. */
bool names_tell(const struct names *n, const char *text, bool only_full);
/* Without persons, process numbers, hosts and files: "alice is being moved by the operator since ..". NULL: no memory. */
char *names_plain(const struct names *n, const char *text);
/* "root (token: alice-web) pid 7 on control": the token, where it is one of the account's, else "the operator". */
json_t *names_person(const struct names *n, const char *who);
