#pragma once
/* sni - the server name of a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3), without touching a byte of it.
 * The hello may span records and TCP segments (post-quantum key shares do); records may split its header. Anything before it but
 * handshake records is refused. Nothing is allocated by a length the peer claims.
 * Pure: no I/O, no allocation. */
#include "lib/slice.h"

#include <stdint.h>

#define SNI_NAME_MAX    255
#define SNI_RECORDS_MAX 64

struct sni {
	char name[SNI_NAME_MAX + 1]; /* lower case, no trailing dot, NUL-terminated; "" where the hello has none */
	size_t name_len;
	const char *bad_reason; /* PARSE_BAD: static text for the log */
};

/* buf[0..len) is everything the client said. PARSE_MORE until the extension block has been seen whole; hello_max bytes at the most.
 * Two host_names, the extension twice, a name that is no DNS name (NUL, port, space, high byte, ...): PARSE_BAD. */
enum parse sni_parse(struct sni *s, const uint8_t *buf, size_t len, size_t hello_max);
