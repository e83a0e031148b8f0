#include "control/cmd.h"

#include "control/app.h"
#include "control/clocks.h"
#include "control/pki.h"
#include "lib/log.h"

#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- options ---- */

enum option_kind { FLAG, SECONDS, DAYS, TEXT, LIST };
enum option_bit {
	O_FILE = 1 << 0,
	O_JSON = 1 << 1,
	O_YES = 1 << 2,
	O_HELP = 1 << 3,
	O_VERSION = 1 << 4,
	O_ALL = 1 << 5,
	O_DRY_RUN = 1 << 6,
	O_NO_DNS = 1 << 7,
	O_FORCE = 1 << 8,
	O_DRAIN = 1 << 9,
	O_MAX_WAIT = 1 << 10,
	O_SINCE = 1 << 11,
	O_TO = 1 << 12,
	O_DOMAIN = 1 << 13,
	O_ADDRESS = 1 << 14,
	O_LOGIN = 1 << 15,
	O_PORT = 1 << 16,
	O_CONFIRM = 1 << 17,
	O_WITHOUT_CLIENT = 1 << 18,
	O_STRAGGLERS = 1 << 19,
	O_DAYS = 1 << 20,
	O_DIR = 1 << 21,
	O_VERIFY = 1 << 22,
	O_HEAD = 1 << 23,
	O_WATCH = 1 << 24,
	O_OPERATOR = 1 << 25,
	O_ACCOUNT = 1 << 26,
	O_LAST = 1 << 27,
	O_EXPIRES_DAYS = 1 << 28,
	O_METRICS = 1 << 30,
};
#define O_GLOBAL (O_FILE | O_JSON | O_YES | O_HELP | O_VERSION)
#define O_MOVE   (O_DRY_RUN | O_DRAIN | O_MAX_WAIT | O_NO_DNS)

