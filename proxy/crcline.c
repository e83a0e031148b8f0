#include "proxy/crcline.h"

#include "proxy/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE (CRCLINE_DIGITS + 1) /* bytes before the object */

char *crcline_of(json_t *o, uint32_t *crc, size_t *len)
{
	char *json = o ? json_dumps(o, JSON_COMPACT) : NULL, *line = NULL;

	json_decref(o);
	if (json) {
		size_t n = strlen(json);

		line = malloc(BEFORE + n + 2);
		*crc = crc32c_more(*crc, json, n);
		if (line)
			*len = (size_t)sprintf(line, "%08x %s\n", *crc, json);
	}
	free(json);
	return line;
}

bool crcline_is_right(const char *line, size_t len, uint32_t before, uint32_t *crc)
{
	char digits[CRCLINE_DIGITS + 1];

	if (len < BEFORE)
		return false;
	*crc = crc32c_more(before, line + BEFORE, len - BEFORE);
	snprintf(digits, sizeof digits, "%08x", *crc);
	return line[CRCLINE_DIGITS] == ' ' && memcmp(digits, line, CRCLINE_DIGITS) == 0;
}

json_t *crcline_object(const char *line, size_t len)
{
	json_t *o = len > BEFORE ? json_loadb(line + BEFORE, len - BEFORE, JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}
