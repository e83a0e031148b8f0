#include "lib/jsonfile.h"

#include "lib/file.h"
#include "lib/index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUM_LEN   17
#define FRESH_MAX 48   /* of ".new-PID-N" */
#define TRIES     1000 /* as many may this process's number have left behind, or be writing now */

struct place {
	int dir;
	const char *name, *shown_dir;
};

/* ---- the sum ---- */

/* "sum" itself is not in it. */
static int sum_of(json_t *object, char out[SUM_LEN])
{
	static const uint64_t key[2] = {0};
	json_t *rest = json_copy(object);
	char *text;

	json_object_del(rest, "sum");
	text = rest ? json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(rest);
	if (!text)
		return -ENOMEM;
	snprintf(out, SUM_LEN, "%016" PRIx64, siphash13(key, text, strlen(text)));
	free(text);
	return 0;
}

static int check_sum(const struct place *p, json_t *object, struct err *err)
{
	const char *sum = json_string_value(json_object_get(object, "sum"));
	char found[SUM_LEN];

	if (!json_is_object(object))
		return err_set(err, -EBADMSG, "%s/%s: found no JSON object", p->shown_dir, p->name);
	if (!sum)
		return err_set(err, -EBADMSG, "%s/%s: found something else than was written (it has no sum)", p->shown_dir, p->name);
	if (sum_of(object, found) < 0)
		return err_set(err, -ENOMEM, "%s/%s: out of memory", p->shown_dir, p->name);
	if (strcmp(sum, found) != 0)
		return err_set(err, -EBADMSG, "%s/%s: found something else than was written (its sum is another)", p->shown_dir, p->name);
	return 0;
}

/* ---- reading ---- */

/* O_NONBLOCK: a FIFO must not hold us up before it is refused. */
static int open_ours(const struct place *p, size_t most, size_t *size, struct err *err)
{
	int fd = openat(p->dir, p->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;
	struct stat st;

	if (fd < 0 && errno == ELOOP)
		return err_set(err, -ELOOP, "%s/%s: found a symbolic link, expected a file", p->shown_dir, p->name);
	if (fd < 0)
		return err_errno(err, -errno, "%s/%s", p->shown_dir, p->name);
	if (fstat(fd, &st) < 0)
		rc = err_errno(err, -errno, "%s/%s", p->shown_dir, p->name);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, -EINVAL, "%s/%s: found something else than a file", p->shown_dir, p->name);
	else if (st.st_uid != geteuid())
		rc = err_set(err, -EPERM, "%s/%s: found a file of user %u, expected one of user %u", p->shown_dir, p->name,
			     (unsigned)st.st_uid, (unsigned)geteuid());
	else if ((uintmax_t)st.st_size > most)
		rc = err_set(err, -EFBIG, "%s/%s: found %jd bytes, expected at most %zu", p->shown_dir, p->name, (intmax_t)st.st_size,
			     most);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*size = (size_t)st.st_size;
	return fd;
}

/* Bytes read: fewer than len where the file ends before. */
static ssize_t read_all(int fd, char *text, size_t len)
{
	size_t n = 0;

	while (n < len) {
		ssize_t got = read(fd, text + n, len - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

static int parse(const struct place *p, const char *text, size_t len, json_t **out, struct err *err)
{
	json_error_t why;
	json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	int rc;

	if (!object && json_error_code(&why) == json_error_out_of_memory)
		return err_set(err, -ENOMEM, "%s/%s: out of memory", p->shown_dir, p->name);
	if (!object)
		return err_set(err, -EBADMSG, "%s/%s: found no JSON (%s at byte %d)", p->shown_dir, p->name, why.text, why.position);
	rc = check_sum(p, object, err);
	if (rc < 0)
		json_decref(object);
	else
		*out = object;
	return rc;
}

int jsonfile_read(int dir, const char *name, const char *shown_dir, size_t most, json_t **out, struct err *err)
{
	struct place p = {dir, name, shown_dir};
	size_t size = 0;
	int fd = open_ours(&p, most, &size, err), rc;
	ssize_t n;
	char *text;

	*out = NULL;
	if (fd < 0)
		return fd;
	text = malloc(size + 1);
	n = text ? read_all(fd, text, size) : -ENOMEM;
	close(fd);
	rc = n < 0 ? err_errno(err, (int)n, "%s/%s", shown_dir, name) : parse(&p, text, (size_t)n, out, err);
	free(text);
	return rc;
}

/* ---- writing ---- */

/* Another process (of another PID namespace, or one before us with our number) may have one of these: theirs is left alone. */
static int open_fresh(int dir, char fresh[FRESH_MAX])
{
	for (unsigned n = 0; n < TRIES; n++) {
		snprintf(fresh, FRESH_MAX, ".new-%ld-%u", (long)getpid(), n);
		int fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
	}
	return -EEXIST;
}

static int replace(int dir, const char *name, const char *text, size_t len, bool lasting)
{
	char fresh[FRESH_MAX];
	int fd = open_fresh(dir, fresh), rc;

	if (fd < 0)
		return fd;
	rc = file_write_all(write, fd, text, len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(dir, fresh, dir, name) < 0)
		rc = -errno;
	if (rc < 0) {
		unlinkat(dir, fresh, 0);
		return rc;
	}
	return lasting && fsync(dir) < 0 ? -errno : 0;
}

static int write_object(int dir, const char *name, const char *shown_dir, json_t *object, size_t most, bool lasting, struct err *err)
{
	char sum[SUM_LEN], *text = NULL;
	size_t len;
	int rc;

	if (sum_of(object, sum) == 0 && json_object_set_new(object, "sum", json_string(sum)) == 0)
		text = json_dumps(object, JSON_INDENT(1));
	if (!text)
		return err_set(err, -ENOMEM, "%s/%s: out of memory", shown_dir, name);
	len = strlen(text);
	if (len > most)
		rc = err_set(err, -EFBIG, "%s/%s: it would have %zu bytes, and with more than %zu could not be read again", shown_dir, name,
			     len, most);
	else if ((rc = replace(dir, name, text, len, lasting)) < 0)
		err_errno(err, rc, "cannot write %s/%s", shown_dir, name);
	free(text);
	return rc;
}

int jsonfile_write(int dir, const char *name, const char *shown_dir, json_t *object, size_t most, struct err *err)
{
	return write_object(dir, name, shown_dir, object, most, true, err);
}

int jsonfile_note(int dir, const char *name, const char *shown_dir, json_t *object, size_t most, struct err *err)
{
	return write_object(dir, name, shown_dir, object, most, false, err);
}

int jsonfile_remove(int dir, const char *name, const char *shown_dir, struct err *err)
{
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "cannot remove %s/%s", shown_dir, name);
	if (fsync(dir) < 0)
		return err_errno(err, -errno, "cannot sync %s", shown_dir);
	return 0;
}

void jsonfile_sweep(int dir, const char *name)
{
	struct stat st;
	long pid;
	unsigned n;
	int end = 0;

	if (sscanf(name, ".new-%ld-%u%n", &pid, &n, &end) != 2 || name[end] || pid <= 0 || pid != (pid_t)pid)
		return;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return;
	if (time(NULL) - st.st_mtime < SWEEP_AFTER_S || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
		return;
	unlinkat(dir, name, 0);
}