static const struct option_row {
	const char *name;
	char letter; /* 0: none */
	enum option_kind kind;
	enum option_bit bit;
	size_t offset;
	const char *arg, *help;
} rows[] = {
	{"config", 'c', TEXT, O_FILE, offsetof(struct options, file), "FILE", "configuration; default /etc/shunt/shunt.conf"},
	{"json", 0, FLAG, O_JSON, offsetof(struct options, json), NULL, "print one JSON object, also for errors"},
	{"yes", 'y', FLAG, O_YES, offsetof(struct options, yes), NULL, "ask nothing"},
	{"help", 'h', FLAG, O_HELP, offsetof(struct options, help), NULL, "say how a command is used"},
	{"version", 'V', FLAG, O_VERSION, offsetof(struct options, version), NULL, "say which shunt this is"},
	{"all", 0, FLAG, O_ALL, offsetof(struct options, all), NULL, "every account that is not there yet"},
	{"dry-run", 'n', FLAG, O_DRY_RUN, offsetof(struct options, dry_run), NULL, "say what each step would do, and change nothing"},
	{"no-dns", 0, FLAG, O_NO_DNS, offsetof(struct options, no_dns), NULL, "leave DNS as it is"},
	{"force", 0, FLAG, O_FORCE, offsetof(struct options, force), NULL, "go past the guard that the refusal names"},
	{"drain", 0, SECONDS, O_DRAIN, offsetof(struct options, drain), "S", "seconds that requests in flight may take to finish"},
	{"max-wait", 0, SECONDS, O_MAX_WAIT, offsetof(struct options, max_wait), "S", "seconds that a visitor waits before being refused"},
	{"confirm", 0, SECONDS, O_CONFIRM, offsetof(struct options, confirm), "S",
	 "seconds after which it reverts unless all is proved by then"},
	{"without-client", 0, FLAG, O_WITHOUT_CLIENT, offsetof(struct options, without_client), NULL,
	 "the client server is dead and is not asked"},
	{"stragglers", 0, FLAG, O_STRAGGLERS, offsetof(struct options, stragglers), NULL,
	 "the names whose visitors still come to the old address"},
	{"verify", 0, FLAG, O_VERIFY, offsetof(struct options, verify), NULL, "whether a line was changed or removed"},
	{"head", 0, FLAG, O_HEAD, offsetof(struct options, head), NULL, "how many lines there are, and their hash, to be kept elsewhere"},
	{"watch", 'w', FLAG, O_WATCH, offsetof(struct options, watch), NULL, "again each second, until Ctrl-C"},
	{"last", 0, FLAG, O_LAST, offsetof(struct options, last), NULL, "what the last check found, asking nobody"},
	{"expires-days", 0, DAYS, O_EXPIRES_DAYS, offsetof(struct options, expires_days), "N",
	 "days before their end in which certificates are warned of"},
	{"since", 0, TEXT, O_SINCE, offsetof(struct options, since), "T", "from 2026-01-31T08:00:00Z, or 90m, 2h, 3d ago"},
	{"to", 0, TEXT, O_TO, offsetof(struct options, to), "IP", "the address that the traffic goes to"},
	{"domain", 'd', LIST, O_DOMAIN, offsetof(struct options, domains), "D", "a domain, or *.domain; again for each, or with commas"},
	{"address", 'a', LIST, O_ADDRESS, offsetof(struct options, addresses), "IP",
	 "an address of its own; of a certificate, also a name"},
	{"login", 'l', LIST, O_LOGIN, offsetof(struct options, logins), "L", "a login, or *@domain"},
	{"days", 0, DAYS, O_DAYS, offsetof(struct options, days), "N",
	 "days that a certificate holds (default 397), or a token (default: until it is revoked)"},
	{"dir", 0, TEXT, O_DIR, offsetof(struct options, dir), "DIR", "the authority's directory; default " PKI_DEFAULT_DIR},
	{"operator", 0, FLAG, O_OPERATOR, offsetof(struct options, as_operator), NULL, "a token that may do everything"},
	{"account", 0, TEXT, O_ACCOUNT, offsetof(struct options, account), "ACCOUNT", "a token that knows this account alone"},
	{"metrics", 0, FLAG, O_METRICS, offsetof(struct options, metrics), NULL, "a token that may read /metrics alone"},
	{"port", 'p', LIST, O_PORT, offsetof(struct options, ports), "N", "a port of its own"},
};
#define N_ROWS (sizeof(rows) / sizeof(*rows))

void options_done(struct options *o)
{
	struct words *lists[] = {&o->domains, &o->addresses, &o->logins, &o->ports};
	for (size_t i = 0; i < 4; i++) {
		free(lists[i]->w);
		*lists[i] = (struct words){0};
	}
}

/* ---- commands ---- */

static enum exit_code cmd_help(struct app *a, char **words, int n, struct err *err);

