/* Files with secrets: whose they are, who may read them, and what is in them. */
#include "dnsupdate/key.h"
#include "dnsupdate/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SECRET     "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* the bytes 0 to 31 */
#define KEY        "key \"redir\" {\n\talgorithm hmac-sha256;\n\tsecret \"" SECRET "\";\n};\n"

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/test_key.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/key", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void fill(const void *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fwrite(text, 1, len, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static void expect_refused(int code, const char *says)
{
	struct tsig_key *k = NULL;
	struct err err = {0};
	int rc = tsig_key_load(&k, path, &err);

	if (rc != code || k || !strstr(err.text, says) || !strstr(err.text, path) || strstr(err.text, "AAECAw"))
		fail_msg("expected %d with \"%s\", got %d: %s", code, says, rc, err.text);
}

static void keys_are_read(void **state)
{
	static const struct {
		const char *text, *name, *algorithm;
		size_t mac_len;
	} rows[] = {
		{KEY, "redir.", "hmac-sha256.", 32},
		{"key redir. { secret " SECRET "; algorithm HMAC-SHA512.; };", "redir.", "hmac-sha512.", 64},
		{"# made by hand\n// for the move\n/* of\nit */ key \"Move.example.net\" { /* x */ algorithm \"hmac-sha384\"; # y\n secret "
		 "\"" SECRET "\"; };\n\n",
		 "Move.example.net.", "hmac-sha384.", 48},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct tsig_key *k;
		struct err err = {0};

		fill(rows[i].text, strlen(rows[i].text));
		if (tsig_key_load(&k, path, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		assert_string_equal(k->name, rows[i].name);
		assert_string_equal(k->algorithm, rows[i].algorithm);
		assert_int_equal(k->mac_len, rows[i].mac_len);
		assert_int_equal(k->secret_len, 32);
		for (unsigned b = 0; b < 32; b++)
			assert_int_equal(k->secret[b], b);
		tsig_key_free(k);
	}
}

static void wrong_keys_are_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"key \"k\" {\n algorithm hmac-md5; secret \"" SECRET "\"; };", ":2: found algorithm hmac-md5, which is too weak"},
		{"key k { algorithm hmac-sha1; secret \"" SECRET "\"; };", "hmac-sha1, which is too weak"},
		{"key k { algorithm hmac-sha3; secret \"" SECRET "\"; };", "found \"hmac-sha3\", expected an algorithm"},
		{"key k { algorithm hmac-sha256; secret \"AAAA\"; };", "secret of 3 bytes, expected at least 16"},
		{"key k { algorithm hmac-sha256; secret \"AAECAwQFBgcICQoLDA0ODxAR!\"; };", "not base64"},
		{"key k { algorithm hmac-sha256; secret \"AAEC=wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"; };", "not base64"},
		{"key k { algorithm hmac-sha256; };", "expected secret"},
		{"key k { secret \"" SECRET "\"; };", "expected algorithm"},
		{"key k { algorithm hmac-sha256; \"" SECRET "\"; };", "found something else, expected algorithm, secret or }"},
		{"key k { \"quotedshort\"; };", "found something else, expected algorithm, secret or }"},
		{"key k { algorithm hmac-sha256; " SECRET "; };", "found something else, expected algorithm, secret or }"},
		{"key k { algorithm hmac-sha256; algorithm hmac-sha256;", "algorithm twice"},
		{"key { algorithm hmac-sha256; };", "expected the key's name"},
		{KEY KEY, "expected the end of the file: one key per file"},
		{"key k { algorithm hmac-sha256; secret \"" SECRET "\"; }", "found the end of the file, expected ; behind }"},
		{"key k { algorithm hmac-sha256; secret \"" SECRET, "quote that does not end"},
		{"/* key", "comment that does not end"},
		{"key:\n  - id: k\n", "found \"key:\", expected key \"NAME\""},
		{"", "found nothing"},
		{"# nothing\n", "found the end of the file"},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		fill(rows[i].text, strlen(rows[i].text));
		expect_refused(-EINVAL, rows[i].says);
	}
	fill("key \0k", 6);
	expect_refused(-EINVAL, "NUL");
}

