/* A check of very many accounts against a shunt-proxy in memory that answers in another order than it was asked: what is told belongs to
 * whom it is told of, in order, however many threads ask; and what becomes of it when the proxy goes away in the middle. */
#include "control/check.h"
#include "control/check_ask.h"
#include "control/preflight_parts.h"
#include "control/proxylink.h"
#include "lib/member.h"
#include "tests/unit/accounts.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY  2500
#define LINKS 5
#define BAD   1234 /* of which the transit server answers with 503 over HTTP */
#define LATE  77   /* of which it answers each question only when it is asked again */
#define DOWN  78   /* of which it answers nothing */

/* ---- a proxy ---- */

struct fake {
	atomic_uint asked, alone, most; /* requests; of them one by one; the most that were asked for ahead */
	unsigned goes_after;            /* requests; 0: it stays */
	atomic_bool late[3];            /* a site, on the transit server: it was late once */
	atomic_uint refused;            /* of another: it is never there */
};

static bool is_of(const char *domain, int n)
{
	char name[40];
	snprintf(name, sizeof(name), "a%d.example", n);
	return strcmp(domain, name) == 0;
}

static bool is_silent(struct fake *f, const char *domain, const char *scheme, const char *path)
{
	if (is_of(domain, DOWN))
		f->refused++;
	return is_of(domain, DOWN) || (is_of(domain, LATE) && !atomic_exchange(&f->late[strcmp(scheme, "https") == 0 ? 0
											: strlen(path) > 1           ? 1
														     : 2],
									       true));
}

static json_t *answer_to_one(struct fake *f, const json_t *request, const char *side)
{
	const char *domain = member_text(request, "domain"), *path = member_text(request, "path");
	bool transit = strcmp(side, "transit") == 0, root = !*path || strcmp(path, "/") == 0,
	     bad = transit && is_of(domain, BAD) && root && strcmp(member_text(request, "scheme"), "http") == 0,
	     silent = transit && is_silent(f, domain, member_text(request, "scheme"), path);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:s, s:s, s:n}", "domain", domain, "scheme", member_text(request, "scheme"),
			 "path", *path ? path : "/", "listener", "web", "at", "198.51.100.10:80", "ok", !silent, "status",
			 silent ? 0
			 : bad  ? 503
			 : root ? 200
				: 404,
			 "said", "", "type", "text/html", "tls");
}

static json_t *answer_to(struct fake *f, const char *cmd, const json_t *fields)
{
	json_t *list = json_array(), *requests = json_object_get(fields, "requests");
	if (strcmp(cmd, "seen") == 0) {
		json_decref(list);
		return json_pack("{s:s, s:s, s:i, s:[], s:[{s:s, s:i, s:s}]}", "side", "client", "since", "now", "days", 14, "seen",
				 "listeners", "listener", "web", "port", 80, "source-transit", "transparent");
	}
	for (size_t i = json_array_size(requests); i > 0; i--) /* the last one first */
		json_array_append_new(list, answer_to_one(f, json_array_get(requests, i - 1), member_text(fields, "side")));
	return json_pack("{s:o}", "answers", list);
}

static int on_connect(void *self, struct err *err)
{
	struct fake *f = self;
	return f->goes_after && f->asked >= f->goes_after ? err_set(err, -ECONNREFUSED, "nobody there") : 0;
}

static int ask(struct fake *f, const char *cmd, json_t *fields, json_t **answer, struct err *err)
{
	bool gone = f->goes_after && ++f->asked > f->goes_after;
	*answer = gone ? NULL : answer_to(f, cmd, fields);
	json_decref(fields);
	return gone ? err_set(err, -ECONNRESET, "it went away") : 0;
}

static int on_request(void *self, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code, int cancel_fd,
		      struct err *err)
{
	struct fake *f = self;
	(void)timeout_ms;
	(void)code;
	(void)cancel_fd;
	f->alone++;
	return ask(f, cmd, fields, answer, err);
}

static int on_request_many(void *self, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg, size_t *done,
			   struct err *err)
{
	struct fake *f = self;
	int rc = 0;
	(void)timeout_ms;
	if (n > f->most)
		f->most = (unsigned)n;
	*done = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *answer = NULL;
		if (rc < 0)
			json_decref(fields[i]);
		else if ((rc = ask(f, cmd, fields[i], &answer, err)) == 0)
			each(arg, (*done)++, 0, answer, &(struct err){0});
		json_decref(answer);
	}
	return rc;
}

static void nothing(void *self)
{
	(void)self;
}

static const struct wire_ops ops = {on_connect, on_request, on_request_many, nothing, nothing};

/* ---- a state with very many accounts ---- */

struct house {
	char dir[64], state[96];
	struct conf conf;
	struct app app;
	struct fake proxy;
};

