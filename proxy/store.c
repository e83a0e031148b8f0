/* The file, line by line; each is CRC32c in 8 hex digits, a space, JSON, a newline. The check sum goes on from the line before, so that a
 * line that is missing, doubled or elsewhere is found as well as one that is not as written:
 *   {"shunt-table": 1}
 *   {"name": "alice", ..., "side": "client", "gate": "open"}     one per account
 *   {"accounts": 1}                                             the end of the snapshot
 *   {"change": "alice", "side": "transit", "gate": "fenced"}      since then, one per change */
#include "proxy/store.h"

#include "lib/file.h"
#include "lib/index.h"
#include "lib/log.h"
#include "proxy/crcline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT       1
#define CHANGES_MAX  10000       /* appended lines, after which a snapshot is due */
#define LINE_BYTES   (64u << 20) /* one account with two million domains */
#define CHANGE_BYTES (CRCLINE_DIGITS + 64u + ACCOUNT_NAME_MAX)

struct store {
	char *path, *temp, *dir;
	int lock, fd; /* fd: for appending; -1: no snapshot yet, or a failed write: a new one is due */
	uint32_t crc; /* of the file's last line */
	unsigned changes;
	bool broken;
	struct store_ops ops;
};

static const struct store_ops system_ops = {
	.write = write, .fsync = fsync, .fdatasync = fdatasync, .ftruncate = ftruncate, .rename = rename};

