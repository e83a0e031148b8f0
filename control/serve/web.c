#include "control/serve/web.h"

#include "lib/addr.h"
#include "lib/ctl_parts.h"
#include "lib/log.h"
#include "lib/tls.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define WRITE_S  60  /* without a byte that a client takes */
#define SWEEP_MS 200 /* until a connection that is over is closed for good */

/* One connection. Nobody tells when evhttp has done with one, so we hold a reference to its buffers as well and look from time to time:
 * with the last callback gone they are ours alone. */
struct client {
	struct client *next, **link;
	struct web *web;
	struct bufferevent *bev;
	struct deadline deadline;
	bool idle; /* it has not begun its next request */
};

struct web {
	struct loop *loop;
	const struct conf_serve *conf;
	struct evhttp *http;
	struct evhttp_bound_socket *bound;
	struct tls *tls;
	struct ctl_path path;
	struct client *clients;
	unsigned n_clients;
	struct deadline sweep;
	bool full; /* and has said so */
	web_fn *fn;
	void *arg;
};

/* ---- clients ---- */

static bool is_left(const struct client *c);

static void on_deadline(struct deadline *d)
{
	struct client *c = (struct client *)(void *)((char *)d - offsetof(struct client, deadline));
	if (!is_left(c))
		bufferevent_trigger_event(c->bev, BEV_EVENT_READING | BEV_EVENT_TIMEOUT, 0);
}

static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;
	(void)in;
	if (!c->idle || !info->n_added)
		return;
	c->idle = false;
	deadline_arm(c->web->loop, &c->deadline, on_deadline, WEB_REQUEST_MS);
}

static bool is_left(const struct client *c)
{
	bufferevent_data_cb read = NULL, write = NULL;
	bufferevent_event_cb event = NULL;
	void *arg;
	bufferevent_getcb(c->bev, &read, &write, &event, &arg);
	return !event;
}

static void client_free(struct client *c)
{
	deadline_cancel(c->web->loop, &c->deadline);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->web->n_clients--;
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	bufferevent_decref(c->bev);
	free(c);
}

static void on_sweep(struct deadline *d)
{
	struct web *w = (struct web *)(void *)((char *)d - offsetof(struct web, sweep));
	for (struct client *c = w->clients, *next; c; c = next) {
		next = c->next;
		if (is_left(c))
			client_free(c);
	}
	if (w->clients)
		deadline_arm(w->loop, &w->sweep, on_sweep, SWEEP_MS);
}

/* Called before the connection has its socket. NULL would get it buffers of evhttp's own, without our limits. */
static struct bufferevent *on_client(struct event_base *base, void *arg)
{
	struct web *w = arg;
	struct client *c = calloc(1, sizeof(*c));
	struct bufferevent *bev = w->tls ? tls_web_end(w->tls, base) : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !bev) {
		free(c);
		return bev;
	}
	*c = (struct client){.next = w->clients, .link = &w->clients, .web = w, .bev = bev};
	bufferevent_incref(bev);
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	if (c->next)
		c->next->link = &c->next;
	w->clients = c;
	if (w->n_clients++ == 0)
		deadline_arm(w->loop, &w->sweep, on_sweep, SWEEP_MS);
	bool full = w->n_clients > WEB_CLIENTS_MAX;
	if (full && !w->full)
		log_warn("clients=%u reason=\"as many as there may be, further ones are closed\"", w->n_clients - 1);
	w->full = full;
	deadline_arm(w->loop, &c->deadline, on_deadline, full ? 1 : WEB_REQUEST_MS);
	return bev;
}

static struct client *client_of(struct web *w, struct evhttp_request *req)
{
	struct evhttp_connection *con = evhttp_request_get_connection(req);
	struct bufferevent *bev = con ? evhttp_connection_get_bufferevent(con) : NULL;
	struct client *c = w->clients;
	while (c && c->bev != bev)
		c = c->next;
	return bev ? c : NULL;
}

static void on_complete(struct evhttp_request *req, void *arg)
{
	struct client *c = client_of(arg, req);
	if (!c)
		return;
	c->idle = true;
	deadline_arm(c->web->loop, &c->deadline, on_deadline, WEB_IDLE_MS);
}

/* ---- what is refused at the door ---- */

const char *web_header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* "localhost", "127.0.0.1:7480", "[::1]:7480", or a name of the configuration. */
static bool host_is_ours(const struct conf_serve *conf, const char *host)
{
	char name[256];
	struct addr a;
	if (snprintf(name, sizeof(name), "%s", host) >= (int)sizeof(name))
		return false;
	if (addr_parse_port(&a, name))
		return addr_is_loopback(&a);
	char *colon = strrchr(name, ':');
	if (name[0] != '[' && colon && strchr(name, ':') == colon)
		*colon = '\0';
	if (name[0] == '[' && name[strlen(name) - 1] == ']') {
		name[strlen(name) - 1] = '\0';
		return addr_parse(&a, name + 1) && addr_is_loopback(&a);
	}
	if (addr_parse(&a, name))
		return addr_is_loopback(&a);
	for (size_t i = 0; i < conf->n_names; i++) {
		if (strcasecmp(conf->names[i], name) == 0)
			return true;
	}
	return strcasecmp(name, "localhost") == 0;
}

