#include "control/panel/parts.h"

#include "lib/member.h"

#include <stdio.h>
#include <string.h>

/* ---- words ---- */

static const struct {
	const char *word;
	enum text text;
} actions[N_ACTIONS] = {
	[ACT_CHECK] = {"check", T_CHECK},
	[ACT_MIGRATE] = {"migrate", T_MIGRATE},
	[ACT_ROLLBACK] = {"rollback", T_ROLLBACK},
	[ACT_RELOCATE] = {"relocate", T_RELOCATE},
};

const char *action_word(enum action a)
{
	return actions[a].word;
}

int action_of(const char *word)
{
	for (int a = 0; a < N_ACTIONS; a++) {
		if (strcmp(actions[a].word, word) == 0)
			return a;
	}
	return -1;
}

enum text action_text(enum action a)
{
	return actions[a].text;
}

enum text side_text(const char *side)
{
	return strcmp(side, "client") == 0 ? T_CLIENT : strcmp(side, "transit") == 0 ? T_TRANSIT : T_UNKNOWN;
}

enum text step_text(const char *step)
{
	static const struct {
		const char *step;
		enum text text;
	} steps[] = {{"preparing", T_STEP_PREPARING}, {"holding", T_STEP_HOLDING},     {"draining", T_STEP_DRAINING},
		     {"fenced", T_STEP_FENCED},       {"copying", T_STEP_COPYING},     {"sealed", T_STEP_SEALED},
		     {"switched", T_STEP_SWITCHED},   {"published", T_STEP_PUBLISHED}, {"released", T_STEP_RELEASED}};
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (strcmp(steps[i].step, step) == 0)
			return steps[i].text;
	}
	return T_STEP_OTHER;
}

const json_t *of_account(const json_t *list, const char *key, const char *account)
{
	const json_t *o;
	size_t i;
	json_array_foreach (list, i, o) {
		if (strcmp(member_text(o, key), account) == 0)
			return o;
	}
	return NULL;
}

json_t *by_account(const json_t *list, const char *key)
{
	json_t *all = json_object(), *o;
	size_t i;
	json_array_foreach (list, i, o) {
		if (!json_object_get(all, member_text(o, key)))
			json_object_set(all, member_text(o, key), o);
	}
	return all;
}

/* ---- values ---- */

void put_side(struct visit *v, const char *side)
{
	html(&v->html, "<span class=\"side %s\">", side_text(side) == T_UNKNOWN ? "unknown" : side);
	SAY(v, side_text(side));
	html(&v->html, "</span>");
}

void put_gb(struct visit *v, const json_t *account)
{
	const json_t *gb = json_object_get(account, "databases_gb");
	if (json_is_number(gb))
		html(&v->html, "%.1f GB", json_number_value(gb));
	else
		SAY(v, T_NO_SIZE);
}

void put_duration(struct visit *v, double s)
{
	char n[32];
	bool minutes = s >= 90, hours = s >= 5400;
	long long whole = (long long)(hours ? s / 3600 + 0.5 : minutes ? s / 60 + 0.5 : s + 0.999);
	snprintf(n, sizeof(n), "%lld", whole);
	SAY(v, hours ? T_ABOUT_HOURS : minutes ? T_ABOUT_MINUTES : whole <= 1 ? T_ABOUT_A_SECOND : T_ABOUT_SECONDS, n);
}

void put_pause(struct visit *v, const json_t *account)
{
	const json_t *gb = json_object_get(account, "databases_gb");
	if (json_is_number(gb))
		put_duration(v, 60 * json_number_value(gb)); /* a minute for each */
	else
		SAY(v, T_NO_SIZE);
}

void put_seconds(struct visit *v, double s)
{
	char n[32];
	snprintf(n, sizeof(n), s < 10 ? "%.2f" : "%.0f", s);
	SAY(v, T_S, n);
}