static const struct command commands[] = {
	{"account import", "FILE", "the whole set of accounts, as JSON",
	 "All of it or nothing. An account that is not in FILE any more is removed, unless it is on the transit server.", O_FORCE, 1, 1,
	 NEED_CONF, cmd_account_import},
	{"account add", "NAME --domain D.. [--address IP..] [--login L..] [--port N..]", "one account", NULL,
	 O_DOMAIN | O_ADDRESS | O_LOGIN | O_PORT | O_FORCE, 1, 1, NEED_WRITE, cmd_account_add},
	{"account remove", "NAME", "forget one account", NULL, O_FORCE, 1, 1, NEED_WRITE, cmd_account_remove},
	{"account list", "", "every account and its side", NULL, 0, 0, 0, NEED_READ, cmd_account_list},
	{"account show", "NAME", "one account in full", NULL, 0, 1, 1, NEED_READ, cmd_account_show},
	{"check", "[NAME..] | --last [NAME..] | --stragglers [NAME..]", "preflight: what will move how, and what could break",
	 "Each domain's DNS, judged by shunt-dnsupdate: what a move switches, and what the proxy covers. Then what shunt-proxy finds: "
	 "ports "
	 "and protocols that visitors come by, certificates and answers of both sides compared, names that share a certificate with other "
	 "accounts, ACME challenges, and whether the transit server sees visitors' addresses. Without names, of every account. Exit code 1 "
	 "where something stops a move.\n"
	 "With --last: what was found then.\n"
	 "With --stragglers: the names of moved accounts whose visitors still come to the client server's addresses, as the proxy counts "
	 "them, and the record to change for each.",
	 O_STRAGGLERS | O_LAST | O_EXPIRES_DAYS, 0, -1, NEED_READ, cmd_check},
	{"start", "", "the transit server is ready: the two-week clock begins",
	 "Where netctl-client is configured and the proxy intercepts, interception is put in force first, and the way back of answers that "
	 "source-transit = transparent needs. The first migrate does the same if nobody did.",
	 O_DRY_RUN, 0, 0, NEED_CONF, cmd_start},
	{"migrate", "NAME.. | --all", "client -> transit",
	 "Several accounts move side by side (control: parallel); one that fails does not stop the others.", O_ALL | O_MOVE | O_FORCE, 0,
	 -1, NEED_CONF, cmd_migrate},
	{"rollback", "NAME..", "transit -> client",
	 "Refused past rollback-days after the migration without --force, and always once the reinstallation has begun. What was written "
	 "on the "
	 "transit server meanwhile comes along only as far as hook-copy brings it: what may be lost is shown first, and needs --yes where "
	 "nobody can be asked.",
	 O_MOVE | O_FORCE, 1, -1, NEED_CONF, cmd_rollback},
	{"reinstall", "[--confirm S] [--without-client] [--force]", "the client server's addresses to the transit server",
	 "Every account must be on the transit server, and no move open; the transit server must answer for each of them, and DNS be "
	 "published, unless --force. Afterwards no account can be rolled back. What cannot be proved on both servers is undone.",
	 O_CONFIRM | O_WITHOUT_CLIENT | O_DRY_RUN | O_FORCE, 0, 0, NEED_CONF, cmd_reinstall},
	{"return", "[--confirm S]", "the addresses back to the reinstalled client server",
	 "Its proxy must answer. Then relocate has a week to bring the accounts home.", O_CONFIRM | O_DRY_RUN, 0, 0, NEED_CONF, cmd_return},
	{"relocate", "NAME.. | --all", "transit -> client, after return", NULL, O_ALL | O_MOVE | O_FORCE, 0, -1, NEED_CONF, cmd_relocate},
	{"finish", "", "every account is home: remove every trace",
	 "Interception and whatever else of ours is in force on both servers ends, and so do the clocks.", O_DRY_RUN, 0, 0, NEED_CONF,
	 cmd_finish},
	{"status", "[NAME] [--watch]", "step, clocks, sides, moves in progress, traffic",
	 "With --watch it is looked at again each second: redrawn on a terminal; elsewhere what is new is printed, and with --json an "
	 "object "
	 "per line.",
	 O_WATCH, 0, 1, NEED_CONF, cmd_status},
	{"route", "HOST[:PORT] [--to IP] [--login L]", "where such traffic goes now, and why", NULL, O_TO | O_LOGIN, 1, 1, NEED_READ,
	 cmd_route},
	{"resume", "[NAME..]", "finish or undo what was interrupted or is stuck", "With --force an undo that fails again is passed over.",
	 O_FORCE, 0, -1, NEED_WRITE, cmd_resume},
	{"log", "[NAME] | --verify [HEAD] | --head", "the audit trail: who, when, what, evidence",
	 "Each line is chained to the one before by a hash. --verify walks over all of it, exit code 4 naming the first line that does not "
	 "fit; with HEAD, as --head printed it, also when the whole trail was written anew since.",
	 O_SINCE | O_VERIFY | O_HEAD, 0, 1, NEED_READ, cmd_log},
	{"report", "NAME [MOVE]", "what became of a move, for its owner",
	 "Of all moves of the account, the newest first, or of one; also of an account that was removed since. From the trail alone: the "
	 "proxy may be away.",
	 0, 1, 2, NEED_READ, cmd_report},
	{"top", "", "accounts by what they have to do now",
	 "Of the accounts with traffic: requests and bytes a second, the side, errors, who waits behind a hold, what is in flight. On a "
	 "terminal again each second: r, b, e, w, f sort by requests, bytes, errors, waiting, in flight; q ends it. Elsewhere, and with "
	 "--json, one look of a second.",
	 0, 0, 0, NEED_CONF, cmd_top},
	{"metrics", "", "everything that is counted, for Prometheus",
	 "In the text format 0.0.4, also for the textfile collector of node_exporter. What is away is said to be by a sample, "
	 "shunt_proxy_up 0 and the like, and is no error. The alert rules that go with it, and a page on each, are shunt-alerts(7).",
	 0, 0, 0, NEED_CONF, cmd_metrics},
	{"pki init", "[DIR]", "make an authority whose certificates the hosts of shunt trust, for ten years",
	 "DIR is made with mode 0700 and must not hold anything yet. Keep it where only root can read it.", O_DIR, 0, 1, NEED_NOTHING,
	 cmd_pki_init},
	{"pki issue", "NAME [DIR] [--address IP|HOST..] [--days N]", "a certificate and its key for one host",
	 "NAME and each --address are what other hosts dial it by. Nothing leaves this host: what to copy where is printed.",
	 O_DIR | O_ADDRESS | O_DAYS, 1, 2, NEED_NOTHING, cmd_pki_issue},
	{"pki renew", "[NAME..] [--dir DIR] [--days N]", "fresh ones, of those named or of all that end within 30 days",
	 "Names and addresses stay. The certificates before hold until they end.", O_DIR | O_DAYS, 0, -1, NEED_NOTHING, cmd_pki_renew},
	{"pki list", "[DIR]", "what was issued, for whom, until when", NULL, O_DIR, 0, 1, NEED_NOTHING, cmd_pki_list},
	{"reload", "", "the proxy reads its configuration again", NULL, 0, 0, 0, NEED_READ, cmd_reload},
	{"serve", "", "the API: every command by HTTP",
	 "Where, and how often one may ask, is in section serve of shunt.conf; who may, shunt token says. Ends with SIGTERM; commands that "
	 "it "
	 "began go on, and the next serve knows of them.",
	 0, 0, 0, NEED_CONF, cmd_serve},
	{"token create", "NAME --operator | --account ACCOUNT | --metrics [--days N]", "let somebody use the API",
	 "The token is printed once, on standard output; only its hash is kept. NAME is what the audit trail calls it.",
	 O_OPERATOR | O_ACCOUNT | O_METRICS | O_DAYS, 1, 1, NEED_CONF, cmd_token_create},
	{"token list", "", "who may, until when, and when it was used last", NULL, 0, 0, 0, NEED_CONF, cmd_token_list},
	{"token revoke", "NAME", "a token ends at once", NULL, 0, 1, 1, NEED_CONF, cmd_token_revoke},
	{"help", "[COMMAND]", "this text", NULL, 0, 0, 2, NEED_NOTHING, cmd_help},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static void print_options(FILE *f, unsigned mask)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		char name[40];
		if (!(rows[i].bit & mask))
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].arg ? " " : "", rows[i].arg ? rows[i].arg : "");
		if (rows[i].letter)
			fprintf(f, "  -%c, %-18s %s\n", rows[i].letter, name, rows[i].help);
		else
			fprintf(f, "      %-18s %s\n", name, rows[i].help);
	}
}

