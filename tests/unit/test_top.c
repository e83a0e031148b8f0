#include "control/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *counts(int requests, int up, int down, int errors, int refused, int flows, int parked)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "requests", requests, "bytes-up", up, "bytes-down", down, "errors", errors,
			 "refused", refused, "flows", flows, "parked", parked);
}

/* Two seconds, two accounts and the names of nobody. */
static json_t *answer(void)
{
	json_t *a = counts(100, 3000, 2000000, 4, 2, 7, 3), *nobody = counts(1, 0, 0, 0, 0, 0, 0);
	json_object_set_new(a, "name", json_string("alice"));
	json_object_set_new(a, "side", json_string("transit"));
	json_object_set_new(a, "gate", json_string("held"));
	json_object_set_new(nobody, "name", json_null());
	json_object_set_new(nobody, "side", json_string("client"));
	json_object_set_new(nobody, "gate", json_string("open"));
	return json_pack("{s:i, s:i, s:i, s:o, s:[o, o]}", "interval-ms", 2000, "active", 2, "left-out", 0, "total",
			 counts(101, 3000, 2000000, 4, 2, 7, 3), "accounts", a, nobody);
}

static void test_rates(void **state)
{
	json_t *said = answer(), *rates = top_rates(said), *alice = json_array_get(json_object_get(rates, "accounts"), 0);
	(void)state;
	assert_true(json_number_value(json_object_get(rates, "interval-s")) == 2);
	assert_string_equal(json_string_value(json_object_get(alice, "name")), "alice");
	assert_true(json_number_value(json_object_get(alice, "requests-per-second")) == 50);
	assert_true(json_number_value(json_object_get(alice, "bytes-down-per-second")) == 1e6);
	assert_true(json_number_value(json_object_get(alice, "refused-per-second")) == 1);
	assert_int_equal(json_integer_value(json_object_get(alice, "waiting")), 3); /* as they are now */
	assert_int_equal(json_integer_value(json_object_get(alice, "in-flight")), 7);
	assert_true(json_number_value(json_object_get(json_object_get(rates, "total"), "requests-per-second")) == 50.5);
	json_decref(rates);
	json_object_set_new(said, "interval-ms", json_integer(0)); /* nobody divides by it */
	rates = top_rates(said);
	assert_true(json_number_value(json_object_get(rates, "interval-s")) == 1);
	json_decref(rates);
	json_decref(said);
}

static char *table(const json_t *rates, const struct top_order *by, size_t most)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	top_table(rates, by, most, f);
	fclose(f);
	return text;
}

static void test_table(void **state)
{
	json_t *said = answer(), *rates = top_rates(said);
	char *text = table(rates, top_order('w'), 100);
	(void)state;
	assert_string_equal(text, "account          side    gate    req/s up B/s dn B/s  err/s  ref/s  >wait    fly\n"
				  "(all 2)                             50   1.5k   1.0M    2.0    1.0      3      7\n"
				  "alice            transit held       50   1.5k   1.0M    2.0    1.0      3      7\n"
				  "(no account)     client  open      0.5      0      0      0      0      0      0\n");
	assert_int_equal(strcspn(text, "\n"), 80);
	free(text);
	/* a long name widens its column, as long as it is shown */
	json_t *nobody = json_array_get(json_object_get(rates, "accounts"), 1);
	json_object_set_new(nobody, "name", json_string("somebody-with-a-long-name"));
	text = table(rates, top_order('w'), 100);
	assert_int_equal(strcspn(text, "\n"), 89);
	assert_non_null(strstr(text, "\nsomebody-with-a-long-name client  open      0.5 "));
	free(text);
	text = table(rates, top_order('w'), 3);
	assert_int_equal(strcspn(text, "\n"), 80);
	json_object_set_new(nobody, "name", json_null());
	free(text);
	text = table(rates, top_order('\0'), 3);
	assert_non_null(strstr(text, ">req/s"));
	assert_null(strstr(text, "(no account)"));
	free(text);
	assert_null(top_order('x'));
	json_decref(rates);
	json_decref(said);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates), cmocka_unit_test(test_table)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
