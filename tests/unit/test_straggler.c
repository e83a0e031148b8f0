/* What still comes to the old address, by name: counted, bounded whatever is invented, forgotten when the account is home, and added up. */
#include "proxy/straggler.h"
#include "tests/unit/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char both[] = "[{\"name\": \"alice\", \"domains\": [\"alice.example\", \"*.alice.example\", \"*.deep.alice.example\"]},"
			   " {\"name\": \"bob\", \"domains\": [\"bob.example\", \"www.bob.example\"], \"addresses\": [\"192.0.2.11\"]}]";

/* As visitor.c does it: what nobody claims is not counted. */
static void come(struct stragglers *t, const struct table *accounts, enum straggler_kind kind, const char *name, const char *here,
		 uint64_t now)
{
	const char *matched = NULL;
	struct addr at = {0};
	struct account *a;

	if (here)
		assert_true(addr_parse(&at, here));
	a = kind == STRAGGLER_TCP || kind == STRAGGLER_ADDRESS ? table_by_address(accounts, &at)
							       : table_by_name(accounts, name, strlen(name), &matched);
	if (a)
		stragglers_count(t, a, kind, name, strlen(name), matched, &at, now);
}

static struct straggler **sorted(struct stragglers *t, size_t *n)
{
	struct straggler **all = stragglers_sorted(t, n);

	assert_non_null(all);
	return all;
}

static uint64_t count_of(struct stragglers *t, enum straggler_kind kind, const char *name)
{
	size_t n;
	struct straggler **all = sorted(t, &n);
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i]->kind == kind && strcmp(all[i]->name, name) == 0)
			count += all[i]->count;
	free(all);
	return count;
}

static uint64_t sum_of(struct stragglers *t)
{
	size_t n;
	struct straggler **all = sorted(t, &n);
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += all[i]->count;
	free(all);
	return count;
}

static void counting(void **state)
{
	struct table *accounts = table_of(both, NULL);
	struct stragglers *t = stragglers_new(100);
	struct straggler **all;
	char text[ADDR_TEXT_MAX];
	size_t n;

	(void)state;
	come(t, accounts, STRAGGLER_HTTP, "alice.example", "192.0.2.10", 1000);
	come(t, accounts, STRAGGLER_HTTP, "alice.example", "2001:db8::10", 2000);
	come(t, accounts, STRAGGLER_HTTP, "alice.example", "192.0.2.11", 3000);
	come(t, accounts, STRAGGLER_TLS, "alice.example", "192.0.2.10", 2500);
	come(t, accounts, STRAGGLER_HTTP, "nobody.example", "192.0.2.10", 2500);
	come(t, accounts, STRAGGLER_ADDRESS, "192.0.2.11:443", "192.0.2.11", 4000);
	all = sorted(t, &n);
	assert_int_equal(n, 3);
	assert_string_equal(all[0]->name, "alice.example");
	assert_string_equal(all[0]->account->name, "alice");
	assert_int_equal(all[0]->kind, STRAGGLER_HTTP);
	assert_int_equal(all[0]->count, 3);
	assert_int_equal(all[0]->of_account, 4);
	assert_int_equal(all[0]->first_ms, 1000);
	assert_int_equal(all[0]->last_ms, 3000);
	assert_string_equal(addr_text(&all[0]->here4, text), "192.0.2.11");
	assert_string_equal(addr_text(&all[0]->here6, text), "2001:db8::10");
	assert_string_equal(all[1]->name, "192.0.2.11:443"); /* as often as the next one, but later */
	assert_int_equal(all[1]->of_account, 1);
	assert_int_equal(all[2]->kind, STRAGGLER_TLS);
	assert_int_equal(addr_family(&all[2]->here6), AF_UNSPEC);
	free(all);
	stragglers_free(t);
	table_free(accounts);
}

