/* How a move gets on, and what became of it. */
#include "control/panel/parts.h"
#include "control/serve/job.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

#define REFRESH_S 3 /* without a script */

static void put_progress(struct visit *v, const json_t *o)
{
	struct html *h = &v->html;
	const json_t *p = json_object_get(o, "progress"), *percent = json_object_get(p, "percent");
	bool queued = strcmp(member_text(o, "state"), "queued") == 0, undo = strcmp(member_text(p, "direction"), "undo") == 0;
	html(h, "<section class=\"card\"><p class=\"lead\" id=\"now\" data-say>");
	SAY(v, queued ? T_WAITS_TURN : undo ? T_UNDOING : *member_text(p, "step") ? step_text(member_text(p, "step")) : T_RUNNING);
	html(h, "</p>");
	if (json_is_number(percent))
		html(h, "<p class=\"much\"><progress id=\"bar\" max=\"100\" value=\"%d\" aria-labelledby=\"now\"></progress> %d %%</p>",
		     (int)json_number_value(percent), (int)json_number_value(percent));
	else
		html(h, "<p class=\"much\"><progress id=\"bar\" aria-labelledby=\"now\"></progress></p>");
	html(h, "<p class=\"hint\" id=\"eta\">");
	if (*member_text(p, "eta")) {
		SAY(v, T_READY_AT);
		html(h, " ");
		put_time(v, member_text(p, "eta"));
	}
	html(h, "</p><p>");
	SAY(v, T_MAY_CLOSE);
	html(h, "</p>");
	if (!json_is_true(json_object_get(o, "may-cancel"))) {
		html(h, "<p class=\"hint\">");
		SAY(v, T_OPERATORS_TO_CANCEL);
		html(h, "</p></section>");
		return;
	}
	html(h, "<form method=\"post\" action=\"/operations/%s/cancel\">", member_text(o, "operation"));
	put_seal(v);
	html(h, "<button id=\"cancel\" aria-describedby=\"cancels\">");
	SAY(v, T_CANCEL);
	html(h, "</button></form><p class=\"hint\" id=\"cancels\">");
	SAY(v, action_of(member_text(o, "command")) == ACT_CHECK ? T_CANCEL_CHECK : T_CANCEL_WHY);
	html(h, "</p></section>");
}

static enum text result_text(json_int_t exit, bool cancelled)
{
	return cancelled             ? T_RESULT_CANCELLED
	       : exit == EXIT_DONE   ? T_RESULT_DONE
	       : exit == EXIT_UNDONE ? T_RESULT_UNDONE
	       : exit == EXIT_STUCK  ? T_RESULT_STUCK
				     : T_NOT_POSSIBLE;
}

static void put_moved(struct visit *v, const json_t *m, bool cancelled)
{
	struct html *h = &v->html;
	const char *name = member_text(m, "account"), *error = member_text(m, "error");
	char seconds[40];
	html(h, "<li><strong>%s</strong> ", name);
	put_side(v, member_text(m, "side"));
	if (json_is_number(json_object_get(m, "seconds")) && !*error) {
		snprintf(seconds, sizeof(seconds), "%.1f s", member_real(m, "seconds"));
		html(h, " · ");
		SAY(v, T_TOOK, seconds);
	}
	html(h, " · <a href=\"/accounts/%s/report\">", name);
	SAY(v, T_EVIDENCE);
	html(h, "</a>");
	if (*error)
		html(h, "<p class=\"%s\">%s</p>", cancelled ? "hint" : "error", error);
	html(h, "</li>");
}

/* By whoever asked for it, not for a fault. One that had not begun is refused, in serve's own words. */
static bool was_cancelled(json_int_t exit, const json_t *answer)
{
	const json_t *m, *moves = json_object_get(answer, "moves");
	size_t i;
	if (exit != EXIT_UNDONE)
		return exit == EXIT_REFUSED && strncmp(member_text(answer, "error"), JOB_WAS_CANCELLED, strlen(JOB_WAS_CANCELLED)) == 0;
	json_array_foreach (moves, i, m) {
		if (*member_text(m, "error") && !strstr(member_text(m, "error"), "interrupted"))
			return false;
	}
	return json_array_size(moves) ? true : strstr(member_text(answer, "error"), "interrupted") != NULL;
}

/* Of a check: how many sections a page has; of the others each account's own page tells. */
#define CHECKED_MAX 200

