#pragma once
/* chunk - the chunked transfer coding (RFC 9112 7.1), read strictly and written again in canonical form while it passes.
 * Extensions and trailer fields are checked for their syntax and dropped: they are never merged into the head (RFC 9110 6.5.1).
 * Only CRLF ends a line; a size is 1 to 16 hex digits that fit 63 bits; an extension line is at most 4 KiB, the trailer section 8 KiB.
 * Pure: no I/O, no allocation. The output of a feed is never longer than its input, and out may be the buffer of in. */
#include "lib/slice.h"

#include <stdint.h>

struct chunk {
	uint8_t state; /* private; 0 is the start */
	bool raw;      /* write the data alone, for a HTTP/1.0 reader */
	uint8_t digits;
	uint16_t line; /* bytes of this extension or trailer line */
	uint16_t trailer;
	uint64_t left; /* of the current chunk's data; see chunk_data() */
	uint64_t data; /* bytes of data that have passed, in all chunks */
};

void chunk_init(struct chunk *c, bool raw);
/* Eats in[0..len), writes the canonical form to out (cap >= len), stops after the last byte of the message.
 * PARSE_OK: complete, *used says where the next message begins. PARSE_MORE: all was eaten. PARSE_BAD: abort both sides. */
enum parse chunk_feed(struct chunk *c, const char *in, size_t len, size_t *used, char *out, size_t *out_len);
/* Bytes that are plain data from here on, so that a relay may move them past us (splice); chunk_moved() says it did. */
uint64_t chunk_data(const struct chunk *c);
void chunk_moved(struct chunk *c, uint64_t n); /* n <= chunk_data(c) */
