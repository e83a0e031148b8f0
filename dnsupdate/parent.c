/* SOA through the resolvers says which zone a name lies in. Where that fails (the zone is lame, the name is an alias) the name above is
 * asked, until there is an answer: its zone is then further up than could be, and a referral leads down again. */
#include "dnsupdate/parent.h"

#include "dnsupdate/judge.h"
#include "dnsupdate/look_parts.h"
#include "lib/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parents {
	struct looker *l;
	struct entry *entries; /* the last one made first */
	size_t n;
};

struct ns { /* one name server of the zone, while its addresses are looked up */
	struct entry *e;
	char *name;
	struct look *look;
	struct addr addrs[4];
	size_t n;
};

struct entry {
	struct entry *next;
	struct parents *all;
	char *name; /* whose parent this is */
	struct parent found;
	struct parent_ask *asks;
	struct look *look;
	char at[RR_NAME_MAX]; /* the name that is asked for now */
	struct ns ns[PARENT_NAMES];
	size_t n_ns, open;
	int64_t until_ms; /* 0: being looked for */
};

struct parent_ask {
	struct parent_ask *next, **link;
	struct entry *e;
	struct look *later;
	parent_fn *fn;
	void *arg;
};

/* ---- telling ---- */

static void unlink_ask(struct parent_ask *a)
{
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
}

void parent_cancel(struct parent_ask *a)
{
	if (!a)
		return;
	look_cancel(a->later);
	unlink_ask(a);
	free(a);
}

/* What the callback reads is a copy: it may free the looker, and all this with it. */
static void on_later(void *arg)
{
	struct parent_ask *a = arg;
	struct parent p = a->e->found;
	struct parent_ask told = *a;
	char *names[PARENT_SERVERS] = {0};

	p.zone = p.zone ? strdup(p.zone) : NULL;
	for (size_t i = 0; i < p.n; i++)
		p.servers[i].name = names[i] = strdup(p.servers[i].name);
	for (size_t i = 0; i < p.n; i++)
		if (!names[i])
			p.n = i; /* no memory: the rest is not told */
	if (!p.zone && !p.why[0])
		snprintf(p.why, sizeof p.why, "out of memory");
	a->later = NULL;
	parent_cancel(a);
	told.fn(told.arg, &p);
	for (size_t i = 0; i < PARENT_SERVERS; i++)
		free(names[i]);
	free(p.zone);
}

static void ready(struct entry *e)
{
	e->until_ms = mono_ms() + (e->found.zone ? PARENT_KEEP_MS : PARENT_FAILED_MS);
	for (struct parent_ask *a = e->asks; a; a = a->next)
		if (!a->later)
			a->later = look_later(e->all->l, on_later, a);
}

static void forget(struct entry *e)
{
	look_cancel(e->look);
	e->look = NULL;
	for (size_t i = 0; i < e->n_ns; i++) {
		look_cancel(e->ns[i].look);
		free(e->ns[i].name);
	}
	e->n_ns = e->open = 0;
	for (size_t i = 0; i < e->found.n; i++)
		free(e->found.servers[i].name);
	free(e->found.zone);
	e->found = (struct parent){0};
}

static void failed(struct entry *e, const char *what, const char *why)
{
	forget(e);
	snprintf(e->found.why, sizeof e->found.why, "%.60s%.130s", what, why);
	ready(e);
}

/* ---- its servers ---- */

static void add_server(struct entry *e, const struct ns *ns, size_t i)
{
	struct parent *p = &e->found;
	char *name;

	if (i >= ns->n || p->n == PARENT_SERVERS)
		return;
	for (size_t k = 0; k < p->n; k++)
		if (addr_same_ip(&p->servers[k].addr, &ns->addrs[i]))
			return;
	name = strdup(ns->name);
	if (name)
		p->servers[p->n++] = (struct parent_server){name, ns->addrs[i]};
}

static void all_addresses(struct entry *e)
{
	for (size_t i = 0; i < sizeof e->ns->addrs / sizeof *e->ns->addrs; i++)
		for (size_t k = 0; k < e->n_ns; k++)
			add_server(e, &e->ns[k], i);
	if (e->found.n == 0) {
		char zone[80];

		snprintf(zone, sizeof zone, "%.79s", e->found.zone);
		failed(e, "no address is found of the servers of ", zone);
		return;
	}
	ready(e);
}

static void on_addresses(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct ns *ns = arg;

	(void)err;
	ns->look = NULL;
	ns->n = n < sizeof ns->addrs / sizeof *ns->addrs ? n : sizeof ns->addrs / sizeof *ns->addrs;
	if (n)
		memcpy(ns->addrs, addrs, ns->n * sizeof *addrs);
	if (--ns->e->open == 0)
		all_addresses(ns->e);
}