static char *joined(const char *a, const char *b)
{
	char *s = malloc(strlen(a) + strlen(b) + 1);

	if (s)
		sprintf(s, "%s%s", a, b);
	return s;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int lock_it(struct store *s, struct err *err)
{
	char *path = joined(s->path, ".lock"), pid[16] = "";
	ssize_t n;
	int rc = 0;

	if (!path)
		return err_set(err, -ENOMEM, "out of memory");
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0) {
		rc = err_errno(err, -errno, "cannot open %s", path);
	} else if (flock(s->lock, LOCK_EX | LOCK_NB) < 0) {
		rc = -errno;
		n = pread(s->lock, pid, sizeof pid - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		pid[strspn(pid, "0123456789")] = '\0';
		err_set(err, rc, "%s is in use by another shunt-proxy (pid %s); stop it first", s->path, *pid ? pid : "unknown");
	} else {
		n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
		if (ftruncate(s->lock, 0) < 0 || pwrite(s->lock, pid, (size_t)n, 0) < 0)
			rc = err_errno(err, -errno, "cannot write %s", path);
	}
	free(path);
	return rc;
}

int store_open_with(struct store **out, const char *path, const struct store_ops *ops, struct err *err)
{
	struct store *s = calloc(1, sizeof *s);
	int rc = -ENOMEM;

	if (!s)
		return err_set(err, rc, "out of memory");
	s->lock = s->fd = -1;
	s->ops = *ops;
	s->path = strdup(path);
	s->temp = joined(path, ".new");
	s->dir = directory_of(path);
	if (!s->path || !s->temp || !s->dir) {
		err_set(err, rc, "out of memory");
		goto fail;
	}
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST) {
		rc = err_errno(err, -errno, "cannot make the directory %s for the table", s->dir);
		goto fail;
	}
	rc = lock_it(s, err);
	if (rc < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	store_close(s);
	return rc;
}

int store_open(struct store **out, const char *path, struct err *err)
{
	return store_open_with(out, path, &system_ops, err);
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	if (s->lock >= 0)
		close(s->lock);
	free(s->path);
	free(s->temp);
	free(s->dir);
	free(s);
}

bool store_wants_save(const struct store *s)
{
	return s->broken || s->changes >= CHANGES_MAX;
}

/* ---- writing ---- */

struct out {
	const struct store *s;
	int fd, rc;
	uint32_t crc;
	char *buf;
	size_t len;
};
#define OUT_BUF (256u * 1024)

static void flush_out(struct out *o)
{
	if (o->rc == 0)
		o->rc = file_write_all(o->s->ops.write, o->fd, o->buf, o->len);
	o->len = 0;
}

static void put_line(struct out *o, json_t *object)
{
	size_t len;
	char *line = crcline_of(object, &o->crc, &len);

	if (!line || len > LINE_BYTES) { /* what could not be read again is not written */
		o->rc = line ? -EFBIG : -ENOMEM;
		free(line);
		return;
	}
	if (o->len + len > OUT_BUF)
		flush_out(o);
	if (len > OUT_BUF) {
		if (o->rc == 0)
			o->rc = file_write_all(o->s->ops.write, o->fd, line, len);
	} else {
		memcpy(o->buf + o->len, line, len);
		o->len += len;
	}
	free(line);
}

static int write_snapshot(const struct store *s, int fd, const struct acctset *set, uint32_t *crc)
{
	struct out o = {.s = s, .fd = fd, .buf = malloc(OUT_BUF)};

	if (!o.buf)
		return -ENOMEM;
	put_line(&o, json_pack("{si}", "shunt-table", FORMAT));
	for (size_t i = 0; o.rc == 0 && i < set->n; i++)
		put_line(&o, acctdef_to_json(&set->defs[i], true));
	put_line(&o, json_pack("{sI}", "accounts", (json_int_t)set->n));
	flush_out(&o);
	free(o.buf);
	if (o.rc == 0 && s->ops.fsync(fd) < 0)
		o.rc = -errno;
	*crc = o.crc;
	return o.rc;
}

static int sync_directory(const struct store *s)
{
	int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (s->ops.fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

int store_save(struct store *s, const struct acctset *defs, struct err *err)
{
	int fd, rc;
	uint32_t crc;

	unlink(s->temp);
	fd = open(s->temp, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, -errno, "cannot make %s", s->temp);
	rc = write_snapshot(s, fd, defs, &crc);
	if (rc == 0 && s->ops.rename(s->temp, s->path) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		unlink(s->temp);
		return err_errno(err, rc, "cannot write %s", s->path);
	}
	rc = sync_directory(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fd;
	s->crc = crc;
	s->changes = 0;
	s->broken = rc < 0; /* the new file is there, but a power cut may bring back the old one */
	return rc < 0 ? err_errno(err, rc, "cannot sync %s", s->dir) : 0;
}

/* A change that the caller is told has failed must not be there after a restart: a line can be whole in the file and only its sync have
 * failed. Where even this fails, the snapshot that is due puts it right. */
static void take_back(struct store *s, off_t end)
{
	s->broken = true;
	if (s->ops.ftruncate(s->fd, end) == 0)
		(void)s->ops.fsync(s->fd);
}

int store_change(struct store *s, const char *account, enum side side, enum gate gate, struct err *err)
{
	uint32_t crc = s->crc;
	size_t len;
	char *line;
	off_t end;
	int rc;

	if (s->fd < 0 || s->broken)
		return err_set(err, -EIO, "%s: an earlier write failed, the table must be written anew first", s->path);
	end = lseek(s->fd, 0, SEEK_END);
	if (end < 0)
		return err_errno(err, -errno, "cannot write %s", s->path);
	line = crcline_of(json_pack("{ss ss ss}", "change", account, "side", side_name(side), "gate", gate_name(gate)), &crc, &len);
	if (!line)
		return err_set(err, -ENOMEM, "out of memory");
	rc = file_write_all(s->ops.write, s->fd, line, len);
	if (rc == 0 && s->ops.fdatasync(s->fd) < 0)
		rc = -errno;
	free(line);
	if (rc < 0) {
		take_back(s, end);
		return err_errno(err, rc, "cannot write %s", s->path);
	}
	s->crc = crc;
	s->changes++;
	return 0;
}

/* ---- reading ---- */

struct reader {
	const char *path;
	size_t line;
	uint32_t crc; /* of the line before */
	struct acctset *set;
	struct index names; /* made at the end of the snapshot, for the changes */
	bool begun, whole;
	struct err *err;
};

static int damaged(struct reader *r, const char *found, const char *expected)
{
	return err_set(r->err, -EBADMSG, "%s:%zu: found %s, expected %s", r->path, r->line, found, expected);
}

static int take_account(struct reader *r, const json_t *o)
{
	struct acctdef d;
	struct err why = {0};

	if (!json_object_get(o, "side") || !json_object_get(o, "gate"))
		return damaged(r, "an account without side and gate", "both");
	if (acctdef_from_json(&d, o, &why) < 0)
		return err_set(r->err, -EBADMSG, "%s:%zu: %s", r->path, r->line, why.text);
	return acctset_add(r->set, &d) < 0 ? err_set(r->err, -ENOMEM, "out of memory") : 0;
}

static int take_end(struct reader *r, json_int_t n)
{
	if (n != (json_int_t)r->set->n)
		return damaged(r, "another count of accounts", "as many as lines before");
	r->whole = true;
	if (index_init(&r->names, r->set->n) < 0)
		return err_set(r->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < r->set->n; i++)
		if (index_put(&r->names, r->set->defs[i].name, strlen(r->set->defs[i].name), (uint32_t)i, NULL) < 0)
			return damaged(r, "an account twice", "each once");
	return 0;
}

static int take_change(struct reader *r, const json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "change")), *side = json_string_value(json_object_get(o, "side")),
		   *gate = json_string_value(json_object_get(o, "gate"));
	struct acctdef *d;
	uint32_t i;

	if (!name || !index_get(&r->names, name, strlen(name), &i, NULL))
		return damaged(r, "a change of no known account", "one of the accounts before");
	d = &r->set->defs[i];
	if (!side || !side_parse(&d->side, side) || !gate || !gate_parse(&d->gate, gate))
		return damaged(r, "a change without side and gate", "both");
	return 0;
}

static int take_object(struct reader *r, const json_t *o)
{
	const json_t *v;

	if (!r->begun) {
		v = json_object_get(o, "shunt-table");
		if (!json_is_integer(v))
			return damaged(r, "no {\"shunt-table\": ...}", "a table of shunt-proxy");
		if (json_integer_value(v) != FORMAT)
			return damaged(r, "another version of the format", "version 1: this file was written by a later shunt-proxy");
		r->begun = true;
		return 0;
	}
	if (r->whole)
		return take_change(r, o);
	v = json_object_get(o, "accounts");
	return json_is_integer(v) ? take_end(r, json_integer_value(v)) : take_account(r, o);
}

/* The end of a file whose last byte is no newline: the beginning of a change that was being written, or damage to one that was there? The
 * latter shows in bytes that no change begins with, or in a whole line with another byte where its newline was. */
static bool is_torn_change(const struct reader *r, const char *line, size_t len)
{
	static const char begins[] = " {\"change\":\"";
	uint32_t crc;

	if (len >= CHANGE_BYTES || crcline_is_right(line, len - 1, r->crc, &crc))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (i < CRCLINE_DIGITS ? !memchr("0123456789abcdef", line[i], 16) : line[i] < ' ' || line[i] > '~')
			return false;
		if (i >= CRCLINE_DIGITS && i - CRCLINE_DIGITS < sizeof begins - 1 && line[i] != begins[i - CRCLINE_DIGITS])
			return false;
	}
	return true;
}

static int take_line(struct reader *r, const char *line, size_t len)
{
	json_t *o;
	int rc;

	if (len < CRCLINE_DIGITS + 1 || line[CRCLINE_DIGITS] != ' ')
		return damaged(r, "no check sum", "8 hex digits and a space");
	if (!crcline_is_right(line, len, r->crc, &r->crc))
		return damaged(r, "a line that does not match its check sum", "it as it was written, after the line that was before it");
	o = crcline_object(line, len);
	if (!o)
		return damaged(r, "no JSON object", "one");
	rc = take_object(r, o);
	json_decref(o);
	return rc;
}

static int read_lines(struct reader *r, FILE *f)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = getline(&line, &cap, f)) > 0) {
		r->line++;
		if (n > (ssize_t)LINE_BYTES)
			rc = damaged(r, "a line too long", "64 MiB at most");
		else if (line[n - 1] == '\n')
			rc = take_line(r, line, (size_t)n - 1);
		else if (!r->whole)
			rc = damaged(r, "the end of the file", "the rest of the snapshot");
		else if (!is_torn_change(r, line, (size_t)n))
			rc = damaged(r, "a last line without its end", "a newline, or the beginning of a change");
		else
			break; /* it was never acknowledged */
	}
	if (rc == 0 && ferror(f))
		rc = err_errno(r->err, -EIO, "cannot read %s", r->path);
	else if (rc == 0 && !r->whole)
		rc = damaged(r, "the end of the file", "the rest of the snapshot");
	free(line);
	return rc;
}

