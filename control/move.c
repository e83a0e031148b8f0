#include "control/move.h"

#include "control/price.h"
#include "control/steps.h"
#include "lib/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ETA_EVERY_MS     1000 /* to the proxy, and only when it changed */
#define LEFT_MAX_S       86400
#define WRITTEN_EVERY_MS 2000 /* to the journal: each is an fsync */

void move_init(struct move *m, struct mover *with, struct move_row *row)
{
	*m = (struct move){.with = with, .row = *row, .eta_sent = -1};
	memset(row, 0, sizeof(*row));
	if (!m->row.evidence)
		m->row.evidence = json_object();
}

void move_done(struct move *m)
{
	json_decref(m->evidence);
	json_decref(m->dns_account);
	json_decref(m->dns_plan);
	json_decref(m->dns_home);
	json_decref(m->probe_before);
	move_row_done(&m->row);
	memset(m, 0, sizeof(*m));
}

static bool cancelled(const struct move *m)
{
	struct pollfd p = {m->with->cancel_fd, POLLIN, 0};
	return p.fd >= 0 && poll(&p, 1, 0) > 0;
}

static void at(const struct move *m, const char *when)
{
	if (m->with->at)
		m->with->at(m->with->arg, m->row.step, when);
}

/* ---- how far it is ---- */

static int64_t clamp(int64_t s)
{
	return s > LEFT_MAX_S ? LEFT_MAX_S : s;
}

int64_t move_left(const struct move *m)
{
	if (m->row.percent >= 0 && m->line_left >= 0) {
		int64_t left = m->line_left - (mono_ms() - m->line_at) / 1000;
		if (left >= 0)
			return clamp(left);
		left = progress_left(m->row.percent, mono_ms() - m->step_at); /* later than its speed had promised */
		if (left >= 0)
			return clamp(left);
	}
	if (m->row.databases_gb <= 0)
		return -1;
	int64_t all = (int64_t)(m->row.databases_gb * 60 + 0.999); /* about one minute per GB of databases */
	if (strcmp(m->row.step, steps[STEP_COPYING].name) != 0)
		return clamp(all + m->row.drain);
	int64_t done = (mono_ms() - m->step_at) / 1000;
	return done < all ? clamp(all - done) : -1;
}

static void show(const struct move *m, int64_t left)
{
	progress_show(m->with->progress, m->row.account, m->undoing ? "going back" : m->row.step, m->row.percent, left);
}

bool move_may_fail_open(const struct move *m)
{
	return m->row.to == SIDE_CLIENT && m->with->netctl && m->with->conf->hook_seal;
}

void move_progress(struct move *m, double percent)
{
	m->row.percent = percent;
	m->line_at = mono_ms();
	m->line_left = progress_left(percent, m->line_at - m->step_at);
	move_tick(m);
}

void move_tick(struct move *m)
{
	int64_t now = mono_ms();
	bool copying = strcmp(m->row.step, steps[STEP_COPYING].name) == 0;
	int64_t left = move_left(m), over = left < 0 ? 0 : now_ms() + left * 1000;
	show(m, left);
	/* The proxy counts down by itself: it hears of it when the end has moved by more than a little. */
	int64_t off = over > m->eta_sent ? over - m->eta_sent : m->eta_sent - over;
	if (copying && left >= 0 && now - m->eta_sent_at >= ETA_EVERY_MS && off > 2000 + left * 50) {
		m->eta_sent_at = now;
		m->eta_sent = over;
		proxylink_tell(m->with->proxy, "eta", json_pack("{s:s, s:I}", "name", m->row.account, "seconds", (json_int_t)left), NULL);
	}
	m->row.eta = copying ? over : 0;
	if (now - m->written_at >= WRITTEN_EVERY_MS) {
		m->written_at = now;
		journal_move_progress(m->with->db, &m->row, NULL); /* lost: the next one tells */
	}
	if (m->with->tick)
		m->with->tick(m->with->arg);
}

/* ---- the journal ---- */

static void keep_evidence(struct move *m, int step)
{
	if (m->evidence && !m->undoing)
		json_object_set(m->row.evidence, steps[step].name, m->evidence);
}

static void drop_evidence(struct move *m)
{
	json_decref(m->evidence);
	m->evidence = NULL;
}

