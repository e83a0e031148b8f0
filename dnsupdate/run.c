#include "dnsupdate/run.h"

#include "dnsupdate/accounts.h"
#include "dnsupdate/show.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
	enum job_kind kind;
	const struct options *opt;
	struct conf *conf;
	struct loop *loop;
	struct dns dns;
	struct acctset accounts;
	struct out *out;
	struct job **jobs;
	size_t n_jobs, left, zones;
	enum exit_code x;
	struct err err;
	bool interrupted, tty;
};

static void clear_line(struct run *r)
{
	if (r->tty)
		fputs("\r\033[K", stderr);
}

static void on_progress(void *arg, const char *zone, const char *text)
{
	struct run *r = arg;

	if (!r->tty)
		return;
	clear_line(r);
	if (text)
		fprintf(stderr, "%s %s\n", zone, text);
	else
		fprintf(stderr, "%zu zones done", ++r->zones);
	fflush(stderr);
}

/* Several answers (classify) become one: lists are joined, numbers added. */
static void merge(json_t *into, json_t *answer)
{
	const char *key;
	json_t *value, *there, *n;
	const char *name;

	json_object_foreach (answer, key, value) {
		there = json_object_get(into, key);
		if (!there) {
			json_object_set(into, key, value);
		} else if (json_is_array(value)) {
			json_array_extend(there, value);
		} else if (json_is_object(value)) {
			json_object_foreach (value, name, n)
				json_object_set_new(there, name,
						    json_integer(json_integer_value(json_object_get(there, name)) + json_integer_value(n)));
		}
	}
	json_decref(answer);
}

struct slot { /* of one job */
	struct run *run;
	size_t i;
};

static void on_job(void *arg, enum exit_code x, json_t *answer, const struct err *err)
{
	struct slot *slot = arg;
	struct run *r = slot->run;

	r->jobs[slot->i] = NULL;
	merge(r->out->object, answer);
	if (x > r->x) {
		r->x = x;
		r->err = *err;
	}
	if (--r->left == 0)
		loop_stop(r->loop);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct run *r = arg;

	(void)sig;
	(void)what;
	r->interrupted = true;
	loop_stop(r->loop);
}

static int start_one(struct run *r, struct slot *slot, const struct acctdef *d, char *const *domains, size_t n_domains)
{
	struct job_wish w = {
		.kind = r->kind,
		.verb = r->opt->verb,
		.to = r->opt->to,
		.wait_s = r->opt->wait_s,
		.leave_drift = r->opt->leave_drift,
		.resolvers = r->kind == JOB_VERIFY,
		.urgent = r->kind != JOB_CLASSIFY,
		.account = d ? d->name : "",
		.domains = d ? d->domains : domains,
		.n_domains = d ? d->n_domains : n_domains,
		.progress = on_progress,
		.arg = r,
	};
	char **others = NULL;

	if (d && accounts_others(&r->accounts, d, &others, &w.n_others) < 0)
		return err_set(&r->err, -ENOMEM, "out of memory");
	w.others = others;
	slot->run = r;
	slot->i = r->n_jobs;
	r->jobs[slot->i] = job_start(&r->dns, &w, on_job, slot);
	free(others);
	if (!r->jobs[slot->i])
		return err_set(&r->err, -ENOMEM, "out of memory");
	r->n_jobs++;
	r->left++;
	return 0;
}

/* ---- what the words mean ---- */

/* An account of which nothing but the journal needs to be known. */
static int start_by_name(struct run *r, struct slot *slots, const char *word)
{
	struct acctdef d = {.name = (char *)(uintptr_t)word};

	return start_one(r, slots, &d, NULL, 0);
}

static int start_account(struct run *r, struct slot *slots, const char *word)
{
	const struct acctdef *d = accounts_find(&r->accounts, word);

	if (!d)
		return err_set(&r->err, -ENOENT, "there is no account \"%.100s\"; `shunt account list` names them", word);
	return start_one(r, slots, d, NULL, 0);
}

/* Words that are no account's name are domains: one job for all of them. */
static int start_names(struct run *r, struct slot *slots, char **words, int n)
{
	char **domains = calloc((size_t)n + 1, sizeof(*domains)), canon[DOMAIN_MAX + 1];
	const char *expected;
	size_t n_domains = 0;
	int rc = domains ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && r->opt->all && i < r->accounts.n; i++)
		rc = start_one(r, &slots[r->n_jobs], &r->accounts.defs[i], NULL, 0);
	for (int i = 0; rc == 0 && i < n; i++) {
		const struct acctdef *d = accounts_find(&r->accounts, words[i]);

		if (d)
			rc = start_one(r, &slots[r->n_jobs], d, NULL, 0);
		else if (strchr(words[i], '.') && domain_canon(canon, words[i], true, &expected))
			rc = (domains[n_domains++] = strdup(canon)) ? 0 : -ENOMEM;
		else
			rc = err_set(&r->err, -ENOENT, "there is no account \"%.100s\", and it is no domain either", words[i]);
	}
	if (rc == 0 && n_domains)
		rc = start_one(r, &slots[r->n_jobs], NULL, domains, n_domains);
	for (size_t i = 0; domains && i < n_domains; i++)
		free(domains[i]);
	free(domains);
	return rc;
}

static bool needs_accounts(const struct run *r)
{
	switch (r->kind) {
	case JOB_CLASSIFY:
	case JOB_PUSH:
	case JOB_PREPARE:
		return true;
	case JOB_PLAN:
		return r->opt->verb == VERB_PUSH || r->opt->verb == VERB_PREPARE;
	case JOB_VERIFY:
	case JOB_UNDO:
	case JOB_FINALISE:
		return false;
	}
	return false;
}

