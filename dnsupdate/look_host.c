/* Which resolvers there are, and the addresses of hosts. An address is wanted by thousands of domains at a time: it is asked for once and
 * remembered for its TTL, a minute at most. */
#define CARES_NO_DEPRECATED /* 1.34 would have us use what 1.18 has not */
#include "dnsupdate/look_parts.h"

#include "lib/cares.h"
#include "lib/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define RESOLV_CONF   "/etc/resolv.conf"
#define NAMES_MS      5000
#define RESOLVERS_MAX 16
#define HOSTS_MAX     1024
#define ADDRS_MAX     32
#define KEEP_MAX_S    60
#define KEEP_MIN_S    5
#define FAILED_MS     3000
#define ALIASES_MAX   8

/* ---- resolvers ---- */

bool look_address_usable(const struct addr *a)
{
	switch (addr_family(a)) {
	case AF_INET:
		return !addr_is_any(a) && !IN_MULTICAST(ntohl(a->v4.sin_addr.s_addr));
	case AF_INET6: /* link-local: which link, no DNS record says, and c-ares 1.18 has no scopes */
		return !addr_is_any(a) && !IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr) && !IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr);
	default:
		return false;
	}
}

static int add_resolver(struct looker *l, const struct addr *a, uint16_t port)
{
	struct addr *grown, at = *a;

	if (!look_address_usable(a))
		return -EINVAL;
	if (addr_port(&at) == 0)
		addr_set_port(&at, port ? port : 53);
	for (size_t i = 0; i < l->n_resolvers; i++)
		if (addr_same(&l->resolvers[i], &at))
			return 0;
	if (l->n_resolvers == RESOLVERS_MAX)
		return 0;
	grown = reallocarray(l->resolvers, l->n_resolvers + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	l->resolvers = grown;
	grown[l->n_resolvers++] = at;
	return 0;
}

static struct timespec conf_time(void)
{
	struct stat st;

	return stat(RESOLV_CONF, &st) < 0 ? (struct timespec){0} : st.st_mtim;
}

/* c-ares knows how the file is read, and that it is this host itself where the file names nobody. */
static int read_conf(struct looker *l, struct err *err)
{
	struct ares_addr_port_node *servers = NULL;
	struct cares *c;
	int rc = cares_open(&c, l->base, &(struct cares_opts){.lookups = "b"}, err);

	l->conf_time = conf_time();
	l->conf_looked_ms = mono_ms();
	if (rc < 0)
		return err_wrap(err, RESOLV_CONF);
	if (ares_get_servers_ports(cares_channel(c), &servers) != ARES_SUCCESS)
		rc = err_set(err, -ENOMEM, RESOLV_CONF ": out of memory");
	for (const struct ares_addr_port_node *s = servers; s && rc == 0; s = s->next) {
		struct addr a = {0};

		if (s->family == AF_INET)
			a.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = s->addr.addr4};
		else
			a.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
		if (s->family == AF_INET6)
			memcpy(&a.v6.sin6_addr, &s->addr.addr6, sizeof a.v6.sin6_addr);
		if (add_resolver(l, &a, (uint16_t)s->udp_port) == -ENOMEM)
			rc = err_set(err, -ENOMEM, RESOLV_CONF ": out of memory");
	}
	ares_free_data(servers);
	cares_close(c);
	return rc;
}

void look_reread_resolvers(struct looker *l)
{
	int64_t now = mono_ms();
	struct timespec t;
	struct addr *old = l->resolvers;
	size_t n = l->n_resolvers;

	if (l->configured || now - l->conf_looked_ms < 1000)
		return;
	l->conf_looked_ms = now;
	t = conf_time();
	if (t.tv_sec == l->conf_time.tv_sec && t.tv_nsec == l->conf_time.tv_nsec)
		return;
	l->resolvers = NULL;
	l->n_resolvers = 0;
	if (read_conf(l, NULL) < 0 || l->n_resolvers == 0) { /* it may be half written */
		free(l->resolvers);
		l->resolvers = old;
		l->n_resolvers = n;
		return;
	}
	free(old);
	l->good = 0;
}

