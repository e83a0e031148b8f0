/* Which accounts the server's page shows: what a query says, what matches it, and how pages are cut. */
#include "control/panel/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the query ---- */

static void test_what_a_query_says(void **state)
{
	static const struct {
		const char *query, *find, *side;
		long long page;
	} cases[] = {{NULL, "", "", 1},
		     {"", "", "", 1},
		     {"find=bob&side=client&page=2", "bob", "client", 2},
		     {"page=3&side=transit", "", "transit", 3},
		     {"find=&side=", "", "", 1},
		     {"find=+%20bob%09%0a", "bob", "", 1},
		     {"find=a+b", "a b", "", 1},
		     {"find=%22%3E%3Cscript%3E", "\"><script>", "", 1},
		     {"find=%C3%BC", "ü", "", 1},
		     {"find=a%26side%3Dclient", "a&side=client", "", 1},
		     {"find=a&find=b&side=transit&side=client", "a", "transit", 1},
		     {"&&find=a&", "a", "", 1},
		     {"find=100%", "100%", "", 1},
		     {"find=a#&page=2", "a", "", 2},
		     /* as if it were not said */
		     {"find", "", "", 1},
		     {"xfind=a&finder=b&find2=c", "", "", 1},
		     {"find=a%00b", "", "", 1},
		     {"find=%FF", "", "", 1},
		     {"find=%C3", "", "", 1},
		     {"find=%ED%A0%80", "", "", 1},
		     {"side=Client", "", "", 1},
		     {"side=client%20", "", "", 1},
		     {"side=unknown", "", "", 1}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct listing l;
		listing_read(&l, cases[i].query);
		assert_string_equal(l.find, cases[i].find);
		assert_string_equal(l.side, cases[i].side);
		assert_int_equal(l.page, cases[i].page);
		assert_int_equal(listing_is_whole(&l), !*cases[i].find && !*cases[i].side);
	}
}

/* n times unit, between spaces that are not counted. */
static void read_many(struct listing *l, const char *unit, size_t n)
{
	size_t len = strlen(unit);
	char *query = calloc(1, n * len + 32), *p = query + sprintf(query, "find=+++");
	for (size_t i = 0; i < n; i++)
		p += sprintf(p, "%s", unit);
	strcpy(p, "++&side=client");
	listing_read(l, query);
	free(query);
}

static void test_a_text_has_an_end(void **state)
{
	static const struct {
		const char *unit;
		size_t len; /* bytes, decoded */
	} cases[] = {{"a", 1}, {"ü", 2}, {"%C3%BC", 2}, {"%F0%9F%90%91", 4}};
	struct listing l;
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		read_many(&l, cases[i].unit, LISTING_FIND);
		assert_int_equal(strlen(l.find), LISTING_FIND * cases[i].len);
		read_many(&l, cases[i].unit, LISTING_FIND + 1);
		assert_string_equal(l.find, "");
		assert_string_equal(l.side, "client");
	}
	read_many(&l, "a", 100000);
	assert_string_equal(l.find, "");
}

/* ---- what matches ---- */

static void test_what_matches(void **state)
{
	static const struct {
		const char *query, *domain; /* NULL: it does not */
	} cases[] = {{"", "alice.example"},
		     {"find=alice", "alice.example"},
		     {"find=LIC", "alice.example"},
		     {"find=shop", "shop.example.org"},
		     {"find=SHOP.Example&side=client", "shop.example.org"},
		     {"find=web7", "alice.example"}, /* by the name */
		     {"find=WEB7", "alice.example"},
		     {"find=*.", "*.alice.example"},
		     {"side=client", "alice.example"},
		     {"side=transit", NULL},
		     {"find=alice&side=transit", NULL},
		     {"find=client", NULL},
		     {"find=192.0.2.1", NULL},
		     {"find=example.organ", NULL},
		     {"find=alice.exampleshop", NULL},
		     {"find=.*", NULL}, /* no pattern */
		     {"find=%25", NULL},
		     {"find=alice+shop", NULL}};
	json_t *a = json_pack("{s:s, s:s, s:[s,s,s], s:[s]}", "name", "web7", "side", "client", "domains", "alice.example",
			      "*.alice.example", "shop.example.org", "addresses", "192.0.2.1");
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct listing l;
		listing_read(&l, cases[i].query);
		assert_int_equal(listing_has(&l, a), cases[i].domain != NULL);
		if (cases[i].domain)
			assert_string_equal(listing_domain(&l, a), cases[i].domain);
	}
	json_decref(a);
}

static void test_an_account_with_little(void **state)
{
	json_t *a = json_pack("{s:s, s:s}", "name", "bob", "side", "unknown"), *none = json_object();
	struct listing l;
	(void)state;
	listing_read(&l, "find=bob");
	assert_true(listing_has(&l, a));
	assert_string_equal(listing_domain(&l, a), "");
	assert_false(listing_has(&l, none));
	listing_read(&l, "side=transit");
	assert_false(listing_has(&l, a));
	assert_false(listing_has(&l, none));
	listing_read(&l, "");
	assert_true(listing_has(&l, none));
	json_decref(a);
	json_decref(none);
}

/* ---- pages ---- */

