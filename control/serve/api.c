/* From a request to its route: who asks, how often, whether he may, and what for. What another account is called, and whether there is one,
 * makes no difference to an owner: that is decided before anything is looked up. */
#include "control/serve/serve.h"

#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define READ_MS      60000
#define READS_OF_ONE 16 /* of one token of an account or for metrics, which wait or run */

/* ---- the end of an exchange ---- */

static void exchange_free(struct exchange *x)
{
	call_done(&x->call);
	json_decref(x->fields);
	free(x->path);
	free(x);
}

void exchange_end(struct exchange *x, int status)
{
	log_info("method=%s path=%s status=%d token=%s source=%s ms=%llu",
		 route_method(x->answered && x->route ? x->route->method : evhttp_request_get_command(x->req)),
		 LOG_QUOTED(x->path, strlen(x->path)), status, *x->token.name ? x->token.name : "-", x->source,
		 (unsigned long long)(loop_now(x->s->loop) - x->began));
	exchange_free(x);
}

void exchange_json(struct exchange *x, int status, const json_t *body)
{
	struct evhttp_request *req = x->req;
	void (*answered)(void *arg, int status, const json_t *body) = x->answered;
	void *arg = x->arg;
	exchange_end(x, status); /* the request may be gone with its answer */
	if (answered)
		answered(arg, status, body);
	else
		web_json(req, status, body);
}

