/* migrate, rollback, relocate: the guards, then one move per account. One account moves in this process; several each in a child of its
 * own, so that what befalls one cannot touch another, at most `parallel` at a time. The parent keeps no database open meanwhile (SQLite
 * connections and forks do not mix) and collects one JSON object from each. */
#include "control/app.h"
#include "control/batch.h"
#include "control/clocks.h"
#include "control/guards.h"
#include "control/moved.h"
#include "control/network.h"
#include "control/price.h"
#include "control/publish.h"
#include "control/steps.h"
#include "control/sync.h"
#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct kind {
	const char *name;
	enum side from, to;
};
static const struct kind migrate = {"migrate", SIDE_CLIENT, SIDE_TRANSIT};
static const struct kind rollback = {"rollback", SIDE_TRANSIT, SIDE_CLIENT};
static const struct kind relocate = {"relocate", SIDE_TRANSIT, SIDE_CLIENT};

/* ---- guards ---- */

static int guard_clocks(struct app *a, const struct kind *k, struct err *err)
{
	int64_t at;
	bool reinstalled = journal_clock(a->db, "reinstall", &at, err) == 0;
	bool returned = journal_clock(a->db, "return", &at, err) == 0;
	if (network_mark(a, MARK_REINSTALL) || network_mark(a, MARK_FINISH))
		return err_set(err, -EPERM, "%s refused: shunt %s is at work or was interrupted; shunt status shows, shunt resume goes on",
			       k->name, network_mark(a, MARK_FINISH) ? "finish" : "reinstall");
	if (k == &relocate && !returned)
		return err_set(err, -EPERM,
			       "relocate refused: the client server's addresses have not come back to it. shunt return brings them, after "
			       "the reinstallation");
	if (k == &rollback && reinstalled)
		return err_set(err, -EPERM,
			       "rollback refused: the reinstallation has begun, the client server no longer has the accounts. After it, "
			       "shunt return and shunt relocate bring them home");
	if (k == &migrate && reinstalled)
		return err_set(err, -EPERM, "migrate refused: the reinstallation has begun");
	return 0;
}

static int guard_window(struct app *a, const struct kind *k, const char *name, struct err *err)
{
	struct move_row last;
	char at[TIME_TEXT_MAX];
	if (k != &rollback || a->opt.force)
		return 0;
	int rc = journal_move_last(a->db, name, "migrate", &last, err);
	if (rc == -ENOENT)
		return 0; /* it came here by an import: there is no date to count from */
	if (rc < 0)
		return rc;
	int days = a->conf->control.rollback_days;
	if (now_ms() - last.started > days * DAY_MS)
		rc = err_set(err, -EPERM,
			     "rollback of %s refused: it was migrated at %s, more than %d days ago (rollback-days), and its copy on the "
			     "client server is that "
			     "old. --force does it all the same",
			     name, time_text(last.started, at), days);
	move_row_done(&last);
	return rc;
}

static int guard_open(struct app *a, const char *name, bool locked_by_us, struct err *err)
{
	struct move_rows open;
	char who[256];
	int rc = journal_moves_open(a->db, name, &open, err);
	if (rc < 0)
		return rc;
	if (open.n && open.rows[0].state == MOVE_STUCK)
		rc = err_set(err, -EBUSY, "%s is STUCK: %s %.300s. Mend that, then shunt resume %s", name, open.rows[0].kind,
			     open.rows[0].reason, name);
	else if (open.n && locked_by_us)
		rc = err_set(err, -EBUSY, "%s: a %s was interrupted and could not be finished: shunt resume %s", name, open.rows[0].kind,
			     name);
	else if (open.n) {
		who_text(&open.rows[0], who, sizeof(who));
		rc = err_set(err, -EBUSY, "%s is being moved (%s) by %s: wait until it is over, or stop it there (Ctrl-C, kill %d)", name,
			     open.rows[0].kind, who, open.rows[0].who.pid);
	} else if (!locked_by_us)
		rc = err_set(err, -EBUSY, "%s: another shunt has just begun with it; shunt status shows", name);
	move_rows_done(&open);
	return rc;
}

/* ---- one account ---- */

