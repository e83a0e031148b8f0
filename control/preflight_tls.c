/* Certificates of both sides: what a browser will say of them after the move. Who vouches for them is not judged: that takes a browser's
 * own list of authorities; but one that vouches for itself on the new side alone is seen. */
#include "control/preflight_parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

#define DAY 86400

enum flaw { FLAW_NONE, FLAW_MISSING, FLAW_EXPIRED, FLAW_EARLY, FLAW_NAME, FLAW_SELF };

struct shown {
	const json_t *cert;
	int64_t until;
	enum flaw flaw;
};

static struct shown look(const json_t *answer, int64_t now)
{
	struct shown s = {.cert = json_object_get(json_object_get(answer, "tls"), "certificate")};
	s.until = member_int(s.cert, "until");
	if (!s.cert)
		s.flaw = FLAW_MISSING;
	else if (s.until <= now)
		s.flaw = FLAW_EXPIRED;
	else if (member_int(s.cert, "from") > now)
		s.flaw = FLAW_EARLY;
	else if (!json_is_true(json_object_get(s.cert, "matches")))
		s.flaw = FLAW_NAME;
	else if (json_is_true(json_object_get(s.cert, "self-signed")))
		s.flaw = FLAW_SELF;
	return s;
}

static void names_text(const json_t *cert, char *out, size_t cap)
{
	const json_t *names = json_object_get(cert, "names"), *n;
	size_t i, at = 0;
	snprintf(out, cap, "nothing");
	json_array_foreach (names, i, n) {
		if (i < 3)
			at += (size_t)snprintf(out + at, cap - at, "%s%.253s", i ? ", " : "", json_string_value(n));
	}
	if (json_array_size(names) > 3)
		snprintf(out + at, cap - at, ", ..");
}

static void flaw_text(const struct shown *s, enum side side, const json_t *answer, char *out, size_t cap)
{
	const char *who = side_name(side);
	char names[900], date[DATE_MAX];
	switch (s->flaw) {
	case FLAW_NONE:
		snprintf(out, cap, "%s's certificate is good until %s", who, preflight_date(s->until, date));
		return;
	case FLAW_MISSING:
		snprintf(out, cap, "%s shows no certificate (%.200s)", who, member_text(answer, "said"));
		return;
	case FLAW_EXPIRED:
		snprintf(out, cap, "%s's certificate ended on %s", who, preflight_date(s->until, date));
		return;
	case FLAW_EARLY:
		snprintf(out, cap, "%s's certificate begins on %s", who, preflight_date(member_int(s->cert, "from"), date));
		return;
	case FLAW_NAME:
		names_text(s->cert, names, sizeof(names));
		snprintf(out, cap, "%s's certificate is for %s", who, names);
		return;
	case FLAW_SELF:
		snprintf(out, cap, "%s's certificate is signed by itself", who);
		return;
	}
}

static const char *kind_of(enum flaw f)
{
	static const char *const kinds[] = {[FLAW_NONE] = "tls",          [FLAW_MISSING] = "tls-missing", [FLAW_EXPIRED] = "tls-expired",
					    [FLAW_EARLY] = "tls-expired", [FLAW_NAME] = "tls-name",       [FLAW_SELF] = "tls-self-signed"};
	return kinds[f];
}

static void expires(json_t *findings, const struct preflight_view *v, const struct shown *s, enum side side, const char *url)
{
	char date[DATE_MAX], todo[300];
	int64_t left = s->until - v->now;
	if (s->flaw == FLAW_MISSING || s->flaw == FLAW_EXPIRED || left > (int64_t)v->expires_days * DAY)
		return;
	if (side == v->from)
		snprintf(todo, sizeof(todo), "renew it before the move: during and after it, the authority's questions come to %s",
			 side_name(v->to));
	else
		snprintf(todo, sizeof(todo), "renew it on %s, or copy a longer one there", side_name(side));
	FIND(findings, GRADE_WARN, "tls-expires", url, todo, "%s's certificate ends in %.1f days, on %s", side_name(side),
	     (double)left / DAY, preflight_date(s->until, date));
}

static bool same_cert(const struct shown *a, const struct shown *b)
{
	const char *f = member_text(a->cert, "fingerprint");
	return *f && strcmp(f, member_text(b->cert, "fingerprint")) == 0;
}

static void one_side(json_t *findings, const struct preflight_view *v, const struct shown *s, const json_t *answer, const char *url)
{
	char text[1300];
	if (s->flaw == FLAW_MISSING || s->flaw == FLAW_SELF)
		return; /* it does not speak TLS, or is so on purpose */
	expires(findings, v, s, v->from, url);
	if (s->flaw == FLAW_NONE)
		return;
	flaw_text(s, v->from, answer, text, sizeof(text));
	FIND(findings, GRADE_WARN, kind_of(s->flaw), url, "a browser refuses it today", "%s", text);
}

static void both_sides(json_t *findings, const struct preflight_view *v, const struct shown *was, const struct shown *will,
		       const json_t *old, const json_t *fresh, const char *url)
{
	char before[1300], after[1300], todo[200];
	flaw_text(was, v->from, old, before, sizeof(before));
	flaw_text(will, v->to, fresh, after, sizeof(after));
	snprintf(todo, sizeof(todo), "install a good certificate on %s, or copy %s's, before the move", side_name(v->to),
		 side_name(v->from));
	if (will->flaw == FLAW_NONE && was->flaw != FLAW_NONE)
		FIND(findings, GRADE_INFORM, kind_of(was->flaw), url, NULL, "%s; %s", before, after);
	else if (will->flaw != FLAW_NONE && was->flaw == FLAW_NONE)
		FIND(findings, GRADE_STOP, kind_of(will->flaw), url, todo, "%s, while %s", after, before);
	else if (will->flaw != FLAW_NONE && (was->flaw != will->flaw || will->flaw != FLAW_SELF))
		FIND(findings, GRADE_WARN, kind_of(will->flaw), url, todo, "%s, and %s", after, before);
	if (!same_cert(was, will) && will->flaw != FLAW_MISSING)
		expires(findings, v, will, v->to, url);
	if (was->flaw != FLAW_MISSING)
		expires(findings, v, was, v->from, url);
}

void preflight_tls(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh)
{
	struct shown was = look(old, v->now), will = look(fresh, v->now);
	char url[600];
	preflight_url(old, url);
	if (!fresh)
		one_side(findings, v, &was, old, url);
	else if (was.flaw != FLAW_MISSING || will.flaw != FLAW_MISSING)
		both_sides(findings, v, &was, &will, old, fresh, url);
}
