#include "control/serve/job.h"

#include "lib/exits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS  300  /* whether an adopted child still lives */
#define AGAIN_MS 1000 /* what could not begin now is asked again */
#define PROGRAM  "/proc/self/exe"
#define ACTOR_IS "SHUNT_ACTOR="

struct job {
	struct job *next; /* in its lane's queue, or among those that run */
	struct jobs *jobs;
	enum lane lane;
	char **argv;
	char actor[96]; /* ACTOR_IS.. */
	int out, deadline_ms;
	pid_t pid; /* 0: not begun; -1: adopted */
	bool late;
	struct deadline deadline;
	enum job_go (*begins)(void *arg);
	void (*fn)(void *arg, const struct job_end *end);
	void *arg;
};

struct row { /* of jobs */
	struct job *first, **last;
	unsigned n;
};

struct jobs {
	struct loop *loop;
	int limits[N_LANES], queues[N_LANES];
	struct row waiting[N_LANES], running[N_LANES];
	bool paused;
	struct event *next; /* begins what may begin, from the loop */
	struct event *ended;
	struct deadline again;
};

/* ---- rows ---- */

static void row_add(struct row *r, struct job *j)
{
	j->next = NULL;
	*r->last = j;
	r->last = &j->next;
	r->n++;
}

static void row_put_back(struct row *r, struct job *j)
{
	j->next = r->first;
	r->first = j;
	if (!j->next)
		r->last = &j->next;
	r->n++;
}

static void row_remove(struct row *r, struct job *j)
{
	struct job **p = &r->first;
	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	if (!j->next)
		r->last = p;
	r->n--;
}

static void job_free(struct job *j)
{
	if (!j)
		return;
	deadline_cancel(j->jobs->loop, &j->deadline);
	if (j->out >= 0)
		close(j->out);
	for (size_t i = 0; j->argv && j->argv[i]; i++)
		free(j->argv[i]);
	free(j->argv);
	free(j);
}

/* ---- the end ---- */

