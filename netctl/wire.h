#pragma once
/* wire - frames sent and received on one Ethernet interface, below all filters: AF_PACKET, packet(7).
 * nftables sees neither what is sent nor, before it drops it, what is received here: a host that is muted for an address (it answers
 * nobody who asks for it) can still announce it.
 * Errors: 0 or -errno: -ENODEV no such interface, -EOPNOTSUPP not an Ethernet, -ENETDOWN not up, -EPERM without CAP_NET_RAW.
 * Threads: one per struct wire. */
#include "lib/err.h"
#include "netctl/frame.h"

#include <net/if.h>
#include <sys/types.h>

struct wire {
	int fd; /* non-blocking */
	struct mac mac;
	char dev[IF_NAMESIZE];
};

/* type: the EtherType to receive, host order; of ETH_P_IPV6 neighbour solicitations and advertisements alone, those to groups that this
 * host has not joined included. 0: only send. */
int wire_open(struct wire *w, const char *dev, uint16_t type, struct err *err);
void wire_close(struct wire *w);                                                   /* of a failed open: fine */
int wire_send(struct wire *w, const uint8_t *frame, size_t len, struct err *err);  /* waits while the queue is full, 1 s at most */
ssize_t wire_receive(struct wire *w, uint8_t *frame, size_t cap, struct err *err); /* length; 0: nothing there now; cut at cap */
