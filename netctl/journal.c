#include "netctl/journal.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/jsonfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_VERSION 1
#define NAME_MAX_LEN    40
#define FILE_MOST       (16 << 20) /* a plan of 250 addresses of each family has less than one MiB */

struct journal {
	char *path;
	int dir, lock;
};

/* A name becomes a file's name: letters and dashes alone. */
static bool is_name(const char *plan)
{
	size_t n = 0;

	for (; plan[n]; n++)
		if (!islower((unsigned char)plan[n]) && plan[n] != '-')
			return false;
	return n > 0 && n <= NAME_MAX_LEN;
}

int journal_open(struct journal **out, const char *dir, struct err *err)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j || !(j->path = strdup(dir))) {
		free(j);
		return err_set(err, -ENOMEM, "out of memory");
	}
	j->lock = -1;
	j->dir = file_private_dir(dir, S_IWGRP | S_IWOTH,
				  "found a directory that others may write, expected one of this user's alone (chown root, chmod 0700)",
				  err);
	/* Not O_CLOEXEC: should this process be killed while nft is at work for it, nft holds the lock until it has ended; else what it
	 * still does could come after its undo. Programs that may last longer are started without it. */
	if (j->dir >= 0)
		j->lock = openat(j->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (j->lock < 0) {
		int rc = j->dir < 0 ? j->dir : err_errno(err, -errno, "%s/lock", dir);

		journal_close(j);
		return rc;
	}
	*out = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	if (j->lock >= 0)
		close(j->lock);
	if (j->dir >= 0)
		close(j->dir);
	free(j->path);
	free(j);
}

const char *journal_dir(const struct journal *j)
{
	return j->path;
}

int journal_lock(struct journal *j, int wait_ms, struct err *err)
{
	int64_t end = mono_ms() + wait_ms;

	while (flock(j->lock, LOCK_EX | (wait_ms < 0 ? 0 : LOCK_NB)) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(err, -errno, "cannot lock %s", j->path);
		if (wait_ms >= 0 && mono_ms() >= end)
			return err_set(err, -EWOULDBLOCK, "another shunt-netctl is changing this host's network (lock %s/lock)", j->path);
		if (wait_ms >= 0)
			poll(NULL, 0, 10);
	}
	return 0;
}

void journal_unlock(struct journal *j)
{
	flock(j->lock, LOCK_UN);
}

/* ---- files ---- */

static void file_name(const char *plan, char out[NAME_MAX_LEN + 8])
{
	snprintf(out, NAME_MAX_LEN + 8, "%s.json", plan);
}

/* why: names the file already. */
static int damaged(const char *why, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "%s; what it would undo is not guessed: compare it with `shunt-netctl status`, put the network right by hand, then "
		       "remove the file",
		       why);
}

static int check_plan(const struct journal *j, const char *file, const json_t *plan, struct err *err)
{
	const char *name = json_string_value(json_object_get(plan, "plan"));
	char expected[NAME_MAX_LEN + 8] = "";

	if (json_integer_value(json_object_get(plan, "v")) != JOURNAL_VERSION)
		return err_set(err, -EBADMSG, "%s/%s: found another version than 1, of another shunt-netctl", j->path, file);
	if (name && is_name(name))
		file_name(name, expected);
	if (strcmp(expected, file) != 0 || !json_is_array(json_object_get(plan, "stages")) ||
	    !json_is_string(json_object_get(plan, "state")))
		return err_set(err, -EBADMSG, "%s/%s: found no plan of this name", j->path, file);
	return 0;
}

static int read_file(struct journal *j, const char *file, json_t **out, struct err *err)
{
	struct err why;
	json_t *plan;
	int rc = jsonfile_read(j->dir, file, j->path, FILE_MOST, &plan, &why);

	if (rc == 0)
		rc = check_plan(j, file, plan, &why);
	if (rc == 0) {
		*out = plan;
		return 0;
	}
	json_decref(plan);
	return rc == -EBADMSG ? damaged(why.text, err) : err_set(err, rc, "%s", why.text);
}

int journal_read(struct journal *j, const char *plan, json_t **out, struct err *err)
{
	char file[NAME_MAX_LEN + 8];

	if (!is_name(plan))
		return err_set(err, -EINVAL, "found a plan \"%.40s\", expected a name of lower-case letters", plan);
	file_name(plan, file);
	return read_file(j, file, out, err);
}

int journal_write(struct journal *j, json_t *plan, struct err *err)
{
	char file[NAME_MAX_LEN + 8];

	if (json_object_set_new(plan, "v", json_integer(JOURNAL_VERSION)) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	file_name(json_string_value(json_object_get(plan, "plan")), file);
	return jsonfile_write(j->dir, file, j->path, plan, FILE_MOST, err);
}

int journal_remove(struct journal *j, const char *plan, struct err *err)
{
	char file[NAME_MAX_LEN + 8];

	file_name(plan, file);
	return jsonfile_remove(j->dir, file, j->path, err);
}

static bool ends_in(const char *name, const char *tail)
{
	size_t n = strlen(name), t = strlen(tail);

	return n > t && strcmp(name + n - t, tail) == 0;
}

static void insert_by_age(json_t *all, json_t *plan)
{
	json_int_t began = json_integer_value(json_object_get(plan, "began-ms"));
	size_t at = 0;

	while (at < json_array_size(all) && json_integer_value(json_object_get(json_array_get(all, at), "began-ms")) <= began)
		at++;
	json_array_insert_new(all, at, plan);
}

int journal_all(struct journal *j, json_t **out, struct err *err)
{
	int fd = openat(j->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	json_t *all = json_array();

	if (!d) {
		if (fd >= 0)
			close(fd);
		json_decref(all);
		return err_errno(err, -errno, "%s", j->path);
	}
	for (struct dirent *e; (e = readdir(d));) {
		json_t *plan;
		int r;

		if (*e->d_name == '.') {
			jsonfile_sweep(j->dir, e->d_name);
			continue;
		}
		if (!ends_in(e->d_name, ".json"))
			continue;
		r = read_file(j, e->d_name, &plan, rc == 0 ? err : NULL);
		if (r == 0)
			insert_by_age(all, plan);
		else if (rc == 0)
			rc = r;
	}
	closedir(d);
	*out = all;
	return rc;
}
