/* Version 1 is one line of text, version 2 a binary header; both are over before the first byte of payload. */
#include "proxy/pp.h"

#include "proxy/crc32c.h"

#include <arpa/inet.h>

#define V1_MAX     107 /* with its CRLF, proxy-protocol.txt 2.1 */
#define V2_FIXED   16
#define V2_TCP4    12
#define V2_TCP6    36
#define TLV_CRC32C 0x03

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static enum parse bad(struct pp *p, const char *reason)
{
	p->bad_reason = reason;
	return PARSE_BAD;
}

static void set_v4(struct addr *a, const uint8_t ip[4], uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&v4.sin_addr, ip, 4);
	addr_from_sockaddr(a, (const struct sockaddr *)&v4);
}

static void set_v6(struct addr *a, const uint8_t ip[16], uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&v6.sin6_addr, ip, 16);
	addr_from_sockaddr(a, (const struct sockaddr *)&v6);
}

/* The next word of the line: ends at one space, or at the line's end. Two spaces make an empty word, which nothing accepts. */
static bool word(struct slice *line, char *out, size_t cap)
{
	const char *space = line->len > 0 ? memchr(line->p, ' ', line->len) : NULL;
	size_t n = space != NULL ? (size_t)(space - line->p) : line->len;

	if (n == 0 || n >= cap || memchr(line->p, '\0', n) != NULL)
		return false;
	memcpy(out, line->p, n);
	out[n] = '\0';
	line->p += n;
	line->len -= n;
	if (space != NULL) {
		line->p++;
		line->len--;
	}
	return true;
}

static bool v1_port(const char *text, uint16_t *port)
{
	unsigned value = 0;

	if (text[0] == '0' && text[1] != '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > 65535)
			return false;
	}
	*port = (uint16_t)value;
	return true;
}

static bool v1_addresses(struct pp *p, struct slice line, int family)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], sport[6], dport[6];
	uint8_t s[16], d[16];
	uint16_t sp, dp;
	bool ends_in_space = line.len > 0 && line.p[line.len - 1] == ' ';

	if (ends_in_space || !word(&line, src, sizeof(src)) || !word(&line, dst, sizeof(dst)) || !word(&line, sport, sizeof(sport)) ||
	    !word(&line, dport, sizeof(dport)) || line.len > 0)
		return false;
	if (inet_pton(family, src, s) != 1 || inet_pton(family, dst, d) != 1 || !v1_port(sport, &sp) || !v1_port(dport, &dp))
		return false;
	if (family == AF_INET) {
		set_v4(&p->src, s, sp);
		set_v4(&p->dst, d, dp);
	} else {
		set_v6(&p->src, s, sp);
		set_v6(&p->dst, d, dp);
	}
	return true;
}

static enum parse v1(struct pp *p, const char *buf, size_t len)
{
	static const char want[] = "PROXY ";
	size_t max = len < V1_MAX ? len : V1_MAX, n = 0;
	struct slice line;
	char protocol[8];

	if (memcmp(buf, want, len < sizeof(want) - 1 ? len : sizeof(want) - 1) != 0)
		return bad(p, "no PROXY header");
	while (n < max && buf[n] != '\r' && buf[n] != '\n')
		n++;
	if (n < max && buf[n] == '\n')
		return bad(p, "bare LF in a PROXY line");
	if (n + 1 < max && buf[n + 1] != '\n')
		return bad(p, "bare CR in a PROXY line");
	if (n + 1 >= max)
		return max == V1_MAX ? bad(p, "PROXY line too long") : PARSE_MORE;
	p->len = n + 2;
	line = (struct slice){buf + sizeof(want) - 1, n - (sizeof(want) - 1)}; /* none of its bytes is a CR */
	if (!word(&line, protocol, sizeof(protocol)))
		return bad(p, "bad PROXY line");
	if (strcmp(protocol, "UNKNOWN") == 0) { /* the rest of the line means nothing */
		p->local = true;
		return PARSE_OK;
	}
	if (strcmp(protocol, "TCP4") != 0 && strcmp(protocol, "TCP6") != 0)
		return bad(p, "unknown protocol in a PROXY line");
	return v1_addresses(p, line, protocol[3] == '4' ? AF_INET : AF_INET6) ? PARSE_OK : bad(p, "bad PROXY line");
}