static enum exit_code result(json_t *o, enum exit_code x, const struct err *err)
{
	json_object_set_new(o, "exit", json_integer(x));
	if (x)
		json_object_set_new(o, "error", json_string(err->text));
	return x;
}

static void fill_row(struct app *a, const struct kind *k, const struct account_row *account, struct move_row *row)
{
	*row = (struct move_row){.account_id = account->id, .from = k->from, .to = k->to, .percent = -1};
	snprintf(row->account, sizeof(row->account), "%s", account->def.name);
	snprintf(row->kind, sizeof(row->kind), "%s", k->name);
	row->drain = a->opt.drain >= 0 ? a->opt.drain : a->conf->proxy.drain;
	row->max_wait = a->opt.max_wait;
	row->databases_gb = account->def.databases_gb;
	row->no_dns = a->opt.no_dns;
	json_t *price = json_object_get(a->prices, row->account);
	if (price)
		row->evidence = json_pack("{s:O}", "price", price);
}

static void put_moved(json_t *o, const struct move *m)
{
	json_object_set_new(o, "state", json_string(move_state_name(m->row.state)));
	json_object_set_new(o, "side", json_string(side_name(m->row.state == MOVE_DONE ? m->row.to : m->row.from)));
	json_object_set_new(o, "seconds", json_real((double)(now_ms() - m->row.started) / 1000));
	json_object_set_new(o, "move", json_integer((json_int_t)m->row.id));
	json_object_set(o, "evidence", m->row.evidence);
	if (json_object_get(m->row.evidence, "price"))
		json_object_set(o, "price", json_object_get(m->row.evidence, "price"));
}

/* The caller holds the account's lock. */
static enum exit_code move_locked(struct app *a, const struct kind *k, const char *name, json_t *o, struct err *err)
{
	struct account_row account;
	struct move_row row;
	struct mover with;
	struct move m;

	int rc = journal_account(a->db, name, &account, err);
	if (rc < 0)
		return exit_of(rc);
	if (account.def.side == k->to) {
		json_object_set_new(o, "already", json_true());
		json_object_set_new(o, "side", json_string(side_name(k->to)));
		account_row_done(&account);
		return EXIT_DONE;
	}
	rc = guard_open(a, name, true, err);
	if (rc == 0)
		rc = guard_window(a, k, name, err);
	if (rc < 0) {
		account_row_done(&account);
		return exit_of(rc);
	}
	fill_row(a, k, &account, &row);
	account_row_done(&account);
	app_mover(a, &with);
	with.unproved = a->opt.force;
	move_init(&m, &with, &row);
	enum exit_code x = move_run(&m, err);
	put_moved(o, &m);
	move_done(&m);
	return x;
}

/* Returns new: {"account", "exit", "error"?, "side", ...} */
static json_t *move_one(struct app *a, const struct kind *k, const char *name)
{
	json_t *o = json_pack("{s:s, s:s}", "account", name, "kind", k->name);
	struct account_row account;
	struct err err = {0};

	int rc = journal_account(a->db, name, &account, &err);
	if (rc < 0) {
		result(o, exit_of(rc), &err);
		return o;
	}
	if (locks_take(a->locks, account.id, &err) < 0) {
		rc = guard_open(a, name, false, &err);
		result(o, exit_of(rc), &err);
	} else {
		enum exit_code x = move_locked(a, k, name, o, &err);
		locks_drop(a->locks, account.id);
		result(o, x, &err);
		moved_tell(a);
	}
	account_row_done(&account);
	return o;
}

/* ---- telling ---- */

static json_int_t number(const json_t *evidence, const char *step, const char *key)
{
	const json_t *e = json_object_get(evidence, step);
	const json_t *inner = json_object_get(e, "evidence");
	return json_integer_value(json_object_get(inner ? inner : e, key));
}

