/* Tokens, operations with their keys, and limits: what is on disk of them, and what is not. */
#include "control/serve/limit.h"
#include "control/serve/operation.h"
#include "control/serve/token.h"

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

static char dir[] = "/tmp/test_token.XXXXXX", path[64];

static int set_up(void **state)
{
	struct store *s = malloc(sizeof(*s));
	struct err err = {0};
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/serve.db", dir);
	if (store_open(s, path, &err) < 0)
		fail_msg("%s", err.text);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	char run[80];
	store_close(*state);
	free(*state);
	unlink(path);
	snprintf(run, sizeof(run), "%s.run", path);
	rmdir(run);
	return rmdir(dir);
}

static struct token make(struct store *s, const char *name, enum token_kind kind, const char *account, char text[TOKEN_TEXT_MAX])
{
	struct token t = {.kind = kind};
	struct err err = {0};
	snprintf(t.name, sizeof(t.name), "%s", name);
	snprintf(t.account, sizeof(t.account), "%s", account);
	if (token_create(s, &t, "root", text, &err) < 0)
		fail_msg("%s", err.text);
	return t;
}

static void test_found_and_revoked(void **state)
{
	char text[TOKEN_TEXT_MAX], other[TOKEN_TEXT_MAX];
	struct err err = {0};
	struct token t = make(*state, "panel", TOKEN_OPERATOR, "", text), found;
	make(*state, "alice-web", TOKEN_ACCOUNT, "alice", other);
	assert_int_equal(strlen(text), TOKEN_TEXT_MAX - 1);
	assert_int_equal(strncmp(text, TOKEN_PREFIX, 6), 0);
	assert_int_equal(token_find(*state, text, 1000, &found, &err), 0);
	assert_int_equal(found.id, t.id);
	assert_int_equal(found.kind, TOKEN_OPERATOR);
	assert_int_equal(token_find(*state, other, 1000, &found, &err), 0);
	assert_int_equal(found.kind, TOKEN_ACCOUNT);
	assert_string_equal(found.account, "alice");
	for (size_t i = 0; i < strlen(text); i++) {
		char wrong[TOKEN_TEXT_MAX];
		strcpy(wrong, text);
		wrong[i] ^= 1;
		assert_int_equal(token_find(*state, wrong, 1000, &found, &err), -ENOENT);
	}
	assert_int_equal(token_find(*state, "", 1000, &found, &err), -ENOENT);
	assert_int_equal(token_create(*state, &t, "root", other, &err), -EEXIST);
	assert_int_equal(token_revoke(*state, "panel", &err), 0);
	assert_int_equal(token_find(*state, text, 1000, &found, &err), -ENOENT);
	assert_false(token_is_good(*state, t.id, 1000));
	assert_int_equal(token_revoke(*state, "panel", &err), -ENOENT);
}

static void test_expires(void **state)
{
	char text[TOKEN_TEXT_MAX];
	struct token t = {.name = "brief", .kind = TOKEN_METRICS, .expires = 5000}, found;
	struct err err = {0};
	assert_int_equal(token_create(*state, &t, "root", text, &err), 0);
	assert_int_equal(token_find(*state, text, 4999, &found, &err), 0);
	assert_true(token_is_good(*state, t.id, 4999));
	assert_int_equal(token_find(*state, text, 5000, &found, &err), -ENOENT);
	assert_false(token_is_good(*state, t.id, 5000));
}

