#pragma once
/* announce - tells all neighbours on an Ethernet that addresses are at this host from now on.
 * The kernel does not do so when an address is added (neither arp_notify nor ndisc_notify makes it, with IFA_F_NODAD), and neighbours that
 * are not told go on sending to the former host for tens of seconds.
 * Per IPv4 address: a gratuitous ARP request and reply, both broadcast. Per IPv6 address: an unsolicited neighbour advertisement with
 * Override, to all nodes. Frames get lost and a switch may learn late: who moves addresses announces again after 0.1, 0.5, 1 and 3 s.
 * The host need not have the addresses, and nftables does not see the frames. Errors: those of wire.h. */
#include "lib/addr.h"
#include "lib/err.h"

#include <stddef.h>

int announce(const char *dev, const struct addr *addrs, size_t n, struct err *err); /* once; what was sent before an error stays sent */
