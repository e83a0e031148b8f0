/*   crc {"shunt-counts": 1}
 *   crc {...}                  as many as were put
 *   crc {"lines": N}           the end of the whole
 *   crc {...}                  added since */
#include "proxy/countfile.h"

#include "lib/file.h"
#include "proxy/crcline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT     1
#define FILE_BYTES (256 << 20)

struct countfile {
	char *path, *temp, *dir;
	int fd;           /* for adding; -1: none */
	bool named;       /* the name is on disk, too */
	uint32_t crc;     /* of the file's last line */
	uint32_t written; /* the check sum of the whole that is there, when nothing was added; 0: another */
	/* of a whole that is being put together */
	char *text;
	size_t len, cap, lines;
	uint32_t text_crc;
	int rc;
};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

int countfile_new(struct countfile **out, const char *path, struct err *err)
{
	struct countfile *f = calloc(1, sizeof *f);
	size_t len = strlen(path);
	const char *slash = strrchr(path, '/');

	if (!f)
		return no_memory(err);
	f->fd = -1;
	f->path = strdup(path);
	f->temp = malloc(len + 5);
	f->dir = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (!f->path || !f->temp || !f->dir) {
		countfile_free(f);
		return no_memory(err);
	}
	snprintf(f->temp, len + 5, "%s.new", path);
	*out = f;
	return 0;
}

void countfile_free(struct countfile *f)
{
	if (!f)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->temp);
	free(f->dir);
	free(f->text);
	free(f);
}

/* ---- writing ---- */

static bool has_room(struct countfile *f, size_t more)
{
	size_t cap = f->cap ? f->cap : 64 * 1024;

	while (cap < f->len + more)
		cap *= 2;
	if (cap != f->cap) {
		char *text = realloc(f->text, cap);

		if (!text)
			return false;
		f->text = text;
		f->cap = cap;
	}
	return true;
}

void countfile_put(struct countfile *f, json_t *o)
{
	size_t len = 0;
	char *line = crcline_of(o, &f->text_crc, &len);

	if (!line || !has_room(f, len))
		f->rc = -ENOMEM;
	else if (f->len + len > FILE_BYTES)
		f->rc = -EFBIG; /* what could not be read again is not written */
	if (f->rc == 0) {
		memcpy(f->text + f->len, line, len);
		f->len += len;
		f->lines++;
	}
	free(line);
}

void countfile_begin(struct countfile *f)
{
	f->len = f->lines = 0;
	f->text_crc = 0;
	f->rc = 0;
	countfile_put(f, json_pack("{si}", "shunt-counts", FORMAT));
}

/* The new file's descriptor, or -errno. */
static int replace(struct countfile *f)
{
	int fd, rc;

	unlink(f->temp);
	fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = file_write_all(write, fd, f->text, f->len);
	if (rc == 0 && rename(f->temp, f->path) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		unlink(f->temp);
		return rc;
	}
	return fd;
}

int countfile_commit(struct countfile *f, struct err *err)
{
	int fd;

	countfile_put(f, json_pack("{sI}", "lines", (json_int_t)f->lines));
	if (f->rc == 0 && f->fd >= 0 && f->written == f->text_crc && futimens(f->fd, NULL) == 0)
		return 0;
	fd = f->rc < 0 ? f->rc : replace(f);
	if (f->cap > 1 << 20) { /* once there was much */
		free(f->text);
		f->text = NULL;
		f->cap = 0;
	}
	if (fd < 0)
		return err_errno(err, fd, "cannot write %s", f->path);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->named = false;
	f->crc = f->written = f->text_crc;
	return 0;
}