/* One transaction: what the step before has done (done, -1: none), and what is done next. */
static int put(struct move *m, int done, int next, struct err *err)
{
	char what[80];
	struct journal *db = m->with->db;
	int rc = journal_begin(db, err);
	if (rc < 0)
		return rc;
	if (done >= 0) {
		keep_evidence(m, done);
		snprintf(what, sizeof(what), "%s %s", m->undoing ? "undone:" : "done:", steps[done].name);
		rc = journal_note(db, m->row.account, m->row.id, what, m->evidence, err);
		if (rc == 0 && done == STEP_SWITCHED)
			rc = journal_account_side(db, m->row.account, m->undoing ? m->row.from : m->row.to, err);
		if (done == STEP_FENCED && !m->undoing)
			m->row.fenced = true;
	}
	if (next == STEP_RELEASED || (m->undoing && next <= STEP_HOLDING))
		m->row.fenced = false; /* should the proxy lose its table now, it may open the gate */
	snprintf(m->row.step, sizeof(m->row.step), "%s", steps[next].name);
	m->row.undo = m->undoing;
	m->row.percent = -1;
	m->line_left = -1;
	m->row.eta = 0;
	m->step_at = mono_ms();
	if (!m->undoing && next <= STEP_COPYING && move_left(m) > 0)
		m->row.eta = now_ms() + move_left(m) * 1000;
	snprintf(what, sizeof(what), "%s %s", m->undoing ? "undo:" : "begin:", m->row.step);
	if (rc == 0)
		rc = journal_move_put(db, &m->row, what, NULL, err);
	if (rc == 0)
		rc = journal_commit(db, err);
	else
		journal_rollback(db);
	if (rc == 0)
		drop_evidence(m);
	return rc;
}

static int finish(struct move *m, enum move_state state, int done, const char *reason, struct err *err)
{
	char what[80];
	struct journal *db = m->with->db;
	int rc = journal_begin(db, err);
	if (rc < 0)
		return rc;
	if (done >= 0 && state != MOVE_STUCK) {
		keep_evidence(m, done);
		snprintf(what, sizeof(what), "%s %s", m->undoing ? "undone:" : "done:", steps[done].name);
		rc = journal_note(db, m->row.account, m->row.id, what, m->evidence, err);
	}
	enum move_state was = m->row.state;
	m->row.state = state;
	m->row.fenced = state == MOVE_STUCK && m->row.fenced;
	m->row.percent = -1;
	m->row.eta = 0;
	if (reason)
		snprintf(m->row.reason, sizeof(m->row.reason), "%s", reason);
	json_t *e = reason ? json_pack("{s:s}", "reason", m->row.reason) : NULL;
	if (e && state == MOVE_STUCK && m->evidence)
		json_object_set(e, "evidence", m->evidence);
	if (rc == 0 && state == MOVE_DONE)
		rc = journal_account_side(db, m->row.account, m->row.to, err);
	if (rc == 0 && state == MOVE_UNDONE)
		rc = journal_account_side(db, m->row.account, m->row.from, err);
	snprintf(what, sizeof(what), "%s %s", m->row.kind, move_state_name(state));
	if (rc == 0)
		rc = journal_move_put(db, &m->row, what, e, err);
	json_decref(e);
	if (rc == 0)
		rc = journal_commit(db, err);
	else
		journal_rollback(db);
	if (rc < 0)
		m->row.state = was;
	return rc;
}

/* ---- backwards ---- */

static enum exit_code stuck(struct move *m, const char *doing, const char *why, struct err *err)
{
	char reason[sizeof(m->row.reason)];
	snprintf(reason, sizeof(reason), "%s %s: %.380s", doing, m->row.step, why);
	if (finish(m, MOVE_STUCK, -1, reason, err) < 0)
		snprintf(m->row.reason, sizeof(m->row.reason), "%s", reason);
	err_set(err, -EIO, "%s of %s is STUCK at %s. shunt log %s shows what happened; mend it, then shunt resume (--force passes over it)",
		m->row.kind, m->row.account, reason, m->row.account);
	return EXIT_STUCK;
}

static enum exit_code away(struct move *m, const char *why, struct err *err)
{
	err_set(err, -ECONNREFUSED,
		"%s of %s stopped at %s: %.600s. It is on disk; the next shunt command goes on with it, or shunt resume", m->row.kind,
		m->row.account, m->row.step, why);
	return EXIT_STUCK;
}

