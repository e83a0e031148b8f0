#include "lib/acctdef.h"
#include "lib/index.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define L63  "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define L61  "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"
#define D253 L63 "." L63 "." L63 "." L61

static void domains(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out; /* out NULL: refused, and `says` is in the words */
		const char *says;
		bool no_wildcard;
	} cases[] = {
		{"alice.example", "alice.example", NULL, false},
		{"Alice.EXAMPLE.", "alice.example", NULL, false},
		{"*.alice.example", "*.alice.example", NULL, false},
		{"*.Alice.example.", "*.alice.example", NULL, false},
		{"localhost", "localhost", NULL, false},
		{"_dmarc.a_b.example", "_dmarc.a_b.example", NULL, false},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", NULL, false},
		{"1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa", NULL, false},
		{"3com.example", "3com.example", NULL, false},
		{"8.example", "8.example", NULL, false},
		{D253, D253, NULL, false},
		{D253 ".", D253, NULL, false},
		{D253 "z", NULL, "253", false},
		{D253 "zz", NULL, "253", false},
		{L63 "1.example", NULL, "63", false},
		{"", NULL, "253", false},
		{".", NULL, "such as", false},
		{"a..b", NULL, "such as", false},
		{".a", NULL, "such as", false},
		{"a.example..", NULL, "such as", false},
		{"-a.example", NULL, "such as", false},
		{"a-.example", NULL, "such as", false},
		{"a b.example", NULL, "such as", false},
		{"a/b.example", NULL, "such as", false},
		{"a.example\n", NULL, "such as", false},
		{"a.example:80", NULL, "such as", false},
		{"*", NULL, "asterisk", false},
		{"*.", NULL, "asterisk", false},
		{"*..", NULL, "asterisk", false},
		{"*.*.example", NULL, "asterisk", false},
		{"w*.example", NULL, "asterisk", false},
		{"www.*.example", NULL, "asterisk", false},
		{"*alice.example", NULL, "asterisk", false},
		{"*.alice.example", NULL, "without an asterisk", true},
		{"b\xc3\xbc"
		 "cher.example",
		 NULL, "A-label", false},
		{"b\xfc"
		 "cher.example",
		 NULL, "A-label", false},
		{"192.0.2.1", NULL, "address", false},
		{"192.0.2.1.", NULL, "address", false},
		{"*.192.0.2.1", NULL, "address", false},
		{"2001:db8::1", NULL, "address", false},
		{"[2001:db8::1]:80", NULL, "address", false},
		{"192.0.2.1:80", NULL, "address", false},
		{"127.1", NULL, "address", false},
		{"2130706433", NULL, "address", false},
		{"0x7f000001", NULL, "address", false},
		{"a.0X7F", NULL, "address", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char out[DOMAIN_MAX + 1];
		const char *says;

		if (domain_canon(out, cases[i].in, !cases[i].no_wildcard, &says)) {
			if (!cases[i].out)
				fail_msg("\"%s\" was taken", cases[i].in);
			assert_string_equal(out, cases[i].out);
		} else if (cases[i].out || !strstr(says, cases[i].says)) {
			fail_msg("\"%s\" was refused with: %s", cases[i].in, says);
		}
	}
}

