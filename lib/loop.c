/* The wheel has WHEEL slots of one tick each; an entry is filed under slot % WHEEL and skipped while its slot lies laps ahead.
 * What would surprise: an entry may be filed earlier than it is due, because moving a deadline later only stores `due`. When the
 * earlier slot comes round the entry is filed again. So a connection that re-arms at every request touches the lists hardly ever. */
#include "lib/loop.h"

#include "lib/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WHEEL 1024 /* ticks, a power of two: 51 s a lap */

struct loop {
	struct event_base *base;
	struct event tick_ev, inbox_ev, later_ev;
	struct deadline *wheel[WHEEL];
	size_t filed;  /* entries in the wheel; the tick runs while there are any */
	uint32_t tick; /* the last one that was worked off */
	struct later *later, **later_tail;
	int inbox_fd;
	pthread_mutex_t lock; /* guards the inbox */
	struct post *inbox, **inbox_tail;
	struct post stop;
	bool stopping;
};

uint64_t loop_now(const struct loop *l)
{
	(void)l;
	return (uint64_t)mono_coarse_ms();
}

static uint32_t tick_now(const struct loop *l)
{
	return (uint32_t)(loop_now(l) / LOOP_TICK_MS);
}

static bool tick_after(uint32_t a, uint32_t b) /* a > b, also across the wrap after 6.8 years */
{
	return (int32_t)(a - b) > 0;
}

static void file(struct loop *l, struct deadline *d)
{
	struct deadline **head = &l->wheel[d->slot & (WHEEL - 1)];

	d->next = *head;
	if (d->next)
		d->next->link = &d->next;
	d->link = head;
	*head = d;
	l->filed++;
}

static void unfile(struct loop *l, struct deadline *d)
{
	*d->link = d->next;
	if (d->next)
		d->next->link = d->link;
	d->next = NULL;
	d->link = NULL;
	l->filed--;
}

void deadline_arm(struct loop *l, struct deadline *d, deadline_fn *fn, uint64_t after_ms)
{
	uint32_t now = tick_now(l);
	uint32_t due = now + 1 + (uint32_t)((after_ms + LOOP_TICK_MS - 1) / LOOP_TICK_MS);

	d->fn = fn;
	d->due = due ? due : 1;
	if (d->link) {
		if (!tick_after(d->slot, d->due))
			return;
		unfile(l, d);
	}
	if (l->filed == 0) {
		l->tick = now;
		event_add(&l->tick_ev, &(struct timeval){.tv_usec = LOOP_TICK_MS * 1000});
	}
	d->slot = d->due;
	file(l, d);
}

void deadline_cancel(struct loop *l, struct deadline *d)
{
	d->due = 0;
	if (d->link)
		unfile(l, d);
}

/* Works off one slot. Its list is taken aside first: callbacks may cancel any of its entries, or file new ones into the same slot. */
static void turn_slot(struct loop *l, uint32_t tick)
{
	struct deadline **head = &l->wheel[tick & (WHEEL - 1)], *aside = *head, *d;

	*head = NULL;
	if (aside)
		aside->link = &aside;
	while ((d = aside)) {
		unfile(l, d);
		if (tick_after(d->slot, tick)) { /* a later lap */
			file(l, d);
		} else if (d->due && tick_after(d->due, tick)) {
			d->slot = d->due;
			file(l, d);
		} else if (d->due) {
			d->due = 0;
			d->fn(d);
		}
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	uint32_t now = tick_now(l);

	(void)fd;
	(void)what;
	if (now - l->tick > WHEEL) /* asleep for more than a lap: every slot once is enough */
		l->tick = now - WHEEL;
	while (tick_after(now, l->tick))
		turn_slot(l, ++l->tick);
	if (l->filed == 0)
		event_del(&l->tick_ev);
}

static void on_inbox(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct post *p, *next;
	uint64_t n;

	(void)what;
	if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&l->lock);
	p = l->inbox;
	l->inbox = NULL;
	l->inbox_tail = &l->inbox;
	pthread_mutex_unlock(&l->lock);
	for (; p; p = next) {
		next = p->next;
		p->fn(p);
	}
}

void loop_post(struct loop *l, struct post *p)
{
	ssize_t woken;

	pthread_mutex_lock(&l->lock);
	p->next = NULL;
	*l->inbox_tail = p;
	l->inbox_tail = &p->next;
	/* Only EAGAIN can happen, and it means that the loop has been woken already. Inside the lock: once it is released p may run, and
	 * the loop end. */
	woken = write(l->inbox_fd, &(uint64_t){1}, sizeof(uint64_t));
	(void)woken;
	pthread_mutex_unlock(&l->lock);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct later *item = l->later, *next;

	(void)fd;
	(void)what;
	l->later = NULL;
	l->later_tail = &l->later;
	for (; item; item = next) {
		next = item->next;
		item->fn(item);
	}
}

void loop_later(struct loop *l, struct later *item)
{
	/* libevent works its active queue off in order, and everything this turn's poll reported is in it already: behind it is after it.
	 */
	if (!l->later)
		event_active(&l->later_ev, EV_TIMEOUT, 0);
	item->next = NULL;
	*l->later_tail = item;
	l->later_tail = &item->next;
}

int loop_new(struct loop **out, struct err *err)
{
	struct loop *l = calloc(1, sizeof *l);
	struct event_config *cfg = event_config_new();
	int rc = -ENOMEM;

	*out = NULL;
	if (!l || !cfg) {
		err_set(err, rc, "out of memory for an event loop");
		goto out;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->inbox_tail = &l->inbox;
	l->later_tail = &l->later;
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
	event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE);
	l->base = event_base_new_with_config(cfg);
	l->inbox_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!l->base || l->inbox_fd < 0) {
		rc = err_errno(err, l->base ? -errno : -ENOTSUP, "cannot make an event loop (epoll)");
		goto out;
	}
	event_assign(&l->tick_ev, l->base, -1, EV_PERSIST, on_tick, l);
	event_assign(&l->later_ev, l->base, -1, 0, on_later, l);
	event_assign(&l->inbox_ev, l->base, l->inbox_fd, EV_READ | EV_PERSIST, on_inbox, l);
	event_add(&l->inbox_ev, NULL);
	*out = l;
	l = NULL;
	rc = 0;
out:
	if (cfg)
		event_config_free(cfg);
	if (l) {
		if (l->base)
			event_base_free(l->base);
		free(l);
	}
	return rc;
}

void loop_drain_inbox(struct loop *l)
{
	on_inbox(l->inbox_fd, 0, l);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_drain_inbox(l); /* what was posted may own memory */
	on_later(-1, 0, l);
	event_del(&l->inbox_ev);
	event_del(&l->tick_ev);
	event_del(&l->later_ev);
	/* libevent ends a freed bufferevent by a callback of its own, which loop_stop() may have left waiting: nobody else would free it.
	 */
	if (event_base_get_num_events(l->base, EVENT_BASE_COUNT_ACTIVE))
		event_base_loop(l->base, EVLOOP_NONBLOCK);
	event_base_free(l->base);
	close(l->inbox_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

int loop_run(struct loop *l)
{
	return event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0 ? -EIO : 0;
}

static void stop_here(struct post *p)
{
	struct loop *l = (struct loop *)((char *)p - offsetof(struct loop, stop));

	event_base_loopbreak(l->base);
}

void loop_stop(struct loop *l)
{
	bool again;

	pthread_mutex_lock(&l->lock);
	again = l->stopping;
	l->stopping = true;
	pthread_mutex_unlock(&l->lock);
	l->stop.fn = stop_here;
	if (!again)
		loop_post(l, &l->stop);
}
