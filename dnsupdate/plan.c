/* The verbs, mark by mark. A mark that was found as expected is what the verb works on; found otherwise it is drift, and nobody's work is
 * overwritten. Then, for the verbs that find new work, the RRsets in scope that have no mark. */
#include "dnsupdate/plan_parts.h"

#include "dnsupdate/wire.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_FROM 20 /* record sets: of a small zone, all may be one account's */

int plan_note(struct plan *p, const char *fmt, ...)
{
	char **grown = reallocarray(p->notes, p->n_notes + 1, sizeof *grown);
	va_list ap;
	int n;

	if (!grown)
		return -ENOMEM;
	p->notes = grown;
	va_start(ap, fmt);
	n = vasprintf(&grown[p->n_notes], fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	p->n_notes++;
	return 0;
}

void plan_done(struct plan *p)
{
	for (size_t i = 0; i < p->n_findings; i++) {
		free(p->findings[i].name);
		free(p->findings[i].what);
	}
	for (size_t i = 0; i < p->n_drifts; i++)
		rrset_done(&p->drifts[i].found);
	for (size_t i = 0; i < p->n_notes; i++)
		free(p->notes[i]);
	free(p->findings);
	free(p->drifts);
	free(p->notes);
	*p = (struct plan){0};
}

/* ---- from which address to which ---- */

static int need_address(const struct conf *conf, const struct conf_host *h, struct err *err)
{
	if (!h->text || addr_family(&h->addr) != AF_UNSPEC)
		return 0;
	return err_set(err, -EPERM, "%s:%d: found a pair with the name %s, expected an address: DNS needs addresses", conf->file, h->line,
		       h->text);
}

static int read_pairs(struct planning *p, const struct conf *conf, struct err *err)
{
	p->swaps = calloc(conf->n_pairs + 1, sizeof *p->swaps);
	if (!p->swaps)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < conf->n_pairs; i++) {
		const struct conf_pair *pair = &conf->pairs[i];
		bool whole = pair->transit.text != NULL;
		int rc = need_address(conf, &pair->client, err);

		if (rc == 0)
			rc = need_address(conf, &pair->transit, err);
		if (rc < 0)
			return rc;
		if (!p->home)
			p->swaps[p->n_swaps++] = (struct swap){pair->client.addr, pair->transit.addr, whole};
		else if (whole)
			p->swaps[p->n_swaps++] = (struct swap){pair->transit.addr, pair->client.addr, true};
	}
	return 0;
}

static bool is_value(const struct addr *a, const struct rdata *value, uint16_t type)
{
	if (type == RR_A)
		return addr_family(a) == AF_INET && value->len == 4 && memcmp(&a->v4.sin_addr, value->bytes, 4) == 0;
	return type == RR_AAAA && addr_family(a) == AF_INET6 && value->len == 16 && memcmp(&a->v6.sin6_addr, value->bytes, 16) == 0;
}

const struct swap *plan_swap(const struct planning *p, const struct rdata *value, uint16_t type)
{
	for (size_t i = 0; i < p->n_swaps; i++)
		if (is_value(&p->swaps[i].from, value, type))
			return &p->swaps[i];
	return NULL;
}

bool plan_has_partner(const struct planning *p, const struct rrset *set)
{
	for (size_t i = 0; i < p->n_swaps; i++)
		for (size_t k = 0; p->swaps[i].has_to && k < set->n; k++)
			if (is_value(&p->swaps[i].to, &set->values[k], set->type))
				return true;
	return false;
}

/* ---- what becomes of one RRset ---- */

static int add_address(struct rrset *s, const struct addr *a)
{
	return addr_family(a) == AF_INET ? rrset_add(s, (const uint8_t *)&a->v4.sin_addr, 4)
					 : rrset_add(s, (const uint8_t *)&a->v6.sin6_addr, 16);
}

/* What comes may point at the transit server, and be wanted back soon; on the way home TTLs stay. */
static uint32_t next_ttl(const struct planning *p, const struct rrset *set)
{
	return !p->home && set->ttl > p->ttl ? p->ttl : set->ttl;
}