static char *answer_of(int fd, size_t *len)
{
	struct stat st;
	*len = 0;
	if (fstat(fd, &st) < 0 || st.st_size > JOB_ANSWER_MAX)
		return NULL;
	char *text = malloc((size_t)st.st_size + 1);
	while (text && *len < (size_t)st.st_size) {
		ssize_t n = pread(fd, text + *len, (size_t)st.st_size - *len, (off_t)*len);
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	if (text)
		text[*len] = '\0';
	return text;
}

static void finish(struct job *j, int exit)
{
	size_t len;
	char *text = answer_of(j->out, &len);
	struct job_end end = {.exit = exit, .text = text ? text : "", .len = len, .late = j->late};
	row_remove(&j->jobs->running[j->lane], j);
	event_active(j->jobs->next, EV_TIMEOUT, 0);
	j->fn(j->arg, &end);
	free(text);
	job_free(j);
}

/* Of one that is in no row. */
static void refuse(struct job *j, const char *text)
{
	struct job_end end = {.exit = EXIT_REFUSED, .text = text, .len = strlen(text)};
	j->fn(j->arg, &end);
	job_free(j);
}

/* One signal may stand for several children. */
static void on_child(evutil_socket_t sig, short what, void *arg)
{
	struct jobs *jobs = arg;
	(void)sig;
	(void)what;
	for (int lane = 0; lane < N_LANES; lane++) {
		for (struct job *j = jobs->running[lane].first, *next; j; j = next) {
			int status = 0;
			next = j->next;
			pid_t rc = j->pid > 0 ? waitpid(j->pid, &status, WNOHANG) : 0;
			if (rc != 0)
				finish(j, rc > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
		}
	}
}

static void on_late(struct deadline *d)
{
	struct job *j = (struct job *)(void *)((char *)d - offsetof(struct job, deadline));
	j->late = true;
	kill(-j->pid, SIGKILL);
}

static void on_look(struct deadline *d)
{
	struct job *j = (struct job *)(void *)((char *)d - offsetof(struct job, deadline));
	if (flock(j->out, LOCK_EX | LOCK_NB) == 0)
		finish(j, -1);
	else
		deadline_arm(j->jobs->loop, d, on_look, LOOK_MS);
}

/* ---- the beginning ---- */

static const char *const passed_on[] = {"TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS",
#ifdef SHUNT_TEST_KILL
					"SHUNT_TEST_KILL",
#endif
					NULL};

#define N_PASSED (sizeof(passed_on) / sizeof(*passed_on))

static void environment(struct job *j, char *env[N_PASSED + 3], char room[N_PASSED][256])
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C.UTF-8";
	size_t n = 0;
	env[n++] = path;
	env[n++] = locale;
	env[n++] = j->actor;
	for (size_t i = 0; passed_on[i]; i++) {
		const char *v = getenv(passed_on[i]);
		if (v && snprintf(room[i], sizeof(room[i]), "%s=%s", passed_on[i], v) < (int)sizeof(room[i]))
			env[n++] = room[i];
	}
	env[n] = NULL;
}

static int spawn(struct job *j)
{
	char *env[N_PASSED + 3], room[N_PASSED][256];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t set;
	environment(j, env, room);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, j->out, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	int rc = -posix_spawn(&j->pid, PROGRAM, &files, &attr, j->argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return rc;
}

/* False: not now; it is in no row. */
static bool begin(struct job *j)
{
	/* first: what is not on disk as begun has not begun, or the next serve would begin it a second time */
	enum job_go go = j->begins ? j->begins(j->arg) : JOB_GO;
	if (go == JOB_WAIT)
		return false;
	if (go == JOB_NEVER) {
		refuse(j, "{\"ok\":false,\"exit\":1,\"error\":\"it could not be begun in time, and is not any more. Nothing changed\"}\n");
		return true;
	}
	row_add(&j->jobs->running[j->lane], j);
	if (spawn(j) < 0)
		finish(j, -1);
	else if (j->deadline_ms)
		deadline_arm(j->jobs->loop, &j->deadline, on_late, (uint64_t)j->deadline_ms);
	return true;
}

static void on_again(struct deadline *d)
{
	struct jobs *j = (struct jobs *)(void *)((char *)d - offsetof(struct jobs, again));
	event_active(j->next, EV_TIMEOUT, 0);
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *j = arg;
	(void)fd;
	(void)what;
	for (int lane = 0; lane < N_LANES; lane++) {
		while (j->waiting[lane].first && j->running[lane].n < (unsigned)j->limits[lane] && !(j->paused && lane != LANE_READ)) {
			struct job *job = j->waiting[lane].first;
			row_remove(&j->waiting[lane], job);
			if (begin(job))
				continue;
			row_put_back(&j->waiting[lane], job);
			deadline_arm(j->loop, &j->again, on_again, AGAIN_MS);
			break;
		}
	}
}

static void set_actor(struct job *j, const char *actor)
{
	snprintf(j->actor, sizeof(j->actor), ACTOR_IS "%s", actor);
}

static int fill(struct job *j, const struct job_spec *spec)
{
	size_t n = 0;
	while (spec->argv[n])
		n++;
	set_actor(j, spec->actor);
	j->argv = calloc(n + 2, sizeof(*j->argv));
	if (!j->argv || !(j->argv[0] = strdup("shunt")))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!(j->argv[i + 1] = strdup(spec->argv[i])))
			return -ENOMEM;
	}
	if (j->out < 0)
		j->out = memfd_create("answer", MFD_CLOEXEC);
	return j->out < 0 ? -errno : 0;
}

int job_make(struct job **out, struct jobs *jobs, const struct job_spec *spec, struct err *err)
{
	struct job *j = jobs_has_room(jobs, spec->lane, spec->actor, spec->share) ? calloc(1, sizeof(*j)) : NULL;
	*out = NULL;
	if (!j) {
		if (spec->out >= 0)
			close(spec->out);
		return err_set(err, -EBUSY, "too many calls are waiting");
	}
	*j = (struct job){.jobs = jobs,
			  .lane = spec->lane,
			  .out = spec->out,
			  .deadline_ms = spec->deadline_ms,
			  .begins = spec->begins,
			  .fn = spec->fn,
			  .arg = spec->arg};
	int rc = fill(j, spec);
	if (rc < 0) {
		job_free(j);
		return err_errno(err, rc, "cannot prepare a command");
	}
	*out = j;
	return 0;
}

void job_start(struct job *j)
{
	row_add(&j->jobs->waiting[j->lane], j);
	event_active(j->jobs->next, EV_TIMEOUT, 0);
}

void job_drop(struct job *j)
{
	job_free(j);
}

