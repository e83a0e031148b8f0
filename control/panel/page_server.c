/* The server's page, for operators: where the whole job is, and every account, by pages, or those that are looked for. */
#include "control/panel/listing.h"
#include "control/panel/parts.h"
#include "control/panel/picture.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

enum { ASK_STATUS, ASK_ACCOUNTS, ASK_CHECKS, ASK_STRAGGLERS, ASK_OPERATIONS };

/* What belongs to an account, by its name: a server may have thousands. */
struct index {
	json_t *checks, *moves, *stragglers; /* owned; of the last: how many names of it, as numbers */
};

/* ---- step and clocks ---- */

static void put_fact(struct visit *v, enum text label, enum text words, const char *time)
{
	html(&v->html, "<div><dt>");
	SAY(v, label);
	html(&v->html, "</dt><dd>");
	SAY(v, words, "");
	if (time) {
		html(&v->html, " ");
		put_time(v, time);
	}
	html(&v->html, "</dd></div>");
}

static void put_clocks(struct visit *v, const json_t *status)
{
	static const struct {
		const char *clock;
		enum text text;
	} clocks[] = {{"start", T_CLOCK_START}, {"reinstall", T_CLOCK_REINSTALL}, {"return", T_CLOCK_RETURN}};
	const json_t *all = json_object_get(status, "clocks");
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		const json_t *c = json_object_get(all, clocks[i].clock);
		if (!c)
			continue;
		put_fact(v, clocks[i].text, T_SINCE, member_text(c, "at"));
		if (*member_text(c, "until"))
			put_fact(v, i == 0 ? T_FREE_UNTIL : T_TIME_UNTIL, T_UNTIL, member_text(c, "until"));
	}
}

static void put_forecast(struct visit *v, const json_t *f)
{
	char days[32];
	if (!json_is_object(f)) {
		put_fact(v, T_FORECAST, T_FORECAST_NONE, NULL);
		return;
	}
	put_fact(v, T_FORECAST, T_FORECAST_AT, member_text(f, "finish"));
	json_int_t n = member_int(f, "billed-days");
	if (n <= 0)
		return;
	snprintf(days, sizeof(days), "%lld", (long long)n);
	html(&v->html, "<div><dt>");
	SAY(v, T_BILLED);
	html(&v->html, "</dt><dd>");
	SAY(v, T_BILLED_DAYS, days);
	html(&v->html, "</dd></div>");
}

static enum text step_of(const json_t *clocks)
{
	static const struct {
		const char *clock;
		enum text text;
	} steps[] = {{"finish", T_JOB_FINISH}, {"return", T_JOB_RETURN}, {"reinstall", T_JOB_REINSTALL}, {"start", T_JOB_START}};
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (json_object_get(clocks, steps[i].clock))
			return steps[i].text;
	}
	return T_JOB_PREPARATION;
}

static void put_uncounted(struct visit *v, json_int_t n)
{
	char number[24];
	if (n <= 0)
		return;
	snprintf(number, sizeof(number), "%lld", (long long)n);
	html(&v->html, ", ");
	SAY(v, T_LEFT_UNKNOWN, number);
}

static void put_warnings(struct visit *v, const json_t *status)
{
	const json_t *w;
	size_t i;
	json_array_foreach (json_object_get(status, "warnings"), i, w)
		html(&v->html, "<p class=\"warning\">%s</p>", json_is_string(w) ? json_string_value(w) : member_text(w, "text"));
	if (*member_text(status, "proxy-away"))
		html(&v->html, "<p class=\"error\" role=\"alert\">%s</p>", member_text(status, "proxy-away"));
}

static void put_job(struct visit *v, const json_t *status)
{
	const json_t *all = json_object_get(status, "in-all");
	html(&v->html, "<section class=\"card\" aria-labelledby=\"job\"><h2 id=\"job\">");
	SAY(v, T_JOB);
	html(&v->html, "</h2><dl class=\"facts\">");
	put_fact(v, T_STEP, step_of(json_object_get(status, "clocks")), NULL);
	put_clocks(v, status);
	put_forecast(v, json_object_get(status, "forecast"));
	if (all) {
		html(&v->html, "<div><dt>");
		SAY(v, T_LEFT);
		html(&v->html, "</dt><dd>");
		put_duration(v, member_real(all, "left-s"));
		put_uncounted(v, member_int(all, "sizes-unknown"));
		html(&v->html, "</dd></div>");
	}
	html(&v->html, "</dl>");
	put_warnings(v, status);
	html(&v->html, "</section>");
}

