/* From path and fields to a command line: what is found, what is taken, and what is refused with which words. Every route of the table is
 * tried with each of its fields, and what comes out must be a command line that shunt understands. */
#include "control/cmd.h"
#include "control/serve/call.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_routes(void **state)
{
	(void)state;
	static const struct {
		enum evhttp_cmd_type method;
		const char *path, *route, *arg;
		unsigned allow;
	} cases[] = {
		{EVHTTP_REQ_GET, "/v1/status", "/v1/status", "", EVHTTP_REQ_GET},
		{EVHTTP_REQ_GET, "/v1/accounts/alice", "/v1/accounts/{account}", "alice",
		 EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE},
		{EVHTTP_REQ_PUT, "/v1/accounts/a.b", "/v1/accounts/{account}", "a.b", EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE},
		{EVHTTP_REQ_POST, "/v1/accounts/import", "/v1/accounts/import", "",
		 EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_POST},
		{EVHTTP_REQ_GET, "/v1/accounts/import", "/v1/accounts/{account}", "import",
		 EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_POST},
		{EVHTTP_REQ_GET, "/v1/accounts/%61lice/status", "/v1/accounts/{account}/status", "alice", EVHTTP_REQ_GET},
		{EVHTTP_REQ_POST, "/v1/status", NULL, "", EVHTTP_REQ_GET},
		{EVHTTP_REQ_GET, "/v1/accounts//status", NULL, "", 0},
		{EVHTTP_REQ_GET, "/v1/accounts/a%2fb/status", NULL, "", 0},
		{EVHTTP_REQ_GET, "/v1/accounts/a%00/status", NULL, "", 0},
		{EVHTTP_REQ_GET, "/v1/accounts/a%/status", NULL, "", 0},
		{EVHTTP_REQ_GET, "/v1/accounts/a/b/status", NULL, "", 0},
		{EVHTTP_REQ_GET, "/v1/status/", NULL, "", 0},
		{EVHTTP_REQ_GET, "/v1", NULL, "", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct match m = route_find(cases[i].method, cases[i].path);
		if ((m.route == NULL) != (cases[i].route == NULL) || (m.route && strcmp(m.route->path, cases[i].route) != 0) ||
		    strcmp(m.arg, cases[i].arg) != 0 || m.allow != cases[i].allow)
			fail_msg("%s: found %s %s %x", cases[i].path, m.route ? m.route->path : "nothing", m.arg, m.allow);
	}
	char path[200] = "/v1/accounts/";
	memset(path + 13, 'a', 65);
	assert_null(route_find(EVHTTP_REQ_GET, path).route);
	path[13 + 64] = '\0';
	assert_non_null(route_find(EVHTTP_REQ_GET, path).route);
}

static const struct route *route_of(const char *path, enum evhttp_cmd_type method)
{
	struct match m = route_find(method, path);
	assert_non_null(m.route);
	return m.route;
}

static int build(struct call *c, const char *path, const char *fields, bool owner, struct err *err)
{
	json_t *o = json_loads(fields, 0, NULL);
	assert_non_null(o);
	int rc = call_build(c, route_of(path, EVHTTP_REQ_POST), "alice", o, owner, err);
	json_decref(o);
	return rc;
}

static void test_fields(void **state)
{
	(void)state;
	static const struct {
		const char *path, *fields, *argv; /* argv NULL: refused */
		bool owner;
		int rc;
	} cases[] = {
		{"/v1/accounts/alice/migrate", "{}", "-- alice", true, 0},
		{"/v1/accounts/alice/migrate", "{\"drain\":5,\"max_wait\":0,\"dry_run\":true}", "--dry-run --drain=5 --max-wait=0 -- alice",
		 true, 0},
		{"/v1/accounts/alice/migrate", "{\"force\":true,\"yes\":true}", "--force -- alice", false, 0},
		{"/v1/accounts/alice/migrate", "{\"force\":true}", NULL, true, -EACCES},
		{"/v1/accounts/alice/migrate", "{\"no_dns\":true}", NULL, true, -EACCES},
		{"/v1/accounts/alice/migrate", "{\"force\":false}", "-- alice", true, 0},
		{"/v1/accounts/alice/migrate", "{\"accounts\":[\"bob\"]}", NULL, false, -EINVAL},
		{"/v1/accounts/alice/migrate", "{\"drain\":86401}", NULL, false, -EINVAL},
		{"/v1/accounts/alice/migrate", "{\"drain\":1.5}", NULL, false, -EINVAL},
		{"/v1/accounts/alice/migrate", "{\"drain\":null}", NULL, false, -EINVAL},
		{"/v1/migrate", "{\"accounts\":[\"a\",\"b\"],\"all\":false}", "-- a b", false, 0},
		{"/v1/migrate", "{\"all\":true}", "--all --", false, 0},
		{"/v1/migrate", "{\"accounts\":[\"--all\"]}", NULL, false, -EINVAL},
		{"/v1/migrate", "{\"accounts\":[\"a b\"]}", NULL, false, -EINVAL},
		{"/v1/tokens", "{\"name\":\"--operator\",\"account\":\"alice\"}", "--account=alice -- --operator", false, 0},
		{"/v1/tokens", "{\"account\":\"alice\"}", NULL, false, -EINVAL},
		{"/v1/tokens", "{\"name\":\"a\\nb\"}", NULL, false, -EINVAL},
		{"/v1/tokens", "{\"name\":\"\"}", NULL, false, -EINVAL},
		{"/v1/accounts/import", "{\"accounts\":[{\"name\":\"a\"}]}", "-- @accounts", false, 0},
		{"/v1/accounts/import", "{}", NULL, false, -EINVAL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct call c;
		struct err err = {0};
		char all[400] = "";
		int rc = build(&c, cases[i].path, cases[i].fields, cases[i].owner, &err);
		for (size_t k = 0; k < c.n; k++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", k ? " " : "", c.argv[k]);
		if (rc != cases[i].rc || (rc == 0 && strcmp(all, cases[i].argv) != 0))
			fail_msg("%s: found %d \"%s\" (%s)", cases[i].fields, rc, all, err.text);
		call_done(&c);
	}
}

static json_t *sample(const struct field *f)
{
	switch (f->kind) {
	case FIELD_FLAG:
	case FIELD_YES:
		return json_true();
	case FIELD_SECONDS:
	case FIELD_DAYS:
	case FIELD_NUMBER:
		return json_integer(7);
	case FIELD_TEXT:
	case FIELD_WORD:
		return json_string("x");
	case FIELD_TEXTS:
	case FIELD_NAMES:
		return json_pack("[s, s]", "x", "y");
	case FIELD_PORTS:
		return json_pack("[i, i]", 80, 443);
	case FIELD_ACCOUNTS:
		return json_array();
	}
	return NULL;
}

/* What a route and one of its fields become, must be understood: names of commands and options are those of the command line. */
static void try(const struct route *r, const struct field *only)
{
	json_t *fields = json_object();
	struct call c;
	struct err err = {0};
	char *argv[40], words[64], *rest = NULL, **found;
	const struct command *cmd;
	struct options opt;
	int n = 0, n_found;
	for (const struct field *f = r->fields; f->name; f++) {
		if (f == only || f->required)
			json_object_set_new(fields, f->name, sample(f));
	}
	if (call_build(&c, r, "alice", fields, false, &err) < 0)
		fail_msg("%s %s: %s", r->path, only ? only->name : "", err.text);
	argv[n++] = strdup("shunt");
	snprintf(words, sizeof(words), "%s", r->command);
	for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		argv[n++] = strdup(w);
	for (size_t i = 0; i < c.n; i++)
		argv[n++] = strdup(c.argv[i]);
	argv[n] = NULL;
	int rc = cmd_parse(n, argv, &opt, &cmd, &found, &n_found, &err);
	bool incomplete = strstr(err.text, "something is missing") || strstr(err.text, "neither a name nor --all");
	if (rc < 0 && !incomplete)
		fail_msg("%s %s: %s", r->path, only ? only->name : "", err.text);
	options_done(&opt);
	for (int i = 0; i < n; i++)
		free(argv[i]);
	call_done(&c);
	json_decref(fields);
}

static void test_every_route_is_a_command(void **state)
{
	(void)state;
	for (const struct route *r = routes; r->path; r++) {
		if (!r->command)
			continue;
		assert_false(r->account_word && !strstr(r->path, "{account}"));
		if ((r->roles & ROLE_FOR_OWNER) && !r->owner_keeps)
			fail_msg("%s is for owners, and nothing says what they are shown of it", r->path);
		try(r, NULL);
		for (const struct field *f = r->fields; f->name; f++)
			try(r, f);
	}
}

static void test_query(void **state)
{
	(void)state;
	static const struct {
		const char *path, *query, *object; /* object NULL: refused */
	} cases[] = {
		{"/v1/check", NULL, "{}"},
		{"/v1/check", "account=a&account=b&stragglers=true", "{\"account\":[\"a\",\"b\"],\"stragglers\":true}"},
		{"/v1/check", "expires_days=30", "{\"expires_days\":30}"},
		{"/v1/accounts/alice/check", "expires_days=30&last=true", "{\"expires_days\":30,\"last\":true}"},
		{"/v1/log", "since=2h", "{\"since\":\"2h\"}"},
		{"/v1/log", "since=2h&since=3h", NULL},
		{"/v1/log", "before=2h", NULL},
		{"/v1/log", "since=%ff", NULL},
		{"/v1/accounts/alice/report", "move=3", "{\"move\":3}"},
		{"/v1/accounts/alice/report", "move=3x", "{\"move\":\"3x\"}"},
		{"/v1/route", "host=a%2Eexample%3A80", "{\"host\":\"a.example:80\"}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct err err = {0};
		json_t *found = call_query(route_of(cases[i].path, EVHTTP_REQ_GET), cases[i].query, &err);
		json_t *wanted = cases[i].object ? json_loads(cases[i].object, 0, NULL) : NULL;
		if ((found == NULL) != (wanted == NULL) || (found && !json_equal(found, wanted)))
			fail_msg("%s: %s", cases[i].query, found ? json_dumps(found, 0) : err.text);
		json_decref(found);
		json_decref(wanted);
	}
}

static void test_consent(void **state)
{
	(void)state;
	static const struct {
		const char *path, *fields;
		bool wants;
	} cases[] = {
		{"/v1/migrate", "{\"accounts\":[\"a\"]}", false},
		{"/v1/migrate", "{\"all\":true}", true},
		{"/v1/migrate", "{\"all\":true,\"yes\":true}", false},
		{"/v1/migrate", "{\"all\":true,\"dry_run\":true}", false},
		{"/v1/migrate", "{\"accounts\":[\"a\"],\"force\":true}", true},
		{"/v1/reinstall", "{}", true},
		{"/v1/reinstall", "{\"yes\":true}", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct call c;
		struct err err = {0};
		assert_int_equal(build(&c, cases[i].path, cases[i].fields, false, &err), 0);
		if (call_wants_consent(&c, route_of(cases[i].path, EVHTTP_REQ_POST)) != cases[i].wants)
			fail_msg("%s %s", cases[i].path, cases[i].fields);
		call_done(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes), cmocka_unit_test(test_fields),  cmocka_unit_test(test_every_route_is_a_command),
		cmocka_unit_test(test_query),  cmocka_unit_test(test_consent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
