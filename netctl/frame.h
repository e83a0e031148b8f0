#pragma once
/* frame - the Ethernet frames by which a station says that it has an address, or asks whether another has it, as plain bytes.
 * Nothing is sent or received here (wire.h does that), so that what goes out can be checked byte by byte.
 * Sources: RFC 826 and RFC 5227 (ARP), RFC 5944 4.6 (gratuitous ARP as request and as reply: neighbours differ in which of the two they
 * heed), RFC 4861 4.3, 4.4, 7.1, 7.2.6 (neighbour solicitation and advertisement), RFC 2464 (IPv6 on Ethernet).
 * Units: bytes, in the order of the wire, from the destination MAC on and without the frame check sequence. Frames shorter than 60 bytes
 * are padded by the network card. Ownership: the caller's buffers; struct addr is borrowed. */
#include "lib/addr.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX    86 /* neighbour discovery with one option; ARP takes 42 */
#define MAC_TEXT_MAX 18 /* "02:00:5e:00:53:01" and its NUL */

struct mac {
	uint8_t byte[6];
};
bool mac_parse(struct mac *m, const char *text); /* six pairs of hexadecimal digits with colons between them */
char *mac_text(const struct mac *m, char out[MAC_TEXT_MAX]);
bool mac_same(const struct mac *a, const struct mac *b);

/* Each of these writes one frame and returns its length. arp: for an IPv4 address; nd: for an IPv6 address; the other family is a slip. */
size_t frame_arp_announce(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me, bool reply); /* `a` is at `me`, to all */
size_t frame_arp_probe(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me);                /* sender 0: enters no cache */
/* The unsolicited advertisement, with Override, to all nodes: replaces what neighbours have for `a`. router: this host forwards IPv6. */
size_t frame_nd_announce(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me, bool router);
/* Who has `a`? source NULL: from ::, as duplicate address detection asks, answered to all nodes; else answered to that address. */
size_t frame_nd_probe(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me, const struct in6_addr *source);

/* What a frame that came in says about who uses an address. */
struct frame_claim {
	struct addr addr;
	struct mac mac; /* where the address is, as the frame itself says: ARP sender, link-layer option, else who sent it */
	bool asking;    /* not yet: the station probes for the address in order to use it */
};
bool frame_claim(const uint8_t *frame, size_t len, struct frame_claim *c); /* false: says nothing of the kind, or is malformed */
