#pragma once
/* utf8 - characters in bytes of strangers (RFC 3629). Pure. */
#include <stddef.h>

/* Bytes of the character at p, of which there are left >= 1: 1 to 4. 0: it is none (cut short, a surrogate, in more bytes than it needs).
 */
size_t utf8_len(const unsigned char *p, size_t left);
/* Of such a character of len bytes: its code point if it is a control one, which a terminal may obey (U+0000-1F, U+7F-9F); else -1. */
int utf8_control(const unsigned char *p, size_t len);
