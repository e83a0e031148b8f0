#include "control/report.h"

#include "control/price.h"
#include "control/publish.h"
#include "lib/member.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static json_t *stamp(int64_t ms)
{
	char day[32];
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%03dZ", day, (int)(ms % 1000));
}

/* ---- which lines ---- */

json_t *report_moves(const json_t *entries)
{
	json_t *out = json_array();
	for (size_t i = json_array_size(entries); i-- > 0;) {
		json_int_t move = member_int(json_array_get(entries, i), "move");
		bool known = !move;
		for (size_t k = 0; k < json_array_size(out); k++)
			known |= json_integer_value(json_array_get(out, k)) == move;
		if (!known)
			json_array_append_new(out, json_integer(move));
	}
	return out;
}

/* What became of its DNS later is told without a number, until the next move begins. */
static json_t *lines_of(const json_t *entries, int64_t move)
{
	json_t *out = json_array(), *e;
	bool within = false;
	size_t i;
	json_array_foreach (entries, i, e) {
		json_int_t of = member_int(e, "move");
		if (of)
			within = of == move;
		if (within && (of || strncmp(member_text(e, "what"), TRAIL_DNS, strlen(TRAIL_DNS)) == 0))
			json_array_append(out, e);
	}
	return out;
}

/* ---- the steps ---- */

static void close_step(json_t *step, const json_t *line, const char *result)
{
	json_int_t at = member_int(line, "at-ms");
	json_object_set_new(step, "ended", stamp(at));
	json_object_set_new(step, "ms", json_integer(at - member_int(step, "at-ms")));
	json_object_set_new(step, "result", json_string(result));
	json_object_set(step, "evidence", json_object_get(line, "evidence"));
	json_object_del(step, "at-ms");
}

static bool is_open(const json_t *step)
{
	return json_object_get(step, "at-ms") != NULL;
}

static void open_step(json_t *steps, const json_t *line, const char *name, bool undo)
{
	json_int_t at = member_int(line, "at-ms");
	json_array_append_new(steps, json_pack("{s:s, s:b, s:o, s:n, s:n, s:s, s:n, s:I}", "step", name, "undo", undo, "began", stamp(at),
					       "ended", "ms", "result", "open", "evidence", "at-ms", at));
}

/* "begin: X", "done: X", "undo: X", "undone: X", and "failed" for what was going on. */
static void add_step(json_t *steps, const json_t *line)
{
	static const struct {
		const char *word;
		bool begins, undo;
	} words[] = {{"begin: ", true, false}, {"done: ", false, false}, {"undo: ", true, true}, {"undone: ", false, true}};
	const char *what = member_text(line, "what");
	json_t *last = json_array_get(steps, json_array_size(steps) - 1);
	if ((strcmp(what, "failed") == 0 || strncmp(what, "undo: ", 6) == 0) && last && is_open(last))
		close_step(last, line, "failed");
	if (strcmp(what, "resumed") == 0 && last && is_open(last))
		close_step(last, line, "interrupted");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const char *name = what + strlen(words[i].word);
		if (strncmp(what, words[i].word, strlen(words[i].word)) != 0)
			continue;
		if (words[i].begins)
			open_step(steps, line, name, words[i].undo);
		else if (last && is_open(last) && strcmp(member_text(last, "step"), name) == 0)
			close_step(last, line, "done");
	}
}

static json_t *steps_of(const json_t *lines)
{
	json_t *steps = json_array(), *e;
	size_t i;
	json_array_foreach (lines, i, e)
		add_step(steps, e);
	json_array_foreach (steps, i, e)
		json_object_del(e, "at-ms");
	return steps;
}

/* The evidence of the last line that says so. */
static const json_t *said(const json_t *lines, const char *what)
{
	for (size_t i = json_array_size(lines); i-- > 0;) {
		const json_t *e = json_array_get(lines, i);
		if (strcmp(member_text(e, "what"), what) == 0)
			return e;
	}
	return NULL;
}

/* ---- what visitors saw ---- */

static void take(json_t *to, const char *key, const json_t *from, const char *from_key)
{
	json_t *v = json_object_get(from, from_key);
	json_object_set_new(to, key, v ? json_incref(v) : json_null());
}

/* Their wait as the journal has it, for a proxy that does not know since when: from before the hold to after the release. */
static json_int_t wait_of(const json_t *lines)
{
	const json_t *from = said(lines, "begin: holding"), *to = said(lines, "done: released");
	to = to ? to : said(lines, "undone: holding");
	to = to ? to : json_array_get(lines, json_array_size(lines) - 1);
	return from ? member_int(to, "at-ms") - member_int(from, "at-ms") : 0;
}