struct naming { /* the look-up of one resolver's name, while nothing else goes on */
	struct event_base *base;
	struct looker *l;
	int status;
	bool over;
};

static void on_named(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	struct naming *w = arg;

	(void)timeouts;
	w->status = status;
	w->over = true;
	for (const struct ares_addrinfo_node *node = result ? result->nodes : NULL; node; node = node->ai_next) {
		struct addr a;

		if (addr_from_sockaddr(&a, node->ai_addr))
			add_resolver(w->l, &a, 53);
	}
	ares_freeaddrinfo(result);
	event_base_loopbreak(w->base);
}

static int resolve_name(struct looker *l, const char *name, struct err *err)
{
	struct naming w = {.base = event_base_new(), .l = l, .status = ARES_ETIMEOUT};
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC};
	struct cares *c;
	size_t before = l->n_resolvers;
	int rc;

	if (!w.base)
		return err_set(err, -ENOMEM, "out of memory");
	rc = cares_open(&c, w.base, &(struct cares_opts){.lookups = "fb", .timeout_ms = LOOK_TIMEOUT_MS, .tries = 2}, err);
	if (rc == 0) {
		ares_getaddrinfo(cares_channel(c), name, NULL, &hints, on_named, &w);
		cares_kick(c);
		event_base_loopexit(w.base, &(struct timeval){.tv_sec = NAMES_MS / 1000});
		if (!w.over)
			event_base_dispatch(w.base);
		cares_close(c);
		if (l->n_resolvers == before)
			rc = err_set(err, -ENOENT, "resolver %s: no address is found (%s)", name,
				     ares_strerror(w.status == ARES_EDESTRUCTION ? ARES_ETIMEOUT : w.status));
	}
	event_base_free(w.base);
	return rc;
}

int look_read_resolvers(struct looker *l, char *const *names, size_t n, struct err *err)
{
	int rc = 0;

	l->configured = n > 0;
	if (n == 0)
		return read_conf(l, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct addr a;

		if (!addr_parse(&a, names[i]) && !addr_parse_port(&a, names[i]))
			rc = resolve_name(l, names[i], err);
		else if (add_resolver(l, &a, 53) < 0)
			rc = err_set(err, -EINVAL, "resolver %s: this is no address at which a server can be asked", names[i]);
	}
	return rc;
}

/* ---- addresses of hosts ---- */

struct look_host {
	struct look_host *next;
	struct looker *l;
	char *name; /* absolute */
	struct addr addrs[ADDRS_MAX];
	size_t n;
	uint32_t ttl;
	struct look *v4, *v6; /* under way */
	bool in_file;         /* the hosts file is being read */
	struct look_list waiting;
	int64_t until_ms; /* for as long it is believed; 0: being asked for */
	struct err err;
};

bool look_rdata_address(struct addr *out, uint16_t type, const struct rdata *r)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (type == RR_A && r->len == 4) {
		memcpy(&v4.sin_addr, r->bytes, 4);
		return addr_from_sockaddr(out, (struct sockaddr *)&v4) && look_address_usable(out);
	}
	if (type == RR_AAAA && r->len == 16) {
		memcpy(&v6.sin6_addr, r->bytes, 16);
		return addr_from_sockaddr(out, (struct sockaddr *)&v6) && look_address_usable(out);
	}
	return false;
}

static void host_add(struct look_host *h, const struct addr *a)
{
	struct addr plain = *a;

	addr_set_port(&plain, 0);
	for (size_t i = 0; i < h->n; i++)
		if (addr_same_ip(&h->addrs[i], &plain))
			return;
	if (h->n < ADDRS_MAX)
		h->addrs[h->n++] = plain;
}