static void the_least_recent_goes(void **state)
{
	struct table *accounts;
	struct stragglers *t = stragglers_new(8);
	char json[1024] = "[{\"name\": \"bob\", \"domains\": [", name[32];

	(void)state;
	for (int i = 0; i < 12; i++)
		snprintf(json + strlen(json), sizeof json - strlen(json), "%s\"n%d.example\"", i ? ", " : "", i);
	strcat(json, "]}]");
	accounts = table_of(json, NULL);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		come(t, accounts, STRAGGLER_TLS, name, NULL, 10);
	}
	come(t, accounts, STRAGGLER_TLS, "n0.example", NULL, 1010); /* to the second */
	assert_int_equal(stragglers_evicted(t), 0);
	for (int i = 8; i < 12; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		come(t, accounts, STRAGGLER_TLS, name, NULL, 1011);
	}
	assert_int_equal(stragglers_size(t), 8);
	assert_int_equal(stragglers_evicted(t), 4);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_int_equal(count_of(t, STRAGGLER_TLS, name), i == 0 ? 2 : i >= 1 && i <= 4 ? 0 : 1);
	}
	stragglers_free(t);
	table_free(accounts);
}

static void invented_names_flush_nothing(void **state)
{
	struct table *accounts = table_of(both, NULL);
	struct stragglers *t = stragglers_new(STRAGGLER_BELOW * 2);
	char name[64];

	(void)state;
	come(t, accounts, STRAGGLER_HTTP, "bob.example", NULL, 1);
	come(t, accounts, STRAGGLER_HTTP, "alice.example", NULL, 1);
	come(t, accounts, STRAGGLER_HTTP, "shop.alice.example", NULL, 1);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "x%d.y.alice.example", i);
		come(t, accounts, STRAGGLER_HTTP, name, NULL, 2);
	}
	come(t, accounts, STRAGGLER_HTTP, "shop.alice.example", NULL, 3);
	assert_int_equal(stragglers_evicted(t), 0);
	assert_int_equal(stragglers_size(t), 2 + 1 + STRAGGLER_BELOW);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "bob.example"), 1);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "alice.example"), 1);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "shop.alice.example"), 2);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "*.alice.example"), 10000 - (STRAGGLER_BELOW - 1));
	assert_int_equal(sum_of(t), 10004);
	/* another wildcard, and another kind, have their own */
	come(t, accounts, STRAGGLER_HTTP, "a.deep.alice.example", NULL, 3);
	come(t, accounts, STRAGGLER_TLS, "b.alice.example", NULL, 3);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "a.deep.alice.example"), 1);
	assert_int_equal(count_of(t, STRAGGLER_TLS, "b.alice.example"), 1);
	stragglers_free(t);
	table_free(accounts);
}

/* Groups and what is below them come and go in a table much too small; drop() asserts that no entry points to what is gone. */
static void groups_under_pressure(void **state)
{
	struct table *accounts = table_of(both, NULL);
	char name[64];

	(void)state;
	for (size_t max = 4; max < 9; max++) {
		struct stragglers *t = stragglers_new(max);
		unsigned seed = 1;

		for (int i = 0; i < 20000; i++) {
			int r = rand_r(&seed);

			snprintf(name, sizeof name, r % 5 ? "x%d.alice.example" : "x%d.deep.alice.example", r / 5 % 7);
			come(t, accounts, r % 2 ? STRAGGLER_HTTP : STRAGGLER_TLS, r % 11 ? name : "bob.example", NULL,
			     (uint64_t)i * (max % 2 ? 100 : 1000));
			assert_true(stragglers_size(t) <= max);
		}
		assert_true(stragglers_evicted(t) > 0);
		stragglers_forget(t, table_find(accounts, "alice"));
		assert_true(stragglers_size(t) <= 2);
		stragglers_free(t);
	}
	table_free(accounts);
}