static int start_jobs(struct run *r, struct slot **slots, char **words, int n)
{
	size_t most = r->accounts.n + (size_t)n + 1;

	r->jobs = calloc(most, sizeof(*r->jobs));
	*slots = calloc(most, sizeof(**slots));
	if (!r->jobs || !*slots)
		return err_set(&r->err, -ENOMEM, "out of memory");
	if (r->kind == JOB_CLASSIFY)
		return start_names(r, *slots, words, n);
	return needs_accounts(r) ? start_account(r, *slots, words[0]) : start_by_name(r, *slots, words[0]);
}

/* ---- a run ---- */

static bool left_in_the_middle(struct run *r, const char *account)
{
	struct entry_list all;
	bool busy = false;

	journal_all(r->dns.journal, account, &all, NULL);
	for (size_t i = 0; i < all.n; i++)
		busy = busy || all.entries[i].busy;
	entry_list_done(&all);
	return busy;
}

static enum exit_code interrupted(struct run *r, const char *account)
{
	bool sent = false;

	for (size_t i = 0; i < r->n_jobs; i++) {
		sent = sent || (r->jobs[i] && job_has_sent(r->jobs[i])); /* perhaps all of some zones, and nothing of the others */
		job_cancel(r->jobs[i]);
	}
	if (sent || (r->kind != JOB_CLASSIFY && r->kind != JOB_PLAN && left_in_the_middle(r, account))) {
		err_set(&r->err, -EINTR,
			"interrupted in the middle of a change: the same command again goes on with it, `undo` takes it back");
		return EXIT_STUCK;
	}
	err_set(&r->err, -EINTR, "interrupted");
	return EXIT_UNDONE;
}

/* A command answers when its effect is true: what is not seen everywhere is not done yet. */
static enum exit_code not_seen(struct run *r)
{
	char text[400] = "";
	json_t *lagging = json_object_get(r->out->object, "lagging");

	if (r->x != EXIT_DONE || r->kind == JOB_CLASSIFY || r->kind == JOB_PLAN ||
	    json_is_true(json_object_get(r->out->object, "published")))
		return r->x;
	if (json_array_size(lagging))
		snprintf(text, sizeof(text), "%s", json_string_value(json_array_get(lagging, 0)));
	err_set(&r->err, -ETIMEDOUT, "%s, but not every name server shows it: %s; `verify` looks again",
		r->kind == JOB_VERIFY ? "it is in the zone" : "it is done", text);
	return EXIT_STUCK;
}

static enum exit_code run_loop(struct run *r, char **words, int n)
{
	struct event *sigs[2] = {evsignal_new(loop_base(r->loop), SIGINT, on_signal, r),
				 evsignal_new(loop_base(r->loop), SIGTERM, on_signal, r)};
	struct slot *slots = NULL;

	for (size_t i = 0; i < 2; i++)
		event_add(sigs[i], NULL);
	if (start_jobs(r, &slots, words, n) < 0) {
		for (size_t i = 0; i < r->n_jobs; i++)
			job_cancel(r->jobs[i]);
		r->x = EXIT_REFUSED;
	} else if (r->left) {
		loop_run(r->loop);
		clear_line(r);
		r->x = r->interrupted ? interrupted(r, n ? words[0] : NULL) : not_seen(r);
	}
	for (size_t i = 0; i < 2; i++)
		event_free(sigs[i]);
	free(slots);
	return r->x;
}

static int open_run(struct run *r)
{
	int rc = loop_new(&r->loop, &r->err);

	return rc < 0 ? rc : dns_open(&r->dns, r->conf, r->loop, &r->err);
}

static enum exit_code close_run(struct run *r, enum exit_code x, struct err *err)
{
	dns_close(&r->dns);
	if (r->loop)
		loop_free(r->loop);
	acctset_done(&r->accounts);
	free(r->jobs);
	*err = r->err;
	return x;
}

enum exit_code run_status(const struct options *o, struct conf *conf, const char *account, struct out *out, struct err *err)
{
	struct run r = {.opt = o, .conf = conf, .out = out};
	int rc = open_run(&r);

	if (rc < 0)
		return close_run(&r, rc == -EINVAL ? EXIT_USAGE : EXIT_REFUSED, err);
	r.x = job_status(&r.dns, account, out->object, &r.err);
	show_status(out);
	return close_run(&r, r.x, err);
}

static void show(struct run *r)
{
	if (r->interrupted || r->n_jobs == 0)
		return;
	if (r->kind == JOB_CLASSIFY)
		show_classify(r->out);
	else
		show_job(r->out, r->kind, r->x == EXIT_DONE);
}

enum exit_code run_jobs(enum job_kind kind, const struct options *o, struct conf *conf, char **words, int n, struct out *out,
			struct err *err)
{
	struct run r = {.kind = kind, .opt = o, .conf = conf, .out = out, .tty = !out->json && isatty(STDERR_FILENO)};
	int rc = 0;

	if (needs_accounts(&r)) /* before privileges are given up */
		rc = accounts_load(&r.accounts, o->accounts, conf, &r.err);
	if (rc == -ENOENT && kind == JOB_CLASSIFY && !o->accounts && !o->all)
		rc = 0; /* domains need no accounts */
	if (rc < 0)
		return close_run(&r, EXIT_USAGE, err);
	rc = open_run(&r);
	if (rc < 0)
		return close_run(&r, rc == -EINVAL ? EXIT_USAGE : EXIT_REFUSED, err);
	r.x = run_loop(&r, words, n);
	show(&r);
	return close_run(&r, r.x, err);
}
