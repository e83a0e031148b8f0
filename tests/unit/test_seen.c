/* By which ports visitors come: counted by day, by several workers at once, with an end to its memory, and known to the next process. */
#include "proxy/seenfile.h"

#include "lib/clock.h"
#include "proxy/account.h"
#include "proxy/table.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY UINT64_C(86400000)

static void test_days(void **state)
{
	struct account *a = account_new("alice", SIDE_CLIENT, GATE_OPEN, 1);
	struct seen_room room = {0};
	struct seen_row rows[SEEN_MAX];
	uint64_t t = 100 * DAY + 5000;
	(void)state;

	assert_int_equal(seen_rows(a, t, rows), 0);
	seen_count(&room, a, 443, PROTOCOL_TLS, t);
	for (int i = 0; i < 3; i++)
		seen_count(&room, a, 80, PROTOCOL_HTTP, t + 2000);
	seen_count(&room, a, 80, PROTOCOL_HTTP, t + 2 * DAY);
	assert_int_equal(seen_rows(a, t + 2 * DAY, rows), 2);
	assert_int_equal(rows[0].port, 80); /* in order */
	assert_int_equal(rows[0].count, 4);
	assert_int_equal(rows[0].days[0], 1);
	assert_int_equal(rows[0].days[1], 0);
	assert_int_equal(rows[0].days[2], 3);
	assert_int_equal(rows[0].first_ms, t + 2000);
	assert_int_equal(rows[0].last_ms, t + 2 * DAY);
	assert_int_equal(rows[1].protocol, PROTOCOL_TLS);
	assert_int_equal(rows[1].last_ms, t);
	assert_int_equal(seen_rows(a, t + (SEEN_DAYS - 1) * DAY, rows), 2);
	assert_int_equal(seen_rows(a, t + SEEN_DAYS * DAY, rows), 1); /* the first day is past */
	assert_int_equal(rows[0].count, 1);
	seen_count(&room, a, 443, PROTOCOL_TLS, t + SEEN_DAYS * DAY); /* in the place of that day */
	assert_int_equal(seen_rows(a, t + SEEN_DAYS * DAY, rows), 2);
	assert_int_equal(rows[1].count, 1);
	assert_int_equal(seen_rows(a, t + 40 * DAY, rows), 0);
	assert_int_equal(seen_rows(a, t + 10 * DAY, rows), 1); /* the clock was set back: what is yet to come does not count */
	assert_int_equal(rows[0].port, 80);
	account_unref(a);
	assert_int_equal(room.taken, 0);
}

static void test_most(void **state)
{
	struct account *a = account_new("alice", SIDE_CLIENT, GATE_OPEN, 1), *b = account_new("bob", SIDE_CLIENT, GATE_OPEN, 1);
	struct seen_room room = {0};
	struct seen_row rows[SEEN_MAX];
	(void)state;

	for (uint16_t port = 1; port <= SEEN_MAX; port++)
		seen_count(&room, a, port, PROTOCOL_TCP, DAY);
	assert_false(a->seen_more);
	for (uint16_t port = 1; port < 1000; port++)
		seen_count(&room, a, port, PROTOCOL_TCP, DAY);
	assert_int_equal(seen_rows(a, DAY, rows), SEEN_MAX);
	assert_int_equal(rows[SEEN_MAX - 1].port, SEEN_MAX);
	assert_true(a->seen_more);
	assert_int_equal(room.taken, SEEN_MAX);
	room.taken = SEEN_ALL - 1; /* of all accounts */
	seen_count(&room, b, 80, PROTOCOL_HTTP, DAY);
	assert_false(b->seen_more);
	seen_count(&room, b, 81, PROTOCOL_HTTP, DAY);
	seen_count(&room, b, 80, PROTOCOL_HTTP, DAY);
	assert_true(b->seen_more);
	assert_int_equal(seen_rows(b, DAY, rows), 1);
	assert_int_equal(rows[0].count, 2);
	assert_int_equal(room.taken, SEEN_ALL);
	account_unref(a);
	account_unref(b);
}

#define THREADS 4
#define EACH    20000
static struct seen_room shared;

