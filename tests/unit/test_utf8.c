/* Characters at every length, at the borders of what is one, and cut at every byte. */
#include "lib/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const unsigned char *bytes(const char *s)
{
	return (const unsigned char *)s;
}

static void test_characters(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} good[] = {{"a", 1},
		    {"\x7f", 1},
		    {"\xc2\x80", 2},
		    {"\xdf\xbf", 2},
		    {"\xe0\xa0\x80", 3},
		    {"\xed\x9f\xbf", 3},
		    {"\xee\x80\x80", 3},
		    {"\xef\xbf\xbf", 3},
		    {"\xf0\x90\x80\x80", 4},
		    {"\xf4\x8f\xbf\xbf", 4}};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(utf8_len(bytes(good[i].text), good[i].len), good[i].len);
		assert_int_equal(utf8_len(bytes(good[i].text), 100), good[i].len);
		for (size_t left = 1; left < good[i].len; left++)
			assert_int_equal(utf8_len(bytes(good[i].text), left), 0);
	}
	assert_int_equal(utf8_len(bytes(""), 1), 1); /* NUL is a character */
}

static void test_none(void **state)
{
	static const char *const bad[] = {"\x80xxx",          "\xbfxxx",       "\xc0\x80xx",      "\xc1\xbfxx",       "\xc2xxx",
					  "\xe0\x9f\xbfx",    "\xed\xa0\x80x", "\xe2\x82xx",      "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80", "\xf0\x90\x80x", "\xff\xff\xff\xff"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(utf8_len(bytes(bad[i]), 4), 0);
}

static void test_controls(void **state)
{
	(void)state;
	assert_int_equal(utf8_control(bytes("\x1b"), 1), 0x1b);
	assert_int_equal(utf8_control(bytes(""), 1), 0);
	assert_int_equal(utf8_control(bytes("\x7f"), 1), 0x7f);
	assert_int_equal(utf8_control(bytes("\xc2\x9b"), 2), 0x9b);
	assert_int_equal(utf8_control(bytes("\xc2\xa0"), 2), -1);
	assert_int_equal(utf8_control(bytes(" "), 1), -1);
	assert_int_equal(utf8_control(bytes("\xe2\x80\x9b"), 3), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_characters), cmocka_unit_test(test_none), cmocka_unit_test(test_controls)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
