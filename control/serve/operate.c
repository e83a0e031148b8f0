/* Changing calls. What is on disk comes first: the row, then the answer's file, then (as the child is started) that it runs. A serve that
 * finds them after a crash therefore knows of each whether it was never begun, runs, or has ended. */
#include "control/serve/serve.h"

#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PATIENCE_MS    1000 /* before a call is answered 202, unless it says Prefer: wait */
#define PATIENCE_MAX_S 60
#define LATE_MS        600000 /* what waited that long for a serve is not begun any more */
#define RECOVERED_MAX  2000
#define KEY_EXPECTED   "Idempotency-Key: expected 1 to 64 printable characters without spaces"

struct running {
	struct running *next, **link;
	struct server *s;
	char id[OPERATION_ID_MAX];
	bool begun;
	struct exchange *waiter; /* who gets the answer when it comes soon; NULL: nobody any more */
	struct deadline patience;
};

/* ---- files ---- */

static void path_of(const struct server *s, const char *id, const char *suffix, char out[4096])
{
	snprintf(out, 4096, "%s/%s%s", s->store.run_dir, id, suffix);
}

static void remove_files(const struct server *s, const char *id)
{
	char path[4096];
	path_of(s, id, "", path);
	unlink(path);
	path_of(s, id, ".accounts", path);
	unlink(path);
}

