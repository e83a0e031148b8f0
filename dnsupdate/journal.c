#include "dnsupdate/journal.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/jsonfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST (256u << 20) /* bytes: a mark has about 700, and a zone some hundred thousand RRsets at most */
#define LOCKS     ".locks"     /* no account's name begins with a dot */

struct journal {
	char *path;
	int dir, locks;
	char *known; /* the directory in it whose name was put on disk last */
};

/* ---- the directory ---- */

/* Where it was there already, another process may have made it a moment ago: it is on disk when we have put it there ourselves. An account
 * of a thousand zones writes into one directory three thousand times. */
static int make_inner(struct journal *j, const char *name, struct err *err)
{
	bool made = mkdirat(j->dir, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return err_errno(err, -errno, "cannot make %s/%s", j->path, name);
	if (!made && j->known && strcmp(j->known, name) == 0)
		return 0;
	free(j->known);
	j->known = NULL;
	if (fsync(j->dir) < 0)
		return err_errno(err, -errno, "cannot sync %s", j->path);
	j->known = strdup(name); /* none: it is done again */
	return 0;
}

/* Opens a directory in the journal's; make: also where there is none yet, and then the name is on disk. */
static int open_inner(struct journal *j, const char *name, bool make, struct err *err)
{
	int rc = make ? make_inner(j, name, err) : 0, fd;

	if (rc < 0)
		return rc;
	fd = openat(j->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_errno(err, -errno, "%s/%s", j->path, name) : fd;
}

int journal_open(struct journal **out, const char *dir, struct err *err)
{
	struct journal *j = calloc(1, sizeof *j);
	int rc;

	if (!j || !(j->path = strdup(dir))) {
		free(j);
		return err_set(err, -ENOMEM, "out of memory");
	}
	j->locks = -1;
	j->dir = rc =
		file_private_dir(dir, S_IRWXG | S_IRWXO,
				 "found a directory that is open to others, expected one of this user's alone (chown, chmod 0700)", err);
	if (rc >= 0)
		j->locks = rc = open_inner(j, LOCKS, true, err);
	if (rc < 0) {
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
	if (j->locks >= 0)
		close(j->locks);
	if (j->dir >= 0)
		close(j->dir);
	free(j->known);
	free(j->path);
	free(j);
}

/* ---- names of files ---- */

static bool is_letter(char c)
{
	return isascii((unsigned char)c) && (isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.');
}

/* Zones for parts of a /24 (RFC 2317) have a slash in their names. None begins with a dot: not "..", and not what is half written. */
static int file_of(const char *zone, char out[NAME_MAX + 1], struct err *err)
{
	size_t len = strlen(zone), n = 0;

	if (len && zone[len - 1] == '.')
		len--;
	for (size_t i = 0; i < len; i++) {
		if ((!is_letter(zone[i]) && zone[i] != '/') || (zone[i] == '.' && (i == 0 || zone[i - 1] == '.')))
			return err_set(err, -EINVAL,
				       "found a zone %.200s, expected letters, digits, hyphens, underscores, dots and slashes", zone);
		if (n + 3 > NAME_MAX)
			return err_set(err, -ENAMETOOLONG, "the zone's name %.200s... is too long for a file", zone);
		if (zone[i] == '/') {
			memcpy(out + n, "%2F", 3);
			n += 3;
		} else {
			out[n++] = (char)tolower((unsigned char)zone[i]);
		}
	}
	out[n] = '\0';
	return n ? 0 : err_set(err, -EINVAL, "the root zone is nobody's to change");
}

/* The directory of an account as messages show it. */
struct place {
	int dir;
	char *shown;
};

static int place_open(struct place *p, struct journal *j, const char *account, bool make, struct err *err)
{
	p->shown = NULL;
	if (!account_name_ok(account))
		return err_set(err, -EINVAL, "found \"%.64s\", expected the name of an account", account);
	p->dir = open_inner(j, account, make, err);
	if (p->dir < 0)
		return p->dir;
	if (asprintf(&p->shown, "%s/%s", j->path, account) >= 0)
		return 0;
	p->shown = NULL;
	close(p->dir);
	return err_set(err, -ENOMEM, "out of memory");
}

static void place_close(struct place *p)
{
	close(p->dir);
	free(p->shown);
}

/* ---- entries ---- */

#define DAMAGED \
	"what it would undo is not guessed: compare the zone with `shunt-dnsupdate classify`, put it right by hand, then remove the file"

/* One that is of our name, but not as it was written, or another's. */
static int read_file(const struct place *p, const char *account, const char *file, struct entry *out, struct err *err)
{
	char expected[NAME_MAX + 1];
	struct err why;
	json_t *object;
	int rc = jsonfile_read(p->dir, file, p->shown, FILE_MOST, &object, &why);

	if (rc == -EBADMSG)
		return err_set(err, rc, "%s; " DAMAGED, why.text);
	if (rc < 0)
		return err_set(err, rc, "%s", why.text);
	rc = entry_from_json(out, object, &why);
	json_decref(object);
	if (rc == -ENOMEM)
		return err_set(err, rc, "%s/%s: %s", p->shown, file, why.text);
	if (rc < 0)
		return err_set(err, -EBADMSG, "%s/%s: %s; " DAMAGED, p->shown, file, why.text);
	if (strcmp(out->account, account) == 0 && file_of(out->zone, expected, NULL) == 0 && strcmp(expected, file) == 0)
		return 0;
	rc = err_set(err, -EBADMSG, "%s/%s: found the entry of %.64s for %.200s, which has another place; " DAMAGED, p->shown, file,
		     out->account, out->zone);
	entry_done(out);
	return rc;
}

int journal_read(struct journal *j, const char *account, const char *zone, struct entry *out, struct err *err)
{
	char file[NAME_MAX + 1];
	struct place p;
	int rc = file_of(zone, file, err);

	if (rc == 0)
		rc = place_open(&p, j, account, false, err);
	if (rc < 0)
		return rc;
	rc = read_file(&p, account, file, out, err);
	place_close(&p);
	return rc;
}

static int put(struct journal *j, struct entry *e, bool lasting, struct err *err)
{
	char file[NAME_MAX + 1];
	struct place p;
	json_t *object;
	int rc = file_of(e->zone, file, err);

	if (rc == 0)
		rc = place_open(&p, j, e->account, true, err);
	if (rc < 0)
		return rc;
	if (e->changed_ms == 0)
		e->changed_ms = now_ms();
	if (e->began_ms == 0)
		e->began_ms = e->changed_ms;
	object = entry_to_json(e);
	rc = object ? (lasting ? jsonfile_write : jsonfile_note)(p.dir, file, p.shown, object, FILE_MOST, err)
		    : err_set(err, -ENOMEM, "%s/%s: out of memory, or text that is not UTF-8", p.shown, file);
	json_decref(object);
	place_close(&p);
	return rc;
}

int journal_write(struct journal *j, struct entry *e, struct err *err)
{
	return put(j, e, true, err);
}

int journal_note(struct journal *j, struct entry *e, struct err *err)
{
	return put(j, e, false, err);
}

/* The account's directory stays: another zone of it may be about to be written. */
int journal_remove(struct journal *j, const struct entry *e, struct err *err)
{
	char file[NAME_MAX + 1];
	struct err why;
	struct place p;
	int rc = file_of(e->zone, file, err);

	if (rc < 0)
		return rc;
	rc = place_open(&p, j, e->account, false, &why);
	if (rc < 0)
		return rc == -ENOENT ? 0 : err_set(err, rc, "%s", why.text);
	rc = jsonfile_remove(p.dir, file, p.shown, err);
	place_close(&p);
	return rc;
}

/* ---- all of them ---- */

void entry_list_done(struct entry_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		entry_done(&l->entries[i]);
	free(l->entries);
	*l = (struct entry_list){0};
}

static int list_add(struct entry_list *l, struct entry *e)
{
	struct entry *grown = reallocarray(l->entries, l->n + 1, sizeof *grown);

	if (!grown) {
		entry_done(e);
		return -ENOMEM;
	}
	l->entries = grown;
	grown[l->n++] = *e;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = strcmp(x->account, y->account);

	return c ? c : name_compare(x->zone, y->zone);
}

/* fd is borrowed. The first error stays in err. */
typedef int visit_fn(struct journal *j, const char *name, void *arg, struct err *err);

static int visit_all(struct journal *j, int fd, const char *shown, visit_fn *fn, void *arg, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);

	if (!d) {
		rc = err_errno(err, -errno, "%s", shown);
		if (copy >= 0)
			close(copy);
		return rc;
	}
	for (struct dirent *e; (e = readdir(d));) {
		int r;

		if (e->d_name[0] == '.') {
			jsonfile_sweep(fd, e->d_name);
			continue;
		}
		r = fn(j, e->d_name, arg, rc == 0 ? err : NULL);
		if (rc == 0)
			rc = r;
	}
	closedir(d);
	return rc;
}

struct listing {
	struct entry_list *out;
	const struct place *place;
	const char *account;
};

static int on_file(struct journal *j, const char *name, void *arg, struct err *err)
{
	struct listing *l = arg;
	struct entry e;
	int rc = read_file(l->place, l->account, name, &e, err);

	(void)j;
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc; /* removed since the directory was read */
	return list_add(l->out, &e) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int on_account(struct journal *j, const char *name, void *arg, struct err *err)
{
	struct place p;
	struct listing l = {arg, &p, name};
	int rc = place_open(&p, j, name, false, err);

	if (rc < 0)
		return rc;
	rc = visit_all(j, p.dir, p.shown, on_file, &l, err);
	place_close(&p);
	return rc;
}

int journal_all(struct journal *j, const char *account, struct entry_list *out, struct err *err)
{
	struct err why;
	int rc;

	*out = (struct entry_list){0};
	if (account) {
		rc = on_account(j, account, out, &why);
		if (rc == -ENOENT)
			rc = 0;
		else if (rc < 0)
			err_set(err, rc, "%s", why.text);
	} else {
		rc = visit_all(j, j->dir, j->path, on_account, out, err);
	}
	if (out->n)
		qsort(out->entries, out->n, sizeof *out->entries, compare_entries);
	return rc;
}

/* ---- locks ---- */

/* Of an open file, not of a process: two of one process shut each other out too. The file stays: who removes it lets two in. */
static int take_lock(struct journal *j, const char *file, const char *what, const char *name, int *fd, struct err *err)
{
	int rc;

	*fd = openat(j->locks, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return err_errno(err, -errno, "%s/" LOCKS "/%s", j->path, file);
	while ((rc = flock(*fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0) == -EINTR)
		;
	if (rc == 0)
		return 0;
	close(*fd);
	*fd = -1;
	if (rc == -EWOULDBLOCK)
		return err_set(err, rc, "the %s %s is being changed just now (lock %s/" LOCKS "/%s): try again", what, name, j->path, file);
	return err_errno(err, rc, "cannot lock %s/" LOCKS "/%s", j->path, file);
}

int journal_lock(struct journal *j, const char *zone, int *fd, struct err *err)
{
	char file[NAME_MAX + 1];
	int rc = file_of(zone, file, err);

	*fd = -1;
	return rc < 0 ? rc : take_lock(j, file, "zone", zone, fd, err);
}

/* No zone's name has an @ in it. */
int journal_lock_account(struct journal *j, const char *account, int *fd, struct err *err)
{
	char file[ACCOUNT_NAME_MAX + 2];

	*fd = -1;
	if (!account_name_ok(account))
		return err_set(err, -EINVAL, "found \"%.64s\", expected the name of an account", account);
	snprintf(file, sizeof file, "@%s", account);
	return take_lock(j, file, "account", account, fd, err);
}

void journal_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
