#pragma once
/* plan - what a verb means for one zone: pure, from the zone's content, the entry, the account's names and the pairs.
 * Guards: never SOA, NS, DS or DNSSEC types; never a value that is not one of the server's addresses; a share of the zone at most; what was
 * edited by somebody since is drift, shown three-way and never overwritten. */
#include "dnsupdate/entry.h"

#include "lib/conf.h"

/* Whose names: those of the account's domains and everything below them, but for what another account claims more closely (an exact name
 * before a wildcard, a longer one before a shorter). */
struct scope {
	const char *account;
	char *const *domains; /* as acctdef keeps them: lower case, no final dot, perhaps "*." in front */
	size_t n_domains;
	char *const *others; /* domains of other accounts at or below those */
	size_t n_others;
};
bool scope_has(const struct scope *s, const char *name); /* name: absolute */

/* What becomes of a name of the zone that is in scope. */
enum fate {
	FATE_CHANGES,     /* points at the server: will be rewritten */
	FATE_FOLLOWS,     /* CNAME (or MX, SRV, NS-free alias) that leads to a name which changes */
	FATE_ELSEWHERE,   /* points to others' addresses or names (a CDN): left alone; the proxy covers what arrives at the server all the
			     same */
	FATE_DELEGATED,   /* a sub-zone of its own, elsewhere */
	FATE_UNSUPPORTED, /* names the server in a way that is not rewritten (ALIAS, HTTPS hints, LUA, TXT that is no SPF) */
	FATE_DONE         /* points at the partner already */
};
const char *fate_text(enum fate f); /* "changes", "follows", "elsewhere", "sub-zone", "unsupported", "moved" */
struct finding {
	char *name;
	uint16_t type;
	enum fate fate;
	char *what; /* for people: "A 192.0.2.10 -> 198.51.100.10", "CNAME to www.alice.example." */
};
struct drift {
	const struct mark *mark; /* into the entry: before, after (expected) */
	struct rrset found;
};
struct plan {
	struct finding *findings;
	size_t n_findings;
	struct drift *drifts;
	size_t n_drifts;
	size_t n_changes; /* marks of the entry that are pending now */
	size_t n_sets;    /* RRsets of the zone, DNSSEC's own left out */
	uint32_t
		old_ttl_s; /* the longest that anybody may remember what changes, CNAMEs in front included; negative TTL for what appears */
	char **notes;      /* for people: what the plan leaves alone and why (IPv6 only without partner, several TTLs in one RRset, ...) */
	size_t n_notes;
};
void plan_done(struct plan *p);

struct plan_wish {
	enum verb verb;
	enum side to;     /* of VERB_PUSH; to the client is `relocate` */
	bool leave_drift; /* drifted RRsets are left as found and forgotten, instead of refused; an undo also forgets a zone that is gone */
};
/* Sets next and pending of e's marks, adds marks; e is settled before. 0, also with drift (the caller refuses); -EPERM: a guard, err names
 * it and what would satisfy it; -ENOMEM. z NULL is the zone that is gone: -ENOENT. out is for plan_done() in any case; where a guard
 * refuses the share of the zone it tells all that would be. After an error e is not to be used. */
int plan_make(struct plan *out, struct entry *e, const struct zone *z, const struct scope *s, const struct conf *conf,
	      const struct plan_wish *wish, struct err *err);
json_t *plan_to_json(const struct plan *p, const struct entry *e); /* "changes":[{owner,type,ttl,old,new,..}], "drift", "names", "notes" */
