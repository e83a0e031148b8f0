#pragma once
/* session - who has logged in to the panel: 256 random bits in a cookie, for a token. A session is always a new one: what a browser brings
 * along is looked up and never taken over. It ends when its token does, by logging out, after IDLE without a request, after LIFE in any
 * case, and where there are too many. Kept on disk, by hash alone, so that who watches a move need not log in again when serve restarts.
 * Errors: 0 or -errno. Units: ms since 1970 UTC. Threads: the loop's. */
#include "control/serve/token.h"

#define SESSION_TEXT_MAX  65 /* 64 hexadecimal digits, NUL */
#define SESSION_IDLE_MS   (2 * 3600000LL)
#define SESSION_LIFE_MS   (12 * 3600000LL)
#define SESSIONS_MAX      1000
#define SESSIONS_OF_TOKEN 20

int session_begin(struct store *s, const struct token *t, int64_t now, char id[SESSION_TEXT_MAX], struct err *err);
/* Whose: -ENOENT: nobody's, or it is over. */
int session_find(struct store *s, const char *id, int64_t now, struct token *out, struct err *err);
int session_end(struct store *s, const char *id, struct err *err);
bool session_id_ok(const char *id); /* is it written like one? */
