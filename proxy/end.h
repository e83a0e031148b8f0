#pragma once
/* end - one of the two sockets of a connection: its descriptor, what is known of its readiness, and what it has not taken yet.
 * Edge triggered: each descriptor is registered once for reading and the peer's FIN; flags remember the edges until a call answers EAGAIN
 * (or a short read, which says the same). rdhup is sticky: its edge may come while the other end is blocked. Writing is watched for from
 * the first time that a call would block, or from the start where a connect is under way: most connections never need it, and each would
 * begin with an event for it. Memory: an end that is idle holds no buffer; what a slow peer did not take is kept in `rest`, exactly as long
 * as it is, or in a pipe. Ownership: an end owns its descriptor, its rest and its pipe. Threads: its worker's. */
#include "lib/slice.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct pipe;
struct pipes;
struct worker;

/* When bytes went to a side, as the kernel took them from us: ms since 1970, for the evidence of moves; 0: never. */
struct sent {
	uint64_t first_ms, last_ms; /* first: since it was last set to 0 */
};
void sent_add(struct sent *to, const struct sent *from); /* the earlier first, the later last */

struct rest {
	size_t from, len; /* bytes[from..len) are still to go */
	char bytes[];
};

struct end {
	struct event ev;
	int fd; /* -1: none */
	bool readable : 1, writable : 1;
	bool rdhup : 1;    /* the peer has sent FIN; there may be bytes before it */
	bool eof : 1;      /* read up to the FIN */
	bool shut : 1;     /* we have sent FIN */
	bool splicing : 1; /* bytes to this end go through pipes for now */
	bool nagle : 1;    /* TCP_NODELAY is still to be set: before the first send that Nagle's algorithm could delay */
	bool heard : 1;    /* it has spoken since our last send, so that has been acknowledged */
	uint8_t sends : 2; /* so far, while nagle */
	bool paused : 1;   /* end_pause() */
	bool watched : 1;  /* end_keep_alive() has been called */
	bool moved : 1;    /* it gave or took bytes; whoever watches for idleness clears it */
	struct rest *rest; /* not taken yet, NULL mostly */
	struct pipe *pipe; /* the same, inside the kernel */
	struct sent *sent; /* borrowed: told whenever it took bytes; NULL: nobody wants to know */
};

/* Takes fd. nagle: TCP_NODELAY has not been set. A call that short connections, which send and hear in turns, never need. The callback's
 * arg is given to end_watch(). */
void end_init(struct end *e, int fd, bool nagle);
void end_took(struct end *e);     /* the kernel has taken bytes for it: to be said by whoever sends otherwise than by end_send() */
void end_no_delay(struct end *e); /* before sending otherwise than by end_send() */
void end_assign(struct end *e, struct event_base *base, bool connecting, event_callback_fn fn,
		void *arg); /* what end_watch() will watch for */
/* From now on events come. Read first what is there already: an edge would tell of it once more. -ENOMEM. */
int end_watch(struct end *e);
void end_await_writable(struct end *e); /* a call would block: an event will tell when it no longer does */
/* Stops and starts hearing of bytes from a peer: while nobody takes a fast sender's bytes, each arrival would wake us for nothing. */
void end_pause(struct end *e);
void end_resume(struct end *e);           /* there may be something to read; nothing if not paused */
void end_note(struct end *e, short what); /* an event: sets the flags */
/* Closes. With reset the peer gets RST instead of FIN, and what it has not taken is thrown away. Twice is fine. */
void end_close(struct end *e, struct worker *w, bool reset);
void end_shut(struct end *e); /* FIN after everything sent; twice is fine */

static inline bool end_blocked(const struct end *e)
{
	return e->rest || e->pipe;
}

/* Sends all of iov now or keeps the remainder. 0, or -errno: the connection is broken (-ENOMEM too: then nothing can be kept). */
int end_send(struct end *e, struct iovec *iov, int n);
int end_keep(struct end *e, const void *bytes, size_t len); /* puts bytes behind the rest without sending; -ENOMEM */
int end_flush(struct end *e, struct worker *w);             /* sends the rest or the pipe; 0 also when still blocked */
/* libevent does not tell a reset from readiness, and one that comes in the same turn as the last bytes has no edge of its own: a short read
 * would hide it for good. So an end that has gone quiet after bytes is looked at once. True: there is something to read, be it an error. */
bool end_look_again(struct end *e);
/* From now on a peer that has vanished is noticed, after a minute and six probes. Not from the start: it costs a kernel timer, and short
 * connections are over before it could matter. */
void end_keep_alive(struct end *e);
/* recv(2): > 0 bytes; 0 at the end of the stream (eof is set); -EAGAIN (readable is cleared); other -errno: broken. */
long end_recv(struct end *e, void *buf, size_t cap);
