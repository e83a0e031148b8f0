/* The page of report.h: first what its owner asks, in words, then the tables. */
#include "control/report.h"
#include "lib/member.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 80

static bool is(const json_t *o, const char *key, const char *value)
{
	return strcmp(member_text(o, key), value) == 0;
}

/* "2026-11-24T01:35:43.904Z" as "2026-11-24 01:35:43.904", or its time alone; "none yet" where there is none. */
static const char *when(const json_t *o, const char *key, char out[32])
{
	const char *t = member_text(o, key);
	if (!*t)
		return "none yet";
	snprintf(out, 32, "%.10s %.12s", t, t + 11);
	return out;
}

static const char *took(const json_t *o, const char *key, char out[32])
{
	long long ms = member_int(o, key), s = ms / 1000;
	if (!json_is_integer(json_object_get(o, key)))
		snprintf(out, 32, "-");
	else if (ms < 1000)
		snprintf(out, 32, "%lld ms", ms);
	else if (s < 100)
		snprintf(out, 32, "%.1f s", (double)ms / 1000);
	else if (s < 7200)
		snprintf(out, 32, "%lld min %lld s", s / 60, s % 60);
	else
		snprintf(out, 32, "%lld h %lld min", s / 3600, s / 60 % 60);
	return out;
}

/* Words until the line is full. What is longer than a line stays whole. */
static void fill(FILE *f, size_t indent, const char *text)
{
	size_t col = 0;
	for (const char *word = text; *word;) {
		size_t len = strcspn(word, " ");
		if (col && col + 1 + len > WIDTH) {
			fputc('\n', f);
			col = 0;
		}
		fprintf(f, "%*s%.*s", col ? 1 : (int)indent, "", (int)len, word);
		col += (col ? 1 : indent) + len;
		word += len + strspn(word + len, " ");
	}
	fputc('\n', f);
}

static void say(FILE *f, size_t indent, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(FILE *f, size_t indent, const char *fmt, ...)
{
	char text[2000];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fill(f, indent, text);
}

static const char *s_of(long long n)
{
	return n == 1 ? "" : "s";
}

static const char *was_of(long long n)
{
	return n == 1 ? "was" : "were";
}

/* ---- what happened ---- */

static void say_what(FILE *f, const json_t *r)
{
	char at[32], end[32], all[32];
	const char *name = member_text(r, "account"), *from = member_text(r, "from"), *to = member_text(r, "to");
	const char *way = is(r, "kind", "rollback") ? " back" : is(r, "kind", "relocate") ? " home" : "";
	when(r, "began", at);
	took(r, "ms", all);
	if (is(r, "state", "done"))
		say(f, 0,
		    "Your account %s was moved%s from the %s server to the %s server. It began at %s UTC and was over at %s, after %s.",
		    name, way, from, to, at, when(r, "ended", end) + (strncmp(at, end, 10) == 0 ? 11 : 0), all);
	else if (is(r, "state", "undone"))
		say(f, 0,
		    "At %s UTC it was begun to move your account %s%s from the %s server to the %s server. That was not possible, and was "
		    "undone after %s: the account stayed on the %s server. The reason: %s.",
		    at, name, way, from, to, all, from, member_text(r, "reason"));
	else if (is(r, "state", "stuck"))
		say(f, 0,
		    "At %s UTC it was begun to move your account %s%s from the %s server to the %s server. It is stuck, and somebody is to "
		    "mend it: %s.",
		    at, name, way, from, to, member_text(r, "reason"));
	else
		say(f, 0, "At %s UTC it was begun to move your account %s%s from the %s server to the %s server. It is not over.", at, name,
		    way, from, to);
}

static void say_waits(FILE *f, const json_t *v)
{
	char hold[32], longest[32], median[32];
	long long waited = member_int(v, "waited");
	const char *most = json_is_true(json_object_get(v, "exact")) ? "" : " at most";
	took(v, "hold-ms", hold);
	if (waited == 0)
		say(f, 0, "For%s %s new requests would have waited; none came.", most, hold);
	else if (waited == 1)
		say(f, 0, "For%s %s new requests had to wait: one did, for %s.", most, hold, took(v, "longest-wait-ms", longest));
	else
		say(f, 0, "For%s %s new requests had to wait: %lld did, at most %s, and half of them no longer than %s.", most, hold,
		    waited, took(v, "longest-wait-ms", longest), took(v, "median-wait-ms", median));
}

static void say_visitors(FILE *f, const json_t *r)
{
	const json_t *v = json_object_get(r, "visitors");
	char last[32], first[32];
	if (!json_is_object(v)) {
		say(f, 0, "Visitors saw nothing of it.");
		return;
	}
	say_waits(f, v);
	long long drained = member_int(v, "drained"), refused = member_int(v, "refused"), gave_up = member_int(v, "gave-up");
	say(f, 0, "%lld request%s in flight %s finished first, %lld %s cut.", drained, s_of(drained), was_of(drained), member_int(v, "cut"),
	    was_of(member_int(v, "cut")));
	if (refused || gave_up)
		say(f, 0, "%lld %s asked to come back later, %lld left while waiting.", refused, was_of(refused), gave_up);
	if (member_int(v, "reset-old"))
		say(f, 0, "%lld older connection%s that passed by the proxy %s reset.", member_int(v, "reset-old"),
		    s_of(member_int(v, "reset-old")), was_of(member_int(v, "reset-old")));
	if (json_is_true(json_object_get(v, "restarted")))
		say(f, 0, "The proxy was restarted meanwhile: who waited before that is not counted, and was cut off.");
	if (!is(r, "state", "done"))
		return;
	when(v, "last-byte-old", last);
	say(f, 0, "Last byte of a visitor to the %s server: %s.", member_text(r, "from"),
	    *member_text(v, "last-byte-old") ? last : "not known");
	say(f, 0, "First byte of a visitor to the %s server: %s.", member_text(r, "to"), when(v, "first-byte-new", first));
}

/* What was agreed to before an account went back. */
static void say_price(FILE *f, const json_t *r)
{
	const json_t *price = json_object_get(r, "price"), *consent = json_object_get(price, "consent");
	if (!json_is_object(price))
		return;
	fputc('\n', f);
	say(f, 0, "%s", member_text(price, "text"));
	say(f, 0, "Consent to that: %s, at %s.", member_text(consent, "by"), member_text(consent, "at"));
}

/* ---- the steps ---- */

#define SEALED 5
static const struct {
	const char *step, *done, *nothing, *undone;
} words[] = {
	{"preparing", "copied ahead, in service", "in service", "nothing to take back"},
	{"holding", "new requests wait", NULL, "service as before"},
	{"draining", "requests in flight have ended", NULL, "nothing to take back"},
	{"fenced", "nothing reaches the old server", NULL, "nothing to take back"},
	{"copying", "the rest was copied", "nothing was to be copied", "nothing to take back"},
	[SEALED] = {"sealed", "the old server refuses it", "-", "the old server serves it again"},
	{"switched", "the new server is asked", NULL, "the old server is asked"},
	{"published", "DNS: see below", "DNS: left as it is", "nothing to take back"},
	{"released", "service on the new server", NULL, NULL},
};

static const char *outcome_of(const json_t *step)
{
	bool undo = json_is_true(json_object_get(step, "undo"));
	const json_t *evidence = json_object_get(step, "evidence");
	bool nothing = json_object_get(evidence, "nothing") != NULL;
	if (is(step, "result", "failed"))
		return "FAILED";
	if (is(step, "result", "interrupted"))
		return "INTERRUPTED";
	if (is(step, "result", "open"))
		return undo ? "going back: not over" : "not over";
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (!is(step, "step", words[i].step))
			continue;
		if (!undo && i == SEALED && json_array_size(json_object_get(json_object_get(evidence, "probe"), "probes")))
			return nothing ? "the new server answers" : "old refuses it, new answers";
		const char *w = undo ? words[i].undone : nothing && words[i].nothing ? words[i].nothing : words[i].done;
		return w ? w : "done";
	}
	return "done";
}

