/* Changing calls. What is on disk comes first: the ticket (ticket.h), then the row, then (right before the child is made) that it runs. A
 * serve that finds them after a crash therefore knows of each whether it was never begun, runs, or has ended; one that has ended without a
 * word is looked up in the trail (settle.h). None is begun twice: what could not be written as begun has not begun, what could not be
 * written as over is written later, and what was refused has no ticket any more. */
#include "control/serve/serve.h"
#include "control/serve/settle.h"
#include "control/serve/ticket.h"

#include "control/db.h"
#include "control/finding.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS    1000 /* before a call is answered 202, unless it says Prefer: wait */
#define PATIENCE_MAX_S 60
#define LATE_MS        600000 /* what waited that long for a serve, or for its beginning to be written, is not begun any more */
#define AGAIN_MS       2000   /* an end that could not be written is tried again */
#define RECOVERED_MAX  2000
#define OWNER_MOVES    4 /* of one token of an account, not over */
#define KEY_EXPECTED   "Idempotency-Key: expected 1 to 64 printable characters without spaces"

struct running {
	struct running *next, **link;
	struct server *s;
	char id[OPERATION_ID_MAX];
	bool begun, cancelled;
	int64_t held_up;         /* since when it could not be written down; 0: it could */
	struct exchange *waiter; /* who gets the answer when it comes soon; NULL: nobody any more */
	struct deadline timer;   /* the waiter's patience; after the end, AGAIN_MS */
	int exit;                /* of one that has ended */
	char *answer;            /* likewise; owned; NULL: none */
};

/* ---- its life ---- */

static void running_free(struct running *r)
{
	deadline_cancel(r->s->loop, &r->timer);
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
	free(r->answer);
	free(r);
}

static struct running *running_new(struct server *s, const char *id)
{
	struct running *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	*r = (struct running){.next = s->running, .link = &s->running, .s = s};
	snprintf(r->id, sizeof(r->id), "%s", id);
	if (r->next)
		r->next->link = &r->next;
	s->running = r;
	return r;
}

static void accepted(struct exchange *x, const struct running *r)
{
	json_t *o = json_pack("{s:s, s:s}", "operation", r->id, "state", r->begun ? "running" : "queued");
	web_answer_header(x->req, "Location", "/v1/operations/%s", r->id);
	exchange_json(x, 202, o);
	json_decref(o);
}

static struct running *running_of(struct deadline *d)
{
	return (struct running *)(void *)((char *)d - offsetof(struct running, timer));
}

static void on_patience(struct deadline *d)
{
	struct running *r = running_of(d);
	struct exchange *x = r->waiter;
	r->waiter = NULL;
	if (x)
		accepted(x, r);
}

static void complain(const struct running *r, const struct err *err)
{
	log_error("operation=%s reason=%s", r->id, LOG_QUOTED(err->text, strlen(err->text)));
}

/* Before it is told that it will not be begun. */
static void void_ticket(struct running *r)
{
	struct err err = {0};
	if (ticket_remove(&r->s->store, r->id, &err) < 0)
		complain(r, &err);
}

/* The last line of the trail; 0: there is none yet; -1: it cannot be told. */
static int64_t trail_now(struct server *s)
{
	struct trail_head head;
	if (state_now(s))
		return journal_head(s->state, &head, NULL) == 0 ? head.lines : -1;
	return access(app_state_path(s->app), F_OK) < 0 && errno == ENOENT ? 0 : -1;
}

static enum job_go on_begins(void *arg)
{
	struct running *r = arg;
	struct err err = {0};
	r->begun = operation_began(&r->s->store, r->id, trail_now(r->s), &err) == 0;
	if (r->begun)
		return JOB_GO;
	if (!r->held_up) {
		r->held_up = now_ms();
		complain(r, &err);
	}
	if (now_ms() - r->held_up <= LATE_MS)
		return JOB_WAIT;
	void_ticket(r);
	return JOB_NEVER;
}