void exchange_problem(struct exchange *x, int status, json_t *extra, const char *fmt, ...)
{
	struct evhttp_request *req = x->req;
	char detail[ERR_TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	if (x->answered) {
		json_t *o = web_problem_object(status, extra, detail);
		exchange_json(x, status, o);
		json_decref(o);
		return;
	}
	exchange_end(x, status);
	web_problem(req, status, extra, "%s", detail);
}

static void too_often(struct exchange *x, int retry_s, const char *what)
{
	web_answer_header(x->req, "Retry-After", "%d", retry_s);
	exchange_problem(x, 429, NULL, "%s: again in %d s", what, retry_s);
}

/* ---- a command's answer ---- */

int api_status(int exit)
{
	switch (exit) {
	case EXIT_DONE:
		return 200;
	case EXIT_REFUSED:
		return 409;
	case EXIT_USAGE:
		return 400;
	case EXIT_UNDONE:
		return 502;
	default:
		return 500;
	}
}

json_t *exchange_scoped(struct exchange *x, const char *keeps, json_t *answer)
{
	struct scope scope;
	if (!x->owner || !answer)
		return answer;
	scope_open(&scope, x->token.account, x->token.account_id, state_now(x->s), &x->s->store, x->s->app->conf);
	json_t *own = scope_answer(&scope, keeps, answer);
	scope_close(&scope);
	json_decref(answer);
	return own;
}

/* Reports of another account that was called the same are none, and what the command says then is said. */
static json_t *without_reports(struct exchange *x, json_t *answer, int *exit)
{
	const json_t *reports = json_object_get(answer, "reports");
	if (!x->owner || *exit != EXIT_DONE || !reports || json_array_size(reports))
		return answer;
	const json_t *move = json_object_get(x->fields, "move");
	const char *name = x->token.account;
	*exit = EXIT_REFUSED;
	json_decref(answer);
	return json_pack("{s:b, s:i, s:o}", "ok", 0, "exit", *exit, "error",
			 move ? json_sprintf("%s has no move %lld; shunt report %s shows those it has", name,
					     (long long)json_integer_value(move), name)
			      : json_sprintf("no move of %s is recorded", name));
}

void exchange_command(struct exchange *x, int exit, const char *text, const char *operation)
{
	json_t *answer = exchange_scoped(x, x->route->owner_keeps, json_loads(text, 0, NULL));
	answer = without_reports(x, answer, &exit);
	int status = answer && exit >= 0 ? api_status(exit) : 500;
	if (status == 200 && !x->consent_missing) {
		exchange_json(x, 200, answer);
		json_decref(answer);
		return;
	}
	const char *error = json_string_value(json_object_get(answer, "error"));
	json_t *extra = json_pack("{s:i, s:s*}", "exit", exit < 0 ? EXIT_STUCK : exit, "operation", operation);
	char detail[ERR_TEXT_MAX];
	snprintf(detail, sizeof(detail), "%s",
		 !answer              ? "the process that did it died without an answer; status tells what is true now"
		 : error              ? error
		 : x->consent_missing ? "this needs \"yes\": true; the answer has what would happen"
				      : "failed");
	if (x->consent_missing && status == 200) {
		status = 409;
		json_object_set_new(extra, "exit", json_integer(EXIT_REFUSED));
		json_object_set_new(extra, "needs", json_string("yes"));
	}
	if (!x->call.yes && json_object_get(answer, "prices"))
		json_object_set_new(extra, "needs", json_string("yes"));
	if (answer)
		json_object_set_new(extra, "answer", answer);
	exchange_problem(x, status, extra, "%s", detail);
}

/* ---- a command line ---- */

void free_words(char **w)
{
	for (size_t i = 0; w && w[i]; i++)
		free(w[i]);
	free(w);
}

char **api_argv(const struct server *s, const char *command, const struct call *c, bool dry_run, bool json)
{
	const char *fixed[] = {"-c", s->app->conf->file, json ? "--json" : NULL, c->yes ? "--yes" : NULL, dry_run ? "--dry-run" : NULL};
	char **argv = calloc(sizeof(fixed) / sizeof(*fixed) + strlen(command) + c->n + 1, sizeof(*argv)), *words = strdup(command),
	     *rest = NULL;
	size_t n = 0;
	bool ok = argv && words;
	for (size_t i = 0; ok && i < sizeof(fixed) / sizeof(*fixed); i++) {
		if (fixed[i])
			ok = (argv[n++] = strdup(fixed[i])) != NULL;
	}
	for (char *w = ok ? strtok_r(words, " ", &rest) : NULL; ok && w; w = strtok_r(NULL, " ", &rest))
		ok = (argv[n++] = strdup(w)) != NULL;
	for (size_t i = 0; ok && i < c->n; i++)
		ok = (argv[n++] = strdup(c->argv[i])) != NULL;
	free(words);
	if (ok)
		return argv;
	free_words(argv);
	return NULL;
}

static void on_read(void *arg, const struct job_end *end)
{
	struct exchange *x = arg;
	if (end->late) {
		exchange_problem(x, 504, NULL, "it took longer than %d s", READ_MS / 1000);
	} else if (x->route->kind == ROUTE_METRICS) {
		struct evhttp_request *req = x->req;
		if (end->exit != EXIT_DONE) {
			exchange_problem(x, 503, NULL, "the metrics cannot be told now");
			return;
		}
		exchange_end(x, 200);
		web_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", end->text, end->len);
	} else {
		exchange_command(x, end->exit, end->text, NULL);
	}
}

static void run_now(struct exchange *x, bool dry_run)
{
	struct err err = {0};
	bool reads = x->route->kind != ROUTE_SECRET;
	char **argv = api_argv(x->s, x->route->command, &x->call, dry_run, x->route->kind != ROUTE_METRICS);
	struct job_spec spec = {.lane = reads ? LANE_READ : LANE_CHANGE,
				.argv = argv,
				.actor = x->token.name,
				.share = x->token.kind == TOKEN_OPERATOR ? 0 : READS_OF_ONE,
				.out = -1,
				.deadline_ms = reads ? READ_MS : 0,
				.fn = on_read,
				.arg = x};
	struct job *job = NULL;
	int rc = argv ? job_make(&job, x->s->jobs, &spec, &err) : err_set(&err, -ENOMEM, "out of memory");
	free_words(argv);
	if (rc == 0) {
		job_start(job);
		return;
	}
	web_answer_header(x->req, "Retry-After", "2");
	exchange_problem(x, 503, NULL, "%s", err.text);
}

/* ---- what may be asked ---- */

static void show_openapi(struct exchange *x)
{
	const struct openapi *o = &x->s->openapi;
	struct evhttp_request *req = x->req;
	const char *known = web_header(req, "If-None-Match");
	bool same = known && strstr(known, o->etag);
	if (x->answered) {
		exchange_problem(x, 404, NULL, NO_SUCH_THING);
		return;
	}
	exchange_end(x, same ? 304 : 200);
	web_answer_header(req, "ETag", "%s", o->etag);
	web_answer_header(req, "Cache-Control", "max-age=300");
	web_reply(req, same ? 304 : 200, same ? NULL : "application/json", o->text, same ? 0 : o->len);
}

static void here(struct exchange *x)
{
	json_t *o;
	switch (x->route->here) {
	case HERE_OPENAPI:
		show_openapi(x);
		return;
	case HERE_TOKEN:
		o = token_json(&x->token);
		exchange_json(x, 200, o);
		json_decref(o);
		return;
	case HERE_OPERATIONS:
		operate_list(x);
		return;
	case HERE_OPERATION:
		operate_show(x);
		return;
	case HERE_CANCEL:
		operate_cancel(x);
		return;
	case HERE_OPERATION_EVENTS:
	case HERE_ACCOUNT_EVENTS:
	case HERE_EVENTS:
		events_subscribe(x);
		return;
	case HERE_NONE:
		break;
	}
	exchange_problem(x, 404, NULL, NO_SUCH_THING);
}

static void without_consent(struct exchange *x)
{
	if (!x->route->dry_run) {
		exchange_problem(x, 409, json_pack("{s:i, s:s}", "exit", EXIT_REFUSED, "needs", "yes"),
				 "%s%s: this needs \"yes\": true. Nothing changed", x->route->command, x->call.force ? " with force" : "");
		return;
	}
	x->consent_missing = true;
	run_now(x, true);
}

static void dispatch(struct exchange *x)
{
	const struct route *r = x->route;
	switch (r->kind) {
	case ROUTE_HERE:
		here(x);
		return;
	case ROUTE_READ:
	case ROUTE_METRICS:
	case ROUTE_SECRET:
		run_now(x, false);
		return;
	case ROUTE_CHANGE:
		if (x->call.dry_run)
			run_now(x, false);
		else if (call_wants_consent(&x->call, r))
			without_consent(x);
		else
			operate(x);
		return;
	}
}

/* ---- what it says ---- */

static bool takes_body(const struct exchange *x)
{
	return x->route->method == EVHTTP_REQ_POST || x->route->method == EVHTTP_REQ_PUT;
}

static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	return type && strncasecmp(type, json, strlen(json)) == 0 && strchr("; ", type[strlen(json)]);
}