/* From step `from` down to the first. Undoing goes on when the journal cannot be written: visitors wait, and the undos are idempotent. */
static enum exit_code undo(struct move *m, int from, const char *why, struct err *err)
{
	struct err e = {0}, gap = {0};
	char reason[sizeof(m->row.reason)];
	int done = -1;

	snprintf(reason, sizeof(reason), "%s", why);
	snprintf(m->row.reason, sizeof(m->row.reason), "%s", why);
	if (m->with->force)
		json_object_set_new(m->row.evidence, "forced", json_true());
	if (m->evidence && from >= 0) { /* what the failing step said */
		json_object_set(m->row.evidence, steps[from].name, m->evidence);
		journal_note(m->with->db, m->row.account, m->row.id, "failed", m->evidence, &gap);
	}
	drop_evidence(m);
	m->undoing = true;
	for (int i = from; i >= 0; i--) {
		put(m, done, i, &gap);
		drop_evidence(m);
		show(m, -1);
		at(m, "undo-before");
		int rc = steps[i].undo(m, &e);
		if (rc == 0)
			at(m, "undo-after");
		else if (m->with->force && !proxylink_is_away(rc))
			journal_note(m->with->db, m->row.account, m->row.id, "undo failed, passed over by --force", NULL, NULL);
		else
			return proxylink_is_away(rc) ? away(m, e.text, err) : stuck(m, "undoing", e.text, err);
		done = i;
	}
	if (finish(m, MOVE_UNDONE, done, reason, &e) < 0)
		err_set(err, -EIO,
			"%s of %s failed and was undone (%.400s), but the journal could not be written (%.300s): shunt resume closes it",
			m->row.kind, m->row.account, reason, e.text);
	else if (gap.code)
		err_set(err, -EIO, "%s of %s failed and was undone: %.400s (lines are missing in its trail: %.300s)", m->row.kind,
			m->row.account, reason, gap.text);
	else
		err_set(err, -EIO, "%s of %s failed and was undone: %s", m->row.kind, m->row.account, reason);
	if (!*m->owed)
		return EXIT_UNDONE;
	err_set(err, -EAGAIN,
		"%s of %s failed and was undone (%.300s), but DNS still leads home: %.500s; the proxy forwards, and `shunt resume` tries "
		"again",
		m->row.kind, m->row.account, reason, m->owed);
	return EXIT_STUCK;
}

/* ---- forwards ---- */

/* From the seal on the new side takes writes. Where that is the client server, whoever came while the proxy was away was led to it (fail
 * open), and what it has accepted it alone has: to go back would lose that. The fence, asked for once more, tells; what it has told once is
 * on disk, and so is that a person gave it up. */
static int has_failed_open(struct move *m, bool *yes, struct err *err)
{
	json_t *answer = NULL;
	enum side side;
	enum gate gate;
	*yes = false;
	if (!move_may_fail_open(m) || m->with->force || json_is_true(json_object_get(m->row.evidence, "forced")))
		return 0;
	*yes = json_is_true(json_object_get(m->row.evidence, MOVE_FAILED_OPEN));
	if (*yes)
		return 0;
	int rc = proxylink_account(m->with->proxy, m->row.account, &side, &gate, err);
	if (rc < 0 || gate != GATE_FENCED)
		return rc;
	rc = proxylink_ask(m->with->proxy, "fence", json_pack("{s:s}", "name", m->row.account), 0, &answer, err);
	*yes = rc == 0 && json_is_true(json_object_get(json_object_get(answer, "evidence"), "failed-open"));
	if (*yes)
		json_object_set_new(m->row.evidence, MOVE_FAILED_OPEN, json_true());
	json_decref(answer);
	return rc;
}

/* Before the switch is true: back, unless that may lose something. */
static enum exit_code back(struct move *m, int from, const char *why, struct err *err)
{
	struct err e = {0};
	char text[400];
	bool failed_open = false;
	int rc = from >= STEP_SEALED ? has_failed_open(m, &failed_open, &e) : 0;
	if (rc == 0 && !failed_open)
		return undo(m, from, why, err);
	if (rc < 0)
		snprintf(text, sizeof(text), "%.180s; %.200s", why, e.text);
	else
		snprintf(text, sizeof(text),
			 "%.180s. The proxy was away meanwhile, and what the client server has accepted is there alone: resume goes on, "
			 "resume --force goes back and loses it",
			 why);
	return proxylink_is_away(rc) ? away(m, text, err) : stuck(m, "applying", text, err);
}

