#include "netctl/cmd.h"

#include "netctl/act.h"
#include "netctl/guard.h"
#include "netctl/serve.h"
#include "netctl/show.h"

#include "lib/log.h"
#include "lib/out.h"

#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *file;
	bool json, reset_old, without_peer, force;
	int confirm; /* -1: not given */
};

struct command {
	const char *name, *args, *summary;
	enum exit_code (*run)(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err);
	int min_words, max_words;
	unsigned options;
};
enum { OPT_CONFIRM = 1, OPT_RESET_OLD = 2, OPT_WITHOUT_PEER = 4, OPT_FORCE = 8 };

/* ---- commands ---- */

static struct build_wish wish_of(const struct options *o)
{
	return (struct build_wish){.without_peer = o->without_peer};
}

static enum exit_code run_plan(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	struct build_wish wish = wish_of(o);
	enum exit_code x = act_plan(a, word, &wish, out->object, err);

	if (x == EXIT_DONE)
		show_plan(out);
	return x;
}

static enum exit_code apply(struct act *a, const struct options *o, const char *plan, int confirm, struct out *out, struct err *err)
{
	struct build_wish wish = wish_of(o);
	enum exit_code x = act_apply(a, plan, confirm, &wish, out->object, err);

	if (x == EXIT_DONE)
		show_applied(out);
	return x;
}

static enum exit_code run_apply(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	return apply(a, o, word, o->confirm, out, err);
}

static enum exit_code run_confirm(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	enum exit_code x = act_confirm(a, word, out->object, err);

	(void)o;
	if (x == EXIT_DONE)
		show_list(out, "confirmed", "nothing waits for a confirmation");
	return x;
}

static enum exit_code run_revert(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	enum exit_code x = act_revert(a, word, o->force, out->object, err);

	if (x == EXIT_DONE)
		show_list(out, "reverted", "nothing is in force");
	return x;
}

static enum exit_code run_status(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	enum exit_code x = act_status(a, out->object, err);

	(void)o;
	(void)word;
	if (x == EXIT_DONE || x == EXIT_STUCK)
		show_status(out);
	return x;
}

/* It changes nobody's traffic until the proxy lives and asks for it, so it needs no confirmation unless one is asked for. */
static enum exit_code run_intercept(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	enum exit_code x;

	if (strcmp(word, "off") == 0) {
		x = act_revert(a, "intercept", o->force, out->object, err);
		if (x == EXIT_DONE)
			show_list(out, "reverted", "interception is off already");
		return x;
	}
	if (strcmp(word, "on") != 0) {
		err_set(err, -EINVAL, "intercept: found \"%.40s\", expected on or off", word);
		return EXIT_USAGE;
	}
	x = apply(a, o, "intercept", o->confirm < 0 ? 0 : o->confirm, out, err);
	if (x == EXIT_DONE && o->reset_old) {
		x = act_reset_old(a, out->object, err);
		if (x == EXIT_DONE)
			out_line(out, "%lld connections that passed the proxy by were reset",
				 (long long)json_integer_value(json_object_get(out->object, "reset")));
	}
	return x;
}

static enum exit_code run_takeover(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	(void)word;
	return apply(a, o, "takeover", o->confirm, out, err);
}

static enum exit_code run_return(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	(void)word;
	return apply(a, o, "return", o->confirm, out, err);
}

static enum exit_code run_recover(struct act *a, const struct options *o, const char *word, struct out *out, struct err *err)
{
	enum exit_code x = act_recover(a, out->object, err);

	(void)o;
	(void)word;
	if (x == EXIT_DONE)
		out_line(out, "what was to be done is done");
	return x;
}

