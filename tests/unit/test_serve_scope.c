/* What an owner is shown of answers that speak of others, too. */
#include "control/serve/scope.h"
#include "control/serve/token.h"
#include "tests/unit/accounts.h"
#include "tests/unit/place.h"

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
	struct conf conf;
	struct conf_pair pair;
};

static void add(struct world *w, const char *name)
{
	char json[200];
	snprintf(json, sizeof(json), "{\"name\":\"%s\",\"domains\":[\"*.%s.example\"]}", name, name);
	accounts_put(w->db, json_loads(json, 0, NULL));
}

static void open_scope(struct world *w)
{
	scope_open(&w->scope, "alice", state_account(w->db, "alice"), w->db, &w->store, &w->conf);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[TOKEN_TEXT_MAX];
	struct token old = {.name = "old-panel", .kind = TOKEN_OPERATOR};
	struct token panel = {.name = "panel", .kind = TOKEN_OPERATOR},
		     own = {.name = "alice-web", .kind = TOKEN_ACCOUNT, .account = "alice"};
	place_make(w->dir, "test_scope");
	snprintf(w->state, sizeof(w->state), "%s/shunt.db", w->dir);
	snprintf(w->tokens, sizeof(w->tokens), "%s/serve.db", w->dir);
	who_am_i(&w->who);
	assert_int_equal(journal_open(&w->db, w->state, 0, &w->who, NULL), 0);
	assert_int_equal(store_open(&w->store, w->tokens, NULL), 0);
	add(w, "alice");
	add(w, "bob");
	add(w, "www");
	add(w, "transit"); /* whoever calls his account that */
	accounts_put(
		w->db,
		json_loads(
			"{\"name\":\"carol\",\"domains\":[\"petals.example\",\"*.petals.example\",\"shop.alice.example\"],"
			"\"addresses\":[\"192.0.2.77\",\"2001:db8::77\"],\"logins\":[\"petalftp\",\"a+b=c@x.example\",\"*@mail.example\"],"
			"\"ports\":[8377]}",
			0, NULL));
	add(w, "walter");
	assert_int_equal(journal_note(w->db, "walter", 0, "account removed", NULL, NULL), 0);
	assert_int_equal(journal_account_remove(w->db, "walter", NULL), 0);
	own.account_id = state_account(w->db, "alice");
	assert_int_equal(token_create(&w->store, &panel, "root", text, NULL), 0);
	assert_int_equal(token_create(&w->store, &own, "root", text, NULL), 0);
	assert_int_equal(token_create(&w->store, &old, "root", text, NULL), 0);
	assert_int_equal(token_revoke(&w->store, "old-panel", NULL), 0);
	w->pair.transit.text = "198.51.100.77";
	addr_parse(&w->pair.client.addr, "192.0.2.77");
	addr_parse(&w->pair.transit.addr, w->pair.transit.text);
	w->conf.pairs = &w->pair;
	w->conf.n_pairs = 1;
	open_scope(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	scope_close(&w->scope);
	journal_close(w->db);
	store_close(&w->store);
	place_remove(w->dir);
	free(w);
	return 0;
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
		/* by what else an account is known */
		{"petals.example", true},
		{"https://www.Petals.example/x", true},
		{"mx.petals.example.", true},
		{"notpetals.example", false},
		{"shop.alice.example", true}, /* hers, but for this name */
		{"a.shop.alice.example", true},
		{"myshop.alice.example", false},
		{"192.0.2.77", true},
		{"to 192.0.2.77:443.", true},
		{"192.0.2.7", false},
		{"198.51.100.77:80", true}, /* its partner */
		{"198.51.100.7", false},
		{"[2001:db8:0:0::77]:80", true},
		{"2001:db8::78", false},
		{"petalftp", true},
		{"login=petalftp", true},
		{"user 'a+b=c@x.example' logs in", true},
		{"x@mail.example", true},
		{"port 8377", true},
		{"198.51.100.10:8377", true},
		{"8377 bytes", false},
		{"ftp-bob.provider.example", true},
		{"bob-shop", true},
		{"walter", true}, /* that there was one is nobody's business, either */
		{"(token: old-panel)", true},
		{"\"CAROL\"", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (scope_tells(&w->scope, cases[i].text) != cases[i].tells)
			fail_msg("\"%s\"", cases[i].text);
	}
	w->scope.names.state = NULL; /* nobody can say: every word may be one */
	assert_true(scope_tells(&w->scope, "whatever"));
	assert_true(scope_tells(&w->scope, "what.ever"));
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
		 "{\"error\":\"alice is being moved by the operator\"}"},
		{"moves", "{\"error\":\"migrate by anna (pid 7 on h) since now is gone\"}",
		 "{\"error\":\"migrate by the operator since now is gone\"}"},
		{"moves", "{\"error\":\"moved by root (token: alice-web) (pid 7 on h) since now\"}",
		 "{\"error\":\"moved by alice-web since now\"}"},
		{"moves", "{\"error\":\"by root (sudo: anna): pid 7 died\"}", "{\"error\":\"by the operator: died\"}"},
		{"moves", "{\"error\":\"by root (token: old-panel)\"}", "{\"error\":\"by the operator\"}"},
		{"prices",
		 "{\"prices\":{\"alice\":{\"hook-copy\":\"/etc/shunt/copy\",\"text\":\"what hook-copy (/etc/shunt/copy) copies, and "
		 "tls://192.0.2.1:7443 or "
		 "unix:/run/x/y.sock; https://alice.example/a/b stays, 1/2/3 too\"}}}",
		 "{\"prices\":{\"alice\":{\"text\":\"what hook-copy (a file of the server) copies, and a part of the server or a file of "
		 "the server; "
		 "https://alice.example/a/b stays, 1/2/3 too\"}}}"},
		{"accounts findings",
		 "{\"accounts\":[{\"account\":\"alice\",\"findings\":["
		 "{\"kind\":\"twin-redirect\",\"grade\":\"warn\",\"found\":\"client redirects to "
		 "/a/b\",\"name\":\"alice.example\",\"do\":\"\"},"
		 "{\"kind\":\"shared-certificate\",\"grade\":\"warn\",\"found\":\"covers names of "
		 "mail\",\"name\":\"https://alice.example\"},"
		 "{\"kind\":\"x\",\"grade\":\"warn\",\"found\":\"see petals.example\",\"name\":\"alice.example\"},"
		 "{\"kind\":\"x\",\"grade\":\"stop\",\"found\":\"it is wrong\",\"name\":\"alice.example\",\"do\":\"ask bob\"}],"
		 "\"seen\":{\"petals.example\":1,\"www.alice.example\":2}}],\"findings\":{\"stopped\":1,\"stop\":1,\"warn\":3,\"inform\":0}"
		 "}",
		 "{\"accounts\":[{\"account\":\"alice\",\"findings\":["
		 "{\"kind\":\"twin-redirect\",\"grade\":\"warn\",\"found\":\"client redirects to "
		 "/a/b\",\"name\":\"alice.example\",\"do\":\"\"},"
		 "{\"kind\":\"server\",\"grade\":\"stop\",\"found\":\"something that lies with the server; its operator can tell\","
		 "\"name\":\"alice\",\"do\":\"\"}],"
		 "\"seen\":{\"www.alice.example\":2}}],\"findings\":{\"stopped\":1,\"stop\":1,\"warn\":1,\"inform\":0}}"},
		{"log",
		 "{\"log\":[{\"x\":{\"list\":[{\"account\":\"bob\",\"n\":1},{\"account\":\"alice\",\"n\":2}],\"prices\":{\"bob\":1,"
		 "\"alice\":2}}}]}",
		 "{\"log\":[{\"x\":{\"list\":[{\"account\":\"alice\",\"n\":2}],\"prices\":{\"alice\":2}}}]}"},
		{"moves", "{\"error\":\"alice is there already\"}", "{\"error\":\"alice is there already\"}"},
		{"log",
		 "{\"log\":[{\"id\":9,\"hash\":\"x\",\"who\":\"root (token: alice-web) pid 1 on h\",\"what\":\"migrate begins: client -> "
		 "transit\",\"evidence\":{\"domains\":[\"www.alice.example\",\"bob.example\"],\"cut\":1,\"hook\":\"/x/"
		 "y\",\"probe\":{\"n\":1}}},{\"who\":\"root pid 2 on h\"},"
		 "{\"who\":\"root (token: panel) pid 2 on h\"}]}",
		 "{\"log\":[{\"who\":\"alice-web\",\"what\":\"migrate begins: client -> "
		 "transit\",\"evidence\":{\"domains\":[\"www.alice.example\"],"
		 "\"cut\":1}},{\"who\":\"the operator\"},{\"who\":\"the operator\"}]}"},
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

/* What was done with an account that was called the same before. */
static void test_before(void **state)
{
	struct world *w = *state;
	json_t *log = NULL, *answer;
	scope_close(&w->scope);
	assert_int_equal(journal_note(w->db, "alice", 0, "migrate begins: client -> transit", NULL, NULL), 0);
	assert_int_equal(journal_note(w->db, "alice", 0, "account removed by import", NULL, NULL), 0);
	assert_int_equal(journal_account_remove(w->db, "alice", NULL), 0);
	add(w, "alice");
	assert_int_equal(journal_note(w->db, "alice", 0, "account added", NULL, NULL), 0);
	assert_int_equal(journal_log(w->db, "alice", 0, &log, NULL), 0);
	assert_int_equal(json_array_size(log), 3);
	json_int_t last = json_integer_value(json_object_get(json_array_get(log, 2), "id"));
	answer = json_pack("{s:o, s:[{s:s, s:{s:I}}, {s:s, s:{s:I}}]}", "log", log, "reports", "account", "alice", "trail", "first",
			   last - 2, "account", "alice", "trail", "first", last);
	open_scope(w);
	json_t *shown = scope_answer(&w->scope, "log reports", answer);
	assert_int_equal(json_array_size(json_object_get(shown, "log")), 1);
	assert_int_equal(json_array_size(json_object_get(shown, "reports")), 1);
	json_decref(shown);
	json_decref(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_before, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
