#pragma once
/* visit - one request to the panel, from its first look to its answer. What a page shows it asks of the API, by the token of whom it is
 * for: the same table, guards and limits, and an owner is shown what the API would tell him. A page asks (visit_ask), then goes on when all
 * answers are there (visit_then), and ends with visit_page() or visit_redirect(), which free. Threads: the loop's. */
#include "control/panel/form.h"
#include "control/panel/html.h"
#include "control/panel/session.h"
#include "control/serve/serve.h"

#define VISIT_ASKS 8

struct visit {
	struct server *s;
	struct evhttp_request *req;
	char *path;
	enum evhttp_cmd_type method;
	struct token token; /* whose it is; name "": nobody's */
	bool owner;
	char session[SESSION_TEXT_MAX]; /* "": by a header, or nobody */
	char seal[FORM_SEAL_MAX];
	struct form form;
	char arg[ROUTE_ARG_MAX + 1]; /* the account or operation of the path */
	unsigned pending;
	struct {
		struct visit *v;
		int status; /* HTTP's */
		json_t *body;
	} answers[VISIT_ASKS];
	void (*then)(struct visit *v);
	struct html html;
	json_t *accounts; /* of a form: names; owned */
	const char *action;
	char *key;
};

/* fields: taken, or NULL. */
void visit_ask(struct visit *v, unsigned i, enum evhttp_cmd_type method, json_t *fields, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void visit_then(struct visit *v, void (*then)(struct visit *v));
/* What the command has said, also where it refused; NULL: nothing. */
const json_t *visit_data(const struct visit *v, unsigned i);
const char *visit_error(const struct visit *v, unsigned i); /* NULL: it was 200 or 202 */

/* ---- the frame of a page ---- */
struct page {
	enum text title;
	const char *of;     /* a value in the title; NULL: none */
	const char *events; /* where it is told what happens; NULL: nowhere */
	int refresh_s;      /* for who has no script; 0: not */
};
void page_begin(struct visit *v, const struct page *p);
void visit_page(struct visit *v, int status);                                                     /* ends the page, sends it, and frees v */
void visit_redirect(struct visit *v, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* 303 */
void visit_sorry(struct visit *v, int status, enum text t, const char *value);                    /* a page that says so */
void visit_free(struct visit *v);

bool visit_is_secure(const struct visit *v);     /* does the browser come by TLS? */
const char *visit_cookie(const struct visit *v); /* its name */

/* ---- pieces ---- */
void put_seal(struct visit *v); /* hidden fields of a form */
#define SAY(v, ...) html_say(&(v)->html, __VA_ARGS__)

/* ---- the pages ---- */
void page_login(struct visit *v);
void page_login_sent(struct visit *v);
void page_logout(struct visit *v);
void page_server(struct visit *v);
void page_account(struct visit *v);
void page_report(struct visit *v);
void page_confirm(struct visit *v); /* a form: what would happen; nothing does */
void page_act(struct visit *v);     /* a form: it does */
void page_operation(struct visit *v);
void page_cancel(struct visit *v);
