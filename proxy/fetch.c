#include "proxy/fetch.h"

#include "proxy/dial.h"
#include "proxy/listener.h"
#include "proxy/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_MAX (DOMAIN_MAX + FETCH_PATH + 200)

enum state { WAITS, CONNECTS, SHAKES, READS, OVER };

struct fetch {
	struct fetch_set *set;
	const struct fetch_wish *wish;
	struct listener *listener; /* a reference; NULL: none serves it */
	struct fetch_facts facts;
	enum state state;
	int fd;
	struct event ev;
	struct deadline deadline;
	uint64_t began;
	struct probe_tls *tls;
	struct fetch_answer answer;
};

struct fetch_set {
	struct proxy *proxy;
	struct fetch_set *next, **link; /* in p->fetches */
	struct account *account;        /* a reference */
	enum side side;
	size_t n, next_up, running;
	bool beginning;
	fetch_done_fn *done;
	void *arg;
	struct fetch_wish wishes[FETCHES_MAX];
	struct fetch fetches[FETCHES_MAX];
};

/* ---- the end ---- */

static void hang_up(struct fetch *f)
{
	probe_tls_free(f->tls);
	f->tls = NULL;
	if (f->fd >= 0) {
		event_del(&f->ev);
		close(f->fd);
	}
	f->fd = -1;
}

static void set_free(struct fetch_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct fetch *f = &s->fetches[i];

		deadline_cancel(s->proxy->loop, &f->deadline);
		hang_up(f);
		free(f->answer.buf);
		probe_cert_done(&f->facts.cert);
		if (f->listener)
			listener_unref(f->listener);
	}
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	account_unref(s->account);
	free(s);
}

static void tell(struct fetch_set *s)
{
	struct fetch_facts *facts = calloc(s->n + 1, sizeof *facts);

	for (size_t i = 0; facts && i < s->n; i++)
		facts[i] = s->fetches[i].facts; /* its certificate stays the fetch's */
	s->done(s->arg, s->wishes, facts, s->n);
	free(facts);
	set_free(s);
}

static void begin_some(struct fetch_set *s);
static void begin(struct fetch *f, bool first);
static void want(struct fetch *f, short what);

/* May free the set. */
static void over(struct fetch *f, bool ok)
{
	struct fetch_set *s = f->set;

	deadline_cancel(s->proxy->loop, &f->deadline);
	hang_up(f);
	free(f->answer.buf);
	f->answer.buf = NULL;
	f->state = OVER;
	f->facts.ok = ok;
	f->facts.ms = (unsigned)(loop_now(s->proxy->loop) - f->began);
	s->running--;
	begin_some(s);
}

static void fails(struct fetch *f, const char *why)
{
	snprintf(f->facts.said, sizeof f->facts.said, "%.*s", (int)sizeof f->facts.said - 1, why);
	over(f, false);
}

static void on_late(struct deadline *d)
{
	struct fetch *f = (struct fetch *)((char *)d - offsetof(struct fetch, deadline));
	struct proxy *p = f->set->proxy;
	char text[PROBE_SAID_MAX];

	quiet_late(&p->quiet, &f->facts.at, f->set->account, f->state == CONNECTS, loop_now(p->loop));
	snprintf(text, sizeof text, "%s within %d s",
		 f->state == CONNECTS ? "no connection"
		 : f->state == SHAKES ? "no TLS handshake"
				      : "no whole answer",
		 FETCH_MS / 1000);
	fails(f, text);
}

/* ---- question and answer ---- */

static ssize_t hear(struct fetch *f, void *out, size_t cap, short *wants)
{
	ssize_t n;

	*wants = EV_READ;
	if (f->tls)
		return probe_tls_recv(f->tls, out, cap, wants);
	while ((n = recv(f->fd, out, cap, 0)) < 0 && errno == EINTR)
		;
	return n < 0 ? -errno : n;
}

static void read_answer(struct fetch *f)
{
	struct fetch_answer *a = &f->answer;
	int verdict = 0;

	while (verdict == 0) {
		short wants;
		ssize_t n = hear(f, a->buf + a->len, FETCH_MAX - a->len, &wants);

		if (n == -EAGAIN) {
			want(f, wants);
			return;
		}
		verdict = fetch_feed(a, n > 0 ? (size_t)n : 0, n <= 0, &f->facts); /* what is missing is seen in what has come */
	}
	quiet_answered(&f->set->proxy->quiet, &f->facts.at);
	over(f, verdict > 0);
}

static void ask(struct fetch *f)
{
	char request[REQUEST_MAX];
	size_t len = (size_t)snprintf(request, sizeof request,
				      "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: shunt-check\r\nAccept: text/html,*/*;q=0.8\r\n"
				      "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
				      f->wish->path, f->wish->domain);
	bool said = f->tls ? probe_tls_send(f->tls, request, len) : send(f->fd, request, len, MSG_NOSIGNAL) == (ssize_t)len;

	f->answer.buf = said ? malloc(FETCH_MAX) : NULL; /* a new socket takes a request at once */
	if (!f->answer.buf) {
		fails(f, said ? "out of memory" : "closed before the request");
		return;
	}
	f->state = READS;
	read_answer(f); /* behind TLS it may have come already */
}

/* ---- the connection ---- */

static void shaken(struct fetch *f)
{
	struct err err = {0};

	f->facts.shook = true;
	if (!f->facts.has_cert)
		f->facts.has_cert = probe_tls_cert(f->tls, &f->facts.cert, &err) == 0;
	snprintf(f->facts.version, sizeof f->facts.version, "%s", probe_tls_version(f->tls));
	if (!probe_tls_is_h2(f->tls)) {
		ask(f);
		return;
	}
	f->facts.h2 = true;
	hang_up(f);
	begin(f, false);
}

