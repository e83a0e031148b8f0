#include "dnsupdate/judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {
	[VERDICT_MANAGED] = "managed", [VERDICT_MIXED] = "mixed",   [VERDICT_EXTERNAL] = "external", [VERDICT_LAME] = "lame",
	[VERDICT_SHADOW] = "shadow",   [VERDICT_ABSENT] = "absent", [VERDICT_UNKNOWN] = "unknown",
};

const char *verdict_text(enum verdict v)
{
	return texts[v];
}

bool verdict_is_ours(enum verdict v)
{
	return v == VERDICT_MANAGED || v == VERDICT_MIXED || v == VERDICT_UNKNOWN;
}

void delegation_done(struct delegation *d)
{
	for (size_t i = 0; i < d->n_ns; i++)
		free(d->ns[i]);
	free(d->ns);
	free(d->cut);
	*d = (struct delegation){0};
}

void judge_without(struct delegation *out, enum verdict verdict, const char *fmt, ...)
{
	va_list ap;

	*out = (struct delegation){.verdict = verdict};
	va_start(ap, fmt);
	vsnprintf(out->why, sizeof out->why, fmt, ap);
	va_end(ap);
}

bool judge_is_listed(char *const *names, size_t n, const char *name)
{
	char a[RR_NAME_MAX], b[RR_NAME_MAX];

	if (name_absolute(a, name) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name_absolute(b, names[i]) == 0 && name_same(a, b))
			return true;
	return false;
}

/* ---- zone cuts ---- */

/* The SOA of the zone that holds the name; those of other zones may be there, too, behind aliases. */
static bool soa_above(char cut[RR_NAME_MAX], const struct rr_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->rrs[i].type == RR_SOA && name_within(name, list->rrs[i].owner) && name_absolute(cut, list->rrs[i].owner) == 0)
			return true;
	return false;
}

static bool has_alias(const struct answer *a, const char *name)
{
	for (size_t i = 0; i < a->answer.n; i++)
		if (a->answer.rrs[i].type == RR_CNAME && name_same(a->answer.rrs[i].owner, name))
			return true;
	return false;
}

enum cut_hint judge_cut(char cut[RR_NAME_MAX], const struct answer *a, const char *name)
{
	char absolute[RR_NAME_MAX];

	if (name_absolute(absolute, name) < 0 || (a->rcode != RCODE_NOERROR && a->rcode != RCODE_NXDOMAIN))
		return CUT_FAILED;
	if (has_alias(a, absolute))
		return CUT_ALIAS;
	if (a->rcode == RCODE_NOERROR && soa_above(cut, &a->answer, absolute))
		return CUT_FOUND;
	if (!soa_above(cut, &a->authority, absolute))
		return CUT_FAILED;
	return a->rcode == RCODE_NXDOMAIN ? CUT_ABSENT : CUT_FOUND;
}

/* ---- what the parent says ---- */

void said_done(struct said *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->ns[i]);
	free(s->ns);
	free(s->cut);
	*s = (struct said){.saying = SAYS_USELESS};
}