/* The exit code as the answer has it, which is that of an adopted child, too; -1: it has none. */
static int exit_in(const json_t *answer, int exit)
{
	const json_t *v = json_object_get(answer, "exit");
	int found = json_is_integer(v) ? (int)json_integer_value(v) : -1;
	if (found >= EXIT_DONE && found <= EXIT_STUCK)
		return found;
	return exit > EXIT_DONE && exit <= EXIT_STUCK ? exit : -1;
}

/* SIGTERM ends a check, and a child that has not come to its work yet, and they leave no word. */
static void tell_cancelled(struct running *r, const struct operation *o, json_t *answer)
{
	bool check = strcmp(o->command, "check") == 0;
	if (!r->cancelled || (r->exit != EXIT_REFUSED && !check))
		return;
	r->exit = EXIT_REFUSED;
	json_object_set_new(answer, "ok", json_false());
	json_object_set_new(answer, "exit", json_integer(r->exit));
	json_object_set_new(answer, "error", json_string(check ? JOB_WAS_CANCELLED ". Nothing changed" : JOB_CANCELLED));
}

static void put_end(struct running *r, const struct job_end *end)
{
	struct operation o;
	json_t *answer = json_loads(end->text, 0, NULL);
	r->exit = exit_in(answer, end->exit);
	if (r->exit < 0) {
		json_decref(answer);
		answer = NULL;
		r->exit = EXIT_STUCK;
		if (operation_find(&r->s->store, r->id, OPERATION_OF_ALL, &o, NULL) == 0) {
			r->exit = settle(state_now(r->s), &o, &answer);
			tell_cancelled(r, &o, answer);
		}
		operation_done(&o);
	}
	r->answer = answer ? json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(answer);
}

static void on_again(struct deadline *d);

/* Should serve end before it succeeds, the next one finds the row and the answer's file, and comes by the same. */
static void write_end(struct running *r)
{
	struct err err = {0};
	if (operation_end(&r->s->store, r->id, r->exit, r->answer, &err) < 0) {
		if (!r->held_up)
			complain(r, &err);
		r->held_up = now_ms();
		deadline_arm(r->s->loop, &r->timer, on_again, AGAIN_MS);
		return;
	}
	void_ticket(r);
	running_free(r);
}

static void on_again(struct deadline *d)
{
	write_end(running_of(d));
}

static void on_end(void *arg, const struct job_end *end)
{
	struct running *r = arg;
	struct exchange *x = r->waiter;
	r->waiter = NULL;
	r->held_up = 0;
	deadline_cancel(r->s->loop, &r->timer);
	put_end(r, end);
	if (x) {
		char *text = r->answer ? strdup(r->answer) : NULL, id[OPERATION_ID_MAX];
		int exit = r->exit;
		memcpy(id, r->id, sizeof(id));
		write_end(r);
		web_answer_header(x->req, "Location", "/v1/operations/%s", id);
		exchange_command(x, exit, text ? text : "", id);
		free(text);
	} else {
		write_end(r);
	}
}

/* argv: the operation's own, from disk. out is taken. */
static int make_job(struct job **job, const struct operation *o, struct running *r, unsigned share, int out, struct err *err)
{
	char accounts[PATH_MAX];
	json_t *list = json_loads(o->argv, 0, NULL), *word;
	char **argv = calloc(json_array_size(list) + 1, sizeof(*argv));
	size_t i;
	bool ok = argv != NULL;
	ticket_accounts(&r->s->store, o->id, accounts);
	json_array_foreach (list, i, word) {
		const char *w = json_string_value(word);
		if (ok)
			ok = (argv[i] = strdup(strcmp(w, CALL_FILE_WORD) == 0 ? accounts : w)) != NULL;
	}
	struct job_spec spec = {.lane = (enum lane)o->lane,
				.argv = argv,
				.actor = o->token_name,
				.share = share,
				.out = out,
				.begins = on_begins,
				.fn = on_end,
				.arg = r};
	int rc = ok ? job_make(job, r->s->jobs, &spec, err) : err_set(err, -ENOMEM, "out of memory");
	if (!ok)
		close(out);
	free_words(argv);
	json_decref(list);
	return rc;
}

