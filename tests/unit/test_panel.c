/* The panel below its pages: what escapes, what a session is, and which forms are ours. */
#include "control/panel/form.h"
#include "control/panel/html.h"
#include "control/panel/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- html ---- */

static void test_every_value_is_escaped(void **state)
{
	static const struct {
		const char *value, *want;
	} cases[] = {{"alice", "alice"},
		     {"<script>", "&lt;script&gt;"},
		     {"\" onclick='x'", "&quot; onclick=&#39;x&#39;"},
		     {"a&amp;b", "a&amp;amp;b"},
		     {"\x01\x1b[31m\x7f", "  [31m "},
		     {"100%s%n", "100%s%n"},
		     {"Größe\n", "Größe\n"},
		     {"", ""},
		     {NULL, ""}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct html h = {0};
		html(&h, "<p title=\"%s\">", cases[i].value);
		char want[200];
		snprintf(want, sizeof(want), "<p title=\"%s\">", cases[i].want);
		assert_string_equal(h.text, want);
		html_done(&h);
		html_say(&h, T_YOU_OWN, cases[i].value);
		assert_non_null(strstr(h.text, cases[i].want));
		assert_null(strchr(h.text, '<'));
		html_done(&h);
	}
}

static void test_numbers(void **state)
{
	struct html h = {0};
	(void)state;
	html(&h, "%d|%lld|%.1f|%%|%s", -3, 1LL << 40, 0.25, "<");
	assert_string_equal(h.text, "-3|1099511627776|0.2|%|&lt;");
	html_done(&h);
}

/* A text has nothing but %s in it, and no markup: that is the pages'. */
static void test_the_catalogue_is_whole(void **state)
{
	(void)state;
	for (int t = 0; t < N_TEXTS; t++) {
		assert_non_null(text((enum text)t));
		assert_true(*text((enum text)t) != '\0');
		assert_null(strpbrk(text((enum text)t), "<>&"));
		for (const char *p = text((enum text)t); (p = strchr(p, '%')); p++)
			assert_int_equal(p[1], 's');
	}
}

/* ---- sessions ---- */

