/* Lines that were written are read again; one with any byte changed, cut anywhere, or behind another line is not. */
#include "proxy/crcline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_lines(void **state)
{
	uint32_t first = 0, second, found;
	size_t len, len2;
	char *a = crcline_of(json_pack("{si}", "shunt-test", 1), &first, &len), *b;
	(void)state;
	second = first;
	b = crcline_of(json_pack("{ss}", "name", "alice"), &second, &len2);
	assert_int_equal(strlen(a), len);
	assert_string_equal(a + CRCLINE_DIGITS, " {\"shunt-test\":1}\n");
	assert_true(crcline_is_right(a, len - 1, 0, &found));
	assert_int_equal(found, first);
	assert_true(crcline_is_right(b, len2 - 1, first, &found));
	assert_int_equal(found, second);
	assert_false(crcline_is_right(b, len2 - 1, 0, &found));      /* the one before is missing */
	assert_false(crcline_is_right(b, len2 - 1, second, &found)); /* it is there twice */
	for (size_t i = 0; i < len2 - 1; i++) {
		assert_false(crcline_is_right(b, i, first, &found));
		b[i] ^= 1;
		assert_false(crcline_is_right(b, len2 - 1, first, &found));
		b[i] ^= 1;
	}
	json_t *o = crcline_object(b, len2 - 1);
	assert_string_equal(json_string_value(json_object_get(o, "name")), "alice");
	json_decref(o);
	free(a);
	free(b);
}

static void test_no_object(void **state)
{
	static const char *const none[] = {"", "01234567", "01234567 ", "01234567 []", "01234567 {", "01234567 {\"a\":1,\"a\":2}"};
	uint32_t crc = 0;
	size_t len;
	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		assert_null(crcline_object(none[i], strlen(none[i])));
	assert_null(crcline_of(NULL, &crc, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_no_object)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
