#include "control/app.h"

#include "control/dnsdebt.h"
#include "control/moved.h"
#include "control/network.h"
#include "control/sync.h"

#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE_DEFAULT "/var/lib/shunt/shunt.db"
#define PROXY_DEFAULT "unix:/run/shunt/proxy.sock"
#define PATIENCE_MS   15000 /* for a proxy that is being restarted */

const char *app_state_path(const struct app *a)
{
	return a->conf->control.state ? a->conf->control.state : STATE_DEFAULT;
}

bool app_state_missing(const struct app *a)
{
	return access(app_state_path(a), F_OK) < 0 && errno == ENOENT;
}

const char *app_proxy_address(const struct app *a)
{
	if (a->conf->control.proxy)
		return a->conf->control.proxy;
	return a->conf->proxy.control ? a->conf->proxy.control : PROXY_DEFAULT;
}

enum exit_code exit_of(int rc)
{
	switch (rc) {
	case 0:
		return EXIT_DONE;
	case -EBADMSG:
	case -EPROTONOSUPPORT:
	case -EACCES:
	case -EINVAL:
		return EXIT_USAGE;
	default:
		return EXIT_REFUSED;
	}
}

enum exit_code worse(enum exit_code a, enum exit_code b)
{
	return a > b ? a : b;
}

static int open_links(struct app *a, struct err *err)
{
	int rc = proxylink_open(&a->proxy, app_proxy_address(a), &a->conf->tls, err);
	for (int side = SIDE_CLIENT; rc == 0 && side <= SIDE_TRANSIT; side++) {
		const char *address = side == SIDE_CLIENT ? a->conf->control.netctl_client : a->conf->control.netctl_transit;
		if (address)
			rc = netctllink_open(&a->netctl[side], (enum side)side, address, &a->conf->tls, err);
	}
	if (rc == 0 && a->conf->control.dns)
		rc = dnslink_open(&a->dns, a->conf->control.dns, &a->conf->tls, err);
	return rc;
}

static int open_state(struct app *a, unsigned flags, struct err *err)
{
	int rc = journal_open(&a->db, app_state_path(a), flags, &a->who, err);
	if (rc == 0 && !(flags & JOURNAL_READ))
		rc = locks_open(&a->locks, app_state_path(a), err);
	else if (rc == 0 && access(app_state_path(a), F_OK) == 0)
		rc = locks_open(&a->locks, app_state_path(a), err); /* to see who is alive */
	return rc == 0 ? open_links(a, err) : rc;
}

enum exit_code app_look(struct app *a, struct err *state, struct err *err)
{
	struct trail_head head;
	int rc = journal_open(&a->db, app_state_path(a), JOURNAL_READ | JOURNAL_QUICK | JOURNAL_BRIEF, &a->who, state);
	if (rc == 0 && journal_head(a->db, &head, state) < 0) { /* somebody has kept writing for long */
		journal_close(a->db);
		a->db = NULL;
	}
	if (a->db && access(app_state_path(a), F_OK) == 0)
		locks_open(&a->locks, app_state_path(a), NULL); /* to see who is alive */
	return exit_of(open_links(a, err));
}

bool app_intercepts(const struct app *a)
{
	return a->netctl[SIDE_CLIENT] && a->conf->proxy.intercept;
}

enum exit_code app_read(struct app *a, struct err *err)
{
	return exit_of(open_state(a, JOURNAL_READ, err));
}

enum exit_code app_reopen(struct app *a, struct err *err)
{
	who_am_i(&a->who);
	int rc = open_state(a, JOURNAL_QUICK, err);
	if (rc < 0)
		return exit_of(rc);
	a->proxy->fresh = sync_fresh;
	a->proxy->fresh_arg = a;
	a->proxy->patience_ms = PATIENCE_MS;
	return EXIT_DONE;
}

enum exit_code app_write(struct app *a, bool importing, struct err *err)
{
	int rc = open_state(a, 0, err);
	if (rc < 0)
		return exit_of(rc);
	network_resume(a, false, NULL); /* told; should it matter to the command, the command says so */
	a->proxy->fresh = sync_fresh;
	a->proxy->fresh_arg = a;
	a->proxy->patience_ms = 2000; /* one that is down is reported soon; one that we began to work with is waited for */
	rc = sync_accounts(a, importing, err);
	if (proxylink_is_away(rc))
		err_wrap(err, "nothing changed");
	if (rc < 0)
		return exit_of(rc);
	a->proxy->patience_ms = PATIENCE_MS;
	a->writes = true;
	struct err e = {0};
	if (!a->settles)
		dnsdebt_settle(a, NULL, true, NULL);
	enum exit_code x = sync_resume(a, NULL, false, &e);
	moved_tell(a);
	if (x == EXIT_DONE || x == EXIT_STUCK) /* told already; it concerns other accounts, or is met again */
		return EXIT_DONE;
	*err = e;
	return x;
}