static json_t *visitors_of(const json_t *lines)
{
	static const char *const counted[] = {"longest-wait-ms", "median-wait-ms", "drained", "cut", "refused", "gave-up"};
	const json_t *fence = json_object_get(said(lines, "done: fenced"), "evidence");
	const json_t *release = json_object_get(said(lines, "done: released"), "evidence");
	const json_t *back = json_object_get(said(lines, "undone: holding"), "evidence");
	const json_t *before = json_object_get(fence, "evidence");
	const json_t *after = json_object_get(release ? release : back, "evidence");
	const json_t *newest = after ? after : before;
	json_t *o;
	if (!said(lines, "begin: holding"))
		return NULL;
	bool restarted = json_is_true(json_object_get(newest, "restored"));
	bool exact = json_is_integer(json_object_get(newest, "hold-ms"));
	o = json_pack("{s:I, s:b, s:b}", "hold-ms", exact ? member_int(newest, "hold-ms") : wait_of(lines), "exact", exact, "restarted",
		      restarted);
	take(o, "waited", newest, "parked");
	for (size_t i = 0; i < sizeof(counted) / sizeof(*counted); i++)
		take(o, counted[i], newest, counted[i]);
	if (restarted && before && !json_is_true(json_object_get(before, "restored"))) { /* what was in flight is the first one's to tell */
		take(o, "drained", before, "drained");
		take(o, "cut", before, "cut");
	}
	if (json_object_get(fence, "reset-old"))
		take(o, "reset-old", fence, "reset-old");
	take(o, "held-at", before ? before : newest, "held-at");
	take(o, "fenced-at", before ? before : newest, "fenced-at");
	take(o, "opened-at", newest, "opened-at");
	take(o, "last-byte-old", json_object_get(release, "last-byte-old") ? release : before, "last-byte-old"); /* asked last is best */
	take(o, "first-byte-new", json_object_get(release, "first-byte-new") ? release : after, "first-byte-new");
	return o;
}

/* ---- DNS ---- */

static void add_dns(json_t *dns, const json_t *line)
{
	char text[700];
	const json_t *e = json_object_get(line, "evidence");
	const char *what = member_text(line, "what");
	bool none = strcmp(what, "done: published") == 0 && json_object_get(e, "nothing");
	if (!none && strncmp(what, TRAIL_DNS, strlen(TRAIL_DNS)) != 0)
		return;
	publish_text(e, text, sizeof(text));
	if (json_object_get(e, "owed"))
		snprintf(text, sizeof(text), "owed: %.600s", member_text(e, "owed"));
	else if (!json_is_object(e))
		snprintf(text, sizeof(text), "%s", what + strlen(TRAIL_DNS));
	json_t *o = json_pack("{s:o, s:s, s:s}", "at", stamp(member_int(line, "at-ms")), "what", what, "text", text);
	take(o, "evidence", line, "evidence");
	json_array_append_new(dns, o);
}

static json_t *dns_of(const json_t *lines)
{
	json_t *dns = json_array(), *e;
	size_t i;
	json_array_foreach (lines, i, e)
		add_dns(dns, e);
	return dns;
}

/* ---- all of it ---- */

/* "migrate begins: client -> transit" */
static void add_kind(json_t *o, const char *what)
{
	char kind[16], from[16], to[16];
	if (sscanf(what, "%15s begins: %15s -> %15s", kind, from, to) != 3)
		return;
	json_object_set_new(o, "kind", json_string(kind));
	json_object_set_new(o, "from", json_string(from));
	json_object_set_new(o, "to", json_string(to));
}

/* "migrate done": the last such line is what is true. */
static void add_state(json_t *o, const json_t *lines)
{
	char what[40];
	static const char *const states[] = {"done", "undone", "stuck"};
	const json_t *newest = NULL, *first = json_array_get(lines, 0);
	const char *state = "moving";
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		snprintf(what, sizeof(what), "%s %s", member_text(o, "kind"), states[i]);
		const json_t *line = said(lines, what);
		if (line && (!newest || member_int(line, "id") > member_int(newest, "id"))) {
			newest = line;
			state = states[i];
		}
	}
	const json_t *resumed = said(lines, "resumed");
	if (newest && resumed && member_int(resumed, "id") > member_int(newest, "id"))
		newest = NULL;
	bool over = newest && strcmp(state, "stuck") != 0;
	const json_t *end = newest ? newest : json_array_get(lines, json_array_size(lines) - 1);
	json_object_set_new(o, "state", json_string(newest ? state : "moving"));
	json_object_set_new(o, "ended", over ? stamp(member_int(newest, "at-ms")) : json_null());
	json_object_set_new(o, "ms", json_integer(member_int(end, "at-ms") - member_int(first, "at-ms")));
	if (*member_text(json_object_get(newest, "evidence"), "reason"))
		take(o, "reason", json_object_get(newest, "evidence"), "reason");
}

json_t *report_of(const json_t *entries, int64_t move)
{
	json_t *lines = lines_of(entries, move), *visitors;
	const json_t *first = json_array_get(lines, 0), *last = json_array_get(lines, json_array_size(lines) - 1);
	if (!first) {
		json_decref(lines);
		return NULL;
	}
	json_t *o =
		json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:o}", "account", member_text(first, "account"), "move", (json_int_t)move, "kind",
			  "move", "from", "?", "to", "?", "by", member_text(first, "who"), "began", stamp(member_int(first, "at-ms")));
	add_kind(o, member_text(first, "what"));
	add_state(o, lines);
	visitors = visitors_of(lines);
	json_object_set_new(o, "visitors", visitors ? visitors : json_null());
	if (said(lines, TRAIL_PRICE))
		take(o, "price", said(lines, TRAIL_PRICE), "evidence");
	json_object_set_new(o, "steps", steps_of(lines));
	json_object_set_new(o, "dns", dns_of(lines));
	json_object_set_new(o, "trail",
			    json_pack("{s:I, s:I, s:s, s:s}", "first", member_int(first, "id"), "last", member_int(last, "id"),
				      "first-hash", member_text(first, "hash"), "last-hash", member_text(last, "hash")));
	json_decref(lines);
	return o;
}
