#pragma once
/* outline - what of a page says which page it is: its title, the order of its tags, its words; so that two servers' answers can be compared
 * by a few bytes of each. What changes with every request has no part in it: comments, scripts, style sheets, attributes (nonces, tokens,
 * session ids and addresses of assets are there), and of the words those with a digit, names of days and months, and what looks like a
 * token (longer than 24 bytes, or with upper case inside).
 * tags and words are similarity hashes (Charikar's simhash): pages that differ a little differ in few of the 64 bits.
 * Pure: no I/O, no allocation; the page may be anything. Its time is linear. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTLINE_TITLE_MAX 200

struct outline {
	char title[OUTLINE_TITLE_MAX + 1]; /* UTF-8 without control characters, white space as single blanks; "" where there is none */
	uint64_t tags, words;              /* tags: of each three that follow each other */
	unsigned n_tags, n_words;          /* 0: the hash says nothing */
};

/* markup: it is HTML or XML; else it is all words. */
void outline_of(struct outline *out, const char *page, size_t len, bool markup);
unsigned outline_distance(uint64_t a, uint64_t b); /* bits that differ: 0 the same, about 32 nothing in common */

/* What a stranger sent, fit for a line of text: printable ASCII and whole UTF-8 characters, others as '?'. Cut at cap. Returns out. */
char *outline_text(char *out, size_t cap, const char *bytes, size_t len);
