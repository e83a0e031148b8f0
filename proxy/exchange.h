#pragma once
/* exchange - one request and its answer, between a visit and an upstream. The inner half of visit.c: it shares struct visit.
 * Both directions run independently (an answer may begin before the request has ended) and each is, byte by byte, in one of few places: a
 * head, a body with a count, chunks, or a body that ends with its connection. */
#include "proxy/chunk.h"
#include "proxy/http.h"
#include "proxy/upstream.h"
#include "proxy/visitor.h"

enum visit_state { VISIT_PROXY, VISIT_HEAD, VISIT_PARKED, VISIT_EXCHANGE, VISIT_TUNNEL, VISIT_LINGER, VISIT_CLOSED };

/* One direction's body. */
struct body {
	enum http_framing framing;
	bool done;
	uint64_t left; /* BODY_LENGTH */
	struct chunk chunk;
};

struct exchange {
	struct body request, answer;
	enum http_method method;
	uint64_t up, down;
	uint32_t began, connect_ms;
	unsigned status;                   /* of the answer; 0 before */
	uint8_t tried;                     /* addresses of the target */
	bool keep : 1;                     /* the visitor's connection may stay */
	bool minor_0 : 1;                  /* the visitor speaks HTTP/1.0 */
	bool upgrade : 1;                  /* a 101 is welcome */
	bool idempotent : 1;               /* may be sent again where a kept connection dies before a byte of answer */
	bool answered : 1;                 /* the head of the final answer has been handed on */
	bool deaf : 1;                     /* the back end has stopped taking the request */
	bool unusual : 1;                  /* never use this back-end connection again */
	bool looked : 1;                   /* at ends that had gone quiet */
	struct kept *replay;               /* the request's head, while it may have to be sent again */
	struct kept *head;                 /* of the answer, incomplete */
	char *method_text, *target, *name; /* for the access log alone */
};

struct visit {
	struct visitor v; /* first */
	struct upstream *up;
	struct exchange x;
	uint8_t state;                   /* written by visit_enter() alone */
	bool began_head : 1;             /* the head's time runs */
	char up_name[HTTP_NAME_MAX + 1]; /* whom a private upstream was opened for, where the account does not say (names of nobody) */
};

/* visit.c */
void visit_enter(struct visit *v, enum visit_state to);
void visit_close(struct visit *v, const char *why, bool reset);
/* Answers in the back end's place and ends the connection: 4xx and 5xx with a small page. If an answer has begun the connection is reset.
 * moving: the account whose move is the reason of a 503, else NULL. */
void visit_refuse(struct visit *v, unsigned status, const struct account *moving, const char *why);
void visit_exchange_over(struct visit *v); /* all of the answer is with the visitor's kernel */
void visit_log(struct visit *v, const char *why);
void visit_tunnel(struct visit *v);                 /* a 101 has been handed on */
void visit_again(struct visit *v);                  /* more next turn */
void visit_arm(struct visit *v, uint64_t after_ms); /* its deadline */

/* exchange.c */
void exchange_begin(struct visit *v, const struct http_head *h, const char *rest, size_t len); /* rest: what followed the head */
void exchange_run(struct visit *v);       /* moves what can be moved, in both directions */
void exchange_forget(struct exchange *x); /* frees what it holds, but for the upstream */
void exchange_done(struct visit *v);      /* frees what an exchange holds; the upstream goes back to the pool, stays, or is closed */
void exchange_timeout(struct visit *v);   /* connect, answer, or progress is overdue; or was not: arms the deadline */