/* Minutes are enough for a person; the machine's form has it all. */
void put_time(struct visit *v, const char *t)
{
	if (strlen(t) < 16) {
		html(&v->html, "%s", t);
		return;
	}
	char day[11], minute[6];
	snprintf(day, sizeof(day), "%.10s", t);
	snprintf(minute, sizeof(minute), "%.5s", t + 11);
	html(&v->html, "<time datetime=\"%s\">%s %s UTC</time>", t, day, minute);
}

void put_moment(struct visit *v, const char *t)
{
	if (strlen(t) < 20) {
		html(&v->html, "%s", t);
		return;
	}
	char day[11], rest[16];
	snprintf(day, sizeof(day), "%.10s", t);
	snprintf(rest, sizeof(rest), "%.*s", (int)strcspn(t + 11, "Z"), t + 11);
	html(&v->html, "<time datetime=\"%s\">%s %s UTC</time>", t, day, rest);
}

/* ---- pieces ---- */

void put_begun(struct visit *v, const char *at, const char *by)
{
	html(&v->html, "<p class=\"hint\">");
	SAY(v, T_R_BEGAN);
	html(&v->html, " ");
	put_time(v, at);
	html(&v->html, " ");
	SAY(v, T_BEGUN_BY, by);
	html(&v->html, "</p>");
}

static void put_move(struct visit *v, const json_t *m)
{
	struct html *h = &v->html;
	const json_t *percent = json_object_get(m, "percent");
	int a = action_of(member_text(m, "kind"));
	bool undo = strcmp(member_text(m, "direction"), "undo") == 0;
	html(h, "<li><strong>%s</strong> <span>", member_text(m, "account"));
	SAY(v, a < 0 ? T_MOVING : action_text((enum action)a));
	html(h, "</span> · <span>");
	SAY(v, undo ? T_UNDOING : step_text(member_text(m, "step")));
	html(h, "</span>");
	if (json_is_number(percent)) {
		int p = (int)json_number_value(percent);
		html(h, " <progress max=\"100\" value=\"%d\" aria-label=\"%s\">%d %%</progress> %d %%", p, member_text(m, "account"), p, p);
	}
	if (*member_text(m, "eta")) {
		html(h, " · ");
		SAY(v, T_READY_AT);
		html(h, " ");
		put_time(v, member_text(m, "eta"));
	}
	if (*member_text(m, "reason"))
		html(h, "<p class=\"error\">%s</p>", member_text(m, "reason"));
	html(h, "</li>");
}

void put_moves(struct visit *v, const json_t *moves)
{
	const json_t *m;
	size_t i;
	if (json_array_size(moves) == 0)
		return;
	html(&v->html, "<section class=\"card\" aria-labelledby=\"moving\"><h2 id=\"moving\">");
	SAY(v, T_IN_PROGRESS);
	html(&v->html, "</h2><ul class=\"moves\">");
	json_array_foreach (moves, i, m)
		put_move(v, m);
	html(&v->html, "</ul></section>");
}

void put_findings(struct visit *v, const json_t *findings)
{
	static const struct {
		const char *grade;
		enum text text;
	} grades[] = {{"stop", T_GRADE_STOP}, {"warn", T_GRADE_WARN}, {"inform", T_GRADE_INFORM}};
	struct html *h = &v->html;
	const json_t *f;
	size_t i;
	html(h, "<ul class=\"findings\">");
	json_array_foreach (findings, i, f) {
		size_t g = 0;
		while (g < 2 && strcmp(grades[g].grade, member_text(f, "grade")) != 0)
			g++;
		html(h, "<li class=\"%s\"><span class=\"grade\">", grades[g].grade);
		SAY(v, grades[g].text);
		html(h, "</span> <strong>%s</strong> %s", member_text(f, "name"), member_text(f, "found"));
		if (*member_text(f, "do"))
			html(h, "<p class=\"todo\">%s</p>", member_text(f, "do"));
		html(h, "</li>");
	}
	html(h, "</ul>");
}