static void shake(struct fetch *f)
{
	struct err err = {0};
	short wants;
	int rc = probe_tls_step(f->tls, &wants, &err);

	if (rc == -EAGAIN)
		want(f, wants);
	else if (rc == 0)
		shaken(f);
	if (rc == 0 || rc == -EAGAIN)
		return;
	quiet_answered(&f->set->proxy->quiet, &f->facts.at);
	fails(f, err.text);
}

static void connected(struct fetch *f)
{
	struct err err = {0};
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		fails(f, strerror(error ? error : errno));
	} else if (probe_announce(f->fd, f->listener, f->set->side, NULL, &f->facts.came_to) < 0) {
		fails(f, "closed before the PROXY header");
	} else if (!f->wish->tls) {
		ask(f);
	} else if (probe_tls_new(&f->tls, &f->set->proxy->probe_tls, f->fd, f->wish->domain, &err) < 0 ||
		   probe_tls_offer(f->tls, !f->facts.h2) < 0) {
		fails(f, *err.text ? err.text : "out of memory");
	} else {
		f->state = SHAKES;
		shake(f);
	}
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct fetch *f = arg;

	(void)fd;
	(void)what;
	switch (f->state) {
	case CONNECTS:
		connected(f);
		return;
	case SHAKES:
		shake(f);
		return;
	case READS:
		read_answer(f);
		return;
	case WAITS:
	case OVER:
		return;
	}
}

static void want(struct fetch *f, short what)
{
	event_assign(&f->ev, loop_base(f->set->proxy->loop), f->fd, what, on_event, f);
	if (event_add(&f->ev, NULL) < 0)
		fails(f, "out of memory");
}

static void begin(struct fetch *f, bool first)
{
	struct fetch_set *s = f->set;
	int fd;

	if (first) {
		s->running++;
		f->began = loop_now(s->proxy->loop);
	}
	if (addr_family(&f->facts.at) == AF_UNSPEC) {
		over(f, false); /* said tells why already */
		return;
	}
	if (first && quiet_is(&s->proxy->quiet, &f->facts.at, f->began)) {
		fails(f, "it has answered nobody for some seconds");
		return;
	}
	fd = dial_as_us(s->proxy, f->listener, s->side, &f->facts.at);
	if (fd < 0) {
		fails(f, strerror(-fd));
		return;
	}
	f->fd = fd;
	f->state = CONNECTS;
	if (first)
		deadline_arm(s->proxy->loop, &f->deadline, on_late, FETCH_MS);
	want(f, EV_WRITE);
}

/* A fetch that ends at once comes back here, so only the outermost goes on; it also tells. */
static void begin_some(struct fetch_set *s)
{
	if (s->beginning)
		return;
	s->beginning = true;
	while (s->next_up < s->n && s->running < FETCH_AT_ONCE)
		begin(&s->fetches[s->next_up++], true);
	s->beginning = false;
	if (s->running == 0)
		tell(s);
}

/* ---- where to ask ---- */

struct pick {
	struct fetch_set *set;
	struct listener *listener[2]; /* by tls; NULL: none yet */
	struct addr came_to[2];
};

static void pick_place(void *arg, struct listener *l, const struct addr *came_to)
{
	struct pick *k = arg;
	int tls = l->conf->protocol == PROTOCOL_TLS;

	if (l->conf->protocol == PROTOCOL_TCP || k->listener[tls])
		return;
	k->listener[tls] = l;
	k->came_to[tls] = *came_to;
}

static void prepare(struct fetch_set *s, struct fetch *f, const struct fetch_wish *wish, const struct pick *k)
{
	struct listener *l = k->listener[wish->tls];
	const char *why = "no listener serves it";
	struct way way;

	*f = (struct fetch){.set = s, .wish = wish, .fd = -1};
	if (l) {
		f->listener = listener_ref(l);
		f->facts.listener = l->conf->name;
		f->facts.came_to = k->came_to[wish->tls];
		if (listener_way(&way, l, s->side, &f->facts.came_to, &f->facts.came_to, LISTENER_MAIN, &why)) {
			f->facts.at = way_at(&way, 0);
			return;
		}
	}
	snprintf(f->facts.said, sizeof f->facts.said, "nowhere to ask: %s", why);
}

int fetch_start(struct proxy *p, struct account *a, enum side side, const struct fetch_wish *wishes, size_t n, fetch_done_fn *done,
		void *arg)
{
	struct fetch_set *s;
	struct pick k = {0};
	size_t sets = 0;

	for (s = p->fetches; s; s = s->next)
		sets++;
	if (sets >= FETCH_SETS)
		return -EBUSY;
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->proxy = p;
	s->account = account_ref(a);
	s->side = side;
	s->done = done;
	s->arg = arg;
	s->next = p->fetches;
	s->link = &p->fetches;
	if (s->next)
		s->next->link = &s->next;
	p->fetches = s;
	probe_places(p, table_def(p->table, a), pick_place, &k);
	for (; s->n < n && s->n < FETCHES_MAX; s->n++) {
		s->wishes[s->n] = wishes[s->n];
		prepare(s, &s->fetches[s->n], &s->wishes[s->n], &k);
	}
	begin_some(s);
	return 0;
}

void fetches_end(struct proxy *p, const struct account *a, enum side side)
{
	for (struct fetch_set *s = p->fetches, *next; s; s = next) {
		next = s->next;
		if (a && (s->account != a || s->side != side))
			continue;
		s->done(s->arg, NULL, NULL, 0);
		set_free(s);
	}
}