static void put_checked(struct visit *v, const json_t *o)
{
	const json_t *answer = json_object_get(o, "answer"), *list = json_object_get(answer, "accounts"), *one;
	const char *error = member_text(answer, "error");
	size_t i;
	html(&v->html, "<section id=\"result\"><h2 data-say>");
	SAY(v, T_CHECKED);
	html(&v->html, "</h2><p class=\"lead %s\">", *error ? "error" : "");
	if (*error)
		html(&v->html, "%s", error);
	else
		SAY(v, answer ? T_CHECK_GOOD : T_RESULT_STUCK);
	html(&v->html, "</p></section>");
	json_array_foreach (list, i, one) {
		if (i == CHECKED_MAX)
			break;
		html(&v->html, "<section class=\"card\"><h3>%s</h3>", member_text(one, "account"));
		if (*member_text(one, "why"))
			html(&v->html, "<p class=\"error\">%s</p>", member_text(one, "why"));
		put_findings(v, json_object_get(one, "findings"));
		put_action(v, strcmp(member_text(one, "side"), "transit") == 0 ? ACT_ROLLBACK : ACT_MIGRATE, member_text(one, "account"),
			   false);
		html(&v->html, "</section>");
	}
	if (json_array_size(list) > CHECKED_MAX) {
		char n[24];
		snprintf(n, sizeof(n), "%zu", json_array_size(list) - CHECKED_MAX);
		html(&v->html, "<p>");
		SAY(v, T_MORE_CHECKED, n);
		html(&v->html, "</p>");
	}
}

static void put_result(struct visit *v, const json_t *o)
{
	struct html *h = &v->html;
	const json_t *answer = json_object_get(o, "answer"), *m, *moves = json_object_get(answer, "moves");
	json_int_t exit = member_int(o, "exit");
	bool cancelled = was_cancelled(exit, answer);
	size_t i;
	html(h, "<section class=\"card %s\" id=\"result\"><h2 data-say>", exit == EXIT_DONE ? "good" : cancelled ? "" : "refused");
	SAY(v, result_text(exit, cancelled));
	html(h, "</h2>");
	if (*member_text(answer, "error") && json_array_size(moves) != 1)
		html(h, "<p class=\"why\">%s</p>", member_text(answer, "error"));
	html(h, "<ul class=\"moves\">");
	json_array_foreach (moves, i, m)
		put_moved(v, m, cancelled);
	html(h, "</ul></section>");
}

static void show(struct visit *v)
{
	const json_t *o = visit_data(v, 0);
	bool done = strcmp(member_text(o, "state"), "done") == 0;
	char events[80], of[64];
	int a = action_of(member_text(o, "command"));
	if (v->answers[0].status == 404) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
		return;
	}
	if (visit_error(v, 0)) {
		visit_sorry(v, 503, T_SAID, visit_error(v, 0));
		return;
	}
	size_t n = json_array_size(json_object_get(json_object_get(o, "request"), "accounts"));
	if (n)
		snprintf(of, sizeof(of), "%zu %s", n, text(T_N_ACCOUNTS));
	else
		snprintf(of, sizeof(of), "%s", member_text(o, "account"));
	snprintf(events, sizeof(events), "/operations/%s/events", member_text(o, "operation"));
	enum text title = a == ACT_MIGRATE    ? T_OP_MIGRATE
			  : a == ACT_ROLLBACK ? T_OP_ROLLBACK
			  : a == ACT_RELOCATE ? T_OP_RELOCATE
			  : a == ACT_CHECK    ? T_OP_CHECK
					      : T_OP_OTHER;
	page_begin(v, &(const struct page){.title = title,
					   .of = a < 0 ? member_text(o, "command") : of,
					   .events = done ? NULL : events,
					   .refresh_s = done ? 0 : REFRESH_S});
	html(&v->html, "<div data-live=\"operation\" data-state=\"%s\">", member_text(o, "state"));
	if (done && a == ACT_CHECK)
		put_checked(v, o);
	else if (done)
		put_result(v, o);
	else
		put_progress(v, o);
	html(&v->html, "</div><p class=\"actions\"><a class=\"button\" href=\"/\">");
	SAY(v, T_GO_HOME);
	html(&v->html, "</a></p>");
	put_begun(v, member_text(o, "created"), member_text(o, "token"));
	visit_page(v, 200);
}

void page_operation(struct visit *v)
{
	visit_ask(v, 0, EVHTTP_REQ_GET, NULL, "/v1/operations/%s", v->arg);
	visit_then(v, show);
}

static void show_cancelled(struct visit *v)
{
	if (v->answers[0].status == 404)
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
	else
		visit_redirect(v, "/operations/%s", v->arg);
}

void page_cancel(struct visit *v)
{
	visit_ask(v, 0, EVHTTP_REQ_POST, NULL, "/v1/operations/%s/cancel", v->arg);
	visit_then(v, show_cancelled);
}
