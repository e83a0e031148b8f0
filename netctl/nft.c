/* Standard input, output and error are memory files: nothing is to be pumped while nft runs, no pipe can fill, and nobody dies of SIGPIPE.
 * nft opens its input by name (/dev/stdin), which works with those and with pipes, but not with sockets. */
#include "netctl/nft.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/member.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ERROR_KEPT 700

/* Returns new, the caller's to free(); NULL when memory is out or it is too long. */
static char *read_all(int fd)
{
	struct stat st;
	char *text = fstat(fd, &st) == 0 && st.st_size <= NFT_OUTPUT_MAX ? malloc((size_t)st.st_size + 1) : NULL;
	size_t at = 0;
	ssize_t n = 1;

	if (!text)
		return NULL;
	while (n > 0 && at < (size_t)st.st_size) {
		n = pread(fd, text + at, (size_t)st.st_size - at, (off_t)at);
		at += n > 0 ? (size_t)n : 0;
	}
	text[at] = '\0';
	return text;
}

/* Above the three that a child's are put upon; those may be free here. */
static int memory_file(void)
{
	int fd = memfd_create("nft", MFD_CLOEXEC);

	if (fd < 0 || fd > STDERR_FILENO)
		return fd < 0 ? -errno : fd;
	int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int rc = above < 0 ? -errno : above;
	close(fd);
	return rc;
}

/* ---- running it ---- */

static const char *find_program(char path[4096])
{
	const char *dirs = getenv("PATH");

	if (access("/usr/sbin/nft", X_OK) == 0)
		return "/usr/sbin/nft";
	while (dirs && *dirs) {
		size_t len = strcspn(dirs, ":");
		if (len > 0 && snprintf(path, 4096, "%.*s/nft", (int)len, dirs) < 4096 && *path == '/' && access(path, X_OK) == 0)
			return path;
		dirs += len + (dirs[len] == ':');
	}
	return NULL;
}

static int spawn(const char *program, char *const argv[], const int fds[3], pid_t *pid)
{
	char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;

	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&files, fds[i], i);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* A group of its own: Ctrl-C is ours to hear, and a transaction ends. */
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int rc = posix_spawn(pid, program, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -rc;
}

