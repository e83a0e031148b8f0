#include "lib/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_v4(struct addr *a, const void *ip, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->v4.sin_family = AF_INET;
	memcpy(&a->v4.sin_addr, ip, 4);
	a->v4.sin_port = htons(port);
}

static void set_v6(struct addr *a, const struct in6_addr *ip, uint32_t scope, uint16_t port)
{
	if (IN6_IS_ADDR_V4MAPPED(ip)) {
		set_v4(a, ip->s6_addr + 12, port);
		return;
	}
	memset(a, 0, sizeof(*a));
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_addr = *ip;
	a->v6.sin6_scope_id = scope;
	a->v6.sin6_port = htons(port);
}

/* Digits alone, without sign, space or leading zero: what strtoul() would let through as well. */
static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
	unsigned long v = 0;
	if (!*text || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (unsigned long)(*text - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static bool parse_scope(const char *text, uint32_t *scope)
{
	unsigned long n;
	if (parse_number(text, UINT32_MAX, &n) && n > 0) {
		*scope = (uint32_t)n;
		return true;
	}
	if (!*text || strlen(text) >= IF_NAMESIZE)
		return false;
	*scope = if_nametoindex(text);
	return *scope != 0;
}

bool addr_parse(struct addr *a, const char *text)
{
	struct in_addr v4;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		set_v4(a, &v4, 0);
		return true;
	}
	char ip[INET6_ADDRSTRLEN];
	uint32_t scope = 0;
	const char *percent = strchr(text, '%');
	size_t len = percent ? (size_t)(percent - text) : strlen(text);
	if (len >= sizeof(ip))
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	struct in6_addr v6;
	if (inet_pton(AF_INET6, ip, &v6) != 1)
		return false;
	if (percent && !parse_scope(percent + 1, &scope))
		return false;
	set_v6(a, &v6, scope, 0);
	return true;
}

bool addr_parse_port(struct addr *a, const char *text)
{
	char host[ADDR_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	unsigned long port;
	if (!colon || !parse_number(colon + 1, 65535, &port))
		return false;
	size_t len = (size_t)(colon - text);
	bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	/* Without brackets a second colon would make the port a guess; within them an IPv4 address has no place. */
	if (bracketed != (strchr(host, ':') != NULL))
		return false;
	struct addr parsed;
	if (!addr_parse(&parsed, host))
		return false;
	addr_set_port(&parsed, (uint16_t)port);
	*a = parsed;
	return true;
}

bool addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, sa, sizeof(v4));
		set_v4(a, &v4.sin_addr, ntohs(v4.sin_port));
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;
		memcpy(&v6, sa, sizeof(v6));
		set_v6(a, &v6.sin6_addr, v6.sin6_scope_id, ntohs(v6.sin6_port));
		return true;
	}
	return false;
}

socklen_t addr_len(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : a->sa.sa_family == AF_INET ? sizeof(a->v4) : 0;
}

int addr_family(const struct addr *a)
{
	return a->sa.sa_family;
}

uint16_t addr_port(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? ntohs(a->v6.sin6_port) : a->sa.sa_family == AF_INET ? ntohs(a->v4.sin_port) : 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET6)
		a->v6.sin6_port = htons(port);
	else if (a->sa.sa_family == AF_INET)
		a->v4.sin_port = htons(port);
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	if (a->sa.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr) && a->v6.sin6_scope_id == b->v6.sin6_scope_id;
	return true;
}

bool addr_same(const struct addr *a, const struct addr *b)
{
	return addr_same_ip(a, b) && addr_port(a) == addr_port(b);
}

bool addr_is_any(const struct addr *a)
{
	return (a->sa.sa_family == AF_INET && a->v4.sin_addr.s_addr == INADDR_ANY) ||
	       (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr));
}

bool addr_is_loopback(const struct addr *a)
{
	return (a->sa.sa_family == AF_INET && ntohl(a->v4.sin_addr.s_addr) >> 24 == 127) ||
	       (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr));
}

char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->v4.sin_addr, out, ADDR_TEXT_MAX);
	} else if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, out, ADDR_TEXT_MAX);
		size_t len = strlen(out);
		if (a->v6.sin6_scope_id)
			snprintf(out + len, ADDR_TEXT_MAX - len, "%%%u", (unsigned)a->v6.sin6_scope_id);
	} else {
		memcpy(out, "-", 2);
	}
	return out;
}

char *addr_text_port(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	bool v6 = a->sa.sa_family == AF_INET6;
	addr_text(a, out + v6);
	size_t len = strlen(out + v6) + v6;
	if (v6) {
		out[0] = '[';
		out[len++] = ']';
	}
	snprintf(out + len, ADDR_TEXT_MAX - len, ":%u", addr_port(a));
	return out;
}

static const uint8_t *ip_bytes(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? a->v6.sin6_addr.s6_addr : (const uint8_t *)&a->v4.sin_addr;
}

bool addr_net_parse(struct addr_net *n, const char *text)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	struct addr_net parsed;
	if (!addr_parse(&parsed.base, host))
		return false;
	/* A mapped address with a prefix (::ffff:10.0.0.0/104) would change the meaning of its number as it becomes IPv4. */
	if (slash && strchr(host, ':') && addr_family(&parsed.base) == AF_INET)
		return false;
	unsigned all = addr_family(&parsed.base) == AF_INET6 ? 128 : 32;
	unsigned long bits = all;
	if (slash && !parse_number(slash + 1, all, &bits))
		return false;
	const uint8_t *ip = ip_bytes(&parsed.base);
	for (unsigned i = (unsigned)bits; i < all; i++)
		if (ip[i / 8] & (0x80u >> (i % 8)))
			return false;
	parsed.bits = (unsigned)bits;
	*n = parsed;
	return true;
}

bool addr_net_has(const struct addr_net *n, const struct addr *a)
{
	if (addr_family(a) != addr_family(&n->base) || addr_family(a) == AF_UNSPEC)
		return false;
	const uint8_t *net = ip_bytes(&n->base), *ip = ip_bytes(a);
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	if (memcmp(net, ip, whole) != 0)
		return false;
	return rest == 0 || ((net[whole] ^ ip[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
