#include "proxy/fetch.h"

#include "proxy/asking.h"
#include "proxy/listener.h"
#include "proxy/probe.h"
#include "proxy/round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX (DOMAIN_MAX + FETCH_PATH + 200)

struct fetch {
	struct fetch_set *set;
	const struct fetch_wish *wish;
	struct listener *listener; /* a reference; NULL: none serves it */
	struct fetch_facts facts;
	struct asking asking; /* with the listener, the places and the time */
	uint64_t began;
	struct fetch_answer answer;
};

struct fetch_set {
	struct round round; /* first */
	fetch_done_fn *done;
	void *arg;
	struct fetch_wish wishes[FETCHES_MAX];
	struct fetch fetches[FETCHES_MAX];
};

/* ---- the end ---- */

static struct fetch *fetch_of(struct asking *a)
{
	return (struct fetch *)(void *)((char *)a - offsetof(struct fetch, asking));
}

static void set_free(struct fetch_set *s)
{
	for (size_t i = 0; i < s->round.n; i++) {
		struct fetch *f = &s->fetches[i];

		asking_end(&f->asking);
		free(f->answer.buf);
		probe_cert_done(&f->facts.cert);
		if (f->listener)
			listener_unref(f->listener);
	}
	round_close(&s->round);
	free(s);
}

static void tell(struct round *r, bool is_ended)
{
	struct fetch_set *s = (struct fetch_set *)r;
	struct fetch_facts *facts = is_ended ? NULL : calloc(s->round.n + 1, sizeof *facts);

	for (size_t i = 0; facts && i < s->round.n; i++)
		facts[i] = s->fetches[i].facts; /* its certificate stays the fetch's */
	s->done(s->arg, is_ended ? NULL : s->wishes, facts, is_ended ? 0 : s->round.n);
	free(facts);
	set_free(s);
}

/* May free the set. */
static void over(struct fetch *f, bool ok)
{
	struct fetch_set *s = f->set;

	asking_end(&f->asking);
	free(f->answer.buf);
	f->answer.buf = NULL;
	f->facts.ok = ok;
	f->facts.ms = (unsigned)(loop_now(s->round.proxy->loop) - f->began);
	round_over(&s->round);
}

static void fails(struct fetch *f, const char *why)
{
	snprintf(f->facts.said, sizeof f->facts.said, "%.*s", (int)sizeof f->facts.said - 1, why);
	over(f, false);
}

static void on_failed(struct asking *a, const char *why)
{
	struct fetch *f = fetch_of(a);

	if (a->state == ASKING_SHAKES)
		quiet_answered(&a->proxy->quiet, &a->at);
	fails(f, why);
}

static void on_late(struct asking *a)
{
	struct fetch *f = fetch_of(a);
	char text[PROBE_SAID_MAX];

	quiet_late(&a->proxy->quiet, &a->at, f->set->round.account, a->state == ASKING_CONNECTS, loop_now(a->proxy->loop));
	snprintf(text, sizeof text, "%s within %d s", a->state == ASKING_OPEN ? "no whole answer" : asking_late_text(a), FETCH_MS / 1000);
	fails(f, text);
}

/* ---- question and answer ---- */

static void read_answer(struct fetch *f)
{
	struct fetch_answer *a = &f->answer;
	int verdict = 0;

	while (verdict == 0) {
		short wants;
		ssize_t n = asking_hear(&f->asking, a->buf + a->len, FETCH_MAX - a->len, &wants);

		if (n == -EAGAIN) {
			asking_wait(&f->asking, wants);
			return;
		}
		verdict = fetch_feed(a, n > 0 ? (size_t)n : 0, n <= 0, &f->facts); /* what is missing is seen in what has come */
	}
	quiet_answered(&f->set->round.proxy->quiet, &f->facts.at);
	over(f, verdict > 0);
}

static void ask(struct fetch *f)
{
	char request[REQUEST_MAX];
	size_t len = (size_t)snprintf(request, sizeof request,
				      "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: shunt-check\r\nAccept: text/html,*/*;q=0.8\r\n"
				      "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
				      f->wish->path, f->wish->domain);
	bool said = asking_say(&f->asking, request, len) == 0;

	f->answer.buf = said ? malloc(FETCH_MAX) : NULL; /* a new socket takes a request at once */
	if (!f->answer.buf) {
		fails(f, said ? "out of memory" : "closed before the request");
		return;
	}
	read_answer(f); /* behind TLS it may have come already */
}

/* ---- the connection ---- */

static void shaken(struct fetch *f)
{
	struct asking *a = &f->asking;
	struct err err = {0};

	f->facts.shook = true;
	if (!f->facts.has_cert)
		f->facts.has_cert = probe_tls_cert(a->tls, &f->facts.cert, &err) == 0;
	snprintf(f->facts.version, sizeof f->facts.version, "%s", probe_tls_version(a->tls));
	if (!probe_tls_is_h2(a->tls)) {
		ask(f);
		return;
	}
	f->facts.h2 = true;
	asking_hang_up(a);
	a->alpn = ALPN_HTTP1;
	asking_begin(a, 0);
}

static void on_open(struct asking *a)
{
	if (a->tls)
		shaken(fetch_of(a));
	else
		ask(fetch_of(a));
}

static void on_ready(struct asking *a)
{
	read_answer(fetch_of(a));
}

static void begin(struct round *r, size_t i)
{
	struct fetch_set *s = (struct fetch_set *)r;
	struct fetch *f = &s->fetches[i];

	f->began = loop_now(s->round.proxy->loop);
	if (addr_family(&f->facts.at) == AF_UNSPEC)
		over(f, false); /* said tells why already */
	else if (quiet_is(&s->round.proxy->quiet, &f->facts.at, f->began))
		fails(f, "it has answered nobody for some seconds");
	else
		asking_begin(&f->asking, FETCH_MS);
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

static const struct round_ops round_ops = {begin, tell};
static const struct asking_ops ops = {on_open, on_ready, on_failed, on_late};

static void prepare(struct fetch_set *s, struct fetch *f, const struct fetch_wish *wish, const struct pick *k)
{
	struct listener *l = k->listener[wish->tls];
	const char *why = "no listener serves it";
	struct way way;

	*f = (struct fetch){.set = s, .wish = wish, .asking = {.proxy = s->round.proxy, .side = s->round.side, .ops = &ops, .fd = -1}};
	if (l) {
		f->listener = listener_ref(l);
		f->facts.listener = l->conf->name;
		f->facts.came_to = k->came_to[wish->tls];
		if (listener_way(&way, l, s->round.side, &f->facts.came_to, &f->facts.came_to, LISTENER_MAIN, &why)) {
			f->facts.at = way_at(&way, 0);
			f->asking.listener = l;
			f->asking.came_to = f->facts.came_to;
			f->asking.at = f->facts.at;
			f->asking.name = wish->tls ? wish->domain : NULL;
			f->asking.alpn = ALPN_H2_TOO;
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

	for (const struct round *r = p->rounds; r; r = r->next)
		sets += r->ops == &round_ops;
	if (sets >= FETCH_SETS)
		return -EBUSY;
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	round_open(&s->round, p, a, side, FETCH_AT_ONCE, &round_ops);
	s->done = done;
	s->arg = arg;
	probe_places(p, table_def(p->table, a), pick_place, &k);
	for (; s->round.n < n && s->round.n < FETCHES_MAX; s->round.n++) {
		s->wishes[s->round.n] = wishes[s->round.n];
		prepare(s, &s->fetches[s->round.n], &s->wishes[s->round.n], &k);
	}
	round_begin(&s->round);
	return 0;
}
