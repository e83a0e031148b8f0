#include "dnsupdate/cmd.h"

#include "dnsupdate/run.h"
#include "dnsupdate/serve.h"

#include "lib/log.h"

#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 60 /* of a person, who may end it at any time */

enum { OPT_WAIT = 1, OPT_TO = 2, OPT_LEAVE_DRIFT = 4, OPT_ACCOUNTS = 8, OPT_ALL = 16, OPT_VERB = 32 };
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

static enum exit_code run(const struct command *c, const struct options *o, char **words, int n, struct out *out, struct err *err)
{
	struct conf *conf;
	enum exit_code x = EXIT_DONE;

	if (conf_load(&conf, o->file, err) < 0)
		return EXIT_USAGE;
	log_level(c->run == RUN_SERVE ? LEVEL_INFO : LEVEL_WARN);
	switch (c->run) {
	case RUN_JOBS:
		x = run_jobs(c->kind, o, conf, words, n, out, err);
		break;
	case RUN_STATUS:
		x = run_status(o, conf, n ? words[0] : NULL, out, err);
		break;
	case RUN_SERVE:
		x = (enum exit_code)serve_main(conf);
		if (x)
			err_set(err, -EIO, "not started: the log says why");
		break;
	}
	conf_free(conf);
	return x;
}

int cmd_main(int argc, char **argv)
{
	struct options o = {.file = CONF_DEFAULT_FILE, .wait_s = WAIT_S, .to = SIDE_TRANSIT, .verb = VERB_PUSH};
	const struct command *c = NULL;
	struct out out;
	struct err err = {0};
	int rc = parse_options(argc, argv, &o, &err);

	if (rc > 0)
		return EXIT_DONE;
	out_init(&out, out_wants_json(argc, argv));
	if (rc == 0)
		rc = check_words(&c, argc, argv, &o, &err);
	return out_finish(&out, rc < 0 ? EXIT_USAGE : run(c, &o, argv + optind + 1, argc - optind - 1, &out, &err), &err);
}
