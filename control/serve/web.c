#include "control/serve/web_parts.h"

#include "lib/addr.h"
#include "lib/ctl_parts.h"
#include "lib/log.h"
#include "lib/tls.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <unistd.h>

#define WRITE_S   60    /* without a byte that a client takes */
#define MORE_READ 16384 /* past a head and a body: what a client may send ahead */
#define SWEEP_MS  200   /* until a connection that is over is closed for good */

/* One connection. Nobody tells when evhttp has done with one, so we hold a reference to its buffers as well and look from time to time:
 * with the last callback gone they are ours alone. */
struct client {
	struct client *next, **link;
	struct web *web;
	struct bufferevent *bev;
	struct deadline deadline;
	char source[WEB_SOURCE_MAX]; /* "": not known yet */
	bool idle;                   /* it has not begun its next request */
	bool asked;                  /* we have a request of it: what goes out is our answer */
	bool shut;                   /* nothing is read from it nor said to it any more */
	int refused;                 /* the status of evhttp's own answer, which ours replaces; 0: none */
};

struct web {
	struct loop *loop;
	const struct conf_serve *conf;
	struct web_limits limits;
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

static bool is_left(const struct client *c)
{
	bufferevent_data_cb read = NULL, write = NULL;
	bufferevent_event_cb event = NULL;
	void *arg;
	bufferevent_getcb(c->bev, &read, &write, &event, &arg);
	return !event;
}

static void shut(struct client *c)
{
	c->shut = true;
	if (!is_left(c))
		bufferevent_trigger_event(c->bev, BEV_EVENT_READING | BEV_EVENT_TIMEOUT, 0);
}

static struct client *client_of_deadline(struct deadline *d)
{
	return (struct client *)(void *)((char *)d - offsetof(struct client, deadline));
}

static void on_deadline(struct deadline *d)
{
	shut(client_of_deadline(d));
}

static void on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;
	(void)in;
	if (!c->idle || !info->n_added)
		return;
	c->idle = false;
	deadline_arm(c->web->loop, &c->deadline, on_deadline, (uint64_t)c->web->limits.request_ms);
}

static const char *own_words(const struct web *w, int status, char out[160])
{
	switch (status) {
	case 400:
		snprintf(out, 160, "this is no request of HTTP/1, or its head is longer than %zu bytes", w->limits.head);
		break;
	case 413:
		snprintf(out, 160, "its body is longer than %d bytes (body-max of section serve), or its chunks are none",
			 w->conf->body_max);
		break;
	case 417:
		snprintf(out, 160, "the Expect of this request is not known here");
		break;
	case 501:
		snprintf(out, 160, "this method is not known here");
		break;
	default:
		snprintf(out, 160, "this request is refused");
	}
	return out;
}

/* The status of what is about to be sent: that of evhttp's 100 Continue is none. */
static int status_in(struct evbuffer *out)
{
	char head[64];
	int status = 0;
	ev_ssize_t n = evbuffer_copyout(out, head, sizeof(head) - 1);
	head[n > 0 ? n : 0] = '\0';
	for (const char *p = head; p && status < 200; p = strstr(p + 1, "HTTP/1.")) {
		if (sscanf(p, "HTTP/%*d.%*d %d", &status) != 1)
			break;
	}
	return status < 200 ? 0 : status;
}

/* What evhttp cannot read it answers by itself, in HTML and without our headers, and tells nobody. It writes such an answer in pieces, all
 * before anything of it is sent, and then closes the connection: with each piece ours is put in the place of all of it. */
static void on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;
	char words[160];
	if (c->asked || !info->n_added)
		return;
	evbuffer_unfreeze(out, 1); /* a bufferevent lets nobody take from it between its own writes, and locks it again with the next */
	if (!c->refused)
		c->refused = status_in(out);
	if (!c->refused && !c->shut)
		return;
	c->asked = true;
	evbuffer_drain(out, evbuffer_get_length(out));
	if (!c->shut)
		web_own_words(out, c->refused, own_words(c->web, c->refused, words));
	c->asked = false;
}