static int check_owner(const struct store *s, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "cannot stat %s", s->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s: found no regular file, expected the table", s->path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EBADMSG, "%s: found owner uid %u, expected %u or root", s->path, (unsigned)st.st_uid,
			       (unsigned)geteuid());
	if (st.st_mode & 022)
		return err_set(err, -EBADMSG, "%s: found mode %04o, expected no write permission for group and others", s->path,
			       (unsigned)st.st_mode & 07777);
	return 0;
}

int store_load(struct store *s, struct acctset *out, struct err *err)
{
	struct reader r = {.path = s->path, .set = out, .err = err};
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc; /* a FIFO must not stop us */
	FILE *f;

	*out = (struct acctset){0};
	if (fd < 0 && errno == ELOOP)
		return err_set(err, -EBADMSG, "%s: found a symbolic link, expected the table", s->path);
	if (fd < 0)
		return err_errno(err, -errno, "cannot open %s", s->path);
	rc = check_owner(s, fd, err);
	f = rc == 0 ? fdopen(fd, "r") : NULL;
	if (!f) {
		close(fd);
		return rc < 0 ? rc : err_set(err, -ENOMEM, "out of memory");
	}
	rc = read_lines(&r, f);
	fclose(f);
	index_done(&r.names);
	/* Changes go to a file that ends in a whole line, hence a new one. If the disk refuses now, the table is served all the same, and
	 * changed later. */
	if (rc == 0 && store_save(s, out, err) < 0)
		s->broken = true;
	if (rc < 0)
		acctset_done(out);
	return rc;
}
