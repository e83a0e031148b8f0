/* start, reinstall, return, finish: what the operator asks for and is told. */
#include "control/network.h"

#include "control/clocks.h"
#include "control/guards.h"

#include <errno.h>
#include <stdio.h>

#define CONFIRM_MAX 3600

static void say_clock(struct app *a, const char *clock, const char *text, int days)
{
	int64_t at;
	char when[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	if (journal_clock(a->db, clock, &at, NULL) < 0)
		return;
	time_text(at, when);
	out_set(&a->out, clock, json_string(when));
	if (days)
		out_line(&a->out, "%s at %s; %s until %s", text, when, clock[0] == 's' ? "the transit server is free" : "time to relocate",
			 time_text(at + days * DAY_MS, until));
	else
		out_line(&a->out, "%s at %s", text, when);
}

/* Looks at everything and changes nothing: no state is made, and nothing that was interrupted is brought to an end. */
static enum exit_code dry_run(struct app *a, const char *command, enum exit_code (*guards)(struct app *a, struct err *err), struct err *err)
{
	enum exit_code x = app_read(a, err);
	if (x)
		return x;
	guards_plan(a, command, "dry-run");
	return guards(a, err);
}

enum exit_code cmd_start(struct app *a, char **words, int n, struct err *err)
{
	int64_t at;
	(void)words;
	(void)n;
	if (a->opt.dry_run)
		return dry_run(a, "start", guards_start, err);
	enum exit_code x = app_write(a, false, err);
	if (x)
		return x;
	bool ran = journal_clock(a->db, "start", &at, NULL) == 0;
	x = network_start(a, err);
	if (x == EXIT_DONE)
		say_clock(a, "start", ran ? "started already" : "started", TRANSIT_DAYS);
	return x;
}

static enum exit_code wish_of(struct app *a, struct network_wish *w, struct err *err)
{
	*w = (struct network_wish){.confirm = a->opt.confirm, .without_client = a->opt.without_client};
	if (w->confirm >= 1 && w->confirm <= CONFIRM_MAX)
		return EXIT_DONE;
	if (w->confirm == -1)
		return EXIT_DONE;
	err_set(err, -EINVAL, "--confirm: found %d, expected seconds from 1 to %d", w->confirm, CONFIRM_MAX);
	return EXIT_USAGE;
}

enum exit_code cmd_reinstall(struct app *a, char **words, int n, struct err *err)
{
	struct network_wish w;
	bool already;
	(void)words;
	(void)n;
	enum exit_code x = wish_of(a, &w, err);
	if (x == EXIT_DONE && a->opt.dry_run)
		return dry_run(a, "reinstall", guards_reinstall, err);
	if (x == EXIT_DONE) /* a client server that is dead has no proxy either */
		x = w.without_client ? app_write_alone(a, err) : app_write(a, false, err);
	if (x == EXIT_DONE)
		x = exit_of(app_signals(a, err));
	if (x == EXIT_DONE)
		x = guards_reinstall(a, err);
	app_signals_end(a);
	if (x)
		return x;
	if (!network_clock(a, "reinstall") &&
	    !app_confirm(a, "The client server's addresses go to the transit server. From then on no account can be rolled back.")) {
		err_set(err, -ECANCELED, "not confirmed, nothing changed");
		return EXIT_REFUSED;
	}
	x = network_reinstall(a, &w, &already, err);
	if (x)
		return x;
	out_set(&a->out, "already", json_boolean(already));
	say_clock(a, "reinstall", already ? "the addresses went to the transit server already" : "the addresses are on the transit server",
		  0);
	out_line(&a->out, "the client server can be reinstalled; then shunt return");
	return x;
}

enum exit_code cmd_return(struct app *a, char **words, int n, struct err *err)
{
	struct network_wish w;
	bool already;
	(void)words;
	(void)n;
	enum exit_code x = wish_of(a, &w, err);
	if (x == EXIT_DONE && a->opt.dry_run)
		return dry_run(a, "return", guards_return, err);
	x = x ? x : app_write(a, false, err);
	x = x ? x : network_return(a, &w, &already, err);
	if (x)
		return x;
	out_set(&a->out, "already", json_boolean(already));
	say_clock(a, "return", already ? "the addresses came home already" : "the addresses are home again", RELOCATE_DAYS);
	out_line(&a->out, "shunt relocate brings the accounts home");
	return x;
}

enum exit_code cmd_finish(struct app *a, char **words, int n, struct err *err)
{
	bool already;
	(void)words;
	(void)n;
	if (a->opt.dry_run)
		return dry_run(a, "finish", guards_finish, err);
	enum exit_code x = app_write(a, false, err);
	x = x ? x : network_finish(a, &already, err);
	if (x)
		return x;
	out_set(&a->out, "already", json_boolean(already));
	say_clock(a, "finish", already ? "finished already" : "finished: nothing of ours is left on either server", 0);
	return x;
}
