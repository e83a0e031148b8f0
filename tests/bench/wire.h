#pragma once
/* wire - what the load generator and the back end of the benchmark say to each other.
 * TLS-shaped traffic without cryptography, so that the two ends do not drown the proxy between them: a ClientHello as OpenSSL
 * makes it, a server flight of a certificate's size, then records. A request carries the size of the reply it wants in its first
 * bytes. The mark of the side that answered is the first byte of the flight's body and of an HTTP body: the load generator
 * checks it, so a proxy that routes wrongly measures nothing.
 * Account n is "a<n>.bench.example", on the client side if n is even, on the transit side if it is odd. */
#include <stdint.h>
#include <string.h>

#define HELLO_LEN    517
#define FLIGHT_LEN   1300
#define REQUEST_LEN  290
#define BODY_LEN     1024
#define RECORD_HEAD  5
#define NAME_PATTERN "a%u.bench.example"

static inline char wire_mark(unsigned side)
{
	return side ? 't' : 'c';
}

static inline void wire_record(unsigned char *at, unsigned char type, size_t body_len)
{
	at[0] = type;
	at[1] = 3;
	at[2] = 3;
	at[3] = (unsigned char)(body_len >> 8);
	at[4] = (unsigned char)body_len;
}

static inline void wire_put_size(unsigned char *request, uint64_t reply_len)
{
	memcpy(request + RECORD_HEAD, &reply_len, sizeof(reply_len));
}

static inline uint64_t wire_get_size(const unsigned char *request)
{
	uint64_t reply_len;
	memcpy(&reply_len, request + RECORD_HEAD, sizeof(reply_len));
	return reply_len;
}