static int swap_addresses(const struct planning *p, const struct rrset *set, struct rrset *next, bool *changed)
{
	int rc = rrset_init(next, set->owner, set->type, next_ttl(p, set));

	*changed = false;
	for (size_t i = 0; rc == 0 && i < set->n; i++) {
		const struct swap *s = plan_swap(p, &set->values[i], set->type);

		if (!s)
			rc = rrset_add(next, set->values[i].bytes, set->values[i].len);
		else if (s->has_to)
			rc = add_address(next, &s->to);
		*changed |= s != NULL;
	}
	if (rc < 0)
		rrset_done(next);
	return rc;
}

static bool apex_ns_names(const struct zone *z, const char *name)
{
	const struct rrset *ns = zone_find(z, z->name, RR_NS);
	bool is = false;

	for (size_t i = 0; ns && !is && i < ns->n; i++) {
		char *target = wire_rdata_target(RR_NS, ns->values[i].bytes, ns->values[i].len);

		is = target && name_same(target, name);
		free(target);
	}
	return is;
}

/* Whether the name has an address of the other family afterwards. */
static int other_family_stays(const struct planning *p, const struct rrset *set, bool *stays)
{
	const struct rrset *other = zone_find(p->z, set->owner, set->type == RR_A ? RR_AAAA : RR_A);
	struct rrset next;
	bool changed;
	int rc;

	*stays = false;
	if (!other)
		return 0;
	rc = swap_addresses(p, other, &next, &changed);
	if (rc < 0)
		return rc;
	*stays = next.n > 0;
	rrset_done(&next);
	return 0;
}

static int rewrite_addresses(const struct planning *p, const struct rrset *set, enum action *action, struct rrset *next,
			     struct sentence *why)
{
	const char *family = set->type == RR_A ? "IPv4" : "IPv6";
	bool changed, stays = true;
	int rc = swap_addresses(p, set, next, &changed);

	if (rc == 0 && next->n == 0)
		rc = other_family_stays(p, set, &stays);
	if (rc < 0 || !changed) {
		rrset_done(next);
		return rc;
	}
	*action = ACTION_KEEP;
	if (apex_ns_names(p->z, set->owner))
		snprintf(why->text, sizeof why->text,
			 "a name server of the zone has an address of the server: left as it is, move the name server");
	else if (!stays)
		snprintf(why->text, sizeof why->text, "%s only and no %s partner: left as it is, the proxy covers it", family, family);
	else
		*action = ACTION_CHANGE;
	if (*action == ACTION_KEEP)
		rrset_done(next);
	return 0;
}

static void tell_of_spf(const struct rdata *record, int found, const char *wide, struct sentence *why)
{
	if (found == SPF_WIDE || (found == SPF_OTHER && *wide))
		snprintf(why->text, sizeof why->text,
			 "SPF %s holds the server's address and not the partner's: unsupported, add it by hand", wide);
	else if (found == SPF_OTHER && spf_length(record) > SPF_LONG)
		snprintf(why->text, sizeof why->text, "the SPF record has %zu bytes, more than %d: answers may need TCP",
			 spf_length(record), SPF_LONG);
	else if (found == -EMSGSIZE)
		snprintf(why->text, sizeof why->text, "the SPF record would be longer than any record can be: left as it is");
}

static int rewrite_spf(const struct planning *p, const struct rrset *set, enum action *action, struct rrset *next, struct sentence *why)
{
	int rc = rrset_init(next, set->owner, set->type, next_ttl(p, set));

	for (size_t i = 0; rc == 0 && i < set->n; i++) {
		struct rdata record;
		char wide[64];
		int found = spf_rewrite(&set->values[i], p->swaps, p->n_swaps, p->home, &record, wide);

		if (found == -ENOMEM)
			rc = found;
		else if (found == SPF_OTHER)
			rc = rrset_add(next, record.bytes, record.len);
		else
			rc = rrset_add(next, set->values[i].bytes, set->values[i].len);
		tell_of_spf(&record, found, wide, why);
		if (found == SPF_OTHER)
			*action = ACTION_CHANGE;
		else if ((found == SPF_WIDE || found == -EMSGSIZE) && *action == ACTION_NONE)
			*action = ACTION_KEEP;
		free(record.bytes);
	}
	if (rc < 0 || *action != ACTION_CHANGE)
		rrset_done(next);
	return rc;
}

bool plan_is_spf_type(uint16_t type)
{
	return type == RR_TXT || type == RR_SPF;
}