static void host_free(struct look_host *h)
{
	look_cancel(h->v4);
	look_cancel(h->v6);
	while (h->waiting.first)
		look_cancel(h->waiting.first);
	free(h->name);
	free(h);
}

static void host_tell(struct look_host *h, struct look *k)
{
	k->addrs = h->n ? calloc(h->n, sizeof *k->addrs) : NULL;
	if (k->addrs) {
		memcpy(k->addrs, h->addrs, h->n * sizeof *k->addrs);
		k->n = h->n;
	} else if (h->n) {
		err_set(&k->err, -ENOMEM, "out of memory");
	} else {
		k->err = h->err;
	}
	look_finish(k);
}

/* Many hosts have no way out by IPv6: who tries one address after the other begins with IPv4. */
static void ipv4_first(struct look_host *h)
{
	struct addr sorted[ADDRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		if (addr_family(&h->addrs[i]) == AF_INET)
			sorted[n++] = h->addrs[i];
	for (size_t i = 0; i < h->n; i++)
		if (addr_family(&h->addrs[i]) != AF_INET)
			sorted[n++] = h->addrs[i];
	memcpy(h->addrs, sorted, n * sizeof *sorted);
}

static void host_ready(struct look_host *h)
{
	uint32_t keep = h->ttl < KEEP_MIN_S ? KEEP_MIN_S : h->ttl > KEEP_MAX_S ? KEEP_MAX_S : h->ttl;

	if (h->n == 0 && !h->err.code)
		err_set(&h->err, -ENOENT, "%s has no address", h->name);
	ipv4_first(h);
	h->until_ms = mono_ms() + (h->n ? keep * 1000ll : FAILED_MS);
	while (h->waiting.first)
		host_tell(h, h->waiting.first);
}

/* What the answer says of the name, through its aliases. */
static void collect(struct look_host *h, const struct answer *a, uint16_t type)
{
	char name[RR_NAME_MAX];

	if (name_absolute(name, h->name) < 0)
		return;
	for (int i = 0; i < ALIASES_MAX; i++) {
		struct rrset set = {0}, alias = {0};
		char *target = NULL;

		if (answer_rrset(a, name, type, &set) == 0)
			for (size_t v = 0; v < set.n; v++) {
				struct addr at;

				if (look_rdata_address(&at, type, &set.values[v]))
					host_add(h, &at);
			}
		if (set.n && set.ttl < h->ttl)
			h->ttl = set.ttl;
		if (set.n == 0 && answer_rrset(a, name, RR_CNAME, &alias) == 0 && alias.n)
			target = wire_rdata_target(RR_CNAME, alias.values[0].bytes, alias.values[0].len);
		if (alias.n && alias.ttl < h->ttl)
			h->ttl = alias.ttl;
		rrset_done(&set);
		rrset_done(&alias);
		if (!target)
			return;
		if (name_absolute(name, target) < 0)
			i = ALIASES_MAX;
		free(target);
	}
}

static void host_answer(struct look_host *h, const struct answer *a, const struct err *err, uint16_t type)
{
	if (!a)
		h->err = *err;
	else if (a->rcode == RCODE_NXDOMAIN)
		err_set(&h->err, -ENOENT, "there is no %s", h->name);
	else if (a->rcode != RCODE_NOERROR)
		err_set(&h->err, -EIO, "the resolver answers %s for %s", rcode_text(a->rcode), h->name);
	else
		collect(h, a, type);
	if (!h->v4 && !h->v6)
		host_ready(h);
}

static void on_v4(void *arg, const struct answer *a, const struct err *err)
{
	struct look_host *h = arg;

	h->v4 = NULL;
	host_answer(h, a, err, RR_A);
}

static void on_v6(void *arg, const struct answer *a, const struct err *err)
{
	struct look_host *h = arg;

	h->v6 = NULL;
	host_answer(h, a, err, RR_AAAA);
}

static void host_ask_dns(struct look_host *h)
{
	h->v4 = look_up(h->l, h->name, RR_A, on_v4, h);
	h->v6 = look_up(h->l, h->name, RR_AAAA, on_v6, h);
	if (!h->v4 && !h->v6) {
		err_set(&h->err, -ENOMEM, "out of memory");
		host_ready(h);
	}
}

static void on_hosts_file(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	struct look_host *h = arg;

	(void)timeouts;
	h->in_file = false;
	for (const struct ares_addrinfo_node *node = result ? result->nodes : NULL; node; node = node->ai_next) {
		struct addr a;

		if (addr_from_sockaddr(&a, node->ai_addr) && look_address_usable(&a))
			host_add(h, &a);
	}
	ares_freeaddrinfo(result);
	if (status == ARES_EDESTRUCTION)
		return;
	if (h->n) {
		h->ttl = KEEP_MIN_S;
		host_ready(h);
	} else {
		host_ask_dns(h);
	}
}

static void host_ask(struct look_host *h)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC};
	char name[RR_NAME_MAX];
	size_t len = strlen(h->name);

	h->until_ms = 0;
	h->n = 0;
	h->ttl = UINT32_MAX;
	h->err = (struct err){0};
	if (!h->l->hosts_file && cares_open(&h->l->hosts_file, h->l->base, &(struct cares_opts){.lookups = "f"}, &h->err) < 0) {
		host_ready(h);
		return;
	}
	memcpy(name, h->name, len + 1);
	if (len > 1)
		name[len - 1] = '\0'; /* the file has no final dots */
	h->in_file = true;
	ares_getaddrinfo(cares_channel(h->l->hosts_file), name, NULL, &hints, on_hosts_file, h);
	cares_kick(h->l->hosts_file);
}