/* Where DNS was changed: what came of it, and who may still be led to where the account was. */
static void tell_dns(struct app *a, const struct kind *k, const char *name, const json_t *evidence)
{
	char text[700];
	const json_t *e = json_object_get(evidence, "published");
	json_int_t ttl = publish_ttl(e);
	if (!json_object_get(e, "did"))
		return;
	publish_text(e, text, sizeof(text));
	out_line(&a->out, "%s: DNS: %s%s", name, text,
		 json_array_size(json_object_get(e, "lagging")) == 0 ? ""
		 : k->to == SIDE_TRANSIT                             ? "; the proxy forwards"
								     : "; who asks there is led to the transit server");
	if (k->to == SIDE_CLIENT && json_object_get(e, "waited") && !json_object_get(e, "resolvers-until"))
		out_line(&a->out, "%s: DNS led home first; %lld s later no resolver held the transit server's address", name,
			 (long long)json_integer_value(json_object_get(e, "waited")));
	else if (k->to == SIDE_CLIENT && ttl > 0)
		out_line(&a->out,
			 "%s: resolvers may hold the transit server's address for %lld s more; who goes there by it passes by the proxy",
			 name, (long long)ttl);
}

static void tell(struct app *a, const struct kind *k, json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "account"));
	const char *error = json_string_value(json_object_get(o, "error"));
	const json_t *e = json_object_get(o, "evidence");
	if (a->out.json)
		return;
	progress_clear(&a->progress);
	if (error)
		fprintf(stderr, "shunt: %s\n", error);
	else if (json_is_true(json_object_get(o, "already")))
		out_line(&a->out, "%s: is on %s already", name, side_name(k->to));
	else
		out_line(&a->out, "%s: now on %s, after %.1f s (%lld drained, %lld cut, %lld waited, the longest %lld ms)", name,
			 side_name(k->to), json_real_value(json_object_get(o, "seconds")), (long long)number(e, "fenced", "drained"),
			 (long long)number(e, "fenced", "cut"), (long long)number(e, "released", "released"),
			 (long long)number(e, "released", "longest-wait-ms"));
	if (!error && e)
		tell_dns(a, k, name, e);
	fflush(stdout);
}

/* ---- several ---- */

#define BATCH_EVERY_MS 10000 /* the line about all */
#define TELL_EVERY_MS  1000

/* Where it is, and only its DNS is owed. */
static bool moved(const json_t *o)
{
	const char *state = json_string_value(json_object_get(o, "state"));
	return state && strcmp(state, move_state_name(MOVE_DONE)) == 0;
}

struct child {
	const char *name;
	pid_t pid; /* 0: not begun, -1: over */
	int fd;
	char *text;
	size_t len;
};

static void child_main(struct app *a, const struct kind *k, const char *name, int fd, pid_t parent)
{
	struct err err = {0};
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_STUCK);
	a->progress.many = true;
	a->notice.told_by_other = true;
	json_t *o = NULL;
	enum exit_code x = app_signals(a, &err) < 0 ? EXIT_REFUSED : app_reopen(a, &err);
	if (x == EXIT_DONE) {
		o = move_one(a, k, name);
	} else {
		o = json_pack("{s:s, s:s}", "account", name, "kind", k->name);
		result(o, x, &err);
	}
	char *text = json_dumps(o, JSON_COMPACT);
	for (size_t at = 0, len = text ? strlen(text) : 0; at < len;) {
		ssize_t n = write(fd, text + at, len - at);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	app_close(a);
	_exit(0);
}

static int begin(struct app *a, const struct kind *k, struct child *c)
{
	int p[2];
	pid_t parent = getpid();
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	fflush(stdout);
	c->pid = fork();
	if (c->pid == 0) {
		close(p[0]);
		child_main(a, k, c->name, p[1], parent);
	}
	close(p[1]);
	if (c->pid < 0) {
		int rc = -errno;
		close(p[0]);
		c->pid = 0;
		return rc;
	}
	c->fd = p[0];
	return 0;
}

/* false when it has ended. */
static bool hear(struct child *c)
{
	char buf[8192];
	ssize_t n = read(c->fd, buf, sizeof(buf));
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	char *more = realloc(c->text, c->len + (size_t)n + 1);
	if (!more)
		return true;
	c->text = more;
	memcpy(c->text + c->len, buf, (size_t)n);
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	return true;
}

