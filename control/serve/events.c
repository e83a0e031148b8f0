/* Server-sent events: lines of the audit trail as they come (event "log", with the place to go on from as the event's id), how moves get on
 * ("progress"), and what becomes of an operation ("operation"). All of it is read from disk twice a second, and only while somebody
 * listens: who writes it are commands, which know nothing of serve. The place of an operator's stream is the line's id. An owner's is how
 * many lines of the account came before: ids would tell how much else happens. */
#include "control/serve/serve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MS     500
#define HEARTBEAT_MS 15000
#define LIFE_MS      3600000 /* then it ends, and the client comes again */
#define STREAMS_MAX  64
#define OF_TOKEN_MAX 8
#define LINES_MAX    200 /* of one round; the others come with the next */
#define RETRY_MS     2000

struct stream {
	struct stream *next, **link;
	struct events *events;
	struct web_stream *web;
	struct token token;
	bool owner, gone;
	char account[ACCOUNT_NAME_MAX + 1]; /* "": all */
	char operation[OPERATION_ID_MAX];   /* "": no end */
	int64_t place;
	char *progress; /* as it was told last; owned */
	char state[8];  /* of the operation, likewise */
	int checked;    /* accounts, likewise, where it is a check */
	uint64_t began, heard;
};

struct events {
	struct server *s;
	struct stream *streams;
	unsigned n;
	struct deadline round;
};

/* ---- a stream ---- */

static void stream_free(struct stream *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	t->events->n--;
	free(t->progress);
	free(t);
}

/* It may be within say(): the round frees it. */
static void on_gone(void *arg)
{
	struct stream *t = arg;
	t->gone = true;
}

static void say(struct stream *t, const char *event, int64_t id, const json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(15)), *all = NULL, place[40] = "";
	if (id >= 0)
		snprintf(place, sizeof(place), "id: %" PRId64 "\n", id);
	int len = text ? asprintf(&all, "%sevent: %s\ndata: %s\n\n", place, event, text) : -1;
	if (len >= 0 && !t->gone)
		web_stream_send(t->web, all, (size_t)len);
	if (len >= 0) {
		free(all);
		t->heard = loop_now(t->events->s->loop);
	}
	free(text);
}

/* ---- what there is to tell ---- */

static void tell_lines(struct stream *t, struct journal *j)
{
	json_t *lines, *line;
	struct scope scope;
	size_t i;
	if (journal_after(j, *t->account ? t->account : NULL, t->owner, t->place, LINES_MAX, &lines, NULL) < 0)
		return;
	if (json_array_size(lines) == 0) {
		json_decref(lines);
		return;
	}
	scope_open(&scope, t->account, t->token.account_id, t->owner ? j : NULL, &t->events->s->store, t->events->s->app->conf);
	json_array_foreach (lines, i, line) {
		json_t *told = line;
		t->place = t->owner ? t->place + 1 : json_integer_value(json_object_get(line, "id"));
		json_object_del(line, "evidence"); /* may be long; the log has it */
		if (t->owner)
			told = scope_event(&scope, line);
		if (json_object_size(told))
			say(t, "log", t->place, told);
		if (t->owner)
			json_decref(told);
	}
	scope_close(&scope);
	json_decref(lines);
}

static json_t *move_json(const struct move_row *m)
{
	char at[TIME_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "account", m->account, "kind", m->kind, "from",
			      side_name(m->from), "to", side_name(m->to), "state", move_state_name(m->state), "step", m->step, "direction",
			      m->undo ? "undo" : "apply", "started", time_text(m->started, at));
	if (m->percent >= 0)
		json_object_set_new(o, "percent", json_real(m->percent));
	if (m->eta)
		json_object_set_new(o, "eta", json_string(time_text(m->eta, at)));
	return o;
}

