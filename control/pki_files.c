/* The directory's files: written whole or not at all, with modes that no umask changes, and believed only where nobody else can write. */
#include "control/pki_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEM_MAX    65536
#define LOCK_TRIES 1000 /* of 10 ms each */

int pki_write_aside(int dir, const char *name, const char *text, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc = 0;
	size_t len = strlen(text);
	if (fd < 0)
		return -errno;
	while (rc == 0 && len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : -EIO;
		} else {
			text += n;
			len -= (size_t)n;
		}
	}
	if (rc == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc < 0)
		unlinkat(dir, name, 0);
	return rc;
}

int pki_read_file(int dir, const char *shown, const char *name, bool secret, char **out, struct err *err)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;
	struct stat st;
	ssize_t n = 0;
	*out = NULL;
	if (fd < 0)
		return err_errno(err, -errno, "%s/%s", shown, name);
	if (fstat(fd, &st) < 0)
		rc = err_errno(err, -errno, "%s/%s", shown, name);
	else if (!S_ISREG(st.st_mode) || st.st_size > PEM_MAX)
		rc = err_set(err, -EINVAL, "%s/%s: expected a file of at most %d bytes", shown, name, PEM_MAX);
	else if (secret && (st.st_mode & 077))
		rc = err_set(err, -EPERM, "%s/%s: found mode %04o, expected 0600 (chmod 0600 %s/%s)", shown, name, st.st_mode & 07777u,
			     shown, name);
	else if (!(*out = calloc(1, PEM_MAX + 1)))
		rc = err_set(err, -ENOMEM, "out of memory");
	for (size_t have = 0; rc == 0 && have < PEM_MAX; have += (size_t)n) {
		n = read(fd, *out + have, PEM_MAX - have);
		if (n < 0)
			rc = err_errno(err, -errno, "%s/%s", shown, name);
		else if (n == 0)
			break;
	}
	close(fd);
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	return rc;
}

int pki_check_dir(const struct stat *st, const char *path, bool sticky, struct err *err)
{
	if (!S_ISDIR(st->st_mode))
		return err_set(err, -EEXIST, "%s: found something that is no directory", path);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) && !(sticky && (st->st_mode & S_ISVTX)))
		return err_set(err, -EPERM, "%s: found mode %04o, expected a directory that only its owner may write (chmod go-w %s)", path,
			       st->st_mode & 07777u, path);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return err_set(err, -EPERM, "%s: found a directory of user %u, expected one of root or of user %u", path, st->st_uid,
			       geteuid());
	return 0;
}

int pki_make_parents(char *path, struct err *err)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		int rc = mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
		if (rc < 0)
			err_errno(err, rc, "%s", path);
		*p = '/';
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pki_sync_path(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? err_errno(err, -errno, "%s", path) : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

int pki_lock(int dir, const char *shown, struct err *err)
{
	for (int tries = 0; flock(dir, LOCK_EX | LOCK_NB) < 0; tries++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, -errno, "%s: cannot be locked", shown);
		if (tries == LOCK_TRIES)
			return err_set(err, -EBUSY, "%s: another shunt pki is at work there, and is not done within 10 s", shown);
		poll(NULL, 0, 10);
	}
	return 0;
}
