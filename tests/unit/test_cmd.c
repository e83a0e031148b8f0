/* The command line: what is understood, wherever options stand, and what is refused with which words. */
#include "control/cmd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct line {
	char *argv[24], *text;
	int argc;
};

/* "shunt account add x" cut at spaces; "''" is an empty word. */
static void cut(struct line *l, const char *text)
{
	l->text = strdup(text);
	l->argc = 0;
	for (char *p = strtok(l->text, " "); p; p = strtok(NULL, " "))
		l->argv[l->argc++] = strcmp(p, "''") == 0 ? p + 2 : p;
	l->argv[l->argc] = NULL;
}

static void test_understood(void **state)
{
	(void)state;
	static const struct {
		const char *text, *command;
		int words;
		const char *first;
	} cases[] = {
		{"shunt status", "status", 0, NULL},
		{"shunt status alice", "status", 1, "alice"},
		{"shunt check", "check", 0, NULL},
		{"shunt check alice bob", "check", 2, "alice"},
		{"shunt --json status alice", "status", 1, "alice"},
		{"shunt status alice --json", "status", 1, "alice"},
		{"shunt -c f status --json alice", "status", 1, "alice"},
		{"shunt -cf -y migrate a b c", "migrate", 3, "a"},
		{"shunt migrate --all", "migrate", 0, NULL},
		{"shunt --drain 5 migrate alice --max-wait=9 --no-dns -n", "migrate", 1, "alice"},
		{"shunt account add alice --domain a.example --domain b.example,c.example -p 80", "account add", 1, "alice"},
		{"shunt account --domain a.example add alice", "account add", 1, "alice"},
		{"shunt account import /tmp/file", "account import", 1, "/tmp/file"},
		{"shunt rollback alice --force", "rollback", 1, "alice"},
		{"shunt route host:80 --to 192.0.2.1 --login l", "route", 1, "host:80"},
		{"shunt resume", "resume", 0, NULL},
		{"shunt reinstall --confirm 60 --without-client -y", "reinstall", 0, NULL},
		{"shunt return --confirm=60", "return", 0, NULL},
		{"shunt log --since 2h", "log", 0, NULL},
		{"shunt log --verify", "log", 0, NULL},
		{"shunt report alice 3", "report", 2, "alice"},
		{"shunt help account add", "help", 2, "account"},
		{"shunt status -- --odd", "status", 1, "--odd"},
		{"shunt migrate --help", "migrate", 0, NULL},
		{"shunt check --stragglers", "check", 0, NULL},
		{"shunt check alice --stragglers bob", "check", 2, "alice"},
		{"shunt check --last alice --expires-days 30", "check", 1, "alice"},
		{"shunt pki init", "pki init", 0, NULL},
		{"shunt pki init /tmp/ca", "pki init", 1, "/tmp/ca"},
		{"shunt pki issue web42 --address 192.0.2.10,2001:db8::1 -a alias /tmp/ca --days 30", "pki issue", 2, "web42"},
		{"shunt pki renew a b --dir /tmp/ca", "pki renew", 2, "a"},
		{"shunt help pki", "help", 1, "pki"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct options opt;
		const struct command *c;
		struct err err = {0};
		struct line l;
		char **words;
		int n = 0;
		cut(&l, cases[i].text);
		if (cmd_parse(l.argc, l.argv, &opt, &c, &words, &n, &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(c->name, cases[i].command);
		assert_int_equal(n, cases[i].words);
		if (n)
			assert_string_equal(words[0], cases[i].first);
		options_done(&opt);
		free(l.text);
	}
}

static void test_values(void **state)
{
	(void)state;
	struct options opt;
	const struct command *c;
	struct err err = {0};
	struct line l;
	char **words;
	int n;
	cut(&l, "shunt --drain 5 migrate alice --max-wait=9 --no-dns --dry-run -c x --json -y");
	assert_int_equal(cmd_parse(l.argc, l.argv, &opt, &c, &words, &n, &err), 0);
	assert_int_equal(opt.drain, 5);
	assert_int_equal(opt.max_wait, 9);
	assert_true(opt.no_dns && opt.dry_run && opt.json && opt.yes && !opt.all && !opt.force);
	assert_string_equal(opt.file, "x");
	options_done(&opt);
	free(l.text);
	cut(&l, "shunt account add a --domain d1,d2 -d d3 --port 1 --port 2 --login x --address 192.0.2.1");
	assert_int_equal(cmd_parse(l.argc, l.argv, &opt, &c, &words, &n, &err), 0);
	assert_int_equal(opt.domains.n, 3);
	assert_string_equal(opt.domains.w[1], "d2");
	assert_string_equal(opt.domains.w[2], "d3");
	assert_int_equal(opt.ports.n, 2);
	assert_int_equal(opt.drain, -1);
	options_done(&opt);
	free(l.text);
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"shunt", "which command?"},
		{"shunt pki renw", "did you mean \"pki renew\"?"},
		{"shunt pki issue", "something is missing"},
		{"shunt pki issue a --days 0", "expected days from 1 to 3650"},
		{"shunt pki issue a --days x", "expected days from 1 to 3650"},
		{"shunt pki list --address 192.0.2.1", "pki list does not take --address"},
		{"shunt status --stragglers", "status does not take --stragglers"},
		{"shunt migrat alice", "did you mean \"migrate\"?"},
		{"shunt acount list", "did you mean \"account list\"?"},
		{"shunt account lst", "did you mean \"account list\"?"},
		{"shunt account", "there is no command \"account"},
		{"shunt frobnicate", "shunt help lists them"},
		{"shunt migrate alice --dran 3", "did you mean --drain?"},
		{"shunt migrate alice --frobnicate", "there is no option --frobnicate"},
		{"shunt -Z status", "there is no option -Z"},
		{"shunt migrate", "neither a name nor --all"},
		{"shunt migrate alice --all", "both names and --all"},
		{"shunt rollback", "something is missing"},
		{"shunt rollback alice --all", "rollback does not take --all"},
		{"shunt status alice bob", "\"bob\" is one word too many"},
		{"shunt status --drain 3", "status does not take --drain"},
		{"shunt return --without-client", "return does not take --without-client"},
		{"shunt reinstall alice", "\"alice\" is one word too many"},
		{"shunt migrate alice --drain x", "found \"x\", expected seconds"},
		{"shunt migrate alice --drain -1", "expected seconds from 0"},
		{"shunt migrate alice --drain 99999999999", "expected seconds from 0"},
		{"shunt migrate alice --drain", "--drain expects a value"},
		{"shunt status -c", "-c expects a value"},
		{"shunt status --json=1", "--json takes no value"},
		{"shunt migrate ''", "empty word"},
		{"shunt account add a --domain x,,y", "--domain: found nothing"},
		{"shunt account add a b --domain x", "--domain again for each"},
		{"shunt log --since 1h --since 2h", "--since is given twice"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct options opt;
		const struct command *c;
		struct err err = {0};
		struct line l;
		char **words;
		int n;
		cut(&l, cases[i].text);
		assert_int_equal(cmd_parse(l.argc, l.argv, &opt, &c, &words, &n, &err), -EINVAL);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].text, err.text, cases[i].says);
		options_done(&opt);
		free(l.text);
	}
}

