/* Two things keep one dead server from holding up the questions to all others: each server has its own line and is asked in turn, and
 * one that was asked and stayed silent is not asked again for MUTE_MS, but for one question now and then that finds out. */
#define CARES_NO_DEPRECATED /* 1.34 would have us use what 1.18 has not */
#include "dnsupdate/look_parts.h"

#include "lib/cares.h"
#include "lib/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRIES       2
#define UDP_SIZE    1232 /* no fragments (DNS flag day 2020) */
#define SERVER_MAX  64   /* questions under way to one server */
#define CHANNEL_MAX 200  /* questions before a channel makes way for one with another source port */
#define OPEN_MAX    512  /* channels kept open; beyond, those without work are closed at once */
#define IDLE_MS     10000
#define SWEEP_MS    2000
#define MUTE_MS     3000

struct look_channel {
	struct look_channel *next;
	struct look_server *server;
	struct cares *cares;
	size_t asked;   /* under way */
	unsigned total; /* since it was opened */
};

struct look_server {
	struct look_server *next;
	struct addr addr;
	bool recursive;
	struct look_channel *channel; /* NULL: none is open */
	struct look_list waiting;
	size_t asked;
	int64_t heard_ms, used_ms;
	int64_t mute_ms; /* until then it is not asked; 0: it answers, as far as is known */
	char trouble[120];
};

/* ---- lists ---- */

void look_push(struct look_list *list, struct look *k)
{
	if (!list->first)
		list->last = &list->first;
	k->next = NULL;
	k->link = list->last;
	k->list = list;
	*list->last = k;
	list->last = &k->next;
}

void look_unlink(struct look *k)
{
	if (!k->list)
		return;
	*k->link = k->next;
	if (k->next)
		k->next->link = k->link;
	else
		k->list->last = k->link;
	k->list = NULL;
}

void look_kick(struct looker *l)
{
	event_active(&l->pump, EV_TIMEOUT, 0);
}

void look_finish(struct look *k)
{
	look_unlink(k);
	look_push(&k->l->done, k);
	look_kick(k->l);
}

struct look *look_alloc(struct looker *l, const char *name)
{
	struct look *k = calloc(1, sizeof *k);
	char absolute[RR_NAME_MAX];

	if (!k)
		return NULL;
	k->l = l;
	k->name = strdup(name_absolute(absolute, name) == 0 ? absolute : name);
	if (!k->name) {
		free(k);
		return NULL;
	}
	return k;
}

static void look_release(struct look *k)
{
	look_unlink(k);
	answer_done(&k->answer);
	free(k->addrs);
	free(k->name);
	free(k);
}

/* ---- channels and servers ---- */

static void channel_close(struct looker *l, struct look_channel *c)
{
	cares_close(c->cares);
	l->n_open--;
	free(c);
}

static struct look_channel *channel_open(struct looker *l, struct look_server *s, struct err *err)
{
	char csv[ADDR_TEXT_MAX];
	struct cares_opts opts = {
		.servers = addr_text_port(&s->addr, csv),
		.lookups = "b",
		.timeout_ms = LOOK_TIMEOUT_MS,
		.tries = TRIES,
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_STAYOPEN | (s->recursive ? 0 : ARES_FLAG_NORECURSE),
		.ednspsz = UDP_SIZE,
		.udp_max_queries = CHANNEL_MAX,
	};
	struct look_channel *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (cares_open(&c->cares, l->base, &opts, err) < 0) {
		free(c);
		return NULL;
	}
	c->server = s;
	l->n_open++;
	return c;
}

/* c-ares 1.18 has one port per channel: so ports change with channels. Those under way end where they began. */
static void retire(struct looker *l, struct look_server *s)
{
	s->channel->next = l->retired;
	l->retired = s->channel;
	s->channel = NULL;
}

static struct look_server *server_of(struct looker *l, const struct addr *addr, bool recursive)
{
	struct look_server *s;
	struct addr at = *addr;

	if (addr_port(&at) == 0)
		addr_set_port(&at, 53);
	for (s = l->servers; s; s = s->next)
		if (s->recursive == recursive && addr_same(&s->addr, &at))
			return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct look_server){.next = l->servers, .addr = at, .recursive = recursive, .used_ms = mono_ms()};
	l->servers = s;
	if (!event_pending(&l->sweep, EV_TIMEOUT, NULL))
		event_add(&l->sweep, &(struct timeval){.tv_sec = SWEEP_MS / 1000, .tv_usec = SWEEP_MS % 1000 * 1000});
	return s;
}

