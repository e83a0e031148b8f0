#include "control/serve/ticket.h"

#include "control/serve/operation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define ACCOUNTS ".accounts"

static void path_of(const struct store *s, const char *id, const char *suffix, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s%s", s->run_dir, id, suffix);
}

void ticket_accounts(const struct store *s, const char *id, char out[PATH_MAX])
{
	path_of(s, id, ACCOUNTS, out);
}

static int make(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_errno(err, -errno, "%s", path) : fd;
}

static int sync_dir(const struct store *s, struct err *err)
{
	int fd = open(s->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd < 0 || fsync(fd) < 0 ? err_errno(err, -errno, "%s", s->run_dir) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int write_accounts(const struct store *s, const char *id, const json_t *accounts, struct err *err)
{
	char path[PATH_MAX];
	path_of(s, id, ACCOUNTS, path);
	int fd = make(path, err);
	if (fd < 0)
		return fd;
	int rc = json_dumpfd(accounts, fd, JSON_COMPACT) < 0 || fsync(fd) < 0 ? err_set(err, -EIO, "%s: cannot be written", path) : 0;
	close(fd);
	return rc;
}

int ticket_make(const struct store *s, const char *id, const json_t *accounts, struct err *err)
{
	char path[PATH_MAX];
	path_of(s, id, "", path);
	int fd = make(path, err), rc = fd < 0 ? fd : 0;
	if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
		rc = err_errno(err, -errno, "%s", path);
	if (rc == 0 && accounts)
		rc = write_accounts(s, id, accounts, err);
	if (rc == 0)
		rc = sync_dir(s, err);
	if (rc == 0)
		return fd;
	if (fd >= 0) {
		close(fd);
		ticket_remove(s, id, NULL);
	}
	return rc;
}

int ticket_open(const struct store *s, const char *id, bool lock, struct err *err)
{
	char path[PATH_MAX];
	path_of(s, id, "", path);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	if (!lock || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	int rc = err_errno(err, -errno, "%s", path);
	close(fd);
	return rc;
}

int ticket_remove(const struct store *s, const char *id, struct err *err)
{
	char path[PATH_MAX];
	path_of(s, id, "", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "%s", path);
	path_of(s, id, ACCOUNTS, path);
	return unlink(path) < 0 && errno != ENOENT ? err_errno(err, -errno, "%s", path) : 0;
}

void ticket_sweep(const struct store *s, bool (*keeps)(void *arg, const char *id), void *arg)
{
	DIR *dir = opendir(s->run_dir);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		char id[OPERATION_ID_MAX];
		size_t len = strspn(e->d_name, "0123456789abcdef");
		if (len != sizeof(id) - 1 || (e->d_name[len] && strcmp(e->d_name + len, ACCOUNTS) != 0))
			continue;
		snprintf(id, sizeof(id), "%.*s", (int)len, e->d_name);
		if (!keeps(arg, id))
			ticket_remove(s, id, NULL);
	}
	closedir(dir);
}
