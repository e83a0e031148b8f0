#include "control/serve/names.h"

#include "control/claims.h"
#include "control/db.h"
#include "control/serve/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 300 /* a login with its domain is the longest */

/* ---- what is replaced ---- */

enum part { PART_PERSON, PART_PROCESS, PART_FILE, PART_PEER, N_PARTS };
_Static_assert(N_PARTS == NAMES_PARTS, "room for each");
#define PROCESS "(\\(pid [0-9]+( on [^ )]+)?\\)|pid [0-9]+( on [^ ,;:)]+)?)"
#define SEGMENT "/[A-Za-z0-9._@%+~{}-]+"
/* group: which one is replaced; what is before it (a file does not begin within a URL) stays. */
static const struct {
	const char *pattern;
	size_t group;
} parts[] = {
	[PART_PERSON] = {"[^ ]+ (\\((sudo|token): [^)]*\\)( " PROCESS ")?|\\(pid [0-9]+ on [^ )]+\\))", 0},
	[PART_PROCESS] = {" ?" PROCESS, 0},
	[PART_FILE] = {"(^|[] \t\n\"'`(=:,;<>|[])((unix:)?" SEGMENT "(" SEGMENT ")+/?)", 2},
	[PART_PEER] = {"tls://[^] ,;)\"]+", 0},
};

void names_open(struct names *n, const char *account, int64_t id, struct journal *state, struct store *store, const struct conf *conf)
{
	*n = (struct names){.account = account, .id = id, .state = state, .store = store, .conf = conf, .seen = json_object()};
	for (size_t i = 0; i < N_PARTS; i++)
		n->blind |= regcomp(&n->parts[i], parts[i].pattern, REG_EXTENDED) != 0;
}

void names_close(struct names *n)
{
	json_decref(n->seen);
	n->seen = NULL;
	for (size_t i = 0; i < N_PARTS; i++)
		regfree(&n->parts[i]);
}

/* ---- one name ---- */

/* Words of ours that are in many texts: should an account be called so, they do not tell of it. */
static bool is_ours(const char *word)
{
	static const char *const ours[] = {"client",  "transit", "server", "proxy",  "account", "dns",  "http", "https",
					   "tls",     "tcp",     "web",    "mail",   "smtp",    "imap", "pop",  "ftp",
					   "ssh",     "mysql",   "ssl",    "shunt",  "netctl",  "hook", "copy", "seal",
					   "prepare", "verify",  "local",  "source", "example", NULL};
	for (const char *const *o = ours; *o; o++) {
		if (strcasecmp(word, *o) == 0)
			return true;
	}
	return false;
}

static void lower(char *to, const char *from)
{
	size_t n = 0;
	for (; from[n] && n < WORD_MAX - 1; n++)
		to[n] = (char)(from[n] >= 'A' && from[n] <= 'Z' ? from[n] | 0x20 : from[n]);
	to[n] = '\0';
}

static enum claim_whose whose(const struct names *n, enum claim_kind kind, const char *word)
{
	enum claim_whose found;
	return n->state && claims_whose(n->state, kind, word, n->id, &found, NULL) == 0 ? found : CLAIM_ANOTHERS;
}

static enum claim_whose whose_domain(const struct names *n, const char *name)
{
	enum claim_whose found;
	return n->state && claims_whose_domain(n->state, name, n->id, &found, NULL) == 0 ? found : CLAIM_ANOTHERS;
}

/* Of an account that was removed the trail still has lines. */
static bool was_there(const struct names *n, const char *name)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(n->state->db, &st, NULL, "SELECT 1 FROM journal WHERE account = ? LIMIT 1", "s", name);
	if (rc == 0)
		rc = db_next(n->state->db, st, NULL);
	sqlite3_finalize(st);
	return rc != 0;
}

static bool is_anothers_name(const struct names *n, const char *word)
{
	char low[WORD_MAX];
	if (strcmp(word, n->account) == 0 || is_ours(word))
		return false;
	if (!n->state)
		return true;
	lower(low, word);
	switch (whose(n, CLAIM_OF_NAME, low)) {
	case CLAIM_ANOTHERS:
		return true;
	case CLAIM_OWN:
		return false;
	case CLAIM_NOBODYS:
		break;
	}
	return (account_name_ok(word) && was_there(n, word)) || (token_name_ok(word) && token_is_named(n->store, word, n->id));
}

/* "ftp-bob", "bob-shop": both ends at each hyphen. */
static bool label_tells(const struct names *n, char *label)
{
	if (is_anothers_name(n, label))
		return true;
	if (strcmp(label, n->account) == 0 || (token_name_ok(label) && token_is_of(n->store, label, n->id)))
		return false;
	for (char *p = strchr(label, '-'); p && n->state; p = strchr(p + 1, '-')) {
		*p = '\0';
		bool tells = (*label && is_anothers_name(n, label)) || (p[1] && is_anothers_name(n, p + 1));
		*p = '-';
		if (tells)
			return true;
	}
	return false;
}