struct world {
	char dir[40], path[64];
	struct store store;
	struct token token;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[TOKEN_TEXT_MAX];
	strcpy(w->dir, "/tmp/test_panel.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->path, sizeof(w->path), "%s/serve.db", w->dir);
	assert_int_equal(store_open(&w->store, w->path, NULL), 0);
	w->token = (struct token){.name = "alice-web", .kind = TOKEN_ACCOUNT, .account = "alice", .account_id = 1};
	assert_int_equal(token_create(&w->store, &w->token, "root", text, NULL), 0);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char run[80];
	store_close(&w->store);
	unlink(w->path);
	snprintf(run, sizeof(run), "%s.run", w->path);
	rmdir(run);
	rmdir(w->dir);
	free(w);
	return 0;
}

static void test_a_session_ends(void **state)
{
	struct world *w = *state;
	char id[SESSION_TEXT_MAX], other[SESSION_TEXT_MAX];
	struct token t;
	int64_t now = 1000000000000;
	assert_int_equal(session_begin(&w->store, &w->token, now, id, NULL), 0);
	assert_int_equal(session_begin(&w->store, &w->token, now, other, NULL), 0);
	assert_true(session_id_ok(id));
	assert_string_not_equal(id, other);
	assert_int_equal(session_find(&w->store, id, now + 1, &t, NULL), 0);
	assert_string_equal(t.account, "alice");
	/* A request every hour keeps it, and not for ever. */
	for (int64_t at = 3600000; at <= SESSION_LIFE_MS; at += 3600000)
		assert_int_equal(session_find(&w->store, id, now + at, &t, NULL), 0);
	assert_int_equal(session_find(&w->store, id, now + SESSION_LIFE_MS + 1, &t, NULL), -ENOENT);
	assert_int_equal(session_find(&w->store, other, now + SESSION_IDLE_MS + 1, &t, NULL), -ENOENT);
	assert_int_equal(session_find(&w->store, other, now + 1, &t, NULL), 0);
	assert_int_equal(session_end(&w->store, other, NULL), 0);
	assert_int_equal(session_find(&w->store, other, now + 1, &t, NULL), -ENOENT);
}

static void test_a_session_is_nothing_without_its_token(void **state)
{
	struct world *w = *state;
	char id[SESSION_TEXT_MAX];
	struct token t;
	assert_int_equal(session_begin(&w->store, &w->token, 1, id, NULL), 0);
	assert_int_equal(token_revoke(&w->store, "alice-web", NULL), 0);
	assert_int_equal(session_find(&w->store, id, 2, &t, NULL), -ENOENT);
}

static void test_what_is_no_session(void **state)
{
	static const char *const cases[] = {"", "x", "0000000000000000000000000000000000000000000000000000000000000000",
					    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "' OR 1 --"};
	struct world *w = *state;
	struct token t;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(session_find(&w->store, cases[i], 1, &t, NULL), -ENOENT);
}

static void test_sessions_are_bounded(void **state)
{
	struct world *w = *state;
	char id[SESSION_TEXT_MAX], first[SESSION_TEXT_MAX];
	struct token t;
	assert_int_equal(session_begin(&w->store, &w->token, 1, first, NULL), 0);
	for (int i = 0; i < SESSIONS_OF_TOKEN; i++)
		assert_int_equal(session_begin(&w->store, &w->token, 2 + i, id, NULL), 0);
	assert_int_equal(session_find(&w->store, id, 100, &t, NULL), 0);
	assert_int_equal(session_find(&w->store, first, 100, &t, NULL), -ENOENT);
}

/* ---- forms ---- */

static void fill(struct form *f, const char *text)
{
	assert_int_equal(evhttp_parse_query_str(text, &f->fields), 0);
	f->read = true;
}

static void test_the_seal(void **state)
{
	char a[FORM_SEAL_MAX], b[FORM_SEAL_MAX], text[100];
	struct form f = {.read = false};
	(void)state;
	form_seal("one", a);
	form_seal("two", b);
	assert_string_not_equal(a, b);
	assert_false(form_is_sealed(&f, a));
	snprintf(text, sizeof(text), "x=1&seal=%s", a);
	fill(&f, text);
	assert_true(form_is_sealed(&f, a));
	assert_false(form_is_sealed(&f, b));
	assert_false(form_is_sealed(&f, "")); /* who is nobody has none */
	form_done(&f);
	fill(&f, "seal=&x=1");
	assert_false(form_is_sealed(&f, ""));
	form_done(&f);
}

static void test_where_a_form_is_from(void **state)
{
	static const struct {
		const char *site, *origin, *host;
		bool want;
	} cases[] = {{NULL, NULL, "panel.example", true},
		     {"same-origin", "https://panel.example", "panel.example", true},
		     {NULL, "http://127.0.0.1:7480", "127.0.0.1:7480", true},
		     {"cross-site", NULL, "panel.example", false},
		     {"same-site", "https://panel.example", "panel.example", false},
		     {"none", NULL, "panel.example", false},
		     {NULL, "https://evil.example", "panel.example", false},
		     {NULL, "https://panel.example.evil.example", "panel.example", false},
		     {NULL, "http://panel.example:81", "panel.example", false},
		     {NULL, "null", "panel.example", false},
		     {NULL, "", "panel.example", false},
		     {NULL, "https://panel.example", NULL, false}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(form_is_from_here(cases[i].site, cases[i].origin, cases[i].host), cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_value_is_escaped),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_the_catalogue_is_whole),
		cmocka_unit_test_setup_teardown(test_a_session_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_session_is_nothing_without_its_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sessions_are_bounded, set_up, tear_down),
		cmocka_unit_test(test_the_seal),
		cmocka_unit_test(test_where_a_form_is_from),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