static bool host_busy(const struct look_host *h)
{
	return h->until_ms == 0;
}

/* Hosts that nobody waits for make way, those that were asked for first before others. */
static void make_room(struct looker *l)
{
	struct look_host **oldest = NULL, *h;

	if (l->n_hosts < HOSTS_MAX)
		return;
	for (struct look_host **link = &l->hosts; *link; link = &(*link)->next)
		if (!host_busy(*link))
			oldest = link;
	if (!oldest)
		return;
	h = *oldest;
	*oldest = h->next;
	l->n_hosts--;
	host_free(h);
}

static struct look_host *host_of(struct looker *l, const char *name)
{
	struct look_host *h;

	for (h = l->hosts; h; h = h->next)
		if (name_same(h->name, name))
			return h;
	make_room(l);
	h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->name = strdup(name);
	if (!h->name) {
		free(h);
		return NULL;
	}
	h->l = l;
	h->until_ms = 1; /* long ago */
	h->next = l->hosts;
	l->hosts = h;
	l->n_hosts++;
	return h;
}

struct look *look_addresses(struct looker *l, const char *name, look_addresses_fn *fn, void *arg)
{
	char absolute[RR_NAME_MAX];
	struct look_host *h;
	struct look *k;

	if (name_absolute(absolute, name) < 0)
		absolute[0] = '\0';
	h = host_of(l, absolute);
	k = h ? look_alloc(l, absolute) : NULL;
	if (!k)
		return NULL;
	k->kind = LOOK_ADDRESSES;
	k->fn.addresses = fn;
	k->arg = arg;
	if (h->until_ms > mono_ms()) {
		host_tell(h, k);
		return k;
	}
	look_push(&h->waiting, k);
	if (!host_busy(h))
		host_ask(h);
	return k;
}

void look_hosts_free(struct looker *l)
{
	struct look_host *h;

	cares_close(l->hosts_file);
	l->hosts_file = NULL;
	while ((h = l->hosts)) {
		l->hosts = h->next;
		host_free(h);
	}
	l->n_hosts = 0;
}
