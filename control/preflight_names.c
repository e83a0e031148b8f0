#include "control/preflight_names.h"

#include "control/preflight_parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 4

struct preflight_names {
	const struct acctset *all;
	json_t *domains;  /* domain -> index into all */
	json_t *children; /* parent of an exact domain -> array of such indices */
	json_t *groups;   /* fingerprint -> array of indices, each once, in no order */
	size_t *stamp;    /* by index: the last group that it was put into */
	size_t groups_made;
};

static bool is_shared(const struct acctdef *d)
{
	return d->n_addresses == 0;
}

static void index_domain(struct preflight_names *n, const char *domain, size_t account)
{
	const char *dot = strchr(domain, '.');
	json_object_set_new(n->domains, domain, json_integer((json_int_t)account));
	if (*domain == '*' || !dot)
		return;
	json_t *list = json_object_get(n->children, dot + 1);
	if (!list) {
		list = json_array();
		json_object_set_new(n->children, dot + 1, list);
	}
	json_array_append_new(list, json_integer((json_int_t)account));
}

struct preflight_names *preflight_names_new(const struct acctset *all)
{
	struct preflight_names *n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	*n = (struct preflight_names){.all = all,
				      .domains = json_object(),
				      .children = json_object(),
				      .groups = json_object(),
				      .stamp = calloc(all->n + 1, sizeof(*n->stamp))};
	if (!n->stamp) {
		preflight_names_free(n);
		return NULL;
	}
	for (size_t i = 0; i < all->n; i++) {
		for (size_t k = 0; is_shared(&all->defs[i]) && k < all->defs[i].n_domains; k++)
			index_domain(n, all->defs[i].domains[k], i);
	}
	return n;
}

void preflight_names_free(struct preflight_names *n)
{
	if (!n)
		return;
	json_decref(n->domains);
	json_decref(n->children);
	json_decref(n->groups);
	free(n->stamp);
	free(n);
}

/* ---- a certificate's accounts ---- */

static void put(struct preflight_names *n, json_t *group, const json_t *index)
{
	size_t i = (size_t)json_integer_value(index);
	if (!index || n->stamp[i] == n->groups_made || json_array_size(group) >= NAMES_ACCOUNTS_MAX)
		return;
	n->stamp[i] = n->groups_made;
	json_array_append_new(group, json_integer((json_int_t)i));
}

/* Whoever claims the name by a wildcard: the closest, as the proxy's table decides. */
static const json_t *by_wildcard(const struct preflight_names *n, const char *name)
{
	char wildcard[DOMAIN_MAX + 3];
	for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		snprintf(wildcard, sizeof(wildcard), "*%.*s", DOMAIN_MAX, dot);
		const json_t *index = json_object_get(n->domains, wildcard);
		if (index)
			return index;
	}
	return NULL;
}

static void put_name(struct preflight_names *n, json_t *group, const char *name)
{
	const json_t *exact = json_object_get(n->domains, name), *list, *index;
	size_t i;
	if (strncmp(name, "*.", 2) != 0) {
		put(n, group, exact ? exact : by_wildcard(n, name));
		return;
	}
	list = json_object_get(n->children, name + 2);
	json_array_foreach (list, i, index) {
		if (json_array_size(group) >= NAMES_ACCOUNTS_MAX)
			return;
		put(n, group, index);
	}
	put(n, group, exact ? exact : by_wildcard(n, name + 2));
}

static const json_t *group_of(struct preflight_names *n, const json_t *cert)
{
	const char *fingerprint = member_text(cert, "fingerprint");
	json_t *group = json_object_get(n->groups, fingerprint), *name;
	size_t i;
	if (group || !*fingerprint)
		return group;
	group = json_array();
	n->groups_made++;
	json_array_foreach (json_object_get(cert, "names"), i, name)
		put_name(n, group, json_string_value(name));
	json_object_set_new(n->groups, fingerprint, group);
	return group;
}

/* ---- what it means ---- */

struct company {
	size_t others, across; /* of these on the other side already */
	char names[SHOWN * (ACCOUNT_NAME_MAX + 2) + 40];
};

static void meet(const struct preflight_names *n, const json_t *group, const struct acctdef *def, bool across, struct company *c)
{
	const json_t *index;
	size_t i, shown = 0, all = across ? c->across : c->others;
	c->names[0] = '\0';
	json_array_foreach (group, i, index) {
		const struct acctdef *d = &n->all->defs[json_integer_value(index)];
		size_t at = strlen(c->names);
		if (strcmp(d->name, def->name) != 0 && (!across || d->side != def->side) && shown < SHOWN) {
			snprintf(c->names + at, sizeof(c->names) - at, "%s%s", shown ? ", " : "", d->name);
			shown++;
		}
	}
	if (all > shown)
		snprintf(c->names + strlen(c->names), sizeof(c->names) - strlen(c->names), " and %zu more", all - shown);
}

static void count(const struct preflight_names *n, const json_t *group, const struct acctdef *def, struct company *c)
{
	const json_t *index;
	size_t i;
	json_array_foreach (group, i, index) {
		const struct acctdef *d = &n->all->defs[json_integer_value(index)];
		c->others += strcmp(d->name, def->name) != 0;
		c->across += d->side != def->side;
	}
}

static void tell(const struct preflight_names *n, json_t *findings, const struct acctdef *def, const json_t *answer, const json_t *group)
{
	bool h2 = json_is_true(json_object_get(json_object_get(answer, "tls"), "h2"));
	struct company c = {0};
	char url[600];
	count(n, group, def, &c);
	if (c.others == 0)
		return;
	preflight_url(answer, url);
	meet(n, group, def, c.across > 0, &c);
	if (!h2)
		FIND(findings, GRADE_INFORM, "shared-certificate", url, NULL,
		     "its certificate covers names of %s at the same address; HTTP/2 is not offered, so each name has connections of its "
		     "own",
		     c.names);
	else if (c.across)
		FIND(findings, GRADE_WARN, "shared-certificate", url,
		     "bring them to one side, give it a certificate of its own names, offer HTTP/1.1 alone (nginx: listen without http2), "
		     "or let "
		     "the server answer 421 where Host is not the server name",
		     "its certificate covers names of %s at the same address, on the other side: over HTTP/2 a browser sends their "
		     "requests on its "
		     "connections, to the wrong side",
		     c.names);
	else
		FIND(findings, GRADE_WARN, "shared-certificate", url,
		     "move them together, or before that give it a certificate of its own names, offer HTTP/1.1 alone (nginx: listen "
		     "without "
		     "http2), or let the server answer 421 where Host is not the server name",
		     "its certificate covers names of %s at the same address: once it moves alone, over HTTP/2 a browser sends their "
		     "requests on "
		     "its connections, to the wrong side",
		     c.names);
}

void preflight_names_judge(struct preflight_names *n, json_t *findings, const struct acctdef *def, const json_t *https)
{
	json_t *told = json_object(); /* fingerprints: one finding for each */
	const json_t *answer;
	size_t i;
	json_array_foreach (https, i, answer) {
		const json_t *cert = json_object_get(json_object_get(answer, "tls"), "certificate");
		const char *fingerprint = member_text(cert, "fingerprint");
		if (!is_shared(def) || !*fingerprint || json_object_get(told, fingerprint))
			continue;
		json_object_set_new(told, fingerprint, json_true());
		tell(n, findings, def, answer, group_of(n, cert));
	}
	json_decref(told);
}