static void add_ns(struct entry *e, const struct rdata *r)
{
	struct ns *ns = &e->ns[e->n_ns];

	*ns = (struct ns){.e = e, .name = wire_rdata_target(RR_NS, r->bytes, r->len)};
	if (!ns->name)
		return;
	ns->look = look_addresses(e->all->l, ns->name, on_addresses, ns);
	e->open += ns->look != NULL;
	e->n_ns++;
}

static void on_ns(void *arg, const struct answer *a, const struct err *err)
{
	struct entry *e = arg;
	struct rrset set = {0};

	e->look = NULL;
	if (!a || a->rcode != RCODE_NOERROR || answer_rrset(a, e->found.zone, RR_NS, &set) < 0 || set.n == 0) {
		failed(e, "the name servers of the parent zone are not found: ", a ? rcode_text(a->rcode) : err->text);
	} else {
		for (size_t i = 0; i < set.n && i < PARENT_NAMES; i++)
			add_ns(e, &set.values[i]);
		if (e->open == 0)
			failed(e, "out of memory", "");
	}
	rrset_done(&set);
}

/* ---- its zone ---- */

static void ask_soa(struct entry *e);

static void go_up(struct entry *e)
{
	const char *up = name_parent(e->at);

	if (!up) {
		failed(e, "the resolvers know no zone that holds ", e->name);
		return;
	}
	memmove(e->at, up, strlen(up) + 1);
	ask_soa(e);
}

static void on_soa(void *arg, const struct answer *a, const struct err *err)
{
	struct entry *e = arg;
	char cut[RR_NAME_MAX];

	e->look = NULL;
	if (!a) {
		failed(e, "no resolver answers: ", err->text);
		return;
	}
	switch (judge_cut(cut, a, e->at)) {
	case CUT_FOUND:
	case CUT_ABSENT:
		e->found.zone = strdup(cut);
		e->look = e->found.zone ? look_up(e->all->l, cut, RR_NS, on_ns, e) : NULL;
		if (!e->look)
			failed(e, "out of memory", "");
		return;
	case CUT_ALIAS:
	case CUT_FAILED:
		go_up(e);
		return;
	}
}

static void ask_soa(struct entry *e)
{
	e->look = look_up(e->all->l, e->at, RR_SOA, on_soa, e);
	if (!e->look)
		failed(e, "out of memory", "");
}

/* ---- what is remembered ---- */

static void entry_free(struct entry *e)
{
	while (e->asks)
		parent_cancel(e->asks);
	forget(e);
	free(e->name);
	free(e);
}

static void parents_free(void *state)
{
	struct parents *all = state;

	for (struct entry *e; (e = all->entries);) {
		all->entries = e->next;
		entry_free(e);
	}
	free(all);
}

static struct parents *parents_of(struct looker *l)
{
	if (!l->parents.state) {
		struct parents *all = calloc(1, sizeof *all);

		if (!all)
			return NULL;
		all->l = l;
		l->parents = (struct companion){all, parents_free};
	}
	return l->parents.state;
}

static void make_room(struct parents *all)
{
	struct entry **oldest = NULL, *e;

	if (all->n < PARENTS_MAX)
		return;
	for (struct entry **link = &all->entries; *link; link = &(*link)->next)
		if ((*link)->until_ms && !(*link)->asks)
			oldest = link;
	if (!oldest)
		return; /* all are waited for: there are no more of them than inquiries under way */
	e = *oldest;
	*oldest = e->next;
	all->n--;
	entry_free(e);
}

static struct entry *entry_of(struct parents *all, const char *name)
{
	struct entry *e;

	for (e = all->entries; e; e = e->next)
		if (name_same(e->name, name))
			return e;
	make_room(all);
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->name = strdup(name);
	if (!e->name) {
		free(e);
		return NULL;
	}
	e->all = all;
	e->until_ms = 1; /* long ago */
	e->next = all->entries;
	all->entries = e;
	all->n++;
	return e;
}

struct parent_ask *parent_find(struct looker *l, const char *name, parent_fn *fn, void *arg)
{
	struct parents *all = parents_of(l);
	char absolute[RR_NAME_MAX];
	struct entry *e = all && name_absolute(absolute, name) == 0 ? entry_of(all, absolute) : NULL;
	struct parent_ask *a = e ? calloc(1, sizeof *a) : NULL;
	bool told;

	if (!a)
		return NULL;
	*a = (struct parent_ask){.next = e->asks, .link = &e->asks, .e = e, .fn = fn, .arg = arg};
	if (a->next)
		a->next->link = &a->next;
	e->asks = a;
	if (e->until_ms == 0)
		return a;
	told = e->until_ms > mono_ms() || (a->next && a->next->later); /* what others have not read yet may not be thrown away */
	if (told) {
		a->later = look_later(l, on_later, a);
		return a;
	}
	forget(e);
	e->until_ms = 0;
	memcpy(e->at, e->name, strlen(e->name) + 1);
	ask_soa(e);
	return a;
}