static void home_is_forgotten(void **state)
{
	struct table *accounts = table_of(both, NULL);
	struct account *alice = table_find(accounts, "alice"), *bob = table_find(accounts, "bob");
	struct stragglers *t = stragglers_new(100);

	(void)state;
	come(t, accounts, STRAGGLER_HTTP, "a.alice.example", NULL, 1);
	come(t, accounts, STRAGGLER_TLS, "alice.example", NULL, 1);
	come(t, accounts, STRAGGLER_HTTP, "bob.example", NULL, 1);
	come(t, accounts, STRAGGLER_HTTP, "b.alice.example", NULL, 1);
	assert_int_equal(atomic_load(&alice->refs), 1 + 4); /* the wildcard's entry, too */
	stragglers_forget(t, alice);
	assert_int_equal(atomic_load(&alice->refs), 1);
	assert_int_equal(atomic_load(&bob->refs), 2);
	assert_int_equal(sum_of(t), 1);
	assert_int_equal(stragglers_evicted(t), 0);
	come(t, accounts, STRAGGLER_HTTP, "a.alice.example", NULL, 7);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "a.alice.example"), 1);
	stragglers_free(t);
	assert_int_equal(atomic_load(&alice->refs), 1);
	table_free(accounts);
}

static void another_table(void **state)
{
	struct table *old = table_of(both, NULL), *new;
	struct stragglers *t = stragglers_new(100);

	(void)state;
	come(t, old, STRAGGLER_HTTP, "alice.example", NULL, 1);
	come(t, old, STRAGGLER_HTTP, "a.alice.example", NULL, 1);
	come(t, old, STRAGGLER_HTTP, "b.alice.example", NULL, 1);
	come(t, old, STRAGGLER_HTTP, "a.deep.alice.example", NULL, 1);
	come(t, old, STRAGGLER_HTTP, "bob.example", NULL, 1);
	come(t, old, STRAGGLER_HTTP, "www.bob.example", NULL, 1);
	come(t, old, STRAGGLER_ADDRESS, "192.0.2.11:80", "192.0.2.11", 1);
	/* alice loses one wildcard but has a name below it by itself; bob loses a name to her */
	new = table_of("[{\"name\": \"alice\", \"domains\": [\"alice.example\", \"www.bob.example\", \"a.alice.example\","
		       "  \"*.deep.alice.example\"]}, {\"name\": \"bob\", \"domains\": [\"bob.example\"]}]",
		       old);
	stragglers_keep(t, new);
	table_free(old);
	assert_int_equal(stragglers_size(t), 5); /* of the wildcard that is gone not even its own entry is left */
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "alice.example"), 1);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "b.alice.example"), 0);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "a.deep.alice.example"), 1);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "bob.example"), 1);
	assert_int_equal(count_of(t, STRAGGLER_HTTP, "www.bob.example"), 0);
	assert_int_equal(count_of(t, STRAGGLER_ADDRESS, "192.0.2.11:80"), 1);
	come(t, new, STRAGGLER_HTTP, "a.alice.example", NULL, 2);
	assert_true(count_of(t, STRAGGLER_HTTP, "a.alice.example") >= 1);
	old = new;
	new = table_of("[{\"name\": \"alice\", \"domains\": [\"alice.example\"]}]", old);
	stragglers_keep(t, new);
	table_free(old);
	assert_int_equal(sum_of(t), 1);
	assert_int_equal(stragglers_size(t), 1);
	stragglers_free(t);
	table_free(new);
}