static void cut_files_are_refused(void **state)
{
	(void)state;
	for (size_t len = 1; len < strlen(KEY) - 1; len++) { /* the last byte is a line end */
		struct tsig_key *k;
		struct err err;

		fill(KEY, len);
		if (tsig_key_load(&k, path, &err) == 0)
			fail_msg("believed the first %zu bytes", len);
		assert_null(strstr(err.text, "AAECAw"));
	}
}

static void others_may_not_read_it(void **state)
{
	static const unsigned bad[] = {0640, 0604, 0660, 0644, 0620, 0602, 0700, 04600};
	struct tsig_key *k;
	char says[64];

	(void)state;
	fill(KEY, strlen(KEY));
	for (size_t i = 0; i < ROWS(bad); i++) {
		assert_int_equal(chmod(path, bad[i]), 0);
		snprintf(says, sizeof(says), "found mode %04o, expected 0600 or 0400", bad[i]);
		expect_refused(-EPERM, says);
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(tsig_key_load(&k, path, NULL), 0);
	tsig_key_free(k);
	if (getuid() == 0) {
		assert_int_equal(chown(path, 65534, 0), 0);
		expect_refused(-EPERM, "of user 65534");
	}
}

static void no_file_at_all(void **state)
{
	(void)state;
	expect_refused(-ENOENT, "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refused(-EPERM, "no regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(-EPERM, "no regular file");
	rmdir(path);
	assert_int_equal(symlink("/dev/zero", path), 0);
	expect_refused(-EPERM, "no regular file");
}

static void link_to_a_good_file(void **state)
{
	char to[112];
	struct tsig_key *k;
	struct err err;

	(void)state;
	fill(KEY, strlen(KEY));
	snprintf(to, sizeof(to), "%s.real", path);
	assert_int_equal(rename(path, to), 0);
	assert_int_equal(symlink(to, path), 0);
	if (tsig_key_load(&k, path, &err) < 0)
		fail_msg("%s", err.text);
	tsig_key_free(k);
	unlink(to);
}

static void lines(void **state)
{
	static const struct {
		const char *text, *line, *says;
	} rows[] = {
		{"s3cret", "s3cret", NULL},
		{"s3cret\n", "s3cret", NULL},
		{"\n  s3 cret \t\r\n\n", "s3 cret", NULL},
		{"one\ntwo\n", NULL, "more than one line"},
		{" \n\n", NULL, "only empty lines"},
		{"", NULL, "found nothing"},
	};
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct err err = {0};
		char *line;
		int rc;

		fill(rows[i].text, strlen(rows[i].text));
		rc = secret_line_load(&line, path, &err);
		if (rows[i].line) {
			assert_int_equal(rc, 0);
			assert_string_equal(line, rows[i].line);
		} else if (rc != -EINVAL || !strstr(err.text, rows[i].says)) {
			fail_msg("row %zu: %d %s", i, rc, err.text);
		}
		secret_free(line);
	}
}

static void too_long(void **state)
{
	static char big[SECRET_FILE_MAX + 1];
	char *text;

	(void)state;
	memset(big, '#', sizeof(big));
	fill(big, sizeof(big));
	expect_refused(-EINVAL, "more than 16384 bytes");
	fill(big, SECRET_FILE_MAX);
	assert_int_equal(secret_file_load(&text, path, NULL), 0);
	assert_int_equal(strlen(text), SECRET_FILE_MAX);
	secret_free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(keys_are_read),
		TEST(wrong_keys_are_refused),
		TEST(cut_files_are_refused),
		TEST(others_may_not_read_it),
		TEST(no_file_at_all),
		TEST(link_to_a_good_file),
		TEST(lines),
		TEST(too_long),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
