/* The page of one account, in plain words: for its owner, who never saw a terminal, and for the operator. */
#include "control/panel/parts.h"
#include "control/panel/picture.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

enum { ASK_STATUS, ASK_SHOW, ASK_CHECK, ASK_OPERATIONS };

static void put_where(struct visit *v, const json_t *account)
{
	const char *side = member_text(account, "side");
	bool there = strcmp(side, "transit") == 0;
	html(&v->html, "<section class=\"card\" aria-labelledby=\"where\"><h2 id=\"where\">");
	SAY(v, T_WHERE);
	html(&v->html, "</h2><p class=\"lead\">");
	SAY(v, there ? T_LIVES_TRANSIT : strcmp(side, "client") == 0 ? T_LIVES_CLIENT : T_LIVES_UNKNOWN);
	html(&v->html, "</p><p class=\"hint\">");
	SAY(v, T_SINCE);
	html(&v->html, " ");
	put_time(v, member_text(account, "since"));
	html(&v->html, "</p>");
	if (*member_text(account, "rollback-until")) {
		html(&v->html, "<p>");
		SAY(v, T_BACK_UNTIL);
		html(&v->html, " ");
		put_time(v, member_text(account, "rollback-until"));
		html(&v->html, "</p>");
	}
	html(&v->html, "</section>");
}

static void put_next(struct visit *v, const json_t *account, const json_t *show)
{
	const char *name = member_text(account, "name");
	bool there = strcmp(member_text(account, "side"), "transit") == 0, back = *member_text(account, "rollback-until");
	html(&v->html, "<section class=\"card\" aria-labelledby=\"next\"><h2 id=\"next\">");
	SAY(v, T_NEXT);
	html(&v->html, "</h2><p>");
	SAY(v, !there ? T_NEXT_MIGRATE : back ? T_NEXT_ROLLBACK : T_NEXT_RELOCATE);
	html(&v->html, "</p><dl class=\"facts\"><div><dt>");
	SAY(v, T_SIZE);
	html(&v->html, "</dt><dd>");
	put_gb(v, show);
	html(&v->html, "</dd></div><div><dt>");
	SAY(v, T_PAUSE);
	html(&v->html, "</dt><dd>");
	put_pause(v, show);
	html(&v->html, "</dd></div></dl>");
	if (there)
		put_price(v, json_object_get(account, "price"));
	html(&v->html, "<div class=\"actions\">");
	put_action(v, !there ? ACT_MIGRATE : back ? ACT_ROLLBACK : ACT_RELOCATE, name, !there || !back);
	put_action(v, ACT_CHECK, name, false);
	html(&v->html, "<a class=\"button\" href=\"/accounts/%s/report\">", name);
	SAY(v, T_EVIDENCE);
	html(&v->html, "</a></div></section>");
}

static void put_last_check(struct visit *v, const char *name)
{
	const json_t *check = of_account(json_object_get(visit_data(v, ASK_CHECK), "accounts"), "account", name);
	html(&v->html, "<section class=\"card\" aria-labelledby=\"check\"><h2 id=\"check\">");
	SAY(v, T_LAST_CHECK);
	html(&v->html, "</h2>");
	if (check) {
		html(&v->html, "<p class=\"hint\">");
		put_time(v, member_text(check, "at"));
		html(&v->html, "</p>");
		put_findings(v, json_object_get(check, "findings"));
	} else {
		html(&v->html, "<p>");
		SAY(v, T_NEVER_CHECKED);
		html(&v->html, "</p>");
	}
	html(&v->html, "</section>");
}

/* The records that whoever has the domain elsewhere should change. */
static void put_stragglers(struct visit *v, const json_t *account)
{
	const json_t *s, *r, *list = json_object_get(account, "stragglers");
	size_t i, k;
	if (json_array_size(list) == 0 || strcmp(member_text(account, "side"), "transit") != 0)
		return;
	html(&v->html, "<section class=\"card\" aria-labelledby=\"old\"><h2 id=\"old\">");
	SAY(v, T_STRAGGLERS);
	html(&v->html, "</h2><p>");
	SAY(v, T_STRAGGLERS_WHY);
	html(&v->html, "</p><ul>");
	json_array_foreach (list, i, s) {
		html(&v->html, "<li><strong>%s</strong>", member_text(s, "name"));
		json_array_foreach (json_object_get(s, "records"), k, r)
			html(&v->html, "<br><code>%s %s %s → %s</code>", member_text(r, "name"), member_text(r, "type"),
			     member_text(r, "from"), member_text(r, "to"));
		html(&v->html, "</li>");
	}
	html(&v->html, "</ul></section>");
}

static json_t *own_operations(struct visit *v)
{
	json_t *out = json_array(), *o;
	size_t i;
	json_array_foreach (json_object_get(visit_data(v, ASK_OPERATIONS), "operations"), i, o) {
		if (strcmp(member_text(o, "account"), v->arg) == 0)
			json_array_append(out, o);
	}
	return out;
}

static void show(struct visit *v)
{
	const json_t *status = visit_data(v, ASK_STATUS), *account = json_object_get(status, "account");
	const json_t *shown = json_object_get(visit_data(v, ASK_SHOW), "account"), *moves = json_object_get(status, "moves");
	if (v->answers[ASK_STATUS].status == 404) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
		return;
	}
	if (!account) {
		visit_sorry(v, 503, T_SAID, visit_error(v, ASK_STATUS));
		return;
	}
	json_t *operations = own_operations(v), *one = json_pack("[O]", account);
	page_begin(v, &(const struct page){.title = T_MIGRATION_OF, .of = v->arg, .events = "/events"});
	html(&v->html, "<div data-live=\"top\">");
	put_picture(v, one, moves, true);
	put_moves(v, moves);
	html(&v->html, "<div class=\"columns\">");
	put_where(v, account);
	put_next(v, account, shown);
	html(&v->html, "</div>");
	put_stragglers(v, account);
	put_last_check(v, v->arg);
	put_operations(v, operations, 6);
	html(&v->html, "</div>");
	json_decref(operations);
	json_decref(one);
	visit_page(v, 200);
}

void page_account(struct visit *v)
{
	visit_ask(v, ASK_STATUS, EVHTTP_REQ_GET, NULL, "/v1/accounts/%s/status", v->arg);
	visit_ask(v, ASK_SHOW, EVHTTP_REQ_GET, NULL, "/v1/accounts/%s", v->arg);
	visit_ask(v, ASK_CHECK, EVHTTP_REQ_GET, json_pack("{s:b}", "last", 1), "/v1/accounts/%s/check", v->arg);
	visit_ask(v, ASK_OPERATIONS, EVHTTP_REQ_GET, NULL, "/v1/operations");
	visit_then(v, show);
}