static json_t *body_of(struct exchange *x, int *status, struct err *err)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(x->req);
	size_t len = evbuffer_get_length(in);
	json_error_t e;
	if (len == 0)
		return json_object();
	if (!is_json(web_header(x->req, "Content-Type"))) {
		*status = 415;
		err_set(err, -EINVAL, "expected Content-Type: application/json");
		return NULL;
	}
	json_t *o = json_loadb((const char *)evbuffer_pullup(in, -1), len, JSON_REJECT_DUPLICATES, &e);
	if (!json_is_object(o)) {
		err_set(err, -EINVAL, "expected a JSON object%s%.200s", o ? "" : ": ", o ? "" : e.text);
		json_decref(o);
		return NULL;
	}
	return o;
}

static bool read_fields(struct exchange *x)
{
	struct err err = {0};
	int status = 400;
	const char *query = strchr(evhttp_request_get_uri(x->req), '?');
	if (takes_body(x) && query) {
		exchange_problem(x, 400, NULL, "expected the fields in the body, and no query");
		return false;
	}
	x->fields = takes_body(x) ? body_of(x, &status, &err) : call_query(x->route, query ? query + 1 : NULL, &err);
	int rc = x->fields ? call_build(&x->call, x->route, x->match.arg, x->fields, x->owner, &err) : -EINVAL;
	if (rc < 0)
		exchange_problem(x, rc == -EACCES ? 403 : rc == -ENOMEM ? 503 : status, NULL, "%s", err.text);
	return rc == 0;
}

