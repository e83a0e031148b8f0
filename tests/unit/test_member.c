/* Members that are there, missing and of another type, of objects and of what is none. */
#include "lib/member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const not_there[] = {"missing", "null", "list"};

static int setup(void **state)
{
	*state = json_pack("{s:s, s:s, s:I, s:f, s:n, s:[]}", "text", "alice", "empty", "", "int", (json_int_t)1 << 40, "real", 2.5, "null",
			   "list");
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	json_decref(*state);
	return 0;
}

static void test_text(void **state)
{
	const json_t *o = *state;
	assert_string_equal(member_text(o, "text"), "alice");
	assert_string_equal(member_text_or(o, "text", "?"), "alice");
	assert_string_equal(member_text_or(o, "empty", "?"), "");
	assert_string_equal(member_text(o, "int"), "");
	for (size_t i = 0; i < sizeof(not_there) / sizeof(*not_there); i++) {
		assert_string_equal(member_text(o, not_there[i]), "");
		assert_string_equal(member_text_or(o, not_there[i], "?"), "?");
		assert_null(member_text_or(o, not_there[i], NULL));
	}
}

static void test_numbers(void **state)
{
	const json_t *o = *state;
	assert_true(member_int(o, "int") == (json_int_t)1 << 40);
	assert_true(member_int_or(o, "int", -1) == (json_int_t)1 << 40);
	assert_true(member_real(o, "int") == (double)((json_int_t)1 << 40));
	assert_true(member_real(o, "real") == 2.5);
	assert_int_equal(member_int(o, "real"), 0);
	assert_int_equal(member_int_or(o, "real", -1), -1);
	assert_int_equal(member_int(o, "text"), 0);
	assert_true(member_real(o, "text") == 0);
	for (size_t i = 0; i < sizeof(not_there) / sizeof(*not_there); i++) {
		assert_int_equal(member_int(o, not_there[i]), 0);
		assert_int_equal(member_int_or(o, not_there[i], -1), -1);
		assert_true(member_real(o, not_there[i]) == 0);
	}
}

static void test_no_object(void **state)
{
	const json_t *list = json_object_get(*state, "list");
	assert_string_equal(member_text(NULL, "text"), "");
	assert_string_equal(member_text(list, "text"), "");
	assert_int_equal(member_int(NULL, "int"), 0);
	assert_int_equal(member_int_or(list, "int", -1), -1);
	assert_true(member_real(NULL, "real") == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_numbers), cmocka_unit_test(test_no_object)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
