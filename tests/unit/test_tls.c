/* The files that TLS is made from. What goes over the wire is in test_ctl_tls.c. */
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
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "ours/server.example.key", -EINVAL, "does not belong to the certificate");
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "none.key", -ENOENT, "none.key");
	expect_unusable("ours/ca.pem", "ours/client.example.pem", "ours", -EPERM, "no file");
	expect_unusable("ours/ca.pem", "none.pem", "ours/client.example.key", -ENOENT, "none.pem");
	expect_unusable("none.pem", "ours/client.example.pem", "ours/client.example.key", -ENOENT, "none.pem");
	expect_unusable("ours/client.example.key", "ours/client.example.pem", "ours/client.example.key", -EINVAL, "as ca");
}

/* What a program says at its start, and shunt status: before anybody refuses the certificate. */
static void what_ends_is_told_ahead(void **state)
{
	static const struct {
		const char *believes, *set, *name, *says; /* NULL: nothing */
	} cases[] = {
		{"ours", "ours", "server.example", NULL},
		{"ours", "ours", "serveronly", "ends "},
		{"ours", "ours", "late", "our certificate \"late\" ends "},
		{"ours", "ours", "old", "our certificate \"old\" ended "},
		{"ours", "ours", "early", "is the clock right?"},
		{"theirs", "ours", "client.example", "which is not our ca"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[TLS_TEXT_MAX] = "";
		struct tls *t = certs_identity(cases[i].believes, cases[i].set, cases[i].name);
		bool said = tls_warning(t, text);
		if (said != (cases[i].says != NULL) || (said && !strstr(text, cases[i].says)))
			fail_msg("%s: %s", cases[i].name, said ? text : "nothing is said");
		tls_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_checked),
		cmocka_unit_test(what_ends_is_told_ahead),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
