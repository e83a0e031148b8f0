/* The authority: what OpenSSL reads back from its certificates and thinks of them, what is refused, and what a crash leaves. */
#include "control/pki.h"
#include "tests/unit/certs.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY 86400

struct world {
	char dir[64];
	char pki[80];
	int64_t now;
};

static char *in(const struct world *w, const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *p = paths[next++ % 4];
	snprintf(p, sizeof(paths[0]), "%s/%s", w->pki, name);
	return p;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct err err = {0};
	strcpy(w->dir, "/tmp/test_pki.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->pki, sizeof(w->pki), "%s/pki", w->dir);
	w->now = time(NULL);
	*state = w;
	umask(0);
	if (pki_init(w->pki, w->now, &err) < 0)
		fail_msg("%s", err.text);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	certs_run("rm -r %s", w->dir);
	free(w);
	return 0;
}

static struct pki *open_for(const struct world *w, bool write)
{
	struct pki *p = NULL;
	struct err err = {0};
	if (pki_open(&p, w->pki, write, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

static struct pki_row issue(struct pki *p, const struct world *w, const char *name, const char *host, int days)
{
	struct pki_row row = {0};
	struct err err = {0};
	if (pki_issue(p, name, &host, host ? 1 : 0, days, w->now, &row, &err) < 0)
		fail_msg("%s", err.text);
	return row;
}

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static X509 *cert_at(const char *path)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(x);
	return x;
}

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;
	assert_int_equal(ASN1_TIME_to_tm(t, &tm), 1);
	return timegm(&tm);
}

static void the_authority_is_one(void **state)
{
	const struct world *w = *state;
	X509 *x = cert_at(in(w, "ca.pem"));
	assert_int_equal(X509_check_ca(x), 1);
	assert_int_equal(X509_get_pathlen(x), 0);
	assert_int_equal(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_true(X509_EXTENSION_get_critical(X509_get_ext(x, X509_get_ext_by_NID(x, NID_basic_constraints, -1))));
	assert_true(X509_EXTENSION_get_critical(X509_get_ext(x, X509_get_ext_by_NID(x, NID_key_usage, -1))));
	assert_int_equal(seconds(X509_get0_notAfter(x)), w->now + (int64_t)PKI_CA_DAYS * DAY);
	assert_int_equal(seconds(X509_get0_notBefore(x)), w->now - PKI_SKEW_S);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	X509_free(x);
	assert_int_equal(mode_of(w->pki), 0700);
	assert_int_equal(mode_of(in(w, "ca.key")), 0600);
	assert_int_equal(mode_of(in(w, "ca.pem")), 0644);
}

static void expect_good_for(X509 *ca, X509 *x, int purpose)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE_add_cert(store, ca);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, x, NULL), 1);
	X509_STORE_CTX_set_purpose(ctx, purpose);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	if (X509_verify_cert(ctx) != 1)
		fail_msg("%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
}

static void a_certificate_is_for_both_ends(void **state)
{
	const struct world *w = *state;
	struct pki *p = open_for(w, true);
	static const char *const hosts[] = {"192.0.2.10", "2001:DB8::0:10", "web42.EXAMPLE.", "alias.example"};
	struct pki_row row;
	struct err err = {0};
	assert_int_equal(pki_issue(p, "Web42.example", hosts, 4, PKI_DAYS, w->now, &row, &err), 0);
	assert_string_equal(row.name, "web42.example");
	assert_int_equal(json_array_size(row.hosts), 4); /* itself once */
	X509 *ca = cert_at(in(w, "ca.pem")), *x = cert_at(in(w, "web42.example.pem"));
	expect_good_for(ca, x, X509_PURPOSE_SSL_CLIENT);
	expect_good_for(ca, x, X509_PURPOSE_SSL_SERVER);
	assert_int_equal(X509_check_host(x, "web42.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "alias.example", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.10", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "2001:db8::10", 0), 1);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.11", 0), 0);
	assert_int_equal(X509_check_ca(x), 0);
	assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(seconds(X509_get0_notAfter(x)), w->now + (int64_t)PKI_DAYS * DAY);
	assert_int_equal(mode_of(in(w, "web42.example.key")), 0600);
	assert_int_equal(mode_of(in(w, "web42.example.pem")), 0644);
	assert_int_equal(mode_of(in(w, "index.json")), 0600);
	FILE *f = fopen(in(w, "web42.example.key"), "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	assert_int_equal(X509_check_private_key(x, key), 1);
	EVP_PKEY_free(key);
	X509_free(x);
	X509_free(ca);
	pki_close(p);
}

static void nothing_outlives_the_authority(void **state)
{
	struct world *w = *state;
	struct pki *p = open_for(w, true);
	struct err err = {0};
	int64_t ends = w->now + (int64_t)PKI_CA_DAYS * DAY;
	w->now = ends - DAY;
	assert_int_equal(issue(p, w, "late.example", NULL, PKI_DAYS).ends, ends);
	assert_int_equal(pki_issue(p, "too-late.example", NULL, 0, PKI_DAYS, ends, NULL, &err), -EKEYEXPIRED);
	pki_close(p);
}

static void serials_are_never_the_same(void **state)
{
	const struct world *w = *state;
	struct pki *p = open_for(w, true);
	char name[32];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "host%d", i);
		issue(p, w, name, NULL, 1);
	}
	for (size_t i = 0; i < pki_count(p); i++) {
		assert_int_equal(strlen(pki_at(p, i).serial), 32);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(pki_at(p, i).serial, pki_at(p, k).serial);
	}
	pki_close(p);
}

