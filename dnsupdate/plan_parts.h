#pragma once
/* plan_parts - what the files of plan share: what is rewritten into what, and how one RRset is. */
#include "dnsupdate/plan.h"
#include "dnsupdate/spf.h"

struct planning {
	struct plan *out;
	struct entry *e;
	const struct zone *z;
	const struct scope *scope;
	const struct plan_wish *wish;
	struct swap *swaps; /* from what the verb takes away to what it puts there */
	size_t n_swaps;
	uint32_t ttl; /* at most, of what points at the transit server */
	bool home;    /* towards the client server */
};

/* What becomes of one RRset by the addresses in it, marks aside. */
enum action {
	ACTION_NONE,   /* names none of the addresses to go */
	ACTION_CHANGE, /* next is what it becomes; perhaps of no values */
	ACTION_KEEP    /* names some and is left alone; a note says why */
};
struct sentence {
	char text[300];
};
/* 0 or -ENOMEM. next is owned by the caller (rrset_done()), set for ACTION_CHANGE alone; why for ACTION_KEEP, and for a CHANGE of which
 * something should be known ("" else). set is not in a sub-zone. */
int plan_rewrite(const struct planning *p, const struct rrset *set, enum action *action, struct rrset *next, struct sentence *why);
const struct swap *plan_swap(const struct planning *p, const struct rdata *value, uint16_t type); /* by which it goes; NULL: it stays */
bool plan_has_partner(const struct planning *p, const struct rrset *set); /* A, AAAA: one of its values is an address to come */
bool plan_is_delegated(const struct zone *z, const char *name);           /* at or below an NS RRset that is not the apex' */
bool plan_is_spf_type(uint16_t type);                                     /* that may hold SPF records */
int plan_note(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* -ENOMEM */

/* plan_names.c */
int plan_find_names(struct planning *p);
/* The longest TTL of the CNAMEs that lead to an RRset which is about to change. */
uint32_t plan_alias_ttl(const struct planning *p);
