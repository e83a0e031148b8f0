/* An inquiry goes down from a zone that is known to exist: its servers are asked for the domain; where they refer to a zone on the way, its
 * servers are asked next, until a referral names the domain's own zone (or nothing deeper). So a lame delegation is found although no
 * resolver can say anything about it. Where the domain lies inside a zone, that zone is judged. */
#include "dnsupdate/authority.h"

#include "dnsupdate/judge.h"
#include "dnsupdate/look_parts.h"
#include "dnsupdate/parent.h"
#include "lib/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INQUIRY_MS    8000
#define INQUIRIES_MAX 100  /* under way; more wait in line, and their time has not begun */
#define STEPS_MAX     10   /* rounds of asking a zone's servers; names have few zone cuts */
#define WITNESSES     2    /* servers of a zone that must have said something */
#define WITNESSES_MAX 4    /* that are asked at most */
#define ENOUGH_MS     3000 /* from then on one server that has said something is enough */
#define OURS_MAX      8    /* of the provider's servers in a delegation */
#define OUR_ADDRS_MAX 4

struct inquiries {
	struct inquiry *first, **last;
	size_t running;
};

struct witness { /* one server of the parent */
	struct inquiry *q;
	char *name;
	struct look *look;
	struct said said;
};

struct our_server { /* one of the provider's in the delegation */
	struct inquiry *q;
	const char *name; /* of q->said */
	struct look *lookup;
	struct our_probe {
		struct our_server *server;
		struct look *look;
	} probes[OUR_ADDRS_MAX];
	bool heard;
	enum standing standing;
	char text[120];
};

struct inquiry {
	struct inquiry *next, **link; /* in line, or under way and alone */
	struct inquiries *all;
	struct looker *l;
	char *domain, *hosted, **nameservers;
	size_t n_nameservers;
	inquiry_fn *fn;
	void *arg;
	bool running;
	struct event deadline;
	struct look *start, *soa;
	struct parent_ask *parent_ask;
	char target[RR_NAME_MAX]; /* the name of which the parent's servers are asked */
	bool going_down;          /* said is what the zone above says; its own servers are to be asked now */
	unsigned steps;
	int64_t began_ms;
	struct parent parent; /* a copy */
	size_t next_server;
	struct witness witnesses[WITNESSES_MAX];
	size_t n_witnesses, open;
	struct said said;        /* the delegation that holds until a deeper one is found */
	char above[RR_NAME_MAX]; /* the zone that said it */
	struct our_server ours[OURS_MAX];
	size_t n_ours;
	char note[200], doing[120];
};

/* ---- the end ---- */

static void parent_forget(struct inquiry *q)
{
	for (size_t i = 0; i < q->parent.n; i++)
		free(q->parent.servers[i].name);
	free(q->parent.zone);
	q->parent = (struct parent){0};
}

static void witnesses_forget(struct inquiry *q)
{
	for (size_t i = 0; i < q->n_witnesses; i++) {
		look_cancel(q->witnesses[i].look);
		said_done(&q->witnesses[i].said);
		free(q->witnesses[i].name);
	}
	q->n_witnesses = q->open = 0;
}

static void run_next(struct inquiries *all);

static void inquiry_free(struct inquiry *q)
{
	struct inquiries *all = q->all;
	bool ran = q->running;

	if (q->link) {
		*q->link = q->next;
		if (q->next)
			q->next->link = q->link;
		else if (!ran)
			all->last = q->link;
	}
	if (event_initialized(&q->deadline))
		event_del(&q->deadline);
	look_cancel(q->start);
	look_cancel(q->soa);
	parent_cancel(q->parent_ask);
	witnesses_forget(q);
	parent_forget(q);
	for (size_t i = 0; i < q->n_ours; i++) {
		look_cancel(q->ours[i].lookup);
		for (size_t k = 0; k < OUR_ADDRS_MAX; k++)
			look_cancel(q->ours[i].probes[k].look);
	}
	said_done(&q->said);
	for (size_t i = 0; q->nameservers && i < q->n_nameservers; i++)
		free(q->nameservers[i]);
	free(q->nameservers);
	free(q->domain);
	free(q->hosted);
	free(q);
	if (ran) {
		all->running--;
		run_next(all);
	}
}

