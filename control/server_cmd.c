/* The commands about the server as a whole. Those that move addresses need the network module, and say so. */
#include "control/app.h"
#include "control/sync.h"

#include <errno.h>

enum exit_code cmd_start(struct app *a, char **words, int n, struct err *err)
{
	int64_t at;
	char text[TIME_TEXT_MAX];
	(void)words;
	(void)n;
	int rc = journal_clock(a->db, "start", &at, err);
	bool ran = rc == 0;
	if (rc == -ENOENT) {
		rc = journal_begin(a->db, err);
		if (rc == 0)
			rc = journal_clock_start(a->db, "start", err);
		if (rc == 0)
			rc = journal_note(a->db, NULL, 0, "the clock of the transit server starts", NULL, err);
		if (rc == 0)
			rc = journal_commit(a->db, err);
		else
			journal_rollback(a->db);
		if (rc == 0)
			rc = journal_clock(a->db, "start", &at, err);
	}
	if (rc < 0)
		return exit_of(rc);
	out_line(&a->out, "%s at %s; the transit server is free until %s", ran ? "started already" : "started", time_text(at, text),
		 time_text(at + 14 * 86400 * 1000LL, (char[TIME_TEXT_MAX]){0}));
	out_set(&a->out, "start", json_string(time_text(at, text)));
	return EXIT_DONE;
}

enum exit_code cmd_resume(struct app *a, char **words, int n, struct err *err)
{
	enum exit_code x = EXIT_DONE;
	struct move_rows open;
	for (int i = 0; i < n; i++) {
		struct account_row row;
		int rc = journal_account(a->db, words[i], &row, err);
		account_row_done(&row);
		if (rc < 0)
			return exit_of(rc);
	}
	/* What had merely lost its owner was brought to an end on the way here. */
	if (n == 0)
		x = sync_resume(a, NULL, true, err);
	for (int i = 0; i < n; i++)
		x = worse(x, sync_resume(a, words[i], true, err));
	if (x == EXIT_DONE && !json_object_get(a->out.object, "resumed"))
		out_line(&a->out, "nothing was interrupted");
	if (x == EXIT_DONE && journal_moves_open(a->db, NULL, &open, err) == 0) {
		for (size_t i = 0; i < open.n; i++) {
			char who[256];
			who_text(&open.rows[i], who, sizeof(who));
			out_line(&a->out, "%s: being moved by %s", open.rows[i].account, who);
		}
		move_rows_done(&open);
	}
	return x;
}

enum exit_code cmd_reload(struct app *a, char **words, int n, struct err *err)
{
	json_t *answer = NULL;
	(void)words;
	(void)n;
	int rc = proxylink_ask(a->proxy, "reload", NULL, 0, &answer, err);
	if (rc < 0) {
		err_wrap(err, "nothing changed");
		return EXIT_REFUSED;
	}
	out_line(&a->out, "the proxy has read its configuration again");
	out_set(&a->out, "listeners", json_incref(json_object_get(answer, "listeners")));
	json_decref(answer);
	return EXIT_DONE;
}

enum exit_code cmd_check(struct app *a, char **words, int n, struct err *err)
{
	(void)a;
	(void)words;
	(void)n;
	err_set(err, -ENOSYS,
		"check refused: it compares an account's DNS with both servers and needs shunt-dnsupdate, which this version does not "
		"have; "
		"shunt route HOST and shunt migrate NAME --dry-run show the rest");
	return EXIT_REFUSED;
}

static enum exit_code needs_netctl(const char *what, struct err *err)
{
	err_set(err, -ENOSYS,
		"%s refused: it moves the client server's addresses and needs shunt-netctl on both servers, which this version does not "
		"have",
		what);
	return EXIT_REFUSED;
}

enum exit_code cmd_reinstall(struct app *a, char **words, int n, struct err *err)
{
	struct acctset set;
	(void)words;
	(void)n;
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return exit_of(rc);
	for (size_t i = 0; i < set.n; i++) {
		if (set.defs[i].side == SIDE_CLIENT) {
			err_set(err, -EPERM, "reinstall refused: %s is still on the client server; shunt migrate --all moves all that are",
				set.defs[i].name);
			acctset_done(&set);
			return EXIT_REFUSED;
		}
	}
	acctset_done(&set);
	return needs_netctl("reinstall", err);
}

enum exit_code cmd_return(struct app *a, char **words, int n, struct err *err)
{
	int64_t at;
	(void)words;
	(void)n;
	if (journal_clock(a->db, "reinstall", &at, NULL) == -ENOENT) {
		err_set(err, -EPERM, "return refused: the addresses have not gone to the transit server; shunt reinstall does that");
		return EXIT_REFUSED;
	}
	return needs_netctl("return", err);
}

enum exit_code cmd_finish(struct app *a, char **words, int n, struct err *err)
{
	struct acctset set;
	(void)words;
	(void)n;
	int rc = journal_accounts(a->db, &set, err);
	if (rc < 0)
		return exit_of(rc);
	for (size_t i = 0; i < set.n; i++) {
		if (set.defs[i].side == SIDE_TRANSIT) {
			err_set(err, -EPERM, "finish refused: %s is still on the transit server", set.defs[i].name);
			acctset_done(&set);
			return EXIT_REFUSED;
		}
	}
	acctset_done(&set);
	return needs_netctl("finish", err);
}

enum exit_code cmd_serve(struct app *a, char **words, int n, struct err *err)
{
	(void)a;
	(void)words;
	(void)n;
	err_set(err, -ENOSYS, "serve refused: API and panel are not part of this version; every command works without it");
	return EXIT_REFUSED;
}