static json_t *collect(struct child *c, const struct kind *k)
{
	int status;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(c->fd);
	c->fd = -1;
	c->pid = -1;
	json_t *o = c->text ? json_loads(c->text, 0, NULL) : NULL;
	free(c->text);
	c->text = NULL;
	if (!o) {
		struct err err = {0};
		err_set(&err, -EIO, "%s: the process that moved it died", c->name);
		o = json_pack("{s:s, s:s, s:b}", "account", c->name, "kind", k->name, "died", 1);
		result(o, EXIT_STUCK, &err);
	}
	return o;
}

/* All of them in one line. */
static void show_batch(struct app *a, const struct batch *b)
{
	char text[160];
	if (!a->progress.on)
		return;
	batch_text(b, mono_ms(), text, sizeof(text));
	fprintf(stderr, "all: %s\n", text);
}

/* And for those who look from another host. */
static void tell_others(struct app *a, const struct batch *b)
{
	struct err state = {0};
	char text[160];
	int64_t began = mono_ms();
	if (began < a->notice.next)
		return;
	if (app_look(a, &state, NULL) == EXIT_DONE && proxylink_ask(a->proxy, "hello", NULL, 2000, NULL, NULL) == 0) {
		batch_text(b, began, text, sizeof(text));
		notice_tick(a, text);
	}
	app_close(a); /* before the next child is made: a lock of SQLite's does not outlive a fork */
	notice_rest(&a->notice, began);
}

static void run_children(struct app *a, const struct kind *k, struct child *c, size_t n, struct batch *b, json_t *results)
{
	size_t next = 0, running = 0, limit = a->conf->control.parallel > 0 ? (size_t)a->conf->control.parallel : 1;
	bool stop = false;
	int64_t shown = mono_ms();
	struct pollfd *p = calloc(n + 1, sizeof(*p));
	while (p && ((next < n && !stop) || running)) {
		while (!stop && next < n && running < limit && begin(a, k, &c[next]) == 0) {
			batch_began(b, next, mono_ms());
			next++;
			running++;
		}
		if (running == 0)
			break; /* not even one can be made */
		p[0] = (struct pollfd){stop ? -1 : a->sigfd, POLLIN, 0};
		for (size_t i = 0; i < n; i++)
			p[i + 1] = (struct pollfd){c[i].pid > 0 ? c[i].fd : -1, POLLIN, 0};
		int got = poll(p, n + 1, TELL_EVERY_MS);
		if (mono_ms() - shown >= BATCH_EVERY_MS) {
			show_batch(a, b);
			shown = mono_ms();
		}
		if (got == 0 && !stop)
			tell_others(a, b);
		if (got <= 0)
			continue;
		if (p[0].revents) {
			stop = true;
			for (size_t i = 0; i < n; i++) {
				if (c[i].pid > 0)
					kill(c[i].pid, SIGTERM);
			}
		}
		for (size_t i = 0; i < n; i++) {
			if (c[i].pid <= 0 || !p[i + 1].revents || hear(&c[i]))
				continue;
			json_t *o = collect(&c[i], k);
			tell(a, k, o);
			batch_over(b, i, mono_ms(), json_integer_value(json_object_get(o, "exit")) == EXIT_DONE || moved(o));
			show_batch(a, b);
			json_array_append_new(results, o);
			running--;
		}
		if (!stop)
			tell_others(a, b);
	}
	free(p);
	for (size_t i = next; i < n; i++) {
		struct err err = {0};
		err_set(&err, -EINTR, "%s: not begun, %s", c[i].name, stop ? "interrupted" : "no process could be started for it");
		json_t *o = json_pack("{s:s, s:s}", "account", c[i].name, "kind", k->name);
		result(o, EXIT_REFUSED, &err);
		tell(a, k, o);
		json_array_append_new(results, o);
	}
}

