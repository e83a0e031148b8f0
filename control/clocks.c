#include "control/clocks.h"

#include "control/app.h"
#include "control/past.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 8

void clock_facts_done(struct clock_facts *f)
{
	free(f->ways_back);
	*f = (struct clock_facts){0};
}

static double days_between(int64_t from, int64_t to)
{
	return (double)(to - from) / DAY_MS;
}

static void date_text(int64_t ms, char out[TIME_TEXT_MAX])
{
	time_text(ms, out)[10] = '\0'; /* the day alone */
}

/* ---- the forecast ---- */

struct pace {
	double per_day, gb_per_day; /* 0: none */
};

static struct pace pace_of(double accounts, double gb, int64_t from, int64_t to)
{
	double days = days_between(from, to);
	days = days < 1 ? 1 : days;
	return (struct pace){accounts / days, gb / days};
}

static double days_for(const struct pace *p, double accounts, double gb)
{
	double by_number = accounts / p->per_day, by_gb = p->gb_per_day > 0 ? gb / p->gb_per_day : 0;
	return by_number > by_gb ? by_number : by_gb;
}

/* Days that are begun after the free ones. */
static int billed_until(const struct clock_facts *f, int64_t at)
{
	double days = days_between(f->start + TRANSIT_DAYS * DAY_MS, at);
	return days > 0 ? (int)ceil(days) : 0;
}

struct forecast clocks_forecast(const struct clock_facts *f)
{
	struct forecast c = {0};
	double away = (double)f->away, home = (double)(f->accounts - f->away), gb_home = f->gb - f->gb_away, all = (double)f->accounts,
	       days;
	struct pace p;
	if (!f->start || f->accounts == 0)
		return c;
	if (!f->reinstall) {
		p = pace_of(away, f->gb_away, f->start, f->now);
		if (f->away == 0)
			return c;
		days = days_for(&p, home, gb_home) + 1 + days_for(&p, all, f->gb);
	} else if (!f->ret) {
		double over = days_between(f->reinstall, f->now);
		p = pace_of(all, f->gb, f->start, f->reinstall);
		days = (over < 1 ? 1 - over : 0) + days_for(&p, all, f->gb);
	} else {
		p = f->away < f->accounts ? pace_of(home, gb_home, f->ret, f->now) : pace_of(all, f->gb, f->start, f->reinstall);
		days = days_for(&p, away, f->gb_away);
	}
	c.known = true;
	c.per_day = p.per_day;
	c.gb_per_day = p.gb_per_day;
	c.at = f->now + (int64_t)(fmin(days, 36500) * DAY_MS);
	c.billed_days = billed_until(f, c.at);
	return c;
}

void clocks_forecast_text(const struct forecast *c, char *out, size_t cap)
{
	char day[TIME_TEXT_MAX];
	*out = '\0';
	if (!c->known)
		return;
	date_text(c->at, day);
	snprintf(out, cap, "at this pace (%.1f account%s, %.1f GB a day) you finish on %s, %d day%s billed", c->per_day,
		 c->per_day == 1 ? "" : "s", c->gb_per_day, day, c->billed_days, c->billed_days == 1 ? "" : "s");
}

json_t *clocks_forecast_json(const struct forecast *c)
{
	char at[TIME_TEXT_MAX];
	if (!c->known)
		return json_null();
	return json_pack("{s:s, s:i, s:f, s:f}", "finish", time_text(c->at, at), "billed-days", c->billed_days, "accounts-per-day",
			 c->per_day, "gb-per-day", c->gb_per_day);
}

/* ---- warnings ---- */

static void add(json_t *list, const char *text)
{
	json_array_append_new(list, json_string(text));
}

static bool is_near(const struct clock_facts *f, int64_t until)
{
	return until - f->now <= CLOCK_WARN_DAYS * DAY_MS;
}

static void warn_of_rollback(const struct clock_facts *f, bool past, json_t *list)
{
	char text[NAMES_SHOWN * (ACCOUNT_NAME_MAX + 30) + 100];
	size_t n = 0, at = 0;
	if (f->reinstall || f->rollback_days == 0)
		return;
	at = (size_t)snprintf(text, sizeof(text), past ? "rollback has ended, and takes --force, for " : "rollback ends ");
	for (size_t i = 0; i < f->n_ways_back; i++) {
		const struct way_back *w = &f->ways_back[i];
		if ((w->until <= f->now) != past || !is_near(f, w->until))
			continue;
		if (n++ >= NAMES_SHOWN)
			continue;
		if (past)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", n > 1 ? ", " : "", w->name);
		else
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%sin %.1f days for %s", n > 1 ? ", " : "",
					       days_between(f->now, w->until), w->name);
	}
	if (n > NAMES_SHOWN)
		snprintf(text + at, sizeof(text) - at, ", and %zu more", n - NAMES_SHOWN);
	if (n)
		add(list, text);
}