static void *count_many(void *arg)
{
	for (int i = 0; i < EACH; i++)
		seen_count(&shared, arg, (uint16_t)(80 + i % 7), PROTOCOL_HTTP, 3 * DAY + (uint64_t)i);
	return NULL;
}

static void test_threads(void **state)
{
	struct account *a = account_new("alice", SIDE_CLIENT, GATE_OPEN, THREADS);
	struct seen_row rows[SEEN_MAX];
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	(void)state;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_many, a), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(seen_rows(a, 3 * DAY, rows), 7);
	for (int i = 0; i < 7; i++)
		sum += rows[i].count;
	assert_int_equal(sum, THREADS * EACH);
	assert_int_equal(shared.taken, 7);
	account_unref(a);
}

/* ---- on disk ---- */

static char dir[] = "/tmp/test_seen.XXXXXX", path[PATH_MAX], table_path[PATH_MAX];

static struct table *table_of(const char *const *names, size_t n)
{
	struct acctset set = {0};
	struct table *t;

	for (size_t i = 0; i < n; i++) {
		struct acctdef d = {.name = strdup(names[i])};

		assert_int_equal(acctset_add(&set, &d), 0);
	}
	assert_int_equal(table_new(&t, &set, NULL, 1, NULL), 0);
	return t;
}

struct world {
	struct seen_room room;
	struct table *table;
	struct seenfile *file;
};

static void begin(struct world *w, const char *const *names, size_t n)
{
	*w = (struct world){.table = table_of(names, n)};
	assert_int_equal(seenfile_open(&w->file, table_path, &w->room, w->table, NULL), 0);
}

/* As kill -9: nothing is written. */
static void end(struct world *w)
{
	seenfile_close(w->file);
	table_free(w->table);
	assert_int_equal(w->room.taken, 0);
}

static const char *const two[] = {"alice", "bob"};

static void test_kept(void **state)
{
	struct seen_row rows[SEEN_MAX];
	uint64_t now = (uint64_t)now_ms(), since;
	struct account *a;
	struct world w;
	(void)state;

	begin(&w, two, 2);
	since = seenfile_since(w.file, table_find(w.table, "alice"), now);
	assert_in_range(since, now, now + 10000);
	a = table_find(w.table, "alice");
	seen_count(&w.room, a, 993, PROTOCOL_TCP, now - 3 * DAY);
	seen_count(&w.room, a, 993, PROTOCOL_TCP, now - 3 * DAY);
	seen_count(&w.room, a, 993, PROTOCOL_TCP, now);
	seen_count(&w.room, a, 80, PROTOCOL_HTTP, now - 40 * DAY); /* over: it is not written */
	seenfile_second(w.file, w.table, 1);
	seen_count(&w.room, a, 443, PROTOCOL_TLS, now); /* after the last writing */
	end(&w);

	begin(&w, two, 2);
	a = table_find(w.table, "alice");
	assert_int_equal(seen_rows(a, now, rows), 1);
	assert_int_equal(rows[0].port, 993);
	assert_int_equal(rows[0].protocol, PROTOCOL_TCP);
	assert_int_equal(rows[0].count, 3);
	assert_int_equal(rows[0].days[0], 1);
	assert_int_equal(rows[0].days[3], 2);
	assert_int_equal(rows[0].first_ms, now - 3 * DAY);
	assert_int_equal(rows[0].last_ms, now);
	assert_int_equal(seenfile_since(w.file, a, now), since);
	assert_false(a->seen_more);
	seen_count(&w.room, a, 993, PROTOCOL_TCP, now); /* it goes on */
	assert_int_equal(seen_rows(a, now, rows), 1);
	assert_int_equal(rows[0].days[0], 2);
	seenfile_write(w.file, w.table);
	end(&w);

	begin(&w, &two[1], 1); /* alice is gone */
	assert_int_equal(seen_rows(table_find(w.table, "bob"), now, rows), 0);
	seenfile_write(w.file, w.table);
	end(&w);
	begin(&w, two, 2); /* and comes again, with nothing */
	assert_int_equal(seen_rows(table_find(w.table, "alice"), now, rows), 0);
	end(&w);
	unlink(path);
}

