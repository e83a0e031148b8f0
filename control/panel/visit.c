#include "control/panel/visit.h"

#include "lib/member.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- asking ---- */

static void go_on(struct visit *v)
{
	if (--v->pending == 0)
		v->then(v);
}

static void on_answer(void *arg, int status, const json_t *body)
{
	__typeof__(((struct visit *)NULL)->answers[0]) *a = arg;
	a->status = status;
	a->body = json_incref((json_t *)body);
	go_on(a->v);
}

void visit_ask(struct visit *v, unsigned i, enum evhttp_cmd_type method, json_t *fields, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	if (v->pending == 0)
		v->pending = 1; /* until visit_then() */
	v->pending++;
	v->answers[i].v = v;
	api_ask(v->s, &(const struct question){.req = v->req,
					       .token = &v->token,
					       .method = method,
					       .path = path,
					       .key = v->key,
					       .fields = fields,
					       .answered = on_answer,
					       .arg = &v->answers[i]});
}

void visit_then(struct visit *v, void (*then)(struct visit *v))
{
	v->then = then;
	if (v->pending == 0)
		v->pending = 1;
	go_on(v);
}

const json_t *visit_data(const struct visit *v, unsigned i)
{
	const json_t *body = v->answers[i].body, *inner = json_object_get(body, "answer");
	return v->answers[i].status >= 400 && inner ? inner : body;
}

const char *visit_error(const struct visit *v, unsigned i)
{
	return v->answers[i].status < 400 ? NULL : member_text(v->answers[i].body, "detail");
}

/* ---- the frame ---- */

bool visit_is_secure(const struct visit *v)
{
	const char *proto = web_header(v->req, "X-Forwarded-Proto");
	return strncmp(web_address(v->s->web), "tls://", 6) == 0 || (proto && strcmp(proto, "https") == 0);
}

const char *visit_cookie(const struct visit *v)
{
	return visit_is_secure(v) ? "__Host-shunt-session" : "shunt-session";
}

void put_seal(struct visit *v)
{
	html(&v->html, "<input type=\"hidden\" name=\"seal\" value=\"%s\">", v->seal);
}

static void put_bar(struct visit *v)
{
	struct html *h = &v->html;
	html(h, "<header class=\"bar\"><a class=\"home\" href=\"/\"><span class=\"mark\" aria-hidden=\"true\"></span>");
	SAY(v, T_PANEL);
	html(h, "</a>");
	if (*v->token.name) {
		html(h, "<div class=\"who\"><span>");
		SAY(v, v->owner ? T_YOU_OWN : T_YOU_OPERATE, v->owner ? v->token.account : v->token.name);
		html(h, "</span>");
		if (*v->session) {
			html(h, "<form method=\"post\" action=\"/logout\">");
			put_seal(v);
			html(h, "<button class=\"quiet\">");
			SAY(v, T_LOG_OUT);
			html(h, "</button></form>");
		}
		html(h, "</div>");
	}
	html(h, "</header>");
}

void page_begin(struct visit *v, const struct page *p)
{
	struct html *h = &v->html;
	html_done(h);
	html(h, "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><title>", text(T_LANG));
	SAY(v, p->title, p->of ? p->of : "");
	html(h, " · ");
	SAY(v, T_PANEL);
	html(h, "</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" "
		"content=\"light dark\"><link rel=\"stylesheet\" href=\"/style.css\">");
	if (p->refresh_s)
		html(h, "<noscript><meta http-equiv=\"refresh\" content=\"%d\"></noscript>", p->refresh_s);
	html(h, "<script src=\"/script.js\" defer></script></head><body data-lost=\"%s\" data-back=\"%s\" data-login=\"%s\"", text(T_LOST),
	     text(T_BACK), text(T_LOGIN_AGAIN));
	if (p->events)
		html(h, " data-events=\"%s\"", p->events);
	html(h, "><a class=\"skip\" href=\"#main\">");
	SAY(v, T_SKIP);
	html(h, "</a>");
	put_bar(v);
	/* What changes is said by a script in a place that stays: a live region that is replaced itself is not read out. */
	html(h, "<p id=\"connection\" role=\"status\"></p><p id=\"said\" class=\"sr\" role=\"status\"></p><main id=\"main\" "
		"tabindex=\"-1\"><h1>");
	SAY(v, p->title, p->of ? p->of : "");
	html(h, "</h1>");
}

static void headers(struct visit *v)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(v->req);
	/* What the API has said of its own answer is not this one's. */
	evhttp_remove_header(out, "Location");
	evhttp_remove_header(out, "Idempotency-Replayed");
	web_answer_header(v->req, "Content-Security-Policy",
			  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action "
			  "'self'; frame-ancestors 'none'; base-uri 'none'");
	web_answer_header(v->req, "X-Frame-Options", "DENY");
	/* With no-referrer browsers would not say where a form comes from, either. */
	web_answer_header(v->req, "Referrer-Policy", "same-origin");
	web_answer_header(v->req, "Cross-Origin-Opener-Policy", "same-origin");
}

void visit_page(struct visit *v, int status)
{
	struct evhttp_request *req = v->req;
	html(&v->html, "</main><footer>");
	SAY(v, T_FOOTER);
	html(&v->html, "</footer></body></html>\n");
	headers(v);
	if (v->html.lost || !v->html.text)
		web_reply(req, 503, "text/plain; charset=utf-8", "out of memory\n", 14);
	else
		web_reply(req, status, "text/html; charset=utf-8", v->html.text, v->html.len);
	visit_free(v);
}

void visit_redirect(struct visit *v, const char *fmt, ...)
{
	struct evhttp_request *req = v->req;
	char where[200];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(where, sizeof(where), fmt, ap);
	va_end(ap);
	headers(v);
	web_answer_header(req, "Location", "%s", where);
	web_reply(req, 303, "text/plain; charset=utf-8", "", 0);
	visit_free(v);
}

void visit_sorry(struct visit *v, int status, enum text t, const char *value)
{
	page_begin(v, &(const struct page){.title = status == 404 ? T_NOT_FOUND : T_SORRY});
	html(&v->html, "<div class=\"card refused\" role=\"alert\"><p>");
	SAY(v, t, value ? value : "");
	html(&v->html, "</p></div><p><a class=\"button\" href=\"/\">");
	SAY(v, T_GO_HOME);
	html(&v->html, "</a></p>");
	visit_page(v, status);
}

void visit_free(struct visit *v)
{
	for (size_t i = 0; i < VISIT_ASKS; i++)
		json_decref(v->answers[i].body);
	form_done(&v->form);
	html_done(&v->html);
	json_decref(v->accounts);
	free(v->path);
	free(v->key);
	free(v);
}