static void client_free(struct client *c)
{
	deadline_cancel(c->web->loop, &c->deadline);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->web->n_clients--;
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	evbuffer_remove_cb(bufferevent_get_output(c->bev), on_output, c);
	bufferevent_decref(c->bev);
	free(c);
}

static void sweep(struct web *w)
{
	for (struct client *c = w->clients, *next; c; c = next) {
		next = c->next;
		if (is_left(c))
			client_free(c);
	}
}

static void on_sweep(struct deadline *d)
{
	struct web *w = (struct web *)(void *)((char *)d - offsetof(struct web, sweep));
	sweep(w);
	if (w->clients)
		deadline_arm(w->loop, &w->sweep, on_sweep, SWEEP_MS);
}

/* ---- how many ---- */

static const char *source_text(const struct sockaddr *sa, char out[WEB_SOURCE_MAX])
{
	struct addr a;
	if (!sa || !addr_from_sockaddr(&a, sa)) {
		snprintf(out, WEB_SOURCE_MAX, "unix");
		return out;
	}
	if (addr_family(&a) == AF_INET6)
		memset(&a.v6.sin6_addr.s6_addr[8], 0, 8);
	return addr_text(&a, out);
}

static void learn_source(struct client *c)
{
	struct sockaddr_storage peer = {0};
	socklen_t len = sizeof(peer);
	struct addr a;
	if (*c->source || getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&peer, &len) < 0)
		return;
	source_text((const struct sockaddr *)&peer, c->source);
	/* Whoever asks for others on this host, a web server for one, is not one source. */
	if (addr_from_sockaddr(&a, (const struct sockaddr *)&peer) && addr_is_loopback(&a))
		snprintf(c->source, sizeof(c->source), "unix");
}

/* Those that came before it count: they stand behind it. */
static bool is_one_too_many(struct client *c)
{
	unsigned n = 0;
	learn_source(c);
	if (!*c->source || strcmp(c->source, "unix") == 0)
		return false;
	for (struct client *other = c; other; other = other->next) {
		learn_source(other);
		n += strcmp(other->source, c->source) == 0 && !is_left(other);
	}
	return n > c->web->limits.of_source;
}

/* Once it has its socket. */
static void on_arrived(struct deadline *d)
{
	struct client *c = client_of_deadline(d);
	if (is_one_too_many(c))
		shut(c);
	else
		deadline_arm(c->web->loop, d, on_deadline, (uint64_t)c->web->limits.request_ms);
}

static struct bufferevent *buffers_of(struct web *w, struct event_base *base, bool *in_the_clear)
{
	struct bufferevent *bev = w->tls ? tls_web_end(w->tls, base) : NULL;
	*in_the_clear = w->tls && !bev;
	return bev ? bev : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
}

/* Called before the connection has its socket. NULL would get it buffers of evhttp's own, without our limits and without TLS: a request
 * that comes by such is not looked at (on_request()). Where there is no memory for TLS alone, the connection gets plain ones and is shut.
 */