static int sync_name(struct countfile *f)
{
	int fd = f->named ? -1 : open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (f->named)
		return 0;
	if (fd < 0 || fsync(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	f->named = rc == 0;
	return rc;
}

int countfile_add(struct countfile *f, json_t *o, struct err *err)
{
	uint32_t crc = f->crc;
	size_t len = 0;
	char *line;
	int rc;

	if (f->fd < 0) {
		json_decref(o);
		return err_set(err, -ENOENT, "%s is not there", f->path);
	}
	line = crcline_of(o, &crc, &len);
	if (!line)
		return no_memory(err);
	rc = file_write_all(write, f->fd, line, len);
	free(line);
	if (rc == 0 && fdatasync(f->fd) < 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_name(f);
	if (rc < 0)
		return err_errno(err, rc, "cannot write %s", f->path);
	f->crc = crc;
	f->written = 0;
	return 0;
}

void countfile_remove(struct countfile *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->written = 0;
	f->named = false;
	unlink(f->path);
	(void)sync_name(f);
	f->named = false;
}

/* ---- reading ---- */

static int damaged(const struct countfile *f, size_t line, const char *found, struct err *err)
{
	return err_set(err, -EBADMSG, "%s:%zu: found %s, expected it as it was written", f->path, line, found);
}

static int check_file(const struct countfile *f, int fd, struct stat *st, struct err *err)
{
	if (fstat(fd, st) < 0)
		return err_errno(err, -errno, "cannot stat %s", f->path);
	if (!S_ISREG(st->st_mode) || (st->st_uid != geteuid() && st->st_uid != 0) || (st->st_mode & 022))
		return err_set(err, -EBADMSG, "%s: found another kind of file, owner or mode, expected one that only we can write",
			       f->path);
	if (st->st_size > FILE_BYTES)
		return err_set(err, -EBADMSG, "%s: found %lld bytes, expected %d at most", f->path, (long long)st->st_size, FILE_BYTES);
	return 0;
}

/* *end: where the last whole line ends. */
static int read_lines(struct countfile *f, FILE *in, struct countfile_lines *out, off_t *end, struct err *err)
{
	char *line = NULL;
	size_t cap = 0, n = 0;
	bool whole = false;
	ssize_t len;
	int rc = 0;

	for (*end = 0; rc == 0 && (len = getline(&line, &cap, in)) > 0 && line[len - 1] == '\n'; n++) {
		json_t *o = crcline_is_right(line, (size_t)len - 1, f->crc, &f->crc) ? crcline_object(line, (size_t)len - 1) : NULL;
		const json_t *count = json_object_get(o, "lines");

		*end += len;
		if (!o) {
			rc = damaged(f, n + 1, "a line that does not match its check sum", err);
		} else if (n == 0 && json_integer_value(json_object_get(o, "shunt-counts")) != FORMAT) {
			rc = damaged(f, 1, "another kind or version of file", err);
		} else if (n > 0 && !whole && count) {
			whole = json_integer_value(count) == (json_int_t)n;
			out->n_put = n - 1;
		} else if (n > 0) {
			json_array_append(out->all, o);
		}
		json_decref(o);
	}
	if (rc == 0 && !whole)
		rc = damaged(f, n + 1, "the end of the file", err);
	free(line);
	return rc;
}

int countfile_read(struct countfile *f, struct countfile_lines *out, struct err *err)
{
	int fd = open(f->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;
	struct stat st;
	off_t end = 0;
	FILE *in;

	*out = (struct countfile_lines){0};
	if (fd < 0)
		return err_errno(err, errno == ENOENT ? -ENOENT : -EBADMSG, "cannot open %s", f->path);
	rc = check_file(f, fd, &st, err);
	in = rc == 0 ? fdopen(dup(fd), "r") : NULL;
	out->all = in ? json_array() : NULL;
	f->crc = 0;
	if (rc == 0)
		rc = out->all ? read_lines(f, in, out, &end, err) : no_memory(err);
	if (in)
		fclose(in);
	if (rc == 0 && end < st.st_size && ftruncate(fd, end) < 0)
		rc = err_set(err, -EBADMSG, "%s: its last line, which is not whole, cannot be cut off: %s", f->path, strerror(errno));
	if (rc < 0) {
		close(fd);
		json_decref(out->all);
		out->all = NULL;
		return rc;
	}
	out->until_ms = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	f->fd = fd;
	return 0;
}
