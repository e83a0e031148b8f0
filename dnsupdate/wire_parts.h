#pragma once
/* wire_parts - what the files wire*.c share; nobody else includes it. */
#include "dnsupdate/wire.h"

#define WIRE_HEADER 12
#define WIRE_NAME   255 /* bytes of a name with its root label (RFC 1035 2.3.4) */

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

struct wire_name {
	uint8_t bytes[WIRE_NAME];
	size_t len;
};
/* Reads the name at *pos of a message, without its compression, and moves *pos behind it. NULL, or what is wrong with it. Pointers lead
 * backwards only and at most to as many places as a name can have labels, so that no message costs more than its size. */
const char *wire_name_read(struct wire_name *out, const uint8_t *m, size_t len, size_t *pos);
char *wire_name_text(const struct wire_name *n);              /* returns new; NULL: no memory */
int wire_name_parse(struct wire_name *out, const char *text); /* with or without its final dot; -EINVAL */
/* RDATA of m[pos..end) without compression into out (room for 65535 bytes), checked as far as its type says what it is made of. NULL, or
 * what is wrong. Where no message surrounds it, m is the RDATA, pos 0, and no pointer is allowed (pointers false). */
const char *wire_rdata_read(uint16_t type, const uint8_t *m, size_t pos, size_t end, bool pointers, uint8_t *out, size_t *out_len);
