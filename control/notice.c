#include "control/notice.h"

#include "control/app.h"
#include "control/status.h"
#include "lib/clock.h"
#include "lib/member.h"
#include "lib/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_MS      1000
#define STEP_EVERY_MS 60000 /* what is left of days changes slowly */
#define OLD_MS        5000  /* from then on it is said how old it is */
#define LINES_MAX     300

/* ---- telling ---- */

/* What a part of status says, its lines as "lines". Returns new; NULL: no memory. */
static json_t *heard(struct app *a, void (*part)(struct app *a))
{
	struct out ours = a->out;
	char *text = NULL, *rest;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	out_init(&a->out, false);
	a->out.to = f;
	part(a);
	fclose(f);
	json_t *o = a->out.object, *lines = json_array();
	a->out = ours;
	for (char *l = text ? strtok_r(text, "\n", &rest) : NULL; l && json_array_size(lines) < LINES_MAX; l = strtok_r(NULL, "\n", &rest))
		json_array_append_new(lines, json_string(l));
	free(text);
	json_object_set_new(o, "lines", lines);
	return o;
}

/* A state that somebody writes to for long tells nothing, which is not to be told as nothing. */
static bool is_readable(struct app *a)
{
	struct move_rows open = {0};
	int64_t at;
	int rc = journal_clock(a->db, "start", &at, NULL);
	if (rc < 0 && rc != -ENOENT)
		return false;
	rc = journal_moves_open(a->db, NULL, &open, NULL);
	move_rows_done(&open);
	return rc == 0;
}

static json_t *notice_of(struct app *a, const char *all)
{
	struct notice *n = &a->notice;
	if (!is_readable(a))
		return NULL;
	if (n->step && mono_ms() - n->step_at > STEP_EVERY_MS) {
		json_decref(n->step);
		n->step = NULL;
	}
	if (!n->step) {
		n->step = heard(a, status_step);
		n->step_at = mono_ms();
	}
	json_t *o = heard(a, status_moving), *lines = json_array();
	if (!n->step || !o || !lines) {
		json_decref(o);
		json_decref(lines);
		return NULL;
	}
	json_array_extend(lines, json_object_get(n->step, "lines"));
	json_array_extend(lines, json_object_get(o, "lines"));
	if (all) {
		char line[200];
		snprintf(line, sizeof(line), "%-10s %s", "in all", all);
		json_array_append_new(lines, json_string(line));
		json_object_set_new(o, "batch", json_string(all));
	}
	json_object_update_missing(o, n->step);
	json_object_set_new(o, "lines", lines);
	json_object_set_new(o, "host", json_string(a->who.host));
	return o;
}

void notice_tick(struct app *a, const char *all)
{
	struct notice *n = &a->notice;
	int64_t began = mono_ms();
	if (n->told_by_other || !a->db || !a->proxy || !a->proxy->connected || began < n->next)
		return;
	json_t *said = notice_of(a, all);
	if (said)
		n->told = proxylink_tell(a->proxy, "notice", json_pack("{s:o}", "said", said), NULL) == 0 || n->told;
	notice_rest(n, began);
}

void notice_rest(struct notice *n, int64_t began)
{
	int64_t now = mono_ms(), next = now + EVERY_MS + 10 * (now - began); /* a long line or a dead host is not to take our time */
	if (next > n->next)
		n->next = next;
}

static void connect_once(struct proxylink *l)
{
	int patience = l->patience_ms;
	l->patience_ms = 0;
	proxylink_ask(l, "hello", NULL, 2000, NULL, NULL);
	l->patience_ms = patience;
}

void notice_end(struct app *a)
{
	if (a->notice.told_by_other || !a->proxy)
		return;
	if (a->notice.told && !a->proxy->connected)
		connect_once(a->proxy);
	notice_done(&a->notice);
	if (a->proxy->connected)
		notice_tick(a, NULL);
}

void notice_done(struct notice *n)
{
	json_decref(n->step);
	*n = (struct notice){0};
}

/* ---- showing ---- */

/* It came from another host: nothing in it may move the cursor. */
static void say(struct app *a, const char *line)
{
	char plain[900];
	size_t n = 0, left = strlen(line);
	for (const unsigned char *p = (const unsigned char *)line; left && n + 4 < sizeof(plain);) {
		size_t len = utf8_len(p, left);
		if (len == 0 || utf8_control(p, len) >= 0) {
			plain[n++] = '?';
			len = len ? len : 1;
		} else {
			memcpy(plain + n, p, len);
			n += len;
		}
		p += len;
		left -= len;
	}
	plain[n] = '\0';
	out_line(&a->out, "%s", plain);
}

bool notice_show(struct app *a, const json_t *status)
{
	const json_t *notice = json_object_get(status, "notice"), *said = json_object_get(notice, "said");
	int64_t age = member_int(notice, "age-ms");
	char line[300], ago[32];
	size_t i;
	json_t *l;
	if (!json_is_object(said))
		return false;
	snprintf(line, sizeof(line), "%-10s on %s", "controller", member_text(said, "host"));
	if (age >= OLD_MS)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), ", as it was %s ago", progress_duration(age / 1000, ago));
	say(a, line);
	json_array_foreach (json_object_get(said, "lines"), i, l)
		say(a, json_is_string(l) ? json_string_value(l) : "");
	json_t *o = json_copy((json_t *)said);
	json_object_set_new(o, "age-ms", json_integer(age));
	const char *key;
	json_object_foreach (o, key, l) /* the same members as where the state is */
		if (strcmp(key, "lines") && strcmp(key, "host") && strcmp(key, "age-ms") && strcmp(key, "batch"))
			out_set(&a->out, key, json_incref(l));
	out_set(&a->out, "controller", o);
	return true;
}

void notice_show_moves(struct app *a, const json_t *status, const char *account, json_t *o)
{
	const json_t *said = json_object_get(json_object_get(status, "notice"), "said");
	json_t *list = json_array(), *m;
	size_t i;
	json_array_foreach (json_object_get(said, "moves"), i, m) {
		const json_t *percent = json_object_get(m, "percent");
		char line[300], much[32] = "";
		if (strcmp(member_text(m, "account"), account) != 0)
			continue;
		if (json_is_number(percent))
			snprintf(much, sizeof(much), ", %.0f %%", json_number_value(percent));
		snprintf(line, sizeof(line), "%-10s %s -> %s, at %s%s%s", member_text(m, "state"), member_text(m, "from"),
			 member_text(m, "to"), strcmp(member_text(m, "direction"), "undo") == 0 ? "undoing " : "", member_text(m, "step"),
			 much);
		say(a, line);
		json_array_append(list, m);
	}
	json_object_set_new(o, "moves", list);
}
