#pragma once
/* top - one look at the accounts with traffic (proxy/control.h, "top") as numbers per second, and as a table for people.
 * Pure. Units: per second where it says so. Ownership: json_t are returned new. */
#include <jansson.h>
#include <stdio.h>

#define TOP_INTERVAL_MIN_MS 500  /* below it a rate says little */
#define TOP_INTERVAL_MAX_MS 3000 /* above it, little of now */

struct top_order {
	char key;         /* on a terminal */
	const char *word; /* for the proxy */
};
const struct top_order *top_order(char key); /* NULL: that key is no order; '\0': the first one */

/* Members "interval-s", "active", "left-out", "total" and "accounts", each with "requests-per-second", "bytes-up-per-second",
 * "bytes-down-per-second", "errors-per-second", "refused-per-second", "waiting" and "in-flight". */
json_t *top_rates(const json_t *answer);
/* The table: a line of headings, that of all, and one per account, most lines at most. by: the order, marked in the headings. */
void top_table(const json_t *rates, const struct top_order *by, size_t most, FILE *to);
