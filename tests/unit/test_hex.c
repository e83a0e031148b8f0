/* Bytes as hexadecimal text, digests by the examples of FIPS 180, and random bits that differ. */
#include "lib/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_text(void **state)
{
	char out[9];
	(void)state;
	hex_text("\x00\x7f\x80\xff", 4, out);
	assert_string_equal(out, "007f80ff");
	hex_text("x", 0, out);
	assert_string_equal(out, "");
}

static void test_sha256(void **state)
{
	char out[HEX_SHA256_MAX];
	(void)state;
	hex_sha256("abc", 3, out);
	assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hex_sha256("", 0, out);
	assert_string_equal(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_random(void **state)
{
	char a[129], b[129], four[5] = "....";
	(void)state;
	assert_int_equal(hex_random(a, 128, NULL), 0);
	assert_int_equal(hex_random(b, 128, NULL), 0);
	assert_int_equal(strlen(a), 128);
	assert_int_equal(strspn(a, "0123456789abcdef"), 128);
	assert_string_not_equal(a, b);
	assert_int_equal(hex_random(four, 4, NULL), 0);
	assert_int_equal(strlen(four), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_text), cmocka_unit_test(test_sha256), cmocka_unit_test(test_random)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
