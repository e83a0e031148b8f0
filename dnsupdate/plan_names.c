/* What becomes of each name in scope, for people: what points at the server, what follows, what is left alone. Aliases are followed within
 * the zone, as a server does (RFC 1034 3.6.2, wildcards RFC 4592), for so many hops that a loop ends. */
#include "dnsupdate/plan_parts.h"

#include "dnsupdate/wire.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS_MAX 16
#define WHAT_MAX 600 /* more values than that are cut */

enum { TYPE_SVCB = 64, TYPE_LUA = 65402 };

const char *fate_text(enum fate f)
{
	static const char *const texts[] = {
		[FATE_CHANGES] = "changes",    [FATE_FOLLOWS] = "follows",         [FATE_ELSEWHERE] = "elsewhere",
		[FATE_DELEGATED] = "sub-zone", [FATE_UNSUPPORTED] = "unsupported", [FATE_DONE] = "moved"};

	return texts[f];
}

static int add_finding(struct planning *p, const struct rrset *set, enum fate fate, const char *what)
{
	struct plan *o = p->out;
	struct finding *grown = reallocarray(o->findings, o->n_findings + 1, sizeof *grown), *f;

	if (!grown)
		return -ENOMEM;
	o->findings = grown;
	f = &grown[o->n_findings];
	*f = (struct finding){strdup(set->owner), set->type, fate, strdup(what)};
	if (f->name && f->what) {
		o->n_findings++;
		return 0;
	}
	free(f->name);
	free(f->what);
	return -ENOMEM;
}

/* ---- names as a server looks them up ---- */

