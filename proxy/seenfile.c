/*   {"since":MS, "uncounted":[DAY, MS, MS..]}     MS of that day, the one before it, ..
 *   {"account":S, "since":MS?, "more":B, "ports":[[PORT, PROTOCOL, FIRST, LAST, DAY, N, N..]..]} */
#include "proxy/seenfile.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "proxy/countfile.h"
#include "proxy/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHARE 50 /* of the time between two writings at most so much is taken up by one */

struct seenfile {
	struct countfile *file;
	struct seen_room *room;
	uint64_t since_ms;
	uint64_t day, uncounted[SEEN_DAYS]; /* of that day, the one before it, .. */
	/* a writing under way */
	struct account **accounts; /* references; NULL: none */
	size_t n, at;
	uint64_t wall_ms, took_us; /* when it began; of the main thread's time */
	uint64_t due_ms;           /* monotonic */
	bool failed;
};

uint64_t seenfile_since(const struct seenfile *f, const struct account *a, uint64_t now_ms)
{
	uint64_t since = f->since_ms > a->seen_since ? f->since_ms : a->seen_since, days = SEEN_DAYS * SEEN_DAY_MS;

	return now_ms > days && since < now_ms - days ? now_ms - days : since;
}

/* ---- time in which nobody counted ---- */

/* The row of days goes on until that of now. */
static void go_on(uint64_t *day, uint64_t days[SEEN_DAYS], uint64_t today)
{
	uint64_t by = today > *day ? today - *day : 0;

	if (by >= SEEN_DAYS) {
		memset(days, 0, SEEN_DAYS * sizeof *days);
	} else if (by) {
		memmove(days + by, days, (SEEN_DAYS - by) * sizeof *days);
		memset(days, 0, by * sizeof *days);
	}
	*day += by;
}

static void add_gap(struct seenfile *f, uint64_t from_ms, uint64_t until_ms)
{
	go_on(&f->day, f->uncounted, until_ms / SEEN_DAY_MS);
	for (uint64_t i = 0; i < SEEN_DAYS && i <= f->day; i++) {
		uint64_t begins = (f->day - i) * SEEN_DAY_MS, ends = begins + SEEN_DAY_MS, from = from_ms > begins ? from_ms : begins,
			 until = until_ms < ends ? until_ms : ends;

		f->uncounted[i] += until > from ? until - from : 0;
	}
}

uint64_t seenfile_uncounted_ms(const struct seenfile *f, uint64_t now_ms)
{
	uint64_t today = now_ms / SEEN_DAY_MS, past = today > f->day ? today - f->day : 0, sum = 0;

	for (uint64_t i = 0; i + past < SEEN_DAYS; i++)
		sum += f->uncounted[i];
	return sum;
}

/* ---- writing ---- */

/* day and days without the zeros at the end */
static void put_days(json_t *list, uint64_t day, const uint64_t days[SEEN_DAYS])
{
	size_t n = SEEN_DAYS;

	while (n && !days[n - 1])
		n--;
	json_array_append_new(list, json_integer((json_int_t)day));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer((json_int_t)days[i]));
}

static void put_account(struct seenfile *f, const struct account *a)
{
	struct seen_row rows[SEEN_MAX];
	size_t n = seen_rows(a, f->wall_ms, rows);
	bool later = a->seen_since > f->since_ms && a->seen_since + SEEN_DAYS * SEEN_DAY_MS > f->wall_ms,
	     more = atomic_load_explicit(&((struct account *)a)->seen_more, memory_order_relaxed);
	json_t *ports, *o;

	if (!n && !later && !more)
		return;
	ports = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *row = json_pack("[isII]", rows[i].port, protocol_name(rows[i].protocol), (json_int_t)rows[i].first_ms,
					(json_int_t)rows[i].last_ms);

		put_days(row, rows[i].day, rows[i].days);
		json_array_append_new(ports, row);
	}
	o = json_pack("{ss sb so}", "account", a->name, "more", (int)more, "ports", ports);
	if (o && later)
		json_object_set_new(o, "since", json_integer((json_int_t)a->seen_since));
	countfile_put(f->file, o);
}

static void let_go(struct seenfile *f)
{
	for (size_t i = 0; f->accounts && i < f->n; i++)
		account_unref(f->accounts[i]);
	free(f->accounts);
	f->accounts = NULL;
}

static void begin(struct seenfile *f, const struct table *t)
{
	json_t *uncounted = json_array();

	f->n = table_size(t);
	f->at = f->took_us = 0;
	f->accounts = calloc(f->n + 1, sizeof(struct account *));
	f->wall_ms = (uint64_t)now_ms();
	for (size_t i = 0; f->accounts && i < f->n; i++)
		f->accounts[i] = account_ref(table_at(t, i));
	put_days(uncounted, f->day, f->uncounted);
	countfile_begin(f->file);
	countfile_put(f->file, json_pack("{sI so}", "since", (json_int_t)f->since_ms, "uncounted", uncounted));
}