int plan_rewrite(const struct planning *p, const struct rrset *set, enum action *action, struct rrset *next, struct sentence *why)
{
	*action = ACTION_NONE;
	*next = (struct rrset){0};
	*why = (struct sentence){""};
	if (set->type == RR_A || set->type == RR_AAAA)
		return rewrite_addresses(p, set, action, next, why);
	return plan_is_spf_type(set->type) ? rewrite_spf(p, set, action, next, why) : 0;
}

bool plan_is_delegated(const struct zone *z, const char *name)
{
	for (; name && !name_same(name, z->name); name = name_parent(name))
		if (zone_find(z, name, RR_NS))
			return true;
	return false;
}

static int note_rewrite(struct planning *p, const struct rrset *set, const struct sentence *why)
{
	char type[16];

	return why->text[0] ? plan_note(p->out, "%s %s: %s", set->owner, rr_type_text(set->type, type), why->text) : 0;
}

/* ---- marks ---- */

static int replace(struct rrset *old, const struct rrset *from)
{
	struct rrset copy;
	int rc = rrset_copy(&copy, from);

	if (rc == 0) {
		rrset_done(old);
		*old = copy;
	}
	return rc;
}

/* next = values with that TTL; where that is what is there already, nothing. */
static int intend(struct mark *m, const struct rrset *values, uint32_t ttl)
{
	int rc = replace(&m->next, values);

	if (rc < 0)
		return rc;
	m->next.ttl = ttl;
	m->pending = !rrset_equal(&m->next, &m->after);
	if (!m->pending)
		rrset_done(&m->next);
	return 0;
}

/* From now on the mark begins with what was found. */
static int rebase(struct mark *m, const struct rrset *found)
{
	int rc = replace(&m->before, found);

	if (rc == 0)
		rc = replace(&m->after, found);
	rrset_done(&m->next);
	m->pending = false;
	return rc;
}

static int add_drift(struct planning *p, const struct mark *m, const struct rrset *found)
{
	struct drift *grown = reallocarray(p->out->drifts, p->out->n_drifts + 1, sizeof *grown), *d;

	if (!grown)
		return -ENOMEM;
	p->out->drifts = grown;
	d = &grown[p->out->n_drifts];
	*d = (struct drift){.mark = m};
	if (rrset_copy(&d->found, found) < 0)
		return -ENOMEM;
	p->out->n_drifts++;
	return 0;
}

static int drifted(struct planning *p, struct mark *m, const struct rrset *found)
{
	char is[200], was[200], type[16];

	if (!p->wish->leave_drift)
		return add_drift(p, m, found);
	if (plan_note(p->out, "%s %s: found %s, expected %s: left as found and forgotten", found->owner, rr_type_text(found->type, type),
		      rrset_text(found, is, sizeof is), rrset_text(&m->after, was, sizeof was)) < 0)
		return -ENOMEM;
	m->left = true;
	return rebase(m, found);
}

/* Values by the pairs (push), or the same ones that are not to be remembered for long (prepare). next is the caller's, wanted or not. */
static int wish_for(struct planning *p, const struct rrset *found, bool *wanted, struct rrset *next)
{
	enum action action;
	struct sentence why;
	int rc = plan_rewrite(p, found, &action, next, &why);

	if (rc == 0 && action == ACTION_CHANGE && p->wish->verb == VERB_PREPARE) {
		rc = replace(next, found);
		next->ttl = found->ttl > p->ttl ? p->ttl : found->ttl;
	}
	*wanted = rc == 0 && action == ACTION_CHANGE && !rrset_equal(next, found);
	return rc < 0 ? rc : note_rewrite(p, found, &why);
}

static int push_mark(struct planning *p, struct mark *m, const struct rrset *found)
{
	struct rrset next;
	bool wanted;
	int rc = wish_for(p, found, &wanted, &next);

	if (rc == 0 && wanted)
		rc = intend(m, &next, next.ttl);
	rrset_done(&next);
	return rc;
}

static int restore(struct mark *m, const struct rrset *found)
{
	if (rrset_equal(found, &m->after))
		return intend(m, &m->before, m->before.ttl);
	rrset_done(&m->next);
	m->pending = false;
	return replace(&m->after, found); /* it is as before already: by hand, or by an undo of which only the record is missing */
}