static void test_not_at_rest(void **state)
{
	char text[TOKEN_TEXT_MAX], *file = NULL;
	size_t cap = 0;
	make(*state, "panel", TOKEN_OPERATOR, "", text);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	size_t len = (size_t)ftell(f);
	rewind(f);
	file = malloc(len);
	assert_int_equal(fread(file, 1, len, f), len);
	assert_non_null(memmem(file, len, "panel", 5));
	assert_null(memmem(file, len, text + strlen(TOKEN_PREFIX), 32));
	fclose(f);
	free(file);
	(void)cap;
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "panel-2", "alice.web_1", "0"}, *const bad[] = {"",    "-a",  ".a",      "A",
												"a b", "a/b", "\xc3\xa9"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(token_name_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(token_name_ok(bad[i]));
	assert_false(token_name_ok("123456789012345678901234567890123"));
}

static struct operation operation(int64_t token, const char *key)
{
	struct operation o = {.token = token, .token_name = "panel", .account = "alice", .command = "migrate", .digest = "d"};
	o.request = strdup("{}");
	o.argv = strdup("[]");
	snprintf(o.key, sizeof(o.key), "%s", key);
	assert_int_equal(operation_identify(&o, NULL), 0);
	return o;
}

static void test_keys(void **state)
{
	struct operation a = operation(1, "k"), again = operation(1, "k"), others = operation(2, "k"), none = operation(1, ""), found;
	struct err err = {0};
	assert_int_equal(operation_add(*state, &a, &err), 0);
	assert_int_equal(operation_add(*state, &again, &err), -EEXIST);
	assert_int_equal(operation_add(*state, &others, &err), 0);
	assert_int_equal(operation_add(*state, &none, &err), 0);
	assert_int_equal(operation_by_key(*state, 1, "k", &found, &err), 0);
	assert_string_equal(found.id, a.id);
	assert_string_equal(found.state, "queued");
	operation_done(&found);
	assert_int_equal(operation_began(*state, a.id, 7, &err), 0);
	assert_int_equal(operation_end(*state, a.id, 3, "{\"ok\":false}", &err), 0);
	assert_int_equal(operation_end(*state, a.id, 0, "{\"ok\":true}", &err), 0); /* the first end stays */
	assert_int_equal(operation_find(*state, a.id, OPERATION_OF_ALL, &found, &err), 0);
	assert_string_equal(found.state, "done");
	assert_int_equal(found.exit, 3);
	assert_string_equal(found.answer, "{\"ok\":false}");
	int64_t created = found.created;
	operation_done(&found);
	assert_int_equal(operation_forget(*state, created + KEY_HOURS * 3600000LL, &err), 0);
	assert_int_equal(operation_by_key(*state, 1, "k", &found, &err), 0);
	operation_done(&found);
	assert_int_equal(operation_forget(*state, created + KEY_HOURS * 3600000LL + 1, &err), 0);
	assert_int_equal(operation_by_key(*state, 1, "k", &found, &err), -ENOENT);
	assert_int_equal(operation_by_key(*state, 2, "k", &found, &err), 0); /* is not over */
	operation_done(&found);
	assert_int_equal(operation_forget(*state, created + KEPT_DAYS * 86400000LL + 1, &err), 0);
	assert_int_equal(operation_find(*state, a.id, OPERATION_OF_ALL, &found, &err), -ENOENT);
	assert_int_equal(operation_find(*state, none.id, OPERATION_OF_ALL, &found, &err), 0);
	operation_done(&found);
	operation_done(&a);
	operation_done(&again);
	operation_done(&others);
	operation_done(&none);
}

static void is_shown(struct store *s, const char *id, int64_t account_id, const char *token, bool may_cancel)
{
	struct operation o;
	assert_int_equal(operation_find(s, id, account_id, &o, NULL), 0);
	json_t *j = operation_json(&o, account_id);
	assert_string_equal(json_string_value(json_object_get(j, "token")), token);
	assert_int_equal(json_is_true(json_object_get(j, "may-cancel")), may_cancel);
	json_decref(j);
	operation_done(&o);
}

/* Whose an operation is goes by the account's row, not by what that is called; who began it, by whose token it was. */
static void are_seen(struct store *s, const char *theirs, const char *hers)
{
	struct operation found;
	json_t *list;
	is_shown(s, theirs, OPERATION_OF_ALL, "panel", true);
	is_shown(s, theirs, 7, "the operator", false);
	is_shown(s, hers, OPERATION_OF_ALL, "alice-web", true);
	is_shown(s, hers, 7, "alice-web", true);
	assert_int_equal(operation_find(s, hers, 8, &found, NULL), -ENOENT);
	assert_int_equal(operation_find(s, hers, 0, &found, NULL), -ENOENT);
	assert_int_equal(operation_list(s, 7, &list, NULL), 0);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	assert_int_equal(operation_list(s, 8, &list, NULL), 0);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	assert_int_equal(operation_list(s, OPERATION_OF_ALL, &list, NULL), 0);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
}

/* As version 2 had it. */
static const char version_2[] = "DROP INDEX operations_token; DROP TRIGGER tokens_kept; DROP TABLE tokens_gone; DROP INDEX "
				"operations_account; DROP INDEX operations_whose;"
				"ALTER TABLE operations DROP COLUMN account_id; ALTER TABLE operations DROP COLUMN by_owner;"
				"CREATE INDEX operations_account ON operations(account, created); PRAGMA user_version = 2";

static void test_whose(void **state)
{
	char text[TOKEN_TEXT_MAX];
	struct store *s = *state;
	struct err err = {0};
	struct token panel = make(s, "panel", TOKEN_OPERATOR, "", text),
		     web = {.name = "alice-web", .kind = TOKEN_ACCOUNT, .account = "alice"};
	web.account_id = 7;
	assert_int_equal(token_create(s, &web, "root", text, &err), 0);
	struct operation theirs = operation(panel.id, ""), hers = operation(web.id, "");
	snprintf(hers.token_name, sizeof(hers.token_name), "alice-web");
	theirs.account_id = hers.account_id = 7;
	hers.by_owner = true;
	assert_int_equal(operation_add(s, &theirs, &err), 0);
	assert_int_equal(operation_add(s, &hers, &err), 0);
	are_seen(s, theirs.id, hers.id);
	if (db_exec(s->db, version_2, &err) < 0)
		fail_msg("%s", err.text);
	store_close(s);
	assert_int_equal(store_open(s, path, &err), 0);
	are_seen(s, theirs.id, hers.id);
	operation_done(&theirs);
	operation_done(&hers);
}

/* What a token is called is not forgotten with it. */
static void test_names_of_others(void **state)
{
	char text[TOKEN_TEXT_MAX];
	struct store *s = *state;
	struct token t = {.name = "alice-web", .kind = TOKEN_ACCOUNT, .account = "alice", .account_id = 7};
	make(s, "panel", TOKEN_OPERATOR, "", text);
	assert_int_equal(token_create(s, &t, "root", text, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(token_is_of(s, "alice-web", 7));
		assert_false(token_is_of(s, "alice-web", 8));
		assert_false(token_is_named(s, "alice-web", 7));
		assert_true(token_is_named(s, "alice-web", 8));
		assert_true(token_is_named(s, "panel", 7));
		assert_false(token_is_of(s, "panel", 7));
		assert_false(token_is_of(s, "panel", 0));
		assert_false(token_is_named(s, "nobodys", 7));
		assert_false(token_is_of(s, "nobodys", 7));
		token_revoke(s, "panel", NULL);
		token_revoke(s, "alice-web", NULL);
	}
	snprintf(t.name, sizeof(t.name), "panel"); /* hers now: who it was then, the trail's lines do not say */
	assert_int_equal(token_create(s, &t, "root", text, NULL), 0);
	assert_false(token_is_of(s, "panel", 7));
}

static int rows_of(struct store *s, int64_t token)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(db_query(s->db, &st, NULL, "SELECT count(*) FROM operations WHERE token = ?", "i", token), 0);
	assert_int_equal(db_next(s->db, st, NULL), 1);
	int n = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* As many as a token may have: those without a key give way, keys never do before their time. */
static void test_kept(void **state)
{
	struct store *s = *state;
	struct operation o;
	struct err err = {0};
	char fill[600];
	snprintf(fill, sizeof(fill),
		 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO operations(id, token, "
		 "token_name, "
		 "command, request, argv, lane, key, digest, state, trail, created, started, ended, exit) SELECT 'x' || i, 1, 'panel', "
		 "'migrate', '{}', '[]', 0, 'k' || i, 'd', 'done', 0, 1000 + i, 0, 0, 0 FROM n",
		 OPERATIONS_KEPT);
	assert_int_equal(db_exec(s->db, fill, &err), 0);
	o = operation(1, "one more");
	assert_int_equal(operation_add(s, &o, &err), -EDQUOT);
	operation_done(&o);
	o = operation(2, "another token's");
	assert_int_equal(operation_add(s, &o, &err), 0);
	operation_done(&o);
	assert_int_equal(db_exec(s->db, "UPDATE operations SET key = NULL WHERE id IN ('x7', 'x9')", &err), 0);
	for (int i = 0; i < 2; i++) {
		o = operation(1, "");
		assert_int_equal(operation_add(s, &o, &err), 0);
		assert_int_equal(operation_began(s, o.id, 1, &err), 0); /* what is not over stays */
		operation_done(&o);
	}
	assert_int_equal(operation_find(s, "x7", OPERATION_OF_ALL, &o, &err), -ENOENT);
	assert_int_equal(operation_find(s, "x9", OPERATION_OF_ALL, &o, &err), -ENOENT);
	o = operation(1, "");
	assert_int_equal(operation_add(s, &o, &err), -EDQUOT);
	operation_done(&o);
	assert_int_equal(rows_of(s, 1), OPERATIONS_KEPT);
}

static void test_limits(void **state)
{
	struct limit *l = malloc(sizeof(*l));
	int retry;
	(void)state;
	limit_init(l, 0.5, 3);
	for (int i = 0; i < 3; i++)
		assert_true(limit_take(l, "a", 1000, NULL));
	assert_false(limit_take(l, "a", 1000, &retry));
	assert_int_equal(retry, 2);
	assert_true(limit_has(l, "b", 1000, NULL));
	assert_false(limit_take(l, "a", 2900, NULL));
	assert_true(limit_take(l, "a", 3000, NULL));
	assert_false(limit_has(l, "a", 3000, NULL));
	for (int i = 0; i < 100000; i++) { /* a flood of others does not give it any */
		char name[16];
		snprintf(name, sizeof(name), "x%d", i);
		limit_take(l, name, 3000, NULL);
	}
	assert_false(limit_has(l, "a", 3000, NULL));
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_and_revoked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expires, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_at_rest, set_up, tear_down),
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whose, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
