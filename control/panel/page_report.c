/* The evidence: what became of an account's moves, step by step. */
#include "control/panel/parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

static void put_count(struct visit *v, const json_t *visitors, const char *key, enum text label)
{
	const json_t *n = json_object_get(visitors, key);
	if (!json_is_integer(n))
		return;
	html(&v->html, "<div><dt>");
	SAY(v, label);
	html(&v->html, "</dt><dd>%lld</dd></div>", (long long)json_integer_value(n));
}

static void put_wait(struct visit *v, const json_t *visitors, const char *key, enum text label)
{
	const json_t *ms = json_object_get(visitors, key);
	if (!json_is_number(ms))
		return;
	html(&v->html, "<div><dt>");
	SAY(v, label);
	html(&v->html, "</dt><dd>");
	put_seconds(v, json_number_value(ms) / 1000);
	html(&v->html, "</dd></div>");
}

static void put_when(struct visit *v, const json_t *visitors, const char *key, enum text label)
{
	if (!*member_text(visitors, key))
		return;
	html(&v->html, "<div><dt>");
	SAY(v, label);
	html(&v->html, "</dt><dd>");
	put_moment(v, member_text(visitors, key));
	html(&v->html, "</dd></div>");
}

static void put_visitors(struct visit *v, const json_t *visitors)
{
	html(&v->html, "<dl class=\"facts\">");
	put_wait(v, visitors, "hold-ms", T_R_HOLD);
	put_count(v, visitors, "waited", T_R_WAITED);
	put_wait(v, visitors, "longest-wait-ms", T_R_LONGEST);
	put_count(v, visitors, "cut", T_R_CUT);
	put_count(v, visitors, "refused", T_R_REFUSED);
	put_when(v, visitors, "last-byte-old", T_R_LAST);
	put_when(v, visitors, "first-byte-new", T_R_FIRST);
	html(&v->html, "</dl>");
}

/* In plain words for everybody, with the command's below for who knows them. */
static void put_step(struct visit *v, const json_t *s)
{
	struct html *h = &v->html;
	enum text words = step_text(member_text(s, "step"));
	html(h, "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">");
	if (json_is_true(json_object_get(s, "undo"))) {
		SAY(v, T_R_UNDO);
		html(h, " ");
	}
	SAY(v, words == T_STEP_COPYING ? T_R_STEP_COPYING : words);
	if (!v->owner)
		html(h, "<span class=\"hint domains\">%s</span>", member_text(s, "step"));
	html(h, "</th><td role=\"cell\" data-label=\"%s\">", text(T_R_BEGAN));
	put_moment(v, member_text(s, "began"));
	html(h, "</td><td role=\"cell\" data-label=\"%s\">", text(T_R_TOOK));
	if (json_is_number(json_object_get(s, "ms")))
		put_seconds(v, member_real(s, "ms") / 1000);
	html(h, "</td><td role=\"cell\" data-label=\"%s\">%s %s</td></tr>", text(T_R_RESULT), member_text(s, "result"),
	     member_text(s, "error"));
}

static void put_steps(struct visit *v, const json_t *steps)
{
	struct html *h = &v->html;
	const json_t *s;
	size_t i;
	html(h, "<table role=\"table\"><caption>");
	SAY(v, T_R_STEPS);
	html(h, "</caption><thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\" scope=\"col\">");
	SAY(v, T_STEP);
	html(h, "</th><th role=\"columnheader\" scope=\"col\">");
	SAY(v, T_R_BEGAN);
	html(h, "</th><th role=\"columnheader\" scope=\"col\">");
	SAY(v, T_R_TOOK);
	html(h, "</th><th role=\"columnheader\" scope=\"col\">");
	SAY(v, T_R_RESULT);
	html(h, "</th></tr></thead><tbody role=\"rowgroup\">");
	json_array_foreach (steps, i, s)
		put_step(v, s);
	html(h, "</tbody></table>");
}

static void put_report(struct visit *v, const json_t *r)
{
	int a = action_of(member_text(r, "kind"));
	html(&v->html, "<section class=\"card\"><h2>");
	SAY(v, a < 0 ? T_MOVING : action_text((enum action)a));
	html(&v->html, " · %s</h2>", member_text(r, "state"));
	put_begun(v, member_text(r, "began"), member_text(r, "by"));
	if (*member_text(r, "reason"))
		html(&v->html, "<p class=\"error\">%s</p>", member_text(r, "reason"));
	put_visitors(v, json_object_get(r, "visitors"));
	put_steps(v, json_object_get(r, "steps"));
	html(&v->html, "</section>");
}

static void show(struct visit *v)
{
	const json_t *data = visit_data(v, 0), *r;
	size_t i;
	if (v->answers[0].status == 404) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
		return;
	}
	page_begin(v, &(const struct page){.title = T_EVIDENCE_OF, .of = v->arg});
	if (visit_error(v, 0))
		html(&v->html, "<p class=\"card\">%s</p>", visit_error(v, 0));
	else
		html(&v->html, "<p>%s</p>", text(json_is_false(json_object_get(data, "unbroken")) ? T_R_BROKEN : T_R_CHAIN));
	json_array_foreach (json_object_get(data, "reports"), i, r)
		put_report(v, r);
	html(&v->html, "<p><a class=\"button\" href=\"/accounts/%s\">%s</a></p>", v->arg, text(T_GO_HOME));
	visit_page(v, 200);
}

void page_report(struct visit *v)
{
	visit_ask(v, 0, EVHTTP_REQ_GET, NULL, "/v1/accounts/%s/report", v->arg);
	visit_then(v, show);
}