static void print_help(FILE *f, const struct command *only)
{
	if (only) {
		fprintf(f, "shunt %s %s\n\n%s.\n", only->name, only->args, only->summary);
		if (only->help)
			fprintf(f, "%s\n", only->help);
		fputs("\n", f);
		print_options(f, only->options | O_FILE | O_JSON | O_YES);
		return;
	}
	fputs("shunt [-c FILE] [--json] [--yes] COMMAND\n"
	      "moves hosting accounts between a client server and its transit server, without their visitors noticing.\n\n",
	      f);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-16s %s\n", commands[i].name, commands[i].summary);
	fputs("\nOptions of every command:\n", f);
	print_options(f, O_GLOBAL);
	fputs("\nExit: 0 done; 1 refused, nothing changed; 2 usage or configuration; 3 failed and undone; 4 failed and stuck.\n"
	      "shunt help COMMAND says more.\n",
	      f);
}

/* Commands of two words share the first: "account", "pki". */
static bool of_group(const struct command *c, const char *group)
{
	size_t len = strlen(group);
	return strncmp(c->name, group, len) == 0 && c->name[len] == ' ';
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (of_group(&commands[i], word))
			return true;
	}
	return false;
}

static void print_group_help(FILE *f, const char *group)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (of_group(&commands[i], group))
			fprintf(f, "  shunt %s %s\n      %s\n", commands[i].name, commands[i].args, commands[i].summary);
	}
}

