/* Metrics from the state database: accounts, clocks, moves. */
#include "control/clocks.h"
#include "control/db.h"
#include "control/metrics.h"
#include "control/network.h"
#include "control/publish.h"

#include <string.h>
#include <sys/stat.h>

/* ---- the calendar ---- */

static const char *step_of(const struct clock_facts *f)
{
	return f->finish ? "over" : f->ret ? "relocating" : f->reinstall ? "reinstalling" : f->start ? "moving" : "preparation";
}

static void tell_step(struct expo *e, const struct clock_facts *f)
{
	static const char *const steps[] = {"preparation", "moving", "reinstalling", "relocating", "over"};
	const char *now = step_of(f);
	expo_family(e, "shunt_step", EXPO_GAUGE, "Where the server is in the procedure: 1 for that step, 0 for the others.");
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		expo_sample(e, EXPO_LABELS({"step", steps[i]}), strcmp(steps[i], now) == 0);
}

static void tell_clocks(struct expo *e, const struct clock_facts *f)
{
	const struct {
		const char *name;
		int64_t at;
	} clocks[] = {{"start", f->start}, {"reinstall", f->reinstall}, {"return", f->ret}, {"finish", f->finish}};
	expo_family(e, "shunt_clock_timestamp_seconds", EXPO_GAUGE,
		    "When a clock of the procedure began to run; absent where it does not.");
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		if (clocks[i].at)
			expo_sample(e, EXPO_LABELS({"clock", clocks[i].name}), (double)clocks[i].at / 1000);
	}
}

/* What ends; of ways back the soonest, which those that have ended are not. */
static void tell_deadlines(struct expo *e, const struct clock_facts *f)
{
	size_t i = 0;
	while (i < f->n_ways_back && f->ways_back[i].until <= f->now)
		i++;
	expo_family(e, "shunt_deadline_timestamp_seconds", EXPO_GAUGE,
		    "What ends when: rollback, the next account's way back; transit, the free days of the transit server; relocate, the "
		    "time to "
		    "bring accounts home. Absent where there is none.");
	if (i < f->n_ways_back)
		expo_sample(e, EXPO_LABELS({"deadline", "rollback"}), (double)f->ways_back[i].until / 1000);
	if (f->start && !f->finish)
		expo_sample(e, EXPO_LABELS({"deadline", "transit"}), (double)(f->start + TRANSIT_DAYS * DAY_MS) / 1000);
	if (f->ret && !f->finish && f->away)
		expo_sample(e, EXPO_LABELS({"deadline", "relocate"}), (double)(f->ret + RELOCATE_DAYS * DAY_MS) / 1000);
	expo_one(e, "shunt_rollback_accounts", EXPO_GAUGE, "Accounts on the transit server that can still be rolled back.",
		 (double)(f->n_ways_back - i));
	struct forecast c = clocks_forecast(f);
	if (!c.known)
		return;
	expo_one(e, "shunt_forecast_end_timestamp_seconds", EXPO_GAUGE, "When all accounts are home again, at the pace so far.",
		 (double)c.at / 1000);
	expo_one(e, "shunt_forecast_billed_seconds", EXPO_GAUGE, "Begun days of the transit server that are paid for, at the pace so far.",
		 c.billed_days * (double)DAY_MS / 1000);
}

static void tell_accounts(struct expo *e, const struct clock_facts *f)
{
	expo_family(e, "shunt_accounts", EXPO_GAUGE, "Accounts by the side they are on.");
	expo_sample(e, EXPO_LABELS({"side", "client"}), (double)(f->accounts - f->away));
	expo_sample(e, EXPO_LABELS({"side", "transit"}), (double)f->away);
	expo_family(e, "shunt_databases_bytes", EXPO_GAUGE, "Databases of the accounts by the side they are on, as they were imported.");
	expo_sample(e, EXPO_LABELS({"side", "client"}), (f->gb - f->gb_away) * 1e9);
	expo_sample(e, EXPO_LABELS({"side", "transit"}), f->gb_away * 1e9);
}

/* ---- moves ---- */

