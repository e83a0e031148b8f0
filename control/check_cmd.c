#include "control/check.h"

#include "control/finding.h"
#include "control/stragglers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int check_load(struct app *a, char **words, int n, struct acctset *set, struct err *err)
{
	int rc = 0;
	*set = (struct acctset){0};
	if (n == 0)
		return journal_accounts(a->db, set, err);
	for (int i = 0; rc == 0 && i < n; i++) {
		struct account_row row;
		rc = journal_account(a->db, words[i], &row, err);
		if (rc == 0 && (rc = acctset_add(set, &row.def)) < 0)
			err_set(err, rc, "out of memory");
	}
	if (rc < 0)
		acctset_done(set);
	return rc;
}

/* ---- what was found last ---- */

/* Added to counts; -ENOENT and others: it was never checked, or cannot be read. */
static int show_last(struct app *a, const char *name, json_t *list, size_t *stopped, struct err *err)
{
	char at[TIME_TEXT_MAX];
	size_t counts[GRADES];
	json_t *findings;
	int64_t when = 0;
	int rc = findings_get(a->db, name, &when, &findings, err);
	if (rc < 0)
		return rc;
	findings_count(findings, counts);
	*stopped += counts[GRADE_STOP] > 0;
	out_line(&a->out, "%s, checked at %s", name, time_text(when, at));
	findings_show(&a->out, findings, NULL);
	json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "account", name, "at", time_text(when, at), "findings", findings));
	return 0;
}

enum exit_code check_last(struct app *a, char **words, int n, struct err *err)
{
	json_t *list = json_array(), *never = json_array();
	struct acctset set;
	size_t stopped = 0;
	int rc = check_load(a, words, n, &set, err);
	out_set(&a->out, "accounts", list);
	out_set(&a->out, "never-checked", never);
	for (size_t i = 0; rc == 0 && i < set.n; i++) {
		rc = show_last(a, set.defs[i].name, list, &stopped, err);
		if (rc != -ENOENT)
			continue;
		out_line(&a->out, "%s: never checked (shunt check %s)", set.defs[i].name, set.defs[i].name);
		json_array_append_new(never, json_string(set.defs[i].name));
		rc = 0;
	}
	size_t all = set.n;
	acctset_done(&set);
	if (rc < 0)
		return exit_of(rc);
	if (stopped == 0)
		return EXIT_DONE;
	err_set(err, -EPERM, "%zu of %zu accounts should not have been moved when they were checked", stopped, all);
	return EXIT_REFUSED;
}

/* ---- the command ---- */

static enum exit_code with_links(struct app *a, char **words, int n, struct err *err)
{
	struct dnslink *dns[CHECK_LINKS] = {NULL};
	struct proxylink *proxy[CHECK_LINKS] = {NULL};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < CHECK_LINKS; i++) {
		rc = proxylink_open(&proxy[i], app_proxy_address(a), &a->conf->tls, err);
		if (rc == 0 && a->dns)
			rc = dnslink_open(&dns[i], a->conf->control.dns, &a->conf->tls, err);
	}
	const struct check_links links = {a->dns ? dns : NULL, proxy, CHECK_LINKS};
	enum exit_code x = rc < 0 ? exit_of(rc) : check_run(a, &links, words, n, err);
	for (size_t i = 0; i < CHECK_LINKS; i++) {
		dnslink_close(dns[i]);
		proxylink_close(proxy[i]);
	}
	return x;
}

enum exit_code cmd_check(struct app *a, char **words, int n, struct err *err)
{
	if (a->opt.stragglers)
		return stragglers_show(a, words, n, err);
	if (a->opt.last)
		return check_last(a, words, n, err);
	if (!a->dns) {
		out_line(&a->out,
			 "DNS is not configured (dns of section control): moves leave it as it is, and every domain is covered by the "
			 "proxy");
		out_set(&a->out, "dns", json_null());
	}
	return with_links(a, words, n, err);
}