static struct bufferevent *on_client(struct event_base *base, void *arg)
{
	struct web *w = arg;
	bool in_the_clear;
	if (w->n_clients >= w->limits.clients)
		sweep(w); /* those that have gone do not count */
	struct client *c = calloc(1, sizeof(*c));
	struct bufferevent *bev = c ? buffers_of(w, base, &in_the_clear) : NULL;
	if (!bev) {
		free(c);
		return NULL;
	}
	*c = (struct client){.next = w->clients, .link = &w->clients, .web = w, .bev = bev, .shut = in_the_clear};
	bufferevent_incref(bev);
	/* Also while an answer or a stream goes out evhttp reads on, to learn that the other end has gone, and keeps what comes. */
	bufferevent_setwatermark(bev, EV_READ, 0, w->limits.head + (size_t)w->conf->body_max + MORE_READ);
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	evbuffer_add_cb(bufferevent_get_output(bev), on_output, c);
	if (c->next)
		c->next->link = &c->next;
	w->clients = c;
	if (w->n_clients++ == 0)
		deadline_arm(w->loop, &w->sweep, on_sweep, SWEEP_MS);
	bool full = w->n_clients > w->limits.clients;
	if (full && !w->full)
		log_warn("clients=%u reason=\"as many as there may be, further ones are closed\"", w->n_clients - 1);
	w->full = full;
	c->shut = c->shut || full;
	deadline_arm(w->loop, &c->deadline, c->shut ? on_deadline : on_arrived, 1);
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
	c->asked = false;
	deadline_arm(c->web->loop, &c->deadline, on_deadline, (uint64_t)c->web->limits.idle_ms);
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

/* evhttp looks at the first of each alone, and takes a body that it does not know the end of for the next request. */
static bool is_framed(struct evhttp_request *req)
{
	const struct evkeyval *h;
	const char *coding = NULL;
	unsigned lengths = 0, codings = 0;
	TAILQ_FOREACH(h, evhttp_request_get_input_headers(req), next)
	{
		if (strcasecmp(h->key, "Content-Length") == 0)
			lengths++;
		if (strcasecmp(h->key, "Transfer-Encoding") == 0) {
			coding = h->value;
			codings++;
		}
	}
	return lengths + codings <= 1 && (!coding || strcasecmp(coding, "chunked") == 0);
}

/* Of one who may be looked at no longer, or came by without our buffers. Nothing is said. */
static bool is_shut(struct evhttp_request *req, struct client *c)
{
	if (c && !c->shut && !is_one_too_many(c))
		return false;
	if (evhttp_request_get_connection(req))
		evhttp_connection_free(evhttp_request_get_connection(req));
	return true;
}

static void refuse(struct evhttp_request *req, const char *why)
{
	web_answer_header(req, "Connection", "close");
	web_problem(req, 400, NULL, "%s", why);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct web *w = arg;
	struct client *c = client_of(w, req);
	const char *host = web_header(req, "Host"), *uri = evhttp_request_get_uri(req);
	enum evhttp_cmd_type method = evhttp_request_get_command(req);
	if (is_shut(req, c))
		return;
	deadline_cancel(w->loop, &c->deadline);
	c->asked = true;
	evhttp_request_set_on_complete_cb(req, on_complete, w);
	if (!is_framed(req))
		refuse(req, "where its body ends is not clear");
	else if (!host || (!w->tls && !w->path.ino && !host_is_ours(w->conf, host)))
		web_problem(req, 421, NULL, "the Host of this request is none of ours (names of section serve)");
	else if (method != EVHTTP_REQ_POST && method != EVHTTP_REQ_PUT && method != EVHTTP_REQ_PATCH && has_body(req))
		refuse(req, "such a request has no body");
	else if (uri[0] != '/')
		web_problem(req, 400, NULL, "expected a path");
	else
		w->fn(w->arg, req);
}

const char *web_source(struct evhttp_request *req, char out[WEB_SOURCE_MAX])
{
	struct evhttp_connection *con = evhttp_request_get_connection(req);
	return source_text(con ? evhttp_connection_get_addr(con) : NULL, out);
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
	evhttp_set_max_headers_size(w->http, (ev_ssize_t)w->limits.head);
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

const struct web_limits web_limits_usual = {.clients = 256, .of_source = 128, .head = 16384, .request_ms = 10000, .idle_ms = 60000};

int web_open(struct web **out, struct loop *l, const struct conf_serve *conf, const struct web_limits *limits, web_fn *fn, void *arg,
	     struct err *err)
{
	struct web *w = calloc(1, sizeof(*w));
	*out = NULL;
	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	*w = (struct web){.loop = l, .conf = conf, .limits = *limits, .fn = fn, .arg = arg};
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
