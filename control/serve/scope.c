#include "control/serve/scope.h"

#include "control/db.h"
#include "control/finding.h"
#include "lib/member.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACED "refused for a reason that lies with the server; its operator can tell"
#define REMOVED  "account removed" /* how lines of the trail begin that end an account */

int64_t state_account(struct journal *j, const char *account)
{
	int64_t id = 0;
	if (j)
		db_number(j->db, &id, NULL, "SELECT id FROM accounts WHERE name = ?", "s", account);
	return id;
}

int64_t scope_before(struct journal *j, const char *account)
{
	json_t *line;
	int rc = j ? journal_last(j, account, REMOVED, &line, NULL) : -EIO;
	if (rc < 0)
		return rc == -ENOENT ? 0 : INT64_MAX;
	int64_t id = member_int(line, "id");
	json_decref(line);
	return id;
}

void scope_open(struct scope *s, const char *account, int64_t id, struct journal *state, struct store *store, const struct conf *conf)
{
	*s = (struct scope){.account = account, .before = INT64_MAX};
	if (state && db_exec(state->db, "BEGIN", NULL) == 0)
		s->reading = state;
	s->before = scope_before(state, account);
	names_open(&s->names, account, id, s->before == INT64_MAX ? NULL : state, store, conf);
}

void scope_close(struct scope *s)
{
	names_close(&s->names);
	if (s->reading)
		sqlite3_exec(s->reading->db, "ROLLBACK", NULL, NULL, NULL);
	s->reading = NULL;
}

bool scope_tells(const struct scope *s, const char *text)
{
	return names_tell(&s->names, text, false);
}

static bool among(const char *key, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(key, *list) == 0)
			return true;
	}
	return false;
}

/* ---- members ---- */

/* Our own words and times, whatever an account may be called. */
static const char *const ours[] = {"side",  "database-side", "state",   "step",  "kind",     "direction", "result",
				   "gate",  "what",          "verdict", "fate",  "protocol", "clock",     "at",
				   "since", "until",         "began",   "ended", "by-kind",  "grade",     NULL};
/* Sides, or what the account's own records say and should say. */
static const char *const ends[] = {"from", "to", NULL};
/* They count what happens to everybody, or are of the machine. */
static const char *const hidden[] = {"id",  "hash", "move",       "trail",  "lines",     "head",
				     "pid", "host", "proxy-away", "others", "hook-copy", NULL};
static const char *const people[] = {"who", "user", "by", NULL};
static const char *const reasons[] = {"error", "reason", "why", "text", "does", "owed", NULL};

/* Of the evidence of a line: what became of the account's own visitors, what a rollback would cost, what it is defined as. The rest is for
 * who runs the server: hooks, probes of all its addresses, zones and name servers, connections that netctl has reset. */
static const char *const evidence[] = {
	"evidence",      "gate",      "side",      "database",    "proxy",         "in-flight",      "parked",         "drained",
	"cut",           "ms",        "refused",   "released",    "gave-up",       "hold-ms",        "median-wait-ms", "longest-wait-ms",
	"held-at",       "fenced-at", "opened-at", "released-at", "last-byte-old", "first-byte-new", "restored",       "nothing",
	"reason",        "error",     "owed",      "account",     "known",         "whole",          "switched-at",    "direct",
	"counted-since", "missing",   "writes",    "connections", "nil",           "text",           "consent",        "name",
	"domains",       "addresses", "logins",    "ports",       "databases_gb",  "kind",           "expires",        NULL};

static json_t *clean(const struct scope *s, const char *key, const json_t *v);

static json_t *clean_text(const struct scope *s, const char *key, const char *text)
{
	if (among(key, people))
		return names_person(&s->names, text);
	if (among(key, ends))
		return json_string(text);
	char *plain = names_plain(&s->names, text);
	json_t *o = plain && !names_tell(&s->names, plain, among(key, ours)) ? json_string(plain) : NULL;
	free(plain);
	if (o)
		return o;
	return among(key, reasons) ? json_string(REPLACED) : NULL;
}

