#pragma once
/* slice - borrowed bytes, not NUL-terminated; and what every parser of ours answers. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum parse {
	PARSE_OK,   /* complete */
	PARSE_MORE, /* good so far, not complete */
	PARSE_BAD   /* no continuation can make it good */
};

struct slice {
	const char *p;
	size_t len;
};

static inline struct slice slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static inline bool slice_is(struct slice s, const char *text)
{
	size_t len = strlen(text);
	return s.len == len && (len == 0 || memcmp(s.p, text, len) == 0);
}
