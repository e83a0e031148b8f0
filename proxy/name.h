#pragma once
/* name - a host name as a Host field or a ClientHello carries it, brought to the one form the table knows.
 * Letters, digits, '-', '_' and '.', no empty label, at most 253 bytes; one trailing dot goes. A-labels are compared as they are
 * (they are case-blind ASCII); U-labels and escapes are no names. Pure. */
#include <stddef.h>

#define NAME_BYTES 256 /* room for a name and its NUL */

/* Writes p[0..len) to out in lower case, with a NUL. Returns its length; 0: no name, out is "". */
size_t name_canon(char out[NAME_BYTES], const char *p, size_t len);
