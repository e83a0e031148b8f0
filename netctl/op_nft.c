/* The kind nft-table: one table of ours, whole. "rules" is what stands between its braces. It replaces what was there in one transaction,
 * so that no packet meets half of it; elements that a set had gathered (the proxy's heartbeat) are gone then, until they are sent again.
 * Undone, the former text comes back as nft lists it, with counters and elements. Verifying compares chains, sets and the number of rules
 * in each chain with the text: enough to see that it was deleted, flushed, or changed by another hand, not that a word within a rule was.
 */
#include "netctl/nft.h"
#include "netctl/op.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64
#define PARTS_MAX    64

struct part { /* a chain, set, map ... of the table */
	char kind[16], name[NAME_MAX_LEN];
	int rules; /* of a chain */
};

struct parts {
	struct part part[PARTS_MAX];
	size_t n;
};

/* ---- what the text declares ---- */

/* One statement at a time: what stands up to ';', a line's end, '{' or '}', comments and quoted text aside. */
struct scan {
	const char *p;
	char words[512]; /* of the statement, cut */
	size_t len;
	int depth;
	char end;
};

static void keep(struct scan *s, char c)
{
	if (s->len + 1 < sizeof(s->words) && !(s->len == 0 && isspace((unsigned char)c)))
		s->words[s->len++] = c;
}

/* False at the end of the text, or where a quotation is not closed (end is '"' then). */
static bool next(struct scan *s)
{
	s->len = 0;
	s->end = '\0';
	for (; *s->p; s->p++) {
		if (*s->p == '#') {
			s->p += strcspn(s->p, "\n");
			s->p--;
		} else if (*s->p == '"') {
			size_t n = strcspn(s->p + 1, "\"");
			if (!s->p[1 + n]) {
				s->end = '"';
				return false;
			}
			keep(s, '"');
			s->p += n + 1;
		} else if (*s->p == '\\' && s->p[1] == '\n') {
			s->p++;
		} else if (strchr(";\n{}", *s->p)) {
			s->end = *s->p++;
			break;
		} else {
			keep(s, *s->p);
		}
	}
	while (s->len && isspace((unsigned char)s->words[s->len - 1]))
		s->len--;
	s->words[s->len] = '\0';
	return s->end || s->len;
}

static bool is_rule(const char *words)
{
	return *words && strncmp(words, "type ", 5) != 0 && strncmp(words, "policy ", 7) != 0 && strncmp(words, "comment ", 8) != 0;
}

static bool is_chain(const struct part *p)
{
	return p && strcmp(p->kind, "chain") == 0;
}

/* -EINVAL where braces do not match: such a text would reach beyond its table. */
static int scan(const char *text, struct parts *out, struct err *err)
{
	struct scan s = {.p = text};
	struct part *open = NULL;
	char rule[512] = ""; /* the beginning of one whose braces (a set, a map) stand within */

	*out = (struct parts){0};
	while (next(&s)) {
		if (s.depth == 0 && s.end == '{') {
			if (out->n == PARTS_MAX)
				return err_set(err, -EINVAL, "op \"nft-table\": found more than %d chains and sets in \"rules\"",
					       PARTS_MAX);
			open = &out->part[out->n++];
			if (sscanf(s.words, "ct %15s %63s", open->kind, open->name) != 2 &&
			    sscanf(s.words, "%15s %63s", open->kind, open->name) != 2)
				return err_set(err, -EINVAL,
					       "op \"nft-table\": found \"%.40s {\" in \"rules\", expected chain or set NAME {", s.words);
		} else if (s.depth == 1 && is_chain(open)) {
			if (!*rule && *s.words)
				snprintf(rule, sizeof(rule), "%s", s.words);
			if (s.end != '{') {
				open->rules += is_rule(rule);
				*rule = '\0';
			} else if (!*rule) {
				snprintf(rule, sizeof(rule), "{");
			}
		}
		s.depth += s.end == '{' ? 1 : s.end == '}' ? -1 : 0;
		if (s.depth < 0)
			break;
	}
	if (s.depth != 0 || s.end == '"')
		return err_set(err, -EINVAL, "op \"nft-table\": found %s that do not match in \"rules\"",
			       s.end == '"' ? "quotes" : "braces");
	return 0;
}

/* ---- form ---- */

static bool good_name(const char *name)
{
	size_t prefix = strlen(NFT_PREFIX), len = strlen(name);

	return strncmp(name, NFT_PREFIX, prefix) == 0 && len > prefix && len < NAME_MAX_LEN &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static bool good_family(const char *family)
{
	static const char *const known[] = {"inet", "ip", "ip6", "arp", "bridge", "netdev"};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i], family) == 0)
			return true;
	}
	return false;
}

