/* What the new side has accepted: counted from a switch on, by method and outcome, by listener, bounded, added up, and never zero where it
 * is unknown. */
#include "proxy/accepted.h"
#include "tests/unit/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char both[] = "[{\"name\": \"alice\", \"domains\": [\"alice.example\"]},"
			   " {\"name\": \"bob\", \"domains\": [\"bob.example\"], \"side\": \"transit\"}]";

static struct accepted sum_of(const struct account *a)
{
	struct accepted sum = {0};

	for (unsigned w = 0; w < 2; w++)
		assert_int_equal(accepted_add(&sum, a, w), 0);
	return sum;
}

static uint64_t requests(const struct accepted *sum, enum accepted_verdict v)
{
	uint64_t n = 0;

	for (int m = 0; m < WRITE_METHODS; m++)
		n += sum->writes[v].by_method[m];
	return n;
}

static void methods(void **state)
{
	static const struct {
		enum http_method method;
		bool writes;
		enum write_method as;
		const char *name;
	} cases[] = {{METHOD_GET, false, 0, NULL},
		     {METHOD_HEAD, false, 0, NULL},
		     {METHOD_OPTIONS, false, 0, NULL},
		     {METHOD_POST, true, WRITE_POST, "POST"},
		     {METHOD_PUT, true, WRITE_PUT, "PUT"},
		     {METHOD_PATCH, true, WRITE_PATCH, "PATCH"},
		     {METHOD_DELETE, true, WRITE_DELETE, "DELETE"},
		     {METHOD_OTHER, true, WRITE_OTHER, "other"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum write_method m = WRITE_METHODS;

		assert_int_equal(write_method_of(cases[i].method, &m), cases[i].writes);
		assert_int_equal(m, cases[i].writes ? cases[i].as : WRITE_METHODS);
		if (cases[i].writes)
			assert_string_equal(write_method_name(m), cases[i].name);
	}
}

static void verdicts(void **state)
{
	static const struct {
		unsigned status;
		enum accepted_verdict as;
	} cases[] = {{0, ACCEPTED_UNKNOWN},   {101, ACCEPTED_OK},      {200, ACCEPTED_OK},      {204, ACCEPTED_OK},
		     {303, ACCEPTED_OK},      {399, ACCEPTED_OK},      {400, ACCEPTED_REFUSED}, {404, ACCEPTED_REFUSED},
		     {499, ACCEPTED_REFUSED}, {500, ACCEPTED_REFUSED}, {599, ACCEPTED_REFUSED}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(accepted_verdict_of(cases[i].status), cases[i].as);
}

static void nothing_before_a_switch(void **state)
{
	struct table *t = table_of(both, NULL);
	struct account *a = table_find(t, "alice");

	(void)state;
	assert_non_null(account_shard(a, 0));
	accepted_request(a, 0, WRITE_POST, ACCEPTED_OK, 10, 5);
	accepted_connection(a, 0, "https", PROTOCOL_TLS, 1, 10, 5);
	assert_false(accepted_counts(a));
	assert_null(a->shards[0]->accepted); /* and it costs nothing */
	assert_null(a->shards[1]);
	table_free(t);
}

static void counted_from_a_switch_on(void **state)
{
	struct table *t = table_of(both, NULL), *next;
	struct account *a = table_find(t, "alice");
	struct accepted sum;

	(void)state;
	accepted_begin(a, 100, true);
	accepted_request(a, 0, WRITE_POST, ACCEPTED_OK, 10, 110);
	accepted_request(a, 1, WRITE_POST, ACCEPTED_OK, 20, 105);
	accepted_request(a, 0, WRITE_DELETE, ACCEPTED_OK, 0, 130);
	accepted_request(a, 1, WRITE_PUT, ACCEPTED_REFUSED, 7, 120);
	accepted_request(a, 1, WRITE_PATCH, ACCEPTED_UNKNOWN, 3, 121);
	next = table_of(both, t); /* an import: the account stays what it is */
	assert_ptr_equal(table_find(next, "alice"), a);
	table_free(t);
	sum = sum_of(a);
	assert_true(atomic_load(&a->counted_whole));
	assert_int_equal(requests(&sum, ACCEPTED_OK), 3);
	assert_int_equal(sum.writes[ACCEPTED_OK].by_method[WRITE_POST], 2);
	assert_int_equal(sum.writes[ACCEPTED_OK].by_method[WRITE_DELETE], 1);
	assert_int_equal(sum.writes[ACCEPTED_OK].bytes, 30);
	assert_int_equal(sum.writes[ACCEPTED_OK].first_ms, 105);
	assert_int_equal(sum.writes[ACCEPTED_OK].last_ms, 130);
	assert_int_equal(requests(&sum, ACCEPTED_REFUSED), 1);
	assert_int_equal(sum.writes[ACCEPTED_REFUSED].bytes, 7);
	assert_int_equal(requests(&sum, ACCEPTED_UNKNOWN), 1);
	accepted_done(&sum);

	/* the next switch begins with nothing, in the same millisecond too, and in a worker that has had nothing to count since */
	accepted_begin(a, 100, true);
	accepted_request(a, 0, WRITE_PUT, ACCEPTED_OK, 1, 140);
	sum = sum_of(a);
	assert_int_equal(requests(&sum, ACCEPTED_OK), 1);
	assert_int_equal(sum.writes[ACCEPTED_OK].bytes, 1);
	assert_int_equal(requests(&sum, ACCEPTED_REFUSED) + requests(&sum, ACCEPTED_UNKNOWN), 0);
	accepted_done(&sum);
	table_free(next);
}

static void met_on_transit(void **state)
{
	struct table *t = table_of(both, NULL);
	struct account *b = table_find(t, "bob");
	struct accepted sum;

	(void)state;
	assert_true(accepted_counts(b));
	assert_false(atomic_load(&b->counted_whole)); /* what was before is unknown */
	accepted_request(b, 1, WRITE_POST, ACCEPTED_OK, 10, 200);
	sum = sum_of(b);
	assert_int_equal(requests(&sum, ACCEPTED_OK), 1);
	accepted_done(&sum);
	accepted_begin(b, 1, true);
	assert_true(atomic_load(&b->counted_whole));
	table_free(t);
}

static const struct accepted_conns *conns(const struct accepted *sum, const char *listener, enum protocol protocol)
{
	for (const struct accepted_conns *c = sum->conns; c; c = c->next) {
		if (strcmp(c->listener, listener) == 0 && c->protocol == protocol)
			return c;
	}
	fail_msg("no %s", listener);
	return NULL;
}

static void connections(void **state)
{
	struct table *t = table_of(both, NULL);
	struct account *a = table_find(t, "alice");
	struct accepted sum;
	char name[24];

	(void)state;
	accepted_begin(a, 100, true);
	accepted_connection(a, 0, "https", PROTOCOL_TLS, 1, 0, 110);
	accepted_connection(a, 1, "https", PROTOCOL_TLS, 1, 0, 120);
	accepted_connection(a, 0, "redis", PROTOCOL_TCP, 1, 0, 130);
	accepted_connection(a, 0, "https", PROTOCOL_TLS, 0, 500, 140); /* its end */
	accepted_connection(a, 0, "web", PROTOCOL_HTTP, 1, 0, 150);
	sum = sum_of(a);
	assert_int_equal(sum.n_conns, 3);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->count, 2);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->bytes, 500);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->first_ms, 110);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->last_ms, 140);
	assert_int_equal(conns(&sum, "redis", PROTOCOL_TCP)->count, 1);
	assert_int_equal(conns(&sum, "web", PROTOCOL_HTTP)->count, 1);
	/* what is open has sent more than was counted */
	assert_int_equal(accepted_add_open(&sum, "https", PROTOCOL_TLS, 9, 160), 0);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->count, 2);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->bytes, 509);
	assert_int_equal(conns(&sum, "https", PROTOCOL_TLS)->last_ms, 160);
	accepted_done(&sum);

	/* a configuration that is reloaded with other names again and again takes no more memory than this */
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "l%d", i);
		accepted_connection(a, 0, name, PROTOCOL_TCP, 1, 1, 200);
	}
	sum = sum_of(a);
	assert_int_equal(sum.n_conns, ACCEPTED_LISTENERS + 1);
	assert_int_equal(conns(&sum, "", PROTOCOL_TCP)->count, 1000 - (ACCEPTED_LISTENERS - 3));
	accepted_done(&sum);
	table_free(t);
}

