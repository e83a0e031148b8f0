#include "dnsupdate/cmd.h"

#include "dnsupdate/accounts.h"
#include "dnsupdate/job.h"
#include "dnsupdate/serve.h"
#include "dnsupdate/show.h"

#include "lib/log.h"

#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_S 60 /* of a person, who may end it at any time */

enum { OPT_WAIT = 1, OPT_TO = 2, OPT_LEAVE_DRIFT = 4, OPT_ACCOUNTS = 8, OPT_ALL = 16, OPT_VERB = 32 };
struct options {
	const char *file, *accounts;
	bool json, leave_drift, all;
	enum side to;
	enum verb verb;
	int wait_s;
	unsigned given;
};

struct command {
	const char *name, *args, *summary;
	enum job_kind kind;
	int min_words, max_words; /* max -1: any number */
	unsigned options;
	enum { RUN_JOBS, RUN_STATUS, RUN_SERVE } run;
};
static const struct command commands[] = {
	{"classify", "NAME..", "whose DNS each domain is on, and what becomes of each name (accounts, or domains)", JOB_CLASSIFY, 0, -1,
	 OPT_ACCOUNTS | OPT_ALL, RUN_JOBS},
	{"plan", "ACCOUNT", "the exact difference that a change would make; changes nothing", JOB_PLAN, 1, 1,
	 OPT_TO | OPT_VERB | OPT_ACCOUNTS, RUN_JOBS},
	{"push", "ACCOUNT", "point the account's records at the other server", JOB_PUSH, 1, 1,
	 OPT_WAIT | OPT_TO | OPT_LEAVE_DRIFT | OPT_ACCOUNTS, RUN_JOBS},
	{"verify", "ACCOUNT", "look whether every name server shows it", JOB_VERIFY, 1, 1, OPT_WAIT, RUN_JOBS},
	{"undo", "ACCOUNT", "every record as it was, TTLs included", JOB_UNDO, 1, 1, OPT_WAIT | OPT_LEAVE_DRIFT, RUN_JOBS},
	{"prepare", "ACCOUNT", "lower the TTLs ahead of a move", JOB_PREPARE, 1, 1, OPT_WAIT | OPT_LEAVE_DRIFT | OPT_ACCOUNTS, RUN_JOBS},
	{"finalise", "ACCOUNT", "keep the new values, and restore the TTLs", JOB_FINALISE, 1, 1, OPT_WAIT | OPT_LEAVE_DRIFT, RUN_JOBS},
	{"status", "[ACCOUNT]", "what is changed, since when, and who does not show it yet", JOB_VERIFY, 0, 1, 0, RUN_STATUS},
	{"serve", "", "be asked by shunt", JOB_VERIFY, 0, 0, 0, RUN_SERVE},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static const struct {
	unsigned bit;
	const char *name;
} option_names[] = {{OPT_WAIT, "--wait"},         {OPT_TO, "--to"},   {OPT_LEAVE_DRIFT, "--leave-drift"},
		    {OPT_ACCOUNTS, "--accounts"}, {OPT_ALL, "--all"}, {OPT_VERB, "--verb"}};

/* ---- running ---- */

struct run {
	const struct command *cmd;
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
		.kind = r->cmd->kind,
		.verb = r->opt->verb,
		.to = r->opt->to,
		.wait_s = r->opt->wait_s,
		.leave_drift = r->opt->leave_drift,
		.resolvers = r->cmd->kind == JOB_VERIFY,
		.urgent = r->cmd->kind != JOB_CLASSIFY,
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
	switch (r->cmd->kind) {
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
	if (r->cmd->kind == JOB_CLASSIFY)
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
	for (size_t i = 0; i < r->n_jobs; i++)
		job_cancel(r->jobs[i]);
	if (r->cmd->kind != JOB_CLASSIFY && r->cmd->kind != JOB_PLAN && left_in_the_middle(r, account)) {
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

	if (r->x != EXIT_DONE || r->cmd->kind == JOB_CLASSIFY || r->cmd->kind == JOB_PLAN ||
	    json_is_true(json_object_get(r->out->object, "published")))
		return r->x;
	if (json_array_size(lagging))
		snprintf(text, sizeof(text), "%s", json_string_value(json_array_get(lagging, 0)));
	err_set(&r->err, -ETIMEDOUT, "%s, but not every name server shows it: %s; `verify` looks again",
		r->cmd->kind == JOB_VERIFY ? "it is in the zone" : "it is done", text);
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

static enum exit_code run_status(struct run *r, char **words, int n)
{
	if (n && !account_name_ok(words[0])) {
		err_set(&r->err, -EINVAL, "status: found \"%.60s\", expected the name of an account", words[0]);
		return EXIT_USAGE;
	}
	r->x = job_status(&r->dns, n ? words[0] : NULL, r->out->object, &r->err);
	show_status(r->out);
	return r->x;
}

static enum exit_code run_jobs(struct run *r, char **words, int n)
{
	enum exit_code x = run_loop(r, words, n);

	if (r->interrupted || r->n_jobs == 0)
		return x;
	if (r->cmd->kind == JOB_CLASSIFY)
		show_classify(r->out);
	else
		show_job(r->out, r->cmd->kind);
	return x;
}

static enum exit_code run(struct run *r, char **words, int n)
{
	int rc = 0;
	enum exit_code x;

	if (conf_load(&r->conf, r->opt->file, &r->err) < 0)
		return EXIT_USAGE;
	log_level(r->cmd->run == RUN_SERVE ? LEVEL_INFO : LEVEL_ERROR);
	if (r->cmd->run == RUN_SERVE) {
		x = (enum exit_code)serve_main(r->conf);
		if (x)
			err_set(&r->err, -EIO, "not started: the log says why");
		return x;
	}
	if (r->cmd->run == RUN_JOBS && needs_accounts(r)) /* before privileges are given up */
		rc = accounts_load(&r->accounts, r->opt->accounts, r->conf, &r->err);
	if (rc == -ENOENT && r->cmd->kind == JOB_CLASSIFY && !r->opt->accounts && !r->opt->all)
		rc = 0; /* domains need no accounts */
	if (rc < 0)
		return EXIT_USAGE;
	rc = loop_new(&r->loop, &r->err);
	if (rc == 0)
		rc = dns_open(&r->dns, r->conf, r->loop, &r->err);
	if (rc < 0)
		return rc == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
	return r->cmd->run == RUN_STATUS ? run_status(r, words, n) : run_jobs(r, words, n);
}

static void run_done(struct run *r)
{
	dns_close(&r->dns);
	if (r->loop)
		loop_free(r->loop);
	acctset_done(&r->accounts);
	free(r->jobs);
	conf_free(r->conf);
}

/* ---- the line ---- */

static void usage(FILE *to)
{
	fputs("shunt-dnsupdate [-c FILE] [--json] COMMAND\nrecords of domains on the provider's DNS: every change has its undo on disk "
	      "first.\n\n",
	      to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-9s %-10s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	fputs("\n  -c, --config FILE    default " CONF_DEFAULT_FILE "\n      --json           print one JSON object, also for errors\n"
	      "      --to SIDE        transit (default) or client: records that name the transit server come home\n"
	      "      --verb VERB      plan: push (default), undo, prepare or finalise\n"
	      "      --wait S         for name servers to show it (default 60)\n"
	      "      --leave-drift    what somebody else changed stays as it is, and is forgotten\n"
	      "      --accounts FILE  the panel's accounts (JSON), instead of those that shunt knows\n"
	      "      --all            classify: every account\n  -h, --help; -V, --version\n\n"
	      "Exit: 0 done; 1 refused, nothing changed; 2 usage or configuration; 3 failed, nothing changed; 4 in the middle, a person "
	      "must decide.\n",
	      to);
}

static int parse_verb(const char *text, enum verb *out, struct err *err)
{
	static const enum verb all[] = {VERB_PUSH, VERB_UNDO, VERB_PREPARE, VERB_FINALISE};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strcmp(text, verb_text(all[i])) == 0) {
			*out = all[i];
			return 0;
		}
	return err_set(err, -EINVAL, "--verb: found \"%.40s\", expected push, undo, prepare or finalise", text);
}

static int parse_seconds(const char *text, int *out, struct err *err)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (!*text || *end || *text == '+' || *text == '-' || v < 0 || v > 3600)
		return err_set(err, -EINVAL, "--wait: found \"%.40s\", expected seconds from 0 to 3600", text);
	*out = (int)v;
	return 0;
}

static int parse_side(const char *text, enum side *out, struct err *err)
{
	return side_parse(out, text) ? 0 : err_set(err, -EINVAL, "--to: found \"%.40s\", expected transit or client", text);
}

/* 0; 1: help or version was printed; -EINVAL. */
static int parse_options(int argc, char **argv, struct options *o, struct err *err)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"json", no_argument, NULL, 'j'},
					      {"to", required_argument, NULL, 't'},
					      {"verb", required_argument, NULL, 'v'},
					      {"wait", required_argument, NULL, 'w'},
					      {"leave-drift", no_argument, NULL, 'l'},
					      {"accounts", required_argument, NULL, 'a'},
					      {"all", no_argument, NULL, 'A'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {0}};
	int rc = 0;

	opterr = 0;
	for (int c; rc == 0 && (c = getopt_long(argc, argv, ":c:hV", longs, NULL)) != -1;) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 't':
			o->given |= OPT_TO;
			rc = parse_side(optarg, &o->to, err);
			break;
		case 'v':
			o->given |= OPT_VERB;
			rc = parse_verb(optarg, &o->verb, err);
			break;
		case 'w':
			o->given |= OPT_WAIT;
			rc = parse_seconds(optarg, &o->wait_s, err);
			break;
		case 'l':
			o->given |= OPT_LEAVE_DRIFT;
			o->leave_drift = true;
			break;
		case 'a':
			o->given |= OPT_ACCOUNTS;
			o->accounts = optarg;
			break;
		case 'A':
			o->given |= OPT_ALL;
			o->all = true;
			break;
		case 'h':
			usage(stdout);
			return 1;
		case 'V':
			puts("shunt-dnsupdate " PACKAGE_VERSION);
			return 1;
		case ':':
			return err_set(err, -EINVAL, "%s needs a value; shunt-dnsupdate --help explains it", argv[optind - 1]);
		default:
			return err_set(err, -EINVAL, "there is no option \"%.60s\"; shunt-dnsupdate --help lists them", argv[optind - 1]);
		}
	}
	return rc;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int check_words(const struct command **c, int argc, char **argv, const struct options *o, struct err *err)
{
	int n = argc - optind - 1;

	if (optind >= argc)
		return err_set(err, -EINVAL, "which command? shunt-dnsupdate --help lists them");
	*c = find(argv[optind]);
	if (!*c)
		return err_set(err, -EINVAL, "there is no command \"%.60s\"; shunt-dnsupdate --help lists them", argv[optind]);
	for (size_t i = 0; i < sizeof(option_names) / sizeof(*option_names); i++)
		if (o->given & option_names[i].bit & ~(*c)->options)
			return err_set(err, -EINVAL, "%s does not take %s", (*c)->name, option_names[i].name);
	if (n < (*c)->min_words || ((*c)->max_words < 0 && n == 0 && !o->all))
		return err_set(err, -EINVAL, "%s: something is missing, expected shunt-dnsupdate %s %s", (*c)->name, (*c)->name,
			       (*c)->args);
	if ((*c)->max_words >= 0 && n > (*c)->max_words)
		return err_set(err, -EINVAL, "%s: \"%.60s\" is one word too many, expected shunt-dnsupdate %s %s", (*c)->name,
			       argv[optind + 1 + (*c)->max_words], (*c)->name, (*c)->args);
	if ((*c)->max_words == 1 && n == 1 && !account_name_ok(argv[optind + 1]))
		return err_set(err, -EINVAL, "%s: found \"%.60s\", expected the name of an account", (*c)->name, argv[optind + 1]);
	return 0;
}

static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

int cmd_main(int argc, char **argv)
{
	struct options o = {.file = CONF_DEFAULT_FILE, .wait_s = WAIT_S, .to = SIDE_TRANSIT, .verb = VERB_PUSH};
	struct out out;
	struct run r = {.opt = &o, .out = &out};
	int rc = parse_options(argc, argv, &o, &r.err), x;

	if (rc > 0)
		return EXIT_DONE;
	out_init(&out, wants_json(argc, argv));
	r.tty = !out.json && isatty(STDERR_FILENO);
	if (rc == 0)
		rc = check_words(&r.cmd, argc, argv, &o, &r.err);
	x = out_finish(&out, rc < 0 ? EXIT_USAGE : run(&r, argv + optind + 1, argc - optind - 1), &r.err);
	run_done(&r);
	return x;
}