static void finish(struct inquiry *q, struct delegation *d)
{
	inquiry_fn *fn = q->fn;
	void *arg = q->arg;

	inquiry_free(q);
	fn(arg, d);
	delegation_done(d);
}

static void unknown(struct inquiry *q, const char *what, const char *why)
{
	struct delegation d;

	judge_without(&d, VERDICT_UNKNOWN, "%.120s%.170s", what, why);
	finish(q, &d);
}

static void no_memory(struct inquiry *q)
{
	unknown(q, "out of memory", "");
}

static void absent(struct inquiry *q, const char *zone)
{
	struct delegation d;

	judge_without(&d, VERDICT_ABSENT, "the servers of %.120s say that there is no %.120s", zone, q->domain);
	finish(q, &d);
}

static void sum_up(struct inquiry *q);

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct inquiry *q = arg;
	char text[60];

	(void)fd, (void)what;
	if (q->n_ours) { /* the delegation is known, and so is who of them did not answer */
		sum_up(q);
		return;
	}
	snprintf(text, sizeof text, "no verdict within %d s: no answer came to ", INQUIRY_MS / 1000);
	unknown(q, text, q->doing);
}

static void doing(struct inquiry *q, const char *what, const char *whose)
{
	snprintf(q->doing, sizeof q->doing, "%.40s %.75s", what, whose);
}

/* ---- the provider's servers ---- */

static void sum_up(struct inquiry *q)
{
	struct testimony ours[OURS_MAX];
	struct evidence e = {
		.parent = q->above,
		.hosted = q->hosted,
		.said = &q->said,
		.nameservers = q->nameservers,
		.n_nameservers = q->n_nameservers,
		.ours = ours,
		.n_ours = q->n_ours,
		.note = q->note,
	};
	struct delegation d;

	for (size_t i = 0; i < q->n_ours; i++)
		ours[i] = (struct testimony){q->ours[i].name, q->ours[i].standing, q->ours[i].text};
	if (judge(&d, &e) < 0)
		no_memory(q);
	else
		finish(q, &d);
}

static void one_less(struct inquiry *q)
{
	if (--q->open == 0)
		sum_up(q);
}

static void on_probe(void *arg, const struct answer *a, const struct err *err)
{
	struct our_probe *p = arg;
	struct our_server *s = p->server;
	char text[80];

	p->look = NULL;
	if (!a) {
		if (!s->heard) /* what another address answered says more */
			snprintf(s->text, sizeof s->text, "does not answer (%.90s)", err->text);
	} else {
		enum standing now = judge_server(text, a, s->q->said.cut);

		if (!s->heard || now == STANDING_WRONG) { /* each of its addresses must be good: some visitors ask the other one */
			s->standing = now;
			snprintf(s->text, sizeof s->text, "%s", text);
		}
		s->heard = true;
	}
	one_less(s->q);
}

static void on_our_addresses(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct our_server *s = arg;
	struct inquiry *q = s->q;

	s->lookup = NULL;
	if (n == 0)
		snprintf(s->text, sizeof s->text, "has no address (%.90s)", err->text);
	for (size_t i = 0; i < n && i < OUR_ADDRS_MAX; i++) {
		s->probes[i] = (struct our_probe){.server = s};
		s->probes[i].look = look_at(q->l, &addrs[i], q->said.cut, RR_SOA, on_probe, &s->probes[i]);
		q->open += s->probes[i].look != NULL;
	}
	one_less(q);
}

