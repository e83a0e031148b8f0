/* Before and at the click: first a page with what would happen, how long, and at what price (the command's dry run); its button is the
 * consent. Each such page has a key of its own, so that two clicks on it are one operation. */
#include "control/panel/parts.h"

#include "lib/hex.h"
#include "lib/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_DRY, ASK_SHOW };

#define ACTION(v) ((enum action)action_of((v)->action))

/* ---- what the form says ---- */

static json_t *names_of(const struct form *f)
{
	const struct evkeyval *p;
	json_t *seen = json_object(), *list = json_array();
	TAILQ_FOREACH(p, &f->fields, next)
	{
		if (strcmp(p->key, "account") != 0 || !account_name_ok(p->value) || json_object_get(seen, p->value))
			continue;
		json_object_set_new(seen, p->value, json_true());
		json_array_append_new(list, json_string(p->value));
	}
	json_decref(seen);
	return list;
}

/* False: it was answered. */
static bool read_form(struct visit *v)
{
	int a = action_of(form_get(&v->form, "action"));
	v->accounts = names_of(&v->form);
	if (a < 0) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
		return false;
	}
	v->action = action_word((enum action)a);
	if (json_array_size(v->accounts) == 0) {
		visit_sorry(v, 400, T_SELECT_FIRST, NULL);
		return false;
	}
	snprintf(v->arg, sizeof(v->arg), "%s", json_string_value(json_array_get(v->accounts, 0)));
	return true;
}

/* By the path of the one account, or of several, with what fields there are besides. */
static void ask(struct visit *v, json_t *fields)
{
	if (json_array_size(v->accounts) == 1) {
		visit_ask(v, ASK_DRY, EVHTTP_REQ_POST, fields, "/v1/accounts/%s/%s", v->arg, v->action);
		return;
	}
	json_object_set(fields, "accounts", v->accounts);
	visit_ask(v, ASK_DRY, EVHTTP_REQ_POST, fields, "/v1/%s", v->action);
}

/* ---- what would happen ---- */

static void put_steps(struct visit *v, const json_t *steps)
{
	const json_t *s;
	size_t i;
	html(&v->html, "<ol class=\"steps\">");
	json_array_foreach (steps, i, s) {
		bool nothing = strncmp(member_text(s, "does"), "nothing", 7) == 0;
		if (nothing && v->owner)
			continue;
		html(&v->html, "<li>");
		SAY(v, step_text(member_text(s, "step")));
		if (!v->owner)
			html(&v->html, "<span class=\"hint\">%s</span>", member_text(s, "does"));
		html(&v->html, "</li>");
	}
	html(&v->html, "</ol>");
}

static void put_one(struct visit *v, const json_t *o, bool open)
{
	html(&v->html, "<section class=\"card\"><h2>%s</h2>", member_text(o, "account"));
	if (json_is_true(json_object_get(o, "already"))) {
		html(&v->html, "<p>");
		SAY(v, T_ALREADY);
		html(&v->html, "</p>");
	} else if (*member_text(o, "error")) {
		html(&v->html, "<p class=\"error\">%s</p>", member_text(o, "error"));
	} else {
		html(&v->html, "<details%s><summary>", open ? " open" : "");
		SAY(v, T_WHAT_HAPPENS);
		html(&v->html, "</summary>");
		put_steps(v, json_object_get(o, "steps"));
		html(&v->html, "</details>");
	}
	put_price(v, json_object_get(o, "price"));
	html(&v->html, "</section>");
}

static bool new_key(char key[33])
{
	return hex_random(key, 32, NULL) == 0;
}

static void put_consent(struct visit *v)
{
	struct html *h = &v->html;
	const json_t *name;
	char key[33];
	size_t i;
	if (!new_key(key))
		return;
	html(h, "<form class=\"consent\" method=\"post\" action=\"/act\">");
	put_seal(v);
	html(h, "<input type=\"hidden\" name=\"key\" value=\"%s\"><input type=\"hidden\" name=\"action\" value=\"%s\">", key, v->action);
	json_array_foreach (v->accounts, i, name)
		html(h, "<input type=\"hidden\" name=\"account\" value=\"%s\">", json_string_value(name));
	html(h, "<p>");
	SAY(v, ACTION(v) == ACT_ROLLBACK ? T_CONSENT_ROLLBACK : T_CONSENT);
	html(h, "</p><div class=\"actions\"><button class=\"main\">");
	SAY(v, ACTION(v) == ACT_MIGRATE ? T_YES_MIGRATE : ACTION(v) == ACT_ROLLBACK ? T_YES_ROLLBACK : T_YES_RELOCATE);
	html(h, "</button><a class=\"button\" href=\"/\">");
	SAY(v, T_NO);
	html(h, "</a></div></form>");
}