static bool has_body(struct evhttp_request *req)
{
	const char *length = web_header(req, "Content-Length");
	return (length && strcmp(length, "0") != 0) || web_header(req, "Transfer-Encoding");
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct web *w = arg;
	struct client *c = client_of(w, req);
	const char *host = web_header(req, "Host"), *uri = evhttp_request_get_uri(req);
	enum evhttp_cmd_type method = evhttp_request_get_command(req);
	if (c)
		deadline_cancel(w->loop, &c->deadline);
	evhttp_request_set_on_complete_cb(req, on_complete, w);
	if (!host || (!w->tls && !w->path.ino && !host_is_ours(w->conf, host))) {
		web_problem(req, 421, NULL, "the Host of this request is none of ours (names of section serve)");
	} else if (method != EVHTTP_REQ_POST && method != EVHTTP_REQ_PUT && method != EVHTTP_REQ_PATCH && has_body(req)) {
		web_answer_header(req, "Connection", "close");
		web_problem(req, 400, NULL, "such a request has no body");
	} else if (uri[0] != '/') {
		web_problem(req, 400, NULL, "expected a path");
	} else {
		w->fn(w->arg, req);
	}
}

/* ---- answers ---- */

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
	usual_header(req, "Content-Type", type);
	usual_header(req, "Cache-Control", "no-store");
	usual_header(req, "X-Content-Type-Options", "nosniff");
	usual_header(req, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	usual_header(req, "Referrer-Policy", "no-referrer");
	usual_header(req, "Cross-Origin-Resource-Policy", "same-origin");
}

void web_reply(struct evhttp_request *req, int status, const char *type, const char *body, size_t len)
{
	struct evbuffer *b = evbuffer_new();
	usual_headers(req, type);
	if (b)
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
		      {415, "Unsupported Media Type"},
		      {421, "Misdirected Request"},
		      {422, "Unprocessable Content"},
		      {429, "Too Many Requests"},
		      {500, "Internal Server Error"},
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

const char *web_source(struct evhttp_request *req, char out[WEB_SOURCE_MAX])
{
	struct evhttp_connection *con = evhttp_request_get_connection(req);
	const struct sockaddr *sa = con ? evhttp_connection_get_addr(con) : NULL;
	struct addr a;
	if (!sa || !addr_from_sockaddr(&a, sa)) {
		snprintf(out, WEB_SOURCE_MAX, "unix");
		return out;
	}
	if (addr_family(&a) == AF_INET6)
		memset(&a.v6.sin6_addr.s6_addr[8], 0, 8);
	return addr_text(&a, out);
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

/* ---- listening ---- */

static int listen_unix(struct web *w, int *fd, struct err *err)
{
	struct group *g = getgrnam("shunt");
	struct ctl_group group = {.name = "shunt", .known = g != NULL, .gid = g ? g->gr_gid : 0};
	return ctl_path_open(&w->path, w->conf->listen, &group, fd, err);
}

static int listen_ip(const char *text, int *fd, struct err *err)
{
	struct addr a;
	int yes = 1;
	addr_parse_port(&a, text); /* was checked */
	*fd = socket(addr_family(&a), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return err_errno(err, -errno, "socket");
	setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (bind(*fd, &a.sa, addr_len(&a)) < 0 || listen(*fd, 128) < 0)
		return err_errno(err, -errno, "cannot listen at %s", text);
	return 0;
}

static int listen_at(struct web *w, struct err *err)
{
	const char *at = w->conf->listen;
	int fd = -1, rc;
	if (strncmp(at, "unix:", 5) == 0)
		rc = listen_unix(w, &fd, err);
	else
		rc = listen_ip(strncmp(at, "tls://", 6) == 0 ? at + 6 : at, &fd, err);
	if (rc == 0) {
		w->bound = evhttp_accept_socket_with_handle(w->http, fd);
		rc = w->bound ? 0 : err_set(err, -ENOMEM, "out of memory");
	}
	if (rc < 0 && fd >= 0)
		close(fd);
	return rc;
}

static void set_up(struct web *w)
{
	evhttp_set_bevcb(w->http, on_client, w);
	evhttp_set_gencb(w->http, on_request, w);
	evhttp_set_max_headers_size(w->http, WEB_HEAD_MAX);
	evhttp_set_max_body_size(w->http, w->conf->body_max);
	evhttp_set_timeout(w->http, WRITE_S);
	evhttp_set_default_content_type(w->http, NULL);
	evhttp_set_allowed_methods(w->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_HEAD |
						    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
}

int web_reload(struct web *w, struct err *err)
{
	struct tls *fresh = NULL;
	if (strncmp(w->conf->listen, "tls://", 6) != 0)
		return 0;
	int rc = tls_web_new(&fresh, w->conf->cert, w->conf->key, err);
	if (rc == 0) {
		tls_free(w->tls);
		w->tls = fresh;
	}
	return rc;
}

int web_open(struct web **out, struct loop *l, const struct conf_serve *conf, web_fn *fn, void *arg, struct err *err)
{
	struct web *w = calloc(1, sizeof(*w));
	*out = NULL;
	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	*w = (struct web){.loop = l, .conf = conf, .fn = fn, .arg = arg};
	w->http = evhttp_new(loop_base(l));
	int rc = w->http ? web_reload(w, err) : err_set(err, -ENOMEM, "out of memory");
	if (rc == 0) {
		set_up(w);
		rc = listen_at(w, err);
	}
	if (rc < 0) {
		web_close(w);
		return rc;
	}
	*out = w;
	return 0;
}

void web_pause(struct web *w)
{
	if (w->bound)
		evhttp_del_accept_socket(w->http, w->bound);
	w->bound = NULL;
	ctl_path_remove(&w->path);
}

void web_close(struct web *w)
{
	if (!w)
		return;
	if (w->http)
		web_pause(w);
	if (w->http)
		evhttp_free(w->http);
	while (w->clients)
		client_free(w->clients);
	deadline_cancel(w->loop, &w->sweep);
	tls_free(w->tls);
	free(w);
}

const char *web_address(const struct web *w)
{
	return w->conf->listen;
}
