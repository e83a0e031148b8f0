#pragma once
/* pp - the PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt), read from trusted peers and written as version 2.
 * Pure: no I/O, no allocation. */
#include "lib/addr.h"
#include "lib/slice.h"

#define PP_V2_MAX   52  /* what pp_write_v2() writes at most */
#define PP_READ_MAX 536 /* a longer header is PARSE_BAD: 16 + addresses + TLVs that anybody sends in practice fit */

struct pp {
	bool local;           /* LOCAL, or v1 UNKNOWN: the connection's own addresses hold */
	struct addr src, dst; /* the visitor, and where it wanted to go */
	size_t len;           /* bytes of the header */
	const char *bad_reason;
};

/* Version by signature; TLVs are walked (lengths must fit; a CRC32c TLV must be right) and ignored. AF_UNIX and datagrams: PARSE_BAD. */
enum parse pp_parse(struct pp *p, const uint8_t *buf, size_t len);
size_t pp_write_v2(uint8_t out[PP_V2_MAX], const struct addr *src, const struct addr *dst); /* families differ: both as IPv6, v4 mapped */
