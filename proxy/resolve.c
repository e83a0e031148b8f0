/* The callbacks of c-ares only note results; whoever watches a name is told from the loop, where he may do as he likes. So nothing here
 * closes a channel from within one of its callbacks. */
#include "proxy/resolve.h"

#include "lib/cares.h"
#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ASK_TIMEOUT_MS 1500 /* of the first try; c-ares doubles it */
#define ASK_TRIES      2
#define RETRY_MS       5000u
#define RETRY_MAX_MS   60000u
#define HOSTS_MS       10000u
#define TTL_MIN_S      1
#define TTL_MAX_S      3600
#define RESOLV_CONF    "/etc/resolv.conf"

struct resolver {
	struct event_base *base;
	/* Two channels, for an answer does not say whether it came from the hosts file or with a TTL of 0. */
	struct cares *hosts, *dns;
	struct watch *watches;
	struct timespec conf; /* time of the resolv.conf that dns was made from */
	char *servers;        /* for test; NULL: those of resolv.conf */
	unsigned hurry;       /* what our own waits are divided by */
};

/* One question under way. c-ares cannot cancel a single one: it then only loses its watch. */
struct query {
	struct watch *w; /* NULL: cancelled */
	bool hosts;      /* asking the hosts file; DNS follows */
};

struct watch {
	struct resolver *r;
	struct watch *next, **link;
	char *name;
	int family;
	resolve_fn *fn;
	void *arg;
	struct event turn;   /* tells what is new, else asks */
	struct query *query; /* set while one is under way */
	struct addr addrs[RESOLVE_MAX];
	size_t n;
	bool changed;      /* addrs is news that fn has not heard */
	unsigned wait_ms;  /* to the next question */
	unsigned retry_ms; /* the last wait after a failure; 0: the last question was answered */
};

static struct timeval tv_of(unsigned ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* ---- the channels ---- */

static int channel_open(struct resolver *r, struct cares **out, const char *lookups, struct err *err)
{
	struct cares_opts opts = {
		.servers = r->servers,
		.lookups = lookups,
		.timeout_ms = ASK_TIMEOUT_MS / r->hurry,
		.tries = ASK_TRIES,
	};
	return cares_open(out, r->base, &opts, err);
}

static struct timespec conf_time(void)
{
	struct stat st;
	return stat(RESOLV_CONF, &st) < 0 ? (struct timespec){0} : st.st_mtim;
}

/* At boot we may be started before the network is known; and networks change. What was under way is asked again of the new servers. */
static void take_up_new_conf(struct resolver *r)
{
	struct timespec now = conf_time();
	struct cares *fresh, *old = r->dns;
	if (r->servers || (now.tv_sec == r->conf.tv_sec && now.tv_nsec == r->conf.tv_nsec))
		return;
	if (channel_open(r, &fresh, "b", NULL) < 0)
		return;
	log_info("resolver: %s has changed and is used", RESOLV_CONF);
	r->conf = now;
	r->dns = fresh;
	cares_close(old);
	cares_kick(fresh);
}

/* ---- asking ---- */

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *result);

static void schedule(struct watch *w, unsigned ms)
{
	struct timeval tv = tv_of(ms);
	event_add(&w->turn, &tv);
}

static void ask_at(struct query *q, struct cares *at)
{
	struct watch *w = q->w;
	struct ares_addrinfo_hints hints = {.ai_family = w->family, .ai_flags = w->r->servers ? ARES_AI_ENVHOSTS : 0};
	ares_getaddrinfo(cares_channel(at), w->name, NULL, &hints, on_answer, q); /* q may be gone on return */
}

static void failed(struct watch *w, const char *why)
{
	struct resolver *r = w->r;
	if (!w->retry_ms)
		log_warn("resolver: %s does not resolve: %s; %s", w->name, why,
			 w->n ? "its last addresses stay in use" : "no address is known yet");
	w->retry_ms = w->retry_ms ? w->retry_ms * 2 : RETRY_MS / r->hurry;
	if (w->retry_ms > RETRY_MAX_MS / r->hurry)
		w->retry_ms = RETRY_MAX_MS / r->hurry;
	w->wait_ms = w->retry_ms;
}

static void ask(struct watch *w)
{
	struct resolver *r = w->r;
	struct query *q = calloc(1, sizeof *q);
	if (w->retry_ms)
		take_up_new_conf(r);
	if (!q) {
		failed(w, "out of memory");
		schedule(w, w->wait_ms);
		return;
	}
	*q = (struct query){.w = w, .hosts = true};
	w->query = q;
	ask_at(q, r->hosts);
	cares_kick(r->dns);
}

static bool has(const struct addr *set, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_same(&set[i], a))
			return true;
	return false;
}