enum exit_code app_write_alone(struct app *a, struct err *err)
{
	return exit_of(open_state(a, 0, err));
}

void app_close(struct app *a)
{
	journal_close(a->db);
	locks_close(a->locks);
	proxylink_close(a->proxy);
	netctllink_close(a->netctl[SIDE_CLIENT]);
	netctllink_close(a->netctl[SIDE_TRANSIT]);
	dnslink_close(a->dns);
	a->netctl[SIDE_CLIENT] = a->netctl[SIDE_TRANSIT] = NULL;
	a->dns = NULL;
	a->db = NULL;
	a->locks = NULL;
	a->proxy = NULL;
	a->set_held = false;
}

void app_done(struct app *a)
{
	app_close(a);
	notice_done(&a->notice);
	conf_free(a->conf);
	a->conf = NULL;
	options_done(&a->opt);
	json_decref(a->prices);
	a->prices = NULL;
	if (a->sigfd >= 0)
		close(a->sigfd);
	a->sigfd = -1;
}

#ifdef SHUNT_TEST_KILL
/* Test builds only (configure --enable-test-kill): SHUNT_TEST_KILL=copying:before dies there as by kill -9. */
static void test_kill(const char *step, const char *when)
{
	char here[64];
	const char *there = getenv("SHUNT_TEST_KILL");
	snprintf(here, sizeof(here), "%s:%s", step, when);
	if (there && strcmp(here, there) == 0)
		kill(getpid(), SIGKILL);
}

/* SHUNT_TEST_RUN=PROGRAM runs it as PROGRAM copying before, and waits for it. */
static void test_run(const char *step, const char *when)
{
	const char *program = getenv("SHUNT_TEST_RUN");
	pid_t pid = program ? fork() : -1;
	if (pid == 0) {
		execl(program, program, step, when, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
#endif

void app_at(const struct app *a, const char *step, const char *when)
{
#ifdef SHUNT_TEST_KILL
	test_kill(step, when);
	test_run(step, when);
#endif
	if (a->at)
		a->at(a->at_arg, step, when);
}

static void at(void *arg, const char *step, const char *when)
{
	app_at(arg, step, when);
}

static void tick(void *arg)
{
	notice_tick(arg, NULL);
}

static void homeward(void *arg)
{
	moved_tell(arg);
}

void app_mover(struct app *a, struct mover *with)
{
	*with = (struct mover){
		.db = a->db,
		.proxy = a->proxy,
		.conf = &a->conf->control,
		.progress = &a->progress,
		.netctl = app_intercepts(a) ? a->netctl[SIDE_CLIENT] : NULL,
		.dns = a->dns,
		.dns_wait = a->conf->dns.wait,
		.homeward = homeward,
		.tick = tick,
		.cancel_fd = a->sigfd,
		.at = at,
		.arg = a,
	};
}

int app_signals(struct app *a, struct err *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (a->sigfd >= 0)
		close(a->sigfd);
	a->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->sigfd < 0 ? err_errno(err, -errno, "signalfd") : 0;
}

void app_signals_end(struct app *a)
{
	sigset_t set;
	struct signalfd_siginfo one;
	if (a->sigfd < 0)
		return;
	while (read(a->sigfd, &one, sizeof(one)) > 0)
		; /* it has had its effect */
	close(a->sigfd);
	a->sigfd = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

bool app_confirm(struct app *a, const char *fmt, ...)
{
	char line[16];
	if (a->opt.yes || a->opt.json || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" Go on? [y/N] ", stderr);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

void who_text(const struct move_row *m, char *out, size_t cap)
{
	char at[TIME_TEXT_MAX];
	snprintf(out, cap, "%s (pid %d on %s) since %s, at %s%s", m->who.user, m->who.pid, m->who.host, time_text(m->started, at),
		 m->undo ? "undoing " : "", m->step);
}