/* Locked, so that the child inherits the lock. */
static int answer_file(const struct server *s, const char *id, struct err *err)
{
	char path[4096];
	path_of(s, id, "", path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	int rc = err_errno(err, -errno, "%s", path);
	close(fd);
	return rc;
}

static int accounts_file(const struct server *s, const char *id, const json_t *accounts, struct err *err)
{
	char path[4096];
	path_of(s, id, ".accounts", path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	int rc = json_dumpfd(accounts, fd, JSON_COMPACT) < 0 || fsync(fd) < 0 ? err_set(err, -EIO, "%s: cannot be written", path) : 0;
	close(fd);
	return rc;
}

/* ---- its life ---- */

static void running_free(struct running *r)
{
	deadline_cancel(r->s->loop, &r->patience);
	*r->link = r->next;
	if (r->next)
		r->next->link = r->link;
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

static void on_patience(struct deadline *d)
{
	struct running *r = (struct running *)(void *)((char *)d - offsetof(struct running, patience));
	struct exchange *x = r->waiter;
	r->waiter = NULL;
	if (x)
		accepted(x, r);
}

static bool on_began(void *arg)
{
	struct running *r = arg;
	struct err err = {0};
	r->begun = operation_began(&r->s->store, r->id, &err) == 0;
	if (!r->begun)
		log_error("operation=%s reason=%s", r->id, LOG_QUOTED(err.text, strlen(err.text)));
	return r->begun;
}

/* The exit code as the answer has it: that of an adopted child nobody can tell us. */
static int exit_in(const char *text, int exit)
{
	json_t *o = json_loads(text, 0, NULL), *v = json_object_get(o, "exit");
	int found = json_is_integer(v) ? (int)json_integer_value(v) : -1;
	json_decref(o);
	return found >= EXIT_DONE && found <= EXIT_STUCK ? found : exit > EXIT_DONE ? exit : EXIT_STUCK;
}

static void on_end(void *arg, const struct job_end *end)
{
	struct running *r = arg;
	struct server *s = r->s;
	struct exchange *x = r->waiter;
	struct err err = {0};
	json_t *answer = json_loads(end->text, 0, NULL);
	int exit = exit_in(end->text, end->exit);
	int rc = operation_end(&s->store, r->id, exit, answer ? end->text : NULL, &err);
	json_decref(answer);
	if (rc == 0)
		remove_files(s, r->id);
	else /* the next serve finds the file, and tries again */
		log_error("operation=%s reason=%s", r->id, LOG_QUOTED(err.text, strlen(err.text)));
	if (x) {
		web_answer_header(x->req, "Location", "/v1/operations/%s", r->id);
		exchange_command(x, exit, end->text, r->id);
	}
	running_free(r);
}

/* argv: the operation's own, from disk. */
static int start(struct server *s, const struct operation *o, struct running *r, struct err *err)
{
	char accounts[4096];
	json_t *list = json_loads(o->argv, 0, NULL), *word;
	char **argv = calloc(json_array_size(list) + 1, sizeof(*argv));
	size_t i;
	bool ok = argv != NULL;
	path_of(s, o->id, ".accounts", accounts);
	json_array_foreach (list, i, word) {
		const char *w = json_string_value(word);
		if (ok)
			ok = (argv[i] = strdup(strcmp(w, CALL_FILE_WORD) == 0 ? accounts : w)) != NULL;
	}
	int out = ok ? answer_file(s, o->id, err) : err_set(err, -ENOMEM, "out of memory");
	struct job_spec spec = {
		.lane = (enum lane)o->lane, .argv = argv, .actor = o->token_name, .out = out, .began = on_began, .fn = on_end, .arg = r};
	int rc = out < 0 ? out : job_start(s->jobs, &spec, err);
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
	struct trail_head head = {0};
	char **argv = api_argv(x->s, x->route->command, &x->call, false, true);
	json_t *list = json_array(), *shown = json_copy(x->fields);
	if (state_now(x->s))
		journal_head(x->s->state, &head, NULL);
	for (size_t i = 0; argv && argv[i]; i++)
		json_array_append_new(list, json_string(argv[i]));
	if (x->call.accounts)
		json_object_set_new(shown, "accounts", json_integer((json_int_t)json_array_size(x->call.accounts)));
	*o = (struct operation){.token = x->token.id,
				.argv = json_dumps(list, JSON_COMPACT),
				.request = json_dumps(shown, JSON_COMPACT),
				.lane = x->route->lane,
				.trail = head.lines};
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

static int begin(struct exchange *x, struct operation *o, struct err *err)
{
	int rc = operation_add(&x->s->store, o, err);
	if (rc < 0)
		return rc;
	struct running *r = running_new(x->s, o->id);
	rc = r ? 0 : err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && x->call.accounts)
		rc = accounts_file(x->s, o->id, x->call.accounts, err);
	if (rc == 0)
		rc = start(x->s, o, r, err);
	if (rc < 0) {
		operation_end(&x->s->store, o->id, EXIT_REFUSED,
			      "{\"ok\":false,\"exit\":1,\"error\":\"it could not be begun. Nothing changed\"}", NULL);
		remove_files(x->s, o->id);
		if (r)
			running_free(r);
		return rc;
	}
	int ms = patience_ms(x);
	if (ms == 0) {
		accepted(x, r);
		return 0;
	}
	r->waiter = x;
	deadline_arm(x->s->loop, &r->patience, on_patience, (uint64_t)ms);
	return 0;
}

static void not_begun(struct exchange *x, const struct err *err)
{
	log_error("token=%s command=\"%s\" reason=%s", x->token.name, x->route->command, LOG_QUOTED(err->text, strlen(err->text)));
	web_answer_header(x->req, "Retry-After", "5");
	exchange_problem(x, 503, NULL, "it could not be begun. Nothing changed");
}

void operate(struct exchange *x)
{
	const char *key = x->key ? x->key : web_header(x->req, "Idempotency-Key");
	char what[512], digest[65];
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
	if (rc == -ENOENT && !jobs_has_room(x->s->jobs, x->route->lane)) {
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
		not_begun(x, &err);
}

/* ---- what an earlier serve has left ---- */

static int take_up(struct server *s, struct operation *o, struct err *err)
{
	char path[4096];
	bool queued = strcmp(o->state, "queued") == 0;
	if (queued && now_ms() - o->created > LATE_MS) {
		remove_files(s, o->id);
		return operation_end(&s->store, o->id, EXIT_REFUSED,
				     "{\"ok\":false,\"exit\":1,\"error\":\"it was not begun before shunt serve ended, and is not any more. "
				     "Nothing changed\"}",
				     err);
	}
	path_of(s, o->id, "", path);
	if (queued)
		unlink(path); /* the queue's place for its answer */
	struct running *r = running_new(s, o->id);
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	if (queued)
		return start(s, o, r, err);
	r->begun = true;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return job_adopt(s->jobs, (enum lane)o->lane, fd, on_end, r, err);
	running_free(r);
	return operation_end(&s->store, o->id, EXIT_STUCK, NULL, err);
}

int operate_recover(struct server *s, struct err *err)
{
	struct operation *open = calloc(RECOVERED_MAX, sizeof(*open));
	if (!open)
		return err_set(err, -ENOMEM, "out of memory");
	int n = operation_open(&s->store, open, RECOVERED_MAX, err), rc = n < 0 ? n : 0;
	for (int i = 0; i < n; i++) {
		struct err e = {0};
		if (take_up(s, &open[i], &e) < 0)
			log_error("operation=%s reason=%s", open[i].id, LOG_QUOTED(e.text, strlen(e.text)));
		else
			log_info("operation=%s command=\"%s\" reason=\"taken up from before\"", open[i].id, open[i].command);
		operation_done(&open[i]);
	}
	free(open);
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

static void put_progress(struct exchange *x, const struct operation *o, json_t *j)
{
	struct move_rows open = {0};
	char at[TIME_TEXT_MAX];
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

void operate_cancel(struct exchange *x)
{
	struct running *r = x->s->running;
	struct operation o;
	int rc = operation_find(&x->s->store, x->match.arg, operations_of(x), &o, NULL);
	bool over = strcmp(o.state, "done") == 0, may = !x->owner || o.by_owner;
	operation_done(&o);
	while (r && strcmp(r->id, x->match.arg) != 0)
		r = r->next;
	if (rc < 0) {
		exchange_problem(x, 404, NULL, NO_SUCH_THING);
	} else if (!may && !over) {
		exchange_problem(x, 403, NULL, "the operator of the server has begun this, and alone may cancel it. It goes on");
	} else if (over || !r || job_cancel(x->s->jobs, r) < 0) {
		exchange_problem(x, 409, NULL, "it is over already");
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
