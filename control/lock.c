#include "control/lock.h"

#include "control/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct locks {
	int fd;
};

static int open_or_make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		share_file(fd, path);
	else if (errno == EEXIST)
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd;
}

int locks_open(struct locks **out, const char *state, struct err *err)
{
	char path[4096];
	*out = NULL;
	if (snprintf(path, sizeof(path), "%s.lock", state) >= (int)sizeof(path))
		return err_set(err, -ENAMETOOLONG, "%s: the name is too long", state);
	struct locks *l = malloc(sizeof(*l));
	if (!l)
		return err_set(err, -ENOMEM, "out of memory");
	l->fd = open_or_make(path);
	if (l->fd < 0 && errno == EACCES) /* enough to see who holds one */
		l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (l->fd < 0) {
		int rc = err_errno(err, -errno, "cannot open %s", path);
		free(l);
		return rc;
	}
	*out = l;
	return 0;
}

void locks_close(struct locks *l)
{
	if (!l)
		return;
	close(l->fd);
	free(l);
}

static int set(struct locks *l, int cmd, short type, int64_t id)
{
	struct flock f = {.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)id, .l_len = 1};
	int rc;
	do
		rc = fcntl(l->fd, cmd, &f);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

int locks_take(struct locks *l, int64_t id, struct err *err)
{
	int rc = set(l, F_OFD_SETLK, F_WRLCK, id);
	if (rc == -EAGAIN || rc == -EACCES)
		return err_set(err, -EWOULDBLOCK, "another shunt is at it");
	return rc < 0 ? err_errno(err, rc, "cannot lock") : 0;
}

int locks_wait(struct locks *l, int64_t id, struct err *err)
{
	int rc = set(l, F_OFD_SETLKW, F_WRLCK, id);
	return rc < 0 ? err_errno(err, rc, "cannot lock") : 0;
}

void locks_drop(struct locks *l, int64_t id)
{
	set(l, F_OFD_SETLK, F_UNLCK, id);
}

bool locks_held(struct locks *l, int64_t id)
{
	struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)id, .l_len = 1};
	return fcntl(l->fd, F_OFD_GETLK, &f) == 0 && f.l_type != F_UNLCK;
}