/* The switch failed, or its answer was lost: the proxy knows whether it is true. */
static enum exit_code switch_failed(struct move *m, const char *why, bool *go_on, struct err *err)
{
	struct err e = {0};
	enum side side;
	enum gate gate;
	*go_on = false;
	int rc = proxylink_account(m->with->proxy, m->row.account, &side, &gate, &e);
	if (rc < 0)
		return proxylink_is_away(rc) ? away(m, e.text, err) : stuck(m, "applying", e.text, err);
	if (side != m->row.to)
		return back(m, STEP_SWITCHED, why, err);
	*go_on = true;
	return EXIT_DONE;
}

/* Asked before anything was done, and the answer was no. */
static enum exit_code refused(struct move *m, const char *why, struct err *err)
{
	enum exit_code x = undo(m, STEP_PREPARING, why, err);

	if (x != EXIT_UNDONE || m->row.state != MOVE_UNDONE)
		return x;
	err_set(err, -EPERM, "%s of %s is refused, nothing was changed: %.900s", m->row.kind, m->row.account, why);
	return EXIT_REFUSED;
}

static enum exit_code failed(struct move *m, int i, const char *why, int code, bool *go_on, struct err *err)
{
	*go_on = false;
	if (i == STEP_PREPARING && code == -EPERM)
		return refused(m, why, err);
	if (i < STEP_SWITCHED)
		return back(m, i, why, err);
	if (i == STEP_SWITCHED)
		return switch_failed(m, why, go_on, err);
	return proxylink_is_away(code) ? away(m, why, err) : stuck(m, "applying", why, err);
}

/* Moved and served; but who is told by DNS where? */
static enum exit_code owing(const struct move *m, struct err *err)
{
	const char *side = side_name(m->row.to);
	if (m->row.to == SIDE_TRANSIT)
		err_set(err, -EAGAIN,
			"%s is moved and served by %s, but its DNS is not published: %s; the proxy goes on forwarding; `shunt resume` "
			"tries "
			"again",
			m->row.account, side, m->owed);
	else
		err_set(err, -EAGAIN,
			"%s is back and served by %s, but its DNS is not: %s; who is led to the transit server by it passes by the proxy; "
			"`shunt resume` tries again",
			m->row.account, side, m->owed);
	return EXIT_STUCK;
}

/* done: the step that is true already and not recorded as such, -1: none. */
static enum exit_code forward(struct move *m, int first, int done, struct err *err)
{
	struct err e = {0};
	for (int i = first; i < N_STEPS; i++) {
		int rc = m->unwritten ? 0 : put(m, done, i, &e);
		if (rc < 0 && i <= STEP_SWITCHED)
			return back(m, done < 0 && first > 0 ? first : done, e.text, err);
		if (rc < 0) { /* the switch is true and visitors wait: they are let go first; what needs the journal is left to resume */
			m->unwritten = true;
			i = STEP_RELEASED;
			snprintf(m->row.step, sizeof(m->row.step), "%s", steps[i].name);
		}
		drop_evidence(m);
		show(m, i <= STEP_COPYING ? move_left(m) : -1);
		/* nothing is open yet that one might have to stay for, unless that is why it goes on from here */
		if (i == STEP_SEALED && first < STEP_SEALED && cancelled(m))
			return undo(m, STEP_COPYING, "interrupted", err);
		if (i <= STEP_SWITCHED && cancelled(m)) {
			rc = err_set(&e, -EINTR, "interrupted");
		} else {
			at(m, "before");
			rc = steps[i].apply(m, &e);
			if (rc == 0)
				at(m, "after");
		}
		if (rc < 0) {
			bool go_on;
			enum exit_code x = failed(m, i, e.text, rc, &go_on, err);
			if (!go_on)
				return x;
		}
		done = i;
	}
	if (m->unwritten || finish(m, MOVE_DONE, done, NULL, &e) < 0) {
		err_set(err, -EIO, "%s is served by %s, but the journal could not be written (%.500s): mend that, then shunt resume",
			m->row.account, side_name(m->row.to), e.text);
		return EXIT_STUCK;
	}
	return *m->owed ? owing(m, err) : EXIT_DONE;
}

