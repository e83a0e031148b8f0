/* The calendar: when it will be over, what is warned of, and how long moves take, from what has happened so far. */
#include "control/batch.h"
#include "control/clocks.h"
#include "control/probe.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY_0  1767225600000LL /* 2026-01-01 */
#define DAY(d) (DAY_0 + (int64_t)((d)*DAY_MS))
#define NEVER  -1

/* Days since day 0; NEVER: the clock does not run. */
static const struct {
	const char *what;
	double start, reinstall, ret, now;
	size_t accounts, away;
	double gb, gb_away;
	const char *text;
} forecasts[] = {
	{"not begun", NEVER, NEVER, NEVER, 1, 10, 0, 0, 0, ""},
	{"no account", 0, NEVER, NEVER, 1, 0, 0, 0, 0, ""},
	{"none has moved", 0, NEVER, NEVER, 3, 10, 0, 5, 0, ""},
	{"half in two days: two, one, and four", 0, NEVER, NEVER, 2, 10, 5, 0, 0,
	 "at this pace (2.5 accounts, 0.0 GB a day) you finish on 2026-01-10, 0 days billed"},
	{"within the first day, a day counts", 0, NEVER, NEVER, 0.01, 10, 5, 0, 0,
	 "at this pace (5.0 accounts, 0.0 GB a day) you finish on 2026-01-05, 0 days billed"},
	{"all in a day", 0, NEVER, NEVER, 0.5, 3, 3, 6, 6,
	 "at this pace (3.0 accounts, 6.0 GB a day) you finish on 2026-01-03, 0 days billed"},
	{"the large ones are left", 0, NEVER, NEVER, 2, 10, 5, 100, 10,
	 "at this pace (2.5 accounts, 5.0 GB a day) you finish on 2026-02-11, 27 days billed"},
	{"one account a day of ten", 0, NEVER, NEVER, 1, 10, 1, 0, 0,
	 "at this pace (1.0 account, 0.0 GB a day) you finish on 2026-01-22, 7 days billed"},
	{"being reinstalled", 0, 4, NEVER, 4.5, 8, 8, 0, 0,
	 "at this pace (2.0 accounts, 0.0 GB a day) you finish on 2026-01-10, 0 days billed"},
	{"reinstalled for long", 0, 4, NEVER, 9, 8, 8, 0, 0,
	 "at this pace (2.0 accounts, 0.0 GB a day) you finish on 2026-01-14, 0 days billed"},
	{"returned, none is home", 0, 4, 6, 6, 8, 8, 0, 0,
	 "at this pace (2.0 accounts, 0.0 GB a day) you finish on 2026-01-11, 0 days billed"},
	{"its own pace", 0, 4, 12, 14, 8, 6, 0, 0, "at this pace (1.0 account, 0.0 GB a day) you finish on 2026-01-21, 6 days billed"},
	{"all home", 0, 4, 12, 15, 8, 0, 0, 0, "at this pace (2.7 accounts, 0.0 GB a day) you finish on 2026-01-16, 1 day billed"},
};

static int64_t clock_at(double day)
{
	return day == NEVER ? 0 : DAY(day);
}

static void forecast(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forecasts) / sizeof(*forecasts); i++) {
		struct clock_facts f = {.now = DAY(forecasts[i].now),
					.start = clock_at(forecasts[i].start),
					.reinstall = clock_at(forecasts[i].reinstall),
					.ret = clock_at(forecasts[i].ret),
					.accounts = forecasts[i].accounts,
					.away = forecasts[i].away,
					.gb = forecasts[i].gb,
					.gb_away = forecasts[i].gb_away};
		struct forecast c = clocks_forecast(&f);
		char text[200];
		clocks_forecast_text(&c, text, sizeof(text));
		if (strcmp(text, forecasts[i].text) != 0)
			fail_msg("%s: \"%s\", expected \"%s\"", forecasts[i].what, text, forecasts[i].text);
		json_t *o = clocks_forecast_json(&c);
		assert_int_equal(json_is_null(o), !*text);
		json_decref(o);
	}
}

