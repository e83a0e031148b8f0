#include "control/status.h"

#include "control/clocks.h"
#include "control/past.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the step ---- */

static const struct {
	const char *clock, *text;
	int days; /* that it allows; 0: none */
} clocks[] = {
	{"start", "accounts move one by one", TRANSIT_DAYS},
	{"reinstall", "the client server is being reinstalled", 0},
	{"return", "accounts move home one by one", RELOCATE_DAYS},
	{"finish", "over", 0},
};

void status_step(struct app *a)
{
	json_t *o = json_object();
	const char *step = "preparation: no account has moved, and shunt start was not said";
	char at[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int64_t t;
		if (journal_clock(a->db, clocks[i].clock, &t, NULL) == 0)
			step = clocks[i].text;
	}
	out_line(&a->out, "%-10s %s", "step", step);
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int64_t t;
		if (journal_clock(a->db, clocks[i].clock, &t, NULL) < 0)
			continue;
		json_t *c = json_pack("{s:s}", "at", time_text(t, at));
		if (clocks[i].days) {
			int64_t left = t + clocks[i].days * DAY_MS - now_ms();
			json_object_set_new(c, "until", json_string(time_text(t + clocks[i].days * DAY_MS, until)));
			out_line(&a->out, "%-10s %s, until %s (%s%.1f days%s)", clocks[i].clock, at, until, left < 0 ? "over since " : "",
				 (double)(left < 0 ? -left : left) / DAY_MS, left < 0 ? "" : " left");
		} else {
			out_line(&a->out, "%-10s %s", clocks[i].clock, at);
		}
		json_object_set_new(o, clocks[i].clock, c);
	}
	out_set(&a->out, "step", json_string(step));
	out_set(&a->out, "clocks", o);
	clocks_status(a);
}

/* ---- the moves ---- */

static json_t *move_json(const struct move_row *m, bool alive)
{
	char at[TIME_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:i, s:s}", "account", m->account, "kind", m->kind,
			      "from", side_name(m->from), "to", side_name(m->to), "state", move_state_name(m->state), "step", m->step,
			      "direction", m->undo ? "undo" : "apply", "alive", alive, "started", time_text(m->started, at), "user",
			      m->who.user, "pid", m->who.pid, "host", m->who.host);
	if (m->percent >= 0)
		json_object_set_new(o, "percent", json_real(m->percent));
	if (m->eta)
		json_object_set_new(o, "eta", json_string(time_text(m->eta, at)));
	if (*m->reason)
		json_object_set_new(o, "reason", json_string(m->reason));
	return o;
}

/* Of all that go the way of those who move now. */
static void show_rest(struct app *a, const struct move_row *first, size_t going)
{
	struct acctset set = {0};
	struct past past = {0};
	int64_t since = 0;
	size_t n = 0, unknown = 0;
	char left[32];
	double gb = 0;
	journal_clock(a->db, "start", &since, NULL);
	if (journal_accounts(a->db, &set, NULL) < 0 || past_read(a->db, first->kind, since, &past, NULL) < 0) {
		acctset_done(&set);
		return;
	}
	double *gbs = calloc(set.n + 1, sizeof(*gbs));
	for (size_t i = 0; gbs && i < set.n; i++) {
		if (set.defs[i].side == first->to)
			continue;
		gbs[n++] = set.defs[i].databases_gb;
		gb += set.defs[i].databases_gb;
		unknown += set.defs[i].databases_gb <= 0;
	}
	double s = gbs ? past_left_s(&past, gbs, n, a->conf->control.parallel) : 0;
	out_line(&a->out, "%-10s %zu of %zu accounts on %s, %zu under way; all others (%.1f GB) take about %s at %.1f GB/min%s", "in all",
		 set.n - n, set.n, side_name(first->to), going, gb, progress_duration((int64_t)(s + 0.999), left), past_gb_per_min(&past),
		 past.n ? "" : ", which is not measured yet");
	out_set(&a->out, "in-all",
		json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:I, s:I}", "to", side_name(first->to), "there", (json_int_t)(set.n - n),
			  "left", (json_int_t)n, "under-way", (json_int_t)going, "left-gb", gb, "left-s", s, "gb-per-minute",
			  past_gb_per_min(&past), "measured-moves", (json_int_t)past.n, "sizes-unknown", (json_int_t)unknown));
	free(gbs);
	past_done(&past);
	acctset_done(&set);
}

static void show_open(struct app *a, const struct move_rows *open, size_t most)
{
	json_t *list = json_array();
	out_set(&a->out, "moves", list);
	for (size_t i = 0; i < open->n && i < most; i++) {
		const struct move_row *m = &open->rows[i];
		bool alive = (a->writes && m->who.pid == a->who.pid) ||
			     (a->locks && locks_held(a->locks, m->account_id)); /* our own lock we do not see */
		char who[256], left[32] = "", much[64] = "";
		json_array_append_new(list, move_json(m, alive));
		who_text(m, who, sizeof(who));
		if (m->percent >= 0)
			snprintf(much, sizeof(much), ", %.0f %%", m->percent);
		if (m->eta > now_ms())
			snprintf(much + strlen(much), sizeof(much) - strlen(much), ", about %s left",
				 progress_duration((m->eta - now_ms()) / 1000, left));
		if (m->state == MOVE_STUCK)
			out_line(&a->out, "STUCK      %s: %s -> %s, %s. shunt log %s tells more; mend it, then shunt resume %s", m->account,
				 side_name(m->from), side_name(m->to), m->reason, m->account, m->account);
		else if (!alive)
			out_line(&a->out, "INTERRUPTED %s: %s by %s is gone; shunt resume goes on", m->account, m->kind, who);
		else
			out_line(&a->out, "moving     %s: %s -> %s%s, by %s", m->account, side_name(m->from), side_name(m->to), much, who);
	}
	if (open->n > most)
		out_line(&a->out, "%-10s %zu more", "", open->n - most);
}

void status_moves(struct app *a, const char *name)
{
	struct move_rows open = {0};
	journal_moves_open(a->db, name, &open, NULL);
	show_open(a, &open, open.n);
	if (open.n && !name)
		show_rest(a, &open.rows[0], open.n);
	move_rows_done(&open);
}

#define MOVING_MAX 100

void status_moving(struct app *a)
{
	struct move_rows open = {0};
	journal_moves_open(a->db, NULL, &open, NULL);
	show_open(a, &open, MOVING_MAX);
	move_rows_done(&open);
}
