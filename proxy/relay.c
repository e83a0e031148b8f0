#include "proxy/relay.h"

#include "proxy/pipes.h"
#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>

#define SPLICE_MOST  (1u << 20) /* per call; the pipe's size is the true limit */
#define SPLICE_LEAST 16384u     /* a turn that moves less is cheaper by copy */

static void account_for(uint64_t *left, uint64_t *count, uint64_t n)
{
	*count += n;
	if (*left != RELAY_FOREVER)
		*left -= n;
}

static enum relayed copy(struct worker *w, struct end *from, struct end *to, uint64_t *left, uint64_t *count, uint64_t *share)
{
	while (*share && *left) {
		size_t cap = *left < sizeof w->in ? (size_t)*left : sizeof w->in;
		long n;
		int rc;

		if (from->eof)
			return RELAY_EOF;
		if (!from->readable)
			return RELAY_BLOCKED;
		n = end_recv(from, w->in, cap);
		if (n == -EAGAIN)
			return RELAY_BLOCKED;
		if (n < 0)
			return RELAY_FROM_BROKEN;
		if (n == 0)
			return RELAY_EOF;
		if ((size_t)n == cap && cap < sizeof w->in)
			from->readable = true; /* we asked for less than there may be */
		else if ((size_t)n < cap && from->rdhup) {
			from->eof = true; /* the FIN is here and this was all before it: no call to fetch the 0 */
			from->readable = false;
		}
		account_for(left, count, (uint64_t)n);
		*share -= (uint64_t)n < *share ? (uint64_t)n : *share;
		rc = end_send(to, &(struct iovec){w->in, (size_t)n}, 1);
		if (rc < 0)
			return RELAY_TO_BROKEN;
		if (end_blocked(to))
			return *left ? RELAY_BLOCKED : RELAY_DONE;
		if ((size_t)n == sizeof w->in && *left > sizeof w->in) {
			to->splicing = true;
			return RELAY_SHARE_USED;
		}
	}
	return *left ? RELAY_SHARE_USED : RELAY_DONE;
}

/* A short splice does not mean drained (the pipe's slots may be full), so this goes on until EAGAIN. */
static enum relayed through_pipe(struct end *from, struct end *to, uint64_t *left, uint64_t *count, uint64_t *share)
{
	while (*share && *left) {
		size_t cap = *left < SPLICE_MOST ? (size_t)*left : SPLICE_MOST;
		ssize_t n = splice(from->fd, NULL, to->pipe->wr, NULL, cap, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			from->readable = false; /* the pipe is empty here: it is the socket that has nothing */
			return RELAY_BLOCKED;
		}
		if (n < 0)
			return RELAY_FROM_BROKEN;
		if (n == 0) {
			from->eof = true;
			from->readable = false;
			return RELAY_EOF;
		}
		to->pipe->held += (unsigned)n;
		from->moved = true;
		account_for(left, count, (uint64_t)n);
		*share -= (uint64_t)n < *share ? (uint64_t)n : *share;
		while (to->pipe->held) {
			n = splice(to->pipe->rd, NULL, to->fd, NULL, to->pipe->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
			if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
				end_await_writable(to);
				return *left ? RELAY_BLOCKED : RELAY_DONE;
			}
			if (n <= 0)
				return RELAY_TO_BROKEN;
			to->pipe->held -= (unsigned)n;
			end_took(to);
		}
	}
	return *left ? RELAY_SHARE_USED : RELAY_DONE;
}

enum relayed relay_move(struct worker *w, struct end *from, struct end *to, uint64_t *left, uint64_t *count)
{
	uint64_t share = RELAY_SHARE, before = *count;
	enum relayed r = RELAY_SHARE_USED;
	bool flushed = end_blocked(to);

	if (flushed) {
		if (end_flush(to, w) < 0)
			return RELAY_TO_BROKEN;
		if (end_blocked(to))
			return RELAY_BLOCKED;
	}
	end_resume(from);
	if (*left == 0)
		return RELAY_DONE;
	if (from->eof)
		return RELAY_EOF;
	if (!from->readable)
		return RELAY_BLOCKED;
	while (share && r == RELAY_SHARE_USED) {
		if (to->splicing && !to->pipe)
			to->pipe = pipes_get(w->pipes);
		to->splicing = to->pipe != NULL; /* none to be had: copying does */
		if (to->pipe)
			end_no_delay(to);
		r = to->pipe ? through_pipe(from, to, left, count, &share) : copy(w, from, to, left, count, &share);
	}
	if (r == RELAY_BLOCKED && !end_blocked(to) && !flushed && *count - before < SPLICE_LEAST)
		to->splicing = false;          /* the sender is slow */
	if (to->pipe && to->pipe->held == 0) { /* an idle connection holds nothing */
		pipes_put(w->pipes, to->pipe);
		to->pipe = NULL;
	}
	/* Only while something is held: its leaving is what wakes us to listen again. */
	if (r == RELAY_BLOCKED && to->splicing && end_blocked(to))
		end_pause(from);
	return r;
}

enum joined relay_join(struct worker *w, struct end *a, struct end *b, bool a_to_b, bool b_to_a, uint64_t *up, uint64_t *down)
{
	uint64_t forever = RELAY_FOREVER;
	enum relayed ab = RELAY_BLOCKED, ba = RELAY_BLOCKED;

	if (a_to_b)
		ab = relay_move(w, a, b, &forever, up);
	/* A back end that answers early and stops reading breaks our writes before its answer has been read. */
	if (b_to_a || ab == RELAY_TO_BROKEN)
		ba = relay_move(w, b, a, &forever, down);
	if (ab == RELAY_FROM_BROKEN || ba == RELAY_TO_BROKEN)
		return JOINED_A_BROKEN;
	if (ba == RELAY_FROM_BROKEN || ab == RELAY_TO_BROKEN)
		return JOINED_B_BROKEN;
	if (a->eof && b->eof && !end_blocked(a) && !end_blocked(b))
		return JOINED_OVER;
	if (a->eof && !end_blocked(b))
		end_shut(b);
	if (b->eof && !end_blocked(a))
		end_shut(a);
	return ab == RELAY_SHARE_USED || ba == RELAY_SHARE_USED ? JOINED_AGAIN : JOINED_ON;
}
