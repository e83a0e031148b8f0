#include "proxy/target.h"

#include "lib/log.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

#include <stdlib.h>
#include <string.h>

struct target {
	atomic_uint refs;
	struct proxy *proxy;
	char *text;
	struct watch *watch;
	struct target_addrs *known; /* the main thread's reference */
	unsigned n_workers;
	struct target_addrs *now[]; /* one reference each; written by its worker alone */
};

static void addrs_unref(struct target_addrs *a)
{
	if (a && atomic_fetch_sub(&a->refs, 1) == 1)
		free(a);
}

static struct target_addrs *addrs_new(const struct addr *list, size_t n, unsigned refs)
{
	struct target_addrs *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	atomic_init(&a->refs, refs);
	a->n = n < RESOLVE_MAX ? n : RESOLVE_MAX;
	memcpy(a->addrs, list, a->n * sizeof *list);
	return a;
}

/* The message with a new set of addresses. */
struct change {
	struct ask ask;
	struct target *target;
	struct target_addrs *addrs;
};

static void change_in_worker(struct worker *w, struct ask *ask)
{
	struct change *c = (struct change *)ask;

	addrs_unref(c->target->now[w->index]);
	c->target->now[w->index] = c->addrs;
	ask_answered(ask);
}

static void change_done(struct ask *ask)
{
	struct change *c = (struct change *)ask;

	target_unref(c->target);
	ask_free(c);
}

static void on_resolved(void *arg, const struct addr *addrs, size_t n)
{
	struct target *t = arg;
	struct target_addrs *a = addrs_new(addrs, n, t->n_workers + 1);
	struct change *c = ask_new(t->proxy, sizeof *c);
	char text[ADDR_TEXT_MAX];

	if (!a || !c) {
		free(a);
		ask_free(c);
		log_error("name=%s reason=\"no memory for its new addresses: the old ones stay\"", t->text);
		return;
	}
	log_info("name=%s address=%s addresses=%zu", t->text, addr_text(&addrs[0], text), n);
	addrs_unref(t->known);
	t->known = a;
	c->target = target_ref(t);
	c->addrs = a;
	c->ask.in_worker = change_in_worker;
	c->ask.done = change_done;
	ask_all(&c->ask);
}

struct target *target_new(struct proxy *p, const struct conf_host *host, int family)
{
	struct target *t = calloc(1, sizeof *t + p->n_workers * sizeof *t->now);

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	t->proxy = p;
	t->n_workers = p->n_workers;
	t->text = strdup(host->text);
	if (!t->text)
		goto fail;
	if (addr_family(&host->addr) != AF_UNSPEC) {
		t->known = addrs_new(&host->addr, 1, t->n_workers + 1);
		if (!t->known)
			goto fail;
		for (unsigned i = 0; i < t->n_workers; i++)
			t->now[i] = t->known;
		return t;
	}
	t->watch = resolver_watch(p->resolver, t->text, family, on_resolved, t);
	if (t->watch)
		return t;
fail:
	target_unref(t);
	return NULL;
}

struct target *target_ref(struct target *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void target_unref(struct target *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	watch_cancel(t->watch);
	for (unsigned i = 0; i < t->n_workers; i++)
		addrs_unref(t->now[i]);
	addrs_unref(t->known);
	free(t->text);
	free(t);
}

const char *target_text(const struct target *t)
{
	return t->text;
}

const struct target_addrs *target_addrs(const struct target *t, unsigned worker)
{
	return t->now[worker];
}

const struct target_addrs *target_known(const struct target *t)
{
	return t->known;
}
