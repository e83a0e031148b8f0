#include "netctl/duplicate.h"

#include "lib/clock.h"
#include "netctl/wire.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_ether.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#define FRAME_CAP 512 /* of what comes in; options beyond it are of no interest */

enum { ARP, ND, WIRES };

struct search {
	struct wire wire[WIRES]; /* fd -1: no address of that family is asked for */
	struct duplicate *list;
	size_t n;
	struct in6_addr source; /* our link-local address; :: for none */
};

static void find_source(struct search *s, const char *dev)
{
	struct ifaddrs *all;

	s->source = in6addr_any;
	if (getifaddrs(&all) < 0)
		return; /* it asks from :: alone */
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct addr a;
		if (!i->ifa_addr || strcmp(i->ifa_name, dev) != 0 || !addr_from_sockaddr(&a, i->ifa_addr))
			continue;
		if (addr_family(&a) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a.v6.sin6_addr))
			s->source = a.v6.sin6_addr;
	}
	freeifaddrs(all);
}

static int search_open(struct search *s, const char *dev, struct err *err)
{
	static const uint16_t types[WIRES] = {ETH_P_ARP, ETH_P_IPV6};
	bool wanted[WIRES] = {false, false};

	for (size_t i = 0; i < s->n; i++)
		wanted[addr_family(&s->list[i].addr) == AF_INET6 ? ND : ARP] = true;
	for (int i = 0; i < WIRES; i++) {
		int rc = wanted[i] ? wire_open(&s->wire[i], dev, types[i], err) : 0;
		if (rc < 0)
			return rc;
	}
	find_source(s, dev);
	return 0;
}

static int ask(struct search *s, const struct addr *a, struct err *err)
{
	uint8_t frame[FRAME_MAX];
	struct wire *arp = &s->wire[ARP], *nd = &s->wire[ND];
	int rc;

	if (addr_family(a) == AF_INET)
		return wire_send(arp, frame, frame_arp_probe(frame, a, &arp->mac), err);
	rc = wire_send(nd, frame, frame_nd_probe(frame, a, &nd->mac, NULL), err);
	if (rc < 0 || IN6_IS_ADDR_UNSPECIFIED(&s->source))
		return rc;
	return wire_send(nd, frame, frame_nd_probe(frame, a, &nd->mac, &s->source), err);
}

static void note(struct duplicate *d, const struct frame_claim *c)
{
	for (size_t i = 0; i < d->n_stations; i++) {
		if (!mac_same(&d->station[i].mac, &c->mac))
			continue;
		d->station[i].asking &= c->asking; /* who asked and then answers has it by now */
		return;
	}
	if (d->n_stations == DUPLICATE_STATIONS) {
		d->more = true;
		return;
	}
	d->station[d->n_stations].mac = c->mac;
	d->station[d->n_stations++].asking = c->asking;
}

/* Whatever the scope is written as: all is on one link here. */
static bool same_on_link(const struct addr *a, const struct addr *b)
{
	if (addr_family(a) == AF_INET6 && addr_family(b) == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
	return addr_same_ip(a, b);
}

static void heard(struct search *s, const struct wire *w, const uint8_t *frame, size_t len)
{
	struct frame_claim c;
	struct mac sender;

	if (!frame_claim(frame, len, &c))
		return;
	memcpy(sender.byte, frame + 6, 6);
	/* A bridge or switch may send our own frames back to us. */
	if (mac_same(&sender, &w->mac) || mac_same(&c.mac, &w->mac))
		return;
	for (size_t i = 0; i < s->n; i++)
		if (same_on_link(&s->list[i].addr, &c.addr))
			note(&s->list[i], &c);
}

static int listen_now(struct search *s, struct err *err)
{
	uint8_t frame[FRAME_CAP];

	for (int i = 0; i < WIRES; i++) {
		struct wire *w = &s->wire[i];
		ssize_t len = 0;
		while (w->fd >= 0 && (len = wire_receive(w, frame, sizeof frame, err)) > 0)
			heard(s, w, frame, (size_t)len);
		if (len < 0)
			return (int)len;
	}
	return 0;
}

/* Until `until`, or until something comes in. */
static void wait_until(struct search *s, int64_t until)
{
	struct pollfd fds[WIRES];
	int64_t left = until - mono_us();
	struct timespec t = {left / 1000000, left % 1000000 * 1000};

	for (int i = 0; i < WIRES; i++)
		fds[i] = (struct pollfd){.fd = s->wire[i].fd, .events = POLLIN};
	if (left > 0)
		ppoll(fds, WIRES, &t, NULL);
}

/* The k-th question is due at its time and no earlier: a burst of all would overrun the buffers of those who answer, and look to a switch
 * like a storm. Each round takes half of its interval. */
static int64_t due_us(const struct search *s, size_t k, unsigned interval_ms)
{
	int64_t interval = (int64_t)interval_ms * 1000;

	return (int64_t)(k / s->n) * interval + (int64_t)(k % s->n) * interval / 2 / (int64_t)s->n;
}

static int run(struct search *s, unsigned probes, unsigned interval_ms, struct err *err)
{
	int64_t began = mono_us(), end = began + (int64_t)probes * interval_ms * 1000;
	size_t asked = 0, questions = s->n * probes;
	char text[ADDR_TEXT_MAX];
	int rc = 0;

	while (rc == 0 && (asked < questions || mono_us() < end)) {
		int64_t next = asked < questions ? began + due_us(s, asked, interval_ms) : end;
		if (asked < questions && mono_us() >= next) {
			const struct addr *a = &s->list[asked++ % s->n].addr;
			rc = ask(s, a, err);
			if (rc < 0)
				return err_wrap(err, "asking who has %s", addr_text(a, text));
		} else {
			wait_until(s, next);
		}
		rc = listen_now(s, err);
	}
	return rc;
}

int duplicate_find(const char *dev, struct duplicate *list, size_t n, unsigned probes, unsigned interval_ms, struct err *err)
{
	struct search s = {.wire = {{.fd = -1}, {.fd = -1}}, .list = list, .n = n};
	int rc;

	assert(probes >= 1 && probes <= 100 && interval_ms >= 10 && interval_ms <= 10000);
	for (size_t i = 0; i < n; i++)
		list[i] = (struct duplicate){.addr = list[i].addr};
	if (n == 0)
		return 0;
	rc = search_open(&s, dev, err);
	if (rc == 0)
		rc = run(&s, probes, interval_ms, err);
	for (int i = 0; i < WIRES; i++)
		wire_close(&s.wire[i]);
	return rc;
}