static void tell_progress(struct stream *t, const struct move_rows *open)
{
	json_t *o = json_pack("{s:[]}", "moves"), *list = json_object_get(o, "moves");
	for (size_t i = 0; i < open->n; i++) {
		if (!*t->account || strcmp(open->rows[i].account, t->account) == 0)
			json_array_append_new(list, move_json(&open->rows[i]));
	}
	char *text = json_dumps(o, JSON_COMPACT);
	bool news = text && (t->progress ? strcmp(text, t->progress) != 0 : json_array_size(list) > 0);
	if (news)
		say(t, "progress", -1, o);
	if (news || !t->progress) {
		free(t->progress);
		t->progress = text;
		text = NULL;
	}
	free(text);
	json_decref(o);
}

/* A token that was revoked ends its streams at once, however much there is to tell; so does an account that was removed, whose name
 * another one may have now. */
static bool may_still(const struct stream *t, struct journal *j)
{
	return token_is_good(&t->events->s->store, t->token.id, now_ms()) &&
	       !(t->owner && j && state_account(j, t->token.account) != t->token.account_id);
}

static void tell_check(struct stream *t, const struct operation *o)
{
	json_t *p = operate_check_progress(t->events->s, o);
	int checked = (int)json_integer_value(json_object_get(p, "checked"));
	if (p && checked != t->checked) {
		t->checked = checked;
		json_object_set_new(p, "operation", json_string(o->id));
		say(t, "progress", -1, p);
	}
	json_decref(p);
}

/* True: it is over, and so is the stream. */
static bool tell_operation(struct stream *t)
{
	struct operation o;
	if (!*t->operation || operation_find(&t->events->s->store, t->operation, OPERATION_OF_ALL, &o, NULL) < 0)
		return false;
	bool over = strcmp(o.state, "done") == 0;
	if (strcmp(o.state, t->state) != 0) {
		json_t *j = json_pack("{s:s, s:s, s:s}", "operation", o.id, "command", o.command, "state", o.state);
		if (over) {
			json_object_set_new(j, "exit", json_integer(o.exit));
			json_object_set_new(j, "status", json_integer(api_status(o.exit)));
		}
		say(t, "operation", -1, j);
		json_decref(j);
		snprintf(t->state, sizeof(t->state), "%s", o.state);
	}
	tell_check(t, &o);
	operation_done(&o);
	return over;
}

static void tell(struct stream *t, struct journal *j, const struct move_rows *open)
{
	struct server *s = t->events->s;
	uint64_t now = loop_now(s->loop);
	struct operation o;
	/* Whether it is over is asked first, so that the last lines have been told when that is. */
	bool over = false, may = may_still(t, j);
	if (may && *t->operation && operation_find(&s->store, t->operation, OPERATION_OF_ALL, &o, NULL) == 0) {
		over = strcmp(o.state, "done") == 0;
		operation_done(&o);
	}
	if (may && j) {
		tell_lines(t, j);
		tell_progress(t, open);
	}
	if (may && !t->gone && (over || *t->operation))
		over = tell_operation(t) && over;
	if (!t->gone && now > t->heard + HEARTBEAT_MS) {
		web_stream_send(t->web, ":\n\n", 3);
		t->heard = now;
	}
	if (!t->gone && (!may || over || now > t->began + LIFE_MS || s->draining)) {
		web_stream_end(t->web);
		t->gone = true;
	}
}

static void on_round(struct deadline *d)
{
	struct events *e = (struct events *)(void *)((char *)d - offsetof(struct events, round));
	struct journal *j = state_now(e->s);
	struct move_rows open = {0};
	if (e->streams && j && journal_moves_open(j, NULL, &open, NULL) < 0)
		j = NULL;
	for (struct stream *t = e->streams, *next; t; t = next) {
		next = t->next;
		if (!t->gone)
			tell(t, j, &open);
		if (t->gone)
			stream_free(t);
	}
	move_rows_done(&open);
	if (e->streams)
		deadline_arm(e->s->loop, &e->round, on_round, EVERY_MS);
}

/* ---- beginning ---- */

static unsigned of_token(const struct events *e, int64_t token)
{
	unsigned n = 0;
	for (const struct stream *t = e->streams; t; t = t->next)
		n += t->token.id == token;
	return n;
}