/* A child that was killed leaves a move without an owner: brought to an end here rather than at the next start. */
static void recover(struct app *a, json_t *results)
{
	size_t i;
	json_t *o;
	json_array_foreach (results, i, o) {
		struct err err = {0};
		struct move_rows open;
		const char *name = json_string_value(json_object_get(o, "account"));
		if (!json_is_true(json_object_get(o, "died")))
			continue;
		enum exit_code x = sync_resume(a, name, false, &err);
		if (journal_moves_open(a->db, name, &open, NULL) < 0 || open.n) {
			move_rows_done(&open);
			continue;
		}
		struct account_row row;
		bool there = journal_account(a->db, name, &row, NULL) == 0 && row.def.side == SIDE_TRANSIT;
		bool to_transit = strcmp(json_string_value(json_object_get(o, "kind")), "migrate") == 0;
		account_row_done(&row);
		json_object_set_new(o, "side", json_string(there ? "transit" : "client"));
		json_object_set_new(o, "exit", json_integer(there == to_transit ? x : EXIT_UNDONE));
		if (there != to_transit)
			continue;
		json_object_set_new(o, "state", json_string(move_state_name(MOVE_DONE)));
		if (x == EXIT_DONE)
			json_object_del(o, "error");
		else
			json_object_set_new(o, "error", json_string(err.text)); /* it has moved, and its DNS is owed */
	}
}

/* What is known of them before they begin. */
static int batch_of(struct app *a, const struct kind *k, char **names, size_t n, struct batch *b)
{
	struct past past = {0};
	int64_t since = 0;
	journal_clock(a->db, "start", &since, NULL);
	past_read(a->db, k->name, since, &past, NULL); /* without it the rule of thumb holds */
	int rc = batch_init(b, n, a->conf->control.parallel, &past);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct account_row row;
		if (journal_account(a->db, names[i], &row, NULL) == 0) {
			b->items[i].gb = row.def.databases_gb;
			b->items[i].over = row.def.side == k->to; /* it is there, and nothing is to be done */
			account_row_done(&row);
		}
	}
	return rc;
}