/* 0 where nothing in the answer is of use to us. */
static size_t collect(struct addr set[RESOLVE_MAX], const struct ares_addrinfo *result, int family)
{
	size_t n = 0;
	for (const struct ares_addrinfo_node *node = result->nodes; node && n < RESOLVE_MAX; node = node->ai_next) {
		struct addr a;
		if ((family != AF_UNSPEC && node->ai_family != family) || !addr_from_sockaddr(&a, node->ai_addr))
			continue;
		addr_set_port(&a, 0);
		if (!has(set, n, &a))
			set[n++] = a;
	}
	return n;
}

static unsigned ttl_ms(const struct ares_addrinfo *result)
{
	int ttl = TTL_MAX_S;
	for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next)
		if (node->ai_ttl < ttl)
			ttl = node->ai_ttl;
	for (const struct ares_addrinfo_cname *alias = result->cnames; alias; alias = alias->next)
		if (alias->ttl < ttl)
			ttl = alias->ttl;
	return (unsigned)(ttl < TTL_MIN_S ? TTL_MIN_S : ttl) * 1000;
}

static void answered(struct watch *w, const struct addr *set, size_t n)
{
	size_t same = 0;
	for (size_t i = 0; i < n; i++)
		same += has(w->addrs, w->n, &set[i]);
	if (w->retry_ms)
		log_info("resolver: %s resolves%s", w->name, w->n ? " again" : "");
	w->retry_ms = 0;
	if (n == w->n && same == n)
		return;
	memcpy(w->addrs, set, n * sizeof *set);
	w->n = n;
	w->changed = true;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	struct query *q = arg;
	struct watch *w = q->w;
	struct addr set[RESOLVE_MAX];
	size_t n = 0;

	(void)timeouts;
	if (w && status == ARES_SUCCESS)
		n = collect(set, result, w->family);
	if (w && !n && q->hosts) { /* not in the file */
		q->hosts = false;
		ares_freeaddrinfo(result);
		ask_at(q, w->r->dns);
		return;
	}
	if (w) {
		w->query = NULL;
		if (n) {
			answered(w, set, n);
			w->wait_ms = q->hosts ? HOSTS_MS / w->r->hurry : ttl_ms(result);
		} else if (status == ARES_EDESTRUCTION) {
			w->wait_ms = 0; /* the channel was replaced under it */
		} else {
			failed(w, ares_strerror(status == ARES_SUCCESS ? ARES_ENODATA : status));
		}
		schedule(w, w->changed ? 0 : w->wait_ms);
	}
	ares_freeaddrinfo(result);
	free(q);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	(void)fd, (void)what;
	if (!w->changed) {
		ask(w);
		return;
	}
	struct addr addrs[RESOLVE_MAX]; /* fn may free what we hold */
	memcpy(addrs, w->addrs, sizeof addrs);
	w->changed = false;
	schedule(w, w->wait_ms);
	w->fn(w->arg, addrs, w->n);
}

/* ---- watches and the resolver ---- */

bool resolve_name_ok(const char *name)
{
	size_t len = strlen(name), label = 0;
	if (len && name[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
		if (c == '.' ? label == 0 : !good)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

struct watch *resolver_watch(struct resolver *r, const char *name, int family, resolve_fn *fn, void *arg)
{
	if (!resolve_name_ok(name)) {
		errno = EINVAL;
		return NULL;
	}
	struct watch *w = calloc(1, sizeof *w);
	char *copy = strdup(name);
	if (!w || !copy) {
		free(w);
		free(copy);
		errno = ENOMEM;
		return NULL;
	}
	*w = (struct watch){.r = r, .next = r->watches, .link = &r->watches, .name = copy, .family = family, .fn = fn, .arg = arg};
	if (w->next)
		w->next->link = &w->next;
	r->watches = w;
	evtimer_assign(&w->turn, r->base, on_turn, w);
	ask(w);
	return w;
}

void watch_cancel(struct watch *w)
{
	if (!w)
		return;
	if (w->query)
		w->query->w = NULL;
	event_del(&w->turn);
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w->name);
	free(w);
}

static int make(struct resolver **out, struct event_base *base, const char *servers, struct err *err)
{
	struct resolver *r = calloc(1, sizeof *r);
	int rc;
	*out = NULL;
	if (r) {
		r->base = base;
		r->hurry = servers ? 10 : 1;
		r->servers = servers ? strdup(servers) : NULL;
	}
	if (!r || (servers && !r->servers)) {
		rc = err_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	r->conf = conf_time();
	rc = channel_open(r, &r->hosts, "f", err);
	if (rc == 0)
		rc = channel_open(r, &r->dns, "b", err);
	if (rc < 0)
		goto fail;
	*out = r;
	return 0;
fail:
	err_wrap(err, "resolver");
	resolver_free(r);
	return rc;
}

int resolver_new(struct resolver **out, struct event_base *base, struct err *err)
{
	return make(out, base, NULL, err);
}

int resolver_new_for_test(struct resolver **out, struct event_base *base, const char *servers_csv, struct err *err)
{
	return make(out, base, servers_csv, err);
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	while (r->watches)
		watch_cancel(r->watches);
	cares_close(r->dns); /* ends what is under way; nobody is told any more */
	cares_close(r->hosts);
	free(r->servers);
	free(r);
}
