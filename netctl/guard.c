#include "netctl/guard.h"

#include "lib/kill.h"
#include "netctl/nl.h"
#include "netctl/plan.h"

#include "lib/conf.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_MS    5000
#define LOG_MOST    (1 << 20)
#define LONGEST_NAP 60000

extern char **environ;

/* ---- the side that wants a guard ---- */

static int wait_ready(int fd, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	if (poll(&p, 1, READY_MS) <= 0)
		return err_set(err, -ETIMEDOUT, "the guard does not stand by, so nothing is changed");
	if (read(fd, &c, 1) != 1)
		return err_set(err, -EIO,
			       "the guard could not start, so nothing is changed; guard.log in the journal's directory says why");
	return 0;
}

int guard_start(const char *conf, const char *plan, struct err *err)
{
	char *argv[] = {"shunt-netctl", "-c", (char *)conf, "guard", (char *)plan, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int pipes[2], status, rc;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_errno(err, -errno, "cannot start the guard");
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, pipes[1], GUARD_READY_FD);
	posix_spawn_file_actions_addclosefrom_np(&files, GUARD_READY_FD + 1); /* the journal's lock above all */
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	rc = -posix_spawn(&pid, "/proc/self/exe", &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	close(pipes[1]);
	if (rc == 0) {
		rc = wait_ready(pipes[0], err);
		if (rc < 0)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR) /* it has left a child behind that is nobody's */
			;
	} else {
		err_errno(err, rc, "cannot start the guard");
	}
	close(pipes[0]);
	return rc;
}

/* ---- the guard ---- */

static void write_log_to(const char *dir)
{
	char path[4096];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/guard.log", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > LOG_MOST && ftruncate(fd, 0) < 0)
		log_warn("guard.log cannot be shortened");
	dup2(fd, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
}

/* Forgets the changes of plans up to now. */
static void forget_changes(int changes)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (changes >= 0 && read(changes, events, sizeof events) > 0)
		;
}

/* Or until a plan changes: it may be confirmed, or gone. */
static void nap_until(int64_t at, int changes)
{
	struct pollfd p = {.fd = changes, .events = POLLIN};
	int64_t left = at - plan_now_ms();

	if (left > 0)
		poll(&p, 1, (int)(left < LONGEST_NAP ? left : LONGEST_NAP));
}

/* Is all that the plan made still so? Another plan may have given away what this one announced. */
static bool holds(struct world *w, json_t *plan)
{
	json_t *texts = json_array();
	bool is = plan_drift(w, plan, NULL, texts, NULL) == 0 && json_array_size(texts) == 0;

	json_decref(texts);
	return is;
}

/* Under the lock: what another process takes back meanwhile must not be announced once more. false: there is nothing to repeat. */
static bool repeat_once(struct world *w, struct journal *j, const char *name)
{
	json_t *plan, *ops, *op;
	struct err err = {0};
	bool wanted;
	size_t i;

	if (journal_read(j, name, &plan, &err) < 0)
		return false;
	ops = json_object_get(plan, "repeat");
	wanted = ops && (strcmp(plan_state(plan), "pending") == 0 || strcmp(plan_state(plan), "confirmed") == 0) && holds(w, plan);
	json_array_foreach (wanted ? ops : NULL, i, op)
		if (op_apply(w, op, &err) < 0)
			log_error("plan=%s reason=\"%s\"", name, err.text);
	json_decref(plan);
	return wanted;
}

/* Announcements may get lost, and a cache that was just refreshed may ignore one: RFC 5227 2.3 wants two, a second apart and more. What is
 * due at `due` comes first. */
static void repeat(struct world *w, struct journal *j, const char *name, int64_t due)
{
	static const int at_ms[] = {100, 500, 1000, 3000};
	int64_t began = plan_now_ms();
	bool go_on = true;

	for (size_t n = 0; go_on && n < sizeof at_ms / sizeof *at_ms && (due < 0 || began + at_ms[n] < due); n++) {
		nap_until(began + at_ms[n], -1);
		if (journal_lock(j, -1, NULL) < 0)
			return;
		go_on = repeat_once(w, j, name);
		journal_unlock(j);
	}
}

static int stand_by(struct world *w, struct journal *j, const char *name)
{
	struct err err = {0};
	int64_t next = 0;
	bool repeated = false;
	int rc = 0, changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (changes < 0 || inotify_add_watch(changes, journal_dir(j), IN_MOVED_TO | IN_DELETE) < 0)
		log_warn("plan=%s reason=\"changes of the journal are seen late: %s\"", name, strerror(errno));
	while (next >= 0) {
		nap_until(next, changes);
		if (journal_lock(j, -1, &err) < 0)
			break;
		rc = plan_turn(w, j, name, &next, &err);
		forget_changes(changes); /* by ourselves, for we have the lock */
		journal_unlock(j);
		if (rc == -ENOENT)
			break;
		if (rc < 0)
			log_error("plan=%s reason=\"%s\"", name, err.text);
		if (!repeated)
			repeat(w, j, name, next);
		repeated = true;
	}
	if (changes >= 0)
		close(changes);
	return rc == 0 || rc == -ENOENT ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void detach(void)
{
	pid_t pid = fork();

	if (pid > 0)
		_exit(EXIT_SUCCESS); /* whoever started us waits for this one alone */
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN); /* a shutdown reverts nothing: the journal does, at the next boot */
	if (chdir("/") < 0)
		log_warn("cannot leave the directory of the start");
}

int guard_main(const struct conf *conf, const char *plan, int ready_fd)
{
	struct world w = {.conf = conf};
	struct journal *j = NULL;
	struct err err = {0};
	int rc;

	kill_points_of("guard");
	write_log_to(conf->netctl.journal);
	log_open("shunt-netctl guard");
	detach();
	rc = journal_open(&j, conf->netctl.journal, &err);
	if (rc == 0)
		rc = nl_new(&w.nl, &err);
	if (rc < 0) {
		log_error("plan=%s reason=\"%s\"", plan, err.text);
		return EXIT_FAILURE;
	}
	w.journal = j;
	if (ready_fd >= 0) {
		if (write(ready_fd, "r", 1) != 1)
			log_warn("plan=%s reason=\"whoever asked for a guard is gone\"", plan);
		close(ready_fd);
	}
	rc = stand_by(&w, j, plan);
	nl_free(w.nl);
	journal_close(j);
	return rc;
}