/* Of one command, of a group, or (both NULL) of all; the text as it is, or as one member of the JSON object. */
static enum exit_code help(struct app *a, const struct command *only, const char *group, struct err *err)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f) {
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	if (group)
		print_group_help(f, group);
	else
		print_help(f, only);
	fclose(f);
	if (a->out.json)
		out_set(&a->out, "help", json_string(text));
	else
		fputs(text, stdout);
	free(text);
	return EXIT_DONE;
}

/* Levenshtein, of words that are short. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64], la = strlen(a), lb = strlen(b);
	if (la >= 64 || lb >= 64)
		return 99;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diag = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = diag + (a[i - 1] != b[j - 1]);
			diag = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

static int unknown_command(const char *word, const char *second, struct err *err)
{
	char both[128];
	const char *near = NULL;
	size_t best = 99;
	snprintf(both, sizeof(both), "%.60s %.60s", word, second ? second : "");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		bool two = strchr(commands[i].name, ' ') != NULL;
		size_t d = distance(two ? both : word, commands[i].name);
		if (d < best) {
			best = d;
			near = commands[i].name;
		}
	}
	if (best <= 3)
		return err_set(err, -EINVAL, "there is no command \"%.60s\"; did you mean \"%s\"? (shunt help lists them)",
			       strchr(near, ' ') ? both : word, near);
	return err_set(err, -EINVAL, "there is no command \"%.60s\"; shunt help lists them", word);
}

static int unknown_option(const char *word, struct err *err)
{
	char name[64];
	const char *near = NULL;
	size_t best = 99;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + strspn(word, "-"), "="), word + strspn(word, "-"));
	for (size_t i = 0; i < N_ROWS; i++) {
		size_t d = distance(name, rows[i].name);
		if (d < best) {
			best = d;
			near = rows[i].name;
		}
	}
	if (best <= 2)
		return err_set(err, -EINVAL, "there is no option %.60s; did you mean --%s?", word, near);
	return err_set(err, -EINVAL, "there is no option %.60s; shunt help lists them", word);
}

static const struct command *find(char **words, int n, int *used)
{
	char two[128];
	*used = 1;
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (n >= 1 && strcmp(commands[i].name, words[0]) == 0)
			return &commands[i];
	}
	if (n < 2)
		return NULL;
	*used = 2;
	snprintf(two, sizeof(two), "%.60s %.60s", words[0], words[1]);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (strcmp(commands[i].name, two) == 0)
			return &commands[i];
	}
	return NULL;
}

/* ---- parsing ---- */

static int add_words(struct words *l, char *text, const char *name, struct err *err)
{
	for (char *p = text;; p++) {
		char *end = p + strcspn(p, ",");
		bool last = *end == '\0';
		*end = '\0';
		if (!*p)
			return err_set(err, -EINVAL, "--%s: found nothing, expected a value", name);
		const char **more = realloc(l->w, (l->n + 1) * sizeof(*more));
		if (!more)
			return err_set(err, -ENOMEM, "out of memory");
		l->w = more;
		l->w[l->n++] = p;
		if (last)
			return 0;
		p = end;
	}
}