static int names_any(const struct planning *p, const struct rrset *set, bool *names)
{
	enum action action;
	struct sentence why;
	struct rrset next;
	int rc = plan_rewrite(p, set, &action, &next, &why);

	rrset_done(&next);
	*names = action == ACTION_CHANGE;
	return rc;
}

/* What names the transit server, in a mark whose `before` says which TTL it shall have then: one that a push lowered is the old one again.
 */
static int send_home(struct planning *p, struct mark *m, const struct rrset *found)
{
	int rc = push_mark(p, m, found);

	if (rc == 0 && m->pending)
		m->next.ttl = m->before.ttl;
	return rc;
}

static int send_home_edited(struct planning *p, struct mark *m, const struct rrset *found)
{
	bool ours = m->before.n && m->after.n && found->ttl == m->after.ttl;
	uint32_t ttl = ours ? m->before.ttl : found->ttl;
	bool is_there = false;
	int rc = names_any(p, found, &is_there);

	if (rc == 0)
		rc = rebase(m, found);
	if (rc < 0 || !is_there)
		return rc;
	m->before.ttl = ttl;
	return send_home(p, m, found);
}

/* Towards the client server. What a push left is restored exactly. A mark of a way home is known by its `before`, which names the transit
 * server (a push takes no such address away): where `after` does so, too, it is still to go; else it is home already. What was edited since
 * counts as it is now, and of that only what names the transit server. */
static int go_home(struct planning *p, struct mark *m, const struct rrset *found)
{
	bool came_from = false, is_there = false;
	int rc = names_any(p, &m->before, &came_from);

	if (rc == 0)
		rc = names_any(p, &m->after, &is_there);
	if (rc < 0)
		return rc;
	if (rrset_equal(found, &m->after)) {
		if (came_from)
			return is_there ? send_home(p, m, found) : 0;
		return restore(m, found);
	}
	if (rrset_equal(found, &m->before) && !came_from)
		return restore(m, found);
	return send_home_edited(p, m, found);
}

/* Nothing of ours is there: an undo was through with it, or a change never came to it. Whatever it is by now, it is its owner's - but for
 * what an undo would have to take away: that may be an update of ours which a server carried out late. */
static int take_over_edits(const struct planning *p, struct mark *m, const struct rrset *found)
{
	bool names = false;
	int rc = 0;

	if (m->pending || !rrset_equal(&m->before, &m->after) || rrset_equal(found, &m->after))
		return 0;
	if (p->home)
		rc = names_any(p, found, &names);
	return rc < 0 || names ? rc : rebase(m, found);
}

static int finalise(struct mark *m)
{
	return m->after.n == 0 ? 0 : intend(m, &m->after, m->before.n ? m->before.ttl : m->after.ttl);
}

static int plan_mark(struct planning *p, struct mark *m, const struct rrset *found)
{
	int rc = take_over_edits(p, m, found);
	bool expected = rrset_equal(found, &m->after), undone = rrset_equal(found, &m->before);

	if (rc < 0)
		return rc;
	switch (p->wish->verb) {
	case VERB_PREPARE:
	case VERB_PUSH:
		if (p->home)
			return go_home(p, m, found);
		if (!m->pending && (!scope_has(p->scope, m->before.owner) || plan_is_delegated(p->z, m->before.owner)))
			return 0; /* the name is not the account's any more; its undo is */
		return expected ? push_mark(p, m, found) : drifted(p, m, found);
	case VERB_UNDO:
		return expected || undone ? restore(m, found) : drifted(p, m, found);
	case VERB_FINALISE:
		return expected ? finalise(m) : drifted(p, m, found);
	}
	return 0;
}

static int plan_marks(struct planning *p)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->e->n; i++) {
		struct mark *m = &p->e->marks[i];

		if (m->left) /* the same work is planned again after each look, until nothing is left to do */
			continue;
		const struct rrset *found = zone_find(p->z, m->before.owner, m->before.type);
		const struct rrset none = {.owner = m->before.owner, .type = m->before.type};
		struct rrset copy; /* the mark's own are replaced on the way */

		rc = rrset_copy(&copy, found ? found : &none);
		if (rc == 0)
			rc = plan_mark(p, m, &copy);
		rrset_done(&copy);
	}
	return rc;
}

/* ---- RRsets without a mark ---- */