/* The header's check sum, as if the four bytes where it stands were zero. */
static uint32_t header_crc(const uint8_t *buf, size_t len, size_t zero)
{
	uint32_t crc = crc32c(buf, zero);

	crc = crc32c_more(crc, (const uint8_t[4]){0}, 4);
	return crc32c_more(crc, buf + zero + 4, len - zero - 4);
}

static enum parse v2_tlvs(struct pp *p, const uint8_t *buf, size_t at)
{
	while (at < p->len) {
		size_t len;

		if (p->len - at < 3)
			return bad(p, "PROXY header: cut TLV");
		len = (size_t)buf[at + 1] << 8 | buf[at + 2];
		if (len > p->len - at - 3)
			return bad(p, "PROXY header: TLV past the end");
		if (buf[at] == TLV_CRC32C) {
			const uint8_t *v = buf + at + 3;

			if (len != 4 ||
			    ((uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3]) != header_crc(buf, p->len, at + 3))
				return bad(p, "PROXY header: wrong CRC32c");
		}
		at += 3 + len;
	}
	return PARSE_OK;
}

static uint16_t port_at(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum parse v2(struct pp *p, const uint8_t *buf, size_t len)
{
	const uint8_t *a = buf + V2_FIXED;
	size_t need;

	if (memcmp(buf, signature, len < sizeof(signature) ? len : sizeof(signature)) != 0)
		return bad(p, "no PROXY header");
	if (len > 12 && buf[12] != 0x20 && buf[12] != 0x21)
		return bad(p, "PROXY header: bad version or command");
	p->local = len > 12 && buf[12] == 0x20;
	if (len > 13 && !p->local && buf[13] != 0x00 && buf[13] != 0x11 && buf[13] != 0x21)
		return bad(p, "PROXY header: neither TCP over IPv4 nor over IPv6");
	if (len < V2_FIXED)
		return PARSE_MORE;
	p->len = V2_FIXED + ((size_t)buf[14] << 8 | buf[15]);
	need = p->local || buf[13] == 0x00 ? 0 : buf[13] == 0x11 ? V2_TCP4 : V2_TCP6;
	if (p->len > PP_READ_MAX)
		return bad(p, "PROXY header too long");
	if (p->len < V2_FIXED + need)
		return bad(p, "PROXY header too short for its addresses");
	if (len < p->len)
		return PARSE_MORE;
	if (need == 0) { /* LOCAL and UNSPEC: what follows is not for us (2.2) */
		p->local = true;
		return PARSE_OK;
	}
	if (need == V2_TCP4) {
		set_v4(&p->src, a, port_at(a + 8));
		set_v4(&p->dst, a + 4, port_at(a + 10));
	} else {
		set_v6(&p->src, a, port_at(a + 32));
		set_v6(&p->dst, a + 16, port_at(a + 34));
	}
	return v2_tlvs(p, buf, V2_FIXED + need);
}

enum parse pp_parse(struct pp *p, const uint8_t *buf, size_t len)
{
	*p = (struct pp){0};
	if (len == 0)
		return PARSE_MORE;
	return buf[0] == 'P' ? v1(p, (const char *)buf, len) : v2(p, buf, len);
}

static void put_v6(uint8_t out[16], const struct addr *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (addr_family(a) == AF_INET6) {
		memcpy(out, &a->v6.sin6_addr, 16);
		return;
	}
	memcpy(out, mapped, sizeof(mapped));
	memcpy(out + sizeof(mapped), &a->v4.sin_addr, 4);
}

static void put_port(uint8_t *out, const struct addr *a)
{
	out[0] = (uint8_t)(addr_port(a) >> 8);
	out[1] = (uint8_t)addr_port(a);
}

size_t pp_write_v2(uint8_t out[PP_V2_MAX], const struct addr *src, const struct addr *dst)
{
	uint8_t *a = out + V2_FIXED;

	memcpy(out, signature, sizeof(signature));
	out[12] = 0x21;
	out[14] = 0;
	if (addr_family(src) == AF_INET && addr_family(dst) == AF_INET) {
		out[13] = 0x11;
		out[15] = V2_TCP4;
		memcpy(a, &src->v4.sin_addr, 4);
		memcpy(a + 4, &dst->v4.sin_addr, 4);
		put_port(a + 8, src);
		put_port(a + 10, dst);
		return V2_FIXED + V2_TCP4;
	}
	out[13] = 0x21;
	out[15] = V2_TCP6;
	put_v6(a, src);
	put_v6(a + 16, dst);
	put_port(a + 32, src);
	put_port(a + 34, dst);
	return V2_FIXED + V2_TCP6;
}
