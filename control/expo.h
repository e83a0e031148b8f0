#pragma once
/* expo - metrics as text, in the exposition format 0.0.4 of Prometheus: families, each with its HELP and TYPE, and their samples.
 * A family's lines must follow each other: expo_family() begins one, the samples behind it are its own. One without samples is left out.
 * Names are ours: lower case with base units (_seconds, _bytes), _total for what only grows. Label values are escaped, and what is no UTF-8
 * in them becomes U+FFFD. Numbers are written so that they read back as they were. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct expo {
	FILE *to; /* borrowed */
	const char *name, *type, *help;
	bool said; /* HELP and TYPE of this family are written */
};

enum expo_type { EXPO_GAUGE, EXPO_COUNTER, EXPO_HISTOGRAM };
void expo_family(struct expo *e, const char *name, enum expo_type type, const char *help); /* all static */

struct expo_label {
	const char *name, *value; /* NULL ends the list; a value may be any bytes */
};
void expo_sample(struct expo *e, const struct expo_label *labels, double value); /* labels: up to one without a name; NULL: none */
/* A family of one sample without labels. */
void expo_one(struct expo *e, const char *name, enum expo_type type, const char *help, double value);

#define EXPO_BOUNDS_MAX 24
struct expo_histogram {
	const double *bounds;               /* upper ends, each included, ascending; borrowed */
	size_t n;                           /* of bounds */
	double counts[EXPO_BOUNDS_MAX + 1]; /* by class; the last one is above all bounds */
	double sum;
};
void expo_observe(struct expo_histogram *h, double value);
void expo_histogram(struct expo *e, const struct expo_label *labels, const struct expo_histogram *h); /* _bucket, _sum, _count */

#define EXPO_LABELS(...) ((const struct expo_label[]){__VA_ARGS__, {0}})