static void a_renewal_keeps_the_names(void **state)
{
	const struct world *w = *state;
	struct pki *p = open_for(w, true);
	struct pki_row row;
	struct err err = {0};
	char serial[64];
	strcpy(serial, issue(p, w, "web42.example", "192.0.2.10", 20).serial);
	certs_run("cp %s %s && cp %s %s", in(w, "web42.example.key"), in(w, "before.key"), in(w, "web42.example.pem"), in(w, "before.pem"));
	assert_int_equal(pki_renew(p, "web42.example", PKI_DAYS, w->now, &row, &err), 0);
	assert_string_not_equal(row.serial, serial);
	assert_int_equal(json_array_size(row.hosts), 2);
	assert_int_equal(pki_renew(p, "nobody", PKI_DAYS, w->now, &row, &err), -ENOENT);
	pki_close(p);
	p = open_for(w, false);
	assert_int_equal(pki_count(p), 2);
	assert_true(pki_at(p, 0).replaced);
	assert_true(pki_find(p, "WEB42.example", &row) && !row.replaced && row.ends == w->now + (int64_t)PKI_DAYS * DAY);
	pki_close(p);
	X509 *ca = cert_at(in(w, "ca.pem")), *old = cert_at(in(w, "before.pem")), *x = cert_at(in(w, "web42.example.pem"));
	expect_good_for(ca, old, X509_PURPOSE_SSL_CLIENT); /* the old one holds */
	expect_good_for(ca, x, X509_PURPOSE_SSL_SERVER);
	assert_int_equal(X509_check_ip_asc(x, "192.0.2.10", 0), 1);
	assert_int_not_equal(EVP_PKEY_eq(X509_get0_pubkey(old), X509_get0_pubkey(x)), 1);
	X509_free(ca);
	X509_free(old);
	X509_free(x);
}

static void bad_wishes_are_refused(void **state)
{
	const struct world *w = *state;
	static const struct {
		const char *name, *host;
		int days, code;
	} cases[] = {
		{"taken.example", NULL, 9, -EEXIST},
		{"TAKEN.example", NULL, 9, -EEXIST},
		{"a--1", NULL, 9, -EEXIST}, /* the file of a::1 */
		{"ca", NULL, 9, -EINVAL},
		{"", NULL, 9, -EINVAL},
		{"..", NULL, 9, -EINVAL},
		{"../x", NULL, 9, -EINVAL},
		{"a/b", NULL, 9, -EINVAL},
		{"-a", NULL, 9, -EINVAL},
		{"a..b", NULL, 9, -EINVAL},
		{"a-.b", NULL, 9, -EINVAL},
		{".a", NULL, 9, -EINVAL},
		{"a b", NULL, 9, -EINVAL},
		{"a,DNS:b", NULL, 9, -EINVAL},
		{"*.example", NULL, 9, -EINVAL},
		{"999.0.0.1", NULL, 9, -EINVAL},
		{"0.0.0.0", NULL, 9, -EINVAL},
		{"fe80::1%lo", NULL, 9, -EINVAL},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 9, -EINVAL},
		{"x", "bad name", 9, -EINVAL},
		{"x", "", 9, -EINVAL},
		{"x", NULL, 0, -EINVAL},
		{"x", NULL, PKI_DAYS_MAX + 1, -EINVAL},
	};
	struct pki *p = open_for(w, true);
	issue(p, w, "taken.example", NULL, 9);
	issue(p, w, "a::1", NULL, 9);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = {0};
		int rc = pki_issue(p, cases[i].name, &cases[i].host, cases[i].host ? 1 : 0, cases[i].days, w->now, NULL, &err);
		if (rc != cases[i].code || !*err.text)
			fail_msg("%s: expected %d, got %d: %s", cases[i].name, cases[i].code, rc, err.text);
	}
	assert_int_equal(pki_count(p), 2);
	pki_close(p);
}

static void expect_refused(const struct world *w, bool init, int code, const char *says)
{
	struct pki *p = NULL;
	struct err err = {0};
	int rc = init ? pki_init(w->pki, w->now, &err) : pki_open(&p, w->pki, true, &err);
	if (rc != code || !strstr(err.text, says) || p)
		fail_msg("expected %d with \"%s\", got %d: %s", code, says, rc, err.text);
}