static const char *const kinds[] = {"migrate", "rollback", "relocate"};
#define N_KINDS (sizeof(kinds) / sizeof(*kinds))

static const double move_bounds[] = {10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400};
static const double downtime_bounds[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400};
static const double publish_bounds[] = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};
#define HISTOGRAM(b)                                         \
	{                                                    \
		.bounds = (b), .n = sizeof(b) / sizeof(*(b)) \
	}

struct moves {
	double ended[N_KINDS][2]; /* done, undone */
	struct expo_histogram took[N_KINDS], downtime[N_KINDS], publish;
};

static size_t kind_of(const char *word)
{
	size_t i = 0;
	while (i < N_KINDS && strcmp(kinds[i], word) != 0)
		i++;
	return i;
}

/* How long the proxy held the account, from the evidence of its release; and until the last server showed what the move had changed in
 * DNS. */
static int count_moves(struct app *a, struct moves *m)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(
		a->db->db, &st, NULL,
		"SELECT kind, state, changed - started, json_extract(evidence, '$.released.evidence.\"hold-ms\"'),"
		" CASE WHEN json_extract(evidence, '$.published.published') AND json_extract(evidence, '$.published.changed') > 0 THEN"
		"  (SELECT max(json_extract(s.value, '$.\"after-ms\"'))"
		"   FROM json_each(evidence, '$.published.zones') z, json_each(z.value, '$.servers') s"
		"   WHERE json_extract(z.value, '$.changes') > 0) END "
		"FROM moves WHERE state IN ('done', 'undone')",
		"");
	while (rc == 0 && (rc = db_next(a->db->db, st, NULL)) == 1) {
		size_t kind = kind_of(db_text(st, 0));
		bool done = strcmp(db_text(st, 1), "done") == 0;
		rc = 0;
		if (kind == N_KINDS)
			continue;
		m->ended[kind][!done]++;
		if (!done)
			continue;
		expo_observe(&m->took[kind], (double)sqlite3_column_int64(st, 2) / 1000);
		if (sqlite3_column_type(st, 3) != SQLITE_NULL)
			expo_observe(&m->downtime[kind], sqlite3_column_double(st, 3) / 1000);
		if (sqlite3_column_type(st, 4) != SQLITE_NULL)
			expo_observe(&m->publish, sqlite3_column_double(st, 4) / 1000);
	}
	sqlite3_finalize(st);
	return rc;
}

static void tell_moves(struct app *a, struct expo *e)
{
	struct moves m = {.publish = HISTOGRAM(publish_bounds)};
	for (size_t i = 0; i < N_KINDS; i++) {
		m.took[i] = (struct expo_histogram)HISTOGRAM(move_bounds);
		m.downtime[i] = (struct expo_histogram)HISTOGRAM(downtime_bounds);
	}
	if (count_moves(a, &m) < 0)
		return;
	expo_family(e, "shunt_moves_total", EXPO_COUNTER, "Moves that are over, by kind and by what became of them.");
	for (size_t i = 0; i < N_KINDS; i++) {
		expo_sample(e, EXPO_LABELS({"kind", kinds[i]}, {"outcome", "done"}), m.ended[i][0]);
		expo_sample(e, EXPO_LABELS({"kind", kinds[i]}, {"outcome", "undone"}), m.ended[i][1]);
	}
	expo_family(e, "shunt_move_duration_seconds", EXPO_HISTOGRAM,
		    "How long moves took that are done, from their first step to their last.");
	for (size_t i = 0; i < N_KINDS; i++)
		expo_histogram(e, EXPO_LABELS({"kind", kinds[i]}), &m.took[i]);
	expo_family(e, "shunt_move_downtime_seconds", EXPO_HISTOGRAM,
		    "How long the gate of an account was closed during a move that is done, as the proxy saw it.");
	for (size_t i = 0; i < N_KINDS; i++)
		expo_histogram(e, EXPO_LABELS({"kind", kinds[i]}), &m.downtime[i]);
	expo_family(e, "shunt_dns_publish_delay_seconds", EXPO_HISTOGRAM,
		    "From the change of an account's records by a move until the last authoritative server showed it.");
	expo_histogram(e, NULL, &m.publish);
}