static const struct {
	double start, reinstall, ret, now;
	size_t away;
	double ways[3]; /* when the way back of a, b, c ends; 0: none */
	const char *texts;
} warnings[] = {
	{0, NEVER, NEVER, 1, 2, {7, 7.5}, ""},
	{0, NEVER, NEVER, 5, 2, {7, 7.5}, "rollback ends in 2.0 days for a\n"},
	{0, NEVER, NEVER, 6, 2, {7, 7.5}, "rollback ends in 1.0 days for a, in 1.5 days for b\n"},
	{0, NEVER, NEVER, 7.5, 3, {7, 7.5, 8}, "rollback has ended, and takes --force, for a, b\nrollback ends in 0.5 days for c\n"},
	{0, NEVER, NEVER, 11.9, 1, {0}, ""},
	{0, NEVER, NEVER, 12, 1, {0}, "the transit server becomes billed in 2.0 days, on 2026-01-15\n"},
	{0, NEVER, NEVER, 14, 1, {0}, "the transit server is billed since 2026-01-15: 0 days so far\n"},
	{0, NEVER, NEVER, 14.1, 1, {0}, "the transit server is billed since 2026-01-15: 1 day so far\n"},
	{0, 3, NEVER, 7.5, 2, {7, 7.5}, ""}, /* no account can be rolled back any more */
	{0, 2, 3, 7.9, 4, {0}, ""},
	{0, 2, 3, 8.5, 4, {0}, "one week to relocate: 1.5 days left, until 2026-01-11, and 4 accounts are not home\n"},
	{0, 2, 3, 8.5, 0, {0}, ""},
	{0, 2, 3, 11, 1, {0}, "the week to relocate ended on 2026-01-11, and 1 account is not home: shunt relocate --all\n"},
	{NEVER, NEVER, NEVER, 50, 0, {0}, ""},
};

static void warned(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(warnings) / sizeof(*warnings); i++) {
		struct way_back ways[3] = {0};
		struct clock_facts f = {.now = DAY(warnings[i].now),
					.start = clock_at(warnings[i].start),
					.reinstall = clock_at(warnings[i].reinstall),
					.ret = clock_at(warnings[i].ret),
					.accounts = 4,
					.away = warnings[i].away,
					.rollback_days = 7,
					.ways_back = ways};
		char text[600] = "";
		size_t k;
		json_t *w;
		for (; f.n_ways_back < 3 && warnings[i].ways[f.n_ways_back] > 0; f.n_ways_back++) {
			snprintf(ways[f.n_ways_back].name, sizeof(ways[0].name), "%c", (char)('a' + f.n_ways_back));
			ways[f.n_ways_back].until = DAY(warnings[i].ways[f.n_ways_back]);
		}
		json_t *list = clocks_warnings(&f);
		json_array_foreach (list, k, w)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s\n", json_string_value(w));
		if (strcmp(text, warnings[i].texts) != 0)
			fail_msg("row %zu: \"%s\", expected \"%s\"", i, text, warnings[i].texts);
		json_decref(list);
	}
}

/* A hundred names are not a hundred words. */
static void many_names(void **state)
{
	struct way_back ways[100] = {0};
	struct clock_facts f = {
		.now = DAY(9), .start = DAY(0), .accounts = 100, .away = 100, .rollback_days = 7, .ways_back = ways, .n_ways_back = 100};
	(void)state;
	for (size_t i = 0; i < 100; i++) {
		memset(ways[i].name, 'n', ACCOUNT_NAME_MAX);
		ways[i].until = DAY(i < 50 ? 8 : 10);
	}
	json_t *list = clocks_warnings(&f);
	assert_int_equal(json_array_size(list), 2);
	for (size_t i = 0; i < 2; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		assert_true(strlen(text) < 1000);
		assert_non_null(strstr(text, ", and 42 more"));
	}
	json_decref(list);
}

/* ---- how long moves take ---- */

static void near(double found, double wanted)
{
	if (fabs(found - wanted) > 0.01)
		fail_msg("found %g, expected %g", found, wanted);
}

static void pace(void **state)
{
	struct past p = {0};
	(void)state;
	near(past_move_s(&p, 3), 180); /* the rule of thumb */
	near(past_gb_per_min(&p), 1);
	assert_int_equal(past_add(&p, 5000, 0), 0);
	near(past_move_s(&p, 0), 5);
	near(past_move_s(&p, 1), 65); /* nothing was measured of a GB */
	assert_int_equal(past_add(&p, 10000, 0.001), 0);
	near(past_move_s(&p, 1), 5 + 65 / 1.001); /* a thousandth of a GB says little */
	assert_int_equal(past_add(&p, 5000 + 120000, 9), 0);
	near(past_gb_per_min(&p), 60 / (185 / 10.001));
	near(past_left_s(&p, (const double[]){9, 9, 0, 0}, 4, 2), (4 * 5 + 18 * 185 / 10.001) / 2);
	near(past_left_s(&p, (const double[]){9}, 1, 4), 5 + 9 * 185 / 10.001); /* one cannot be shared */
	near(past_left_s(&p, NULL, 0, 4), 0);
	past_done(&p);
}