static int setup(void **state)
{
	struct house *h = calloc(1, sizeof(*h));
	struct err err = {0};
	place_make(h->dir, "shunt-check");
	snprintf(h->state, sizeof(h->state), "%s/shunt.db", h->dir);
	h->conf.control = (struct conf_control){.present = true, .state = h->state, .expires_days = 14};
	h->app = (struct app){.conf = &h->conf, .sigfd = -1};
	out_init(&h->app.out, true);
	who_am_i(&h->app.who);
	assert_int_equal(journal_open(&h->app.db, h->state, 0, &h->app.who, &err), 0);
	assert_int_equal(journal_begin(h->app.db, &err), 0);
	for (int i = 0; i < MANY; i++) {
		char name[20], domain[40];
		snprintf(name, sizeof(name), "a%04d", i);
		snprintf(domain, sizeof(domain), "a%d.example", i);
		json_t *o = json_pack("{s:s, s:[s, s]}", "name", name, "domains", domain, "*.a.example");
		if (i)
			json_array_remove(json_object_get(o, "domains"), 1);
		accounts_put(h->app.db, o);
	}
	assert_int_equal(journal_commit(h->app.db, &err), 0);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct house *h = *state;
	app_close(&h->app);
	json_decref(h->app.out.object);
	place_remove(h->dir);
	free(h);
	return 0;
}

static enum exit_code check(struct house *h, struct err *err)
{
	struct proxylink *links[LINKS];
	for (int i = 0; i < LINKS; i++)
		assert_int_equal(proxylink_with(&links[i], "fake", &ops, &h->proxy), 0);
	enum exit_code x = check_run(&h->app, &(struct check_links){.proxy = links, .n = LINKS}, NULL, 0, err);
	for (int i = 0; i < LINKS; i++)
		proxylink_close(links[i]);
	return x;
}

static const json_t *findings_of(const struct house *h, size_t i)
{
	return json_object_get(json_array_get(json_object_get(h->app.out.object, "accounts"), i), "findings");
}

static size_t count(const json_t *findings, const char *kind, const char *grade)
{
	const json_t *f;
	size_t i, n = 0;
	json_array_foreach (findings, i, f)
		n += strcmp(member_text(f, "kind"), kind) == 0 && strcmp(member_text(f, "grade"), grade) == 0;
	return n;
}

static void test_many(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	assert_int_equal(check(h, &err), EXIT_REFUSED);
	assert_non_null(strstr(err.text, "2 of 2500 accounts should not be moved yet; a0078: http://a78.example: transit does not answer"));
	json_t *accounts = json_object_get(h->app.out.object, "accounts");
	assert_int_equal(json_array_size(accounts), MANY);
	for (size_t i = 0; i < MANY; i++) {
		char name[20];
		snprintf(name, sizeof(name), "a%04zu", i);
		assert_string_equal(member_text(json_array_get(accounts, i), "account"), name);
		assert_int_equal(count(findings_of(h, i), "twin-status", "stop"), i == BAD);
		assert_int_equal(count(findings_of(h, i), "twin-away", "stop"), i == DOWN ? 2 : 0);
		assert_int_equal(count(findings_of(h, i), "acme", "inform"), 1);
		assert_int_equal(count(findings_of(h, i), "seen", "inform"), 1);
		assert_int_equal(count(findings_of(h, i), "twin-away", "inform"), 0);
	}
	assert_true(h->proxy.late[0] && h->proxy.late[1] && h->proxy.late[2]);
	assert_int_equal(h->proxy.refused, 6); /* each question twice */
	assert_true(h->proxy.alone <= LINKS);  /* each link's first, which connects */
	assert_int_equal(h->proxy.most, 2 * CHECK_BATCH);
	json_t *kept;
	int64_t at;
	assert_int_equal(findings_get(h->app.db, "a1234", &at, &kept, &err), 0);
	assert_true(json_equal(kept, findings_of(h, BAD)));
	json_decref(kept);
	assert_int_equal(findings_since(h->app.db, at - 3600000), MANY);
	assert_int_equal(findings_since(h->app.db, at + 3600000), 0);
}

static void test_away(void **state)
{
	struct house *h = *state;
	struct err err = {0};
	size_t good = 0, away = 0;
	h->proxy.goes_after = 1000;
	assert_int_equal(check(h, &err), EXIT_REFUSED);
	for (size_t i = 0; i < MANY; i++) {
		size_t n = count(findings_of(h, i), "proxy", "stop") + count(findings_of(h, i), "twin", "warn");
		assert_true(n <= 1);
		away += n;
		good += n == 0;
	}
	assert_true(good > 100 && good < 400); /* three questions for each */
	assert_int_equal(good + away, MANY);
}

/* By what was asked for, wherever it stands. */
static void test_pairs(void **state)
{
	json_error_t e;
	json_t *list =
		json_loads("[{\"domain\":\"a\",\"scheme\":\"http\",\"path\":\"/\"},{\"domain\":\"b\",\"scheme\":\"http\",\"path\":\"/"
			   "\"},{\"domain\":\"b\",\"scheme\":\"https\",\"path\":\"/\"},{\"domain\":\"b\",\"scheme\":\"http\",\"path\":"
			   "\"/x\"}]",
			   0, &e);
	(void)state;
	assert_non_null(list);
	for (size_t i = 0; i < 4; i++) {
		json_t *like = json_deep_copy(json_array_get(list, i));
		assert_ptr_equal(preflight_answer_of(list, like), json_array_get(list, i));
		json_object_set_new(like, "domain", json_string("c"));
		assert_null(preflight_answer_of(list, like));
		json_decref(like);
	}
	assert_null(preflight_answer_of(NULL, json_array_get(list, 0)));
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_away, setup, teardown),
		cmocka_unit_test(test_pairs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
