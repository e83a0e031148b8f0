#pragma once
/* table - whose traffic is this? Names (exact and wildcard), destination addresses and ports to accounts.
 * Immutable once built; workers share one and get another by a message. Look-ups cost the same with a million domains as with ten:
 * one keyed hash (SipHash with a random key, so that nobody can aim at a bucket) per label tried.
 * Exact names win over wildcards, longer wildcards over shorter; "*.a.example" covers any depth below a.example, not itself.
 * Ownership: a table holds its accounts and definitions; table_free() when no worker has it any more. Threads: look-ups any. */
#include "lib/acctdef.h"
#include "proxy/account.h"

struct table;

/* Takes defs (its members' contents), also on failure. Accounts that old has keep their object, and with it side and gate; new
 * ones start as their definition says. What two claim is -EEXIST, naming both. old may be NULL and stays untouched. */
int table_new(struct table **out, struct acctset *defs, const struct table *old, unsigned n_workers, struct err *err);
void table_free(struct table *t);

/* The answers are borrowed from the table. name is lower case without a trailing dot. NULL: nobody's. */
struct account *table_by_name(const struct table *t, const char *name, size_t len, const char **matched); /* matched: the
	domain as the account claims it, for people; may be NULL */
struct account *table_by_address(const struct table *t, const struct addr *a);                            /* the port is ignored */
struct account *table_by_port(const struct table *t, uint16_t port);
struct account *table_find(const struct table *t, const char *account); /* by the account's own name */
const struct acctdef *table_def(const struct table *t,
				const struct account *a); /* its side and gate are the initial ones: ask the account */

size_t table_size(const struct table *t); /* accounts; table_at(t, 0..size-1) in order of name */
struct account *table_at(const struct table *t, size_t i);
size_t table_domains(const struct table *t);
int table_defs(const struct table *t, struct acctset *out); /* a deep copy with sides and gates of now, to change and build from; -ENOMEM */
