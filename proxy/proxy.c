#include "proxy/proxy.h"

#include "lib/log.h"
#include "lib/notify.h"
#include "lib/tls.h"
#include "proxy/alive.h"
#include "proxy/control.h"
#include "proxy/counts.h"
#include "proxy/intercept.h"
#include "proxy/listener.h"
#include "proxy/probe_tls.h"
#include "proxy/seenfile.h"
#include "proxy/straggler.h"
#include "proxy/worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FD_RESERVE    64   /* descriptors for files, the control socket, loops, look-ups */
#define STRAGGLERS_MS 1000 /* handshakes that began before interception ended are still completed */

struct config *config_ref(struct config *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void config_unref(struct config *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	conf_free(c->conf);
	free(c);
}

/* ---- questions to every worker ---- */

static void ask_back(struct post *p)
{
	struct ask *a = (struct ask *)((char *)p - offsetof(struct ask, back));

	a->done(a);
}

void ask_answered(struct ask *a)
{
	if (atomic_fetch_sub(&a->left, 1) == 1) {
		a->back.fn = ask_back;
		loop_post(a->proxy->loop, &a->back);
	}
}

struct ask_post {
	struct post post;
	struct ask *ask;
	struct worker *worker;
};

static void in_worker(struct post *p)
{
	struct ask_post *ap = (struct ask_post *)p;

	ap->ask->in_worker(ap->worker, ap->ask);
}

void *ask_new(struct proxy *p, size_t size)
{
	struct ask *a = calloc(1, size);

	if (!a)
		return NULL;
	a->proxy = p;
	a->to = calloc(p->n_workers, sizeof *a->to);
	if (!a->to) {
		free(a);
		return NULL;
	}
	return a;
}

void ask_free(void *ask)
{
	struct ask *a = ask;

	if (!a)
		return;
	free(a->to);
	free(a);
}

void ask_all(struct ask *a)
{
	struct proxy *p = a->proxy;
	unsigned n = p->n_workers;

	atomic_store(&a->left, n);
	for (unsigned i = 0; i < n; i++) /* after the last post a may be gone */
		a->to[i] = (struct ask_post){{.fn = in_worker}, a, p->workers[i]};
	for (unsigned i = 0; i < n; i++) {
		struct ask_post *to = &a->to[i];

		loop_post(p->workers[i]->loop, &to->post);
	}
}

/* ---- the table ---- */

struct table_change {
	struct ask ask;
	struct table *new, *old;
	bool refuse_all;
};

static void table_in_worker(struct worker *w, struct ask *a)
{
	struct table_change *c = (struct table_change *)a;

	w->table = c->new;
	stragglers_keep(w->stragglers, c->new);
	w->refuse_all = c->refuse_all;
	ask_answered(a);
}

static void table_changed(struct ask *a)
{
	struct table_change *c = (struct table_change *)a;
	void (*then)(void *) = c->ask.then;
	void *arg = c->ask.then_arg;

	table_free(c->old);
	ask_free(c);
	if (then)
		then(arg);
}

int proxy_use_table(struct proxy *p, struct table *t, void (*then)(void *), void *arg)
{
	struct table_change *c = ask_new(p, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->new = t;
	c->old = p->table;
	c->refuse_all = p->table_state == TABLE_DAMAGED;
	c->ask.in_worker = table_in_worker;
	c->ask.done = table_changed;
	c->ask.then = then;
	c->ask.then_arg = arg;
	p->table = t;
	ask_all(&c->ask);
	return 0;
}

static int load_table(struct proxy *p, struct err *err)
{
	struct acctset set = {0};
	int rc = store_open(&p->store, p->config->conf->proxy.table, err);

	if (rc < 0)
		return rc;
	rc = store_load(p->store, &set, err);
	if (rc == -ENOENT) {
		p->table_state = TABLE_EMPTY;
	} else if (rc == -EBADMSG) {
		/* Whoever moved must not be answered from old data, so nobody is answered until the controller says who is where. */
		log_error("table=%s reason=\"%s\" advice=\"every request is refused until `shunt resume` has told the accounts anew\"",
			  p->config->conf->proxy.table, err->text);
		p->table_state = TABLE_DAMAGED;
	} else if (rc < 0) {
		return rc;
	} else {
		p->table_state = TABLE_OK;
		if (store_wants_save(p->store))
			log_warn("table=%s reason=\"%s\" advice=\"it is served as it was read, and written anew before the next change\"",
				 p->config->conf->proxy.table, err->text);
	}
	rc = table_new(&p->table, &set, NULL, p->n_workers, err);
	if (rc < 0)
		return err_wrap(err, "%s", p->config->conf->proxy.table);
	return 0;
}

/* ---- limits ---- */

static unsigned derive_budget(const struct conf_proxy *c)
{
	struct rlimit r;
	uint64_t most;

	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	getrlimit(RLIMIT_NOFILE, &r);
	most = r.rlim_cur > FD_RESERVE + 2 ? (r.rlim_cur - FD_RESERVE) / 2 : 1;
	if (most > 16u * 1024 * 1024)
		most = 16u * 1024 * 1024;
	if (c->max_connections && (uint64_t)c->max_connections < most)
		most = (uint64_t)c->max_connections;
	return (unsigned)most;
}

static struct source_limits source_limits(const struct proxy *p, const struct conf_proxy *c)
{
	return (struct source_limits){(unsigned)c->source_connections, (unsigned)c->source_rate, p->budget};
}

/* ---- listeners, and what else a reload changes ---- */

struct swap {
	struct ask ask;
	struct config *old_config;
	const struct conf_proxy *conf;
	struct listener **new, **old;
	size_t n_new, n_old;
};

static void swap_in_worker(struct worker *w, struct ask *a)
{
	struct swap *s = (struct swap *)a;

	for (size_t i = 0; i < s->n_old; i++)
		listener_unwatch(s->old[i], w);
	w->conf = s->conf;
	w->listening = s->new;
	w->n_listening = s->n_new;
	if (!w->starved) /* else worker.c does it when accepting goes on */
		worker_watch(w);
	ask_answered(a);
}

static void swapped(struct ask *a)
{
	struct swap *s = (struct swap *)a;
	struct proxy *p = a->proxy;

	for (size_t i = 0; i < s->n_old; i++) {
		if (!listener_shares_sockets(s->old[i], p->listeners, p->n_listeners))
			listener_close_sockets(s->old[i]);
		listener_unref(s->old[i]);
	}
	free(s->old);
	config_unref(s->old_config);
	ask_free(s);
}

static void drop_listeners(struct listener **list, size_t n)
{
	for (size_t i = 0; list && i < n; i++)
		listener_unref(list[i]);
	free(list);
}

static int use_config(struct proxy *p, struct config *config, struct err *err)
{
	const struct conf_proxy *c = &config->conf->proxy;
	struct listener **new = calloc(c->n_listeners ? c->n_listeners : 1, sizeof *new);
	struct swap *s = ask_new(p, sizeof *s);
	struct source_limits lim;
	int rc = 0;
	size_t n = 0;

	if (!new || !s)
		rc = err_set(err, -ENOMEM, "out of memory");
	for (; rc == 0 && n < c->n_listeners; n++) {
		rc = listener_new(&new[n], p, config, &c->listeners[n], p->listeners, p->n_listeners, err);
		if (rc < 0)
			break;
	}
	if (rc < 0) {
		drop_listeners(new, n);
		ask_free(s);
		return rc;
	}
	s->old = p->listeners;
	s->n_old = p->n_listeners;
	s->new = p->listeners = new;
	s->n_new = p->n_listeners = n;
	s->conf = c;
	s->old_config = p->config == config ? NULL : p->config;
	s->ask.in_worker = swap_in_worker;
	s->ask.done = swapped;
	p->config = config;
	p->budget = derive_budget(c);
	lim = source_limits(p, c);
	sources_limit(p->sources, &lim);
	account_set(p->nobody, c->unknown == UNKNOWN_TRANSIT ? SIDE_TRANSIT : SIDE_CLIENT, GATE_OPEN);
	ask_all(&s->ask);
	return 0;
}

int proxy_check(const struct conf *c, struct err *err)
{
	const struct conf_proxy *p = &c->proxy;

	if (!p->present || p->n_listeners == 0)
		return err_set(err, -EINVAL, "%s: found no listener, expected a section `proxy { listener \"web\" { ... } }`", c->file);
	return 0;
}

static int refuse_what_only_a_restart_changes(const struct proxy *p, const struct conf *new, struct err *err)
{
	const struct conf_proxy *a = &p->config->conf->proxy, *b = &new->proxy;

	if (a->workers != b->workers)
		return err_set(err, -EINVAL, "%s: `workers` cannot change by a reload: restart shunt-proxy", new->file);
	if (strcmp(a->table, b->table))
		return err_set(err, -EINVAL, "%s: `table` cannot change by a reload: restart shunt-proxy", new->file);
	if (strcmp(a->control, b->control))
		return err_set(err, -EINVAL, "%s: `control` cannot change by a reload: restart shunt-proxy", new->file);
	if (strcmp(a->listen ? a->listen : "", b->listen ? b->listen : ""))
		return err_set(err, -EINVAL, "%s: `listen` cannot change by a reload: restart shunt-proxy", new->file);
	if (strcmp(a->access_log, b->access_log))
		return err_set(err, -EINVAL, "%s: `access-log` cannot change by a reload: restart shunt-proxy", new->file);
	if (a->access_format != b->access_format)
		return err_set(err, -EINVAL, "%s: `access-log-format` cannot change by a reload: restart shunt-proxy", new->file);
	if (a->intercept != b->intercept)
		return err_set(err, -EINVAL, "%s: `intercept` cannot change by a reload: restart shunt-proxy", new->file);
	if (a->intercept && a->intercept_port != b->intercept_port)
		return err_set(err, -EINVAL, "%s: `intercept-port` cannot change by a reload: restart shunt-proxy", new->file);
	if (a->intercept && p->config->conf->netctl.mark != new->netctl.mark)
		return err_set(err, -EINVAL, "%s: `mark` cannot change by a reload: restart shunt-proxy", new->file);
	return 0;
}

int proxy_reload(struct proxy *p, struct err *err)
{
	struct config *config = calloc(1, sizeof *config);
	struct tls *tls = NULL;
	int rc;

	if (!config)
		return err_set(err, -ENOMEM, "out of memory");
	atomic_init(&config->refs, 1);
	rc = conf_load(&config->conf, p->config->conf->file, err);
	if (rc == 0)
		rc = proxy_check(config->conf, err);
	if (rc == 0)
		rc = refuse_what_only_a_restart_changes(p, config->conf, err);
	if (rc == 0)
		rc = control_tls_new(&tls, config->conf, err);
	if (rc == 0)
		rc = access_reopen(p->access, err);
	if (rc == 0)
		rc = use_config(p, config, err);
	if (rc < 0) {
		tls_free(tls);
		config_unref(config);
		return rc;
	}
	control_use_tls(p, tls);
	p->reloads++;
	log_info("reload=done listeners=%zu", p->n_listeners);
	return 0;
}

/* ---- signals and the end ---- */

struct quit {
	struct ask ask;
	bool now;
};

static void quit_in_worker(struct worker *w, struct ask *a)
{
	struct quit *q = (struct quit *)a;

	if (!w->draining)
		for (size_t i = 0; i < w->n_listening; i++)
			listener_unwatch(w->listening[i], w);
	w->draining = true; /* what is intercepted is still accepted: handshakes of before the end of interception */
	for (struct conn_link *c = w->conns, *next; c; c = next) {
		next = c->next;
		c->shutdown(c, q->now);
	}
	ask_answered(a);
}

static void quit_asked(struct ask *a)
{
	struct proxy *p = a->proxy;
	bool now = ((struct quit *)a)->now;

	ask_free(a);
	if (now)
		counts_end(p);
}

static void ask_to_quit(struct proxy *p, bool now)
{
	struct quit *q = ask_new(p, sizeof *q);

	if (!q) {
		counts_end(p);
		return;
	}
	q->now = now;
	q->ask.in_worker = quit_in_worker;
	q->ask.done = quit_asked;
	ask_all(&q->ask);
}

static void on_terminate(evutil_socket_t sig, short what, void *arg)
{
	struct proxy *p = arg;

	(void)what;
	if (p->term_ms) { /* asked twice: at once */
		ask_to_quit(p, true);
		return;
	}
	log_info("signal=%d connections=%u drain-s=%d reason=\"ending\"", (int)sig, atomic_load(&p->conns), p->config->conf->proxy.drain);
	p->term_ms = loop_now(p->loop);
	alive_withdraw(p->alive, p->term_ms); /* first: from now on visitors reach the local services */
	notify("STOPPING=1");
	ask_to_quit(p, false);
}

static void on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct proxy *p = arg;
	struct err err = {0};

	(void)sig;
	(void)what;
	if (proxy_reload(p, &err) < 0)
		log_error("reload=refused reason=\"%s\" advice=\"nothing has changed\"", err.text);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct proxy *p = arg;

	(void)fd;
	(void)what;
	control_second(p);
	counts_second(p);
	seenfile_second(p->seenfile, p->table, loop_now(p->loop));
	if (!p->term_ms)
		return;
	if (p->intercept && loop_now(p->loop) - p->term_ms < STRAGGLERS_MS)
		return;
	if (atomic_load(&p->conns) == 0)
		counts_end(p);
	else if (loop_now(p->loop) - p->term_ms > (uint64_t)p->config->conf->proxy.drain * 1000)
		ask_to_quit(p, true);
}

/* ---- birth and death ---- */

static unsigned count_workers(const struct conf_proxy *c)
{
	long n = c->workers ? c->workers : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 256 ? 256 : (unsigned)n;
}

static int make_workers(struct proxy *p, struct err *err)
{
	int rc;

	p->workers = calloc(p->n_workers, sizeof(struct worker *));
	if (!p->workers)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < p->n_workers; i++) {
		rc = worker_new(&p->workers[i], p, i, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void watch_signals(struct proxy *p)
{
	struct event_base *b = loop_base(p->loop);

	signal(SIGPIPE, SIG_IGN);
	event_assign(&p->sigs[0], b, SIGTERM, EV_SIGNAL | EV_PERSIST, on_terminate, p);
	event_assign(&p->sigs[1], b, SIGINT, EV_SIGNAL | EV_PERSIST, on_terminate, p);
	event_assign(&p->sigs[2], b, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup, p);
	for (int i = 0; i < 3; i++)
		event_add(&p->sigs[i], NULL);
	event_assign(&p->second_ev, b, -1, EV_PERSIST, on_second, p);
	event_add(&p->second_ev, &(struct timeval){.tv_usec = 250000});
}

int proxy_new(struct proxy **out, struct config *config, struct err *err)
{
	struct proxy *p = calloc(1, sizeof *p);
	const struct conf_proxy *c = &config->conf->proxy;
	struct source_limits lim;
	int rc;

	if (!p) {
		config_unref(config);
		return err_set(err, -ENOMEM, "out of memory");
	}
	p->config = config;
	p->n_workers = count_workers(c);
	p->budget = derive_budget(c);
	lim = source_limits(p, c);
	rc = proxy_check(config->conf, err);
	if (rc == 0)
		rc = loop_new(&p->loop, err);
	if (rc == 0)
		rc = load_table(p, err);
	if (rc == 0)
		rc = access_open(&p->access, c->access_log, c->access_format, err);
	if (rc == 0)
		rc = resolver_new(&p->resolver, loop_base(p->loop), err);
	if (rc == 0) {
		p->started_ms = loop_now(p->loop);
		p->sources = sources_new(&lim);
		p->nobody = account_new("-", SIDE_CLIENT, GATE_OPEN, p->n_workers);
		if (!p->sources || !p->nobody)
			rc = err_set(err, -ENOMEM, "out of memory");
	}
	if (rc == 0 && c->intercept) {
		p->mark = (uint32_t)config->conf->netctl.mark;
		rc = intercept_new(&p->intercept, p, c->intercept_port, err);
	}
	if (rc == 0)
		rc = alive_new(&p->alive, p->n_workers, c->intercept, p->started_ms, err);
	if (rc == 0)
		rc = make_workers(p, err);
	if (rc == 0)
		rc = counts_open(&p->counts, p, err);
	if (rc == 0)
		rc = seenfile_open(&p->seenfile, c->table, &p->seen_room, p->table_state == TABLE_OK ? p->table : NULL, err);
	if (rc == 0) {
		watch_signals(p);
		rc = use_config(p, config, err);
	}
	if (rc == 0)
		rc = control_open(p, err);
	for (unsigned i = 0; rc == 0 && i < p->n_workers; i++)
		rc = worker_start(p->workers[i], err);
	if (rc < 0) {
		proxy_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

int proxy_run(struct proxy *p)
{
	log_info("workers=%u listeners=%zu accounts=%zu domains=%zu max-connections=%u reason=\"ready\"", p->n_workers, p->n_listeners,
		 table_size(p->table), table_domains(p->table), p->budget);
	notify("READY=1");
	loop_run(p->loop);
	log_info("connections=%u reason=\"ended\"", atomic_load(&p->conns));
	return 0;
}

void proxy_free(struct proxy *p)
{
	if (!p)
		return;
	control_close(p);
	for (unsigned i = 0; p->workers && i < p->n_workers; i++)
		worker_free(p->workers[i]);
	if (p->loop && event_initialized(&p->second_ev)) {
		for (int i = 0; i < 3; i++)
			event_del(&p->sigs[i]);
		event_del(&p->second_ev);
	}
	alive_free(p->alive);
	intercept_free(p->intercept);
	drop_listeners(p->listeners, p->n_listeners);
	if (p->loop)
		loop_drain_inbox(p->loop); /* the last references to listeners come home this way */
	resolver_free(p->resolver);
	seenfile_close(p->seenfile);
	table_free(p->table);
	account_unref(p->nobody);
	probe_tls_shared_free(p->probe_tls);
	sources_free(p->sources);
	access_close(p->access);
	counts_close(p->counts);
	store_close(p->store);
	config_unref(p->config);
	loop_free(p->loop);
	free(p->workers);
	free(p);
}