static void ask_ours(struct inquiry *q)
{
	q->open = 1; /* this function itself */
	doing(q, "the provider's servers for", q->said.cut);
	for (size_t i = 0; i < q->said.n && q->n_ours < OURS_MAX; i++) {
		struct our_server *s = &q->ours[q->n_ours];

		if (!judge_is_listed(q->nameservers, q->n_nameservers, q->said.ns[i]))
			continue;
		*s = (struct our_server){.q = q, .name = q->said.ns[i], .standing = STANDING_SILENT, .text = "has not answered"};
		s->lookup = look_addresses(q->l, s->name, on_our_addresses, s);
		q->open += s->lookup != NULL;
		q->n_ours++;
	}
	one_less(q);
}

/* ---- the parent's servers ---- */

static void on_parent(void *arg, const struct parent *p);

static void find_parent(struct inquiry *q, const char *of)
{
	if (++q->steps > STEPS_MAX) {
		unknown(q, "the delegation is not found: referrals lead on and on at ", q->target);
		return;
	}
	doing(q, "the parent zone of", of);
	q->parent_ask = parent_find(q->l, of, on_parent, q);
	if (!q->parent_ask)
		no_memory(q);
}

/* The domain lies in this zone: whose delegation is asked for from its own parent. */
static void judge_zone(struct inquiry *q, const char *zone)
{
	char of[RR_NAME_MAX];
	const char *up = name_parent(zone);

	if (!up) {
		absent(q, zone);
		return;
	}
	snprintf(of, sizeof of, "%s", up);
	snprintf(q->target, sizeof q->target, "%s", zone);
	find_parent(q, of);
}

static void note(struct inquiry *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct inquiry *q, const char *fmt, ...)
{
	va_list ap;

	if (q->note[0])
		return;
	va_start(ap, fmt);
	vsnprintf(q->note, sizeof q->note, fmt, ap);
	va_end(ap);
}

static void note_disagreement(struct inquiry *q, const struct witness *a, const struct witness *b)
{
	if (!said_same(&a->said, &b->said))
		note(q, "the servers of %.60s disagree about it: %.60s and %.60s", q->parent.zone, a->name, b->name);
}

/* What one of them says that there is, counts: a server that lags would deny it, or not know yet of the names that are new. */
static struct said *weigh_witnesses(struct inquiry *q)
{
	struct witness *best = NULL;
	size_t useful = 0;

	for (size_t i = 0; i < q->n_witnesses; i++) {
		struct witness *w = &q->witnesses[i];

		if (w->said.saying == SAYS_USELESS)
			continue;
		useful++;
		if (best)
			note_disagreement(q, best, w);
		if (!best || w->said.saying < best->said.saying)
			best = w;
	}
	if (useful == 1 && q->n_witnesses > 1)
		note(q, "that says %.60s alone, no other server of %.60s does answer", best->name, q->parent.zone);
	for (size_t i = 0; best && best->said.cut && i < q->n_witnesses; i++)
		if (q->witnesses[i].said.cut && name_same(q->witnesses[i].said.cut, best->said.cut))
			said_join(&best->said, &q->witnesses[i].said);
	return best ? &best->said : NULL;
}

/* The zone that we were sent down to cannot be asked. Where the provider is to serve it, that is what is lame; where others are, it may be
 * but a bad moment of theirs or of the resolvers, and who serves the domain is not known. */
static void stuck(struct inquiry *q)
{
	for (size_t i = 0; i < q->said.n; i++)
		if (judge_is_listed(q->nameservers, q->n_nameservers, q->said.ns[i])) {
			ask_ours(q);
			return;
		}
	unknown(q, "nobody could be asked in the zone above it: ", q->said.cut);
}

static void nobody_said_anything(struct inquiry *q)
{
	const struct witness *w = &q->witnesses[q->n_witnesses - 1];
	char what[120], why[170];

	if (q->said.cut && name_same(q->said.cut, q->parent.zone)) {
		stuck(q);
		return;
	}
	snprintf(what, sizeof what, "none of the servers of %.60s could say anything: ", q->parent.zone);
	snprintf(why, sizeof why, "%.80s %.80s", w->name, w->said.text);
	unknown(q, what, why);
}

