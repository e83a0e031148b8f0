/* Who owns a name, an address, a port; that accounts outlive tables; that nothing is claimed twice. */
#include "tests/unit/tables.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char some[] = "[{\"name\": \"bob\", \"domains\": [\"bob.example\", \"*.shared.example\"], \"ports\": [8300]},"
			   " {\"name\": \"alice\", \"domains\": [\"alice.example\", \"*.alice.example\", \"*.deep.shared.example\"],"
			   "  \"addresses\": [\"192.0.2.11\", \"2001:db8::11\"], \"ports\": [8301]},"
			   " {\"name\": \"carol\", \"domains\": [\"x.shared.example\"]}]";

static void names(void **state)
{
	static const struct {
		const char *name, *owner, *matched;
	} rows[] = {
		{"alice.example", "alice", "alice.example"},
		{"www.alice.example", "alice", "*.alice.example"},
		{"a.b.c.alice.example", "alice", "*.alice.example"},
		{"bob.example", "bob", "bob.example"},
		{"www.bob.example", NULL, NULL},
		{"xalice.example", NULL, NULL},
		{"alice.example.org", NULL, NULL},
		{".alice.example", NULL, NULL},
		{"shared.example", NULL, NULL},
		{"x.shared.example", "carol", "x.shared.example"}, /* exact wins */
		{"y.shared.example", "bob", "*.shared.example"},
		{"deep.shared.example", "bob", "*.shared.example"},
		{"a.deep.shared.example", "alice", "*.deep.shared.example"}, /* longer wins */
		{"*.alice.example", "alice", "*.alice.example"},
		{"example", NULL, NULL},
		{"", NULL, NULL},
	};
	struct table *t = table_of(some, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *matched = NULL;
		struct account *a = table_by_name(t, rows[i].name, strlen(rows[i].name), &matched);

		if (!rows[i].owner) {
			assert_null(a);
			continue;
		}
		assert_non_null(a);
		assert_string_equal(a->name, rows[i].owner);
		assert_string_equal(matched, rows[i].matched);
	}
	assert_int_equal(table_size(t), 3);
	assert_int_equal(table_domains(t), 6);
	assert_string_equal(table_at(t, 0)->name, "alice");
	assert_string_equal(table_at(t, 2)->name, "carol");
	table_free(t);
}

static void addresses_and_ports(void **state)
{
	struct table *t = table_of(some, NULL);
	struct addr a;

	(void)state;
	addr_parse_port(&a, "192.0.2.11:80");
	assert_string_equal(table_by_address(t, &a)->name, "alice");
	addr_parse(&a, "2001:db8::11");
	assert_string_equal(table_by_address(t, &a)->name, "alice");
	addr_parse(&a, "192.0.2.12");
	assert_null(table_by_address(t, &a));
	assert_null(table_by_address(t, &(struct addr){0}));
	assert_string_equal(table_by_port(t, 8300)->name, "bob");
	assert_null(table_by_port(t, 8302));
	table_free(t);
}

static void accounts_outlive_tables(void **state)
{
	struct table *old = table_of(some, NULL), *new;
	struct account *alice = table_find(old, "alice");
	struct acctset defs;

	(void)state;
	account_set(alice, SIDE_TRANSIT, GATE_FENCED);
	new = table_of("[{\"name\": \"alice\", \"domains\": [\"new.example\"], \"side\": \"client\"}, {\"name\": \"dave\", \"side\": "
		       "\"transit\"}]",
		       old);
	assert_ptr_equal(table_find(new, "alice"), alice);
	table_free(old);
	assert_int_equal(account_side(alice), SIDE_TRANSIT);
	assert_int_equal(account_side(table_find(new, "dave")), SIDE_TRANSIT);
	assert_null(table_find(new, "bob"));
	assert_string_equal(table_def(new, alice)->domains[0], "new.example");
	assert_int_equal(table_defs(new, &defs), 0);
	assert_int_equal(defs.n, 2);
	assert_int_equal(defs.defs[0].side, SIDE_TRANSIT);
	assert_int_equal(defs.defs[0].gate, GATE_FENCED);
	acctset_done(&defs);
	table_free(new);
}

static void claims_clash(void **state)
{
	struct acctset set =
		accounts_of("[{\"name\": \"a\", \"domains\": [\"x.example\"]}, {\"name\": \"b\", \"domains\": [\"X.example.\"]}]");
	struct table *t;
	struct err err = {0};

	(void)state;
	assert_int_equal(table_new(&t, &set, NULL, 1, &err), -EEXIST);
	assert_non_null(strstr(err.text, "x.example"));
	assert_null(set.defs);
}

static void an_empty_table_knows_nobody(void **state)
{
	struct table *t = table_of("[]", NULL);
	struct addr a;

	(void)state;
	addr_parse(&a, "192.0.2.1");
	assert_null(table_by_name(t, "a.example", 9, NULL));
	assert_null(table_by_address(t, &a));
	assert_null(table_by_port(t, 80));
	assert_null(table_find(t, "alice"));
	table_free(t);
}

#define MANY 20000

static void many(void **state)
{
	struct acctset set = {0};
	struct table *t;
	char name[64];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		struct acctdef d;
		json_t *o;

		snprintf(name, sizeof name, "n%d.example", i);
		o = json_pack("{so s[s]}", "name", json_sprintf("acc%d", i), "domains", name);
		assert_int_equal(acctdef_from_json(&d, o, NULL), 0);
		json_decref(o);
		assert_int_equal(acctset_add(&set, &d), 0);
	}
	assert_int_equal(table_new(&t, &set, NULL, 1, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		int n = snprintf(name, sizeof name, "n%d.example", i);
		struct account *a = table_by_name(t, name, (size_t)n, NULL);

		snprintf(name, sizeof name, "acc%d", i);
		assert_non_null(a);
		assert_string_equal(a->name, name);
	}
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),        cmocka_unit_test(addresses_and_ports),         cmocka_unit_test(accounts_outlive_tables),
		cmocka_unit_test(claims_clash), cmocka_unit_test(an_empty_table_knows_nobody), cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