static int said_add(struct said *s, const char *name)
{
	char lower[RR_NAME_MAX], **grown;
	size_t at = 0;

	if (s->n >= JUDGE_NS_MAX || name_absolute(lower, name) < 0)
		return 0;
	for (char *p = lower; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	while (at < s->n && strcmp(s->ns[at], lower) < 0)
		at++;
	if (at < s->n && strcmp(s->ns[at], lower) == 0)
		return 0;
	grown = reallocarray(s->ns, s->n + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	s->ns = grown;
	memmove(&grown[at + 1], &grown[at], (s->n - at) * sizeof *grown);
	grown[at] = strdup(lower);
	if (!grown[at]) {
		memmove(&grown[at], &grown[at + 1], (s->n - at) * sizeof *grown);
		return -ENOMEM;
	}
	s->n++;
	return 0;
}

static int said_take_ns(struct said *s, const struct rr_list *list, const char *cut)
{
	int rc = 0;

	for (size_t i = 0; i < list->n && rc == 0; i++) {
		const struct rr *r = &list->rrs[i];
		char *target;

		if (r->type != RR_NS || !name_same(r->owner, cut))
			continue;
		target = wire_rdata_target(r->type, r->rdata.bytes, r->rdata.len);
		if (!target)
			return -ENOMEM;
		rc = said_add(s, target);
		free(target);
	}
	if (rc == 0 && s->n) {
		char absolute[RR_NAME_MAX];

		s->saying = SAYS_DELEGATED;
		s->cut = strdup(name_absolute(absolute, cut) == 0 ? absolute : cut);
		for (char *p = s->cut; p && *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		rc = s->cut ? 0 : -ENOMEM;
	}
	return rc;
}

/* The deepest cut between parent (itself not counted: a referral to where we are leads nowhere) and name. */
static const char *referral_cut(const struct rr_list *list, const char *parent, const char *name)
{
	const char *cut = NULL;

	for (size_t i = 0; i < list->n; i++) {
		const struct rr *r = &list->rrs[i];

		if (r->type == RR_NS && name_within(name, r->owner) && name_within(r->owner, parent) && !name_same(r->owner, parent) &&
		    (!cut || name_within(r->owner, cut)))
			cut = r->owner;
	}
	return cut;
}

static bool has_type(const struct rr_list *list, uint16_t type)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->rrs[i].type == type)
			return true;
	return false;
}

static void useless(struct said *out, const char *fmt, const char *what)
{
	out->saying = SAYS_USELESS;
	snprintf(out->text, sizeof out->text, fmt, what);
}

static int parent_says(struct said *out, const struct answer *a, const char *parent, const char *name)
{
	const char *cut = has_type(&a->authority, RR_SOA) ? NULL : referral_cut(&a->authority, parent, name);
	int rc = 0;

	if (a->rcode == RCODE_NXDOMAIN && a->aa) {
		out->saying = SAYS_ABSENT;
		return 0;
	}
	if (a->rcode != RCODE_NOERROR) {
		useless(out, a->rcode == RCODE_NXDOMAIN ? "answers %s without authority" : "answers %s", rcode_text(a->rcode));
		return 0;
	}
	if (a->aa && !name_same(name, parent))
		rc = said_take_ns(out, &a->answer, name); /* it serves the child, too */
	if (rc == 0 && out->saying != SAYS_DELEGATED && a->answer.n == 0 && cut)
		rc = said_take_ns(out, &a->authority, cut);
	if (rc < 0 || out->saying == SAYS_DELEGATED)
		return rc;
	if (a->aa)
		out->saying = SAYS_NOTHING;
	else
		useless(out, "%s", has_type(&a->authority, RR_NS) ? "refers to others" : "answers without authority");
	return 0;
}

int judge_parent(struct said *out, const struct answer *a, const char *parent, const char *name)
{
	char p[RR_NAME_MAX], n[RR_NAME_MAX];
	int rc;

	*out = (struct said){.saying = SAYS_USELESS};
	if (name_absolute(p, parent) < 0 || name_absolute(n, name) < 0) {
		useless(out, "%s", "cannot be asked for a name so long");
		return 0;
	}
	rc = parent_says(out, a, p, n);
	if (rc < 0)
		said_done(out);
	return rc;
}

bool said_same(const struct said *a, const struct said *b)
{
	if (a->saying != b->saying || a->n != b->n || (a->cut && b->cut && !name_same(a->cut, b->cut)))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->ns[i], b->ns[i]) != 0)
			return false;
	return true;
}

int said_join(struct said *into, const struct said *from)
{
	int rc = 0;

	for (size_t i = 0; i < from->n && rc == 0; i++)
		rc = said_add(into, from->ns[i]);
	return rc;
}

/* ---- the provider's servers ---- */

enum standing judge_server(char text[80], const struct answer *a, const char *zone)
{
	bool found = false;

	text[0] = '\0';
	for (size_t i = 0; i < a->answer.n; i++)
		found = found || (a->answer.rrs[i].type == RR_SOA && name_same(a->answer.rrs[i].owner, zone));
	if (a->rcode != RCODE_NOERROR)
		snprintf(text, 80, "answers %s", rcode_text(a->rcode));
	else if (!a->aa)
		snprintf(text, 80, "answers without authority");
	else if (!found)
		snprintf(text, 80, "has no SOA of it");
	return text[0] ? STANDING_WRONG : STANDING_GOOD;
}

