/* The file of a Unix socket: made where nobody else could have put something, in place of a dead server's, and at no time open to others.
 */
#include "lib/ctl_parts.h"

#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 100 /* of 10 ms each, while another server of the same directory starts */

int ctl_unix_address(struct sockaddr_un *out, const char *address, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if (strncmp(address, "unix:/", 6) != 0)
		return err_set(err, -EINVAL, "control address: found %s, expected unix:/PATH", LOG_QUOTED(address, strlen(address)));
	size_t len = strlen(address + 5);
	if (len >= sizeof(out->sun_path))
		return err_set(err, -ENAMETOOLONG, "control address: found a path of %zu bytes, expected at most %zu", len,
			       sizeof(out->sun_path) - 1);
	memcpy(out->sun_path, address + 5, len);
	return 0;
}

static int check_directory(int dir, const char *name, struct err *err)
{
	struct stat st;
	if (fstat(dir, &st) < 0)
		return err_errno(err, -errno, "%s", name);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM, "%s: found mode %04o, expected a directory that only its owner may write (chmod go-w)", name,
			       st.st_mode & 07777u);
	return 0;
}

/* Two starts at once must not both find the old socket dead; the lock is the directory itself and leaves no file behind. */
static int lock_directory(int dir, const char *name, struct err *err)
{
	for (int tries = 0; flock(dir, LOCK_EX | LOCK_NB) < 0; tries++) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || tries == LOCK_TRIES)
			return err_errno(err, -errno, "%s: cannot lock the directory", name);
		poll(NULL, 0, 10);
	}
	return 0;
}

/* Makes sure that nothing is at the path, or only the socket of a server that is gone, which is removed. */
static int clear_path(const struct sockaddr_un *sa, struct err *err)
{
	struct stat st;
	const char *path = sa->sun_path;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(err, -EPERM, "%s: found a symbolic link, expected nothing or an old socket: remove it", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s: found something that is no socket, expected nothing or an old socket: remove it", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, -errno, "socket");
	int rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ? 0 : -errno;
	close(fd);
	if (rc != -ECONNREFUSED && rc != -ENOENT)
		return err_set(err, -EEXIST, "%s: another server answers here: stop it first, or give this one another path", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "%s: cannot remove the old socket", path);
	return 0;
}

static int bind_path(struct ctl_path *p, const struct ctl_group *group, int fd, struct err *err)
{
	const char *path = p->sa.sun_path;
	int rc = clear_path(&p->sa, err);
	if (rc < 0)
		return rc;
	/* The file takes the mode that the unbound socket has, so that at no time others can connect. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&p->sa, sizeof(p->sa)) < 0)
		return err_errno(err, -errno, "%s: cannot make the socket", path);
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	if (group->known && st.st_gid != group->gid && lchown(path, (uid_t)-1, group->gid) < 0)
		log_warn("control: cannot give %s to the group %s: %s; only root can connect", path, group->name, strerror(errno));
	if (chmod(path, 0660) < 0 || listen(fd, 128) < 0)
		return err_errno(err, -errno, "%s", path);
	return 0;
}

static int open_directory(const struct ctl_path *p, struct err *err)
{
	char name[sizeof(p->sa.sun_path)];
	strcpy(name, p->sa.sun_path);
	char *slash = strrchr(name, '/');
	slash[slash == name] = '\0';
	int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(err, -errno, "%s", name);
	int rc = check_directory(dir, name, err);
	if (rc == 0)
		rc = lock_directory(dir, name, err);
	if (rc == 0)
		return dir;
	close(dir);
	return rc;
}

int ctl_path_open(struct ctl_path *p, const char *address, const struct ctl_group *group, int *fd, struct err *err)
{
	int rc = ctl_unix_address(&p->sa, address, err);
	if (rc < 0)
		return rc;
	int dir = open_directory(p, err);
	if (dir < 0)
		return dir;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = *fd < 0 ? err_errno(err, -errno, "socket") : bind_path(p, group, *fd, err);
	close(dir); /* and with it the lock */
	return rc;
}

void ctl_path_remove(const struct ctl_path *p)
{
	struct stat st;
	if (p->ino && lstat(p->sa.sun_path, &st) == 0 && st.st_dev == p->dev && st.st_ino == p->ino)
		unlink(p->sa.sun_path);
}