static void warn_of_relocation(const struct clock_facts *f, json_t *list)
{
	char text[160], day[TIME_TEXT_MAX];
	int64_t until = f->ret + RELOCATE_DAYS * DAY_MS;
	if (!f->ret || f->away == 0 || !is_near(f, until))
		return;
	date_text(until, day);
	if (until > f->now)
		snprintf(text, sizeof(text), "one week to relocate: %.1f days left, until %s, and %zu account%s not home",
			 days_between(f->now, until), day, f->away, f->away == 1 ? " is" : "s are");
	else
		snprintf(text, sizeof(text), "the week to relocate ended on %s, and %zu account%s not home: shunt relocate --all", day,
			 f->away, f->away == 1 ? " is" : "s are");
	add(list, text);
}

static void warn_of_bill(const struct clock_facts *f, json_t *list)
{
	char text[160], day[TIME_TEXT_MAX];
	int64_t until = f->start + TRANSIT_DAYS * DAY_MS;
	int days = billed_until(f, f->now);
	if (!f->start || !is_near(f, until))
		return;
	date_text(until, day);
	if (until > f->now)
		snprintf(text, sizeof(text), "the transit server becomes billed in %.1f days, on %s", days_between(f->now, until), day);
	else
		snprintf(text, sizeof(text), "the transit server is billed since %s: %d day%s so far", day, days, days == 1 ? "" : "s");
	add(list, text);
}

json_t *clocks_warnings(const struct clock_facts *f)
{
	json_t *list = json_array();
	warn_of_rollback(f, true, list);
	warn_of_rollback(f, false, list);
	warn_of_relocation(f, list);
	warn_of_bill(f, list);
	return list;
}

/* ---- of this server ---- */

static void count(const struct acctset *set, struct clock_facts *f)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct acctdef *d = &set->defs[i];
		f->gb += d->databases_gb;
		f->away += d->side == SIDE_TRANSIT;
		f->gb_away += d->side == SIDE_TRANSIT ? d->databases_gb : 0;
	}
	f->accounts = set->n;
}

static void add_way_back(void *arg, const char *name, int64_t started)
{
	struct clock_facts *f = arg;
	if (!f->ways_back || f->n_ways_back >= f->away)
		return;
	struct way_back *w = &f->ways_back[f->n_ways_back++];
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->until = started + f->rollback_days * DAY_MS;
}

int clocks_read(struct app *a, struct clock_facts *out, struct err *err)
{
	struct acctset set;
	*out = (struct clock_facts){.now = now_ms(), .rollback_days = a->conf->control.rollback_days};
	journal_clock(a->db, "start", &out->start, NULL);
	journal_clock(a->db, "reinstall", &out->reinstall, NULL);
	journal_clock(a->db, "return", &out->ret, NULL);
	journal_clock(a->db, "finish", &out->finish, NULL);
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return rc;
	count(&set, out);
	acctset_done(&set);
	if (out->reinstall || out->away == 0)
		return 0;
	out->ways_back = calloc(out->away, sizeof(*out->ways_back));
	rc = past_migrated(a->db, add_way_back, out, err);
	if (rc < 0)
		clock_facts_done(out);
	return rc;
}

void clocks_status(struct app *a)
{
	struct clock_facts f;
	char text[200];
	size_t i;
	json_t *w;
	if (clocks_read(a, &f, NULL) < 0)
		return;
	json_t *warnings = clocks_warnings(&f);
	struct forecast c = clocks_forecast(&f);
	clocks_forecast_text(&c, text, sizeof(text));
	if (*text)
		out_line(&a->out, "%-10s %s", "forecast", text);
	json_array_foreach (warnings, i, w)
		out_line(&a->out, "%-10s %s", "WARNING", json_string_value(w));
	out_set(&a->out, "forecast", clocks_forecast_json(&c));
	out_set(&a->out, "warnings", warnings);
	clock_facts_done(&f);
}

void clocks_warn(struct app *a)
{
	struct clock_facts f;
	size_t i;
	json_t *w;
	if (!a->db || clocks_read(a, &f, NULL) < 0)
		return;
	json_t *warnings = clocks_warnings(&f);
	fflush(stdout);
	json_array_foreach (warnings, i, w) {
		if (!a->out.json)
			fprintf(stderr, "shunt: warning: %s\n", json_string_value(w));
	}
	out_set(&a->out, "warnings", warnings);
	clock_facts_done(&f);
}
