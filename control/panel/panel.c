#include "control/panel/panel.h"

#include "control/panel/visit.h"
#include "lib/log.h"

#include "control/panel/script.js.h"
#include "control/panel/style.css.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- who it is ---- */

/* The value of a cookie, if it is written as a session is. */
static bool cookie(const char *header, const char *name, char out[SESSION_TEXT_MAX])
{
	size_t len = strlen(name);
	for (const char *p = header; p && *p; p = strchr(p, ';'), p += p != NULL) {
		p += strspn(p, " ");
		if (strncmp(p, name, len) != 0 || p[len] != '=')
			continue;
		snprintf(out, SESSION_TEXT_MAX, "%.*s", (int)strcspn(p + len + 1, "; "), p + len + 1);
		return session_id_ok(out);
	}
	return false;
}

/* 0, -ENOENT for nobody, or that it cannot be told now. A header goes before a cookie: it is of the provider's own login. */
static int recognize(struct visit *v, struct err *err)
{
	static const char scheme[] = "Bearer ";
	const char *header = web_header(v->req, "Authorization");
	int rc = -ENOENT;
	if (header && strncasecmp(header, scheme, strlen(scheme)) == 0) {
		rc = api_token(v->s, header + strlen(scheme), &v->token, err);
		if (rc == 0)
			form_seal(header + strlen(scheme), v->seal);
	} else if (cookie(web_header(v->req, "Cookie"), visit_cookie(v), v->session)) {
		rc = session_find(&v->s->store, v->session, now_ms(), &v->token, err);
		if (rc == 0)
			form_seal(v->session, v->seal);
	}
	if (rc == 0 && v->token.kind == TOKEN_METRICS)
		rc = -ENOENT;
	if (rc < 0) {
		v->token = (struct token){0};
		v->session[0] = '\0';
	}
	v->owner = rc == 0 && v->token.kind == TOKEN_ACCOUNT;
	return rc;
}

/* ---- what is asked for ---- */

static void page_home(struct visit *v)
{
	if (v->owner)
		visit_redirect(v, "/accounts/%s", v->token.account);
	else
		page_server(v);
}

static void page_events(struct visit *v)
{
	struct question q = {.req = v->req, .token = &v->token, .method = EVHTTP_REQ_GET};
	char path[128];
	snprintf(path, sizeof(path), *v->arg ? "/v1/operations/%s/events" : "/v1/events", v->arg);
	q.path = path;
	api_ask(v->s, &q);
	visit_free(v);
}

static void asset(struct visit *v, const char *type, const char *body, size_t len)
{
	web_answer_header(v->req, "Cache-Control", "no-cache");
	web_reply(v->req, 200, type, body, len);
	visit_free(v);
}

static void page_style(struct visit *v)
{
	asset(v, "text/css; charset=utf-8", style_css, sizeof(style_css) - 1);
}

static void page_script(struct visit *v)
{
	asset(v, "text/javascript; charset=utf-8", script_js, sizeof(script_js) - 1);
}

#define GET  EVHTTP_REQ_GET
#define POST EVHTTP_REQ_POST
static const struct {
	enum evhttp_cmd_type method;
	const char *path; /* one * stands for a segment */
	bool open;        /* to whom has not logged in, too */
	void (*fn)(struct visit *v);
} pages[] = {
	{GET, "/", false, page_home},
	{GET, "/style.css", true, page_style},
	{GET, "/script.js", true, page_script},
	{GET, "/login", true, page_login},
	{POST, "/login", true, page_login_sent},
	{POST, "/logout", false, page_logout},
	{GET, "/events", false, page_events},
	{GET, "/accounts/*", false, page_account},
	{GET, "/accounts/*/report", false, page_report},
	{POST, "/confirm", false, page_confirm},
	{POST, "/act", false, page_act},
	{GET, "/operations/*", false, page_operation},
	{GET, "/operations/*/events", false, page_events},
	{POST, "/operations/*/cancel", false, page_cancel},
};
#define N_PAGES (sizeof(pages) / sizeof(*pages))

/* A segment is of the letters that accounts and operations have, and nothing else matches. */
static bool fits(const char *pattern, const char *path, char arg[ROUTE_ARG_MAX + 1])
{
	const char *star = strchr(pattern, '*');
	if (!star)
		return strcmp(pattern, path) == 0;
	size_t before = (size_t)(star - pattern);
	if (strncmp(pattern, path, before) != 0)
		return false;
	size_t len = strcspn(path + before, "/");
	if (len == 0 || len > ROUTE_ARG_MAX || strcmp(path + before + len, star + 1) != 0)
		return false;
	snprintf(arg, ROUTE_ARG_MAX + 1, "%.*s", (int)len, path + before);
	return account_name_ok(arg);
}

static bool is_form_of_ours(struct visit *v, bool open, struct err *err)
{
	const char *origin = web_header(v->req, "Origin");
	bool here = form_is_from_here(web_header(v->req, "Sec-Fetch-Site"), origin, web_header(v->req, "Host"));
	for (size_t i = 0; !here && origin && i < v->s->app->conf->serve.n_names; i++)
		here = form_is_from_here(web_header(v->req, "Sec-Fetch-Site"), origin, v->s->app->conf->serve.names[i]);
	int rc = here ? form_read(&v->form, v->req, err) : err_set(err, -EACCES, "it comes from another site");
	if (rc == 0 && !open && !form_is_sealed(&v->form, v->seal))
		rc = err_set(err, -EACCES, "its seal is not of this session");
	return rc == 0;
}

static void dispatch(struct visit *v, size_t i)
{
	struct err err = {0};
	int retry_s;
	int rc = recognize(v, &err);
	if (rc < 0 && rc != -ENOENT) {
		log_error("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
		visit_sorry(v, 503, T_AWAY, NULL);
		return;
	}
	if (rc < 0 && !pages[i].open) {
		if (v->method == GET && !strstr(v->path, "/events"))
			visit_redirect(v, "/login");
		else
			visit_sorry(v, 401, T_LOGIN_AGAIN, NULL);
		return;
	}
	if (rc == 0 && !pages[i].open &&
	    !(api_admits(v->s, &v->token, false, &retry_s) && (v->method == GET || api_admits(v->s, &v->token, true, &retry_s)))) {
		web_answer_header(v->req, "Retry-After", "%d", retry_s);
		visit_sorry(v, 429, T_TOO_OFTEN, NULL);
		return;
	}
	if (v->method == POST && !is_form_of_ours(v, pages[i].open, &err)) {
		visit_sorry(v, 403, T_NOT_OURS, err.text);
		return;
	}
	pages[i].fn(v);
}

void panel_request(struct server *s, struct evhttp_request *req)
{
	const char *uri = evhttp_request_get_uri(req);
	struct visit *v = calloc(1, sizeof(*v));
	if (!v || !(v->path = strndup(uri, strcspn(uri, "?#")))) {
		free(v);
		web_problem(req, 503, NULL, "out of memory");
		return;
	}
	v->s = s;
	v->req = req;
	v->method = evhttp_request_get_command(req);
	if (s->draining) {
		web_answer_header(req, "Retry-After", "5");
		visit_sorry(v, 503, T_AWAY, NULL);
		return;
	}
	for (size_t i = 0; i < N_PAGES; i++) {
		if (pages[i].method == v->method && fits(pages[i].path, v->path, v->arg)) {
			dispatch(v, i);
			return;
		}
	}
	struct err err = {0};
	recognize(v, &err);
	visit_sorry(v, 404, T_NO_SUCH_PAGE, NULL);
}
