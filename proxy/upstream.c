#include "proxy/upstream.h"

#include "proxy/account.h"
#include "proxy/dial.h"
#include "proxy/exchange.h"
#include "proxy/visit.h"
#include "proxy/worker.h"

#include <errno.h>
#include <unistd.h>

static void unpool(struct upstream *u)
{
	if (!u->link)
		return;
	*u->link = u->next;
	if (u->next)
		u->next->link = u->link;
	u->next = NULL;
	u->link = NULL;
	*u->pooled_link = u->pooled_next;
	if (u->pooled_next)
		u->pooled_next->pooled_link = u->pooled_link;
	u->account->shards[u->worker->index]->n_idle--;
	deadline_cancel(u->worker->loop, &u->deadline);
}

static void free_later(struct later *l)
{
	struct upstream *u = (struct upstream *)((char *)l - offsetof(struct upstream, later));

	slab_give(&u->worker->upstreams, u);
}

void upstream_close(struct upstream *u, bool reset)
{
	if (!u || u->closed)
		return;
	u->closed = true;
	unpool(u);
	end_close(&u->end, u->worker, reset);
	deadline_cancel(u->worker->loop, &u->deadline);
	account_unref(u->account);
	u->visit = NULL;
	u->later.fn = free_later;
	loop_later(u->worker->loop, &u->later); /* callers up the stack may still look at it */
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;

	(void)fd;
	end_note(&u->end, what);
	if (u->visit)
		visit_on_upstream(u->visit, u);
	else if (what & (EV_READ | EV_CLOSED))
		upstream_close(u, false); /* between requests it has nothing to say but goodbye */
}

struct upstream *upstream_connect(struct worker *w, struct visit *v, struct account *a, enum side side, const struct addr *addr, int *rc)
{
	const struct dial d = {v->v.listener, side, visitor_peer(&v->v), addr};
	struct upstream *u;
	int fd = dial_start(w, &d);

	if (fd < 0) {
		*rc = fd;
		return NULL;
	}
	u = slab_take(&w->upstreams, sizeof *u);
	if (!u) {
		close(fd);
		*rc = -ENOMEM;
		return NULL;
	}
	end_init(&u->end, fd, true);
	u->end.sent = &account_shard(a, w->index)->sent[side]; /* it has one: the request is in flight there */
	end_assign(&u->end, loop_base(w->loop), true, on_event, u);
	*rc = end_watch(&u->end);
	if (*rc < 0) {
		close(fd);
		slab_give(&w->upstreams, u);
		return NULL;
	}
	u->worker = w;
	u->visit = v;
	u->account = account_ref(a);
	u->side = side;
	u->addr = *addr;
	u->connect_start = loop_now(w->loop);
	return u;
}

int upstream_error(const struct upstream *u)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(u->end.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

bool upstream_is_silent(const struct upstream *u)
{
	char c;

	return recv(u->end.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct upstream *upstream_from_pool(struct worker *w, struct account *a, enum side side, const struct addr *addr, bool sure)
{
	struct shard *s = a->shards[w->index];
	struct upstream *u = s ? s->idle : NULL, *next;

	for (; u; u = next) {
		next = u->next;
		if (u->side != side || !addr_same(&u->addr, addr))
			continue;
		if (sure && !upstream_is_silent(u)) {
			upstream_close(u, false);
			continue;
		}
		unpool(u);
		return u;
	}
	return NULL;
}

static void on_idle_over(struct deadline *d)
{
	upstream_close((struct upstream *)((char *)d - offsetof(struct upstream, deadline)), false);
}

void upstream_to_pool(struct upstream *u)
{
	struct shard *s = u->account->shards[u->worker->index];

	u->visit = NULL;
	u->used = true;
	if (!s || s->n_idle >= POOL_PER_ACCOUNT || u->worker->draining || account_gate(u->account) != GATE_OPEN ||
	    account_side(u->account) != u->side) {
		upstream_close(u, false);
		return;
	}
	u->next = s->idle;
	u->link = &s->idle;
	if (u->next)
		u->next->link = &u->next;
	s->idle = u;
	s->n_idle++;
	u->pooled_next = u->worker->pooled;
	u->pooled_link = &u->worker->pooled;
	if (u->pooled_next)
		u->pooled_next->pooled_link = &u->pooled_next;
	u->worker->pooled = u;
	deadline_arm(u->worker->loop, &u->deadline, on_idle_over, POOL_IDLE_MS);
}

void upstreams_close_idle(struct worker *w, struct shard *s)
{
	(void)w;
	while (s->idle)
		upstream_close(s->idle, false);
}

void upstreams_close_pooled(struct worker *w)
{
	while (w->pooled)
		upstream_close(w->pooled, false);
}