/* What the estimate rests on. How many moves were measured is the server's, and not an owner's to know. */
static void put_grounds(struct visit *v, const json_t *data)
{
	json_int_t measured = member_int(data, "measured-moves");
	char moves[24], speed[32];
	snprintf(moves, sizeof(moves), "%lld", (long long)measured);
	snprintf(speed, sizeof(speed), "%.1f", member_real(data, "gb-per-minute"));
	html(&v->html, "<p class=\"hint\">");
	SAY(v, v->owner ? T_HOW_LONG_RULE : measured ? T_HOW_LONG_MEASURED : T_HOW_LONG_GUESSED, moves, speed);
	html(&v->html, "</p>");
}

/* Of those asked for: one may be there already, or be refused. */
static size_t to_move(const json_t *list)
{
	const json_t *o;
	size_t i, n = 0;
	json_array_foreach (list, i, o)
		n += json_object_get(o, "steps") != NULL;
	return n;
}

/* With a size that is not known the command counts as if there were no databases: that is said, not passed off as an estimate. */
static void put_how_long(struct visit *v, const json_t *data)
{
	const json_t *about = json_object_get(data, "about-seconds");
	size_t n = to_move(json_object_get(data, "dry-run")), unknown = (size_t)member_int(data, "sizes-unknown");
	char some[24], all[24];
	if (!json_is_number(about) || n == 0)
		return;
	html(&v->html, "<p class=\"lead\">");
	if (unknown >= n) {
		SAY(v, T_HOW_LONG_UNKNOWN);
		html(&v->html, "</p><p>");
		SAY(v, T_HOW_LONG_THUMB);
		html(&v->html, "</p>");
		return;
	}
	SAY(v, n > 1 ? T_HOW_LONG_ALL : T_HOW_LONG);
	html(&v->html, " <strong>");
	put_duration(v, json_number_value(about));
	html(&v->html, "</strong>.");
	if (n > 1) {
		html(&v->html, " ");
		SAY(v, T_HOW_LONG_EACH);
	}
	html(&v->html, "</p>");
	if (unknown) {
		snprintf(some, sizeof(some), "%zu", unknown);
		snprintf(all, sizeof(all), "%zu", n);
		html(&v->html, "<p class=\"warning\">");
		SAY(v, T_SIZES_UNKNOWN, some, all);
		html(&v->html, "</p>");
	}
	put_grounds(v, data);
}

static void show_dry(struct visit *v)
{
	const json_t *o, *data = visit_data(v, ASK_DRY), *list = json_object_get(data, "dry-run");
	const char *error = visit_error(v, ASK_DRY);
	size_t i, n = json_array_size(v->accounts);
	char of[64];
	if (v->answers[ASK_DRY].status == 404) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
		return;
	}
	enum text title = ACTION(v) == ACT_MIGRATE ? T_MIGRATE_WHAT : ACTION(v) == ACT_ROLLBACK ? T_ROLLBACK_WHAT : T_RELOCATE_WHAT;
	snprintf(of, sizeof(of), "%zu %s", n, text(T_N_ACCOUNTS));
	page_begin(v, &(const struct page){.title = title, .of = n == 1 ? v->arg : of});
	if (error)
		put_refusal(v, error);
	else
		put_how_long(v, data);
	json_array_foreach (list, i, o) {
		if (n > 1 || !error)
			put_one(v, o, n == 1);
	}
	if (error && n == 1)
		html(&v->html, "<p><a class=\"button\" href=\"/\">%s</a></p>", text(T_GO_HOME));
	else
		put_consent(v);
	visit_page(v, error ? 409 : 200);
}

/* ---- the click ---- */

static void show_begun(struct visit *v)
{
	const json_t *body = v->answers[ASK_DRY].body;
	const char *operation = member_text(body, "operation");
	struct evkeyvalq *out = evhttp_request_get_output_headers(v->req);
	const char *location = evhttp_find_header(out, "Location"); /* an answer of before, to a key that was used */
	char id[OPERATION_ID_MAX] = "";
	if (!*operation && location && strncmp(location, "/v1/operations/", 15) == 0) {
		snprintf(id, sizeof(id), "%s", location + 15);
		operation = id;
	}
	if (*operation) {
		visit_redirect(v, "/operations/%s", operation);
	} else if (v->answers[ASK_DRY].status == 404) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
	} else {
		int status = v->answers[ASK_DRY].status;
		page_begin(v, &(const struct page){.title = T_SORRY});
		put_refusal(v, member_text(body, "detail"));
		html(&v->html, "<p><a class=\"button\" href=\"/\">%s</a></p>", text(T_GO_HOME));
		visit_page(v, status);
	}
}

void page_confirm(struct visit *v)
{
	if (!read_form(v))
		return;
	bool check = ACTION(v) == ACT_CHECK; /* there is nothing to consent to */
	ask(v, check ? json_object() : json_pack("{s:b}", "dry_run", 1));
	visit_then(v, check ? show_begun : show_dry);
}

void page_act(struct visit *v)
{
	if (!read_form(v))
		return;
	if (ACTION(v) == ACT_CHECK || !*form_get(&v->form, "key")) {
		visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
		return;
	}
	v->key = strdup(form_get(&v->form, "key"));
	ask(v, json_pack("{s:b}", "yes", 1));
	visit_then(v, show_begun);
}