/* What another process has left, counted before this host was started: times below zero, and more comes to it. */
static void restored(void **state)
{
	struct table *t = table_of(both, NULL);
	struct account *b = table_find(t, "bob");
	struct accepted kept = {.gaps = {2, 1000, 2000}}, sum;
	uint64_t since = (uint64_t)-5000;

	(void)state;
	accepted_add_request(&kept, WRITE_PUT, ACCEPTED_OK, 7, (uint64_t)-3000);
	assert_int_equal(accepted_add_open(&kept, "redis", PROTOCOL_TCP, 9, (uint64_t)-2000), 0);
	assert_int_equal(accepted_restore(b, since, true, &kept), 0);
	assert_null(kept.conns);
	assert_true(atomic_load(&b->counted_whole));
	for (unsigned w = 0; w < 2; w++)
		accepted_request(b, w, WRITE_POST, ACCEPTED_OK, 1, 50);
	accepted_connection(b, 1, "redis", PROTOCOL_TCP, 1, 0, 60);
	sum = sum_of(b);
	assert_int_equal(requests(&sum, ACCEPTED_OK), 3);
	assert_int_equal(sum.writes[ACCEPTED_OK].bytes, 9);
	assert_true(sum.writes[ACCEPTED_OK].first_ms == (uint64_t)-3000);
	assert_int_equal(sum.writes[ACCEPTED_OK].last_ms, 50);
	assert_true(conns(&sum, "redis", PROTOCOL_TCP)->first_ms == (uint64_t)-2000);
	assert_int_equal(conns(&sum, "redis", PROTOCOL_TCP)->last_ms, 60);
	assert_int_equal(sum.gaps.n, 2);
	assert_int_equal(sum.gaps.until_ms, 2000);
	accepted_done(&sum);

	accepted_begin(b, 70, true); /* another stay: nothing of it, and nothing is missing */
	sum = sum_of(b);
	assert_int_equal(requests(&sum, ACCEPTED_OK), 0);
	assert_int_equal(sum.gaps.n, 0);
	assert_null(sum.conns);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(nothing_before_a_switch),
		cmocka_unit_test(counted_from_a_switch_on),
		cmocka_unit_test(met_on_transit),
		cmocka_unit_test(connections),
		cmocka_unit_test(restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