/* ---- one word ---- */

static bool labels_tell(const struct names *n, char *word)
{
	char *rest = NULL;
	for (char *label = strtok_r(word, ".@", &rest); label; label = strtok_r(NULL, ".@", &rest)) {
		if (label_tells(n, label))
			return true;
	}
	return false;
}

/* NOBODYS: neither as it is, nor as all of its domain. at: where its @ is. */
static enum claim_whose whose_login(const struct names *n, const char *low, const char *at)
{
	char star[WORD_MAX + 2];
	enum claim_whose found = whose(n, CLAIM_OF_LOGIN, low);
	if (found != CLAIM_NOBODYS || !at)
		return found;
	snprintf(star, sizeof(star), "*%s", at);
	found = whose(n, CLAIM_OF_LOGIN, star);
	return found != CLAIM_NOBODYS ? found : whose_domain(n, at + 1);
}

/* "bob", "bob.example", "mail@bob.example", "ftp-bob": as a whole, and by its parts. */
static bool word_tells(const struct names *n, char *word, bool only_full)
{
	char low[WORD_MAX];
	size_t len = strlen(word);
	struct addr ip;
	while (len && strchr(".-_@", word[len - 1]))
		word[--len] = '\0';
	lower(low, word);
	const char *at = strchr(low, '@');
	if (len == 0 || (only_full && !strpbrk(low, ".@")) || addr_parse(&ip, low) || strcmp(word, n->account) == 0)
		return false;
	if (!n->state && !strpbrk(low, ".@"))
		return is_anothers_name(n, word);
	enum claim_whose found = is_ours(word) ? CLAIM_NOBODYS : whose_login(n, low, at);
	if (found == CLAIM_NOBODYS && !at)
		found = whose_domain(n, low);
	if (found != CLAIM_NOBODYS)
		return found == CLAIM_ANOTHERS;
	return is_anothers_name(n, word) || labels_tell(n, word);
}

static bool word_tells_once(const struct names *n, char *word, bool only_full)
{
	char key[WORD_MAX + 2];
	snprintf(key, sizeof(key), "%c%s", only_full ? '.' : ' ', word);
	const json_t *known = json_object_get(n->seen, key);
	if (known)
		return json_is_true(known);
	bool tells = word_tells(n, word, only_full);
	json_object_set_new(n->seen, key, json_boolean(tells));
	return tells;
}

/* ---- a text ---- */

typedef bool run_fn(const struct names *n, char *run, const char *before, bool only_full);

static bool on_word(const struct names *n, char *run, const char *before, bool only_full);

/* Calls fn for each run of these letters; a word that is too long tells, since nobody looked. before: what stands in front of it. */
static bool any_run(const struct names *n, const char *text, const char *letters, run_fn *fn, bool only_full)
{
	char run[WORD_MAX];
	const char *begin = text;
	while (*(text += strcspn(text, letters))) {
		char before[6] = "";
		size_t len = strspn(text, letters), ahead = (size_t)(text - begin);
		if (len >= sizeof(run)) {
			if (fn == on_word)
				return true;
			text += len; /* no address and no login is so long */
			continue;
		}
		ahead = ahead < sizeof(before) - 1 ? ahead : sizeof(before) - 1;
		memcpy(before, text - ahead, ahead);
		memcpy(run, text, len);
		run[len] = '\0';
		if (fn(n, run, before, only_full))
			return true;
		text += len;
	}
	return false;
}

static bool on_word(const struct names *n, char *run, const char *before, bool only_full)
{
	size_t len = strlen(before);
	bool port = strspn(run, "0123456789") == strlen(run) &&
		    ((len && before[len - 1] == ':') || (len == 5 && strcasecmp(before, "port ") == 0));
	if (port && !only_full && n->state && whose(n, CLAIM_OF_PORT, run) == CLAIM_ANOTHERS)
		return true;
	return word_tells_once(n, run, only_full);
}

static bool is_anothers_address(const struct names *n, const struct addr *ip)
{
	char text[ADDR_TEXT_MAX];
	return whose(n, CLAIM_OF_ADDRESS, addr_text(ip, text)) == CLAIM_ANOTHERS;
}

/* On the other server an address of another's has a partner. */
static bool is_anothers_partner(const struct names *n, const struct addr *ip)
{
	for (size_t i = 0; n->conf && i < n->conf->n_pairs; i++) {
		const struct conf_pair *p = &n->conf->pairs[i];
		if (!p->transit.text)
			continue;
		if ((addr_same_ip(ip, &p->client.addr) && is_anothers_address(n, &p->transit.addr)) ||
		    (addr_same_ip(ip, &p->transit.addr) && is_anothers_address(n, &p->client.addr)))
			return true;
	}
	return false;
}