static int plan_set(struct planning *p, const struct rrset *set)
{
	struct rrset next;
	struct mark *m;
	bool wanted;
	int rc;

	if (entry_mark(p->e, set->owner, set->type) || !scope_has(p->scope, set->owner) || plan_is_delegated(p->z, set->owner))
		return 0;
	rc = wish_for(p, set, &wanted, &next);
	if (rc == 0 && wanted) {
		m = entry_add(p->e, set, set->owner, set->type);
		rc = m ? intend(m, &next, next.ttl) : -ENOMEM;
	}
	rrset_done(&next);
	return rc;
}

static bool finds_new_work(const struct plan_wish *w)
{
	return w->verb == VERB_PUSH || w->verb == VERB_PREPARE;
}

static int plan_sets(struct planning *p)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && finds_new_work(p->wish) && i < p->z->n; i++)
		if (!rr_is_dnssec(p->z->sets[i].type))
			rc = plan_set(p, &p->z->sets[i]);
	for (size_t i = 0; i < p->out->n_drifts; i++) { /* marks have moved where others came between them */
		struct drift *d = &p->out->drifts[i];

		d->mark = entry_mark(p->e, d->found.owner, d->found.type);
	}
	return rc;
}

/* ---- all of it ---- */

static uint32_t remembered(const struct mark *m, const struct zone *z)
{
	return m->after.n ? m->after.ttl : m->next.n ? z->negative_ttl : 0;
}

static void count(struct planning *p)
{
	for (size_t i = 0; i < p->z->n; i++)
		p->out->n_sets += !rr_is_dnssec(p->z->sets[i].type);
	for (size_t i = 0; i < p->e->n; i++) {
		const struct mark *m = &p->e->marks[i];
		uint32_t ttl = m->pending ? remembered(m, p->z) : 0;

		p->out->n_changes += m->pending;
		if (ttl > p->out->old_ttl_s)
			p->out->old_ttl_s = ttl;
	}
	if (p->out->n_changes) {
		uint32_t ttl = plan_alias_ttl(p);

		if (ttl > p->out->old_ttl_s)
			p->out->old_ttl_s = ttl;
	}
}

static int check_share(const struct planning *p, const struct conf *conf, struct err *err)
{
	const struct plan *o = p->out;

	if (!finds_new_work(p->wish) || o->n_sets <= SHARE_FROM || o->n_changes * 100 <= o->n_sets * (size_t)conf->dns.zone_share)
		return 0;
	return err_set(
		err, -EPERM,
		"%s: %zu of its %zu record sets would change, expected at most %d percent (dns zone-share): look at the plan, and raise "
		"zone-share if it is right",
		p->z->name, o->n_changes, o->n_sets, conf->dns.zone_share);
}

static int check_state(const struct entry *e, const struct plan_wish *wish, struct err *err)
{
	if (wish->verb == VERB_PREPARE && e->side == SIDE_TRANSIT && (e->state == ENTRY_PUSHED || e->state == ENTRY_FINALISED))
		return err_set(err, -EPERM, "%s of account %s is pushed already: there is nothing to prepare, undo it first", e->zone,
			       e->account);
	return 0;
}

static int make(struct planning *p, const struct conf *conf, struct err *err)
{
	int rc = read_pairs(p, conf, err);

	if (rc < 0)
		return rc;
	rc = plan_marks(p);
	if (rc == 0)
		rc = plan_sets(p);
	if (rc == 0)
		rc = plan_find_names(p);
	if (rc < 0)
		return err_set(err, rc, "out of memory");
	count(p);
	return check_share(p, conf, err);
}

int plan_make(struct plan *out, struct entry *e, const struct zone *z, const struct scope *s, const struct conf *conf,
	      const struct plan_wish *wish, struct err *err)
{
	struct planning p = {.out = out,
			     .e = e,
			     .z = z,
			     .scope = s,
			     .wish = wish,
			     .ttl = (uint32_t)conf->dns.ttl,
			     .home = wish->verb == VERB_UNDO || (wish->verb == VERB_PUSH && wish->to == SIDE_CLIENT)};
	int rc;

	*out = (struct plan){0};
	if (!z)
		return err_set(err, -ENOENT, "the zone %s is gone from its server: what was changed there for account %s cannot be found",
			       e->zone, e->account);
	rc = check_state(e, wish, err);
	if (rc == 0)
		rc = make(&p, conf, err);
	free(p.swaps);
	return rc;
}