/* ---- accounts ---- */

static void index_begin(struct index *x, const struct visit *v)
{
	const json_t *s, *names = json_object_get(json_object_get(visit_data(v, ASK_STRAGGLERS), "stragglers"), "names");
	size_t i;
	x->checks = by_account(json_object_get(visit_data(v, ASK_CHECKS), "accounts"), "account");
	x->moves = by_account(json_object_get(visit_data(v, ASK_STATUS), "moves"), "account");
	x->stragglers = json_object();
	json_array_foreach (names, i, s) {
		const char *account = member_text(s, "account");
		json_int_t n = member_int(x->stragglers, account);
		json_object_set_new(x->stragglers, account, json_integer(n + 1));
	}
}

static void index_done(struct index *x)
{
	json_decref(x->checks);
	json_decref(x->moves);
	json_decref(x->stragglers);
}

/* What the last check has said of its domains: how many of them DNS switches. */
static void put_dns(struct visit *v, const json_t *check)
{
	const json_t *f, *first = NULL;
	size_t i, n = 0;
	json_array_foreach (json_object_get(check, "findings"), i, f) {
		if (strcmp(member_text(f, "kind"), "dns") == 0 && n++ == 0)
			first = f;
	}
	if (!check)
		SAY(v, T_NOT_CHECKED);
	else if (!first)
		SAY(v, T_BY_PROXY);
	else
		html(&v->html, "<span title=\"%s\">%s</span>", member_text(first, "name"), member_text(first, "found"));
	if (n > 1)
		html(&v->html, " <span class=\"hint\">+%d</span>", (int)n - 1);
}

static void put_verdict(struct visit *v, const json_t *check)
{
	int n[3] = {0};
	const json_t *f;
	size_t i;
	json_array_foreach (json_object_get(check, "findings"), i, f)
		n[strcmp(member_text(f, "grade"), "stop") == 0 ? 0 : strcmp(member_text(f, "grade"), "warn") == 0 ? 1 : 2]++;
	html(&v->html, "<span class=\"verdict %s\">", !check ? "none" : n[0] ? "stop" : n[1] ? "warn" : "inform");
	SAY(v, !check ? T_NOT_CHECKED : n[0] ? T_VERDICT_STOP : n[1] ? T_VERDICT_WARN : T_VERDICT_GOOD);
	html(&v->html, "</span>");
}

static void put_cell(struct visit *v, enum text label)
{
	html(&v->html, "</td><td role=\"cell\" data-label=\"%s\">", text(label));
}

static void put_row(struct visit *v, const struct index *x, const json_t *a, const char *domain)
{
	struct html *h = &v->html;
	const char *name = member_text(a, "name");
	const json_t *check = json_object_get(x->checks, name), *move = json_object_get(x->moves, name);
	json_int_t left = strcmp(member_text(a, "side"), "transit") == 0 ? member_int(x->stragglers, name) : 0;
	html(h,
	     "<tr role=\"row\"><td role=\"cell\" class=\"pick\"><input type=\"checkbox\" name=\"account\" value=\"%s\" id=\"a-%s\" "
	     "aria-label=\"%s\"></td><th role=\"rowheader\" scope=\"row\"><a id=\"l-%s\" href=\"/accounts/%s\">%s</a><span "
	     "class=\"hint domains\">%s</span></th><td role=\"cell\" data-label=\"%s\">",
	     name, name, name, name, name, name, domain, text(T_SIDE));
	put_side(v, member_text(a, "side"));
	if (move) {
		html(h, " <span class=\"hint\">");
		SAY(v, step_text(member_text(move, "step")));
		html(h, "</span>");
	}
	put_cell(v, T_SIZE);
	put_gb(v, a);
	put_cell(v, T_TIME);
	if (move && *member_text(move, "eta")) {
		SAY(v, T_READY_AT);
		html(h, " ");
		put_time(v, member_text(move, "eta"));
	} else
		put_pause(v, a);
	put_cell(v, T_DNS);
	put_dns(v, check);
	put_cell(v, T_LAST_CHECK);
	put_verdict(v, check);
	put_cell(v, T_STRAGGLERS);
	html(h, "%lld</td></tr>", (long long)left);
}

/* Before the reinstalled server is back it goes out and back again; after that, home. */
static bool is_time_for(enum action a, bool home)
{
	switch (a) {
	case ACT_MIGRATE:
	case ACT_ROLLBACK:
		return !home;
	case ACT_RELOCATE:
		return home;
	case ACT_CHECK:
	case N_ACTIONS:
		break;
	}
	return true;
}

