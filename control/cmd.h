#pragma once
/* cmd - the command line: one table of commands, one of options. Options may stand before and after a command's words.
 * What is wrong is refused before anything is opened: the text names the word and, where one is near, what may have been meant. */
#include "lib/err.h"
#include "lib/exits.h"

#include <stdbool.h>
#include <stddef.h>

struct words {
	const char **w; /* borrowed from argv */
	size_t n;
};

struct options {
	const char *file;
	bool json, yes, help, version;
	bool all, dry_run, no_dns, force;
	bool without_client, stragglers, verify, head, watch, last, as_operator, metrics;
	int drain, max_wait, confirm; /* seconds; -1: not given */
	int days;
	int expires_days; /* 0: as configured */
	bool given_days;
	const char *since, *to, *dir, *account;
	struct words domains, addresses, logins, ports;
	unsigned given; /* bits of the option table */
};
void options_done(struct options *o);

struct app;
enum need {
	NEED_NOTHING, /* no configuration either */
	NEED_CONF,    /* the command opens what it wants by itself */
	NEED_READ,    /* state for looking at; the proxy may be away */
	NEED_WRITE    /* state and proxy for changing; interrupted moves have been brought to an end */
};

struct command {
	const char *name; /* one word or two */
	const char *args;
	const char *summary;
	const char *help;         /* more, for `shunt help NAME`; may be NULL */
	unsigned options;         /* those it takes besides the global ones */
	int min_words, max_words; /* max -1: any number */
	enum need need;
	enum exit_code (*run)(struct app *a, char **words, int n, struct err *err);
};

/* Fills opt (then options_done()), *cmd (NULL: only --help or --version was asked for) and the command's own words, which are
 * borrowed from argv (argv is permuted). -EINVAL: text in err. */
int cmd_parse(int argc, char **argv, struct options *opt, const struct command **cmd, char ***words, int *n_words, struct err *err);
int cmd_main(int argc, char **argv); /* the whole program */

/* The commands, by file. */
enum exit_code cmd_account_import(struct app *a, char **words, int n, struct err *err); /* account_cmd.c */
enum exit_code cmd_account_add(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_account_remove(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_account_list(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_account_show(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_migrate(struct app *a, char **words, int n, struct err *err); /* move_cmd.c */
enum exit_code cmd_rollback(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_relocate(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_status(struct app *a, char **words, int n, struct err *err); /* status_cmd.c */
enum exit_code cmd_route(struct app *a, char **words, int n, struct err *err);  /* route_cmd.c */
enum exit_code cmd_log(struct app *a, char **words, int n, struct err *err);    /* log_cmd.c */
enum exit_code cmd_report(struct app *a, char **words, int n, struct err *err); /* report_cmd.c */
enum exit_code cmd_start(struct app *a, char **words, int n, struct err *err);  /* network_cmd.c */
enum exit_code cmd_reinstall(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_return(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_finish(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_check(struct app *a, char **words, int n, struct err *err);    /* check_cmd.c */
enum exit_code cmd_pki_init(struct app *a, char **words, int n, struct err *err); /* pki_cmd.c */
enum exit_code cmd_pki_issue(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_pki_renew(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_pki_list(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_metrics(struct app *a, char **words, int n, struct err *err); /* metrics_cmd.c */
enum exit_code cmd_top(struct app *a, char **words, int n, struct err *err);     /* top_cmd.c */
enum exit_code cmd_resume(struct app *a, char **words, int n, struct err *err);  /* server_cmd.c */
enum exit_code cmd_reload(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_serve(struct app *a, char **words, int n, struct err *err);        /* serve/serve_cmd.c */
enum exit_code cmd_token_create(struct app *a, char **words, int n, struct err *err); /* serve/token_cmd.c */
enum exit_code cmd_token_list(struct app *a, char **words, int n, struct err *err);
enum exit_code cmd_token_revoke(struct app *a, char **words, int n, struct err *err);

int parse_since(const char *text, long long now_s, long long *since_s); /* RFC 3339, or 90m, 2h, 3d ago; -EINVAL */
