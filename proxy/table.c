/* One index for all names: an exact one is filed as it is, a wildcard "*.a.example" by what follows its star, ".a.example", which no exact
 * name can be. So a look-up is one probe for the name and one for each of its dots, from the left: the longest wildcard is met first. Ends
 * of a length that no wildcard has are not even hashed, which makes names of a hundred labels as cheap as others. */
#include "proxy/table.h"

#include "lib/clock.h"
#include "lib/index.h"
#include "proxy/accepted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct table {
	struct acctset defs;       /* in order of name */
	struct account **accounts; /* the same order; a reference each */
	size_t n_domains;
	bool wildcard_len[DOMAIN_MAX + 1]; /* whether any wildcard is so long, without its star */
	struct index by_name, by_domain, by_address, by_port;
};

static int compare_defs(const void *a, const void *b)
{
	return strcmp(((const struct acctdef *)a)->name, ((const struct acctdef *)b)->name);
}

static const void *ip_bytes(const struct addr *a, size_t *len)
{
	*len = addr_family(a) == AF_INET ? sizeof a->v4.sin_addr : addr_family(a) == AF_INET6 ? sizeof a->v6.sin6_addr : 0;
	return addr_family(a) == AF_INET ? (const void *)&a->v4.sin_addr : (const void *)&a->v6.sin6_addr;
}

static int init_indexes(struct table *t)
{
	size_t domains = 0, addresses = 0, ports = 0;
	int rc;

	for (size_t i = 0; i < t->defs.n; i++) {
		domains += t->defs.defs[i].n_domains;
		addresses += t->defs.defs[i].n_addresses;
		ports += t->defs.defs[i].n_ports;
	}
	t->n_domains = domains;
	rc = index_init(&t->by_name, t->defs.n);
	if (rc == 0)
		rc = index_init(&t->by_domain, domains);
	if (rc == 0)
		rc = index_init(&t->by_address, addresses);
	if (rc == 0)
		rc = index_init(&t->by_port, ports);
	return rc;
}

/* Claims were checked before, so nothing is there twice. */
static void file_def(struct table *t, uint32_t i)
{
	const struct acctdef *d = &t->defs.defs[i];
	size_t len;

	index_put(&t->by_name, d->name, strlen(d->name), i, NULL);
	for (size_t k = 0; k < d->n_domains; k++) {
		bool wildcard = d->domains[k][0] == '*';
		const char *key = d->domains[k] + wildcard;

		len = strlen(key);
		t->wildcard_len[len] |= wildcard;
		index_put(&t->by_domain, key, len, i, NULL);
	}
	for (size_t k = 0; k < d->n_addresses; k++) {
		const void *ip = ip_bytes(&d->addresses[k], &len);

		index_put(&t->by_address, ip, len, i, NULL);
	}
	for (size_t k = 0; k < d->n_ports; k++)
		index_put(&t->by_port, &d->ports[k], sizeof d->ports[k], i, NULL);
}

/* One that we meet on the transit server was switched there before our time: what it has accepted is counted from now on. */
static struct account *account_of(const struct acctdef *d, const struct table *old, unsigned n_workers)
{
	struct account *a = old ? table_find(old, d->name) : NULL;

	if (a)
		return account_ref(a);
	a = account_new(d->name, d->side, d->gate, n_workers);
	if (a && d->side == SIDE_TRANSIT)
		accepted_begin(a, (uint64_t)mono_coarse_ms(), false);
	return a;
}

int table_new(struct table **out, struct acctset *defs, const struct table *old, unsigned n_workers, struct err *err)
{
	struct table *t = calloc(1, sizeof *t);
	int rc;

	if (!t) {
		acctset_done(defs);
		return err_set(err, -ENOMEM, "out of memory");
	}
	t->defs = *defs;
	*defs = (struct acctset){0};
	rc = acctset_check(&t->defs, err);
	if (rc < 0)
		goto fail;
	if (t->defs.n)
		qsort(t->defs.defs, t->defs.n, sizeof *t->defs.defs, compare_defs);
	t->accounts = calloc(t->defs.n + 1, sizeof(struct account *));
	rc = t->accounts ? init_indexes(t) : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < t->defs.n; i++) {
		const struct acctdef *d = &t->defs.defs[i];

		file_def(t, (uint32_t)i);
		t->accounts[i] = account_of(d, old, n_workers);
		if (!t->accounts[i])
			rc = -ENOMEM;
	}
	if (rc < 0) {
		err_errno(err, rc, "no table for %zu accounts", t->defs.n);
		goto fail;
	}
	*out = t;
	return 0;
fail:
	table_free(t);
	return rc;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->accounts && i < t->defs.n; i++)
		account_unref(t->accounts[i]);
	free(t->accounts);
	index_done(&t->by_name);
	index_done(&t->by_domain);
	index_done(&t->by_address);
	index_done(&t->by_port);
	acctset_done(&t->defs);
	free(t);
}

struct account *table_by_name(const struct table *t, const char *name, size_t len, const char **matched)
{
	const char *key;
	uint32_t i;

	if (len == 0 || len > DOMAIN_MAX)
		return NULL;
	if (name[0] != '.' && index_get(&t->by_domain, name, len, &i, &key)) {
		if (matched)
			*matched = key;
		return t->accounts[i];
	}
	for (size_t at = 1; at + 1 < len; at++) { /* "*" stands for one label at least */
		if (name[at] != '.' || !t->wildcard_len[len - at] || !index_get(&t->by_domain, name + at, len - at, &i, &key))
			continue;
		if (matched)
			*matched = key - 1; /* with its star */
		return t->accounts[i];
	}
	return NULL;
}

struct account *table_by_address(const struct table *t, const struct addr *a)
{
	size_t len;
	const void *ip = ip_bytes(a, &len);
	uint32_t i;

	return len && index_get(&t->by_address, ip, len, &i, NULL) ? t->accounts[i] : NULL;
}

struct account *table_by_port(const struct table *t, uint16_t port)
{
	uint32_t i;

	return index_get(&t->by_port, &port, sizeof port, &i, NULL) ? t->accounts[i] : NULL;
}

struct account *table_find(const struct table *t, const char *account)
{
	uint32_t i;

	return index_get(&t->by_name, account, strlen(account), &i, NULL) ? t->accounts[i] : NULL;
}

const struct acctdef *table_def(const struct table *t, const struct account *a)
{
	uint32_t i;

	return index_get(&t->by_name, a->name, strlen(a->name), &i, NULL) ? &t->defs.defs[i] : NULL;
}

size_t table_size(const struct table *t)
{
	return t->defs.n;
}

struct account *table_at(const struct table *t, size_t i)
{
	return t->accounts[i];
}

size_t table_domains(const struct table *t)
{
	return t->n_domains;
}

int table_defs(const struct table *t, struct acctset *out)
{
	*out = (struct acctset){0};
	for (size_t i = 0; i < t->defs.n; i++) {
		struct acctdef d;

		if (acctdef_copy(&d, &t->defs.defs[i]) < 0 || acctset_add(out, &d) < 0) {
			acctset_done(out);
			return -ENOMEM;
		}
		out->defs[i].side = account_side(t->accounts[i]);
		out->defs[i].gate = account_gate(t->accounts[i]);
	}
	return 0;
}