static int take_option(struct options *o, const struct option_row *r, char *arg, struct err *err)
{
	char *field = (char *)o + r->offset, *end;
	if ((o->given & r->bit) && r->kind != LIST && r->kind != FLAG)
		return err_set(err, -EINVAL, "--%s is given twice", r->name);
	o->given |= r->bit;
	switch (r->kind) {
	case FLAG:
		*(bool *)(void *)field = true;
		return 0;
	case TEXT:
		*(const char **)(void *)field = arg;
		return *arg ? 0 : err_set(err, -EINVAL, "--%s: found nothing, expected %s", r->name, r->arg);
	case SECONDS: {
		long v = strtol(arg, &end, 10);
		if (!*arg || *end || v < 0 || v > 86400)
			return err_set(err, -EINVAL, "--%s: found \"%.60s\", expected seconds from 0 to 86400", r->name, arg);
		*(int *)(void *)field = (int)v;
		return 0;
	}
	case DAYS: {
		long v = strtol(arg, &end, 10);
		if (!*arg || *end || v < 1 || v > PKI_DAYS_MAX)
			return err_set(err, -EINVAL, "--%s: found \"%.60s\", expected days from 1 to %d", r->name, arg, PKI_DAYS_MAX);
		*(int *)(void *)field = (int)v;
		return 0;
	}
	case LIST:
		return add_words((struct words *)(void *)field, arg, r->name, err);
	}
	return 0;
}

static int take_options(int argc, char **argv, struct options *opt, struct err *err)
{
	struct option longs[N_ROWS + 1];
	char shorts[2 * N_ROWS + 2] = ":";
	int rc = 0;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < N_ROWS; i++) {
		longs[i] = (struct option){rows[i].name, rows[i].kind == FLAG ? no_argument : required_argument, NULL, 256 + (int)i};
		if (rows[i].letter)
			snprintf(shorts + strlen(shorts), 3, "%c%s", rows[i].letter, rows[i].kind == FLAG ? "" : ":");
	}
	opterr = 0;
	optind = 0; /* glibc: start anew */
	for (int c; rc == 0 && (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		size_t i = 0;
		char letter[3] = {'-', (char)optopt, '\0'};
		const char *word = optopt > 0 && optopt < 256 ? letter : argv[optind - 1];
		if (c == '?' && optopt >= 256)
			return err_set(err, -EINVAL, "--%s takes no value", rows[optopt - 256].name);
		if (c == '?')
			return unknown_option(word, err);
		if (c == ':')
			return err_set(err, -EINVAL, "%s expects a value", optopt >= 256 ? argv[optind - 1] : letter);
		while (i < N_ROWS && c != 256 + (int)i && c != rows[i].letter)
			i++;
		rc = take_option(opt, &rows[i], optarg, err);
	}
	return rc;
}

static int check_words(const struct command *c, const struct options *opt, char **words, int n, struct err *err)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (opt->given & rows[i].bit & ~(c->options | O_GLOBAL))
			return err_set(err, -EINVAL, "%s does not take --%s: shunt %s %s", c->name, rows[i].name, c->name, c->args);
	}
	for (int i = 0; i < n; i++) {
		if (!*words[i])
			return err_set(err, -EINVAL, "%s: found an empty word, expected shunt %s %s", c->name, c->name, c->args);
	}
	if (c->max_words >= 0 && n > c->max_words)
		return err_set(err, -EINVAL, "%s: \"%.60s\" is one word too many, expected shunt %s %s%s", c->name, words[c->max_words],
			       c->name, c->args, c->options & O_DOMAIN ? " (--domain again for each)" : "");
	if (n < c->min_words)
		return err_set(err, -EINVAL, "%s: something is missing, expected shunt %s %s", c->name, c->name, c->args);
	if ((c->options & O_ALL) && (n > 0) == opt->all)
		return err_set(err, -EINVAL, "%s: found %s, expected shunt %s %s", c->name,
			       n ? "both names and --all" : "neither a name nor --all", c->name, c->args);
	return 0;
}