static bool on_address(const struct names *n, char *run, const char *before, bool only_full)
{
	struct addr ip;
	size_t len = strlen(run);
	(void)before;
	(void)only_full;
	while (len && strchr(".:", run[len - 1]) && !(len > 1 && run[len - 1] == ':' && run[len - 2] == ':'))
		run[--len] = '\0';
	if (!strpbrk(run, ".:") || !(addr_parse(&ip, run) || addr_parse_port(&ip, run)))
		return false;
	return n->state && (is_anothers_address(n, &ip) || is_anothers_partner(n, &ip));
}

/* Logins may have letters that words have not. */
static bool on_login(const struct names *n, char *run, const char *before, bool only_full)
{
	char low[WORD_MAX];
	(void)before;
	if (!strpbrk(run, "!#$%&'*+/=?^`{|}~") || (only_full && !strchr(run, '@')) || !n->state)
		return false;
	lower(low, run);
	size_t len = strlen(low);
	while (len && strchr(".-_'!?=/", low[len - 1]))
		low[--len] = '\0';
	const char *from = low + strspn(low, "'`={/"), *value = strrchr(from, '=');
	return whose(n, CLAIM_OF_LOGIN, from) == CLAIM_ANOTHERS || (value && whose(n, CLAIM_OF_LOGIN, value + 1) == CLAIM_ANOTHERS);
}

#define DIGITS  "0123456789"
#define SMALL   "abcdefghijklmnopqrstuvwxyz"
#define CAPITAL "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

bool names_tell(const struct names *n, const char *text, bool only_full)
{
	return any_run(n, text, DIGITS SMALL CAPITAL "._-@", on_word, only_full) ||
	       any_run(n, text, DIGITS "abcdefABCDEF.:", on_address, only_full) ||
	       any_run(n, text, DIGITS SMALL CAPITAL "._-@!#$%&'*+/=?^`{|}~", on_login, only_full);
}

/* ---- persons and files ---- */

json_t *names_person(const struct names *n, const char *who)
{
	char name[TOKEN_NAME_MAX + 1];
	const char *token = strstr(who, "(token: ");
	if (token && sscanf(token, "(token: %32[a-z0-9._-])", name) == 1 && token_is_of(n->store, name, n->id))
		return json_string(name);
	return json_string("the operator");
}

/* Where a site leads its visitors is no file (control/preflight_twin.c). */
static bool is_redirect(const char *text, size_t before)
{
	static const char to[] = "redirects to ";
	return before >= sizeof(to) - 1 && memcmp(text + before - (sizeof(to) - 1), to, sizeof(to) - 1) == 0;
}

static void put_instead(const struct names *n, enum part part, FILE *out, const char *found, size_t len)
{
	char *text = strndup(found, len);
	json_t *who = part == PART_PERSON && text ? names_person(n, text) : NULL;
	if (who)
		fputs(json_string_value(who), out);
	else if (part == PART_FILE)
		fputs("a file of the server", out);
	else if (part == PART_PEER)
		fputs("a part of the server", out);
	json_decref(who);
	free(text);
}

/* text is taken, what is returned is new; NULL: no memory. */
static char *replace(const struct names *n, enum part part, char *text)
{
	char *out = NULL;
	size_t size, g = parts[part].group;
	regmatch_t at[8];
	if (!text || n->blind) {
		free(text);
		return NULL;
	}
	FILE *f = open_memstream(&out, &size);
	const char *p = text;
	while (f && regexec(&n->parts[part], p, sizeof(at) / sizeof(*at), at, p == text ? 0 : REG_NOTBOL) == 0) {
		size_t from = (size_t)at[g].rm_so, to = (size_t)at[g].rm_eo;
		fwrite(p, 1, from, f);
		if (part == PART_FILE && is_redirect(p, from))
			fwrite(p + from, 1, to - from, f);
		else
			put_instead(n, part, f, p + from, to - from);
		p += to;
	}
	if (f)
		fputs(p, f);
	if (!f || fclose(f) != 0) {
		free(out);
		out = NULL;
	}
	free(text);
	return out;
}

char *names_plain(const struct names *n, const char *text)
{
	char *out = strdup(text);
	if (strstr(text, "pid ") || strstr(text, "(sudo: ") || strstr(text, "(token: ")) {
		out = replace(n, PART_PERSON, out);
		out = replace(n, PART_PROCESS, out);
	}
	if (strchr(text, '/')) {
		out = replace(n, PART_FILE, out);
		out = replace(n, PART_PEER, out);
	}
	return out;
}
