#include "proxy/probe.h"

#include "proxy/asking.h"
#include "proxy/listener.h"
#include "proxy/pp.h"
#include "proxy/probe_door.h"
#include "proxy/round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAVE_MS   500
#define ANSWER_MAX (64 * 1024) /* what is read of an answer: that more comes is known then */

struct probe {
	struct probe_set *set;
	struct listener *listener; /* a reference */
	const char *name;
	enum door door;
	struct asking asking; /* with the places, and the time */
	bool leaves;          /* it has answered, and was told goodbye */
	uint64_t began;
	char *answer;
	size_t len;
	bool ok;
	unsigned ms;
	char said[PROBE_SAID_MAX];
};

struct probe_set {
	struct round round;        /* first */
	char name[DOMAIN_MAX + 1]; /* the exact domain; "": none */
	size_t left_out;
	probe_done_fn *done;
	void *arg;
	struct probe probes[PROBE_MAX];
};

/* ---- the end ---- */

static struct probe *probe_of(struct asking *a)
{
	return (struct probe *)(void *)((char *)a - offsetof(struct probe, asking));
}

static void set_free(struct probe_set *s)
{
	for (size_t i = 0; i < s->round.n; i++) {
		struct probe *b = &s->probes[i];

		asking_end(&b->asking);
		free(b->answer);
		listener_unref(b->listener);
	}
	round_close(&s->round);
	free(s);
}

static void tell(struct round *round, bool is_ended)
{
	struct probe_set *s = (struct probe_set *)round;
	struct probe_result *r = is_ended ? NULL : calloc(s->round.n + 1, sizeof *r);
	size_t n = r ? s->round.n : 0;

	for (size_t i = 0; i < n; i++) {
		const struct probe *b = &s->probes[i];

		r[i] = (struct probe_result){b->listener->conf->name,
					     b->listener->conf->protocol,
					     b->name,
					     door_name(b->door),
					     b->asking.came_to,
					     b->asking.at,
					     b->ok,
					     b->ms,
					     ""};
		memcpy(r[i].said, b->said, sizeof r[i].said);
	}
	s->done(s->arg, r, n, is_ended ? 0 : s->left_out); /* r is not NULL for none: it has room for one */
	free(r);
	set_free(s);
}

/* May free the set. */
static void over(struct probe *b, bool ok)
{
	struct probe_set *s = b->set;

	asking_end(&b->asking);
	free(b->answer);
	b->answer = NULL;
	b->ok = ok;
	b->ms = (unsigned)(loop_now(s->round.proxy->loop) - b->began);
	round_over(&s->round);
}

static void fails(struct probe *b, const char *why)
{
	snprintf(b->said, sizeof b->said, "%.*s", PROBE_SAID_MAX - 1, why);
	over(b, false);
}

/* What was answered, and behind TLS by whom. */
static void tell_answer(struct probe *b, const char *text)
{
	char tls[PROBE_SAID_MAX] = "";

	if (b->asking.tls)
		probe_tls_said(b->asking.tls, tls);
	snprintf(b->said, sizeof b->said, "%.100s%s%.95s", text, *text && *tls ? "; " : "", tls);
}

static void on_failed(struct asking *a, const char *why)
{
	fails(probe_of(a), why);
}

static void on_late(struct asking *a)
{
	struct probe *b = probe_of(a);
	char text[PROBE_SAID_MAX];

	if (b->leaves) {
		over(b, true);
		return;
	}
	if (a->state == ASKING_OPEN && b->door == DOOR_HTTP && door_judge(b->door, b->answer, b->len, ANSWER_MAX, false, text) == 0 &&
	    *text) {
		tell_answer(b, text); /* its head is there, and its body goes on */
		over(b, true);
		return;
	}
	snprintf(text, sizeof text, "%s within %d s", asking_late_text(a), PROBE_MS / 1000);
	fails(b, text);
}

/* ---- what is said ---- */

static void fails_to_say(struct probe *b, const char *what, int rc)
{
	char text[PROBE_SAID_MAX];

	snprintf(text, sizeof text, "%s could not be sent: %s", what, strerror(-rc));
	fails(b, text);
}