static void say_steps(FILE *f, const json_t *r)
{
	size_t i;
	json_t *s;
	char at[32], ms[32];
	fprintf(f, "%-23s  %-9s  %11s  %s\n", "from (UTC)", "step", "took", "outcome");
	json_array_foreach (json_object_get(r, "steps"), i, s)
		fprintf(f, "%-23s  %-9s  %11s  %s%s\n", when(s, "began", at), member_text(s, "step"), took(s, "ms", ms),
			json_is_true(json_object_get(s, "undo")) && is(s, "result", "done") ? "undone: " : "", outcome_of(s));
}

/* ---- DNS, and the trail ---- */

static void say_zone(FILE *f, const json_t *z)
{
	size_t i;
	json_t *s;
	long long n = member_int(z, "changes");
	if (n == 0) {
		fprintf(f, "  %s: nothing changed%s%s\n", member_text(z, "zone"), *member_text(z, "verdict") ? ", " : "",
			member_text(z, "verdict"));
		return;
	}
	fprintf(f, "  %s: %lld record set%s changed\n", member_text(z, "zone"), n, s_of(n));
	json_array_foreach (json_object_get(z, "servers"), i, s) {
		char after[32];
		bool shown = json_is_number(json_object_get(s, "after-ms"));
		json_t *ms = json_pack("{s:I}", "ms", (json_int_t)member_real(s, "after-ms"));
		fprintf(f, "    %-26s %-26s %s%s\n", member_text(s, "name"), member_text(s, "address"), shown ? "after " : "",
			shown                        ? took(ms, "ms", after)
			: *member_text(s, "trouble") ? member_text(s, "trouble")
						     : "not seen yet");
		json_decref(ms);
	}
}

static void say_dns(FILE *f, const json_t *r)
{
	size_t i, k;
	json_t *d, *z;
	char at[32];
	json_array_foreach (json_object_get(r, "dns"), i, d) {
		say(f, 0, "DNS at %s: %s", when(d, "at", at), member_text(d, "text"));
		json_array_foreach (json_object_get(json_object_get(d, "evidence"), "zones"), k, z)
			say_zone(f, z);
	}
	if (json_array_size(json_object_get(r, "dns")))
		fputc('\n', f);
}

static void say_trail(FILE *f, const json_t *r)
{
	const json_t *t = json_object_get(r, "trail");
	say(f, 0, "Recorded by %s in lines %lld to %lld of the trail, whose hashes", member_text(r, "by"), member_int(t, "first"),
	    member_int(t, "last"));
	fprintf(f, "  %6lld  %s\n  %6lld  %s\n", member_int(t, "first"), member_text(t, "first-hash"), member_int(t, "last"),
		member_text(t, "last-hash"));
	say(f, 0, "cover each line and all before it.");
}

char *report_text(const json_t *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	fprintf(f, "%s, move %lld: %s, %s\n\n", member_text(r, "account"), member_int(r, "move"), member_text(r, "kind"),
		member_text(r, "state"));
	say_what(f, r);
	say_visitors(f, r);
	say_price(f, r);
	fputc('\n', f);
	say_steps(f, r);
	fputc('\n', f);
	say_dns(f, r);
	say_trail(f, r);
	fclose(f);
	return text;
}