static enum exit_code move_many(struct app *a, const struct kind *k, char **names, size_t n, json_t *results, struct err *err)
{
	struct child *c = calloc(n, sizeof(*c));
	struct batch b;
	if (!c) {
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	for (size_t i = 0; i < n; i++)
		c[i] = (struct child){.name = names[i], .fd = -1};
	if (batch_of(a, k, names, n, &b) < 0) {
		free(c);
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	app_close(a);
	run_children(a, k, c, n, &b, results);
	batch_done(&b);
	free(c);
	enum exit_code x = app_reopen(a, err);
	if (x == EXIT_DONE)
		recover(a, results);
	return EXIT_DONE;
}

/* ---- the commands ---- */

/* What would be refused; 1: it is there already. */
static int dry_guards(struct app *a, const struct kind *k, const char *name, struct account_row *account, struct err *err)
{
	int rc = journal_account(a->db, name, account, err);
	if (rc < 0)
		return rc;
	bool busy = a->locks && locks_held(a->locks, account->id);
	struct move_rows open = {0};
	rc = journal_moves_open(a->db, name, &open, err);
	if (rc == 0 && (open.n || busy))
		rc = guard_open(a, name, !busy, err);
	move_rows_done(&open);
	if (rc == 0 && account->def.side == k->to)
		return 1;
	return rc < 0 ? rc : guard_window(a, k, name, err);
}

/* Returns new. */
static json_t *dry_steps(struct app *a, const struct kind *k, const struct account_row *account, int *rc, struct err *err)
{
	struct mover with;
	struct move_row row;
	struct move m;
	json_t *list = json_array();
	fill_row(a, k, account, &row);
	app_mover(a, &with);
	with.unproved = a->opt.force;
	move_init(&m, &with, &row);
	*rc = publish_plan(&m, err);
	out_line(&a->out, "%s: %s -> %s, nothing is changed", m.row.account, side_name(k->from), side_name(k->to));
	for (int s = 0; s < N_STEPS; s++) {
		char text[700];
		steps[s].plan(&m, text, sizeof(text));
		out_line(&a->out, "  %-10s %s", steps[s].name, text);
		json_array_append_new(list, json_pack("{s:s, s:s}", "step", steps[s].name, "does", text));
	}
	move_done(&m);
	return list;
}

static void dry_price(struct app *a, const struct account_row *account, json_t *o)
{
	json_t *prices = json_object();
	price_ask(a, account, 1, prices);
	json_t *price = json_object_get(prices, account->def.name);
	out_line(&a->out, "  %-10s %s", "price", price_text(price));
	json_object_set(o, "price", price);
	json_decref(prices);
}

static void dry_batch(struct app *a, const struct kind *k, char **names, size_t n)
{
	struct batch b;
	char left[32];
	if (n == 0 || batch_of(a, k, names, n, &b) < 0)
		return;
	int64_t s = batch_left_s(&b, 0);
	size_t unknown = 0;
	for (size_t i = 0; i < b.n; i++)
		unknown += !b.items[i].over && b.items[i].gb <= 0;
	out_line(&a->out, "all %zu: about %s, %d side by side, at %.1f GB/min%s", n, progress_duration(s, left), b.parallel,
		 past_gb_per_min(&b.past), b.past.n ? "" : " (not measured yet)");
	if (unknown)
		out_line(&a->out, "  of %zu of them the size of the databases is not known: these count as without, and may take longer",
			 unknown);
	out_set(&a->out, "about-seconds", json_integer((json_int_t)s));
	out_set(&a->out, "sizes-unknown", json_integer((json_int_t)unknown));
	out_set(&a->out, "gb-per-minute", json_real(past_gb_per_min(&b.past)));
	out_set(&a->out, "measured-moves", json_integer((json_int_t)b.past.n));
	batch_done(&b);
}

/* The first migrate starts, if nobody did. */
static enum exit_code dry_start(struct app *a, struct err *err)
{
	if (network_started(a))
		return EXIT_DONE;
	guards_plan(a, "start", "start");
	return guards_start(a, err);
}

static enum exit_code dry_run(struct app *a, const struct kind *k, char **names, int n, struct err *err)
{
	json_t *moves = json_array();
	enum exit_code worst = EXIT_DONE;
	int bad = 0;
	if (k == &migrate && n)
		worst = dry_start(a, err);
	out_set(&a->out, "dry-run", moves);
	for (int i = 0; i < n; i++) {
		struct account_row account = {0};
		struct err e = {0};
		json_t *o = json_pack("{s:s, s:s}", "account", names[i], "to", side_name(k->to));
		int rc = dry_guards(a, k, names[i], &account, &e);
		if (rc == 1) {
			json_object_set_new(o, "already", json_true());
			out_line(&a->out, "%s: is on %s already", names[i], side_name(k->to));
		} else if (rc == 0) {
			json_object_set_new(o, "steps", dry_steps(a, k, &account, &rc, &e));
			if (k == &rollback)
				dry_price(a, &account, o);
		}
		if (rc < 0) {
			result(o, exit_of(rc), &e);
			worst = worse(worst, exit_of(rc));
			bad++;
			if (n == 1)
				*err = e;
			else if (!a->out.json)
				fprintf(stderr, "shunt: %s\n", e.text);
		}
		json_array_append_new(moves, o);
		account_row_done(&account);
	}
	if (a->opt.all || a->out.json)
		dry_batch(a, k, names, (size_t)n);
	if (bad && n > 1)
		err_set(err, -EPERM, "%d of %d accounts would be refused", bad, n);
	return worst;
}

/* The price of each that can go back; the others are refused, with the reason, when it is their turn. */
static enum exit_code agree_to_prices(struct app *a, const struct kind *k, char **names, int n, struct err *err)
{
	struct account_row *rows = calloc((size_t)n + 1, sizeof(*rows));
	size_t can = 0;
	a->prices = json_object();
	if (!rows) {
		err_set(err, -ENOMEM, "out of memory, nothing changed");
		return EXIT_REFUSED;
	}
	for (int i = 0; i < n; i++) {
		if (dry_guards(a, k, names[i], &rows[can], NULL) == 0)
			can++;
		else
			account_row_done(&rows[can]);
	}
	price_ask(a, rows, can, a->prices);
	for (size_t i = 0; i < can; i++)
		account_row_done(&rows[i]);
	free(rows);
	enum exit_code x = price_consent(a, a->prices, err);
	if (x)
		out_set(&a->out, "prices", json_incref(a->prices));
	return x;
}

static enum exit_code verdict(struct app *a, json_t *results, struct err *err)
{
	enum exit_code worst = EXIT_DONE;
	size_t i, bad = 0, owed = 0;
	json_t *o;
	const char *first = NULL;
	json_array_foreach (results, i, o) {
		enum exit_code x = (enum exit_code)json_integer_value(json_object_get(o, "exit"));
		bad += x != EXIT_DONE && !moved(o);
		owed += x != EXIT_DONE && moved(o);
		if (x > worst)
			first = json_string_value(json_object_get(o, "error"));
		worst = worse(worst, x);
	}
	if (worst && json_array_size(results) > 1) {
		char text[160] = "";
		if (owed)
			snprintf(text, sizeof(text), "%sDNS of %zu that moved is owed (shunt resume tries again)", bad ? "; " : "", owed);
		if (bad)
			err_set(err, -EIO, "%zu of %zu accounts did not move%s%s%s", bad, json_array_size(results), text,
				a->out.json ? ": " : "", a->out.json && first ? first : "");
		else
			err_set(err, -EIO, "%s%s%s", text, a->out.json ? ": " : "", a->out.json && first ? first : "");
	} else if (worst) {
		err_set(err, -EIO, "%s", first ? first : "failed");
	}
	return worst;
}

/* --all: every account that is on the side where the move begins. */
static int all_names(struct app *a, const struct kind *k, char ***names, int *n, struct err *err)
{
	struct acctset set;
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return rc;
	*n = 0;
	*names = calloc(set.n + 1, sizeof(**names));
	for (size_t i = 0; *names && i < set.n; i++) {
		if (set.defs[i].side == k->from)
			(*names)[(*n)++] = strdup(set.defs[i].name);
	}
	acctset_done(&set);
	return *names ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static enum exit_code go(struct app *a, const struct kind *k, char **names, int n, struct err *err)
{
	json_t *results = json_array();
	enum exit_code x = EXIT_DONE;

	out_set(&a->out, "moves", results);
	if (k == &migrate && n && !network_started(a)) {
		x = network_start(a, err);
		if (x)
			return x;
	}
	if (n == 1) {
		json_t *o = move_one(a, k, names[0]);
		if (json_integer_value(json_object_get(o, "exit")) == 0)
			tell(a, k, o);
		json_array_append_new(results, o);
	} else if (n > 1) {
		x = move_many(a, k, names, (size_t)n, results, err);
	}
	return x ? x : verdict(a, results, err);
}

/* One name twice would wait for itself. */
static int unique(char **words, int n)
{
	int m = 0;
	for (int i = 0; i < n; i++) {
		bool seen = false;
		for (int j = 0; j < m; j++)
			seen = seen || strcmp(words[i], words[j]) == 0;
		if (!seen)
			words[m++] = words[i];
	}
	return m;
}

static enum exit_code moves(struct app *a, const struct kind *k, char **words, int n, struct err *err)
{
	char **all = NULL;
	enum exit_code x = a->opt.dry_run ? app_read(a, err) : app_write(a, false, err);
	if (x == EXIT_DONE)
		x = exit_of(guard_clocks(a, k, err));
	if (x == EXIT_DONE && a->opt.all)
		x = exit_of(all_names(a, k, &all, &n, err));
	if (x)
		goto out;
	if (all)
		words = all;
	else
		n = unique(words, n);
	if (n == 0)
		out_line(&a->out, "nothing to do: every account is on %s", side_name(k->to));
	if (a->opt.dry_run) {
		x = dry_run(a, k, words, n, err);
	} else if (k == &rollback && (x = agree_to_prices(a, k, words, n, err))) {
		goto out;
	} else if (all && n && !app_confirm(a, "%d account(s) will move to %s.", n, side_name(k->to))) {
		err_set(err, -ECANCELED, "not confirmed, nothing changed");
		x = EXIT_REFUSED;
	} else {
		x = exit_of(app_signals(a, err));
		x = x ? x : go(a, k, words, n, err);
	}
out:
	for (int i = 0; all && i < n; i++)
		free(all[i]);
	free(all);
	return x;
}

enum exit_code cmd_migrate(struct app *a, char **words, int n, struct err *err)
{
	return moves(a, &migrate, words, n, err);
}

enum exit_code cmd_rollback(struct app *a, char **words, int n, struct err *err)
{
	return moves(a, &rollback, words, n, err);
}

enum exit_code cmd_relocate(struct app *a, char **words, int n, struct err *err)
{
	return moves(a, &relocate, words, n, err);
}