static const char *state_of(struct app *a, const struct move_row *m)
{
	if (m->state == MOVE_STUCK)
		return "stuck";
	return a->locks && !locks_held(a->locks, m->account_id) ? "interrupted" : "moving";
}

static void tell_open_moves(struct app *a, struct expo *e)
{
	static const char *const states[] = {"moving", "interrupted", "stuck"};
	struct move_rows open;
	if (journal_moves_open(a->db, NULL, &open, NULL) < 0)
		return;
	expo_family(e, "shunt_moves_open", EXPO_GAUGE,
		    "Moves that are not over: moving, interrupted (whoever made it is gone), stuck (a person must decide).");
	for (size_t s = 0; s < 3; s++) {
		double n = 0;
		for (size_t i = 0; i < open.n; i++)
			n += strcmp(state_of(a, &open.rows[i]), states[s]) == 0;
		expo_sample(e, EXPO_LABELS({"state", states[s]}), n);
	}
	expo_family(e, "shunt_move_start_timestamp_seconds", EXPO_GAUGE, "When a move that is not over began; of the 100 oldest.");
	for (size_t i = 0; i < open.n && i < METRICS_NAMED; i++)
		expo_sample(e, EXPO_LABELS({"account", open.rows[i].account}, {"kind", open.rows[i].kind}, {"step", open.rows[i].step}),
			    (double)open.rows[i].started / 1000);
	expo_family(e, "shunt_move_step_timestamp_seconds", EXPO_GAUGE, "When such a move last came on; of the 100 oldest.");
	for (size_t i = 0; i < open.n && i < METRICS_NAMED; i++)
		expo_sample(e, EXPO_LABELS({"account", open.rows[i].account}, {"kind", open.rows[i].kind}, {"step", open.rows[i].step}),
			    (double)open.rows[i].changed / 1000);
	move_rows_done(&open);
}

/* ---- what is not over ---- */

static void tell_intents(struct app *a, struct expo *e)
{
	static const struct {
		const char *mark, *command;
	} intents[] = {{MARK_START, "start"}, {MARK_REINSTALL, "reinstall"}, {MARK_RETURN, "return"}, {MARK_FINISH, "finish"}};
	bool alive = !a->locks || locks_held(a->locks, LOCK_NET); /* who may not look at the locks does not know */
	expo_family(e, "shunt_intents_interrupted", EXPO_GAUGE,
		    "Whether that command for the whole server was begun, is not over, and whoever gave it is gone.");
	for (size_t i = 0; i < sizeof(intents) / sizeof(*intents); i++)
		expo_sample(e, EXPO_LABELS({"command", intents[i].command}), network_mark(a, intents[i].mark) && !alive);
}

static void tell_owed(struct app *a, struct expo *e)
{
	json_t *owed = NULL;
	if (journal_marks(a->db, MARK_DNS, &owed, NULL) < 0)
		return;
	expo_one(e, "shunt_dns_owed_accounts", EXPO_GAUGE, "Accounts whose records are not as their last move wanted them.",
		 (double)json_array_size(owed));
	json_decref(owed);
}

static void tell_file(struct app *a, struct expo *e)
{
	struct trail_head head;
	struct stat st;
	if (journal_head(a->db, &head, NULL) == 0)
		expo_one(e, "shunt_trail_lines_total", EXPO_COUNTER, "Lines of the audit trail.", (double)head.lines);
	if (stat(app_state_path(a), &st) == 0)
		expo_one(e, "shunt_journal_size_bytes", EXPO_GAUGE, "Size of the state database.", (double)st.st_size);
}

void metrics_journal(struct app *a, struct expo *e)
{
	struct clock_facts f;
	if (!a->db)
		return;
	if (clocks_read(a, &f, NULL) == 0) {
		tell_step(e, &f);
		tell_clocks(e, &f);
		tell_deadlines(e, &f);
		tell_accounts(e, &f);
		clock_facts_done(&f);
	}
	tell_moves(a, e);
	tell_open_moves(a, e);
	tell_intents(a, e);
	tell_owed(a, e);
	tell_file(a, e);
}
