#pragma once
/* web - the HTTP of shunt serve: where it listens, TLS, and what is refused before anybody looks at what a request asks for.
 * evhttp parses. Around it: clients are counted, all and by address, and one that has not said its whole request in request_ms is closed
 * however slowly it goes on (evhttp's own timeout begins anew with each byte); heads and bodies have limits; a body where none may be, or
 * whose end is not clear, is refused, since evhttp would take it for the next request; without TLS the Host must be one of ours, or a page
 * of another site could ask through a browser whose DNS answer it changed; with TLS nothing is answered in the clear, also when memory runs
 * out. Each answer carries headers that keep browsers from doing with it what it is not for, also those that evhttp gives by itself.
 * Ownership: requests are evhttp's until web_reply() or web_stream_end(), which must come, also when the client has gone. Threads: the
 * loop's. */
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/loop.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <jansson.h>

#define WEB_SOURCE_MAX 64

struct web_limits {
	unsigned clients,
		of_source; /* connections: in all, and of one address (an IPv6 one's /64); who comes from this host is not counted so */
	size_t head;       /* bytes of a request's head */
	int request_ms, idle_ms; /* for a whole request, from the connection or its first byte; between two */
};
extern const struct web_limits web_limits_usual;

struct web;
typedef void web_fn(void *arg, struct evhttp_request *req);

int web_open(struct web **out, struct loop *l, const struct conf_serve *conf, const struct web_limits *limits, web_fn *fn, void *arg,
	     struct err *err);                  /* limits: copied */
void web_pause(struct web *w);                  /* accepts nobody any more */
void web_close(struct web *w);                  /* and all clients with it */
int web_reload(struct web *w, struct err *err); /* reads certificate and key again; they stay where that fails */
const char *web_address(const struct web *w);

/* "unix", or an address (an IPv6 one's /64): whom a limit counts. Returns out. */
const char *web_source(struct evhttp_request *req, char out[WEB_SOURCE_MAX]);
const char *web_header(struct evhttp_request *req, const char *name); /* NULL: none */

/* ---- answers: each ends the request ---- */
/* type NULL: of an answer without a body */
void web_reply(struct evhttp_request *req, int status, const char *type, const char *body, size_t len);
void web_json(struct evhttp_request *req, int status, const json_t *body); /* borrows body */
/* RFC 9457: type "about:blank", the status's title, and what extra (taken, or NULL) adds. */
void web_problem(struct evhttp_request *req, int status, json_t *extra, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
json_t *web_problem_object(int status, json_t *extra, const char *detail); /* its body; new */
void web_answer_header(struct evhttp_request *req, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- server-sent events ---- */
struct web_stream;
/* gone is called once when the client has gone or reads too slowly; the stream is freed after it. */
struct web_stream *web_stream_begin(struct evhttp_request *req, void (*gone)(void *arg), void *arg); /* NULL: it has ended */
void web_stream_send(struct web_stream *s, const char *text, size_t len);
void web_stream_end(struct web_stream *s); /* gone is not called */