static bool exists(const struct zone *z, const char *name)
{
	size_t low = 0, high = z->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = name_compare(name, z->sets[mid].owner);

		if (c == 0)
			return true;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

/* The owner whose RRsets answer for name: itself, or the wildcard of the closest name above it that is there. NULL: none. */
static const char *owner_of(const struct zone *z, const char *name, char wildcard[RR_NAME_MAX + 2])
{
	if (exists(z, name))
		return name;
	for (const char *above = name_parent(name); above && name_within(above, z->name); above = name_parent(above)) {
		snprintf(wildcard, RR_NAME_MAX + 2, "*.%s", above);
		if (exists(z, wildcard))
			return wildcard;
		if (exists(z, above))
			return NULL;
	}
	return NULL;
}

/* A way along CNAMEs. */
struct walk {
	const struct zone *z;
	char name[RR_NAME_MAX], wildcard[RR_NAME_MAX + 2];
	const char *owner; /* that answers for name; NULL: none in this zone */
	unsigned hops;
};

static void arrive(struct walk *w, const char *name)
{
	snprintf(w->name, sizeof w->name, "%s", name);
	w->owner = NULL;
	if (name_within(w->name, w->z->name) && !plan_is_delegated(w->z, w->name))
		w->owner = owner_of(w->z, w->name, w->wildcard);
}

/* False: the way ends here; in a loop it ends too, where there is no address. */
static bool step(struct walk *w)
{
	const struct rrset *cname = w->owner ? zone_find(w->z, w->owner, RR_CNAME) : NULL;
	char *target;

	if (!cname || cname->n == 0 || w->hops++ >= HOPS_MAX)
		return false;
	target = wire_rdata_target(RR_CNAME, cname->values[0].bytes, cname->values[0].len);
	if (!target)
		return false;
	arrive(w, target);
	free(target);
	return true;
}

/* ---- aliases of what is about to change ---- */

static bool is_pending(struct entry *e, const char *owner)
{
	static const uint16_t types[] = {RR_A, RR_AAAA, RR_TXT, RR_SPF};

	for (size_t i = 0; owner && i < sizeof types / sizeof *types; i++) {
		const struct mark *m = entry_mark(e, owner, types[i]);

		if (m && m->pending)
			return true;
	}
	return false;
}

uint32_t plan_alias_ttl(const struct planning *p)
{
	uint32_t most = 0;

	for (size_t i = 0; i < p->z->n; i++) {
		const struct rrset *set = &p->z->sets[i];
		struct walk w = {.z = p->z};
		bool leads = false;

		if (set->type != RR_CNAME || set->ttl <= most)
			continue;
		arrive(&w, set->owner);
		while (!leads && step(&w))
			leads = is_pending(p->e, w.name) || is_pending(p->e, w.owner);
		if (leads)
			most = set->ttl;
	}
	return most;
}

/* ---- what is where ---- */

static void list(const struct rrset *s, char out[WHAT_MAX])
{
	size_t n = 0;

	snprintf(out, WHAT_MAX, "none");
	for (size_t i = 0; i < s->n && n < WHAT_MAX; i++) {
		char *text = wire_rdata_text(s->type, s->values[i].bytes, s->values[i].len);

		n += (size_t)snprintf(out + n, WHAT_MAX - n, "%s%s", i ? ", " : "", text ? text : "?");
		free(text);
	}
}

static int address_fate(const struct planning *p, const struct rrset *set, enum fate *fate, struct rrset *next, struct sentence *why)
{
	const struct mark *m = entry_mark(p->e, set->owner, set->type);
	enum action action;
	int rc = plan_rewrite(p, set, &action, next, why);

	if (rc < 0)
		return rc;
	if (m && m->pending && !rrset_same_values(&m->after, &m->next)) { /* what is restored need not be what the pairs say */
		rrset_done(next);
		rc = rrset_copy(next, &m->next);
		action = ACTION_CHANGE;
	}
	*fate = action == ACTION_CHANGE    ? FATE_CHANGES
		: action == ACTION_KEEP    ? FATE_UNSUPPORTED
		: plan_has_partner(p, set) ? FATE_DONE
					   : FATE_ELSEWHERE;
	return rc;
}

/* FOLLOWS, DONE or ELSEWHERE. */
static int target_fate(const struct planning *p, const char *target, enum fate *fate)
{
	static const uint16_t types[] = {RR_A, RR_AAAA};
	struct walk w = {.z = p->z};
	int rc = 0;

	*fate = FATE_ELSEWHERE;
	arrive(&w, target);
	while (step(&w))
		;
	for (size_t i = 0; rc == 0 && w.owner && scope_has(p->scope, w.owner) && i < 2; i++) {
		const struct rrset *set = zone_find(p->z, w.owner, types[i]);
		struct sentence why;
		struct rrset next;
		enum fate its;

		if (!set)
			continue;
		rc = address_fate(p, set, &its, &next, &why);
		rrset_done(&next);
		if (rc == 0 && its == FATE_CHANGES)
			*fate = FATE_FOLLOWS;
		else if (rc == 0 && its == FATE_DONE && *fate == FATE_ELSEWHERE)
			*fate = FATE_DONE;
	}
	return rc;
}

static int find_address(struct planning *p, const struct rrset *set)
{
	char type[16], old[WHAT_MAX], new[WHAT_MAX], what[2 * WHAT_MAX + 400];
	struct rrset next = {0};
	struct sentence why;
	enum fate fate = FATE_ELSEWHERE;
	int rc = address_fate(p, set, &fate, &next, &why);

	if (rc < 0)
		return rc;
	rr_type_text(set->type, type);
	list(set, old);
	if (fate == FATE_CHANGES) {
		list(&next, new);
		snprintf(what, sizeof what, "%s %s -> %s", type, old, new);
	} else {
		snprintf(what, sizeof what, "%s %s%s%s", type, old, why.text[0] ? ": " : "", why.text);
	}
	rrset_done(&next);
	return add_finding(p, set, fate, what);
}

/* CNAME, MX, SRV, ALIAS. */
static int find_alias(struct planning *p, const struct rrset *set)
{
	uint16_t as = set->type == RR_ALIAS ? RR_CNAME : set->type; /* a name alone, like CNAME */
	bool server_side = set->type == RR_ALIAS;                   /* the server looks it up: what it names outside is not known here */
	enum fate fate = server_side ? FATE_UNSUPPORTED : FATE_ELSEWHERE;
	char type[16], what[WHAT_MAX];
	size_t n;
	int rc = 0;

	n = (size_t)snprintf(what, sizeof what, "%s to", server_side ? "ALIAS" : rr_type_text(set->type, type));
	for (size_t i = 0; rc == 0 && i < set->n; i++) {
		char *target = wire_rdata_target(as, set->values[i].bytes, set->values[i].len);
		enum fate its = FATE_ELSEWHERE;

		if (target)
			rc = target_fate(p, target, &its);
		if (its == FATE_FOLLOWS || (its == FATE_DONE && fate != FATE_FOLLOWS))
			fate = its;
		if (n < sizeof what)
			n += (size_t)snprintf(what + n, sizeof what - n, "%s %s", i ? "," : "", target ? target : "?");
		free(target);
	}
	return rc < 0 ? rc : add_finding(p, set, fate, what);
}

/* ---- what names the server in another way ---- */

static int add_unsupported(struct planning *p, const struct rrset *set, const char *how, const struct addr *a)
{
	char type[16], address[ADDR_TEXT_MAX], what[WHAT_MAX];
	int rc;

	snprintf(what, sizeof what, "%s %s %s: left as it is, change it by hand", rr_type_text(set->type, type), how,
		 addr_text(a, address));
	rc = add_finding(p, set, FATE_UNSUPPORTED, what);
	if (rc == 0 && (p->wish->verb == VERB_PUSH || p->wish->verb == VERB_PREPARE))
		rc = plan_note(p->out, "%s %s", set->owner, what);
	return rc;
}

static bool of_address(char c, bool six)
{
	return isxdigit((unsigned char)c) || c == (six ? ':' : '.');
}

/* 192.0.2.1 is not in 192.0.2.10; a full stop behind it may end a sentence. */
static bool speaks_of(const struct rdata *value, const char *address)
{
	const char *text = (const char *)value->bytes, *end = text + value->len, *at = text;
	bool six = strchr(address, ':');
	size_t len = strlen(address);

	while ((at = memmem(at, (size_t)(end - at), address, len))) {
		const char *behind = at + len;
		bool stop = behind < end && *behind == '.' && (behind + 1 == end || !of_address(behind[1], six));

		if ((at == text || !of_address(at[-1], six)) && (behind == end || stop || !of_address(*behind, six)))
			return true;
		at++;
	}
	return false;
}

/* ipv4hint and ipv6hint of HTTPS and SVCB (RFC 9460 2.2, 7.3): priority, name, then parameters of key, length, value. */
static bool hints_at(const struct rdata *value, const struct addr *a)
{
	bool four = addr_family(a) == AF_INET;
	const void *bytes = four ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr;
	const uint8_t *b = value->bytes;
	size_t size = four ? 4 : 16, at = 2;

	while (at < value->len && b[at])
		at += b[at] + 1u;
	for (at++; at + 4 <= value->len;) {
		unsigned key = (unsigned)b[at] << 8 | b[at + 1], len = (unsigned)b[at + 2] << 8 | b[at + 3];

		at += 4;
		for (size_t i = 0; key == (four ? 4 : 6) && i + size <= len && at + i + size <= value->len; i += size)
			if (memcmp(b + at + i, bytes, size) == 0)
				return true;
		at += len;
	}
	return false;
}

static int find_other(struct planning *p, const struct rrset *set)
{
	bool hints = set->type == RR_HTTPS || set->type == TYPE_SVCB;
	char address[ADDR_TEXT_MAX];

	for (size_t i = 0; i < set->n; i++) {
		if (plan_is_spf_type(set->type) && spf_is(&set->values[i]))
			continue;
		for (size_t k = 0; k < p->n_swaps; k++) {
			const struct addr *a = &p->swaps[k].from;

			if (hints ? hints_at(&set->values[i], a) : speaks_of(&set->values[i], addr_text(a, address)))
				return add_unsupported(p, set, hints ? "hints at" : "speaks of", a);
		}
	}
	return 0;
}

static int find_spf(struct planning *p, const struct rrset *set, bool *found)
{
	struct rrset next = {0};
	struct sentence why;
	enum fate fate = FATE_ELSEWHERE;
	int rc = address_fate(p, set, &fate, &next, &why);
	char old[WHAT_MAX], new[WHAT_MAX], what[2 * WHAT_MAX + 400];

	for (size_t i = 0; rc == 0 && fate == FATE_ELSEWHERE && i < set->n; i++) {
		struct rdata unused;
		char wide[64];

		if (spf_rewrite(&set->values[i], p->swaps, p->n_swaps, p->home, &unused, wide) == SPF_SAME)
			fate = FATE_DONE;
		free(unused.bytes);
	}
	*found = rc < 0 || fate != FATE_ELSEWHERE;
	list(set, old);
	list(&next, new);
	if (rc == 0 && fate == FATE_CHANGES)
		snprintf(what, sizeof what, "SPF %s -> %s", old, new);
	else
		snprintf(what, sizeof what, "SPF %s%s%s", old, why.text[0] ? ": " : "", why.text);
	rrset_done(&next);
	return rc == 0 && *found ? add_finding(p, set, fate, what) : rc;
}

static int find_delegated(struct planning *p, const struct rrset *set)
{
	char type[16], values[WHAT_MAX], what[WHAT_MAX + 100];

	list(set, values);
	if (set->type == RR_NS)
		snprintf(what, sizeof what, "delegated to %s", values);
	else if (set->type == RR_A || set->type == RR_AAAA)
		snprintf(what, sizeof what, "%s %s, the way to a sub-zone of its own", rr_type_text(set->type, type), values);
	else
		return 0;
	return add_finding(p, set, FATE_DELEGATED, what);
}

static int find_name(struct planning *p, const struct rrset *set)
{
	bool found = false;
	int rc;

	if (plan_is_delegated(p->z, set->owner))
		return find_delegated(p, set);
	switch (set->type) {
	case RR_A:
	case RR_AAAA:
		return find_address(p, set);
	case RR_CNAME:
	case RR_MX:
	case RR_SRV:
	case RR_ALIAS:
		return find_alias(p, set);
	case RR_TXT:
	case RR_SPF:
		rc = find_spf(p, set, &found);
		return found ? rc : find_other(p, set);
	case RR_HTTPS:
	case TYPE_SVCB:
	case TYPE_LUA:
		return find_other(p, set);
	default:
		return 0;
	}
}

int plan_find_names(struct planning *p)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->z->n; i++)
		if (scope_has(p->scope, p->z->sets[i].owner))
			rc = find_name(p, &p->z->sets[i]);
	return rc;
}