static void bad_directories_are_refused(void **state)
{
	const struct world *w = *state;
	certs_run("cat %s/* | cksum >%s/sum", w->pki, w->dir);
	expect_refused(w, true, -EEXIST, "there is an authority already");
	certs_run("cat %s/* | cksum | cmp - %s/sum", w->pki, w->dir);
	chmod(w->pki, 0770);
	expect_refused(w, false, -EPERM, "found mode 0770");
	chmod(w->pki, 0700);
	chmod(in(w, "ca.key"), 0640);
	expect_refused(w, false, -EPERM, "found mode 0640, expected 0600");
	chmod(in(w, "ca.key"), 0600);
	certs_run("sed -i 's/\"version\": 1/\"version\": 2/' %s", in(w, "index.json"));
	expect_refused(w, false, -EBADMSG, "its sum is another");
	certs_run("mv %s %s/away && mkdir -m 0700 %s", w->pki, w->dir, w->pki);
	expect_refused(w, false, -ENOENT, "shunt pki init");
	chmod(w->pki, 0777);
	expect_refused(w, true, -EPERM, "found mode 0777");
	chmod(w->pki, 0700);
	certs_run("touch %s/file", w->pki);
	expect_refused(w, true, -EEXIST, "expected an empty directory");
	certs_run("rm %s/file && touch %s/file", w->pki, w->dir);
	chmod(w->dir, 0777); /* whoever may write there can put another directory in its place */
	expect_refused(w, true, -EPERM, "found mode 0777");
	chmod(w->dir, 0700);
	assert_int_equal(pki_init(w->pki, w->now, NULL), 0); /* an empty one is taken over */
	expect_refused(w, true, -EEXIST, "there is an authority already");
	certs_run("cp %s/away/ca.key %s", w->dir, in(w, "ca.key"));
	expect_refused(w, false, -EINVAL, "ca.key does not belong to ca.pem");
	certs_run("test \"$(ls -A %s | tr '\\n' ' ')\" = 'away file pki sum '", w->dir); /* nothing half-made stays */
}

/* What the index does not know is thrown away, what it knows is put in place: wherever the renewal was cut. */
static void a_crash_leaves_the_old_or_the_new(void **state)
{
	const struct world *w = *state;
	static const struct {
		bool known;
		const char *left; /* with the new pair saved as n.key, n.pem, the old one as o.key, o.pem */
	} cases[] = {
		{false, "cp o.key a.key; cp o.pem a.pem; cp n.key .a.key.new"},
		{false, "cp o.key a.key; cp o.pem a.pem; cp n.key .a.key.new; head -c 99 n.pem >.a.pem.new"},
		{false, "cp o.key a.key; cp o.pem a.pem; cp n.key .a.key.new; cp s.pem .a.pem.new"},
		{true, "cp o.key a.key; cp o.pem a.pem; cp n.key .a.key.new; cp n.pem .a.pem.new"},
		{true, "cp n.key a.key; cp o.pem a.pem; cp n.pem .a.pem.new"},
	};
	struct err err = {0};
	struct pki *p = open_for(w, true);
	issue(p, w, "a", NULL, 9);
	certs_run("cd %s && cp a.key o.key && cp a.pem o.pem", w->pki);
	assert_int_equal(pki_renew(p, "a", 9, w->now, NULL, &err), 0);
	certs_run("cd %s && cp a.key n.key && cp a.pem n.pem", w->pki);
	pki_close(p);
	/* of another authority: the index never heard of its serial */
	certs_run("cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=s -days 9 -out s.pem 2>/dev/null",
		  w->pki);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		certs_run("cd %s && %s", w->pki, cases[i].left);
		pki_close(open_for(w, true));
		const char *is = cases[i].known ? "n" : "o";
		certs_run("cd %s && cmp a.key %s.key && cmp a.pem %s.pem && ! ls -A | grep '[.]new$'", w->pki, is, is);
	}
}

static void writers_take_turns(void **state)
{
	const struct world *w = *state;
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			struct pki *p = NULL;
			char name[16];
			int rc = pki_open(&p, w->pki, true, NULL);
			snprintf(name, sizeof(name), "h%d", i);
			if (rc == 0)
				rc = pki_issue(p, name, NULL, 0, 9, w->now, NULL, NULL);
			pki_close(p);
			_exit(rc ? 1 : 0);
		}
	for (int i = 0, status; i < 4; i++) {
		wait(&status);
		assert_int_equal(status, 0);
	}
	struct pki *p = open_for(w, false);
	assert_int_equal(pki_count(p), 4);
	pki_close(p);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(the_authority_is_one),
		IN_WORLD(a_certificate_is_for_both_ends),
		IN_WORLD(nothing_outlives_the_authority),
		IN_WORLD(serials_are_never_the_same),
		IN_WORLD(a_renewal_keeps_the_names),
		IN_WORLD(bad_wishes_are_refused),
		IN_WORLD(bad_directories_are_refused),
		IN_WORLD(a_crash_leaves_the_old_or_the_new),
		IN_WORLD(writers_take_turns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
