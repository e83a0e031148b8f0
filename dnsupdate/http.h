#pragma once
/* http - requests to one HTTP API, in the event loop: http.c is the only file that knows libcurl (multi_socket).
 * TLS is always verified against the system's authorities, redirects are answers like any other, no proxy of the environment is used, and
 * what authenticates us is in memory alone: it is in no text that comes out of here. Requests beyond max_connections wait in line for
 * their turn, and the clocks of a request start with it.
 * A request is never repeated by itself once its body was on its way: libcurl would do that on a kept connection that turns out dead.
 * Source: RFC 9110; curl's own hiperfifo.c for the loop. Ownership: http_free() cancels what is under way. Errors: struct err. */
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_CONNECT_MS 4000
#define HTTP_TOTAL_MS   20000
#define HTTP_ANSWER_MAX (32u << 20) /* bytes of a body */

struct event_base;
struct http;
struct http_request;

struct http_conf {
	const char *url;           /* "https://HOST[:PORT]", perhaps with a path; borrowed until http_new() returns, like the rest */
	const char *const *header; /* lines "Name: value", NULL at the end; NULL: none */
	const char *user;          /* of Basic authentication (RFC 7617), with an empty password; NULL: none */
	long max_connections;
	bool clear; /* http:// is fine wherever it leads; otherwise only to a loopback address */
};

enum http_end {
	HTTP_ANSWERED,  /* status and body are there; what they mean is the caller's */
	HTTP_NOT_SENT,  /* nobody there, or not believed: nothing of the request left us */
	HTTP_NO_ANSWER, /* it left, at least in part, and no whole answer came in time */
};
struct http_answer { /* valid during the callback */
	enum http_end end;
	long status;
	long retry_after;   /* seconds, 0 where the server named none */
	const char *body;   /* NUL behind it */
	size_t len;         /* bytes */
	const char *target; /* "PATCH http://192.0.2.54:8081/api/...", for messages */
	struct err err;     /* unless HTTP_ANSWERED */
};
/* From the loop, once, never from inside http_send(); it may send, cancel and free whatever it likes. */
typedef void http_fn(void *arg, const struct http_answer *a);

int http_new(struct http **out, struct event_base *base, const struct http_conf *conf, struct err *err); /* -EINVAL: the URL */
void http_free(struct http *h);
/* path is put behind the URL. body: JSON text, copied, or NULL. NULL: no memory. */
struct http_request *http_send(struct http *h, const char *method, const char *path, const char *body, http_fn *fn, void *arg);
void http_cancel(struct http_request *r); /* NULL is fine; after it fn never runs */

/* An answer that is not what was asked for, in words: "PATCH http://...: 422 RRset www.x. IN A: ...", with the server's own text where it
 * has one ({"error": ...}, or the start of the body). Returns code. */
int http_explain(struct err *err, int code, const struct http_answer *a);