/* ---- who asks ---- */

static bool admits_stranger(struct exchange *x)
{
	int retry_s;
	if (limit_take(&x->s->strangers, x->source, loop_now(x->s->loop), &retry_s))
		return true;
	too_often(x, retry_s, "too many requests without a good token");
	return false;
}

static bool refuse_unknown(struct exchange *x)
{
	if (!admits_stranger(x))
		return false;
	web_answer_header(x->req, "WWW-Authenticate", "Bearer realm=\"shunt\"");
	exchange_problem(x, 401, NULL, "expected Authorization: Bearer TOKEN, with a token of this server that has not ended");
	return false;
}

int api_token(struct server *s, const char *text, struct token *out, struct err *err)
{
	struct err e = {0};
	int rc = strlen(text) < TOKEN_TEXT_MAX ? token_find(&s->store, text, now_ms(), out, err) : -ENOENT;
	if (rc == 0 && token_used(&s->store, out, now_ms(), &e) < 0)
		log_warn("token=%s reason=%s", out->name, LOG_QUOTED(e.text, strlen(e.text)));
	return rc;
}

/* A good token is let in however many bad ones came from its address: behind a web server all have one address, and nobody comes by a token
 * of 256 bits by trying. */
static bool authenticate(struct exchange *x)
{
	static const char scheme[] = "Bearer ";
	struct err err = {0};
	const char *header = web_header(x->req, "Authorization");
	int rc = -ENOENT;
	if (header && strncasecmp(header, scheme, strlen(scheme)) == 0)
		rc = api_token(x->s, header + strlen(scheme), &x->token, &err);
	if (rc == -ENOENT) {
		x->token = (struct token){0};
		return refuse_unknown(x);
	}
	if (rc < 0) {
		log_error("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
		web_answer_header(x->req, "Retry-After", "2");
		exchange_problem(x, 503, NULL, "tokens cannot be read now");
		return false;
	}
	x->owner = x->token.kind == TOKEN_ACCOUNT;
	return true;
}

bool api_admits(struct server *s, const struct token *t, bool changes, int *retry_s)
{
	char id[24];
	snprintf(id, sizeof(id), "%lld", (long long)t->id);
	return limit_take(changes ? &s->changes : &s->by_token, id, loop_now(s->loop), retry_s);
}

static bool is_within_limits(struct exchange *x)
{
	int retry_s;
	if (!api_admits(x->s, &x->token, false, &retry_s)) {
		too_often(x, retry_s, "too many requests with this token");
		return false;
	}
	if (x->route->method != EVHTTP_REQ_GET && !api_admits(x->s, &x->token, true, &retry_s)) {
		too_often(x, retry_s, "too many changing requests with this token");
		return false;
	}
	return true;
}

static unsigned role_of(const struct token *t)
{
	return t->kind == TOKEN_OPERATOR ? ROLE_FOR_OPERATOR : t->kind == TOKEN_ACCOUNT ? ROLE_FOR_OWNER : ROLE_FOR_METRICS;
}

/* The account that the token was made for, and not another that was called the same after it. */
static bool is_still_there(struct exchange *x)
{
	struct journal *state = state_now(x->s);
	return state && state_account(state, x->token.account) == x->token.account_id;
}

static bool may(struct exchange *x)
{
	const struct route *r = x->route;
	bool of_account = strstr(r->path, "{account}") != NULL;
	if (!(r->roles & role_of(&x->token))) {
		exchange_problem(x, 403, NULL, "a token of this kind may not do that");
		return false;
	}
	if (x->owner) {
		if ((of_account && strcmp(x->match.arg, x->token.account) != 0) || !is_still_there(x)) {
			exchange_problem(x, 404, NULL, NO_SUCH_THING);
			return false;
		}
		return true;
	}
	/* What was removed has a trail still, and is added by name. */
	bool may_be_gone =
		r->command && (strcmp(r->command, "log") == 0 || strcmp(r->command, "report") == 0 || r->method == EVHTTP_REQ_PUT);
	if (of_account && !may_be_gone && state_now(x->s) && !state_account(x->s->state, x->match.arg)) {
		exchange_problem(x, 404, NULL, NO_SUCH_THING);
		return false;
	}
	return true;
}

/* ---- the request ---- */

static void no_route(struct exchange *x)
{
	char allow[80] = "";
	for (unsigned m = 1; m <= EVHTTP_REQ_PATCH; m <<= 1) {
		if (x->match.allow & m)
			snprintf(allow + strlen(allow), sizeof(allow) - strlen(allow), "%s%s", *allow ? ", " : "",
				 route_method((enum evhttp_cmd_type)m));
	}
	if (!*allow) {
		exchange_problem(x, 404, NULL, NO_SUCH_THING);
		return;
	}
	web_answer_header(x->req, "Allow", "%s", allow);
	exchange_problem(x, 405, NULL, "expected %s", allow);
}

static bool is_ours(const char *path)
{
	return strcmp(path, "/v1") == 0 || strncmp(path, "/v1/", 4) == 0 || strcmp(path, "/metrics") == 0;
}

void api_request(void *server, struct evhttp_request *req)
{
	struct server *s = server;
	const char *uri = evhttp_request_get_uri(req);
	struct exchange *x = calloc(1, sizeof(*x));
	if (!x || !(x->path = strndup(uri, strcspn(uri, "?#")))) {
		free(x);
		web_problem(req, 503, NULL, "out of memory");
		return;
	}
	x->s = s;
	x->req = req;
	x->began = loop_now(s->loop);
	web_source(req, x->source);
	if (!is_ours(x->path) && s->other) {
		exchange_free(x);
		s->other(s, req);
		return;
	}
	x->match = route_find(evhttp_request_get_command(req), x->path);
	x->route = x->match.route;
	if (!x->route) {
		no_route(x);
		return;
	}
	if (s->draining) {
		web_answer_header(req, "Retry-After", "5");
		exchange_problem(x, 503, NULL, "this server is being stopped");
		return;
	}
	bool open = x->route->roles == ROLE_FOR_ALL, anonymous = open && !web_header(req, "Authorization");
	if (anonymous ? !admits_stranger(x) : !(authenticate(x) && is_within_limits(x) && (open || may(x))))
		return;
	if (read_fields(x))
		dispatch(x);
}

/* ---- from within ---- */

void api_ask(struct server *s, const struct question *q)
{
	struct exchange *x = calloc(1, sizeof(*x));
	struct err err = {0};
	if (!x || !(x->path = strdup(q->path))) {
		json_t *o = web_problem_object(503, NULL, "out of memory");
		free(x);
		json_decref(q->fields);
		if (q->answered)
			q->answered(q->arg, 503, o);
		else
			web_json(q->req, 503, o);
		json_decref(o);
		return;
	}
	x->s = s;
	x->req = q->req;
	x->began = loop_now(s->loop);
	x->token = *q->token;
	x->owner = x->token.kind == TOKEN_ACCOUNT;
	x->key = q->key;
	x->answered = q->answered;
	x->arg = q->arg;
	x->fields = q->fields ? q->fields : json_object();
	web_source(q->req, x->source);
	x->match = route_find(q->method, x->path);
	x->route = x->match.route;
	if (!x->route)
		no_route(x);
	else if (!may(x))
		return;
	else if (call_build(&x->call, x->route, x->match.arg, x->fields, x->owner, &err) < 0)
		exchange_problem(x, 400, NULL, "%s", err.text);
	else
		dispatch(x);
}