static void test_since(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		long long since; /* -1: refused */
	} cases[] = {
		{"2h", 1000000 - 7200},
		{"3d", 1000000 - 259200},
		{"90m", 1000000 - 5400},
		{"1970-01-01T00:01:00Z", 60},
		{"1970-01-01T01:01:00+01:00", 60},
		{"1970-01-01T00:01:00.250Z", 60},
		{"1970-01-02", 86400},
		{"1970-01-02T01:00", 90000},
		{"1970-01-02 01:00Z", 90000},
		{"1970-01-02T01:00+01:00", 86400},
		{"2026-11-24T08:00:00Z", 1795507200},
		{"", -1},
		{"h", -1},
		{"-2h", -1},
		{"2x", -1},
		{"2h3", -1},
		{"yesterday", -1},
		{"2026-02-31", -1},
		{"1970-01-02T01", -1},
		{"2026-13-01T00:00:00Z", -1},
		{"2026-11-24T08:00:00Zx", -1},
		{"2026-11-24T08:00:00+1", -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		long long since = -1;
		int rc = parse_since(cases[i].text, 1000000, &since);
		if (cases[i].since < 0 ? rc != -EINVAL : rc != 0 || since != cases[i].since)
			fail_msg("%s: %d, %lld", cases[i].text, rc, since);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_understood),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_since),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
