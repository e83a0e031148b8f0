#pragma once
/* serve - `shunt serve`: what its parts share. The API answers below /v1 and /metrics; what lies elsewhere goes to `other`, which is
 * the panel (control/panel).
 *   web        HTTP        route  the table of calls     call    a request as a command line     job     children
 *   token      who         limit  how often              scope   what an owner is shown          settle  what became of a lost one
 *   operation, ticket, store   what is on disk           events  what happens, as it happens     openapi the description
 * An exchange is one request from its first look to its answer. Threads: one loop. */
#include "control/app.h"
#include "control/serve/call.h"
#include "control/serve/job.h"
#include "control/serve/limit.h"
#include "control/serve/operation.h"
#include "control/serve/scope.h"
#include "control/serve/web.h"

/* Told of what is not there as of what is another's. */
#define NO_SUCH_THING "there is no such thing here, or it is not yours"

struct events;

struct openapi { /* the description, as it is sent */
	char *text;
	size_t len;
	char etag[40]; /* with its quotes */
};

struct server {
	struct app *app; /* configuration and options; its own database handle is not used */
	struct loop *loop;
	struct store store;
	struct journal *state; /* for looking; NULL while it cannot be opened. state_now() */
	uint64_t state_dev, state_ino;
	struct jobs *jobs;
	struct web *web;
	struct events *events;
	struct limit by_token, changes; /* by the token's id */
	struct limit strangers;         /* by address: who shows no good token */
	struct running *running;        /* operations that are not over; operate.c */
	struct deadline tidy;
	bool draining;
	struct openapi openapi;
	/* What is neither /v1 nor /metrics; NULL: 404. It answers by web_..(). */
	void (*other)(struct server *s, struct evhttp_request *req);
};

struct exchange {
	struct server *s;
	struct evhttp_request *req;
	struct match match;
	const struct route *route;
	struct token token;
	bool owner;
	struct call call;
	json_t *fields; /* owned */
	char source[WEB_SOURCE_MAX];
	char *path;
	uint64_t began;
	bool consent_missing; /* the command runs dry, to tell what would happen */
	const char *key;      /* the idempotency key of one that has no headers of its own; borrowed; NULL: the header's */
	/* Who asked from within is told here, and the client not at all; NULL: the client is answered. body is borrowed. */
	void (*answered)(void *arg, int status, const json_t *body);
	void *arg;
};

/* ---- serve_cmd.c ---- */
struct journal *state_now(struct server *s); /* opened again where the file was made or replaced; NULL: it cannot be */

/* ---- api.c: who asks for what ---- */
void api_request(void *server, struct evhttp_request *req); /* a web_fn */
/* The same from within: for token, as if it had asked. path: of the API, without a query. fields (taken): as the body would have them, or
 * the query. answered is called once, possibly before this returns; without it req gets the answer (a stream of events). */
struct question {
	struct evhttp_request *req; /* on whose behalf */
	const struct token *token;
	enum evhttp_cmd_type method;
	const char *path, *key; /* key: NULL for none; borrowed until answered */
	json_t *fields;
	void (*answered)(void *arg, int status, const json_t *body);
	void *arg;
};
void api_ask(struct server *s, const struct question *q);
/* May this token ask once more? False: in *retry_s seconds. */
bool api_admits(struct server *s, const struct token *t, bool changes, int *retry_s);
/* Whose token text is: 0, -ENOENT, or that they cannot be read. Marks it as used. */
int api_token(struct server *s, const char *text, struct token *out, struct err *err);
/* Each ends the exchange and frees it. */
void exchange_json(struct exchange *x, int status, const json_t *body);
void exchange_problem(struct exchange *x, int status, json_t *extra, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The answer of a command: its object with 200, or a problem that carries it. operation: its id, or NULL. */
void exchange_command(struct exchange *x, int exit, const char *text, const char *operation);
void exchange_end(struct exchange *x, int status);                              /* it was answered otherwise */
json_t *exchange_scoped(struct exchange *x, const char *keeps, json_t *answer); /* as an owner is shown it; takes answer, returns new */
int api_status(int exit);                                                       /* HTTP's for an exit code */
/* "shunt -c FILE --json [--yes] WORDS.. ARGS..", without the program; new, NULL at the end; free_words(). */
char **api_argv(const struct server *s, const char *command, const struct call *c, bool dry_run, bool json);
void free_words(char **w);

/* ---- operate.c: changing calls ---- */
void operate(struct exchange *x);
int operate_recover(struct server *s, struct err *err); /* what an earlier serve has left */
void operate_let_go(struct server *s);                  /* who waits is told where to look */
void operate_end(struct server *s);                     /* after jobs_free() */
void operate_show(struct exchange *x);                  /* GET /v1/operations/{id} */
void operate_cancel(struct exchange *x);                /* POST /v1/operations/{id}/cancel */
void operate_list(struct exchange *x);
int64_t operations_of(const struct exchange *x); /* whose it may see, for operation_find() */
/* How far a check of several accounts is: {"checked":N,"of":N,"percent"}; new. NULL: o is none, or does not run. */
json_t *operate_check_progress(struct server *s, const struct operation *o);

/* ---- events.c ---- */
int events_new(struct events **out, struct server *s, struct err *err);
void events_free(struct events *e);
void events_subscribe(struct exchange *x); /* by the route's id */

/* ---- openapi.c ---- */
int openapi_make(struct openapi *out, const char *version, struct err *err);
void openapi_done(struct openapi *o); /* zeroed is fine */
