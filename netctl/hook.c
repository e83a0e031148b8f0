#include "netctl/hook.h"

#include "lib/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *environment(json_t *addresses)
{
	char *text = NULL;
	size_t n, i;
	FILE *f = open_memstream(&text, &n);
	json_t *a;

	if (!f)
		return NULL;
	fputs("SHUNT_ADDRESSES=", f);
	json_array_foreach (addresses, i, a)
		fprintf(f, "%s%s", i ? " " : "", json_string_value(a));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int spawn(const char *program, char **env, int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	char *argv[] = {(char *)program, NULL};
	sigset_t none, all;
	int rc;

	sigemptyset(&none);
	sigfillset(&all); /* we ignore some, which a program would inherit */
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1); /* the journal's lock above all */
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	rc = -posix_spawn(pid, program, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc;
}

/* Reads until the program and all that hold its output have ended; keeps the first line. false: the time is up. */
static bool listen_to(int fd, int64_t end, char *words, size_t cap)
{
	char buf[4096];
	size_t have = 0;

	for (;;) {
		int64_t left = end - mono_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (left <= 0)
			return false;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, buf, sizeof buf);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n && have + 1 < cap; i++)
			words[have++] = buf[i];
	}
	words[have] = '\0';
	words[strcspn(words, "\n")] = '\0';
	return true;
}

int hook_run(const char *program, json_t *addresses, int timeout_s, char *words, size_t cap, struct err *err)
{
	char *own = environment(addresses), *env[] = {own, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	int pipes[2], status, rc;
	bool in_time;
	pid_t pid;

	*words = '\0';
	if (!own)
		return err_set(err, -ENOMEM, "out of memory");
	if (pipe2(pipes, O_CLOEXEC) < 0) {
		free(own);
		return err_errno(err, -errno, "cannot run %s", program);
	}
	rc = spawn(program, env, pipes[1], &pid);
	free(own);
	close(pipes[1]);
	if (rc < 0) {
		close(pipes[0]);
		return err_errno(err, rc, "cannot run %s", program);
	}
	in_time = listen_to(pipes[0], mono_ms() + timeout_s * 1000LL, words, cap);
	close(pipes[0]);
	if (!in_time)
		kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!in_time)
		return err_set(err, -ETIMEDOUT, "%s did not end within %d s", program, timeout_s);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