static int table_check(json_t *op, struct err *err)
{
	const char *family, *name, *rules, *member;
	json_t *v;

	if (op_need(op, "family", &family, err) < 0 || op_need(op, "name", &name, err) < 0 ||
	    (!op_absent(op) && op_need(op, "rules", &rules, err) < 0))
		return -EINVAL;
	json_object_foreach (op, member, v) {
		if (strcmp(member, "op") && strcmp(member, "state") && strcmp(member, "family") && strcmp(member, "name") &&
		    strcmp(member, "rules"))
			return err_set(err, -EINVAL, "op \"nft-table\": found \"%.40s\", which it does not know", member);
	}
	if (!good_family(family))
		return err_set(err, -EINVAL, "op \"nft-table\": found \"family\" \"%.20s\", expected inet, ip, ip6, arp, bridge or netdev",
			       family);
	if (!good_name(name))
		return err_set(err, -EINVAL, "op \"nft-table\": found \"name\" \"%.40s\", expected " NFT_PREFIX "... of a-z, 0-9 and _",
			       name);
	struct parts *parts = malloc(sizeof(*parts));
	if (!parts)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = op_absent(op) ? 0 : scan(rules, parts, err);
	free(parts);
	return rc;
}

/* ---- undo, apply ---- */

static int table_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	const char *family = op_string(op, "family"), *name = op_string(op, "name");
	char *rules;
	int rc = nft_rules(family, name, &rules, err);

	(void)w;
	if (rc < 0 || (!rules && op_absent(op)))
		return rc;
	json_t *back =
		json_pack("{s:s,s:s,s:s,s:s}", "op", "nft-table", "state", rules ? "present" : "absent", "family", family, "name", name);
	if (!back || (rules && json_object_set_new(back, "rules", json_string(rules)) < 0) || json_array_append(undo, back) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	json_decref(back);
	free(rules);
	return rc;
}

/* Added first, for a table that is not there cannot be deleted. */
static int table_apply(struct world *w, json_t *op, struct err *err)
{
	const char *family = op_string(op, "family"), *name = op_string(op, "name"), *rules = op_absent(op) ? NULL : op_string(op, "rules");
	char *text;
	int n = rules ? asprintf(&text, "add table %s %s\ndelete table %s %s\ntable %s %s {\n%s\n}\n", family, name, family, name, family,
				 name, rules)
		      : asprintf(&text, "add table %s %s\ndelete table %s %s\n", family, name, family, name);

	(void)w;
	if (n < 0)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = nft_apply(text, err);
	free(text);
	return rc;
}

/* ---- verify ---- */

static void count(const json_t *listing, struct parts *out)
{
	const json_t *entry, *v;
	const char *kind;
	size_t i;

	*out = (struct parts){0};
	json_array_foreach (listing, i, entry) {
		json_object_foreach ((json_t *)entry, kind, v) {
			const char *name = op_string(v, "name"), *chain = op_string(v, "chain");
			if (strcmp(kind, "rule") == 0 && chain) {
				for (size_t k = 0; k < out->n; k++) {
					if (is_chain(&out->part[k]) && strcmp(out->part[k].name, chain) == 0)
						out->part[k].rules++;
				}
			} else if (name && strcmp(kind, "table") != 0 && out->n < PARTS_MAX) {
				struct part *p = &out->part[out->n++];
				snprintf(p->kind, sizeof(p->kind), "%.15s", kind);
				snprintf(p->name, sizeof(p->name), "%.63s", name);
			}
		}
	}
}

static int compare(const struct parts *want, const struct parts *have, struct err *err)
{
	for (size_t i = 0; i < want->n; i++) {
		const struct part *w = &want->part[i], *h = NULL;
		for (size_t k = 0; k < have->n; k++) {
			if (strcmp(have->part[k].name, w->name) == 0 && is_chain(&have->part[k]) == is_chain(w))
				h = &have->part[k];
		}
		if (!h)
			return err_set(err, -ENOENT, "found no %s %s in it", w->kind, w->name);
		if (h->rules != w->rules)
			return err_set(err, -ENOENT, "found %d rules in chain %s, expected %d", h->rules, w->name, w->rules);
	}
	if (have->n != want->n)
		return err_set(err, -ENOENT, "found %zu chains and sets in it, expected %zu", have->n, want->n);
	return 0;
}

static int table_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *listing = NULL;
	struct parts *p = calloc(2, sizeof(*p));
	int rc = p ? nft_table_json(op_string(op, "family"), op_string(op, "name"), &listing, err) : err_set(err, -ENOMEM, "out of memory");

	(void)w;
	if (rc == 0 && op_absent(op))
		rc = listing ? err_set(err, -ENOENT, "found the table") : 0;
	else if (rc == 0 && !listing)
		rc = err_set(err, -ENOENT, "found no such table");
	else if (rc == 0 && (rc = scan(op_string(op, "rules"), &p[0], err)) == 0) {
		count(listing, &p[1]);
		rc = compare(&p[0], &p[1], err);
	}
	json_decref(listing);
	free(p);
	return rc;
}

static void table_text(json_t *op, char *out, size_t cap)
{
	const char *family = op_string(op, "family"), *name = op_string(op, "name"), *rules = op_string(op, "rules");
	int lines = 0;

	for (const char *p = rules; p && *p; p++)
		lines += *p == '\n';
	if (op_absent(op))
		snprintf(out, cap, "nft delete table %s %s", family, name);
	else
		snprintf(out, cap, "nft -f - <<< 'table %s %s { ... }' # %d lines", family, name, lines + 1);
}

const struct op_kind op_nft_table = {"nft-table", table_check, table_undo, table_apply, table_verify, table_text};
