/* In and out. A token that is not good and one that was never made are told apart neither by words nor by time. */
#include "control/panel/visit.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

static void put_login(struct visit *v, int status, bool wrong)
{
	struct html *h = &v->html;
	page_begin(v, &(const struct page){.title = T_LOG_IN});
	html(h, "<form class=\"card narrow\" method=\"post\" action=\"/login\">");
	if (wrong) {
		html(h, "<p class=\"error\" id=\"wrong\" role=\"alert\">");
		SAY(v, T_WRONG_TOKEN);
		html(h, "</p>");
	}
	html(h, "<label for=\"token\">");
	SAY(v, T_TOKEN);
	html(h,
	     "</label><input id=\"token\" name=\"token\" type=\"password\" autocomplete=\"current-password\" required autofocus "
	     "spellcheck=\"false\" maxlength=\"100\" aria-describedby=\"%s\"><p class=\"hint\" id=\"hint\">",
	     wrong ? "wrong hint" : "hint");
	SAY(v, T_TOKEN_HINT);
	html(h, "</p><button class=\"main\">");
	SAY(v, T_LOG_IN);
	html(h, "</button></form>");
	visit_page(v, status);
}

void page_login(struct visit *v)
{
	if (*v->token.name)
		visit_redirect(v, "/");
	else
		put_login(v, 200, false);
}

static void set_cookie(struct visit *v, const char *value, bool over)
{
	web_answer_header(v->req, "Set-Cookie", "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", visit_cookie(v), value,
			  visit_is_secure(v) ? "; Secure" : "", over ? "; Max-Age=0" : "");
}

static void begin(struct visit *v, const struct token *t, const char *source)
{
	char id[SESSION_TEXT_MAX];
	struct err err = {0};
	if (*v->session)
		session_end(&v->s->store, v->session, NULL);
	if (session_begin(&v->s->store, t, now_ms(), id, &err) < 0) {
		log_error("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
		visit_sorry(v, 503, T_AWAY, NULL);
		return;
	}
	log_info("token=%s source=%s reason=\"logged in to the panel\"", t->name, source);
	set_cookie(v, id, false);
	visit_redirect(v, "/");
}

void page_login_sent(struct visit *v)
{
	char source[WEB_SOURCE_MAX], given[TOKEN_TEXT_MAX + 40];
	struct token t = {0};
	struct err err = {0};
	int retry_s;
	web_source(v->req, source);
	/* Pasted with a blank or a line's end. */
	const char *token = form_get(&v->form, "token");
	token += strspn(token, " \t\r\n");
	snprintf(given, sizeof(given), "%.*s", (int)strcspn(token, " \t\r\n"), token);
	int rc = api_token(v->s, given, &t, &err);
	if (rc == 0 && t.kind != TOKEN_METRICS) {
		begin(v, &t, source);
		return;
	}
	if (rc < 0 && rc != -ENOENT) {
		log_error("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
		visit_sorry(v, 503, T_AWAY, NULL);
	} else if (!limit_take(&v->s->strangers, source, loop_now(v->s->loop), &retry_s)) {
		web_answer_header(v->req, "Retry-After", "%d", retry_s);
		visit_sorry(v, 429, T_TOO_OFTEN, NULL);
	} else {
		log_info("source=%s reason=\"a login to the panel without a good token\"", source);
		put_login(v, 403, true);
	}
}

void page_logout(struct visit *v)
{
	if (*v->session)
		session_end(&v->s->store, v->session, NULL);
	set_cookie(v, "", true);
	visit_redirect(v, "/login");
}
