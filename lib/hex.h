#pragma once
/* hex - bytes as lower-case hexadecimal text, and what is most often written so: a SHA-256, random bits.
 * Lengths: digits, without the NUL that always follows. Threads: any. */
#include "lib/err.h"

#include <stddef.h>

#define HEX_SHA256_MAX 65 /* with the NUL */

void hex_text(const void *bytes, size_t len, char *out); /* 2 * len digits */
void hex_sha256(const void *bytes, size_t len, char out[HEX_SHA256_MAX]);
/* Of the kernel's random bits. digits: even, 128 at the most. -errno: out is not to be used. */
int hex_random(char *out, size_t digits, struct err *err);