static void put_buttons(struct visit *v, const json_t *status)
{
	bool home = json_object_get(json_object_get(status, "clocks"), "return") != NULL;
	html(&v->html, "<div class=\"actions stays\">");
	for (enum action a = ACT_CHECK; a < N_ACTIONS; a++) {
		if (!is_time_for(a, home))
			continue;
		html(&v->html, "<button name=\"action\" value=\"%s\" class=\"%s\">", action_word(a), a == ACT_MIGRATE ? "main" : "");
		SAY(v, action_text(a));
		html(&v->html, "</button>");
	}
	html(&v->html, "</div>");
}

static void put_table(struct visit *v, const struct listing *l, const json_t *rows)
{
	static const enum text heads[] = {T_ACCOUNT, T_SIDE, T_SIZE, T_TIME, T_DNS, T_LAST_CHECK, T_STRAGGLERS};
	struct html *h = &v->html;
	struct index x;
	const json_t *a;
	size_t i;
	html(h, "<table role=\"table\"><caption class=\"sr\">");
	SAY(v, T_ACCOUNTS_CAPTION);
	html(h, "</caption><thead role=\"rowgroup\"><tr role=\"row\"><th role=\"columnheader\" scope=\"col\"><span class=\"sr\">");
	SAY(v, T_SELECT);
	html(h, "</span></th>");
	for (i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		html(h, "<th role=\"columnheader\" scope=\"col\">");
		SAY(v, heads[i]);
		html(h, "</th>");
	}
	html(h, "</tr></thead><tbody role=\"rowgroup\">");
	index_begin(&x, v);
	json_array_foreach (rows, i, a)
		put_row(v, &x, a, listing_domain(l, a));
	index_done(&x);
	html(h, "</tbody></table>");
}

/* ---- looking for some of them, and turning pages ---- */

static void put_side_choice(struct visit *v, const struct listing *l, const char *side, enum text t)
{
	html(&v->html, "<option value=\"%s\"%s>", side, strcmp(l->side, side) == 0 ? " selected" : "");
	SAY(v, t);
	html(&v->html, "</option>");
}

static void put_search(struct visit *v, const struct listing *l)
{
	struct html *h = &v->html;
	html(h, "<form class=\"find\" role=\"search\" aria-label=\"%s\" method=\"get\" action=\"/#accounts\"><p><label for=\"find\">",
	     text(T_FIND_ACCOUNTS));
	SAY(v, T_FIND_TEXT);
	html(h,
	     "</label><input type=\"search\" id=\"find\" name=\"find\" value=\"%s\" maxlength=\"%d\" autocomplete=\"off\" "
	     "autocapitalize=\"none\" spellcheck=\"false\"></p><p><label for=\"side\">",
	     l->find, LISTING_FIND);
	SAY(v, T_SIDE);
	html(h, "</label><select id=\"side\" name=\"side\">");
	put_side_choice(v, l, "", T_BOTH_SIDES);
	put_side_choice(v, l, "client", T_CLIENT);
	put_side_choice(v, l, "transit", T_TRANSIT);
	html(h, "</select></p><button>");
	SAY(v, T_FIND);
	html(h, "</button></form>");
}

static void put_turn(struct visit *v, const struct listing *l, long long page, enum text t, bool below)
{
	char query[LISTING_QUERY_MAX];
	listing_query(l, page, query);
	html(&v->html, "<a class=\"button\" id=\"%s%s\" href=\"/%s#accounts\">", page < l->page ? "before" : "after", below ? "-below" : "",
	     query);
	SAY(v, t);
	html(&v->html, "</a>");
}