static void commit(struct seenfile *f)
{
	struct err err = {0};
	int rc = countfile_commit(f->file, &err);

	if (rc < 0 && !f->failed)
		log_warn("reason=\"%s\" advice=\"when shunt-proxy ends, by which ports visitors came will not be known\"", err.text);
	f->failed = rc < 0;
	let_go(f);
}

/* True: it is written. */
static bool go_on_writing(struct seenfile *f, size_t batch)
{
	int64_t began = mono_us();

	for (; f->accounts && f->at < f->n && batch; batch--)
		put_account(f, f->accounts[f->at++]);
	f->took_us += (uint64_t)(mono_us() - began);
	if (f->accounts && f->at < f->n)
		return false;
	if (f->accounts)
		commit(f);
	return true;
}

void seenfile_second(struct seenfile *f, const struct table *t, uint64_t mono_ms)
{
	uint64_t pause_ms;

	if (!f->accounts && mono_ms < f->due_ms)
		return;
	if (!f->accounts)
		begin(f, t);
	if (!go_on_writing(f, SEENFILE_BATCH))
		return;
	pause_ms = f->took_us * SHARE / 1000;
	f->due_ms = mono_ms + (pause_ms > SEENFILE_MS ? pause_ms : SEENFILE_MS);
}

void seenfile_write(struct seenfile *f, const struct table *t)
{
	let_go(f);
	begin(f, t);
	go_on_writing(f, SIZE_MAX);
}

/* ---- what another process has left ---- */

static uint64_t item(const json_t *list, size_t i)
{
	json_int_t n = json_integer_value(json_array_get(list, i));

	return n > 0 ? (uint64_t)n : 0;
}

static void take_days(const json_t *list, size_t at, uint64_t *day, uint64_t days[SEEN_DAYS])
{
	*day = item(list, at);
	for (size_t i = 0; i < SEEN_DAYS; i++)
		days[i] = item(list, at + 1 + i);
}

static bool protocol_of(const json_t *word, enum protocol *out)
{
	const char *s = json_string_value(word);

	for (int p = PROTOCOL_HTTP; s && p <= PROTOCOL_TCP; p++) {
		*out = (enum protocol)p;
		if (strcmp(s, protocol_name(*out)) == 0)
			return true;
	}
	return false;
}

static void restore_account(struct seenfile *f, const json_t *o, struct account *a)
{
	const json_t *since = json_object_get(o, "since"), *row;
	bool more = json_is_true(json_object_get(o, "more"));
	size_t i;

	if (since)
		a->seen_since = (uint64_t)json_integer_value(since);
	json_array_foreach (json_object_get(o, "ports"), i, row) {
		struct seen_row r = {.port = (uint16_t)item(row, 0), .first_ms = item(row, 2), .last_ms = item(row, 3)};

		take_days(row, 4, &r.day, r.days);
		if (protocol_of(json_array_get(row, 1), &r.protocol))
			more = !seen_restore(f->room, a, &r) || more;
	}
	atomic_store_explicit(&a->seen_more, more, memory_order_relaxed);
}

static void restore(struct seenfile *f, const struct table *t, const json_t *all)
{
	const json_t *first = json_array_get(all, 0), *o;
	size_t i;

	f->since_ms = (uint64_t)json_integer_value(json_object_get(first, "since"));
	take_days(json_object_get(first, "uncounted"), 0, &f->day, f->uncounted);
	for (i = 0; i < table_size(t); i++)
		table_at(t, i)->seen_since = f->since_ms; /* it was in the table of before */
	json_array_foreach (all, i, o) {
		const char *name = json_string_value(json_object_get(o, "account"));
		struct account *a = name ? table_find(t, name) : NULL;

		if (a)
			restore_account(f, o, a);
	}
}

static int read_file(struct seenfile *f, const struct table *t, struct err *err)
{
	struct countfile_lines lines;
	struct err why = {0};
	uint64_t now = (uint64_t)now_ms();
	int rc = countfile_read(f->file, &lines, &why);

	f->since_ms = now;
	if (rc == -EBADMSG) {
		log_warn("reason=\"%s\" advice=\"by which ports visitors came is counted anew\"", why.text);
		countfile_remove(f->file);
	}
	if (rc < 0)
		return rc == -ENOENT || rc == -EBADMSG ? 0 : err_set(err, rc, "%s", why.text);
	if (t) {
		restore(f, t, lines.all);
		add_gap(f, lines.until_ms, now);
	}
	json_decref(lines.all);
	return 0;
}

int seenfile_open(struct seenfile **out, const char *table_path, struct seen_room *room, const struct table *t, struct err *err)
{
	struct seenfile *f = calloc(1, sizeof *f);
	size_t len = strlen(table_path) + sizeof ".seen";
	char *path = malloc(len);
	int rc = f && path ? 0 : err_set(err, -ENOMEM, "out of memory");

	*out = f;
	if (rc == 0) {
		f->room = room;
		snprintf(path, len, "%s.seen", table_path);
		rc = countfile_new(&f->file, path, err);
	}
	if (rc == 0)
		rc = read_file(f, t, err);
	free(path);
	return rc;
}

void seenfile_close(struct seenfile *f)
{
	if (!f)
		return;
	let_go(f);
	countfile_free(f->file);
	free(f);
}