static void batch(void **state)
{
	struct past p = {0};
	struct batch b;
	char text[200];
	(void)state;
	assert_int_equal(batch_init(&b, 4, 2, &p), 0);
	for (size_t i = 0; i < 4; i++)
		b.items[i].gb = 1;
	batch_text(&b, 1000, text, sizeof(text));
	assert_string_equal(text, "0 of 4 done, about 2 min left (1.0 GB/min, not measured yet)");
	batch_began(&b, 0, 1000);
	batch_began(&b, 1, 1000);
	assert_int_equal(batch_left_s(&b, 31000), (30 + 30 + 60 + 60) / 2);
	assert_int_equal(batch_left_s(&b, 301000), (1 + 1 + 60 + 60) / 2); /* later than was thought: it may be over any time */
	batch_over(&b, 0, 31000, true);
	batch_over(&b, 1, 31000, false);
	batch_text(&b, 31000, text, sizeof(text));
	assert_string_equal(text, "1 of 4 done, 1 failed, about 60 s left (2.0 GB/min)");
	batch_began(&b, 2, 31000);
	batch_over(&b, 2, 32000, true);
	batch_over(&b, 3, 32000, true);
	batch_text(&b, 32000, text, sizeof(text));
	assert_string_equal(text, "3 of 4 done, 1 failed");
	batch_done(&b);
}

/* ---- what probes say ---- */

#define PROBE(listener, to, ok, said)                                                                                                 \
	"{\"listener\":\"" listener "\",\"protocol\":\"tls\",\"name\":\"a.example\",\"came-to\":\"" to "\",\"at\":\"192.0.2.9:443\"," \
	"\"ok\":" ok ",\"said\":\"" said "\"}"
#define ANSWER(...) "{\"probes\":[" __VA_ARGS__ "]}"

static void failures(void **state)
{
	static const struct {
		const char *answer, *before;
		size_t n, excused;
		const char *text;
	} rows[] = {
		{ANSWER(), NULL, 0, 0, ""},
		{ANSWER(PROBE("x", "192.0.2.1", "true", "200")), NULL, 0, 0, ""},
		{ANSWER(PROBE("x", "192.0.2.1", "false", "503")), NULL, 1, 0, "x (tls, a.example at 192.0.2.9:443): 503"},
		{ANSWER(PROBE("x", "192.0.2.1", "false", "503")), ANSWER(PROBE("x", "192.0.2.1", "true", "200")), 1, 0,
		 "x (tls, a.example at 192.0.2.9:443): 503"},
		{ANSWER(PROBE("x", "192.0.2.1", "false", "503")), ANSWER(PROBE("x", "192.0.2.1", "false", "500")), 0, 1, ""},
		/* another listener, another address: another question */
		{ANSWER(PROBE("x", "192.0.2.1", "false", "503")), ANSWER(PROBE("y", "192.0.2.1", "false", "")), 1, 0,
		 "x (tls, a.example at 192.0.2.9:443): 503"},
		{ANSWER(PROBE("x", "192.0.2.1", "false", "a") "," PROBE("x", "192.0.2.2", "false", "b")),
		 ANSWER(PROBE("x", "192.0.2.1", "false", "")), 1, 1, "x (tls, a.example at 192.0.2.9:443): b"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[300];
		size_t excused;
		json_t *answer = json_loads(rows[i].answer, 0, NULL), *before = rows[i].before ? json_loads(rows[i].before, 0, NULL) : NULL;
		assert_non_null(answer);
		assert_int_equal(probe_failures(answer, before, &excused, text, sizeof(text)), rows[i].n);
		assert_int_equal(excused, rows[i].excused);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(probe_failures(answer, before, &excused, text, 8), rows[i].n); /* whatever fits */
		json_decref(answer);
		json_decref(before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forecast), cmocka_unit_test(warned), cmocka_unit_test(many_names),
		cmocka_unit_test(pace),     cmocka_unit_test(batch),  cmocka_unit_test(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
