/* The answers of web.h, and what goes with each of them, also with those that evhttp makes by itself. */
#include "control/serve/web_parts.h"

#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What keeps browsers from doing with an answer what it is not for. */
static const struct {
	const char *name, *value;
} usual[] = {{"Cache-Control", "no-store"},
	     {"X-Content-Type-Options", "nosniff"},
	     {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
	     {"Referrer-Policy", "no-referrer"},
	     {"Cross-Origin-Resource-Policy", "same-origin"}};

#define N_USUAL (sizeof(usual) / sizeof(*usual))

void web_answer_header(struct evhttp_request *req, const char *name, const char *fmt, ...)
{
	char value[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	evhttp_remove_header(evhttp_request_get_output_headers(req), name);
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static void usual_header(struct evhttp_request *req, const char *name, const char *value)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(req);
	if (!evhttp_find_header(out, name))
		evhttp_add_header(out, name, value);
}

static void usual_headers(struct evhttp_request *req, const char *type)
{
	if (type)
		usual_header(req, "Content-Type", type);
	for (size_t i = 0; i < N_USUAL; i++)
		usual_header(req, usual[i].name, usual[i].value);
}

void web_reply(struct evhttp_request *req, int status, const char *type, const char *body, size_t len)
{
	struct evbuffer *b = evbuffer_new();
	usual_headers(req, type);
	/* evhttp would send a body where the one who asks expects none, and takes it for the next answer. */
	if (evhttp_request_get_command(req) == EVHTTP_REQ_HEAD)
		web_answer_header(req, "Content-Length", "%zu", len);
	else if (b && len)
		evbuffer_add(b, body, len);
	evhttp_send_reply(req, status, NULL, b);
	if (b)
		evbuffer_free(b);
}

static void reply_json(struct evhttp_request *req, int status, const char *type, const json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
	char *line = NULL;
	int len = text ? asprintf(&line, "%s\n", text) : -1;
	free(text);
	if (len < 0)
		web_reply(req, 500, "text/plain", "out of memory\n", 14);
	else
		web_reply(req, status, type, line, (size_t)len);
	free(line);
}

void web_json(struct evhttp_request *req, int status, const json_t *body)
{
	reply_json(req, status, "application/json", body);
}

static const char *title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {{400, "Bad Request"},
		      {401, "Unauthorized"},
		      {403, "Forbidden"},
		      {404, "Not Found"},
		      {405, "Method Not Allowed"},
		      {409, "Conflict"},
		      {413, "Content Too Large"},
		      {415, "Unsupported Media Type"},
		      {417, "Expectation Failed"},
		      {421, "Misdirected Request"},
		      {422, "Unprocessable Content"},
		      {429, "Too Many Requests"},
		      {500, "Internal Server Error"},
		      {501, "Not Implemented"},
		      {502, "Bad Gateway"},
		      {503, "Service Unavailable"},
		      {504, "Gateway Timeout"}};
	for (size_t i = 0; i < sizeof(titles) / sizeof(*titles); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

json_t *web_problem_object(int status, json_t *extra, const char *detail)
{
	json_t *o = json_pack("{s:s, s:s, s:i}", "type", "about:blank", "title", title(status), "status", status),
	       *text = json_string(detail);
	json_object_set_new(o, "detail", text ? text : json_string("its text is not UTF-8"));
	if (extra)
		json_object_update_missing(o, extra);
	json_decref(extra);
	return o;
}

/* Whole, and the last of its connection. */
void web_own_words(struct evbuffer *out, int status, const char *detail)
{
	json_t *o = web_problem_object(status, NULL, detail);
	char *text = json_dumps(o, JSON_COMPACT), date[64];
	struct tm tm;
	time_t now = time(NULL);
	strftime(date, sizeof(date), "%a, %d %b %Y %T GMT", gmtime_r(&now, &tm)); /* LC_TIME is C: no program of ours sets it */
	evbuffer_add_printf(out,
			    "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n"
			    "Connection: close\r\n",
			    status, title(status), date, text ? strlen(text) + 1 : 0);
	for (size_t i = 0; i < N_USUAL; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", usual[i].name, usual[i].value);
	evbuffer_add_printf(out, "\r\n%s%s", text ? text : "", text ? "\n" : "");
	free(text);
	json_decref(o);
}

void web_problem(struct evhttp_request *req, int status, json_t *extra, const char *fmt, ...)
{
	char detail[ERR_TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	json_t *o = web_problem_object(status, extra, detail);
	reply_json(req, status, "application/problem+json", o);
	json_decref(o);
}

/* ---- streams ---- */

#define STREAM_BACKLOG (256 * 1024)

struct web_stream {
	struct evhttp_request *req;
	void (*gone)(void *arg);
	void *arg;
};

static void on_stream_gone(struct evhttp_connection *con, void *arg)
{
	struct web_stream *s = arg;
	(void)con;
	s->gone(s->arg);
	/* evhttp has let go of the request: without a connection an answer only frees it. */
	evhttp_send_reply_end(s->req);
	free(s);
}

struct web_stream *web_stream_begin(struct evhttp_request *req, void (*gone)(void *arg), void *arg)
{
	struct evhttp_connection *con = evhttp_request_get_connection(req);
	struct web_stream *s = con ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		web_problem(req, 503, NULL, "out of memory");
		return NULL;
	}
	*s = (struct web_stream){req, gone, arg};
	usual_headers(req, "text/event-stream");
	evhttp_connection_set_closecb(con, on_stream_gone, s);
	evhttp_send_reply_start(req, 200, "OK");
	return s;
}

void web_stream_end(struct web_stream *s)
{
	struct evhttp_connection *con = evhttp_request_get_connection(s->req);
	if (con)
		evhttp_connection_set_closecb(con, NULL, NULL);
	evhttp_send_reply_end(s->req);
	free(s);
}

void web_stream_send(struct web_stream *s, const char *text, size_t len)
{
	struct evhttp_connection *con = evhttp_request_get_connection(s->req);
	struct evbuffer *b;
	if (con && evbuffer_get_length(bufferevent_get_output(evhttp_connection_get_bufferevent(con))) > STREAM_BACKLOG) {
		evhttp_connection_free(con); /* and with it all that waits for a reader; on_stream_gone() follows from within */
		return;
	}
	b = evbuffer_new();
	if (!b)
		return;
	evbuffer_add(b, text, len);
	evhttp_send_reply_chunk(s->req, b);
	evbuffer_free(b);
}
