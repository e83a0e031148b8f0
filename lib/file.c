#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_write_all(file_write_fn *how, int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len) {
		ssize_t n = how(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static void make_above(const char *dir)
{
	char *above = strdup(dir), *slash = above ? strrchr(above, '/') : NULL;

	if (slash && slash != above) {
		*slash = '\0';
		mkdir(above, 0755);
	}
	free(above);
}

int file_private_dir(const char *dir, mode_t refused, const char *wrong, struct err *err)
{
	struct stat st;
	int fd;

	if (mkdir(dir, 0700) < 0 && errno == ENOENT)
		make_above(dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, -errno, "cannot make the journal's directory %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(err, -errno, "cannot open the journal's directory %s", dir);
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & refused)) {
		close(fd);
		return err_set(err, -EPERM, "%s: %s", dir, wrong);
	}
	return fd;
}