/* Two workers, each with its own inventions: together the busiest names keep entries of their own, and no count is lost. */
static void added_up(void **state)
{
	struct table *accounts = table_of(both, NULL);
	struct account *alice = table_find(accounts, "alice");
	struct stragglers *w[2] = {stragglers_new(1000), stragglers_new(1000)}, *sum = stragglers_new(1000);
	void *copies[3] = {NULL};
	size_t n[3] = {0}, all;
	struct straggler **list;
	char name[64];

	(void)state;
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof name, "x%d-%d.alice.example", k, i);
			come(w[k], accounts, STRAGGLER_TLS, name, "192.0.2.10", 50);
		}
		come(w[k], accounts, STRAGGLER_HTTP, "bob.example", k ? "2001:db8::10" : "192.0.2.10", k ? 20 : 30);
	}
	for (int i = 0; i < 9; i++)
		come(w[1], accounts, STRAGGLER_TLS, "x1-63.alice.example", NULL, 60);
	for (int k = 0; k < 2; k++)
		copies[k] = stragglers_copy(w[k], NULL, &n[k]);
	assert_int_equal(stragglers_merge(sum, copies, n, 3), 0);
	assert_int_equal(sum_of(sum), 211);
	list = sorted(sum, &all);
	assert_int_equal(all, 1 + 1 + STRAGGLER_BELOW);
	assert_string_equal(list[0]->name, "*.alice.example");
	assert_int_equal(list[0]->of_account, 209);
	assert_string_equal(list[1]->name, "x1-63.alice.example");
	assert_int_equal(list[1]->count, 10);
	assert_string_equal(list[2]->name, "bob.example");
	assert_int_equal(list[2]->first_ms, 20);
	assert_int_equal(list[2]->last_ms, 30);
	assert_int_equal(addr_family(&list[2]->here4), AF_INET);
	assert_int_equal(addr_family(&list[2]->here6), AF_INET6);
	free(list);
	for (int k = 0; k < 2; k++)
		stragglers_copy_free(copies[k], n[k]);
	/* of one account */
	copies[0] = stragglers_copy(w[0], table_find(accounts, "bob"), &n[0]);
	assert_int_equal(n[0], 1);
	stragglers_copy_free(copies[0], n[0]);
	for (int k = 0; k < 2; k++)
		stragglers_free(w[k]);
	stragglers_free(sum);
	assert_int_equal(atomic_load(&alice->refs), 1);
	table_free(accounts);
}

/* What another process has counted, before this host was started, and what comes to it; a wildcard's entry and those below it stay apart.
 */
static void restored(void **state)
{
	struct table *accounts = table_of(both, NULL);
	struct stragglers *t = stragglers_new(100);
	struct straggler_kept k = {.kind = STRAGGLER_HTTP, .count = 5, .first_ms = (uint64_t)-900, .last_ms = (uint64_t)-100};
	static const char *const names[] = {"alice.example", "*.alice.example", "a.alice.example", "x.deep.alice.example"};
	struct account *a = table_find(accounts, "alice");
	struct straggler **all;
	size_t n;

	(void)state;
	assert_true(addr_parse(&k.here6, "2001:db8::10"));
	for (size_t i = 0; i < 4; i++) {
		k.name = names[i];
		k.len = strlen(names[i]);
		assert_ptr_equal(table_by_name(accounts, k.name, k.len, &k.matched), a);
		stragglers_restore(t, a, &k);
	}
	come(t, accounts, STRAGGLER_HTTP, "a.alice.example", "192.0.2.10", 50);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(count_of(t, STRAGGLER_HTTP, names[i]), i == 2 ? 6 : 5);
	all = sorted(t, &n);
	assert_int_equal(n, 4);
	assert_string_equal(all[0]->name, "a.alice.example");
	assert_true(all[0]->first_ms == (uint64_t)-900);
	assert_int_equal(all[0]->last_ms, 50);
	assert_int_equal(addr_family(&all[0]->here4), AF_INET);
	assert_int_equal(addr_family(&all[0]->here6), AF_INET6);
	free(all);
	stragglers_forget(t, a);
	assert_int_equal(stragglers_size(t), 0);
	stragglers_free(t);
	table_free(accounts);
}

static void nothing(void **state)
{
	struct stragglers *t = stragglers_new(100);
	size_t n = 7;

	(void)state;
	assert_null(stragglers_copy(t, NULL, &n));
	assert_int_equal(n, 0);
	free(sorted(t, &n));
	assert_int_equal(n, 0);
	stragglers_free(t);
	stragglers_free(NULL);
	stragglers_copy_free(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counting),
		cmocka_unit_test(the_least_recent_goes),
		cmocka_unit_test(invented_names_flush_nothing),
		cmocka_unit_test(groups_under_pressure),
		cmocka_unit_test(home_is_forgotten),
		cmocka_unit_test(another_table),
		cmocka_unit_test(added_up),
		cmocka_unit_test(restored),
		cmocka_unit_test(nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
