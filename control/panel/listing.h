#pragma once
/* listing - which accounts the server's page shows: what is looked for, and which page of what was found. Pure; of a stranger's query.
 * Ownership: a listing holds no memory but its own. Errors: none; what a query says wrongly is as if it did not say it, and a page that
 * there is not is the nearest that there is.
 * Units: pages count from 1, rows from 0. */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define LISTING_ROWS      200                    /* of a page */
#define LISTING_FIND      255                    /* characters of a text to look for */
#define LISTING_FIND_MAX  (4 * LISTING_FIND + 1) /* bytes */
#define LISTING_QUERY_MAX (3 * LISTING_FIND_MAX + 100)

struct listing {
	char find[LISTING_FIND_MAX]; /* UTF-8; "": anything */
	const char *side;            /* "client" or "transit", static; "": both */
	long long page, n_pages;     /* 1 <= page <= n_pages, after listing_turn() */
	size_t n;                    /* accounts that were found */
	size_t first, end;           /* of these on the page: first <= i < end */
};

/* query: what follows the ? of the request, as it came ("find=bob&side=client&page=2"); NULL: nothing. Of what is there twice the first
 * counts. find is trimmed; it is "" where it is longer than LISTING_FIND, holds a NUL, or is not UTF-8. */
void listing_read(struct listing *l, const char *query);
bool listing_is_whole(const struct listing *l); /* nothing is looked for */

/* account: an object with name, side and domains (lower case, ASCII). Letters of ASCII match in either case. */
bool listing_has(const struct listing *l, const json_t *account);
/* The domain by which it was found, or its first; "": it has none. Borrowed. */
const char *listing_domain(const struct listing *l, const json_t *account);

void listing_turn(struct listing *l, size_t n); /* to the page asked for, of n accounts that were found */
/* Those of accounts that are on the page, in their order, and turns to it. New; NULL: out of memory. */
json_t *listing_rows(struct listing *l, const json_t *accounts);

/* That page of the same search: "?find=bob&page=2", of letters, digits and -._~%?&= alone; "": the first of all. */
void listing_query(const struct listing *l, long long page, char out[LISTING_QUERY_MAX]);