int job_adopt(struct jobs *jobs, enum lane lane, const char *actor, int out, void (*fn)(void *arg, const struct job_end *end), void *arg,
	      struct err *err)
{
	struct job *j = calloc(1, sizeof(*j));
	if (!j) {
		close(out);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*j = (struct job){.jobs = jobs, .lane = lane, .out = out, .pid = -1, .fn = fn, .arg = arg};
	set_actor(j, actor);
	row_add(&jobs->running[lane], j);
	deadline_arm(jobs->loop, &j->deadline, on_look, 1);
	return 0;
}

/* ---- ending one before its time ---- */

/* Of a child of an earlier serve: whose standard output the file is. */
static pid_t writer_of(int out)
{
	struct stat file, theirs;
	DIR *proc = opendir("/proc");
	pid_t found = 0;
	if (!proc || fstat(out, &file) < 0) {
		if (proc)
			closedir(proc);
		return 0;
	}
	for (struct dirent *e; !found && (e = readdir(proc));) {
		char path[300];
		snprintf(path, sizeof(path), "/proc/%s/fd/1", e->d_name);
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && stat(path, &theirs) == 0 && theirs.st_ino == file.st_ino &&
		    theirs.st_dev == file.st_dev)
			found = (pid_t)strtol(e->d_name, NULL, 10);
	}
	closedir(proc);
	return found;
}

int job_cancel(struct jobs *jobs, const void *arg)
{
	for (int lane = 0; lane < N_LANES; lane++) {
		for (struct job *j = jobs->waiting[lane].first; j; j = j->next) {
			if (j->arg == arg) {
				row_remove(&jobs->waiting[lane], j);
				refuse(j, "{\"ok\":false,\"exit\":1,\"error\":\"" JOB_CANCELLED "\"}\n");
				return 0;
			}
		}
		for (struct job *j = jobs->running[lane].first; j; j = j->next) {
			pid_t pid = j->arg != arg ? 0 : j->pid > 0 ? j->pid : writer_of(j->out);
			if (pid)
				return kill(pid, SIGTERM) < 0 ? -errno : 0;
		}
	}
	return -ENOENT;
}

/* ---- all of them ---- */

void jobs_pause(struct jobs *j)
{
	j->paused = true;
}

static unsigned of_actor(const struct row *r, const char *actor)
{
	unsigned n = 0;
	for (const struct job *j = r->first; j; j = j->next)
		n += strcmp(j->actor + strlen(ACTOR_IS), actor) == 0;
	return n;
}

bool jobs_has_room(const struct jobs *j, enum lane lane, const char *actor, unsigned share)
{
	return j->waiting[lane].n < (unsigned)j->queues[lane] &&
	       (share == 0 || of_actor(&j->waiting[lane], actor) + of_actor(&j->running[lane], actor) < share);
}

unsigned jobs_running(const struct jobs *j, enum lane lane)
{
	return j->running[lane].n;
}

unsigned jobs_waiting(const struct jobs *j, enum lane lane)
{
	return j->waiting[lane].n;
}

static int listen_for_children(struct jobs *j, struct err *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* who has started us may have blocked it */
	j->next = event_new(loop_base(j->loop), -1, 0, on_next, j);
	j->ended = evsignal_new(loop_base(j->loop), SIGCHLD, on_child, j);
	return j->next && j->ended && event_add(j->ended, NULL) == 0 ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int jobs_new(struct jobs **out, struct loop *l, const int limits[N_LANES], const int queues[N_LANES], struct err *err)
{
	struct jobs *j = calloc(1, sizeof(*j));
	*out = NULL;
	if (!j)
		return err_set(err, -ENOMEM, "out of memory");
	j->loop = l;
	memcpy(j->limits, limits, sizeof(j->limits));
	memcpy(j->queues, queues, sizeof(j->queues));
	for (int lane = 0; lane < N_LANES; lane++) {
		j->waiting[lane].last = &j->waiting[lane].first;
		j->running[lane].last = &j->running[lane].first;
	}
	int rc = listen_for_children(j, err);
	if (rc < 0) {
		jobs_free(j);
		return rc;
	}
	*out = j;
	return 0;
}

void jobs_free(struct jobs *j)
{
	struct job *job;
	if (!j)
		return;
	for (int lane = 0; lane < N_LANES; lane++) {
		struct row *rows[] = {&j->waiting[lane], &j->running[lane]};
		for (size_t i = 0; i < 2; i++) {
			while ((job = rows[i]->first)) {
				row_remove(rows[i], job);
				if (lane == LANE_READ && job->pid > 0)
					kill(-job->pid, SIGTERM);
				job_free(job);
			}
		}
	}
	deadline_cancel(j->loop, &j->again);
	if (j->next)
		event_free(j->next);
	if (j->ended)
		event_free(j->ended);
	free(j);
}
