#include "control/top.h"

#include "lib/member.h"

#include <stdbool.h>
#include <string.h>

static const struct top_order orders[] = {{'r', "requests"}, {'b', "bytes"}, {'e', "errors"}, {'w', "waiting"}, {'f', "flows"}};

const struct top_order *top_order(char key)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		if (!key || orders[i].key == key)
			return &orders[i];
	}
	return NULL;
}

/* ---- rates ---- */

static const struct {
	const char *count, *rate;
} rated[] = {{"requests", "requests-per-second"},
	     {"bytes-up", "bytes-up-per-second"},
	     {"bytes-down", "bytes-down-per-second"},
	     {"errors", "errors-per-second"},
	     {"refused", "refused-per-second"}};

static json_t *rates_of(const json_t *counts, double seconds)
{
	json_t *o = json_object();
	for (size_t i = 0; i < sizeof(rated) / sizeof(*rated); i++)
		json_object_set_new(o, rated[i].rate, json_real(member_real(counts, rated[i].count) / seconds));
	json_object_set(o, "in-flight", json_object_get(counts, "flows"));
	json_object_set(o, "waiting", json_object_get(counts, "parked"));
	return o;
}

json_t *top_rates(const json_t *answer)
{
	static const char *const kept[] = {"name", "side", "gate"};
	double seconds = member_real(answer, "interval-ms") / 1000;
	json_t *list = json_array(), *row;
	size_t i;
	seconds = seconds > 0 ? seconds : 1;
	json_array_foreach (json_object_get(answer, "accounts"), i, row) {
		json_t *o = rates_of(row, seconds);
		for (size_t k = 0; k < sizeof(kept) / sizeof(*kept); k++)
			json_object_set(o, kept[k], json_object_get(row, kept[k]));
		json_array_append_new(list, o);
	}
	return json_pack("{s:f, s:O, s:O, s:o, s:o}", "interval-s", seconds, "active", json_object_get(answer, "active"), "left-out",
			 json_object_get(answer, "left-out"), "total", rates_of(json_object_get(answer, "total"), seconds), "accounts",
			 list);
}

/* ---- for people ---- */

#define CELL      12
#define NAME_WIDE 16
#define NOBODY    "(no account)"

/* "0", "0.4", "37", "1.2k", "35M"; whole: "4", not "4.0" */
static const char *amount(double v, bool whole, char out[CELL])
{
	static const char units[] = " kMGT";
	size_t u = 0;
	while (v >= 999.5 && u + 2 < sizeof(units)) {
		v /= 1000;
		u++;
	}
	snprintf(out, CELL, v > 0 && v < 9.95 && !(whole && !u) ? "%.1f" : "%.0f", v);
	if (u)
		strncat(out, (const char[]){units[u], '\0'}, CELL - 1 - strlen(out));
	return out;
}

static void line(FILE *to, int wide, const char *name, const char *side, const char *gate, const json_t *o)
{
	char c[7][CELL];
	fprintf(to, "%-*s %-7s %-6s %6s %6s %6s %6s %6s %6s %6s\n", wide, name, side, gate,
		amount(member_real(o, "requests-per-second"), false, c[0]), amount(member_real(o, "bytes-up-per-second"), false, c[1]),
		amount(member_real(o, "bytes-down-per-second"), false, c[2]), amount(member_real(o, "errors-per-second"), false, c[3]),
		amount(member_real(o, "refused-per-second"), false, c[4]), amount(member_real(o, "waiting"), true, c[5]),
		amount(member_real(o, "in-flight"), true, c[6]));
}

static const char *mark(const struct top_order *by, const char *word, const char *marked, const char *plain)
{
	return strcmp(by->word, word) == 0 ? marked : plain;
}

/* Of the names that are shown; so narrow that all numbers have their place on a screen of 80. */
static int name_width(const json_t *list, size_t most)
{
	size_t i, wide = NAME_WIDE;
	json_t *o;
	json_array_foreach (list, i, o) {
		size_t len = strlen(member_text_or(o, "name", NOBODY));
		if (i + 2 >= most)
			break;
		wide = len > wide ? len : wide;
	}
	return (int)wide;
}

void top_table(const json_t *rates, const struct top_order *by, size_t most, FILE *to)
{
	const json_t *list = json_object_get(rates, "accounts");
	char all[40];
	size_t i;
	json_t *o;
	int wide = name_width(list, most);
	fprintf(to, "%-*s %-7s %-6s %6s %6s %6s %6s %6s %6s %6s\n", wide, "account", "side", "gate",
		mark(by, "requests", ">req/s", "req/s"), mark(by, "bytes", ">upB/s", "up B/s"), mark(by, "bytes", ">dnB/s", "dn B/s"),
		mark(by, "errors", ">err/s", "err/s"), mark(by, "errors", ">ref/s", "ref/s"), mark(by, "waiting", ">wait", "wait"),
		mark(by, "flows", ">fly", "fly"));
	snprintf(all, sizeof(all), "(all %.0f)", member_real(rates, "active"));
	line(to, wide, all, "", "", json_object_get(rates, "total"));
	json_array_foreach (list, i, o) {
		if (i + 2 >= most)
			break;
		line(to, wide, member_text_or(o, "name", NOBODY), member_text_or(o, "side", "?"), member_text_or(o, "gate", "?"), o);
	}
}