/* It has answered; whoever is told goodbye may still say something to it, which is not looked at. */
static void leave(struct probe *b)
{
	char bytes[DOOR_SAY_MAX];
	size_t len = door_leaving(b->door, bytes);

	if (len == 0 || asking_say(&b->asking, bytes, len) < 0) {
		over(b, true);
		return;
	}
	b->leaves = true;
	asking_limit(&b->asking, LEAVE_MS);
	asking_wait(&b->asking, EV_READ);
}

static void read_answer(struct probe *b)
{
	char text[PROBE_SAID_MAX];
	ssize_t n = 1;
	int verdict = 0;
	short wants;

	while (verdict == 0 && n > 0) {
		n = asking_hear(&b->asking, b->answer + b->len, ANSWER_MAX - b->len, &wants);
		if (n == -EAGAIN) {
			asking_wait(&b->asking, wants);
			return;
		}
		if (n > 0)
			b->len += (size_t)n;
		if (n < 0 && b->len == 0) {
			fails(b, strerror((int)-n));
			return;
		}
		verdict = door_judge(b->door, b->answer, b->len, ANSWER_MAX, n <= 0, text);
	}
	tell_answer(b, text);
	if (verdict > 0)
		leave(b);
	else
		over(b, false);
}

/* The way to the service is open. */
static void on_open(struct asking *a)
{
	struct probe *b = probe_of(a);
	char bytes[DOOR_SAY_MAX], address[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX + 2];
	size_t len;
	int rc;

	if (b->door == DOOR_NONE) {
		tell_answer(b, a->tls ? "" : "connected");
		over(b, true);
		return;
	}
	snprintf(host, sizeof host, addr_family(&a->came_to) == AF_INET6 ? "[%s]" : "%s", addr_text(&a->came_to, address));
	len = door_opening(b->door, *b->name ? b->name : host, bytes);
	b->answer = malloc(ANSWER_MAX);
	rc = b->answer ? 0 : -ENOMEM;
	if (rc == 0 && len)
		rc = asking_say(a, bytes, len);
	if (rc < 0) {
		fails_to_say(b, "the request", rc);
		return;
	}
	read_answer(b); /* behind TLS it may have come already */
}

static void on_ready(struct asking *a)
{
	struct probe *b = probe_of(a);

	if (b->leaves)
		over(b, true);
	else
		read_answer(b);
}

static const struct asking_ops ops = {on_open, on_ready, on_failed, on_late};

/* ---- a set ---- */

static void begin(struct round *r, size_t i)
{
	struct probe_set *s = (struct probe_set *)r;
	struct probe *b = &s->probes[i];

	b->began = loop_now(s->round.proxy->loop);
	if (addr_family(&b->asking.at) == AF_UNSPEC)
		over(b, false); /* said tells why already */
	else
		asking_begin(&b->asking, PROBE_MS);
}

static const struct round_ops round_ops = {begin, tell};

/* ---- what is to be asked ---- */

static bool has_address(const struct acctdef *d, const struct addr *a)
{
	for (size_t i = 0; i < d->n_addresses; i++)
		if (addr_same_ip(&d->addresses[i], a))
			return true;
	return false;
}

static bool has_port(const struct acctdef *d, uint16_t port)
{
	for (size_t i = 0; i < d->n_ports; i++)
		if (d->ports[i] == port)
			return true;
	return false;
}

static bool listens_at(const struct listener *l, const struct addr *a)
{
	const struct addr *bind = &l->conf->bind;

	if (!l->conf->address)
		return true;
	return addr_same_ip(bind, a) || (addr_is_any(bind) && addr_family(bind) == addr_family(a));
}

struct places {
	const struct proxy *proxy;
	probe_place_fn *fn;
	void *arg;
};

/* Where visitors of an account without an address of its own come to this listener: at one address of each family. */
static void shared_places(const struct places *at, struct listener *l)
{
	const struct table *t = at->proxy->table;
	bool done[2] = {false, false};

	if (l->conf->address && !addr_is_any(&l->conf->bind)) {
		if (!table_by_address(t, &l->conf->bind))
			at->fn(at->arg, l, &l->conf->bind);
		return;
	}
	for (size_t i = 0; i < l->n_partners; i++) {
		const struct target_addrs *a = target_known(l->partners[i].client);
		bool *had = a ? &done[addr_family(&a->addrs[0]) == AF_INET6] : NULL;

		if (!a || *had || !listens_at(l, &a->addrs[0]) || table_by_address(t, &a->addrs[0]))
			continue;
		*had = true;
		at->fn(at->arg, l, &a->addrs[0]);
	}
}