static void test_pages(void **state)
{
	static const struct {
		const char *query;
		size_t n;
		long long page, n_pages;
		size_t first, end;
	} cases[] = {{"", 0, 1, 1, 0, 0},
		     {"page=2", 0, 1, 1, 0, 0},
		     {"", 1, 1, 1, 0, 1},
		     {"", 199, 1, 1, 0, 199},
		     {"", 200, 1, 1, 0, 200},
		     {"page=2", 200, 1, 1, 0, 200},
		     {"", 201, 1, 2, 0, 200},
		     {"page=2", 201, 2, 2, 200, 201},
		     {"page=2", 453, 2, 3, 200, 400},
		     {"page=3", 453, 3, 3, 400, 453},
		     {"page=3", 600, 3, 3, 400, 600},
		     /* the nearest of those that there are */
		     {"page=4", 453, 3, 3, 400, 453},
		     {"page=0", 453, 1, 3, 0, 200},
		     {"page=-1", 453, 1, 3, 0, 200},
		     {"page=", 453, 1, 3, 0, 200},
		     {"page=x", 453, 1, 3, 0, 200},
		     {"page=2x", 453, 2, 3, 200, 400},
		     {"page=18446744073709551617", 453, 3, 3, 400, 453},
		     {"page=9223372036854775807", 453, 3, 3, 400, 453},
		     {"page=-99999999999999999999", 453, 1, 3, 0, 200}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct listing l;
		listing_read(&l, cases[i].query);
		listing_turn(&l, cases[i].n);
		assert_int_equal(l.n, cases[i].n);
		assert_int_equal(l.page, cases[i].page);
		assert_int_equal(l.n_pages, cases[i].n_pages);
		assert_int_equal(l.first, cases[i].first);
		assert_int_equal(l.end, cases[i].end);
	}
}

/* Every account that matches is on one page, and on one alone. */
static void test_rows(void **state)
{
	json_t *accounts = json_array(), *a;
	char name[16], query[40];
	size_t i, next = 0;
	struct listing l;
	(void)state;
	for (int k = 0; k < 906; k++) {
		snprintf(name, sizeof(name), "x%d", k);
		json_array_append_new(accounts,
				      json_pack("{s:s, s:s, s:[]}", "name", name, "side", k % 2 ? "client" : "transit", "domains"));
	}
	for (int page = 1; page <= 3; page++) {
		snprintf(query, sizeof(query), "find=X&side=client&page=%d", page);
		listing_read(&l, query);
		json_t *rows = listing_rows(&l, accounts);
		assert_int_equal(l.n, 453);
		assert_int_equal(json_array_size(rows), page < 3 ? 200 : 53);
		json_array_foreach (rows, i, a)
			assert_ptr_equal(a, json_array_get(accounts, 2 * next++ + 1));
		json_decref(rows);
	}
	listing_read(&l, "find=nobody&page=2");
	json_t *rows = listing_rows(&l, accounts);
	assert_int_equal(json_array_size(rows), 0);
	json_decref(rows);
	rows = listing_rows(&l, NULL);
	assert_int_equal(json_array_size(rows), 0);
	assert_int_equal(l.n_pages, 1);
	json_decref(rows);
	json_decref(accounts);
}

/* ---- the query of a page ---- */

static void test_queries(void **state)
{
	static const struct {
		const char *query;
		long long page;
		const char *want;
	} cases[] = {{"", 1, ""},
		     {"", 2, "?page=2"},
		     {"page=7", 1, ""},
		     {"find=bob", 1, "?find=bob"},
		     {"side=transit", 3, "?side=transit&page=3"},
		     {"page=2&side=client&find=+a+b+", 9, "?find=a%20b&side=client&page=9"},
		     {"find=%22%3E%3Cb%3E%26%23%25%00", 1, ""},
		     {"find=%22%3E%3Cb%3E%26%23%25%2B%27%0A%7f", 1, "?find=%22%3E%3Cb%3E%26%23%25%2B%27%0A%7F"},
		     {"find=javascript:x//", 1, "?find=javascript%3Ax%2F%2F"},
		     {"find=%C3%BC", 2, "?find=%C3%BC&page=2"}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct listing l, again;
		char query[LISTING_QUERY_MAX];
		listing_read(&l, cases[i].query);
		listing_query(&l, cases[i].page, query);
		assert_string_equal(query, cases[i].want);
		/* It is the same search again. */
		listing_read(&again, *query ? query + 1 : query);
		assert_string_equal(again.find, l.find);
		assert_string_equal(again.side, l.side);
		assert_int_equal(again.page, cases[i].page);
	}
}

static void test_the_longest_is_whole(void **state)
{
	struct listing l;
	char query[LISTING_QUERY_MAX];
	(void)state;
	read_many(&l, "%F0%9F%90%91", LISTING_FIND);
	l.side = "transit";
	listing_query(&l, INT64_MAX, query);
	assert_non_null(strstr(query, "&side=transit&page=9223372036854775807"));
	assert_int_equal(strspn(query, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF%?&="), strlen(query));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_query_says),
		cmocka_unit_test(test_a_text_has_an_end),
		cmocka_unit_test(test_what_matches),
		cmocka_unit_test(test_an_account_with_little),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_the_longest_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
