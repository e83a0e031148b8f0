/* The journal of shunt-netctl: what was written comes back, and what is not whole, not ours or not of this version is refused and named -
 * cut at every byte, each bit of it turned. Nothing of it is guessed at, and the others are not kept from being read. */
#include "netctl/journal.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char dir[64];
	struct journal *j;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	place_make(p->dir, "shunt-plans");
	assert_int_equal(journal_open(&p->j, p->dir, NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	journal_close(p->j);
	place_remove(p->dir);
	free(p);
	return 0;
}

static json_t *a_plan(const char *name)
{
	return json_pack("{s:s, s:s, s:i, s:[{s:s, s:[{s:s, s:s}], s:[]}]}", "plan", name, "state", "pending", "began-ms", 1, "stages",
			 "name", "prepare", "ops", "op", "addr", "address", "192.0.2.1/32", "undo");
}

static void comes_back(void **state)
{
	struct place *p = *state;
	json_t *plan = a_plan("takeover"), *found = NULL;
	struct err err;

	assert_int_equal(journal_write(p->j, plan, &err), 0);
	assert_int_equal(journal_read(p->j, "takeover", &found, &err), 0);
	assert_true(json_equal(plan, found));
	json_decref(found);
	assert_int_equal(journal_remove(p->j, "takeover", &err), 0);
	assert_int_equal(journal_read(p->j, "takeover", &found, &err), -ENOENT);
	assert_int_equal(journal_remove(p->j, "takeover", &err), 0);
	json_decref(plan);
}

/* Either it is refused, naming the file, or it says the very same. */
static void refused_or_same(struct place *p, json_t *plan, bool may_be_same)
{
	json_t *found = NULL;
	struct err err = {0};
	int rc = journal_read(p->j, "takeover", &found, &err);

	if (rc == 0) {
		assert_true(may_be_same && json_equal(plan, found));
		json_decref(found);
		return;
	}
	assert_int_equal(rc, -EBADMSG);
	assert_non_null(strstr(err.text, "takeover.json"));
	assert_non_null(strstr(err.text, "not guessed"));
}

static void damage_is_refused(void **state)
{
	struct place *p = *state;
	json_t *plan = a_plan("takeover");
	char text[4096], bad[4096];
	size_t len;

	assert_int_equal(journal_write(p->j, plan, NULL), 0);
	len = place_get(p->dir, "takeover.json", text, sizeof text);
	for (size_t n = 0; n < len; n++) {
		place_put(p->dir, "takeover.json", text, n);
		refused_or_same(p, plan, false);
	}
	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(bad, text, len);
		bad[bit / 8] ^= (char)(1 << bit % 8);
		place_put(p->dir, "takeover.json", bad, len);
		refused_or_same(p, plan, true); /* a blank for another */
	}
	json_decref(plan);
}

static void strange_files_are_refused(void **state)
{
	static const char *const texts[] = {"",
					    "null",
					    "[]",
					    "{}",
					    "{\"plan\":\"takeover\"}",
					    "{\"v\":2,\"plan\":\"takeover\",\"stages\":[],\"state\":\"pending\"}",
					    "{\"v\":1,\"plan\":\"takeover\",\"stages\":[],\"state\":\"pending\"}"};
	struct place *p = *state;
	char text[4096];
	size_t len;
	json_t *plan = a_plan("give"), *found;
	struct err err;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		place_put(p->dir, "takeover.json", texts[i], strlen(texts[i]));
		refused_or_same(p, NULL, false);
	}
	/* a good one under another name */
	assert_int_equal(journal_write(p->j, plan, NULL), 0);
	len = place_get(p->dir, "give.json", text, sizeof text);
	place_put(p->dir, "takeover.json", text, len);
	refused_or_same(p, NULL, false);
	json_decref(plan);
	/* a link leads nowhere */
	char path[128];

	snprintf(path, sizeof path, "%s/takeover.json", p->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("give.json", path), 0);
	assert_true(journal_read(p->j, "takeover", &found, &err) < 0);
	assert_non_null(strstr(err.text, "takeover.json"));
}

static void names_are_names(void **state)
{
	static const char *const names[] = {"",
					    "../give",
					    "a/b",
					    "Give",
					    "give.json",
					    ".",
					    "..",
					    "gi ve",
					    "g\nve",
					    "give1",
					    "abcdefghijabcdefghijabcdefghijabcdefghija"};
	struct place *p = *state;
	json_t *found;
	struct err err;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(journal_read(p->j, names[i], &found, &err), -EINVAL);
}

static void one_that_is_damaged_hides_no_other(void **state)
{
	struct place *p = *state;
	json_t *give = a_plan("give"), *yield = a_plan("yield"), *all = NULL;
	struct err err;

	assert_int_equal(journal_write(p->j, give, NULL), 0);
	assert_int_equal(journal_write(p->j, yield, NULL), 0);
	place_put(p->dir, "reply.json.new", "{", 1); /* what a crash left of a write, once and now */
	place_put(p->dir, ".new-1-0", "{", 1);
	place_put(p->dir, ".new-1-0.json", "{", 1);
	assert_int_equal(journal_all(p->j, &all, &err), 0);
	assert_int_equal(json_array_size(all), 2);
	json_decref(all);
	place_put(p->dir, "takeover.json", "{", 1);
	assert_int_equal(journal_all(p->j, &all, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "takeover.json"));
	assert_int_equal(json_array_size(all), 2);
	json_decref(all);
	json_decref(give);
	json_decref(yield);
}

static void a_directory_of_others_is_refused(void **state)
{
	struct place *p = *state;
	struct journal *j;
	struct err err;
	char path[128];

	assert_int_equal(chmod(p->dir, 0770), 0);
	assert_int_equal(journal_open(&j, p->dir, &err), -EPERM);
	assert_non_null(strstr(err.text, "chmod"));
	assert_int_equal(chmod(p->dir, 0700), 0);
	snprintf(path, sizeof path, "%s/link", p->dir);
	assert_int_equal(symlink(p->dir, path), 0);
	assert_true(journal_open(&j, path, &err) < 0);
	/* one directory above is made too, not a whole path that somebody may have mistyped */
	snprintf(path, sizeof path, "%s/none/deeper/still", p->dir);
	assert_int_equal(journal_open(&j, path, &err), -ENOENT);
}

static void the_lock_is_one(void **state)
{
	struct place *p = *state;
	struct journal *other;
	struct err err;

	assert_int_equal(journal_open(&other, p->dir, &err), 0);
	assert_int_equal(journal_lock(p->j, 0, &err), 0);
	assert_int_equal(journal_lock(other, 50, &err), -EWOULDBLOCK);
	assert_non_null(strstr(err.text, "another shunt-netctl"));
	journal_unlock(p->j);
	assert_int_equal(journal_lock(other, 0, &err), 0);
	journal_close(other); /* drops it */
	assert_int_equal(journal_lock(p->j, 0, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(strange_files_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_names, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_damaged_hides_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_of_others_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_lock_is_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