static void places_of(const struct places *at, struct listener *l, const struct acctdef *d)
{
	bool tcp = l->conf->protocol == PROTOCOL_TCP, claims = tcp ? has_port(d, l->conf->port) : d->n_domains > 0;

	for (size_t i = 0; i < d->n_addresses; i++)
		if (listens_at(l, &d->addresses[i]))
			at->fn(at->arg, l, &d->addresses[i]);
	if (claims && d->n_addresses == 0)
		shared_places(at, l);
	else if (claims && l->conf->address && !addr_is_any(&l->conf->bind) && !has_address(d, &l->conf->bind))
		shared_places(at, l);
}

void probe_places(const struct proxy *p, const struct acctdef *d, probe_place_fn *fn, void *arg)
{
	struct places at = {p, fn, arg};

	for (size_t i = 0; i < p->n_listeners; i++)
		places_of(&at, p->listeners[i], d);
}

int probe_announce(int fd, const struct listener *l, enum side side, const struct addr *from, const struct addr *came_to)
{
	uint8_t header[PP_V2_MAX];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr own, dst = *came_to;
	size_t size;

	if (l->conf->source[side] != SOURCE_PROXY_V2)
		return 0;
	if (!from && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return -errno;
	if (from)
		own = *from;
	else if (!addr_from_sockaddr(&own, (struct sockaddr *)&ss))
		return -EAFNOSUPPORT;
	addr_set_port(&dst, l->conf->port);
	size = pp_write_v2(header, &own, &dst);
	ssize_t n = send(fd, header, size, MSG_NOSIGNAL);

	return n == (ssize_t)size ? 0 : n < 0 ? -errno : -ENOBUFS; /* a new socket takes this much at once */
}

static void add(void *arg, struct listener *l, const struct addr *dst)
{
	struct probe_set *s = arg;
	const char *why = "";
	struct addr to = {0};
	struct way way;
	bool in_tls = false;

	if (listener_way(&way, l, s->round.side, dst, dst, LISTENER_MAIN, &why))
		to = way_at(&way, 0);
	if (s->round.n == PROBE_MAX) {
		s->left_out++;
		return;
	}
	struct probe *b = &s->probes[s->round.n++];
	*b = (struct probe){
		.set = s,
		.listener = listener_ref(l),
		.name = l->conf->protocol == PROTOCOL_TCP ? "" : s->name,
		.asking = {
			.proxy = s->round.proxy, .listener = l, .side = s->round.side, .came_to = *dst, .at = to, .ops = &ops, .fd = -1}};
	b->door = door_of(l->conf->protocol, l->conf->port, &in_tls);
	b->asking.name = in_tls ? b->name : NULL;
	if (addr_family(&to) == AF_UNSPEC)
		snprintf(b->said, sizeof b->said, "nowhere to ask: %s", why);
}

/* Where there are only wildcards, a name that one of them covers. */
static void take_name(struct probe_set *s, const struct acctdef *d)
{
	for (size_t i = 0; i < d->n_domains && !*s->name; i++)
		if (d->domains[i][0] != '*')
			snprintf(s->name, sizeof s->name, "%s", d->domains[i]);
	if (!*s->name && d->n_domains && strlen(d->domains[0]) + 2 < sizeof s->name)
		snprintf(s->name, sizeof s->name, "www%s", d->domains[0] + 1);
}

int probe_start(struct proxy *p, struct account *a, enum side side, probe_done_fn *done, void *arg)
{
	const struct acctdef *d = table_def(p->table, a);
	struct probe_set *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	round_open(&s->round, p, a, side, PROBE_AT_ONCE, &round_ops);
	s->done = done;
	s->arg = arg;
	take_name(s, d);
	probe_places(p, d, add, s);
	round_begin(&s->round);
	return 0;
}
