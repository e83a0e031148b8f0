#pragma once
/* crcline - a line of a text file that shows when it is not as it was written: a CRC32c in 8 hexadecimal digits, a space, a JSON object, a
 * newline. The check sum goes on from the line before, so that a line that is missing, doubled or elsewhere is found as well.
 * Lengths are of a line without its newline, but for crcline_of(). Pure. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CRCLINE_DIGITS 8

/* Takes o. Returns new, with newline and NUL; NULL: no memory, or o was. *crc is of the line before (0: none), then of this one. */
char *crcline_of(json_t *o, uint32_t *crc, size_t *len);
/* Whether a line bears the check sum it should; before: of the line before. *crc: of this one. */
bool crcline_is_right(const char *line, size_t len, uint32_t before, uint32_t *crc);
json_t *crcline_object(const char *line, size_t len); /* its object, unchecked; new. NULL: there is none */
