#pragma once
/* duplicate - is any station on this Ethernet using these addresses, or about to?
 * Asks for all of them side by side: ARP probes (RFC 5227 2.1: sender address 0, so that no neighbour's cache changes) and neighbour
 * solicitations, from :: as duplicate address detection does (RFC 4862 5.4.2: answered to all nodes) and, where the interface has a
 * link-local address, from that one as well (answered to us: for networks that lose multicast).
 * An answer is any ARP packet sent from the address, an advertisement of it, or a solicitation from it; another station that probes for the
 * address counts as well and is told apart. Our own frames do not count, nor does this host's own use of an address.
 * A host that is muted for an address does not answer: silence proves nothing about a host that was told to be silent.
 * Time: probes x interval, whatever the number of addresses, always in full: a second station may answer later than the first.
 * Errors: those of wire.h. */
#include "lib/addr.h"
#include "lib/err.h"
#include "netctl/frame.h"

#include <stdbool.h>
#include <stddef.h>

#define DUPLICATE_STATIONS    8 /* told apart per address */
#define DUPLICATE_PROBES      3
#define DUPLICATE_INTERVAL_MS 200

struct duplicate {
	struct addr addr; /* set by the caller, the rest by duplicate_find(): */
	struct {
		struct mac mac;
		bool asking; /* probes for the address, does not have it */
	} station[DUPLICATE_STATIONS];
	size_t n_stations;
	bool more; /* there were more than fit */
};

/* probes 1..100, interval_ms 10..10000: of an interval the first half is for sending, the rest for answers. */
int duplicate_find(const char *dev, struct duplicate *list, size_t n, unsigned probes, unsigned interval_ms, struct err *err);
