/* Three processes: we, the keeper (our child, dies with us by PR_SET_PDEATHSIG), the hook (its child, leader of a group of its own).
 * The keeper waits for two signals only: SIGCHLD, the hook ended; SIGTERM, we want it gone or are gone. Either way it kills the group
 * and ends as the hook ended. A process that leaves the hook's group on purpose (setsid) is out of reach: it asked for it. */
#include "control/hook.h"

#include "lib/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STDERR_KEPT       800
#define TICK_MS           1000
#define KEEPER_CANNOT_RUN 127

struct lines { /* what arrived of the line that is not complete */
	char buf[HOOK_LINE_MAX];
	size_t len;
};

struct run {
	const struct hook *hook;
	struct hook_output *out;
	struct lines out_lines;
	char tail[STDERR_KEPT + 1];
	size_t tail_len;
};

void hook_output_done(struct hook_output *o)
{
	free(o->text);
	*o = (struct hook_output){0};
}

/* ---- the two children ---- */

static void exec_hook(const struct hook *h, pid_t keeper)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != keeper)
		_exit(KEEPER_CANNOT_RUN);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	char *argv[] = {(char *)h->path, NULL};
	execve(h->path, argv, (char **)h->env);
	char text[200];
	int n = snprintf(text, sizeof(text), "cannot run it: %s\n", strerror(errno));
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(KEEPER_CANNOT_RUN);
	_exit(KEEPER_CANNOT_RUN);
}

static void keep(const struct hook *h, pid_t us)
{
	sigset_t both;
	sigemptyset(&both);
	sigaddset(&both, SIGCHLD);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_SETMASK, &both, NULL);
	signal(SIGCHLD, SIG_DFL);
	setpgid(0, 0); /* Ctrl-C is ours to hear */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != us)
		_exit(KEEPER_CANNOT_RUN);
	pid_t self = getpid(), hook = fork();
	if (hook == 0)
		exec_hook(h, self);
	if (hook < 0)
		_exit(KEEPER_CANNOT_RUN);
	setpgid(hook, hook); /* whoever is first */
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	siginfo_t info;
	int status = 0;
	for (;;) {
		int sig = sigwaitinfo(&both, &info);
		siginfo_t ended = {0};
		if (sig == SIGTERM ||
		    (sig == SIGCHLD && waitid(P_PID, (id_t)hook, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid))
			break;
	}
	kill(-hook, SIGKILL); /* the leader is not reaped yet: the group's number is still ours */
	waitpid(hook, &status, 0);
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		prctl(PR_SET_DUMPABLE, 0);
		kill(self, WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

static int start(const struct hook *h, int pipes[2][2], pid_t *keeper)
{
	pid_t us = getpid();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0)
		return -errno;
	*keeper = fork();
	if (*keeper == 0) {
		dup2(null, STDIN_FILENO);
		dup2(pipes[0][1], STDOUT_FILENO);
		dup2(pipes[1][1], STDERR_FILENO);
		keep(h, us);
	}
	int rc = *keeper < 0 ? -errno : 0;
	close(null);
	return rc;
}

/* ---- what it says ---- */

static bool is_progress(const char *line, double *percent)
{
	if (strncmp(line, "progress", 8) != 0 || !isspace((unsigned char)line[8]))
		return false;
	char *end;
	double v = strtod(line + 9, &end);
	if (end == line + 9 || !(v >= 0 && v <= 100))
		return false;
	while (isspace((unsigned char)*end) || *end == '%')
		end++;
	*percent = v;
	return *end == '\0';
}

static void keep_line(struct hook_output *o, const char *line, size_t len)
{
	if (o->len + len + 1 > HOOK_OUTPUT_MAX) {
		o->dropped += len + 1;
		return;
	}
	char *more = realloc(o->text, o->len + len + 2);
	if (!more) {
		o->dropped += len + 1;
		return;
	}
	o->text = more;
	for (size_t i = 0; i < len; i++) { /* the trail is UTF-8 text: what is not printable ASCII or above becomes '?' */
		unsigned char c = (unsigned char)line[i];
		more[o->len++] = (char)((c >= 0x20 && c < 0x7f) || c == '\t' ? c : '?');
	}
	more[o->len++] = '\n';
	more[o->len] = '\0';
}

static void line_done(struct run *r)
{
	struct lines *l = &r->out_lines;
	double percent;
	l->buf[l->len] = '\0';
	if (is_progress(l->buf, &percent)) {
		if (r->hook->on_progress)
			r->hook->on_progress(r->hook->arg, percent);
	} else if (l->len) {
		keep_line(r->out, l->buf, l->len);
	}
	l->len = 0;
}

static void on_stdout(struct run *r, const char *p, size_t n)
{
	struct lines *l = &r->out_lines;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || p[i] == '\r') {
			line_done(r);
		} else if (l->len < sizeof(l->buf) - 1) {
			l->buf[l->len++] = p[i];
		} else {
			r->out->dropped++;
		}
	}
}

static void on_stderr(struct run *r, const char *p, size_t n)
{
	if (n > STDERR_KEPT) {
		p += n - STDERR_KEPT;
		n = STDERR_KEPT;
	}
	if (r->tail_len + n > STDERR_KEPT) {
		size_t cut = r->tail_len + n - STDERR_KEPT;
		memmove(r->tail, r->tail + cut, r->tail_len - cut);
		r->tail_len -= cut;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		r->tail[r->tail_len++] = (char)(c == '\n' || (c >= 0x20 && c < 0x7f) ? c : '?');
	}
	r->tail[r->tail_len] = '\0';
}