/* From Last-Event-ID on; else from the operation's beginning, or from now. */
static void place_of(struct stream *t, struct exchange *x, int64_t trail)
{
	const char *last = web_header(x->req, "Last-Event-ID");
	struct journal *j = state_now(x->s);
	struct trail_head head = {0};
	char *end;
	if (last && *last >= '0' && *last <= '9') {
		t->place = strtoll(last, &end, 10);
		if (!*end && t->place >= 0)
			return;
	}
	t->place = trail;
	if (j && trail < 0 && journal_head(j, &head, NULL) == 0)
		t->place = head.lines;
	if (j && t->owner)
		journal_count(j, t->account, t->place, &t->place, NULL);
}

/* Not before what another account had that was called the same. */
static void set_place(struct stream *t, struct exchange *x, int64_t trail)
{
	struct journal *j = state_now(x->s);
	int64_t least = 0;
	place_of(t, x, trail);
	if (!j || !t->owner)
		return;
	int64_t before = scope_before(j, t->account);
	if (before && journal_count(j, t->account, before, &least, NULL) == 0 && t->place < least)
		t->place = least;
}

static void let_go(struct events *e)
{
	for (struct stream *t = e->streams, *next; t; t = next) {
		next = t->next;
		if (t->gone)
			stream_free(t);
	}
}

static void begin(struct exchange *x, const char *account, const struct operation *o)
{
	struct events *e = x->s->events;
	struct evhttp_request *req = x->req;
	let_go(e); /* those that have gone since the last round do not count */
	struct stream *t = e->n < STREAMS_MAX && of_token(e, x->token.id) < OF_TOKEN_MAX ? calloc(1, sizeof(*t)) : NULL;
	char first[40];
	if (!t) {
		web_answer_header(req, "Retry-After", "10");
		exchange_problem(x, 503, NULL, "too many streams of events are open");
		return;
	}
	*t = (struct stream){.events = e, .token = x->token, .owner = x->owner};
	snprintf(t->account, sizeof(t->account), "%s", account ? account : "");
	snprintf(t->operation, sizeof(t->operation), "%s", o ? o->id : "");
	set_place(t, x, o ? o->trail : -1);
	t->began = t->heard = loop_now(x->s->loop);
	exchange_end(x, 200);
	t->web = web_stream_begin(req, on_gone, t);
	if (!t->web) {
		free(t);
		return;
	}
	t->next = e->streams;
	t->link = &e->streams;
	if (t->next)
		t->next->link = &t->next;
	e->streams = t;
	e->n++;
	web_stream_send(t->web, first, (size_t)snprintf(first, sizeof(first), "retry: %d\n\n", RETRY_MS));
	deadline_arm(e->s->loop, &e->round, on_round, 1);
}

void events_subscribe(struct exchange *x)
{
	struct operation o = {0};
	switch (x->route->here) {
	case HERE_OPERATION_EVENTS:
		if (operation_find(&x->s->store, x->match.arg, operations_of(x), &o, NULL) < 0)
			exchange_problem(x, 404, NULL, NO_SUCH_THING);
		else
			begin(x, x->owner ? x->token.account : o.account, &o);
		operation_done(&o);
		return;
	case HERE_ACCOUNT_EVENTS:
		begin(x, x->match.arg, NULL);
		return;
	case HERE_EVENTS:
	case HERE_NONE:
	case HERE_TOKEN:
	case HERE_OPERATIONS:
	case HERE_OPERATION:
	case HERE_CANCEL:
	case HERE_OPENAPI:
		begin(x, x->owner ? x->token.account : NULL, NULL);
		return;
	}
}

int events_new(struct events **out, struct server *s, struct err *err)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return err_set(err, -ENOMEM, "out of memory");
	(*out)->s = s;
	return 0;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	deadline_cancel(e->s->loop, &e->round);
	while (e->streams) {
		struct stream *t = e->streams;
		if (!t->gone)
			web_stream_end(t->web);
		stream_free(t);
	}
	free(e);
}
