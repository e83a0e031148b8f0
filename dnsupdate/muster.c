/* The name servers of a zone: what the zone says of itself and what its parent says need not be the same, and visitors follow both. */
#include "dnsupdate/authority.h"

#include "dnsupdate/judge.h"
#include "dnsupdate/look_parts.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64
#define ADDRS_MAX 16 /* of one name */

struct muster_name {
	struct muster *m;
	char *name;
	struct look *v4, *v6, *lookup; /* v4, v6: asked of the primary */
	struct addr addrs[ADDRS_MAX];
	size_t n;
};

struct muster {
	struct looker *l;
	struct muster_name *names[NAMES_MAX];
	size_t n, open;
	struct addr primary;
	bool has_primary;
	struct look *later;
	muster_fn *fn;
	void *arg;
};

void server_list_done(struct server_list *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->servers[i].name);
	for (size_t i = 0; i < s->n_lost; i++)
		free(s->lost[i]);
	free(s->servers);
	free(s->lost);
	*s = (struct server_list){0};
}

void muster_cancel(struct muster *m)
{
	if (!m)
		return;
	look_cancel(m->later);
	for (size_t i = 0; i < m->n; i++) {
		look_cancel(m->names[i]->v4);
		look_cancel(m->names[i]->v6);
		look_cancel(m->names[i]->lookup);
		free(m->names[i]->name);
		free(m->names[i]);
	}
	free(m);
}

/* ---- the list ---- */

/* A name that no memory is left for is one too few, which would be a lie: it ends in `lost` or nowhere. */
static bool list_add(struct server_list *list, const char *name, const struct addr *addr)
{
	struct addr at = *addr;
	struct server *grown;
	char *copy;

	if (addr_port(&at) == 0)
		addr_set_port(&at, 53);
	for (size_t i = 0; i < list->n; i++)
		if (addr_same(&list->servers[i].addr, &at))
			return true;
	grown = reallocarray(list->servers, list->n + 1, sizeof *grown);
	if (!grown)
		return false;
	list->servers = grown;
	copy = strdup(name);
	if (!copy)
		return false;
	grown[list->n++] = (struct server){.name = copy, .addr = at};
	return true;
}

static void list_lose(struct server_list *list, const char *name)
{
	char **grown = reallocarray(list->lost, list->n_lost + 1, sizeof *grown);

	if (!grown)
		return;
	list->lost = grown;
	grown[list->n_lost] = strdup(name);
	list->n_lost += grown[list->n_lost] != NULL;
}

static void complete(struct muster *m)
{
	struct server_list list = {0};
	char text[ADDR_TEXT_MAX];
	muster_fn *fn = m->fn;
	void *arg = m->arg;

	if (m->has_primary)
		list_add(&list, addr_text(&m->primary, text), &m->primary);
	for (size_t i = 0; i < m->n; i++) {
		const struct muster_name *n = m->names[i];
		bool fine = n->n > 0;

		for (size_t k = 0; k < n->n; k++)
			fine = list_add(&list, n->name, &n->addrs[k]) && fine;
		if (!fine)
			list_lose(&list, n->name);
	}
	muster_cancel(m);
	fn(arg, &list);
	server_list_done(&list);
}

/* ---- addresses of one name ---- */

static void one_less(struct muster *m)
{
	if (--m->open == 0)
		complete(m);
}

static void name_add(struct muster_name *n, const struct addr *a)
{
	if (n->n < ADDRS_MAX)
		n->addrs[n->n++] = *a;
}

static void name_add_set(struct muster_name *n, const struct rrset *set)
{
	for (size_t i = 0; set && i < set->n; i++) {
		struct addr a;

		if (look_rdata_address(&a, set->type, &set->values[i]))
			name_add(n, &a);
	}
}

static void on_addresses(void *arg, const struct addr *addrs, size_t n, const struct err *err)
{
	struct muster_name *name = arg;

	(void)err; /* it is lost, and the list says so */
	name->lookup = NULL;
	for (size_t i = 0; i < n; i++)
		name_add(name, &addrs[i]);
	one_less(name->m);
}

static void look_it_up(struct muster_name *n)
{
	n->lookup = look_addresses(n->m->l, n->name, on_addresses, n);
	if (!n->lookup)
		one_less(n->m);
}

static void primary_said(struct muster_name *n, const struct answer *a, uint16_t type)
{
	struct rrset set = {0};

	if (a && a->aa && a->rcode == RCODE_NOERROR && answer_rrset(a, n->name, type, &set) == 0)
		name_add_set(n, &set);
	rrset_done(&set);
	if (n->v4 || n->v6)
		return;
	if (n->n)
		one_less(n->m);
	else
		look_it_up(n);
}

static void on_v4(void *arg, const struct answer *a, const struct err *err)
{
	struct muster_name *n = arg;

	(void)err;
	n->v4 = NULL;
	primary_said(n, a, RR_A);
}

static void on_v6(void *arg, const struct answer *a, const struct err *err)
{
	struct muster_name *n = arg;

	(void)err;
	n->v6 = NULL;
	primary_said(n, a, RR_AAAA);
}

static void find_addresses(struct muster_name *n)
{
	struct muster *m = n->m;

	if (n->n) /* the zone says them itself */
		return;
	m->open++;
	if (m->has_primary) {
		n->v4 = look_at(m->l, &m->primary, n->name, RR_A, on_v4, n);
		n->v6 = look_at(m->l, &m->primary, n->name, RR_AAAA, on_v6, n);
	}
	if (!n->v4 && !n->v6)
		look_it_up(n);
}

static void on_start(void *arg)
{
	struct muster *m = arg;

	m->later = NULL;
	m->open = 1; /* this function itself */
	for (size_t i = 0; i < m->n; i++)
		find_addresses(m->names[i]);
	one_less(m);
}

/* ---- names ---- */

static bool add_name(struct muster *m, const struct zone *zone, const char *name)
{
	struct muster_name *n;
	char absolute[RR_NAME_MAX];

	if (name_absolute(absolute, name) < 0 || m->n == NAMES_MAX)
		return true;
	for (size_t i = 0; i < m->n; i++)
		if (name_same(m->names[i]->name, absolute))
			return true;
	n = calloc(1, sizeof *n);
	if (!n)
		return false;
	n->m = m;
	n->name = strdup(absolute);
	if (!n->name) {
		free(n);
		return false;
	}
	m->names[m->n++] = n;
	name_add_set(n, zone_find(zone, n->name, RR_A));
	name_add_set(n, zone_find(zone, n->name, RR_AAAA));
	return true;
}

static bool add_names(struct muster *m, const struct zone *zone, const struct delegation *d)
{
	const struct rrset *apex = zone_find(zone, zone->name, RR_NS);
	bool fine = true;

	for (size_t i = 0; apex && fine && i < apex->n; i++) {
		char *name = wire_rdata_target(RR_NS, apex->values[i].bytes, apex->values[i].len);

		fine = name && add_name(m, zone, name);
		free(name);
	}
	for (size_t i = 0; d && fine && i < d->n_ns; i++)
		fine = add_name(m, zone, d->ns[i]);
	return fine;
}

struct muster *muster_start(struct looker *l, const struct zone *zone, const struct delegation *d, const struct addr *primary,
			    muster_fn *fn, void *arg)
{
	struct muster *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	*m = (struct muster){.l = l, .fn = fn, .arg = arg, .has_primary = primary != NULL};
	if (primary)
		m->primary = *primary;
	m->later = add_names(m, zone, d) ? look_later(l, on_start, m) : NULL;
	if (!m->later) {
		muster_cancel(m);
		return NULL;
	}
	return m;
}