static void close_retired(struct looker *l)
{
	for (struct look_channel **link = &l->retired, *c; (c = *link);) {
		if (c->asked == 0) {
			*link = c->next;
			channel_close(l, c);
		} else {
			link = &c->next;
		}
	}
}

static bool server_busy(const struct look_server *s)
{
	return s->asked || s->waiting.first;
}

static void close_idle(struct looker *l, int64_t idle_ms)
{
	int64_t now = mono_ms();

	for (struct look_server **link = &l->servers, *s; (s = *link);) {
		if (server_busy(s) || now - s->used_ms < idle_ms) {
			link = &s->next;
			continue;
		}
		if (s->channel)
			retire(l, s);
		if (now < s->mute_ms) { /* is to be remembered */
			link = &s->next;
			continue;
		}
		*link = s->next;
		for (struct look_channel *c = l->retired; c; c = c->next)
			if (c->server == s)
				c->server = NULL; /* has no questions any more */
		free(s);
	}
	close_retired(l);
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct looker *l = arg;

	(void)fd, (void)what;
	close_idle(l, IDLE_MS);
	if (!l->servers)
		event_del(&l->sweep);
}

/* ---- asking ---- */

/* c-ares before 1.28 reads "\DDD" (RFC 1035 5.1) as three characters, but takes any byte as it is. false: a NUL, which it cannot say. */
static bool name_for_cares(char out[RR_NAME_MAX], const char *name)
{
#if ARES_VERSION >= 0x011c00
	snprintf(out, RR_NAME_MAX, "%s", name);
	return true;
#else
	size_t n = 0;

	while (*name && n + 3 < RR_NAME_MAX) {
		unsigned value;

		if (name[0] == '\\' && isdigit((unsigned char)name[1]) && isdigit((unsigned char)name[2]) &&
		    isdigit((unsigned char)name[3])) {
			value = (unsigned)(name[1] - '0') * 100 + (unsigned)(name[2] - '0') * 10 + (unsigned)(name[3] - '0');
			if (value == 0 || value > 255)
				return false;
			if (value == '.' || value == '\\')
				out[n++] = '\\';
			out[n++] = (char)value;
			name += 4;
		} else {
			if (name[0] == '\\' && name[1])
				out[n++] = *name++;
			out[n++] = *name++;
		}
	}
	out[n] = '\0';
	return *name == '\0';
#endif
}

static struct look *enqueue(struct look *k, const struct addr *addr, bool recursive)
{
	struct look_server *s = server_of(k->l, addr, recursive);

	if (!s) {
		err_set(&k->err, -ENOMEM, "out of memory");
		look_finish(k);
		return k;
	}
	look_unlink(k);
	look_push(&s->waiting, k);
	look_kick(k->l);
	return k;
}

/* The next resolver, if one is left; the last answer is kept, for "SERVFAIL" says more than nothing. */
static bool ask_next(struct look *k)
{
	struct looker *l = k->l;

	if (!k->up || k->turn >= l->n_resolvers)
		return false;
	enqueue(k, &l->resolvers[(k->first + k->turn) % l->n_resolvers], true);
	return true;
}

static bool good_enough(const struct look *k, const struct answer *a)
{
	return !k->up || a->rcode == RCODE_NOERROR || a->rcode == RCODE_NXDOMAIN;
}

static void take_answer(struct look *k, struct answer *a)
{
	bool good = good_enough(k, a);

	answer_done(&k->answer);
	k->answer = *a;
	k->answered = true;
	if (good && k->up)
		k->l->good = k->first + k->turn; /* the others begin with it */
	k->turn++;
	if (!good && ask_next(k))
		return;
	look_finish(k);
}

static void no_answer(struct look *k)
{
	k->turn++;
	if (!ask_next(k))
		look_finish(k);
}

static void parse(struct look *k, const struct look_server *s, const unsigned char *bytes, int len)
{
	struct answer a;
	char at[ADDR_TEXT_MAX];

	addr_text(&s->addr, at);
	if (wire_parse(&a, bytes, (size_t)len, &k->err) < 0) {
		err_wrap(&k->err, "%s answers what is no DNS message", at);
		no_answer(k);
		return;
	}
	if (!a.qr || !a.qname || !name_same(a.qname, k->name) || a.qtype != k->type) {
		err_set(&k->err, -EBADMSG, "%s answers another question than it was asked", at);
		answer_done(&a);
		no_answer(k);
		return;
	}
	take_answer(k, &a);
}

