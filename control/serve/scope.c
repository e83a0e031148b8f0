#include "control/serve/scope.h"

#include "control/serve/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 256
#define REPLACED "refused for a reason that lies with the server; its operator can tell"

/* ---- words ---- */

int64_t state_account(struct journal *j, const char *account)
{
	sqlite3_stmt *st = NULL;
	int64_t id = 0;
	if (!j || db_query(j->db, &st, NULL, "SELECT id FROM accounts WHERE name = ?", "s", account) < 0)
		return 0;
	if (db_next(j->db, st, NULL) == 1)
		id = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return id;
}

void scope_open(struct scope *s, const char *account, struct journal *state, struct store *store)
{
	*s = (struct scope){.account = account, .state = state, .store = store};
	if (state && journal_account(state, account, &s->own, NULL) < 0)
		memset(&s->own, 0, sizeof(s->own));
}

void scope_close(struct scope *s)
{
	account_row_done(&s->own);
}

static bool among(const char *key, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(key, *list) == 0)
			return true;
	}
	return false;
}

/* Words of ours that are in many texts: should an account be called so, they do not tell of it. */
static const char *const ours[] = {"client", "transit", "server", "proxy", "account", "dns",  "http",    "https",  "tls",
				   "tcp",    "web",     "mail",   "hook",  "copy",    "seal", "prepare", "verify", NULL};

static bool is_other(const struct scope *s, const char *word)
{
	if (strcmp(word, s->account) == 0 || among(word, ours))
		return false;
	return !s->state || state_account(s->state, word) || (token_name_ok(word) && token_is_named(s->store, word, s->account));
}

/* One of its own domains, a name below one, or an address of mail there. */
static bool is_own(const struct scope *s, const char *word)
{
	const char *at = strrchr(word, '@');
	size_t len = strlen(word = at ? at + 1 : word);
	for (size_t i = 0; i < s->own.def.n_domains; i++) {
		const char *domain = s->own.def.domains[i];
		domain += strncmp(domain, "*.", 2) == 0 ? 2 : 0;
		size_t n = strlen(domain);
		if (len >= n && strcasecmp(word + len - n, domain) == 0 && (len == n || word[len - n - 1] == '.'))
			return true;
	}
	return false;
}

/* "bob", "bob.example", "mail@bob": as a whole, and each part of it. */
static bool word_tells(const struct scope *s, char *word)
{
	char *rest = NULL;
	size_t len = strlen(word);
	while (len && strchr(".-_", word[len - 1]))
		word[--len] = '\0';
	if (len == 0 || is_own(s, word))
		return false;
	if (is_other(s, word))
		return true;
	for (char *part = strtok_r(word, ".@", &rest); part; part = strtok_r(NULL, ".@", &rest)) {
		if (is_other(s, part))
			return true;
	}
	return false;
}

bool scope_tells(const struct scope *s, const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";
	char word[WORD_MAX];
	while (*(text += strcspn(text, letters))) {
		size_t len = strspn(text, letters);
		if (len >= sizeof(word))
			return true;
		memcpy(word, text, len);
		word[len] = '\0';
		if (word_tells(s, word))
			return true;
		text += len;
	}
	return false;
}

/* ---- members ---- */

/* Our own words, whatever an account may be called. */
static const char *const harmless[] = {"side",   "database-side", "from",  "to",      "state", "step",     "kind",     "direction",
				       "result", "gate",          "what",  "verdict", "fate",  "protocol", "listener", "clock",
				       "at",     "since",         "until", "began",   "ended", "by-kind",  "grade",    NULL};
/* They count what happens to everybody. */
static const char *const hidden[] = {"id", "hash", "move", "trail", "lines", "head", "pid", "host", "proxy-away", "others", NULL};
static const char *const people[] = {"who", "user", "by", NULL};
static const char *const reasons[] = {"error", "reason", "why", "text", "does", "owed", NULL};

static json_t *clean(const struct scope *s, const char *key, const json_t *v);

static json_t *clean_person(const struct scope *s, const char *who)
{
	char name[TOKEN_NAME_MAX + 1];
	const char *token = strstr(who, "(token: ");
	if (token && sscanf(token, "(token: %32[a-z0-9._-])", name) == 1 && !token_is_named(s->store, name, s->account))
		return json_string(name);
	return json_string("the operator");
}

