#pragma once
/* tcp - DNS over TCP (RFC 7766) to one server: requests share one kept connection and are matched by their id, for answers come in any
 * order; transfers have connections of their own, eight at a time. Requests beyond the bounds wait in line.
 * A request is built for each attempt, so that it is signed with the time at which it is sent. A connection that the server closed while
 * idle is replaced in silence; we close ours first, after 3 s, so that an update hardly ever meets one that is just being closed.
 * How a request ends: OK, NOT_SENT (the server knows nothing of it) or NO_ANSWER (it may have been done).
 * Deadlines: 4 s to connect, 10 s for an answer, for a transfer 10 s without a message and 60 s in all, 64 MiB.
 * Ownership: requests belong to the tcp; after tcp_cancel() nothing is called. done() is called from the loop, never from inside a call of
 * this header, and may free the tcp. */
#include "dnsupdate/request.h"

#include "lib/addr.h"

#include <event2/event.h>

#define TCP_FLIGHT_MAX    256 /* unanswered requests on the kept connection */
#define TCP_TRANSFERS_MAX 8   /* at once */
#define TCP_TRANSFER_MAX  (64u << 20)

enum tcp_end { TCP_OK, TCP_NOT_SENT, TCP_NO_ANSWER };
enum tcp_judgement {
	TCP_ENOUGH, /* the request is over */
	TCP_MORE,   /* fine, and more messages follow */
	TCP_IGNORE  /* not what was waited for: an answer that is not believed */
};
struct tcp_ops {
	int (*build)(void *arg, uint16_t id, struct message *out, struct err *err);
	/* Looks at one message with the request's id; starts and ends nothing. */
	enum tcp_judgement (*answer)(void *arg, const uint8_t *bytes, size_t len);
	void (*done)(void *arg, enum tcp_end end, const struct err *err); /* err is set unless OK */
};

struct tcp;
struct tcp_request;

int tcp_new(struct tcp **out, struct event_base *base, const struct addr *server);
void tcp_free(struct tcp *t);

enum tcp_kind {
	TCP_ONCE,    /* never sent twice: an update */
	TCP_AGAIN,   /* harmless to repeat, once, when the connection breaks */
	TCP_TRANSFER /* many messages, on a connection of its own */
};
/* NULL: no memory. more_ms: how much longer than usual an answer may take. */
struct tcp_request *tcp_ask(struct tcp *t, enum tcp_kind kind, int more_ms, const struct tcp_ops *ops, void *arg);
void tcp_cancel(struct tcp_request *r);        /* NULL is fine */
void tcp_hurry(struct tcp_request *r, int ms); /* wait no longer than this from now on; may be called from answer() */
uint64_t tcp_strays(const struct tcp *t);      /* messages with ids that nobody waited for */