/* Names, reasons and answers are JSON sooner or later: what cannot become any is refused before it gets lost on the way. */
static int check_text(int argc, char **argv, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		json_t *s = json_string(argv[i]);
		if (!s)
			return err_set(err, -EINVAL, "found %s, expected UTF-8 text", LOG_QUOTED(argv[i], strlen(argv[i])));
		json_decref(s);
	}
	return 0;
}

int cmd_parse(int argc, char **argv, struct options *opt, const struct command **cmd, char ***words, int *n_words, struct err *err)
{
	*cmd = NULL;
	*opt = (struct options){.drain = -1, .max_wait = -1, .confirm = -1, .days = PKI_DAYS};
	int rc = check_text(argc, argv, err);
	if (rc == 0)
		rc = take_options(argc, argv, opt, err);
	if (rc < 0)
		return rc;
	char **w = argv + optind;
	int n = argc - optind, used;
	if (n == 0 && (opt->help || opt->version))
		return 0;
	if (n == 0)
		return err_set(err, -EINVAL, "which command? shunt help lists them");
	*cmd = find(w, n, &used);
	if (!*cmd)
		return unknown_command(w[0], n > 1 ? w[1] : NULL, err);
	*words = w + used;
	*n_words = n - used;
	opt->given_days = opt->given & O_DAYS;
	return opt->help || opt->version ? 0 : check_words(*cmd, opt, *words, *n_words, err);
}

static enum exit_code cmd_help(struct app *a, char **words, int n, struct err *err)
{
	int used;
	const struct command *c = n ? find(words, n, &used) : NULL;
	const char *group = n && !c && is_group(words[0]) ? words[0] : NULL;
	if (n && !c && !group) {
		unknown_command(words[0], n > 1 ? words[1] : NULL, err);
		return EXIT_USAGE;
	}
	return help(a, c, group, err);
}

/* ---- running ---- */

/* Those after which it is told what ends soon. */
static bool moves_on(const struct command *c)
{
	return c->run == cmd_start || c->run == cmd_migrate || c->run == cmd_rollback || c->run == cmd_reinstall || c->run == cmd_return ||
	       c->run == cmd_relocate || c->run == cmd_resume;
}

static enum exit_code run(struct app *a, const struct command *c, char **words, int n, struct err *err)
{
	enum exit_code x = EXIT_DONE;
	if (c->need != NEED_NOTHING) {
		if (conf_load(&a->conf, a->opt.file ? a->opt.file : CONF_DEFAULT_FILE, err) < 0)
			return EXIT_USAGE;
		who_am_i(&a->who);
		progress_init(&a->progress, !a->opt.json, false);
	}
	a->settles = c->run == cmd_resume;
	if (c->need == NEED_READ)
		x = app_read(a, err);
	else if (c->need == NEED_WRITE)
		x = app_write(a, false, err);
	x = x ? x : c->run(a, words, n, err);
	if (a->writes)
		notice_end(a);
	if (moves_on(c) && x != EXIT_USAGE)
		clocks_warn(a);
	return x;
}

int cmd_main(int argc, char **argv)
{
	struct app a = {.sigfd = -1};
	struct err err = {0};
	const struct command *c;
	char **words = NULL;
	int n = 0;
	enum exit_code x = EXIT_USAGE;

	out_init(&a.out, out_wants_json(argc, argv));
	if (cmd_parse(argc, argv, &a.opt, &c, &words, &n, &err) < 0)
		goto out;
	if (a.opt.version) {
		out_line(&a.out, "%s", PACKAGE_STRING);
		out_set(&a.out, "version", json_string(PACKAGE_VERSION));
		x = EXIT_DONE;
	} else if (!c || a.opt.help) {
		x = help(&a, c, NULL, &err);
	} else {
		x = run(&a, c, words, n, &err);
	}
out:
	app_done(&a);
	return out_finish(&a.out, x, &err);
}
