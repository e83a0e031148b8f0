#include "proxy/pipes.h"

#include "lib/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

struct pipes {
	struct pipe *idle; /* last in, first out: its pages are the warm ones */
	unsigned n_idle, n_lent, cap;
	int64_t refused_until_ms; /* 0: the kernel has not refused lately */
};

struct pipes *pipes_new(unsigned cap)
{
	struct pipes *p = calloc(1, sizeof *p);
	if (p)
		p->cap = cap;
	return p;
}

static void pipe_close(struct pipe *pipe)
{
	close(pipe->rd);
	close(pipe->wr);
	free(pipe);
}

void pipes_free(struct pipes *p)
{
	if (!p)
		return;
	assert(p->n_lent == 0);
	while (p->idle) {
		struct pipe *pipe = p->idle;
		p->idle = pipe->next;
		pipe_close(pipe);
	}
	free(p);
}

/* NULL: no memory, no descriptors, or the kernel gives no pipe of a useful size. */
static struct pipe *pipe_open(void)
{
	int fd[2];
	struct pipe *pipe = calloc(1, sizeof *pipe);
	if (!pipe)
		return NULL;
	if (pipe2(fd, O_NONBLOCK | O_CLOEXEC) < 0) {
		free(pipe);
		return NULL;
	}
	pipe->rd = fd[0];
	pipe->wr = fd[1];
	/* Refused (EPERM) past the user's quota: then the default size may still do, which only asking tells. */
	(void)fcntl(pipe->wr, F_SETPIPE_SZ, (int)PIPES_SIZE);
	int size = fcntl(pipe->wr, F_GETPIPE_SZ);
	if (size < (int)PIPES_SIZE_MIN) {
		pipe_close(pipe);
		return NULL;
	}
	pipe->size = (unsigned)size;
	return pipe;
}

struct pipe *pipes_get(struct pipes *p)
{
	struct pipe *pipe = p->idle;
	if (pipe) {
		p->idle = pipe->next;
		p->n_idle--;
	} else {
		if (p->n_lent >= p->cap)
			return NULL;
		/* Asking again at once would cost four calls per read of a busy connection. */
		if (p->refused_until_ms) {
			if (mono_coarse_ms() < p->refused_until_ms)
				return NULL;
			p->refused_until_ms = 0;
		}
		pipe = pipe_open();
		if (!pipe) {
			p->refused_until_ms = mono_coarse_ms() + PIPES_PAUSE_MS;
			return NULL;
		}
	}
	pipe->next = NULL;
	p->n_lent++;
	return pipe;
}

void pipes_put(struct pipes *p, struct pipe *pipe)
{
	if (!pipe)
		return;
	assert(p->n_lent > 0);
	p->n_lent--;
	if (pipe->held || p->n_idle >= PIPES_KEEP) {
		pipe_close(pipe);
		return;
	}
	pipe->next = p->idle;
	p->idle = pipe;
	p->n_idle++;
}

unsigned pipes_lent(const struct pipes *p)
{
	return p->n_lent;
}

unsigned pipes_idle(const struct pipes *p)
{
	return p->n_idle;
}