/* The last three lines at most, joined. */
static const char *last_words(struct run *r)
{
	while (r->tail_len && r->tail[r->tail_len - 1] == '\n')
		r->tail[--r->tail_len] = '\0';
	char *p = r->tail + r->tail_len;
	for (int lines = 0; p > r->tail; p--) {
		if (p[-1] == '\n' && ++lines == 3)
			break;
	}
	for (char *q = p; *q; q++) {
		if (*q == '\n')
			*q = ' ';
	}
	return p;
}

/* Reads once what is there; false when the pipe has ended. */
static bool take(struct run *r, int fd, void (*on)(struct run *, const char *, size_t))
{
	char buf[8192];
	ssize_t n = read(fd, buf, sizeof(buf));
	if (n > 0)
		on(r, buf, (size_t)n);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static int poll_ms(int64_t until)
{
	int64_t left = until == INT64_MAX ? TICK_MS : until - mono_ms();
	return left < 0 ? 0 : left > TICK_MS ? TICK_MS : (int)left;
}

/* Until the keeper has ended; what the pipes still hold is read then. 0, -ETIMEDOUT or -EINTR. */
static int watch(struct run *r, int out_fd, int err_fd, pid_t keeper, int pidfd)
{
	int64_t started = mono_ms(), ticked = started,
		until = r->hook->timeout_s ? started + (int64_t)r->hook->timeout_s * 1000 : INT64_MAX;
	struct pollfd p[4] = {{out_fd, POLLIN, 0}, {err_fd, POLLIN, 0}, {pidfd, POLLIN, 0}, {r->hook->cancel_fd, POLLIN, 0}};
	bool told = false;
	int rc = 0;
	for (;;) {
		int n = poll(p, 4, poll_ms(until));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (r->hook->on_tick && mono_ms() - ticked >= TICK_MS) {
			ticked = mono_ms();
			r->hook->on_tick(r->hook->arg);
		}
		if (n > 0 && p[0].revents && !take(r, out_fd, on_stdout))
			p[0].fd = -1;
		if (n > 0 && p[1].revents && !take(r, err_fd, on_stderr))
			p[1].fd = -1;
		if (n > 0 && p[2].revents)
			break;
		if (n > 0 && p[3].revents)
			rc = -EINTR;
		else if (mono_ms() >= until)
			rc = -ETIMEDOUT;
		if (rc < 0 && !told) { /* told once; from here on only the end is waited for */
			kill(keeper, SIGTERM);
			p[3].fd = -1;
			p[3].revents = 0;
			until = INT64_MAX;
			told = true;
		}
	}
	for (int i = 0; i < 64 && p[0].fd >= 0 && poll(&p[0], 1, 0) > 0 && take(r, out_fd, on_stdout); i++)
		;
	for (int i = 0; i < 64 && p[1].fd >= 0 && poll(&p[1], 1, 0) > 0 && take(r, err_fd, on_stderr); i++)
		;
	if (r->out_lines.len)
		line_done(r);
	r->out->ms = (long)(mono_ms() - started);
	return rc;
}

static int verdict(struct run *r, int rc, int status, struct err *err)
{
	const struct hook *h = r->hook;
	const char *said = last_words(r);
	const char *sep = *said ? ": " : "";
	if (rc == -EINTR)
		return err_set(err, rc, "hook %s was stopped: interrupted", h->name);
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "hook %s (%s) was stopped after %d s (hook-timeout)%s%s", h->name, h->path, h->timeout_s, sep,
			       said);
	if (rc < 0)
		return err_errno(err, rc, "hook %s", h->name);
	if (WIFSIGNALED(status))
		return err_set(err, -EIO, "hook %s (%s) was killed by signal %d%s%s", h->name, h->path, WTERMSIG(status), sep, said);
	if (WEXITSTATUS(status) != 0)
		return err_set(err, -EIO, "hook %s (%s) failed with %d%s%s", h->name, h->path, WEXITSTATUS(status), sep, said);
	return 0;
}

int hook_run(const struct hook *h, struct hook_output *out, struct err *err)
{
	int pipes[2][2] = {{-1, -1}, {-1, -1}}, pidfd = -1, status = 0;
	pid_t keeper = -1;

	*out = (struct hook_output){0};
	struct run *r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->hook = h;
	r->out = out;
	int rc = pipe2(pipes[0], O_CLOEXEC) < 0 || pipe2(pipes[1], O_CLOEXEC) < 0 ? -errno : start(h, pipes, &keeper);
	if (rc == 0 && (pidfd = pidfd_open(keeper, 0)) < 0)
		rc = -errno;
	if (rc < 0) {
		err_errno(err, rc, "cannot start hook %s", h->name);
		if (keeper > 0)
			kill(keeper, SIGTERM);
		goto out;
	}
	for (int i = 0; i < 2; i++) {
		close(pipes[i][1]);
		pipes[i][1] = -1;
		fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
	}
	rc = watch(r, pipes[0][0], pipes[1][0], keeper, pidfd);
out:
	if (keeper > 0) {
		while (waitpid(keeper, &status, 0) < 0 && errno == EINTR)
			;
		if (pidfd >= 0)
			rc = verdict(r, rc, status, err);
	}
	for (int i = 0; i < 4; i++) {
		if (pipes[i / 2][i % 2] >= 0)
			close(pipes[i / 2][i % 2]);
	}
	if (pidfd >= 0)
		close(pidfd);
	free(r);
	return rc;
}