/* ---- the verdict ---- */

/* A sentence that is put together and may be cut at its end. */
struct sentence {
	char *out;
	size_t cap, n;
};

static void say(struct sentence *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct sentence *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = s->n < s->cap ? vsnprintf(s->out + s->n, s->cap - s->n, fmt, ap) : 0;
	va_end(ap);
	s->n += n > 0 ? (size_t)n : 0;
	if (s->n >= s->cap)
		memcpy(s->out + s->cap - 4, "...", 4);
}

static void say_names(struct sentence *s, char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 4) {
			say(s, " and %zu more", n - i);
			return;
		}
		say(s, "%s%s", i ? ", " : "", names[i]);
	}
}

/* The good and the bad of ours; the bad ones are named. */
static void say_bad(struct sentence *s, const struct evidence *e, const char *intro)
{
	for (size_t i = 0; i < e->n_ours; i++) {
		if (e->ours[i].standing == STANDING_GOOD)
			continue;
		say(s, "%s%s %s", intro, e->ours[i].name, e->ours[i].text);
		intro = ", ";
	}
}

static size_t count(const struct evidence *e, enum standing standing)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_ours; i++)
		n += e->ours[i].standing == standing;
	return n;
}

static enum verdict weigh(const struct evidence *e)
{
	size_t ours = 0;

	for (size_t i = 0; i < e->said->n; i++)
		ours += judge_is_listed(e->nameservers, e->n_nameservers, e->said->ns[i]);
	if (ours == 0)
		return e->hosted && name_within(e->hosted, e->said->cut) ? VERDICT_SHADOW : VERDICT_EXTERNAL;
	if (count(e, STANDING_GOOD) == 0 && e->n_ours)
		return count(e, STANDING_WRONG) ? VERDICT_LAME : VERDICT_UNKNOWN;
	return ours == e->said->n ? VERDICT_MANAGED : VERDICT_MIXED;
}

static void say_why(struct sentence *s, enum verdict v, const struct evidence *e)
{
	if (v == VERDICT_SHADOW)
		say(s, "the provider has a zone %s that nobody sees: ", e->hosted);
	say(s, "%s delegates %s to ", e->parent, e->said->cut);
	say_names(s, e->said->ns, e->said->n);
	switch (v) {
	case VERDICT_MANAGED:
		say(s, ", all of them the provider's");
		say_bad(s, e, "; but ");
		break;
	case VERDICT_MIXED:
		say(s, ", not all of them the provider's");
		say_bad(s, e, "; and ");
		break;
	case VERDICT_EXTERNAL:
	case VERDICT_SHADOW:
		say(s, ", none of them the provider's");
		break;
	case VERDICT_LAME:
		say_bad(s, e, ", but the provider does not answer for it: ");
		break;
	case VERDICT_UNKNOWN:
		say_bad(s, e, ", but none of the provider's could be asked: ");
		break;
	case VERDICT_ABSENT:
		break;
	}
	if ((v == VERDICT_MANAGED || v == VERDICT_MIXED) && !e->hosted)
		say(s, "; no configured zone server has it");
	if (e->note[0])
		say(s, "; %s", e->note);
}

int judge(struct delegation *out, const struct evidence *e)
{
	struct sentence s = {out->why, sizeof out->why, 0};

	*out = (struct delegation){.verdict = weigh(e)};
	out->cut = strdup(e->said->cut);
	out->ns = calloc(e->said->n ? e->said->n : 1, sizeof *out->ns);
	for (size_t i = 0; out->ns && i < e->said->n; i++) {
		out->ns[i] = strdup(e->said->ns[i]);
		if (!out->ns[i])
			break;
		out->n_ns++;
	}
	if (!out->cut || out->n_ns != e->said->n) {
		delegation_done(out);
		return -ENOMEM;
	}
	say_why(&s, out->verdict, e);
	return 0;
}