/* Above the table always; below it again where there is a next page, so that nobody has to go back up for it. */
static void put_pages(struct visit *v, const struct listing *l, bool below)
{
	struct html *h = &v->html;
	bool many = l->n_pages > 1;
	char from[24], to[24], of[24], page[24], pages[24];
	if (below && !many)
		return;
	snprintf(from, sizeof(from), "%zu", l->first + 1);
	snprintf(to, sizeof(to), "%zu", l->end);
	snprintf(of, sizeof(of), "%zu", l->n);
	snprintf(page, sizeof(page), "%lld", l->page);
	snprintf(pages, sizeof(pages), "%lld", l->n_pages);
	if (many)
		html(h, "<nav class=\"pages\" aria-label=\"%s\"><span%s>", text(below ? T_PAGES_BELOW : T_PAGES), below ? "" : " data-say");
	else
		html(h, "<p class=\"pages\"><span data-say>");
	SAY(v, l->n ? T_FOUND : listing_is_whole(l) ? T_NO_ACCOUNTS : T_FOUND_NONE, from, to, of);
	html(h, "</span>");
	if (!listing_is_whole(l) && !below)
		html(h, "<a id=\"whole\" href=\"/#accounts\">%s</a>", text(T_SHOW_ALL));
	if (many) {
		html(h, "<span>");
		SAY(v, T_PAGE_OF, page, pages);
		html(h, "</span>");
	}
	if (l->page > 1)
		put_turn(v, l, l->page - 1, T_PAGE_BEFORE, below);
	if (l->page < l->n_pages)
		put_turn(v, l, l->page + 1, T_PAGE_AFTER, below);
	html(h, many ? "</nav>" : "</p>");
}

/* accounts: NULL where they cannot be told now, which is no search without a result. */
static void put_accounts(struct visit *v, const json_t *accounts, const json_t *status)
{
	const char *query = strchr(evhttp_request_get_uri(v->req), '?');
	struct html *h = &v->html;
	struct listing l;
	listing_read(&l, query ? query + 1 : NULL);
	json_t *rows = listing_rows(&l, accounts);
	html(h, "<section class=\"card\" aria-labelledby=\"accounts\"><h2 id=\"accounts\">");
	SAY(v, T_ACCOUNTS);
	html(h, "</h2>");
	put_search(v, &l);
	html(h, "<form method=\"post\" action=\"/confirm\">");
	put_seal(v);
	html(h, "<p class=\"hint\">");
	SAY(v, T_SELECT_HINT);
	html(h, "</p>");
	put_buttons(v, status);
	html(h, "<label class=\"all\" hidden><input type=\"checkbox\" id=\"all\"> <span data-live=\"all\">");
	SAY(v, l.n_pages > 1 ? T_SELECT_PAGE : T_SELECT_ALL);
	html(h, "</span></label><div data-live=\"table\">");
	if (accounts)
		put_pages(v, &l, false);
	if (l.n)
		put_table(v, &l, rows);
	put_pages(v, &l, true);
	html(h, "</div></form></section>");
	json_decref(rows);
}

/* ---- the page ---- */

static void show(struct visit *v)
{
	const json_t *status = visit_data(v, ASK_STATUS), *accounts = json_object_get(visit_data(v, ASK_ACCOUNTS), "accounts");
	const json_t *moves = json_object_get(status, "moves");
	page_begin(v, &(const struct page){.title = T_MIGRATIONS_OF, .of = v->s->app->conf->server, .events = "/events"});
	if (visit_error(v, ASK_STATUS))
		html(&v->html, "<p class=\"error\" role=\"alert\">%s</p>", visit_error(v, ASK_STATUS));
	if (visit_error(v, ASK_ACCOUNTS))
		html(&v->html, "<p class=\"error\" role=\"alert\">%s</p>", visit_error(v, ASK_ACCOUNTS));
	html(&v->html, "<div data-live=\"top\">");
	put_picture(v, accounts, moves, false);
	html(&v->html, "<div class=\"columns\">");
	put_job(v, status);
	put_moves(v, moves);
	html(&v->html, "</div></div>");
	put_accounts(v, accounts, status);
	html(&v->html, "<div data-live=\"recent\">");
	put_operations(v, json_object_get(visit_data(v, ASK_OPERATIONS), "operations"), 8);
	html(&v->html, "</div>");
	visit_page(v, visit_error(v, ASK_STATUS) || visit_error(v, ASK_ACCOUNTS) ? 503 : 200);
}

void page_server(struct visit *v)
{
	visit_ask(v, ASK_STATUS, EVHTTP_REQ_GET, NULL, "/v1/status");
	visit_ask(v, ASK_ACCOUNTS, EVHTTP_REQ_GET, NULL, "/v1/accounts");
	visit_ask(v, ASK_CHECKS, EVHTTP_REQ_GET, json_pack("{s:b}", "last", 1), "/v1/check");
	visit_ask(v, ASK_STRAGGLERS, EVHTTP_REQ_GET, json_pack("{s:b}", "stragglers", 1), "/v1/check");
	visit_ask(v, ASK_OPERATIONS, EVHTTP_REQ_GET, NULL, "/v1/operations");
	visit_then(v, show);
}