static void names(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "A", "7", "alice", "alice.example", "a-b_c.D", L63 "z"};
	static const char *const bad[] = {"",    ".",   "..",        "-a",     "_a",     ".a",   "a..b",  "a/b",
					  "a b", "a\n", "a\xc3\xa4", "../etc", L63 "zz", "a;rm", "$(id)", "a\tb"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(account_name_ok(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (account_name_ok(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

static void sides_and_gates(void **state)
{
	(void)state;
	enum side s;
	enum gate g;

	for (int i = SIDE_CLIENT; i <= SIDE_TRANSIT; i++)
		assert_true(side_parse(&s, side_name((enum side)i)) && (int)s == i);
	for (int i = GATE_OPEN; i <= GATE_FENCED; i++)
		assert_true(gate_parse(&g, gate_name((enum gate)i)) && (int)g == i);
	assert_false(side_parse(&s, "Client") || side_parse(&s, "") || side_parse(&s, "transit "));
	assert_false(gate_parse(&g, "shut"));
}

/* Each is one account; says NULL: good. */
static const struct {
	const char *json, *says;
} accounts[] = {
	{"{\"name\":\"alice\"}", NULL},
	{"{\"name\":\"alice\",\"domains\":[\"alice.example\",\"*.alice.example\"],\"addresses\":[\"192.0.2.11\",\"2001:db8::11\"],"
	 "\"logins\":[\"alice\",\"*@alice.example\",\"al.ice+x@alice.example\"],\"ports\":[1,8300,65535],\"databases_gb\":3.2}",
	 NULL},
	{"{\"side\":\"transit\",\"gate\":\"held\",\"name\":\"alice\"}", NULL},
	{"{}", "\"name\" is missing"},
	{"[]", "found a list, expected an object"},
	{"{\"name\":7}", "name: found 7, expected 1 to 64"},
	{"{\"name\":\"../etc\"}", "name: found \"../etc\", expected 1 to 64"},
	{"{\"name\":\"a\\nb\"}", "name: found \"a\\x0ab\""},
	{"{\"name\":\"alice\",\"domain\":[]}", "account alice: unknown field \"domain\""},
	{"{\"name\":\"alice\",\"domains\":\"alice.example\"}", "account alice: domains: found \"alice.example\", expected a list"},
	{"{\"name\":\"alice\",\"domains\":[\"ok.example\",7]}", "account alice: domains[1]: found 7, expected a text"},
	{"{\"name\":\"alice\",\"domains\":[null]}", "domains[0]: found null"},
	{"{\"name\":\"alice\",\"domains\":[{}]}", "domains[0]: found an object"},
	{"{\"name\":\"alice\",\"domains\":[\"b\xc3\xbc"
	 "cher.example\"]}",
	 "A-label"},
	{"{\"name\":\"alice\",\"domains\":[\"192.0.2.1\"]}", "domains[0]: found \"192.0.2.1\", expected a domain, not an address"},
	{"{\"name\":\"alice\",\"addresses\":[\"alice.example\"]}",
	 "account alice: addresses[0]: found \"alice.example\", expected an IPv4"},
	{"{\"name\":\"alice\",\"addresses\":[\"0.0.0.0\"]}", "addresses[0]"},
	{"{\"name\":\"alice\",\"addresses\":[\"::\"]}", "addresses[0]"},
	{"{\"name\":\"alice\",\"addresses\":[\"224.0.0.1\"]}", "addresses[0]"},
	{"{\"name\":\"alice\",\"addresses\":[\"ff02::1\"]}", "addresses[0]"},
	{"{\"name\":\"alice\",\"addresses\":[\"fe80::1\"]}", "addresses[0]"},
	{"{\"name\":\"alice\",\"addresses\":[\"192.0.2.1:80\"]}", "addresses[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"\"]}", "account alice: logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"*\"]}", "logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"a b\"]}", "logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"a*@alice.example\"]}", "logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"@alice.example\"]}", "logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"a@\"]}", "logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"a@*.alice.example\"]}", "without an asterisk"},
	{"{\"name\":\"alice\",\"logins\":[\"a@b@alice.example\"]}", "logins[0]"},
	{"{\"name\":\"alice\",\"logins\":[\"" L63 "zz@alice.example\"]}", "at most 64"},
	{"{\"name\":\"alice\",\"ports\":[0]}", "account alice: ports[0]: found 0, expected a port from 1 to 65535"},
	{"{\"name\":\"alice\",\"ports\":[80,65536]}", "ports[1]: found 65536"},
	{"{\"name\":\"alice\",\"ports\":[-1]}", "ports[0]: found -1"},
	{"{\"name\":\"alice\",\"ports\":[4294967297]}", "ports[0]"},
	{"{\"name\":\"alice\",\"ports\":[80.0]}", "ports[0]: found a fraction"},
	{"{\"name\":\"alice\",\"ports\":[true]}", "ports[0]: found a truth value"},
	{"{\"name\":\"alice\",\"ports\":[\"80\"]}", "ports[0]: found \"80\""},
	{"{\"name\":\"alice\",\"databases_gb\":-1}", "databases_gb"},
	{"{\"name\":\"alice\",\"databases_gb\":\"3\"}", "databases_gb: found \"3\", expected a number"},
	{"{\"name\":\"alice\",\"databases_gb\":1e300}", "databases_gb"},
	{"{\"name\":\"alice\",\"side\":\"left\"}", "side: found \"left\", expected \"client\" or \"transit\""},
	{"{\"name\":\"alice\",\"gate\":1}", "gate: found 1"},
};

static json_t *parse(const char *text)
{
	json_t *v = json_loads(text, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

	if (!v)
		v = json_loadb(text, strlen(text), 0, NULL);
	assert_non_null(v);
	return v;
}

static void from_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) {
		json_t *v = parse(accounts[i].json);
		struct acctdef d;
		struct err err = {0};
		int rc = acctdef_from_json(&d, v, &err);

		if (accounts[i].says ? rc != -EINVAL || !strstr(err.text, accounts[i].says) : rc != 0)
			fail_msg("%s\ngave %d %s", accounts[i].json, rc, err.text);
		acctdef_done(&d);
		json_decref(v);
	}
}

static void nul_in_texts(void **state)
{
	(void)state;
	static const char *const cases[] = {"{\"name\":\"al\\u0000ice\"}",
					    "{\"name\":\"alice\",\"domains\":[\"alice.example\\u0000.evil\"]}",
					    "{\"name\":\"alice\",\"side\":\"transit\\u0000\"}"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *v = parse(cases[i]);
		struct acctdef d;

		assert_int_equal(acctdef_from_json(&d, v, NULL), -EINVAL);
		json_decref(v);
	}
}

static struct acctdef account(const char *text)
{
	json_t *v = parse(text);
	struct acctdef d;
	struct err err = {0};

	if (acctdef_from_json(&d, v, &err) < 0)
		fail_msg("%s", err.text);
	json_decref(v);
	return d;
}

static void there_and_back(void **state)
{
	(void)state;
	static const char text[] = "{\"name\": \"alice\", \"domains\": [\"alice.example\", \"*.alice.example\"], \"addresses\": "
				   "[\"192.0.2.11\", \"2001:db8::11\"], "
				   "\"logins\": [\"alice\", \"*@alice.example\"], \"ports\": [8300, 25], \"databases_gb\": 3.5, "
				   "\"side\": \"transit\", \"gate\": \"fenced\"}";
	struct acctdef d = account(text), copy;
	json_t *v;
	char *out;

	assert_int_equal(acctdef_copy(&copy, &d), 0);
	acctdef_done(&d);
	v = acctdef_to_json(&copy, true);
	out = json_dumps(v, 0);
	assert_string_equal(out, text);
	free(out);
	json_decref(v);
	v = acctdef_to_json(&copy, false);
	assert_null(json_object_get(v, "side"));
	assert_null(json_object_get(v, "gate"));
	json_decref(v);
	acctdef_done(&copy);
	acctdef_done(&copy); /* twice is fine */
}

static void repeats_are_kept_once(void **state)
{
	(void)state;
	struct acctdef d = account(
		"{\"name\":\"a\",\"domains\":[\"x.example\",\"X.example.\",\"*.x.example\",\"y.example\",\"x.example\",\"y.example\"],"
		"\"addresses\":[\"192.0.2.1\",\"::ffff:192.0.2.1\",\"2001:db8::1\",\"192.0.2.2\",\"2001:DB8:0::1\",\"192.0.2.2\"],"
		"\"logins\":[\"a@x.example\",\"A@X.example\",\"b\"],\"ports\":[5,6,5,7,7,6]}");

	assert_int_equal(d.n_domains, 3);
	assert_string_equal(d.domains[0], "x.example");
	assert_string_equal(d.domains[1], "*.x.example");
	assert_string_equal(d.domains[2], "y.example");
	assert_int_equal(d.n_addresses, 3);
	assert_int_equal(addr_family(&d.addresses[1]), AF_INET6);
	assert_int_equal(d.n_logins, 2);
	assert_int_equal(d.n_ports, 3);
	assert_int_equal(d.ports[2], 7);
	acctdef_done(&d);
}

static void clashes(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b, *says; /* says NULL: they get along */
	} cases[] = {
		{"{\"name\":\"alice\"}", "{\"name\":\"bob\"}", NULL},
		{"{\"name\":\"alice\"}", "{\"name\":\"alice\"}", "two accounts have the name alice"},
		{"{\"name\":\"alice\",\"domains\":[\"a.example\",\"x.example\"]}",
		 "{\"name\":\"bob\",\"domains\":[\"b.example\",\"X.example\"]}",
		 "domain x.example is claimed by account alice and by account bob"},
		{"{\"name\":\"alice\",\"domains\":[\"*.x.example\"]}", "{\"name\":\"bob\",\"domains\":[\"*.x.example\"]}",
		 "domain *.x.example is claimed by account alice and by account bob"},
		{"{\"name\":\"alice\",\"domains\":[\"*.x.example\"]}", "{\"name\":\"bob\",\"domains\":[\"x.example\",\"w.x.example\"]}",
		 NULL},
		{"{\"name\":\"alice\",\"addresses\":[\"192.0.2.1\"]}", "{\"name\":\"bob\",\"addresses\":[\"::ffff:192.0.2.1\"]}",
		 "address 192.0.2.1 is claimed by account alice and by account bob"},
		{"{\"name\":\"alice\",\"addresses\":[\"2001:db8::1\"]}", "{\"name\":\"bob\",\"addresses\":[\"2001:db8:0::1\"]}",
		 "address 2001:db8::1 is claimed by"},
		{"{\"name\":\"alice\",\"logins\":[\"x@a.example\"]}", "{\"name\":\"bob\",\"logins\":[\"X@a.example\"]}",
		 "login x@a.example is claimed by account alice and by account bob"},
		{"{\"name\":\"alice\",\"logins\":[\"*@a.example\"]}", "{\"name\":\"bob\",\"logins\":[\"x@a.example\"]}", NULL},
		{"{\"name\":\"alice\",\"ports\":[8300]}", "{\"name\":\"bob\",\"ports\":[25,8300]}",
		 "port 8300 is claimed by account alice and by account bob"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct acctset s = {0};
		struct acctdef a = account(cases[i].a), b = account(cases[i].b);
		struct err err = {0};
		int rc;

		assert_int_equal(acctset_add(&s, &a), 0);
		assert_int_equal(acctset_add(&s, &b), 0);
		rc = acctset_check(&s, &err);
		assert_int_equal(rc, cases[i].says ? -EEXIST : 0);
		if (cases[i].says && !strstr(err.text, cases[i].says))
			fail_msg("case %zu: %s", i, err.text);
		acctset_done(&s);
	}
}

static const char *file_of(const void *bytes, size_t len)
{
	static char path[64];
	int fd;

	snprintf(path, sizeof path, "/tmp/test_acctdef.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
	return path;
}

static void files(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n;
		const char *says; /* after the file's name */
	} cases[] = {
		{"[]", 0, NULL},
		{" [ ] \n", 0, NULL},
		{"[{\"name\":\"a\"}]", 1, NULL},
		{"[{\"name\":\"a\"},\n {\"name\":\"b\"}]\n", 2, NULL},
		{"{\"name\":\"a\"}\n{\"name\":\"b\"}{\"name\":\"c\"}\n\n", 3, NULL},
		{"\xef\xbb\xbf{\"name\":\"a\"}", 1, NULL},
		{"{\"name\":\"a\",\"domains\":[\"a.example\"]}\r\n{\"name\":\"b\"}\r\n", 2, NULL},
		{"", 0, ":1: found the end of the file, expected an account"},
		{"\n\n", 0, ":3: found the end of the file"},
		{"7", 0, ":1: found \"7\", expected an account"},
		{"[7]", 0, ":1: found \"7\", expected an account"},
		{"[{\"name\":\"a\"},\n]", 0, ":2: found \"]\", expected an account"},
		{"[{\"name\":\"a\"}\n{\"name\":\"b\"}]", 0, ":2: found \"{\", expected a comma"},
		{"[{\"name\":\"a\"}", 0, ":1: found the end of the file, expected a comma"},
		{"[{\"name\":\"a\"}]\n x", 0, ":2: found \"x\", expected nothing after"},
		{"{\"name\":\"a\"}\n,{\"name\":\"b\"}", 0, ":2: found \",\", expected an account"},
		{"{\"name\":\"a\"}\n{\"name\":\n\n\"b\",}", 0, ":4: not good JSON: "},
		{"{\"name\":\"a\"}\n{\"name\":\"b\"", 0, ":2: not good JSON: "},
		{"{\"name\":\"a\",\n\"name\":\"b\"}", 0, ":2: not good JSON: \"duplicate object key"},
		{"{\"name\":\"a\"}\n\n{\"name\":\n\"b\",\"ports\":[0]}", 0, ":3: account b: ports[0]: found 0, expected a port"},
		{"{\"name\":\"\xff\"}", 0, ":1: not good JSON: "},
		{"{\"name\":\"\\u0000\"}", 0, ":1: not good JSON: "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *path = file_of(cases[i].text, strlen(cases[i].text));
		struct acctset s;
		struct err err = {0};
		int rc = acctset_from_file(&s, path, &err);

		if (cases[i].says) {
			if (rc != -EINVAL || strncmp(err.text, path, strlen(path)) != 0 ||
			    strncmp(err.text + strlen(path), cases[i].says, strlen(cases[i].says)) != 0)
				fail_msg("case %zu gave %d %s", i, rc, err.text);
		} else if (rc != 0 || s.n != cases[i].n) {
			fail_msg("case %zu gave %d %s, %zu accounts", i, rc, err.text, s.n);
		}
		assert_true(rc == 0 || s.n == 0);
		acctset_done(&s);
		unlink(path);
	}
}

/* Every beginning of a good file is refused or is itself good, and never crashes. */
static void cut_files(void **state)
{
	(void)state;
	static const char text[] =
		"[{\"name\":\"a\",\"domains\":[\"a.example\",\"*.a.example\"],\"ports\":[80]},\n{\"name\":\"b\",\"logins\":[\"b\"]}]";

	for (size_t len = 0; len < sizeof text - 1; len++) {
		const char *path = file_of(text, len);
		struct acctset s;

		assert_int_equal(acctset_from_file(&s, path, NULL), -EINVAL);
		unlink(path);
	}
}

static void no_file(void **state)
{
	(void)state;
	struct acctset s;
	struct err err = {0};

	assert_int_equal(acctset_from_file(&s, "/nonexistent/accounts", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/accounts"));
	assert_int_equal(acctset_from_file(&s, "/", &err), -EISDIR);
}

/* The key and messages of the SipHash paper, with one round and three: the values of Rust's core library. */
static void hash_vectors(void **state)
{
	(void)state;
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const struct {
		size_t len;
		uint64_t hash;
	} cases[] = {{0, 0xabac0158050fc4dc}, {1, 0xc9f49bf37d57ca93}};
	unsigned char message[8];

	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (unsigned char)i;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(siphash13(key, message, cases[i].len), cases[i].hash);
}

static void index_of_many(void **state)
{
	(void)state;
	enum { N = 5000 };
	static char keys[N][8];
	struct index x;
	uint32_t value;
	const char *stored;

	assert_int_equal(index_init(&x, 0), 0);
	assert_false(index_get(&x, "a", 1, &value, NULL));
	assert_int_equal(index_init(&x, N), 0);
	for (unsigned i = 0; i < N; i++) {
		snprintf(keys[i], sizeof keys[i], "k%u", i);
		assert_int_equal(index_put(&x, keys[i], strlen(keys[i]), i, NULL), 0);
	}
	for (unsigned i = 0; i < N; i++) {
		char other[8];

		memcpy(other, keys[i], sizeof other);
		assert_true(index_get(&x, other, strlen(other), &value, &stored));
		assert_int_equal(value, i);
		assert_ptr_equal(stored, keys[i]);
		assert_int_equal(index_put(&x, other, strlen(other), 7, &value), -EEXIST);
		assert_int_equal(value, i);
		other[0] = 'q';
		assert_false(index_get(&x, other, strlen(other), &value, NULL));
	}
	index_done(&x);
}

static void digests(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"name\":\"a\",\"domains\":[\"x.example\"]}",
		"{\"name\":\"b\",\"domains\":[\"x.example\"]}",
		"{\"name\":\"a\",\"domains\":[\"*.x.example\"]}",
		"{\"name\":\"a\",\"domains\":[\"x.example\",\"y.example\"]}",
		"{\"name\":\"a\",\"logins\":[\"x.example\"]}",
		"{\"name\":\"a\",\"domains\":[\"x.example\"],\"addresses\":[\"192.0.2.1\"]}",
		"{\"name\":\"a\",\"domains\":[\"x.example\"],\"addresses\":[\"2001:db8::1\"]}",
		"{\"name\":\"a\",\"domains\":[\"x.example\"],\"ports\":[80]}",
		"{\"name\":\"a\",\"domains\":[\"x.example\"],\"ports\":[80,81]}",
		"{\"name\":\"a\",\"domains\":[\"x.example\"],\"ports\":[81]}",
		"{\"name\":\"a\",\"domains\":[\"X.example.\"],\"databases_gb\":3,\"side\":\"transit\",\"gate\":\"held\"}", /* as the first
															    */
	};
	enum { N = sizeof texts / sizeof *texts };
	char digest[N][DIGEST_TEXT_MAX];

	for (size_t i = 0; i < N; i++) {
		struct acctdef d;
		struct err err;
		json_t *o = json_loads(texts[i], 0, NULL);

		assert_int_equal(acctdef_from_json(&d, o, &err), 0);
		assert_int_equal(strlen(acctdef_digest(&d, digest[i])), 16);
		json_decref(o);
		acctdef_done(&d);
	}
	for (size_t i = 0; i < N; i++)
		for (size_t k = 0; k < i; k++)
			assert_int_equal(strcmp(digest[i], digest[k]) == 0, i == N - 1 && k == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains),
		cmocka_unit_test(names),
		cmocka_unit_test(sides_and_gates),
		cmocka_unit_test(from_json),
		cmocka_unit_test(nul_in_texts),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(repeats_are_kept_once),
		cmocka_unit_test(clashes),
		cmocka_unit_test(files),
		cmocka_unit_test(cut_files),
		cmocka_unit_test(no_file),
		cmocka_unit_test(digests),
		cmocka_unit_test(hash_vectors),
		cmocka_unit_test(index_of_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
