#include "control/expo.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *type_word(enum expo_type t)
{
	switch (t) {
	case EXPO_GAUGE:
		return "gauge";
	case EXPO_COUNTER:
		return "counter";
	case EXPO_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

void expo_family(struct expo *e, const char *name, enum expo_type type, const char *help)
{
	e->name = name;
	e->type = type_word(type);
	e->help = help;
	e->said = false;
}

static void say_family(struct expo *e)
{
	if (e->said)
		return;
	fprintf(e->to, "# HELP %s ", e->name);
	for (const char *p = e->help; *p; p++) {
		if (*p == '\\' || *p == '\n')
			fputs(*p == '\n' ? "\\n" : "\\\\", e->to);
		else
			fputc(*p, e->to);
	}
	fprintf(e->to, "\n# TYPE %s %s\n", e->name, e->type);
	e->said = true;
}

/* Is p[0..n) one character of UTF-8? Jansson knows. */
static bool is_character(const char *p, size_t n)
{
	json_t *s = json_stringn(p, n);
	bool ok = s != NULL;
	json_decref(s);
	return ok;
}

static void put_value(FILE *f, const char *p)
{
	size_t left = strlen(p);
	while (left) {
		size_t n = 1;
		if ((unsigned char)*p >= 0x80) {
			for (n = 2; n <= 4 && n <= left && !is_character(p, n); n++)
				;
			if (n > 4 || n > left)
				n = 0;
		}
		if (n == 0)
			fputs("\xef\xbf\xbd", f);
		else if (*p == '\\' || *p == '"' || *p == '\n')
			fprintf(f, "\\%c", *p == '\n' ? 'n' : *p);
		else
			fwrite(p, 1, n, f);
		n = n ? n : 1;
		p += n;
		left -= n;
	}
}

static void put_number(FILE *f, double v)
{
	char text[40];
	if (isnan(v))
		fputs("NaN", f);
	else if (isinf(v))
		fputs(v > 0 ? "+Inf" : "-Inf", f);
	else if (fabs(v) < 9e15 && v == trunc(v))
		fprintf(f, "%.0f", v);
	else {
		for (int digits = 15; digits <= 17; digits++) {
			snprintf(text, sizeof(text), "%.*g", digits, v);
			if (strtod(text, NULL) == v)
				break;
		}
		fputs(text, f);
	}
}

static void put_sample(struct expo *e, const char *suffix, const struct expo_label *labels, const char *le, double value)
{
	const char *between = "{";
	say_family(e);
	fprintf(e->to, "%s%s", e->name, suffix);
	for (; labels && labels->name; labels++) {
		fprintf(e->to, "%s%s=\"", between, labels->name);
		put_value(e->to, labels->value ? labels->value : "");
		fputc('"', e->to);
		between = ",";
	}
	if (le)
		fprintf(e->to, "%sle=\"%s\"", between, le);
	fputs(le || *between == ',' ? "} " : " ", e->to);
	put_number(e->to, value);
	fputc('\n', e->to);
}

void expo_sample(struct expo *e, const struct expo_label *labels, double value)
{
	put_sample(e, "", labels, NULL, value);
}

void expo_one(struct expo *e, const char *name, enum expo_type type, const char *help, double value)
{
	expo_family(e, name, type, help);
	expo_sample(e, NULL, value);
}

void expo_observe(struct expo_histogram *h, double value)
{
	size_t i = 0;
	while (i < h->n && value > h->bounds[i])
		i++;
	h->counts[i]++;
	h->sum += value;
}

void expo_histogram(struct expo *e, const struct expo_label *labels, const struct expo_histogram *h)
{
	double count = 0;
	char le[32];
	assert(h->n <= EXPO_BOUNDS_MAX);
	for (size_t i = 0; i < h->n; i++) {
		count += h->counts[i];
		snprintf(le, sizeof(le), "%g", h->bounds[i]);
		put_sample(e, "_bucket", labels, le, count);
	}
	count += h->counts[h->n];
	put_sample(e, "_bucket", labels, "+Inf", count);
	put_sample(e, "_sum", labels, NULL, h->sum);
	put_sample(e, "_count", labels, NULL, count);
}
