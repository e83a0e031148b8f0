#pragma once
/* addr - an IPv4 or IPv6 address with a port, as the socket calls want it and as people write it.
 * IPv4-mapped IPv6 addresses are turned into IPv4 on the way in, so that equal addresses compare equal.
 * Text forms: 192.0.2.1, 2001:db8::1, with a port 192.0.2.1:80 and [2001:db8::1]:80 (RFC 5952, RFC 3986 3.2.2).
 * Units: ports in host order. No function resolves names. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};
#define ADDR_TEXT_MAX 64 /* "[v6%scope]:port" and its NUL */

bool addr_parse(struct addr *a, const char *text);                  /* an address without a port; port becomes 0 */
bool addr_parse_port(struct addr *a, const char *text);             /* an address with a port */
bool addr_from_sockaddr(struct addr *a, const struct sockaddr *sa); /* false for other families; unmaps ::ffff:0:0/96 */
socklen_t addr_len(const struct addr *a);
int addr_family(const struct addr *a); /* AF_INET, AF_INET6, or AF_UNSPEC for a zeroed one */
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
bool addr_same_ip(const struct addr *a, const struct addr *b);       /* ports aside */
bool addr_same(const struct addr *a, const struct addr *b);          /* with ports */
bool addr_is_any(const struct addr *a);                              /* 0.0.0.0 or :: */
bool addr_is_loopback(const struct addr *a);                         /* 127.0.0.0/8 or ::1 */
char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX]);      /* without the port; returns out */
char *addr_text_port(const struct addr *a, char out[ADDR_TEXT_MAX]); /* with the port; returns out */

/* A prefix such as 10.0.0.0/8 or one address; for access lists. */
struct addr_net {
	struct addr base;
	unsigned bits;
};
bool addr_net_parse(struct addr_net *n, const char *text); /* host bits that are set are refused */
bool addr_net_has(const struct addr_net *n, const struct addr *a);