static void go_down(struct inquiry *q, struct said *said)
{
	bool there = name_same(said->cut, q->target);

	said_done(&q->said);
	q->said = *said;
	*said = (struct said){.saying = SAYS_USELESS};
	snprintf(q->above, sizeof q->above, "%s", q->parent.zone);
	if (there) {
		ask_ours(q);
		return;
	}
	q->going_down = true;
	find_parent(q, q->said.cut);
}

static void weigh(struct inquiry *q)
{
	struct said *said = weigh_witnesses(q);

	if (!said) {
		nobody_said_anything(q);
		return;
	}
	switch (said->saying) {
	case SAYS_DELEGATED:
		go_down(q, said);
		return;
	case SAYS_ABSENT: /* in a zone that the provider has, a name may well be missing: the zone counts */
		if (!q->hosted || !name_same(q->hosted, q->parent.zone)) {
			absent(q, q->parent.zone);
			return;
		}
		break;
	case SAYS_NOTHING:
	case SAYS_USELESS:
		break;
	}
	if (q->said.cut && name_same(q->said.cut, q->parent.zone))
		ask_ours(q);
	else
		judge_zone(q, q->parent.zone);
}

static bool ask_another(struct inquiry *q);

static void on_witness(void *arg, const struct answer *a, const struct err *err)
{
	struct witness *w = arg;
	struct inquiry *q = w->q;
	size_t useful = 0;

	w->look = NULL;
	w->said = (struct said){.saying = SAYS_USELESS};
	if (!a)
		snprintf(w->said.text, sizeof w->said.text, "(%.76s)", err->text);
	else if (judge_parent(&w->said, a, q->parent.zone, q->target) < 0)
		snprintf(w->said.text, sizeof w->said.text, "could not be understood: out of memory");
	q->open--;
	for (size_t i = 0; i < q->n_witnesses; i++)
		useful += q->witnesses[i].said.saying != SAYS_USELESS;
	if (useful + q->open < WITNESSES && (useful == 0 || mono_ms() - q->began_ms < ENOUGH_MS) && ask_another(q))
		return;
	if (q->open == 0)
		weigh(q);
}

static bool ask_another(struct inquiry *q)
{
	struct witness *w = &q->witnesses[q->n_witnesses];
	const struct parent_server *s;

	if (q->n_witnesses == WITNESSES_MAX || q->n_witnesses == q->parent.n)
		return false;
	s = &q->parent.servers[q->next_server++ % q->parent.n];
	*w = (struct witness){.q = q, .name = strdup(s->name), .said = {.saying = SAYS_USELESS}};
	w->look = w->name ? look_at(q->l, &s->addr, q->target, RR_NS, on_witness, w) : NULL;
	if (!w->look) {
		free(w->name);
		return false;
	}
	q->n_witnesses++;
	q->open++;
	return true;
}

static bool parent_keep(struct inquiry *q, const struct parent *p)
{
	parent_forget(q);
	q->parent.zone = strdup(p->zone);
	for (size_t i = 0; i < p->n; i++) {
		char *name = strdup(p->servers[i].name);

		if (!name)
			break;
		q->parent.servers[q->parent.n++] = (struct parent_server){name, p->servers[i].addr};
	}
	return q->parent.zone && q->parent.n;
}

static void on_parent(void *arg, const struct parent *p)
{
	struct inquiry *q = arg;
	bool down = q->going_down;

	q->parent_ask = NULL;
	q->going_down = false;
	if (down && (!p->zone || !name_same(p->zone, q->said.cut))) {
		stuck(q); /* the resolvers get nothing out of the zone below */
		return;
	}
	if (!p->zone) {
		unknown(q, p->why, "");
		return;
	}
	witnesses_forget(q);
	if (!parent_keep(q, p)) {
		no_memory(q);
		return;
	}
	doing(q, "the servers of", p->zone);
	q->next_server = 0;
	for (size_t i = 0; i < WITNESSES; i++)
		ask_another(q);
	if (q->open == 0)
		no_memory(q);
}