/* What was agreed to before it began (price.h) is on disk with its beginning. */
static int begin(struct move *m, struct err *err)
{
	struct journal *db = m->with->db;
	json_t *price = json_object_get(m->row.evidence, "price");
	int rc = journal_begin(db, err);
	if (rc < 0)
		return rc;
	rc = journal_move_begin(db, &m->row, err);
	if (rc == 0 && price)
		rc = journal_note(db, m->row.account, m->row.id, TRAIL_PRICE, price, err);
	if (rc == 0)
		return journal_commit(db, err);
	journal_rollback(db);
	return rc;
}

/* A commit that has failed may be there all the same: when the directory could not be synced after its journal was gone. */
static bool begun(const struct move *m)
{
	struct move_rows open;
	if (!m->row.id || journal_moves_open(m->with->db, m->row.account, &open, NULL) < 0)
		return false;
	bool it_is = open.n && open.rows[0].id == m->row.id;
	move_rows_done(&open);
	return it_is;
}

enum exit_code move_run(struct move *m, struct err *err)
{
	struct err e = {0};
	snprintf(m->row.step, sizeof(m->row.step), "%s", steps[0].name);
	int rc = begin(m, &e);
	if (rc < 0 && begun(m))
		return undo(m, -1, e.text, err);
	if (rc < 0) {
		err_set(err, rc, rc == -EPERM ? "%s of %s refused: %s" : "%s of %s refused: its way back cannot be written (%s)",
			m->row.kind, m->row.account, e.text);
		return EXIT_REFUSED;
	}
	enum exit_code x = forward(m, 0, -1, err);
	progress_clear(m->with->progress);
	return x;
}

enum exit_code move_resume(struct move *m, struct err *err)
{
	struct err e = {0};
	enum side side;
	enum gate gate;
	enum exit_code x;
	int step = step_find(m->row.step);

	int rc = proxylink_account(m->with->proxy, m->row.account, &side, &gate, &e);
	if (rc < 0) {
		x = proxylink_is_away(rc) ? away(m, e.text, err) : stuck(m, "resuming at", e.text, err);
		goto out;
	}
	rc = journal_move_owner(m->with->db, &m->row, &e);
	if (rc == 0)
		rc = journal_note(m->with->db, m->row.account, m->row.id, "resumed", NULL, &e);
	if (rc < 0 && gate == GATE_OPEN) { /* nobody waits: better later than unrecorded */
		err_set(err, rc, "%s of %s cannot be resumed: %s", m->row.kind, m->row.account, e.text);
		x = EXIT_STUCK;
		goto out;
	}
	m->row.state = MOVE_MOVING;
	bool failed_open = false;
	/* also where it was being undone: it turns round. The new side may not have been sealed yet; the old one, which may be open again,
	 * is sealed once more, and nobody has come to it, for the gate is fenced */
	rc = step >= STEP_SEALED ? has_failed_open(m, &failed_open, &e) : 0;
	if (rc < 0) {
		x = proxylink_is_away(rc) ? away(m, e.text, err) : stuck(m, "resuming at", e.text, err);
	} else if (step < 0) {
		x = stuck(m, "resuming at", "this shunt does not know the step", err);
	} else if (side == m->row.to && step < STEP_SWITCHED) {
		x = stuck(m, "resuming at", "the proxy says it has switched already, the journal that it had not begun to", err);
	} else if (side == m->row.to && !m->row.undo) {
		x = forward(m, STEP_PUBLISHED, STEP_SWITCHED, err);
	} else if (failed_open) {
		x = forward(m, STEP_SEALED, -1, err);
	} else {
		char why[sizeof(m->row.reason)];
		snprintf(why, sizeof(why), "%s", *m->row.reason && m->row.undo ? m->row.reason : "interrupted");
		x = undo(m, step, why, err);
		x = x == EXIT_UNDONE || x == EXIT_REFUSED ? EXIT_DONE : x; /* to resume it was to undo it */
	}
out:
	progress_clear(m->with->progress);
	return x;
}
