#pragma once
/* token - who may use the API: a name, what it may do, and 256 random bits that are shown once.
 * Kinds: an operator's may do everything; one of an account knows that account alone; one for metrics reads /metrics.
 * At rest there is the SHA-256 of the token. No slow hash: those make guessing dear where people chose the secret, and here nobody can try
 * 2^256 of them; a slow one would only let each request cost more than it does.
 * Errors: 0 or -errno, text in err. Units: ms since 1970 UTC. */
#include "control/serve/store.h"
#include "lib/acctdef.h"

#include <jansson.h>

#define TOKEN_PREFIX   "shunt_"
#define TOKEN_TEXT_MAX 71 /* prefix, 64 hexadecimal digits, NUL */
#define TOKEN_NAME_MAX 32

enum token_kind { TOKEN_OPERATOR, TOKEN_ACCOUNT, TOKEN_METRICS };
const char *token_kind_name(enum token_kind k); /* "operator", "account", "metrics" */

struct token {
	int64_t id; /* never used twice */
	char name[TOKEN_NAME_MAX + 1];
	enum token_kind kind;
	char account[ACCOUNT_NAME_MAX + 1]; /* "" unless of an account */
	int64_t account_id;                 /* of its row: another one that is called the same later is not this one's; 0: none */
	int64_t created, expires, used;     /* expires 0: never; used 0: never */
};

bool token_name_ok(const char *name); /* 1 to 32 of a-z 0-9 . _ -, the first a letter or digit */
/* t: name, kind, account and its id, expires; id and created are set. out: the token itself, which nobody can tell again. -EEXIST: there is
 * one of that name. */
int token_create(struct store *s, struct token *t, const char *made_by, char out[TOKEN_TEXT_MAX], struct err *err);
int token_revoke(struct store *s, const char *name, struct err *err); /* at once; -ENOENT */
int token_list(struct store *s, json_t **out, struct err *err);       /* new: an array of objects, without hashes */
/* Whose it is. -ENOENT: nobody's, or it has expired; the time that takes does not tell how much of it was right. */
int token_find(struct store *s, const char *text, int64_t now, struct token *out, struct err *err);
int token_by_id(struct store *s, int64_t id, int64_t now, struct token *out, struct err *err); /* likewise */
bool token_is_good(struct store *s, int64_t id, int64_t now);                                  /* still? */
int token_used(struct store *s, struct token *t, int64_t now, struct err *err);                /* noted once a minute at the most */
/* By the id of an account's row. Those that were revoked count, too: what they did is still told of. */
bool token_is_named(struct store *s, const char *name, int64_t account_id); /* is there one of that name which is not the account's? */
bool token_is_of(struct store *s, const char *name, int64_t account_id);    /* is there one, and is it always the account's? */
json_t *token_json(const struct token *t);                                  /* new */