static void say_nothing_came(struct err *err, const struct look_server *s, int status)
{
	char at[ADDR_TEXT_MAX];

	addr_text(&s->addr, at);
	if (status == ARES_ETIMEOUT)
		err_set(err, -ETIMEDOUT, "%s does not answer", at);
	else if (status == ARES_ECONNREFUSED)
		err_set(err, -ECONNREFUSED, "%s does not answer (connection refused)", at);
	else
		err_set(err, status == ARES_ENOMEM ? -ENOMEM : -EIO, "%s: %s", at, ares_strerror(status));
}

/* From within c-ares, perhaps from within ares_query(): nothing may be closed here. */
static void on_reply(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct look *k = arg;
	struct look_channel *c = k->channel;
	struct look_server *s = c->server;
	struct looker *l = k->l;

	(void)timeouts;
	c->asked--;
	s->asked--;
	l->n_asked--;
	k->channel = NULL;
	s->used_ms = mono_ms();
	if (bytes) {
		s->heard_ms = s->used_ms;
		s->mute_ms = 0;
	} else if (status != ARES_EDESTRUCTION && status != ARES_EBADNAME && status != ARES_ENOMEM && s->heard_ms <= k->sent_ms) {
		s->mute_ms = s->used_ms + MUTE_MS;
	}
	if (k->cancelled) {
		look_release(k);
	} else if (bytes) {
		parse(k, s, bytes, len);
	} else {
		say_nothing_came(&k->err, s, status);
		if (s->mute_ms)
			snprintf(s->trouble, sizeof s->trouble, "%.100s", k->err.text);
		no_answer(k);
	}
	look_kick(l);
}

static void ask(struct look *k, struct look_server *s)
{
	struct looker *l = k->l;
	struct look_channel *c;
	char name[RR_NAME_MAX];

	look_unlink(k);
	if (s->channel && s->channel->total >= CHANNEL_MAX)
		retire(l, s);
	if (!name_for_cares(name, k->name)) {
		err_set(&k->err, -EINVAL, "found the name %.200s, which cannot be asked for", k->name);
		look_finish(k);
		return;
	}
	if (!s->channel)
		s->channel = channel_open(l, s, &k->err);
	c = s->channel;
	if (!c) {
		look_finish(k);
		return;
	}
	look_push(&l->asked, k);
	k->channel = c;
	k->sent_ms = mono_ms();
	c->asked++;
	c->total++;
	s->asked++;
	l->n_asked++;
	ares_query(cares_channel(c->cares), name, 1 /* IN */, k->type, on_reply, k);
	cares_kick(c->cares);
}

/* A server that stayed silent: one question goes out when its time is over, all others are answered here. */
static void serve_mute(struct look_server *s)
{
	int64_t now = mono_ms();

	if (s->waiting.first && now >= s->mute_ms) {
		s->mute_ms = now + MUTE_MS;
		ask(s->waiting.first, s);
	}
	while (s->mute_ms && s->waiting.first) {
		struct look *k = s->waiting.first;

		err_set(&k->err, -ETIMEDOUT, "%s", s->trouble);
		look_unlink(k);
		no_answer(k);
	}
}

/* One question of each server in turn, until all are under way or the limit is reached. */
static void ask_waiting(struct looker *l)
{
	bool some = true;

	for (struct look_server *s = l->servers; s; s = s->next)
		if (s->mute_ms)
			serve_mute(s);
	while (some) {
		some = false;
		for (struct look_server *s = l->servers; s && l->n_asked < LOOK_MAX; s = s->next) {
			if (!s->waiting.first || s->asked >= SERVER_MAX || s->mute_ms)
				continue;
			ask(s->waiting.first, s);
			some = true;
		}
	}
}

/* ---- telling ---- */

static void tell(struct look *k)
{
	struct look told = *k;

	told.name = NULL;
	told.answer = k->answer;
	k->answer = (struct answer){0};
	k->addrs = NULL;
	look_release(k);
	switch (told.kind) {
	case LOOK_QUESTION:
		told.fn.answer(told.arg, told.answered ? &told.answer : NULL, told.answered ? NULL : &told.err);
		break;
	case LOOK_ADDRESSES:
		told.fn.addresses(told.arg, told.addrs, told.n, told.n ? NULL : &told.err);
		break;
	case LOOK_LATER:
		told.fn.later(told.arg);
		break;
	}
	answer_done(&told.answer);
	free(told.addrs);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct looker *l = arg;

	(void)fd, (void)what;
	l->telling = true;
	/* What callbacks finish or ask in turn has its turn, too; c-ares answers nothing meanwhile, so this ends. */
	while (!l->gone && l->done.first)
		tell(l->done.first);
	l->telling = false;
	if (l->gone) {
		look_free(l);
		return;
	}
	ask_waiting(l);
	close_retired(l);
	if (l->n_open > OPEN_MAX)
		close_idle(l, 0);
}

