/* The files that TLS is made from, and the script that makes them. What goes over the wire is in test_ctl_tls.c. */
#include "lib/tls.h"
#include "tests/unit/certs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	return certs_make("127.0.0.1");
}

static int teardown(void **state)
{
	(void)state;
	certs_remove();
	return 0;
}

static void expect_unusable(const char *ca, const char *cert, const char *key, int code, const char *says)
{
	struct tls *t = NULL;
	struct err err = {0};
	int rc = tls_new(&t, certs_path(ca), certs_path(cert), certs_path(key), &err);
	if (rc != code || !strstr(err.text, says) || !strstr(err.text, certs_path("")) || t)
		fail_msg("expected %d with \"%s\", got %d: %s", code, says, rc, err.text);
}

static void files_are_checked(void **state)
{
	static const unsigned good_modes[] = {0600, 0640, 0400, 0440}, bad_modes[] = {0644, 0660, 0604, 0700, 04600};
	const char *key = certs_path("ours/client.example.key");
	char says[64], path[160];
	(void)state;
	strcpy(path, key);
	for (size_t i = 0; i < sizeof(good_modes) / sizeof(*good_modes); i++) {
		chmod(path, good_modes[i]);
		tls_free(certs_identity("ours", "ours", "client.example"));
	}
	for (size_t i = 0; i < sizeof(bad_modes) / sizeof(*bad_modes); i++) {
		chmod(path, bad_modes[i]);
		snprintf(says, sizeof(says), "found mode %04o, expected 0600 or 0640", bad_modes[i]);
		expect_unusable("ours/ca.pem", "ours/client.example.pem", "ours/client.example.key", -EPERM, says);
	}
	chmod(path, 0600);
	if (getuid() == 0) {
		assert_int_equal(chown(path, 65534, 0), 0);
		expect_unusable("ours/ca.pem", "ours/client.example.pem", "ours/client.example.key", -EPERM, "of user 65534");
		assert_int_equal(chown(path, 0, 0), 0);
	}
	certs_run("openssl pkey -in %s -aes128 -passout pass:secret -out %s 2>/dev/null && chmod 600 %s", path, certs_path("locked.key"),
		  certs_path("locked.key"));
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "locked.key", -EINVAL, "without a passphrase");
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "ours/server.example.key", -EINVAL, "server.example.key");
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "none.key", -ENOENT, "none.key");
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "ours", -EPERM, "no file");
	expect_unusable("ours/ca.pem", "none.pem", "ours/client.example.key", -ENOENT, "none.pem");
	expect_unusable("none.pem", "ours/client.example.pem", "ours/client.example.key", -ENOENT, "none.pem");
	expect_unusable("ours/client.example.key", "ours/client.example.pem", "ours/client.example.key", -EINVAL, "as ca");
}

/* What is there stays, in whatever way it is asked for. */
static void the_script_overwrites_nothing(void **state)
{
	const char *script = certs_script();
	(void)state;
	certs_run("cd %s && cat ours/* | cksum >before", certs_path(""));
	certs_run("! %s %s new.example client.example 2>/dev/null", script, certs_path("ours"));
	certs_run("! %s %s 'bad name' 2>/dev/null", script, certs_path("ours"));
	certs_run("! %s %s twice.example twice.example 2>/dev/null", script, certs_path("ours"));
	certs_run("! %s %s 999.0.0.1 2>/dev/null", script, certs_path("ours"));
	certs_run(
		"cd %s && cat ours/* | cksum | cmp -s - before && test \"$(stat -c %%a ours/ca.key ours/client.example.key | uniq)\" = 600",
		certs_path(""));
	certs_run("%s --help | grep -q DIRECTORY", script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_checked),
		cmocka_unit_test(the_script_overwrites_nothing),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