static const struct command commands[] = {
	{"plan", "NAME", "what NAME would do, and its undo; changes nothing", run_plan, 1, 1, OPT_WITHOUT_PEER},
	{"apply", "NAME", "do it; without a confirmation in time it is undone", run_apply, 1, 1, OPT_CONFIRM | OPT_WITHOUT_PEER},
	{"confirm", "[NAME]", "it works: keep it", run_confirm, 0, 1, 0},
	{"revert", "[NAME]", "undo NAME, or all that is in force", run_revert, 0, 1, OPT_FORCE},
	{"status", "", "what is in force, what waits and until when, what somebody else changed", run_status, 0, 0, 0},
	{"intercept", "on|off", "lead visitors to shunt-proxy (client server)", run_intercept, 1, 1,
	 OPT_CONFIRM | OPT_RESET_OLD | OPT_FORCE},
	{"takeover", "", "the client server's addresses come to this host (transit server)", run_takeover, 0, 0,
	 OPT_CONFIRM | OPT_WITHOUT_PEER},
	{"return", "", "the addresses come home to this host (client server)", run_return, 0, 0, OPT_CONFIRM | OPT_WITHOUT_PEER},
	{"recover", "", "finish or undo what a crash or a reboot left (every start does)", run_recover, 0, 0, 0},
	{"serve", "", "be asked by other programs and hosts", NULL, 0, 0, 0},
	{"guard", "NAME", NULL, NULL, 1, 1, 0}, /* what apply starts: not for people */
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

/* ---- the line ---- */

static void usage(FILE *to)
{
	const char *const *names = build_names();

	fputs("shunt-netctl [-c FILE] [--json] COMMAND\ninterception, addresses and routes of one host; every change has its undo on disk "
	      "first.\n\n",
	      to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (commands[i].summary)
			fprintf(to, "  %-9s %-8s %s\n", commands[i].name, commands[i].args, commands[i].summary);
	fputs("\n  -c, --config FILE  default " CONF_DEFAULT_FILE "\n      --json         print one JSON object, also for errors\n"
	      "      --confirm S    seconds to confirm in; 0 needs none (default: `confirm` of the configuration; intercept: 0)\n"
	      "      --reset-old    intercept on: reset the connections that local services already have\n"
	      "      --without-peer the other server is dead: do it without asking it\n"
	      "      --force        revert: without the other hosts\n  -h, --help; -V, --version\n\nPlans:",
	      to);
	for (size_t i = 0; names[i]; i++)
		fprintf(to, " %s", names[i]);
	fputs("\nExit: 0 done; 1 refused, nothing changed; 2 usage or configuration; 3 failed and undone; 4 failed and stuck.\n", to);
}

static int seconds(const char *text, int *out, struct err *err)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (!*text || *end || v < 0 || v > 3600)
		return err_set(err, -EINVAL, "--confirm: found \"%.40s\", expected seconds from 0 to 3600", text);
	*out = (int)v;
	return 0;
}

/* 0; 1: help or version was printed; -EINVAL. */
static int parse_options(int argc, char **argv, struct options *o, unsigned *given, struct err *err)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"json", no_argument, NULL, 'j'},
					      {"confirm", required_argument, NULL, 's'},
					      {"reset-old", no_argument, NULL, 'r'},
					      {"without-peer", no_argument, NULL, 'w'},
					      {"force", no_argument, NULL, 'f'},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {0}};

	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":c:hV", longs, NULL)) != -1;) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 's':
			*given |= OPT_CONFIRM;
			if (seconds(optarg, &o->confirm, err) < 0)
				return -EINVAL;
			break;
		case 'r':
			*given |= OPT_RESET_OLD;
			o->reset_old = true;
			break;
		case 'w':
			*given |= OPT_WITHOUT_PEER;
			o->without_peer = true;
			break;
		case 'f':
			*given |= OPT_FORCE;
			o->force = true;
			break;
		case 'h':
			usage(stdout);
			return 1;
		case 'V':
			puts(PACKAGE_STRING);
			return 1;
		case ':':
			return err_set(err, -EINVAL, "%s expects a value", argv[optind - 1]);
		default:
			return err_set(err, -EINVAL, "there is no option %.60s; shunt-netctl --help lists them", argv[optind - 1]);
		}
	}
	return 0;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int check_words(const struct command **c, int argc, char **argv, unsigned given, struct err *err)
{
	int n = argc - optind - 1;

	if (optind >= argc)
		return err_set(err, -EINVAL, "which command? shunt-netctl --help lists them");
	*c = find(argv[optind]);
	if (!*c)
		return err_set(err, -EINVAL, "there is no command \"%.60s\"; shunt-netctl --help lists them", argv[optind]);
	if (n < (*c)->min_words)
		return err_set(err, -EINVAL, "%s: something is missing, expected shunt-netctl %s %s", (*c)->name, (*c)->name, (*c)->args);
	if (n > (*c)->max_words)
		return err_set(err, -EINVAL, "%s: \"%.60s\" is one word too many, expected shunt-netctl %s %s", (*c)->name,
			       argv[optind + 1 + (*c)->max_words], (*c)->name, (*c)->args);
	if (given & ~(*c)->options)
		return err_set(err, -EINVAL, "%s does not take %s", (*c)->name,
			       given & ~(*c)->options & OPT_CONFIRM        ? "--confirm"
			       : given & ~(*c)->options & OPT_RESET_OLD    ? "--reset-old"
			       : given & ~(*c)->options & OPT_WITHOUT_PEER ? "--without-peer"
									   : "--force");
	return 0;
}

static const char *who(char out[200])
{
	const char *sudo = getenv("SUDO_USER"), *user = sudo ? sudo : getenv("USER");

	snprintf(out, 200, "%s pid %d", user ? user : "root", (int)getpid());
	return out;
}

static enum exit_code run(const struct command *c, const struct options *o, const char *word, struct out *out, struct err *err)
{
	char by[200];
	struct act a = {.by = who(by)};
	struct conf *conf;
	enum exit_code x;

	if (conf_load(&conf, o->file, err) < 0)
		return EXIT_USAGE;
	log_level(c->run ? LEVEL_WARN : LEVEL_INFO);
	if (strcmp(c->name, "serve") == 0) {
		x = serve_main(conf) == 0 ? EXIT_DONE : EXIT_REFUSED;
		if (x)
			err_set(err, -EIO, "not started: the log says why");
	} else if (strcmp(c->name, "guard") == 0) {
		x = guard_main(conf, word, GUARD_READY_FD) == 0 ? EXIT_DONE : EXIT_STUCK;
	} else {
		int rc = act_open(&a, conf, err);

		x = rc == 0 ? c->run(&a, o, word, out, err) : rc == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
		act_close(&a);
	}
	conf_free(conf);
	return x;
}

int cmd_main(int argc, char **argv)
{
	struct options o = {.file = CONF_DEFAULT_FILE, .confirm = -1};
	const struct command *c = NULL;
	struct out out;
	struct err err = {0};
	unsigned given = 0;
	int rc = parse_options(argc, argv, &o, &given, &err);

	if (rc > 0)
		return EXIT_DONE;
	out_init(&out, out_wants_json(argc, argv));
	if (rc == 0)
		rc = check_words(&c, argc, argv, given, &err);
	return out_finish(&out, rc < 0 ? EXIT_USAGE : run(c, &o, optind + 1 < argc ? argv[optind + 1] : NULL, &out, &err), &err);
}
