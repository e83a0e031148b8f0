#pragma once
/* html - writes a page. Whatever is not a literal of ours is escaped, by construction: there is no way to put a value in without it.
 * A value may stand between tags and in an attribute within quotes, nowhere else: not in a script, not in a style, not as a whole URL.
 * Ownership: html_done() frees. Errors: out of memory is remembered; html_text() is NULL then. */
#include "control/panel/text.h"

#include <stdbool.h>
#include <stddef.h>

struct html {
	char *text; /* NUL at the end; NULL: nothing yet */
	size_t len, cap;
	bool lost;
};
/* fmt: markup, with %s (escaped; NULL is nothing), %d, %lld, %.1f and %% */
void html(struct html *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A text of the catalogue, escaped as a whole; its %s are values. */
void html_say(struct html *h, enum text t, ...);
void html_done(struct html *h);
