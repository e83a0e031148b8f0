#include "netctl/frame.h"

#include <assert.h>
#include <linux/if_ether.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <string.h>

#define ETH_LEN   14
#define ARP_LEN   28
#define IP6_LEN   40
#define ND_LEN    24 /* type, code, checksum, flags, target */
#define OPT_LEN   8  /* a link-layer address option on Ethernet */
#define HOP_LIMIT 255
#define ADVERT_R  0x80 /* in the byte after the checksum, RFC 4861 4.4 */
#define ADVERT_O  0x20

static const struct mac everyone = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, nobody;
static const struct in6_addr all_nodes = {{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}};

/* ---- MAC addresses as text */
static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mac_parse(struct mac *m, const char *text)
{
	struct mac parsed;

	if (strlen(text) != MAC_TEXT_MAX - 1)
		return false;
	for (int i = 0; i < 6; i++, text += 3) {
		int high = hex(text[0]), low = hex(text[1]);
		if (high < 0 || low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		parsed.byte[i] = (uint8_t)(high << 4 | low);
	}
	*m = parsed;
	return true;
}

char *mac_text(const struct mac *m, char out[MAC_TEXT_MAX])
{
	const uint8_t *b = m->byte;

	snprintf(out, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return out;
}

bool mac_same(const struct mac *a, const struct mac *b)
{
	return memcmp(a->byte, b->byte, sizeof a->byte) == 0;
}

/* ---- writing */
static uint8_t *put(uint8_t *p, const void *bytes, size_t len)
{
	memcpy(p, bytes, len);
	return p + len;
}

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t *put_ethernet(uint8_t *p, const struct mac *to, const struct mac *from, uint16_t type)
{
	p = put(p, to->byte, 6);
	p = put(p, from->byte, 6);
	return put16(p, type);
}

static size_t arp(uint8_t *out, const struct mac *me, uint16_t operation, const void *sender_ip, const struct mac *target,
		  const void *target_ip)
{
	uint8_t *p = put_ethernet(out, &everyone, me, ETH_P_ARP);

	p = put16(p, 1); /* Ethernet */
	p = put16(p, ETH_P_IP);
	*p++ = 6;
	*p++ = 4;
	p = put16(p, operation);
	p = put(p, me->byte, 6);
	p = put(p, sender_ip, 4);
	p = put(p, target->byte, 6);
	p = put(p, target_ip, 4);
	return (size_t)(p - out);
}

size_t frame_arp_announce(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me, bool reply)
{
	const void *ip = &a->v4.sin_addr;

	assert(addr_family(a) == AF_INET);
	/* The target MAC: unused in a request (RFC 5227 2.3), the one to enter in a reply (RFC 5944 4.6). */
	return reply ? arp(out, me, 2, ip, me, ip) : arp(out, me, 1, ip, &nobody, ip);
}

size_t frame_arp_probe(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me)
{
	assert(addr_family(a) == AF_INET);
	return arp(out, me, 1, "\0\0\0", &nobody, &a->v4.sin_addr);
}

/* The sum of the pseudo-header and the message (RFC 8200 8.1), 0 where its own checksum is right. */
static uint16_t checksum(const struct in6_addr *from, const struct in6_addr *to, const uint8_t *message, size_t len)
{
	uint32_t sum = (uint32_t)len + IPPROTO_ICMPV6;

	for (size_t i = 0; i < 16; i += 2)
		sum += (uint32_t)get16(from->s6_addr + i) + get16(to->s6_addr + i);
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += get16(message + i);
	if (len % 2)
		sum += (uint32_t)message[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* option: the type of the link-layer address option, or 0 for none. */
static size_t discovery(uint8_t *out, const struct mac *me, const struct in6_addr *from, const struct in6_addr *to, uint8_t type,
			uint8_t flags, const struct in6_addr *target, uint8_t option)
{
	struct mac group = {{0x33, 0x33, to->s6_addr[12], to->s6_addr[13], to->s6_addr[14], to->s6_addr[15]}};
	size_t len = ND_LEN + (option ? OPT_LEN : 0);
	uint8_t *p = put_ethernet(out, &group, me, ETH_P_IPV6);

	p = put(p, "\x60\0\0\0", 4); /* version 6, no class, no flow */
	p = put16(p, (uint16_t)len);
	*p++ = IPPROTO_ICMPV6;
	*p++ = HOP_LIMIT;
	p = put(p, from, 16);
	p = put(p, to, 16);
	uint8_t *message = p;
	*p++ = type;
	*p++ = 0;
	p = put16(p, 0);
	*p++ = flags;
	p = put(p, "\0\0", 3);
	p = put(p, target, 16);
	if (option) {
		*p++ = option;
		*p++ = 1; /* units of 8 bytes */
		p = put(p, me->byte, 6);
	}
	put16(message + 2, checksum(from, to, message, len));
	return (size_t)(p - out);
}

size_t frame_nd_announce(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me, bool router)
{
	const struct in6_addr *ip = &a->v6.sin6_addr;
	uint8_t flags = ADVERT_O | (router ? ADVERT_R : 0);

	assert(addr_family(a) == AF_INET6);
	return discovery(out, me, ip, &all_nodes, ND_NEIGHBOR_ADVERT, flags, ip, ND_OPT_TARGET_LINKADDR);
}

size_t frame_nd_probe(uint8_t out[FRAME_MAX], const struct addr *a, const struct mac *me, const struct in6_addr *source)
{
	const struct in6_addr *ip = &a->v6.sin6_addr;
	/* The solicited-node group, RFC 4291 2.7.1. */
	struct in6_addr group = {{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ip->s6_addr[13], ip->s6_addr[14], ip->s6_addr[15]}}};

	assert(addr_family(a) == AF_INET6);
	/* RFC 4861 4.3: no option where the source is the unspecified address. */
	return discovery(out, me, source ? source : &in6addr_any, &group, ND_NEIGHBOR_SOLICIT, 0, ip, source ? ND_OPT_SOURCE_LINKADDR : 0);
}

/* ---- reading */
static void set_v4(struct addr *a, const uint8_t *ip)
{
	memset(a, 0, sizeof *a);
	a->v4.sin_family = AF_INET;
	memcpy(&a->v4.sin_addr, ip, 4);
}

static void set_v6(struct addr *a, const struct in6_addr *ip)
{
	memset(a, 0, sizeof *a);
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_addr = *ip;
}

static bool arp_claim(const uint8_t *p, size_t len, struct frame_claim *c)
{
	static const uint8_t ethernet_ipv4[6] = {0, 1, 8, 0, 6, 4};
	const uint8_t *sender = p + 8, *sender_ip = p + 14, *target_ip = p + 24;
	uint16_t operation;

	if (len < ARP_LEN || memcmp(p, ethernet_ipv4, sizeof ethernet_ipv4) != 0)
		return false;
	operation = get16(p + 6);
	if (operation != 1 && operation != 2)
		return false;
	memcpy(c->mac.byte, sender, 6);
	/* Whoever sends from an address has it, whatever else the packet is for (RFC 5227 2.1.1); to ask for one says nothing, but for a
	 * probe, whose sender has none yet. */
	c->asking = memcmp(sender_ip, "\0\0\0", 4) == 0;
	set_v4(&c->addr, c->asking ? target_ip : sender_ip);
	return !addr_is_any(&c->addr) && (!c->asking || operation == 1);
}

/* The link-layer address the options name, or `otherwise`. False where the options are malformed: the whole packet is void then. */
static bool link_option(const uint8_t *p, size_t len, uint8_t type, const uint8_t *otherwise, struct mac *out)
{
	memcpy(out->byte, otherwise, 6);
	while (len > 0) {
		if (len < OPT_LEN || p[1] == 0 || (size_t)p[1] * 8 > len)
			return false;
		if (p[0] == type && p[1] == 1)
			memcpy(out->byte, p + 2, 6);
		len -= (size_t)p[1] * 8;
		p += (size_t)p[1] * 8;
	}
	return true;
}

static bool discovery_claim(const uint8_t *frame, const uint8_t *p, size_t len, struct frame_claim *c)
{
	struct in6_addr from, to, target;
	const uint8_t *message = p + IP6_LEN;

	if (len < IP6_LEN + ND_LEN || p[0] >> 4 != 6 || p[6] != IPPROTO_ICMPV6 || p[7] != HOP_LIMIT)
		return false;
	size_t message_len = get16(p + 4);
	if (message_len < ND_LEN || message_len > len - IP6_LEN || message[1] != 0)
		return false;
	memcpy(&from, p + 8, 16);
	memcpy(&to, p + 24, 16);
	memcpy(&target, message + 8, 16);
	if (checksum(&from, &to, message, message_len) != 0 || IN6_IS_ADDR_MULTICAST(&target))
		return false;
	bool advert = message[0] == ND_NEIGHBOR_ADVERT;
	if (!advert && message[0] != ND_NEIGHBOR_SOLICIT)
		return false;
	/* A solicitation says nothing of its target, but who sends it has the source address; without one it is a probe (RFC 4862 5.4.3).
	 */
	c->asking = !advert && IN6_IS_ADDR_UNSPECIFIED(&from);
	set_v6(&c->addr, advert || c->asking ? &target : &from);
	return link_option(message + ND_LEN, message_len - ND_LEN, advert ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR, frame + 6,
			   &c->mac);
}

bool frame_claim(const uint8_t *frame, size_t len, struct frame_claim *c)
{
	if (len < ETH_LEN)
		return false;
	switch (get16(frame + 12)) {
	case ETH_P_ARP:
		return arp_claim(frame + ETH_LEN, len - ETH_LEN, c);
	case ETH_P_IPV6:
		return discovery_claim(frame, frame + ETH_LEN, len - ETH_LEN, c);
	}
	return false;
}
