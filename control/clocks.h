#pragma once
/* clocks - the calendar of the procedure: until when what is possible or free, what ends soon, and when it is over at the pace so far.
 *
 *   rollback   an account's way back ends rollback-days (7) after its migration began, and for all with `reinstall`
 *   transit    the transit server is free for two weeks from `start`, then billed by the day
 *   relocate   one week from `return`
 *
 * What ends is warned of from CLOCK_WARN_DAYS before on, and stated once it is past. The pace is accounts and GB of databases per day of
 * the phase that runs, counted over a day at least: owners move when they want, so an hour says nothing of the next one. What is left takes
 * as long as its accounts do or its GB do, whichever is longer. Of what has not begun (the reinstallation, relocating) the pace is taken to
 * be that of before, and a reinstallation to last a day. Pure but for clocks_read() and what tells. Units: ms since 1970 UTC, days of 24
 * hours. Ownership: json_t are returned new. */
#include "control/journal.h"

struct app;

#define DAY_MS          (86400 * 1000LL)
#define TRANSIT_DAYS    14
#define RELOCATE_DAYS   7
#define CLOCK_WARN_DAYS 2

struct clock_facts {
	int64_t now;
	int64_t start, reinstall, ret, finish; /* 0: does not run */
	int rollback_days;
	size_t accounts, away; /* away: on the transit server */
	double gb, gb_away;
	struct way_back {
		char name[ACCOUNT_NAME_MAX + 1];
		int64_t until;
	} * ways_back; /* of accounts that could be rolled back, the soonest end first; owned */
	size_t n_ways_back;
};
void clock_facts_done(struct clock_facts *f);

struct forecast {
	bool known; /* something has moved, and something is left to do */
	int64_t at;
	int billed_days;            /* begun ones, until then */
	double per_day, gb_per_day; /* the pace */
};
struct forecast clocks_forecast(const struct clock_facts *f);
/* "at this pace (3.0 accounts, 4.5 GB a day) you finish on 2026-12-03, 0 days billed"; "" where nothing is known. */
void clocks_forecast_text(const struct forecast *c, char *out, size_t cap);
json_t *clocks_forecast_json(const struct forecast *c); /* null where nothing is known */

/* Texts; an empty array: nothing to warn of. */
json_t *clocks_warnings(const struct clock_facts *f);

int clocks_read(struct app *a, struct clock_facts *out, struct err *err); /* then clock_facts_done() */
/* Lines "WARNING" and "forecast" of `shunt status`, and members "warnings" and "forecast". */
void clocks_status(struct app *a);
/* After a command that changes something: the same warnings, to standard error or as a member. */
void clocks_warn(struct app *a);
