#include "proxy/worker.h"

#include "lib/log.h"
#include "proxy/alive.h"
#include "proxy/busy.h"
#include "proxy/intercept.h"
#include "proxy/listener.h"
#include "proxy/proxy.h"
#include "proxy/straggler.h"
#include "proxy/upstream.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLAB       64
#define STARVED_MS 100

/* The one thing that is file-scope: which worker this thread is. libevent's callbacks carry one pointer, and a listener's is the listener.
 */
static _Thread_local struct worker *current;

struct worker *worker_current(void)
{
	return current;
}

void *slab_take(struct slabs *s, size_t size)
{
	void *o = s->free;

	size = (size + 15) & ~(size_t)15;
	if (!o) {
		char *slab = malloc(16 + SLAB * size);

		if (!slab)
			return NULL;
		*(void **)slab = s->all;
		s->all = slab;
		for (size_t i = SLAB; i-- > 0;)
			slab_give(s, slab + 16 + i * size);
		o = s->free;
	}
	s->free = *(void **)o;
	memset(o, 0, size);
	return o;
}

void slab_give(struct slabs *s, void *object)
{
	*(void **)object = s->free;
	s->free = object;
}

void slabs_done(struct slabs *s)
{
	void *next;

	for (void *slab = s->all; slab; slab = next) {
		next = *(void **)slab;
		free(slab);
	}
	*s = (struct slabs){0};
}

void worker_add_conn(struct worker *w, struct conn_link *c)
{
	c->next = w->conns;
	c->link = &w->conns;
	if (c->next)
		c->next->link = &c->next;
	w->conns = c;
	w->n_conns++;
	w->meter.connections++;
	atomic_fetch_add_explicit(&w->proxy->conns, 1, memory_order_relaxed);
}

void worker_remove_conn(struct worker *w, struct conn_link *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	w->n_conns--;
	atomic_fetch_sub_explicit(&w->proxy->conns, 1, memory_order_relaxed);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct again *todo = w->again, *a;

	(void)fd;
	(void)what;
	w->again = NULL;
	w->again_tail = &w->again;
	if (todo)
		todo->link = &todo;
	while ((a = todo)) {
		worker_again_cancel(w, a);
		a->fn(a);
	}
}

void worker_again(struct worker *w, struct again *a, void (*fn)(struct again *))
{
	if (a->link)
		return;
	if (!w->again)
		event_add(&w->again_ev, &(struct timeval){0}); /* a timer of 0 comes after the next poll: others get their turn */
	a->fn = fn;
	a->next = NULL;
	a->link = w->again_tail;
	*w->again_tail = a;
	w->again_tail = &a->next;
}

void worker_again_cancel(struct worker *w, struct again *a)
{
	if (!a->link)
		return;
	if (w->again_tail == &a->next)
		w->again_tail = a->link;
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	a->next = NULL;
	a->link = NULL;
}

void worker_watch(struct worker *w)
{
	int rc = intercept_watch(w->proxy->intercept, w);

	for (size_t i = 0; rc == 0 && !w->draining && i < w->n_listening; i++)
		rc = listener_watch(w->listening[i], w);
	if (rc < 0)
		worker_starved(w, "memory"); /* which tries again */
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	w->starved = false;
	worker_watch(w);
}

void worker_starved(struct worker *w, const char *of_what)
{
	uint64_t now = loop_now(w->loop);

	if (w->starved)
		return;
	if (now - w->starved_at > 10000 || w->starved_at == 0)
		log_error("worker=%u connections=%u reason=\"out of %s: accepting is paused, what is connected goes on\"", w->index,
			  w->n_conns, of_what);
	w->starved_at = now;
	w->starved = true;
	intercept_unwatch(w->proxy->intercept, w);
	for (size_t i = 0; i < w->n_listening; i++)
		listener_unwatch(w->listening[i], w);
	event_add(&w->accept_ev, &(struct timeval){.tv_usec = STARVED_MS * 1000});
}

void worker_warn(struct worker *w, const char *fmt, ...)
{
	uint64_t now = loop_now(w->loop);
	char line[1024];
	va_list ap;

	if (w->warned_at && now - w->warned_at < 1000) {
		w->warnings_left_out++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	log_warn("%s left-out=%" PRIu64, line, w->warnings_left_out);
	w->warned_at = now;
	w->warnings_left_out = 0;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	access_flush(w->access);
	busy_second(w);
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	bool accepts = !w->starved && !w->draining && intercept_watched(w->proxy->intercept, w);

	(void)fd;
	(void)what;
	alive_beat(w->proxy->alive, w->index, accepts, loop_now(w->loop));
}

static void *run(void *arg)
{
	struct worker *w = arg;

	current = w;
	loop_run(w->loop);
	return NULL;
}

static void free_worker(struct worker *w)
{
	while (w->conns)
		w->conns->shutdown(w->conns, true);
	upstreams_close_pooled(w);
	if (w->loop)
		loop_free(w->loop);
	access_free(w->access);
	busy_end(w);
	stragglers_free(w->stragglers);
	pipes_free(w->pipes);
	dialer_done(&w->dialer);
	slabs_done(&w->streams);
	slabs_done(&w->visits);
	slabs_done(&w->upstreams);
	free(w);
}

int worker_new(struct worker **out, struct proxy *p, unsigned index, struct err *err)
{
	struct worker *w = calloc(1, sizeof *w);
	int rc = -ENOMEM;

	if (!w)
		return err_set(err, rc, "out of memory");
	w->proxy = p;
	w->index = index;
	w->conf = &p->config->conf->proxy;
	w->table = p->table;
	w->refuse_all = p->table_state == TABLE_DAMAGED;
	w->sources = p->sources;
	w->nobody = p->nobody;
	w->again_tail = &w->again;
	dialer_init(&w->dialer, index, p->n_workers);
	w->pipes = pipes_new(p->budget / 8 / p->n_workers + 1);
	w->access = access_new(p->access);
	w->stragglers = stragglers_new(STRAGGLERS_MAX);
	if (!w->pipes || !w->access || !w->stragglers) {
		err_set(err, rc, "out of memory");
		goto fail;
	}
	rc = loop_new(&w->loop, err);
	if (rc < 0)
		goto fail;
	event_assign(&w->again_ev, loop_base(w->loop), -1, 0, on_again, w);
	event_assign(&w->accept_ev, loop_base(w->loop), -1, 0, on_accept_again, w);
	event_assign(&w->second_ev, loop_base(w->loop), -1, EV_PERSIST, on_second, w);
	event_assign(&w->beat_ev, loop_base(w->loop), -1, EV_PERSIST, on_beat, w);
	event_add(&w->beat_ev, &(struct timeval){.tv_usec = ALIVE_BEAT_MS * 1000});
	event_add(&w->second_ev, &(struct timeval){.tv_sec = 1});
	*out = w;
	return 0;
fail:
	free_worker(w);
	return rc;
}

int worker_start(struct worker *w, struct err *err)
{
	int rc = -pthread_create(&w->thread, NULL, run, w);

	if (rc < 0)
		return err_errno(err, rc, "cannot start worker %u", w->index);
	w->running = true;
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	if (w->running) {
		loop_stop(w->loop);
		pthread_join(w->thread, NULL);
	}
	current = w;
	free_worker(w);
	current = NULL;
}
