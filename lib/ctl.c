/* The answering side. A connection is in one of three states, told by what it has: a call (the handler works on it; we do not
 * read), output (an answer is on its way; we do not read), or neither (we read, and look for the next line). conn_turn() is the
 * only place that starts a call, and a handler may do anything to its connection, so it is always the last thing done. */
#include "lib/ctl_parts.h"

#include "lib/log.h"
#include "lib/tls.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX        128
#define OUT_OF_MEMORY "{\"v\":1,\"ok\":false,\"code\":\"failed\",\"error\":\"out of memory\"}\n"

struct ctl_conn {
	struct ctl_conn *next, **link;
	struct ctl_server *server;
	struct bufferevent *bev;
	struct ctl_call *call; /* owned by the handler that was given it; NULL between calls */
	void *session;
	struct event timer; /* for the rest of a line, or for the reader of an answer */
	size_t scanned;     /* so much of the input is known to hold no newline: a line may come in a million pieces */
	bool closing;       /* after the output is gone */
	bool eof;
	char peer[CTL_PEER_MAX];
};

struct ctl_call {
	struct ctl_conn *conn; /* NULL once the connection is gone */
	json_t *request;
	char peer[CTL_PEER_MAX]; /* the audit wants it to the end */
};

static const char *const code_names[] = {[CTL_REFUSED] = "refused", [CTL_USAGE] = "usage", [CTL_FAILED] = "failed", [CTL_STUCK] = "stuck"};

const char *ctl_code_name(enum ctl_code code)
{
	return code_names[code];
}

/* ---- lines ---- */

int ctl_parse_line(json_t **out, const char *line, size_t len, struct err *err)
{
	json_error_t why;
	*out = NULL;
	if (len > CTL_LINE_MAX)
		return err_set(err, -EMSGSIZE, "the line has more than %u bytes", CTL_LINE_MAX);
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!o)
		return err_set(err, -EPROTO, "the line is not JSON: %s at byte %d", why.text, why.position);
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, -EPROTO, "the line is not a JSON object");
	}
	*out = o;
	const json_t *v = json_object_get(o, "v"), *cmd = json_object_get(o, "cmd"), *id = json_object_get(o, "id");
	if (!json_is_integer(v) || json_integer_value(v) != CTL_VERSION)
		return err_set(err, -EPROTO, "\"v\": expected %d, the only version spoken here", CTL_VERSION);
	if (!json_is_string(cmd) || json_string_length(cmd) == 0)
		return err_set(err, -EPROTO, "\"cmd\": expected the name of a command");
	if (id && (!json_is_string(id) || json_string_length(id) > ID_MAX))
		return err_set(err, -EPROTO, "\"id\": expected a string of at most %d bytes", ID_MAX);
	return 0;
}

static void arm(struct ctl_conn *c, int ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
	evtimer_add(&c->timer, &tv);
}

/* Takes object; NULL means memory was out while it was made. */
static void put_line(struct ctl_conn *c, json_t *object)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	json_decref(object);
	if (text)
		text[len] = '\n'; /* over the final NUL: nothing reads it as a string any more */
	if (!text || evbuffer_add(out, text, len + 1) < 0)
		evbuffer_add(out, OUT_OF_MEMORY, sizeof(OUT_OF_MEMORY) - 1);
	free(text);
	bufferevent_disable(c->bev, EV_READ);
	arm(c, c->server->opt.answer_timeout_ms);
}

static json_t *answer_head(const json_t *request, bool ok)
{
	json_t *o = json_pack("{s:i}", "v", CTL_VERSION);
	json_t *id = request ? json_object_get(request, "id") : NULL;
	if (json_is_string(id))
		json_object_set(o, "id", id);
	json_object_set_new(o, "ok", json_boolean(ok));
	return o;
}

