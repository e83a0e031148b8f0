/* token create|list|revoke: on the control host, by who may write serve's state; what they do is in the audit trail. */
#include "control/app.h"
#include "control/serve/token.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int open_both(struct app *a, struct store *s, struct err *err)
{
	int rc = store_open(s, a->conf->serve.state, err);
	if (rc == 0 && app_write_alone(a, err) != EXIT_DONE) {
		store_close(s);
		rc = err->code ? err->code : -EIO;
	}
	return rc;
}

static int wanted(const struct app *a, const char *name, struct token *t, struct err *err)
{
	int kinds = a->opt.as_operator + (a->opt.account != NULL) + a->opt.metrics;
	*t = (struct token){.kind = a->opt.account ? TOKEN_ACCOUNT : a->opt.metrics ? TOKEN_METRICS : TOKEN_OPERATOR};
	if (!token_name_ok(name))
		return err_set(
			err, -EINVAL,
			"token create: found name \"%.60s\", expected 1 to %d of a-z, 0-9, dot, hyphen and underscore, the first a letter "
			"or digit",
			name, TOKEN_NAME_MAX);
	if (kinds != 1)
		return err_set(err, -EINVAL, "token create: found %s of --operator, --account ACCOUNT and --metrics, expected one",
			       kinds ? "several" : "none");
	if (a->opt.account && !account_name_ok(a->opt.account))
		return err_set(err, -EINVAL, "token create: \"%.80s\" is no account's name", a->opt.account);
	snprintf(t->name, sizeof(t->name), "%s", name);
	snprintf(t->account, sizeof(t->account), "%s", a->opt.account ? a->opt.account : "");
	if (a->opt.given_days)
		t->expires = now_ms() + a->opt.days * 86400000LL;
	return 0;
}

/* It must be there: a slip in the name would be found by the owner. */
static int find_account(struct app *a, struct token *t, struct err *err)
{
	struct account_row row;
	if (t->kind != TOKEN_ACCOUNT)
		return 0;
	int rc = journal_account(a->db, t->account, &row, err);
	t->account_id = rc == 0 ? row.id : 0;
	account_row_done(&row);
	return rc;
}

static enum exit_code create(struct app *a, struct store *s, struct token *t, struct err *err)
{
	char text[TOKEN_TEXT_MAX], until[TIME_TEXT_MAX];
	int rc = find_account(a, t, err);
	if (rc == 0)
		rc = token_create(s, t, a->who.user, text, err);
	if (rc < 0)
		return exit_of(rc);
	json_t *told = token_json(t);
	rc = journal_note(a->db, *t->account ? t->account : NULL, 0, "token created", told, err);
	if (rc < 0) { /* nobody may have one that the trail does not know */
		token_revoke(s, t->name, NULL);
		json_decref(told);
		return exit_of(rc);
	}
	if (!a->out.json)
		fprintf(stderr, "%s token \"%s\"%s%s, %s%s. It is shown this once:\n", token_kind_name(t->kind), t->name,
			*t->account ? " of account " : "", t->account, t->expires ? "until " : "until it is revoked",
			t->expires ? time_text(t->expires, until) : "");
	out_line(&a->out, "%s", text);
	out_set(&a->out, "about", told);
	out_set(&a->out, "token", json_string(text));
	return EXIT_DONE;
}

enum exit_code cmd_token_create(struct app *a, char **words, int n, struct err *err)
{
	struct store s;
	struct token t;
	(void)n;
	int rc = wanted(a, words[0], &t, err);
	if (rc == 0)
		rc = open_both(a, &s, err);
	if (rc < 0)
		return exit_of(rc);
	enum exit_code x = create(a, &s, &t, err);
	store_close(&s);
	return x;
}

static const char *or_never(const json_t *o, const char *key)
{
	return member_text_or(o, key, "never");
}

enum exit_code cmd_token_list(struct app *a, char **words, int n, struct err *err)
{
	struct store s;
	json_t *list = NULL, *t;
	size_t i;
	(void)words;
	(void)n;
	int rc = store_open(&s, a->conf->serve.state, err);
	if (rc == 0) {
		rc = token_list(&s, &list, err);
		store_close(&s);
	}
	if (rc < 0)
		return exit_of(rc);
	if (json_array_size(list))
		out_line(&a->out, "%-24s %-9s %-24s %-21s %s", "name", "kind", "account", "expires", "last used");
	json_array_foreach (list, i, t) {
		out_line(&a->out, "%-24s %-9s %-24s %-21s %s", or_never(t, "name"), or_never(t, "kind"), member_text_or(t, "account", "-"),
			 or_never(t, "expires"), or_never(t, "used"));
	}
	if (json_array_size(list) == 0)
		out_line(&a->out, "there are no tokens yet: shunt token create NAME --operator, or --account ACCOUNT");
	out_set(&a->out, "tokens", list);
	return EXIT_DONE;
}

enum exit_code cmd_token_revoke(struct app *a, char **words, int n, struct err *err)
{
	struct store s;
	(void)n;
	int rc = open_both(a, &s, err);
	if (rc < 0)
		return exit_of(rc);
	rc = token_revoke(&s, words[0], err);
	store_close(&s);
	json_t *e = json_pack("{s:s}", "name", words[0]);
	struct err unwritten = {0};
	if (rc == 0 && journal_note(a->db, NULL, 0, "token revoked", e, &unwritten) < 0)
		out_line(&a->out, "note: the trail does not tell: %s", unwritten.text);
	json_decref(e);
	if (rc == 0)
		out_line(&a->out, "%s: revoked", words[0]);
	return exit_of(rc);
}