/* Members that are called by what they are about: by accounts, or by names of hosts. */
static bool is_told(const struct scope *s, const char *of, const char *key)
{
	if (strcmp(of, "prices") == 0)
		return strcmp(key, s->account) == 0;
	return !among(key, hidden) && (strcmp(of, "evidence") != 0 || among(key, evidence)) && !names_tell(&s->names, key, true);
}

static json_t *clean_object(const struct scope *s, const char *of, const json_t *o)
{
	const char *key;
	json_t *v, *out = json_object();
	json_object_foreach ((json_t *)o, key, v) {
		json_t *kept = is_told(s, of, key) ? clean(s, key, v) : NULL;
		if (kept)
			json_object_set_new(out, key, kept);
	}
	return out;
}

/* An entry that says whose it is, or is of the time before this account. of: the member it stands in. */
static bool is_anothers(const struct scope *s, const char *of, const json_t *o)
{
	bool account_itself = strcmp(of, "account") == 0 || strcmp(of, "accounts") == 0;
	const char *account = json_string_value(json_object_get(o, "account"));
	const char *name = account_itself ? json_string_value(json_object_get(o, "name")) : NULL;
	const json_t *trail = json_object_get(o, "trail"), *id = json_object_get(trail ? trail : o, trail ? "first" : "id");
	if (s->before && json_is_integer(id) && (trail || json_object_get(o, "what")) && json_integer_value(id) <= s->before)
		return true; /* a line, or a report made of such */
	return (account && strcmp(account, s->account) != 0) || (!account && name && strcmp(name, s->account) != 0);
}

/* ---- what a check has found ---- */

static bool finding_tells(const struct scope *s, const json_t *finding)
{
	static const char *const texts[] = {"name", "found", "do"};
	bool tells = strcmp(member_text(finding, "kind"), "shared-certificate") == 0; /* with other accounts, whatever those are called */
	for (size_t i = 0; !tells && i < sizeof(texts) / sizeof(*texts); i++) {
		char *plain = names_plain(&s->names, member_text(finding, texts[i]));
		tells = !plain || names_tell(&s->names, plain, false);
		free(plain);
	}
	return tells;
}

/* What is about others as well is the operator's to mend; but the owner is told that something stops the move. */
static json_t *clean_findings(const struct scope *s, const json_t *list)
{
	json_t *out = json_array(), *f;
	size_t i;
	json_array_foreach (list, i, f) {
		if (!finding_tells(s, f))
			json_array_append_new(out, clean_object(s, "", f));
		else if (grade_of(f) == GRADE_STOP)
			FIND(out, GRADE_STOP, "server", s->account, NULL, "something that lies with the server; its operator can tell");
	}
	return out;
}

/* Of what is shown: else their number would tell how much is not. */
static void count_findings(json_t *answer)
{
	size_t sum[GRADES] = {0}, counts[GRADES], stopped = 0, i;
	const json_t *account;
	json_array_foreach (json_object_get(answer, "accounts"), i, account) {
		findings_count(json_object_get(account, "findings"), counts);
		stopped += counts[GRADE_STOP] > 0;
		for (size_t g = 0; g < GRADES; g++)
			sum[g] += counts[g];
	}
	if (json_is_object(json_object_get(answer, "findings")))
		json_object_set_new(answer, "findings",
				    json_pack("{s:I, s:I, s:I, s:I}", "stopped", (json_int_t)stopped, "stop", (json_int_t)sum[GRADE_STOP],
					      "warn", (json_int_t)sum[GRADE_WARN], "inform", (json_int_t)sum[GRADE_INFORM]));
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
		return is_anothers(s, key, v) ? NULL : clean_object(s, key, v);
	if (!json_is_array(v))
		return json_deep_copy(v);
	if (strcmp(key, "findings") == 0)
		return clean_findings(s, v);
	out = json_array();
	json_array_foreach (v, i, item) {
		json_t *kept = clean(s, key, item);
		if (kept)
			json_array_append_new(out, kept);
	}
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
		json_t *kept = frame || named(keeps, key) ? clean(s, key, v) : NULL;
		if (kept)
			json_object_set_new(out, key, kept);
	}
	count_findings(out);
	return out;
}

json_t *scope_event(const struct scope *s, const json_t *line)
{
	return is_anothers(s, "", line) ? json_object() : clean_object(s, "", line);
}