/* ---- the beginning ---- */

static void on_soa(void *arg, const struct answer *a, const struct err *err)
{
	struct inquiry *q = arg;
	char cut[RR_NAME_MAX], up[RR_NAME_MAX];

	q->soa = NULL;
	if (!a) {
		unknown(q, "no resolver answers: ", err->text);
		return;
	}
	snprintf(up, sizeof up, "%s", name_parent(q->domain) ? name_parent(q->domain) : ".");
	switch (judge_cut(cut, a, q->domain)) {
	case CUT_FOUND:
		judge_zone(q, cut);
		return;
	case CUT_ABSENT:
		find_parent(q, cut); /* its servers are to say so themselves */
		return;
	case CUT_ALIAS:
	case CUT_FAILED:
		find_parent(q, up);
		return;
	}
}

static void on_start(void *arg)
{
	struct inquiry *q = arg;

	q->start = NULL;
	doing(q, "SOA of", q->domain);
	q->soa = look_up(q->l, q->domain, RR_SOA, on_soa, q);
	if (!q->soa)
		no_memory(q);
}

static void run_next(struct inquiries *all)
{
	while (all->first && all->running < INQUIRIES_MAX) {
		struct inquiry *q = all->first;

		all->first = q->next;
		if (q->next)
			q->next->link = &all->first;
		else
			all->last = &all->first;
		q->next = NULL;
		q->link = NULL;
		q->running = true;
		q->began_ms = mono_ms();
		all->running++;
		evtimer_assign(&q->deadline, q->l->base, on_deadline, q);
		event_add(&q->deadline, &(struct timeval){.tv_sec = INQUIRY_MS / 1000});
		q->start = look_later(q->l, on_start, q); /* without memory the deadline is what ends it */
	}
}

static struct inquiries *inquiries_of(struct looker *l)
{
	if (!l->inquiries.state) {
		struct inquiries *all = calloc(1, sizeof *all);

		if (!all)
			return NULL;
		all->last = &all->first;
		l->inquiries = (struct companion){all, free};
	}
	return l->inquiries.state;
}

static bool copy_names(struct inquiry *q, char *const *nameservers, size_t n)
{
	q->nameservers = calloc(n ? n : 1, sizeof *q->nameservers);
	for (size_t i = 0; q->nameservers && i < n; i++) {
		q->nameservers[i] = strdup(nameservers[i]);
		if (!q->nameservers[i])
			return false;
		q->n_nameservers++;
	}
	return q->nameservers != NULL;
}

struct inquiry *inquiry_start(struct looker *l, const char *domain, const char *hosted, char *const *nameservers, size_t n, inquiry_fn *fn,
			      void *arg)
{
	struct inquiries *all = inquiries_of(l);
	struct inquiry *q = all ? calloc(1, sizeof *q) : NULL;
	char absolute[RR_NAME_MAX], zone[RR_NAME_MAX];

	if (!q)
		return NULL;
	q->all = all;
	q->l = l;
	q->fn = fn;
	q->arg = arg;
	q->domain = name_absolute(absolute, domain) == 0 ? strdup(absolute) : NULL;
	q->hosted = hosted && name_absolute(zone, hosted) == 0 ? strdup(zone) : NULL;
	if (!q->domain || (hosted && !q->hosted) || !copy_names(q, nameservers, n)) {
		inquiry_free(q);
		return NULL;
	}
	snprintf(q->target, sizeof q->target, "%s", q->domain);
	q->link = all->last;
	*all->last = q;
	all->last = &q->next;
	run_next(all);
	return q;
}

void inquiry_cancel(struct inquiry *q)
{
	if (q)
		inquiry_free(q);
}