/* An account that came later was not counted before. */
static void test_later(void **state)
{
	uint64_t now = (uint64_t)now_ms();
	struct account *b;
	struct world w;
	(void)state;

	begin(&w, two, 2);
	b = table_find(w.table, "bob");
	b->seen_since = now + 5000;
	b->seen_more = true;
	seenfile_write(w.file, w.table);
	end(&w);
	begin(&w, two, 2);
	b = table_find(w.table, "bob");
	assert_int_equal(seenfile_since(w.file, b, now + 6000), now + 5000);
	assert_true(b->seen_more);
	assert_true(seenfile_since(w.file, table_find(w.table, "alice"), now + 6000) < now + 5000);
	assert_int_equal(seenfile_since(w.file, b, now + 20 * DAY), now + 6 * DAY); /* no longer than it is counted */
	end(&w);
	unlink(path);
}

static void set_age(uint64_t ago_ms)
{
	uint64_t at = (uint64_t)now_ms() - ago_ms;
	const struct timespec t[2] = {{.tv_sec = (time_t)(at / 1000)}, {.tv_sec = (time_t)(at / 1000)}};

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void test_uncounted(void **state)
{
	uint64_t now = (uint64_t)now_ms(), gone;
	struct world w;
	(void)state;

	begin(&w, two, 2);
	assert_int_equal(seenfile_uncounted_ms(w.file, now), 0);
	seenfile_write(w.file, w.table);
	end(&w);
	set_age(3 * DAY);
	begin(&w, two, 2); /* nothing ran for three days */
	gone = seenfile_uncounted_ms(w.file, now);
	assert_in_range(gone, 3 * DAY, 3 * DAY + 20000);
	assert_in_range(seenfile_uncounted_ms(w.file, now + 12 * DAY), DAY, 2 * DAY); /* the first of them is past */
	assert_int_equal(seenfile_uncounted_ms(w.file, now + SEEN_DAYS * DAY), 0);
	seenfile_write(w.file, w.table);
	end(&w);
	begin(&w, two, 2);
	assert_in_range(seenfile_uncounted_ms(w.file, now), gone, gone + 20000);
	end(&w);
	unlink(path);
}

static void test_damaged(void **state)
{
	uint64_t now = (uint64_t)now_ms();
	struct seen_row rows[SEEN_MAX];
	struct world w;
	FILE *f;
	(void)state;

	begin(&w, two, 2);
	seen_count(&w.room, table_find(w.table, "bob"), 80, PROTOCOL_HTTP, now);
	seenfile_write(w.file, w.table);
	end(&w);
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 60, SEEK_SET);
	fputc('!', f);
	fclose(f);
	begin(&w, two, 2); /* it begins anew, and says so */
	assert_int_equal(seen_rows(table_find(w.table, "bob"), now, rows), 0);
	assert_true(seenfile_since(w.file, table_find(w.table, "bob"), now + 10000) >= now);
	assert_int_equal(access(path, F_OK), -1);
	end(&w);
}

/* More accounts than one turn takes: they are written in several, and what happens to the table meanwhile does not matter. */
static void test_turns(void **state)
{
	enum { MANY = 3 * SEENFILE_BATCH };
	static char texts[MANY][16];
	static const char *names[MANY];
	uint64_t now = (uint64_t)now_ms(), mono = 1;
	struct seen_row rows[SEEN_MAX];
	struct world w;
	size_t turns = 0;
	(void)state;

	for (size_t i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof texts[i], "a%zu", i);
		names[i] = texts[i];
	}
	begin(&w, names, MANY);
	for (size_t i = 0; i < MANY; i++)
		seen_count(&w.room, table_at(w.table, i), 80, PROTOCOL_HTTP, now);
	for (; access(path, F_OK) < 0; turns++)
		seenfile_second(w.file, w.table, mono++);
	assert_int_equal(turns, 3);
	seenfile_second(w.file, w.table, mono); /* it is not due again */
	end(&w);
	begin(&w, names, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(seen_rows(table_at(w.table, i), now, rows), 1);
	end(&w);
	unlink(path);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(table_path, sizeof table_path, "%s/table", dir);
	snprintf(path, sizeof path, "%s/table.seen", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),    cmocka_unit_test(test_most),  cmocka_unit_test(test_threads),
		cmocka_unit_test(test_kept),    cmocka_unit_test(test_later), cmocka_unit_test(test_uncounted),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_turns),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