/* ---- a key that was used ---- */

static void answer_again(struct exchange *x, struct operation *o, const char *digest)
{
	if (strcmp(o->digest, digest) != 0) {
		exchange_problem(x, 422, NULL, "this Idempotency-Key was used for something else");
	} else if (strcmp(o->state, "done") != 0) {
		web_answer_header(x->req, "Location", "/v1/operations/%s", o->id);
		web_answer_header(x->req, "Retry-After", "2");
		exchange_problem(x, 409, json_pack("{s:s, s:s}", "operation", o->id, "state", o->state),
				 "what was asked with this Idempotency-Key is not over yet");
	} else {
		web_answer_header(x->req, "Location", "/v1/operations/%s", o->id);
		web_answer_header(x->req, "Idempotency-Replayed", "true");
		exchange_command(x, o->exit, o->answer ? o->answer : "", o->id);
	}
	operation_done(o);
}

static bool key_ok(const char *key)
{
	size_t len = strlen(key);
	for (const char *p = key; *p; p++) {
		if (*p <= ' ' || *p > '~')
			return false;
	}
	return len >= 1 && len <= OPERATION_KEY_MAX;
}

/* ---- a new one ---- */

static int fill(struct exchange *x, struct operation *o, const char *key, const char *digest, struct err *err)
{
	char **argv = api_argv(x->s, x->route->command, &x->call, false, true);
	json_t *list = json_array(), *shown = json_copy(x->fields);
	for (size_t i = 0; argv && argv[i]; i++)
		json_array_append_new(list, json_string(argv[i]));
	if (x->call.accounts)
		json_object_set_new(shown, "accounts", json_integer((json_int_t)json_array_size(x->call.accounts)));
	*o = (struct operation){.token = x->token.id,
				.argv = json_dumps(list, JSON_COMPACT),
				.request = json_dumps(shown, JSON_COMPACT),
				.lane = x->route->lane,
				.trail = trail_now(x->s)};
	snprintf(o->token_name, sizeof(o->token_name), "%s", x->token.name);
	snprintf(o->account, sizeof(o->account), "%s", strstr(x->route->path, "{account}") ? x->match.arg : "");
	o->account_id = x->owner ? x->token.account_id : *o->account ? state_account(x->s->state, o->account) : 0;
	o->by_owner = x->owner;
	snprintf(o->command, sizeof(o->command), "%s", x->route->command);
	snprintf(o->key, sizeof(o->key), "%s", key ? key : "");
	snprintf(o->digest, sizeof(o->digest), "%s", digest);
	bool ok = argv && o->argv && o->request;
	free_words(argv);
	json_decref(list);
	json_decref(shown);
	return ok ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int patience_ms(struct exchange *x)
{
	const char *prefer = web_header(x->req, "Prefer"), *wait = prefer ? strstr(prefer, "wait=") : NULL;
	if (x->answered || (prefer && strstr(prefer, "respond-async")))
		return 0; /* from within: a page that shows how it gets on */
	long s = wait ? strtol(wait + 5, NULL, 10) : -1;
	if (s < 0)
		return PATIENCE_MS;
	return (int)(s > PATIENCE_MAX_S ? PATIENCE_MAX_S : s) * 1000;
}

/* How much of the lane is for who asks. */
static unsigned share_of(const struct exchange *x)
{
	return x->owner ? OWNER_MOVES : 0;
}

/* The row comes last: all else that can fail has been done by then, and without a ticket a row that is there all the same begins nothing.
 */
static int write_down(struct exchange *x, struct operation *o, struct running *r, struct job **job, struct err *err)
{
	int out = ticket_make(&x->s->store, o->id, x->call.accounts, err);
	if (out < 0)
		return out;
	int rc = make_job(job, o, r, share_of(x), out, err);
	if (rc == 0)
		rc = operation_add(&x->s->store, o, err);
	if (rc == 0)
		return 0;
	void_ticket(r);
	job_drop(*job);
	return rc;
}

static int begin(struct exchange *x, struct operation *o, struct err *err)
{
	struct job *job = NULL;
	int rc = operation_identify(o, err);
	if (rc < 0)
		return rc;
	struct running *r = running_new(x->s, o->id);
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	rc = write_down(x, o, r, &job, err);
	if (rc < 0) {
		running_free(r);
		return rc;
	}
	job_start(job);
	int ms = patience_ms(x);
	if (ms == 0) {
		accepted(x, r);
		return 0;
	}
	r->waiter = x;
	deadline_arm(x->s->loop, &r->timer, on_patience, (uint64_t)ms);
	return 0;
}

static void not_begun(struct exchange *x, int rc, const struct err *err)
{
	if (rc == -EDQUOT) {
		web_answer_header(x->req, "Retry-After", "3600");
		exchange_problem(x, 429, NULL, "%s. Nothing changed", err->text);
		return;
	}
	log_error("token=%s command=\"%s\" reason=%s", x->token.name, x->route->command, LOG_QUOTED(err->text, strlen(err->text)));
	web_answer_header(x->req, "Retry-After", "5");
	exchange_problem(x, 503, NULL, "it could not be begun. Nothing changed");
}

void operate(struct exchange *x)
{
	const char *key = x->key ? x->key : web_header(x->req, "Idempotency-Key");
	char what[512], digest[HEX_SHA256_MAX];
	struct operation o;
	struct err err = {0};
	if (key && !key_ok(key)) {
		exchange_problem(x, 400, NULL, KEY_EXPECTED);
		return;
	}
	snprintf(what, sizeof(what), "%s %s %s", route_method(x->route->method), x->route->path, x->match.arg);
	operation_digest(what, x->fields, digest);
	int rc = key ? operation_by_key(&x->s->store, x->token.id, key, &o, &err) : -ENOENT;
	if (rc == 0) {
		answer_again(x, &o, digest);
		return;
	}
	if (rc == -ENOENT && !jobs_has_room(x->s->jobs, x->route->lane, x->token.name, share_of(x))) {
		web_answer_header(x->req, "Retry-After", "10");
		exchange_problem(x, 503, NULL, "too many calls are waiting. Nothing changed");
		return;
	}
	if (rc == -ENOENT) {
		rc = fill(x, &o, key, digest, &err);
		rc = rc < 0 ? rc : begin(x, &o, &err);
		operation_done(&o);
	}
	if (rc < 0)
		not_begun(x, rc, &err);
}

/* ---- what an earlier serve has left ---- */

static int take_up_queued(struct server *s, const struct operation *o, struct err *err)
{
	struct job *job;
	struct running *r = NULL;
	int out = now_ms() - o->created > LATE_MS ? -ENOENT : ticket_open(&s->store, o->id, true, err);
	int rc = out < 0 ? out : 0;
	if (rc == 0 && !(r = running_new(s, o->id)))
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = make_job(&job, o, r, 0, out, err);
	else if (out >= 0)
		close(out);
	if (rc == 0) {
		job_start(job);
		return 0;
	}
	if (r)
		running_free(r);
	if (rc != -ENOENT)
		return rc; /* it stays queued, for the serve after this one */
	ticket_remove(&s->store, o->id, NULL);
	return operation_end(&s->store, o->id, EXIT_REFUSED,
			     "{\"ok\":false,\"exit\":1,\"error\":\"it was not begun before shunt serve ended, and is not any more. "
			     "Nothing changed\"}",
			     err);
}

static int take_up_begun(struct server *s, const struct operation *o, struct err *err)
{
	static const struct job_end lost = {.exit = -1, .text = ""};
	struct running *r = running_new(s, o->id);
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->begun = true;
	int out = ticket_open(&s->store, o->id, false, err);
	if (out >= 0)
		return job_adopt(s->jobs, (enum lane)o->lane, o->token_name, out, on_end, r, err);
	on_end(r, &lost); /* nobody took its file away but who has seen its end, or a hand from outside */
	return 0;
}

static bool is_open(void *arg, const char *id)
{
	struct operation o;
	struct server *s = arg;
	int rc = operation_find(&s->store, id, OPERATION_OF_ALL, &o, NULL);
	bool open = rc == 0 && strcmp(o.state, "done") != 0;
	operation_done(&o);
	return open || (rc < 0 && rc != -ENOENT);
}

int operate_recover(struct server *s, struct err *err)
{
	struct operation *open = calloc(RECOVERED_MAX, sizeof(*open));
	if (!open)
		return err_set(err, -ENOMEM, "out of memory");
	int n = operation_open(&s->store, open, RECOVERED_MAX, err), rc = n < 0 ? n : 0;
	for (int i = 0; i < n; i++) {
		struct err e = {0};
		bool queued = strcmp(open[i].state, "queued") == 0;
		if ((queued ? take_up_queued(s, &open[i], &e) : take_up_begun(s, &open[i], &e)) < 0)
			log_error("operation=%s reason=%s", open[i].id, LOG_QUOTED(e.text, strlen(e.text)));
		else
			log_info("operation=%s command=\"%s\" reason=\"taken up from before\"", open[i].id, open[i].command);
		operation_done(&open[i]);
	}
	free(open);
	if (rc == 0)
		ticket_sweep(&s->store, is_open, s);
	return rc;
}

void operate_let_go(struct server *s)
{
	for (struct running *r = s->running; r; r = r->next) {
		struct exchange *x = r->waiter;
		r->waiter = NULL;
		if (x)
			accepted(x, r);
	}
}

void operate_end(struct server *s)
{
	while (s->running)
		running_free(s->running);
}

/* ---- looking ---- */

int64_t operations_of(const struct exchange *x)
{
	return x->owner ? x->token.account_id : OPERATION_OF_ALL;
}

static int count_accounts(struct journal *j)
{
	sqlite3_stmt *st = NULL;
	if (db_query(j->db, &st, NULL, "SELECT count(*) FROM accounts", "") < 0)
		return 0;
	int n = db_next(j->db, st, NULL) == 1 ? sqlite3_column_int(st, 0) : 0;
	sqlite3_finalize(st);
	return n;
}

/* By what it has kept: of the last check alone, unless others run beside it, and then it is a little less far. */
json_t *operate_check_progress(struct server *s, const struct operation *o)
{
	struct journal *state = strcmp(o->command, "check") == 0 && strcmp(o->state, "running") == 0 && !*o->account ? state_now(s) : NULL;
	if (!state)
		return NULL;
	json_t *request = json_loads(o->request, 0, NULL);
	int of = (int)json_array_size(json_object_get(request, "accounts")), n = findings_since(state, o->started);
	json_decref(request);
	if (of == 0)
		of = count_accounts(state);
	if (n < 0 || of < 2)
		return NULL;
	n = n > of ? of : n;
	return json_pack("{s:i, s:i, s:f}", "checked", n, "of", of, "percent", 100.0 * n / of);
}

static void put_progress(struct exchange *x, const struct operation *o, json_t *j)
{
	struct move_rows open = {0};
	char at[TIME_TEXT_MAX];
	json_t *check = operate_check_progress(x->s, o);
	if (check)
		json_object_set_new(j, "progress", check);
	if (!*o->account || !state_now(x->s) || journal_moves_open(x->s->state, o->account, &open, NULL) < 0)
		return;
	if (open.n) {
		const struct move_row *m = &open.rows[0];
		json_t *p = json_pack("{s:s, s:s, s:s}", "kind", m->kind, "step", m->step, "direction", m->undo ? "undo" : "apply");
		if (m->percent >= 0)
			json_object_set_new(p, "percent", json_real(m->percent));
		if (m->eta)
			json_object_set_new(p, "eta", json_string(time_text(m->eta, at)));
		json_object_set_new(j, "progress", p);
	}
	move_rows_done(&open);
}

/* What of an operation's answer is for owners. */
static const char *keeps_of(const char *command)
{
	for (const struct route *r = routes; r->path; r++) {
		if (r->kind == ROUTE_CHANGE && r->account_word && strcmp(r->command, command) == 0)
			return r->owner_keeps;
	}
	return NULL;
}

void operate_show(struct exchange *x)
{
	struct operation o;
	struct err err = {0};
	int rc = operation_find(&x->s->store, x->match.arg, operations_of(x), &o, &err);
	if (rc < 0) {
		exchange_problem(x, rc != -ENOENT ? 503 : 404, NULL, NO_SUCH_THING);
		return;
	}
	json_t *j = operation_json(&o, operations_of(x)), *answer = o.answer ? json_loads(o.answer, 0, NULL) : NULL;
	answer = exchange_scoped(x, keeps_of(o.command), answer);
	if (o.ended)
		json_object_set_new(j, "status", json_integer(api_status(o.exit)));
	if (answer)
		json_object_set_new(j, "answer", answer);
	else
		put_progress(x, &o, j);
	operation_done(&o);
	exchange_json(x, 200, j);
	json_decref(j);
}

/* What waits is over on disk before it is in memory: a serve that comes between the two must not begin it. */
static int cancel(struct server *s, struct running *r, struct err *err)
{
	int rc = r->begun ? 0
			  : operation_end(&s->store, r->id, EXIT_REFUSED, "{\"ok\":false,\"exit\":1,\"error\":\"" JOB_CANCELLED "\"}", err);
	bool begun = r->begun; /* what waits is freed by its cancelling */
	if (rc < 0)
		return rc;
	if (job_cancel(s->jobs, r) < 0)
		return err_set(err, -ESRCH, "it is over already");
	if (begun)
		r->cancelled = true;
	return 0;
}

void operate_cancel(struct exchange *x)
{
	struct running *r = x->s->running;
	struct operation o;
	struct err err = {0};
	int rc = operation_find(&x->s->store, x->match.arg, operations_of(x), &o, NULL);
	bool over = strcmp(o.state, "done") == 0, may = !x->owner || o.by_owner;
	operation_done(&o);
	while (r && strcmp(r->id, x->match.arg) != 0)
		r = r->next;
	if (rc == 0 && may)
		rc = over || !r ? -ESRCH : cancel(x->s, r, &err);
	if (rc == -ENOENT) {
		exchange_problem(x, 404, NULL, NO_SUCH_THING);
	} else if (rc == 0 && !may && !over) {
		exchange_problem(x, 403, NULL, "the operator of the server has begun this, and alone may cancel it. It goes on");
	} else if (rc == -ESRCH || over) {
		exchange_problem(x, 409, NULL, "it is over already");
	} else if (rc < 0) {
		log_error("operation=%s reason=%s", x->match.arg, LOG_QUOTED(err.text, strlen(err.text)));
		web_answer_header(x->req, "Retry-After", "5");
		exchange_problem(x, 503, NULL, "it could not be cancelled now");
	} else {
		json_t *j = json_pack("{s:s, s:s}", "operation", x->match.arg, "state", "cancelling");
		web_answer_header(x->req, "Location", "/v1/operations/%s", x->match.arg);
		exchange_json(x, 202, j);
		json_decref(j);
	}
}

void operate_list(struct exchange *x)
{
	json_t *list, *o;
	struct err err = {0};
	if (operation_list(&x->s->store, operations_of(x), &list, &err) < 0) {
		exchange_problem(x, 503, NULL, "operations cannot be read now");
		return;
	}
	o = json_pack("{s:o}", "operations", list);
	exchange_json(x, 200, o);
	json_decref(o);
}