static enum text became(const json_t *o)
{
	const char *state = member_text(o, "state");
	json_int_t exit = member_int(o, "exit");
	return strcmp(state, "done") != 0 ? (strcmp(state, "queued") == 0 ? T_QUEUED : T_RUNNING)
	       : exit == EXIT_DONE        ? T_DONE
	       : exit == EXIT_UNDONE      ? T_UNDONE
	       : exit == EXIT_STUCK       ? T_STUCK
					  : T_REFUSED;
}

void put_operations(struct visit *v, const json_t *operations, size_t max)
{
	struct html *h = &v->html;
	const json_t *o;
	size_t i;
	if (json_array_size(operations) == 0)
		return;
	html(h, "<section class=\"card\" aria-labelledby=\"recent\"><h2 id=\"recent\">");
	SAY(v, T_RECENT);
	html(h, "</h2><ul class=\"recent\">");
	json_array_foreach (operations, i, o) {
		int a = action_of(member_text(o, "command"));
		if (i == max)
			break;
		html(h, "<li><a href=\"/operations/%s\">", member_text(o, "operation"));
		if (a >= 0)
			SAY(v, action_text((enum action)a));
		else
			html(h, "%s", member_text(o, "command"));
		html(h, " %s</a> <span>", member_text(o, "account"));
		SAY(v, became(o));
		html(h, "</span> <span class=\"hint\">");
		put_time(v, member_text(o, "created"));
		html(h, " · %s</span></li>", member_text(o, "token"));
	}
	html(h, "</ul></section>");
}

/* Of what is refused most often, what it means for somebody who has no terminal. */
static enum text plainly(const char *why)
{
	static const struct {
		const char *words;
		enum text text;
	} known[] = {{"is being moved", T_WHY_BUSY},
		     {" stuck", T_WHY_STUCK},
		     {"cannot connect", T_WHY_AWAY},
		     {"reinstall", T_WHY_REINSTALL},
		     {"days", T_WHY_TOO_LATE}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strstr(why, known[i].words))
			return known[i].text;
	}
	return T_WHY_OTHER;
}

void put_refusal(struct visit *v, const char *why)
{
	html(&v->html, "<div class=\"card refused\" role=\"alert\"><h2>");
	SAY(v, T_NOT_POSSIBLE);
	html(&v->html, "</h2><p class=\"lead\">");
	SAY(v, plainly(why));
	html(&v->html, "</p><p>");
	SAY(v, T_NOTHING_CHANGED);
	html(&v->html, "</p><details%s><summary>", plainly(why) == T_WHY_OTHER ? " open" : "");
	SAY(v, T_IN_FULL);
	html(&v->html, "</summary><p class=\"hint why\">%s</p></details></div>", why);
}

/* The words are the command's. An owner does not know what a hook is. */
void put_price(struct visit *v, const json_t *price)
{
	static const char copied[] = " A rollback brings back";
	const char *text = member_text(price, "text"), *way_back = strstr(text, " A rollback brings");
	char accepted[4096];
	if (!*text)
		return;
	html(&v->html, "<h3>");
	SAY(v, T_PRICE);
	html(&v->html, "</h3><p class=\"price\">");
	if (v->owner && way_back) {
		snprintf(accepted, sizeof(accepted), "%.*s ", (int)(way_back - text), text);
		html(&v->html, "%s", accepted);
		SAY(v, strncmp(way_back, copied, strlen(copied)) == 0 ? T_PRICE_COPIED : T_PRICE_LOST);
	} else {
		html(&v->html, "%s", text);
	}
	html(&v->html, "</p>");
}

void put_action(struct visit *v, enum action a, const char *account, bool main)
{
	html(&v->html, "<form method=\"post\" action=\"/confirm\">");
	put_seal(v);
	html(&v->html, "<input type=\"hidden\" name=\"account\" value=\"%s\"><button name=\"action\" value=\"%s\" class=\"%s\">", account,
	     action_word(a), main ? "main" : "");
	SAY(v, action_text(a));
	html(&v->html, "</button></form>");
}