json_t *ctl_failure(const json_t *request, enum ctl_code code, char *text)
{
	json_t *o = answer_head(request, false), *error = json_string(text);
	if (!error) { /* a foreign byte came along, or our own cut went through a character */
		for (char *p = text; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		error = json_string(text);
	}
	json_object_set_new(o, "code", json_string(code_names[code]));
	json_object_set_new(o, "error", error);
	return o;
}

/* ---- connections ---- */

void ctl_conn_free(struct ctl_conn *c)
{
	struct ctl_server *s = c->server;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->n_conns--;
	if (c->call)
		c->call->conn = NULL;
	evtimer_del(&c->timer);
	if (s->opt.tls)
		tls_last_words(c->bev, NULL, 0);
	bufferevent_free(c->bev);
	if (c->session && s->opt.session_free)
		s->opt.session_free(c->session);
	free(c);
}

/* Answers what was no request and ends the connection. */
static void conn_refuse(struct ctl_conn *c, const json_t *request, struct err *err)
{
	c->closing = true;
	put_line(c, ctl_failure(request, CTL_USAGE, err->text));
}

/* Has the peer closed altogether? One that has only shut its half still reads. */
static bool has_gone(const struct ctl_conn *c)
{
	struct pollfd p = {.fd = bufferevent_getfd(c->bev)};
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void dispatch(struct ctl_conn *c, char *line, size_t len)
{
	struct err err;
	json_t *request;
	struct ctl_call *call = NULL;
	int rc = ctl_parse_line(&request, line, len, &err);
	free(line);
	if (rc == 0 && !(call = calloc(1, sizeof(*call))))
		err_set(&err, -ENOMEM, "out of memory");
	if (!call) {
		conn_refuse(c, request, &err);
		json_decref(request);
		return;
	}
	call->conn = c;
	call->request = request;
	memcpy(call->peer, c->peer, sizeof(call->peer));
	c->call = call;
	bufferevent_disable(c->bev, EV_READ);
	struct ctl_server *s = c->server;
	s->opt.handler(call, json_string_value(json_object_get(request, "cmd")), request, &c->session, s->opt.arg);
}

/* Takes the next step of a connection: the last thing its caller does with it. */
static void conn_turn(struct ctl_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct err err;
	if (c->call || c->closing || evbuffer_get_length(bufferevent_get_output(c->bev)))
		return;
	size_t have = evbuffer_get_length(in);
	struct evbuffer_ptr from, end = {.pos = -1};
	if (have > c->scanned && evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET) == 0)
		end = evbuffer_search(in, "\n", 1, &from);
	size_t len = end.pos < 0 ? have : (size_t)end.pos;
	if (len > CTL_LINE_MAX) {
		err_set(&err, -EMSGSIZE, "the line has more than %u bytes", CTL_LINE_MAX);
		conn_refuse(c, NULL, &err);
	} else if (end.pos >= 0 && has_gone(c)) {
		log_info("control: %s went before its request was begun", c->peer);
		ctl_conn_free(c);
	} else if (end.pos >= 0) {
		char *line = malloc(len + 1);
		evtimer_del(&c->timer);
		c->scanned = 0;
		if (line && evbuffer_remove(in, line, len + 1) == (int)len + 1) {
			dispatch(c, line, len);
		} else {
			free(line);
			ctl_conn_free(c);
		}
	} else if (c->eof) {
		ctl_conn_free(c);
	} else {
		c->scanned = have;
		if (have && !evtimer_pending(&c->timer, NULL)) /* from the line's first byte: more of them buy no time */
			arm(c, c->server->opt.line_timeout_ms);
		bufferevent_enable(c->bev, EV_READ);
	}
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_turn(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct ctl_conn *c = arg;
	if (evbuffer_get_length(bufferevent_get_output(bev)))
		return;
	evtimer_del(&c->timer);
	if (c->closing)
		ctl_conn_free(c);
	else
		conn_turn(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct ctl_conn *c = arg;
	(void)bev;
	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR)) {
		c->eof = true;
		conn_turn(c); /* lines that came whole are still done and answered: the peer may only have shut its half */
	} else {
		ctl_conn_free(c);
	}
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_conn *c = arg;
	struct err err;
	(void)fd;
	(void)what;
	if (evbuffer_get_length(bufferevent_get_output(c->bev))) {
		log_warn("control: %s does not read its answer, closed", c->peer);
		ctl_conn_free(c);
		return;
	}
	err_set(&err, -ETIMEDOUT, "the line was not finished within %d ms", c->server->opt.line_timeout_ms);
	conn_refuse(c, NULL, &err);
}

int ctl_conn_new(struct ctl_server *s, struct bufferevent *bev, const char *peer)
{
	struct ctl_conn *c = calloc(1, sizeof(*c));
	if (!c) {
		bufferevent_free(bev);
		return -ENOMEM;
	}
	c->server = s;
	c->bev = bev;
	snprintf(c->peer, sizeof(c->peer), "%s", peer);
	evtimer_assign(&c->timer, s->base, on_timeout, c);
	c->link = &s->conns;
	c->next = s->conns;
	if (c->next)
		c->next->link = &c->next;
	s->conns = c;
	s->n_conns++;
	bufferevent_setwatermark(bev, EV_READ, 0, CTL_LINE_MAX + 4096);
	bufferevent_setcb(bev, on_readable, on_written, on_event, c);
	bufferevent_enable(bev, EV_READ);
	return 0;
}

struct ctl_conn *ctl_conn_idlest(struct ctl_server *s)
{
	struct ctl_conn *found = NULL;
	for (struct ctl_conn *c = s->conns; c; c = c->next)
		if (!c->call && !c->session && !evbuffer_get_length(bufferevent_get_output(c->bev)) &&
		    !evbuffer_get_length(bufferevent_get_input(c->bev)))
			found = c;
	return found;
}

/* ---- calls ---- */

/* Takes the answer. */
static void call_end(struct ctl_call *call, json_t *answer)
{
	struct ctl_conn *c = call->conn;
	if (c) {
		c->call = NULL;
		put_line(c, answer);
	} else {
		json_decref(answer);
	}
	json_decref(call->request);
	free(call);
}

static int count_bytes(const char *bytes, size_t len, void *arg)
{
	(void)bytes;
	*(size_t *)arg += len;
	return 0;
}

const char *ctl_peer(const struct ctl_call *call)
{
	return call->peer;
}

void ctl_answer(struct ctl_call *call, json_t *fields)
{
	json_t *o = answer_head(call->request, true);
	size_t len = 0;
	if (fields && o && json_object_update_missing(o, fields) < 0) {
		json_decref(o);
		o = NULL;
	}
	json_decref(fields);
	if (o && json_dump_callback(o, count_bytes, &len, JSON_COMPACT) == 0 && len > CTL_LINE_MAX) {
		json_decref(o);
		ctl_fail(call, CTL_FAILED, "the answer would have %zu bytes, more than the limit of %u: ask for less at a time", len,
			 CTL_LINE_MAX);
		return;
	}
	call_end(call, o);
}

void ctl_fail(struct ctl_call *call, enum ctl_code code, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	call_end(call, ctl_failure(call->request, code, text));
}