/* "alice is being moved by root (token: panel)" by whoever it is not hers to know: "by the operator". Returns new. */
static char *without_persons(const char *text)
{
	char *out = strdup(text), *token;
	while (out && (token = strstr(out, " (token: "))) {
		char *from = token, *end = strchr(token, ')'), *shorter = NULL;
		while (from > out && from[-1] != ' ')
			from--;
		if (!end || asprintf(&shorter, "%.*sthe operator%s", (int)(from - out), out, end + 1) < 0)
			break;
		free(out);
		out = shorter;
	}
	return out;
}

static json_t *clean_reason(const struct scope *s, const char *text)
{
	char *shown = without_persons(text);
	json_t *o = json_string(shown && !scope_tells(s, shown) ? shown : REPLACED);
	free(shown);
	return o;
}

static json_t *clean_text(const struct scope *s, const char *key, const char *text)
{
	if (among(key, people))
		return clean_person(s, text);
	if (among(key, harmless) || !scope_tells(s, text))
		return json_string(text);
	if (strcmp(key, "found") == 0) /* by a check */
		return json_string("something that lies with the server; its operator can tell");
	return among(key, reasons) ? clean_reason(s, text) : NULL;
}

static json_t *clean_object(const struct scope *s, const json_t *o)
{
	const char *key;
	json_t *v, *out = json_object();
	json_object_foreach ((json_t *)o, key, v) {
		json_t *kept = among(key, hidden) ? NULL : clean(s, key, v);
		if (kept)
			json_object_set_new(out, key, kept);
	}
	return out;
}

static json_t *clean(const struct scope *s, const char *key, const json_t *v)
{
	json_t *item, *out;
	size_t i;
	if (strcmp(key, "consent") == 0)
		return json_deep_copy(v); /* by what it was given, and when */
	if (json_is_string(v))
		return clean_text(s, key, json_string_value(v));
	if (json_is_object(v))
		return clean_object(s, v);
	if (!json_is_array(v))
		return json_deep_copy(v);
	out = json_array();
	json_array_foreach (v, i, item) {
		json_t *kept = clean(s, key, item);
		if (kept)
			json_array_append_new(out, kept);
	}
	return out;
}

/* An entry of a list that says whose it is. */
static bool is_anothers(const struct scope *s, const json_t *o)
{
	const char *account = json_string_value(json_object_get(o, "account"));
	const char *name = json_string_value(json_object_get(o, "name"));
	return (account && strcmp(account, s->account) != 0) ||
	       (!account && name && json_object_get(o, "side") && strcmp(name, s->account) != 0);
}

static json_t *keep(const struct scope *s, const char *key, const json_t *v)
{
	json_t *own = NULL, *item;
	size_t i;
	if (strcmp(key, "prices") == 0) {
		own = json_object();
		json_object_set(own, s->account, json_object_get(v, s->account));
	} else if (json_is_array(v)) {
		own = json_array();
		json_array_foreach (v, i, item) {
			if (!is_anothers(s, item))
				json_array_append(own, item);
		}
	} else if (json_is_object(v) && is_anothers(s, v)) {
		return NULL;
	}
	json_t *out = clean(s, key, own ? own : v);
	json_decref(own);
	return out;
}

static bool named(const char *keeps, const char *key)
{
	size_t len = strlen(key);
	for (const char *p = keeps; len && p && (p = strstr(p, key)); p += len) {
		if ((p == keeps || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
	}
	return false;
}

json_t *scope_answer(const struct scope *s, const char *keeps, const json_t *answer)
{
	json_t *out = json_object(), *v;
	const char *key;
	json_object_foreach ((json_t *)answer, key, v) {
		bool frame = strcmp(key, "ok") == 0 || strcmp(key, "exit") == 0 || strcmp(key, "error") == 0;
		json_t *kept = frame ? clean(s, key, v) : named(keeps, key) ? keep(s, key, v) : NULL;
		if (kept)
			json_object_set_new(out, key, kept);
	}
	return out;
}

json_t *scope_event(const struct scope *s, const json_t *line)
{
	return is_anothers(s, line) ? json_object() : clean_object(s, line);
}