/* ---- the interface ---- */

static struct look *question(struct looker *l, const char *name, uint16_t type, look_fn *fn, void *arg)
{
	struct look *k = look_alloc(l, name);

	if (!k)
		return NULL;
	k->kind = LOOK_QUESTION;
	k->fn.answer = fn;
	k->arg = arg;
	k->type = type;
	return k;
}

struct look *look_ask(struct looker *l, const struct addr *server, bool recursive, const char *name, uint16_t type, look_fn *fn, void *arg)
{
	struct look *k = question(l, name, type, fn, arg);

	if (!k)
		return NULL;
	if (!look_address_usable(server)) {
		char at[ADDR_TEXT_MAX];

		err_set(&k->err, -EINVAL, "%s is no address at which a server can be asked", addr_text(server, at));
		look_finish(k);
		return k;
	}
	return enqueue(k, server, recursive);
}

struct look *look_at(struct looker *l, const struct addr *server, const char *name, uint16_t type, look_fn *fn, void *arg)
{
	return look_ask(l, server, false, name, type, fn, arg);
}

struct look *look_up(struct looker *l, const char *name, uint16_t type, look_fn *fn, void *arg)
{
	struct look *k = question(l, name, type, fn, arg);

	if (!k)
		return NULL;
	k->up = true;
	look_reread_resolvers(l);
	k->first = l->n_resolvers ? l->good % l->n_resolvers : 0;
	if (!ask_next(k)) {
		err_set(&k->err, -ENOENT, "there is no resolver to ask");
		look_finish(k);
	}
	return k;
}

struct look *look_later(struct looker *l, void (*fn)(void *arg), void *arg)
{
	struct look *k = look_alloc(l, "");

	if (!k)
		return NULL;
	k->kind = LOOK_LATER;
	k->fn.later = fn;
	k->arg = arg;
	look_finish(k);
	return k;
}

void look_cancel(struct look *k)
{
	if (!k)
		return;
	if (k->channel)
		k->cancelled = true;
	else
		look_release(k);
}

int look_new(struct looker **out, struct event_base *base, char *const *resolvers, size_t n, struct err *err)
{
	struct looker *l = calloc(1, sizeof *l);
	int rc;

	*out = NULL;
	if (!l)
		return err_set(err, -ENOMEM, "out of memory");
	l->base = base;
	evtimer_assign(&l->pump, base, on_pump, l);
	event_assign(&l->sweep, base, -1, EV_PERSIST, on_sweep, l);
	rc = look_read_resolvers(l, resolvers, n, err);
	if (rc < 0) {
		look_free(l);
		return rc;
	}
	*out = l;
	return 0;
}

static void free_companion(struct companion *c)
{
	if (c->state)
		c->free(c->state);
	c->state = NULL;
}

void look_free(struct looker *l)
{
	if (!l)
		return;
	if (l->telling) { /* by a callback: at the end of on_pump() */
		l->gone = true;
		return;
	}
	free_companion(&l->inquiries);
	free_companion(&l->parents);
	look_hosts_free(l);
	for (struct look *k = l->asked.first; k; k = k->next)
		k->cancelled = true;
	for (struct look_server *s = l->servers; s; s = s->next) {
		while (s->waiting.first)
			look_release(s->waiting.first);
		if (s->channel)
			retire(l, s);
	}
	for (struct look_channel *c; (c = l->retired);) {
		l->retired = c->next;
		channel_close(l, c); /* gives back what is under way */
	}
	while (l->done.first)
		look_release(l->done.first);
	for (struct look_server *s; (s = l->servers);) {
		l->servers = s->next;
		free(s);
	}
	event_del(&l->pump);
	event_del(&l->sweep);
	free(l->resolvers);
	free(l);
}

size_t look_resolvers(const struct looker *l, const struct addr **out)
{
	*out = l->resolvers;
	return l->configured ? l->n_resolvers : 0;
}
