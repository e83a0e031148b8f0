#pragma once
/* operation - a changing call, from before it begins until days after its end: what is on disk of it.
 * A row is written before the command is started, so that a key answers the same whatever happens to serve meanwhile.
 * Keys belong to a token and are forgotten KEY_HOURS after the call; operations KEPT_DAYS after it, or when their token has OPERATIONS_KEPT
 * of them: the oldest of those that are over and have no key any more gives way, and where there is none, a new one is refused.
 * Errors: 0 or -errno, text in err. Units: ms since 1970 UTC. */
#include "control/serve/store.h"
#include "control/serve/token.h"
#include "lib/hex.h"

#include <jansson.h>

#define OPERATION_ID_MAX  33 /* 128 random bits, hexadecimal, NUL */
#define OPERATION_KEY_MAX 64
#define KEY_HOURS         24
#define KEPT_DAYS         7
#define OPERATIONS_SHOWN  100
#define OPERATIONS_KEPT   10000 /* of one token */

struct operation {
	char id[OPERATION_ID_MAX];
	int64_t token;
	char token_name[TOKEN_NAME_MAX + 1];
	char account[ACCOUNT_NAME_MAX + 1]; /* "": of the server */
	int64_t account_id;                 /* of its row then; 0: none */
	bool by_owner;                      /* begun by a token of that account */
	char command[24];
	char *request, *argv; /* JSON; owned */
	int lane;
	char key[OPERATION_KEY_MAX + 1]; /* "": none */
	char digest[HEX_SHA256_MAX];     /* of what was asked, to tell whether a key is used again for the same */
	char state[8];                   /* queued, running, done */
	int64_t trail;                   /* the last line of the trail before it began (until then: was asked for); -1: not known */
	int64_t created, started, ended; /* 0: not yet */
	int exit;
	char *answer; /* JSON, of the command; owned; NULL: none yet */
};
void operation_done(struct operation *o);
void operation_digest(const char *what, const json_t *fields, char out[HEX_SHA256_MAX]);

int operation_identify(struct operation *o, struct err *err); /* sets id */
/* Sets created and state. -EEXIST: the key is used; -EDQUOT: its token has too many that are kept. */
int operation_add(struct store *s, struct operation *o, struct err *err);
/* account_id: -ENOENT also of what is not that account's, by the same look-up; OPERATION_OF_ALL: any. */
#define OPERATION_OF_ALL (-1)
int operation_find(struct store *s, const char *id, int64_t account_id, struct operation *out, struct err *err);
int operation_by_key(struct store *s, int64_t token, const char *key, struct operation *out, struct err *err); /* -ENOENT */
/* Once more is fine, for one of which it is not known whether it was written. trail: as above. */
int operation_began(struct store *s, const char *id, int64_t trail, struct err *err);
int operation_end(struct store *s, const char *id, int exit, const char *answer, struct err *err);
/* Those that are not over, the oldest first; at most max of them. Returns how many, or -errno. */
int operation_open(struct store *s, struct operation *out, int max, struct err *err);
/* account_id likewise; the newest first, OPERATIONS_SHOWN at the most. New. */
int operation_list(struct store *s, int64_t account_id, json_t **out, struct err *err);
int operation_forget(struct store *s, int64_t now, struct err *err); /* keys and rows whose time is over */
/* Without its answer, as that account's owner is shown it, or the operator; new. */
json_t *operation_json(const struct operation *o, int64_t account_id);