/* 0 with its status, -ETIMEDOUT after it was killed, else -errno. */
static int await_end(pid_t pid, int *status)
{
	struct pollfd p = {.fd = pidfd_open(pid, 0), .events = POLLIN};
	int64_t until = mono_ms() + NFT_DEADLINE_MS;
	int rc = p.fd < 0 ? -errno : 0, n = 0;

	while (rc == 0 && (n = poll(&p, 1, until > mono_ms() ? (int)(until - mono_ms()) : 0)) < 0 && errno == EINTR)
		;
	if (rc == 0 && n <= 0)
		rc = n < 0 ? -errno : -ETIMEDOUT;
	if (rc < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (p.fd >= 0)
		close(p.fd);
	return rc;
}

/* One line of what it said: without the lines of ^^^^ below its quotations, and "line 3" for "/dev/stdin:3". */
static void one_line(const char *said, char out[ERROR_KEPT])
{
	size_t at = 0;

	while (*said && at + 2 < ERROR_KEPT) {
		size_t len = strcspn(said, "\n");
		bool marks = strspn(said, " ^~\t") >= len;
		const char *line = said;
		if (strncmp(line, "/dev/stdin:", 11) == 0) {
			at += (size_t)snprintf(out + at, ERROR_KEPT - at, "%sline ", at ? "; " : "");
			line += 11;
		} else if (!marks && at) {
			at += (size_t)snprintf(out + at, ERROR_KEPT - at, "; ");
		}
		for (; !marks && line < said + len && at + 1 < ERROR_KEPT; line++)
			out[at++] = (unsigned char)*line < 0x20 ? ' ' : *line;
		said += len + (said[len] == '\n');
	}
	out[at < ERROR_KEPT ? at : ERROR_KEPT - 1] = '\0';
}

static int verdict(int status, const char *said, struct err *err)
{
	char text[ERROR_KEPT];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(err, -EIO, "nft was killed by signal %d", WTERMSIG(status));
	one_line(said, text);
	if (strstr(said, "Operation not permitted"))
		return err_set(err, -EPERM, "needs root (CAP_NET_ADMIN): nft: %s", text);
	/* What a module would do that is not there is ENOENT for the kernel, like a table that is not there. */
	if (strstr(said, "Operation not supported") || strstr(said, "Protocol not supported"))
		return err_set(err, -EOPNOTSUPP, "this kernel lacks what a rule needs: nft: %s", text);
	return err_set(err, -EINVAL, "nft refused it: %s", *text ? text : "without a word");
}

/* *out: what it wrote, the caller's to free(); out NULL: not wanted. */
static int run(char *const argv[], const char *input, char **out, struct err *err)
{
	char path[4096], *said = NULL;
	const char *program = find_program(path);
	int fds[3] = {-1, -1, -1}, rc = 0, status = 0;
	pid_t pid;

	if (!program)
		return err_set(err, -ENOENT, "found no program nft: neither /usr/sbin/nft nor in PATH (Debian package nftables)");
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = (fds[i] = memory_file()) < 0 ? fds[i] : 0;
	if (rc == 0)
		rc = file_write_all(write, fds[0], input, strlen(input));
	if (rc == 0 && lseek(fds[0], 0, SEEK_SET) < 0)
		rc = -errno;
	if (rc == 0)
		rc = spawn(program, argv, fds, &pid);
	if (rc < 0) {
		err_errno(err, rc, "cannot run %s", program);
		goto out;
	}
	rc = await_end(pid, &status);
	if (rc == -ETIMEDOUT)
		err_set(err, rc, "nft was killed: it had not ended after %d s", NFT_DEADLINE_MS / 1000);
	else if (rc < 0)
		err_errno(err, rc, "cannot wait for nft");
	else
		rc = (said = read_all(fds[2])) ? verdict(status, said, err) : err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && out && !(*out = read_all(fds[1])))
		rc = err_set(err, -E2BIG, "what nft lists is longer than %d bytes, or memory is out", NFT_OUTPUT_MAX);
out:
	free(said);
	for (int i = 0; i < 3; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	return rc;
}

/* ---- what is asked of it ---- */

int nft_apply(const char *ruleset, struct err *err)
{
	char *argv[] = {"nft", "-f", "-", NULL};

	return run(argv, ruleset, NULL, err);
}

/* The array that nft -j writes. */
static int listing(char *const argv[], json_t **out, struct err *err)
{
	char *text = NULL;
	json_error_t why;
	int rc = run(argv, "", &text, err);

	if (rc < 0)
		return rc;
	json_t *all = json_loads(text, 0, &why);
	*out = json_incref(json_object_get(all, "nftables"));
	json_decref(all);
	free(text);
	return json_is_array(*out) ? 0 : err_set(err, -EIO, "nft -j wrote what is no listing: %s", all ? "no \"nftables\"" : why.text);
}

static int tables(json_t **out, struct err *err)
{
	char *argv[] = {"nft", "-j", "list", "tables", NULL};

	return listing(argv, out, err);
}

static int exists(const char *family, const char *name, bool *out, struct err *err)
{
	json_t *all = NULL, *one;
	size_t i;
	int rc = tables(&all, err);

	*out = false;
	json_array_foreach (all, i, one) {
		const json_t *table = json_object_get(one, "table");
		*out |= table && strcmp(member_text(table, "family"), family) == 0 && strcmp(member_text(table, "name"), name) == 0;
	}
	json_decref(all);
	return rc;
}

int nft_rules(const char *family, const char *name, char **rules, struct err *err)
{
	char *argv[] = {"nft", "list", "table", (char *)family, (char *)name, NULL}, *text = NULL, *from, *to;
	bool there;
	int rc = exists(family, name, &there, err);

	*rules = NULL;
	if (rc < 0 || !there)
		return rc;
	rc = run(argv, "", &text, err);
	if (rc < 0)
		return rc;
	from = strchr(text, '\n'); /* after "table inet NAME {" */
	to = strrchr(text, '}');
	if (!from || !to || to <= from)
		rc = err_set(err, -EIO, "nft lists table %s %s in a form that is not known", family, name);
	else if (!(*rules = strndup(from + 1, (size_t)(to - from - 1))))
		rc = err_set(err, -ENOMEM, "out of memory");
	free(text);
	return rc;
}

int nft_table_json(const char *family, const char *name, json_t **out, struct err *err)
{
	char *argv[] = {"nft", "-j", "list", "table", (char *)family, (char *)name, NULL};
	bool there;
	int rc = exists(family, name, &there, err);

	*out = NULL;
	return rc < 0 || !there ? rc : listing(argv, out, err);
}

int nft_ours(json_t *names, struct err *err)
{
	json_t *all = NULL, *one;
	size_t i;
	int rc = tables(&all, err);

	json_array_foreach (all, i, one) {
		const json_t *table = json_object_get(one, "table");
		const char *name = member_text(table, "name");
		if (strncmp(name, NFT_PREFIX, strlen(NFT_PREFIX)) == 0 &&
		    json_array_append_new(
			    names, json_pack("{s:s,s:s,s:s}", "op", "nft-table", "family", member_text(table, "family"), "name", name)) < 0)
			rc = err_set(err, -ENOMEM, "out of memory");
	}
	json_decref(all);
	return rc;
}
