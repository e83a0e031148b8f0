#include "netctl/announce.h"

#include "netctl/wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Does this host forward IPv6 that comes in by dev? Its advertisements must say so, as the kernel's do: where the Router flag goes away,
 * neighbours that route through the address drop it (RFC 4861 7.2.5). */
static bool is_router(const char *dev)
{
	char path[64 + IF_NAMESIZE], value = '0';
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/forwarding", dev);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false; /* IPv6 is off here */
	if (read(fd, &value, 1) != 1)
		value = '0';
	close(fd);
	return value != '0';
}

static int announce_one(struct wire *w, const struct addr *a, bool router, struct err *err)
{
	uint8_t frame[FRAME_MAX];
	int rc;

	if (addr_family(a) == AF_INET6)
		return wire_send(w, frame, frame_nd_announce(frame, a, &w->mac, router), err);
	rc = wire_send(w, frame, frame_arp_announce(frame, a, &w->mac, false), err);
	if (rc < 0)
		return rc;
	return wire_send(w, frame, frame_arp_announce(frame, a, &w->mac, true), err);
}

int announce(const char *dev, const struct addr *addrs, size_t n, struct err *err)
{
	struct wire w;
	char text[ADDR_TEXT_MAX];
	int rc = wire_open(&w, dev, 0, err);
	bool router = rc == 0 && is_router(dev);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = announce_one(&w, &addrs[i], router, err);
		if (rc < 0)
			err_wrap(err, "announcing %s", addr_text(&addrs[i], text));
	}
	wire_close(&w);
	return rc;
}
