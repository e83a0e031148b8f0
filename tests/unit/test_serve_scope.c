/* What an owner is shown of answers that speak of others, too. */
#include "control/serve/scope.h"
#include "control/serve/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	char dir[40], state[64], tokens[64];
	struct who who;
	struct journal *db;
	struct store store;
	struct scope scope;
};

static void add(struct world *w, const char *name)
{
	struct acctdef d = {.name = strdup(name), .domains = malloc(sizeof(char *)), .n_domains = 1};
	assert_true(asprintf(&d.domains[0], "*.%s.example", name) > 0);
	assert_int_equal(journal_account_put(w->db, &d, NULL), 0);
	acctdef_done(&d);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[TOKEN_TEXT_MAX];
	struct token panel = {.name = "panel", .kind = TOKEN_OPERATOR},
		     own = {.name = "alice-web", .kind = TOKEN_ACCOUNT, .account = "alice"};
	strcpy(w->dir, "/tmp/test_scope.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->state, sizeof(w->state), "%s/shunt.db", w->dir);
	snprintf(w->tokens, sizeof(w->tokens), "%s/serve.db", w->dir);
	who_am_i(&w->who);
	assert_int_equal(journal_open(&w->db, w->state, 0, &w->who, NULL), 0);
	assert_int_equal(store_open(&w->store, w->tokens, NULL), 0);
	add(w, "alice");
	add(w, "bob");
	add(w, "www");
	add(w, "transit"); /* whoever calls his account that */
	assert_int_equal(token_create(&w->store, &panel, "root", text, NULL), 0);
	assert_int_equal(token_create(&w->store, &own, "root", text, NULL), 0);
	scope_open(&w->scope, "alice", w->db, &w->store);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[100];
	scope_close(&w->scope);
	journal_close(w->db);
	store_close(&w->store);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	int rc = system(command);
	free(w);
	return rc;
}

static void test_tells(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *text;
		bool tells;
	} cases[] = {
		{"", false},
		{"alice is on transit2 already", false},
		{"bob", true},
		{"alice and bob both claim x.example", true},
		{"rollback ends for alice, bob.", true},
		{"mail@bob.example", true},
		{"bob.example:80", true},
		{"bobby is not bob2", false},
		{"\"bob\"", true},
		{"(token: panel)", true},
		{"by alice-web", false},
		{"caf\xc3\xa9 bob", true},
		{"www.alice.example, bob@alice.example", false},
		{"www.malice.example", true},
		{"transit answers", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (scope_tells(&w->scope, cases[i].text) != cases[i].tells)
			fail_msg("\"%s\"", cases[i].text);
	}
	w->scope.state = NULL; /* nobody can say: every word may be one */
	assert_true(scope_tells(&w->scope, "whatever"));
	assert_false(scope_tells(&w->scope, "alice"));
}

static void test_answers(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *keeps, *answer, *shown;
	} cases[] = {
		{"moves",
		 "{\"moves\":[{\"account\":\"alice\",\"side\":\"transit\",\"move\":7,\"exit\":0}],\"warnings\":[\"rollback ends for bob\"],"
		 "\"resumed\":[{\"account\":\"bob\"}],\"ok\":true,\"exit\":0}",
		 "{\"moves\":[{\"account\":\"alice\",\"side\":\"transit\",\"exit\":0}],\"ok\":true,\"exit\":0}"},
		{"moves", "{\"moves\":[{\"account\":\"bob\"},{\"account\":\"alice\"}]}", "{\"moves\":[{\"account\":\"alice\"}]}"},
		{"moves", "{\"moved\":1,\"move\":2}", "{}"},
		{"moves", "{\"error\":\"the proxy knows bob\",\"ok\":false}",
		 "{\"error\":\"refused for a reason that lies with the server; its operator can tell\",\"ok\":false}"},
		{"moves", "{\"error\":\"alice is being moved by root (token: panel) (pid 7 on h)\"}",
		 "{\"error\":\"alice is being moved by the operator (pid 7 on h)\"}"},
		{"moves", "{\"error\":\"alice is there already\"}", "{\"error\":\"alice is there already\"}"},
		{"log",
		 "{\"log\":[{\"id\":9,\"hash\":\"x\",\"who\":\"root (token: alice-web) pid 1 on h\",\"what\":\"migrate begins: client -> "
		 "transit\",\"evidence\":{\"names\":[\"www.alice.example\",\"bob.example\"],\"n\":1}},{\"who\":\"root pid 2 on h\"},"
		 "{\"who\":\"root (token: panel) pid 2 on h\"}]}",
		 "{\"log\":[{\"who\":\"alice-web\",\"what\":\"migrate begins: client -> "
		 "transit\",\"evidence\":{\"names\":[\"www.alice.example\"],"
		 "\"n\":1}},{\"who\":\"the operator\"},{\"who\":\"the operator\"}]}"},
		{"account", "{\"account\":{\"name\":\"bob\",\"side\":\"client\"}}", "{}"},
		{"prices", "{\"prices\":{\"bob\":{\"nil\":true},\"alice\":{\"nil\":false,\"consent\":{\"by\":\"--yes\"}}}}",
		 "{\"prices\":{\"alice\":{\"nil\":false,\"consent\":{\"by\":\"--yes\"}}}}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *answer = json_loads(cases[i].answer, 0, NULL), *wanted = json_loads(cases[i].shown, 0, NULL);
		assert_non_null(answer);
		json_t *shown = scope_answer(&w->scope, cases[i].keeps, answer);
		if (!json_equal(shown, wanted))
			fail_msg("%s: found %s", cases[i].answer, json_dumps(shown, JSON_COMPACT));
		json_decref(answer);
		json_decref(wanted);
		json_decref(shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
