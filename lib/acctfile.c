/* An import file is read one account at a time, so that a million domains cost one account's JSON at once and not all of it. */
#include "lib/acctdef.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reader {
	const char *path;
	char *text;
	size_t len, cap, at;
	size_t line;    /* of the byte at `counted` */
	size_t counted; /* line breaks are counted once, as `at` goes on */
	struct err *err;
};

static int slurp(struct reader *r, int fd)
{
	for (;;) {
		ssize_t got;

		if (r->len == r->cap) {
			size_t cap = r->cap ? 2 * r->cap : 1 << 16;
			char *more = r->cap > IMPORT_MAX ? NULL : realloc(r->text, cap);

			if (!more)
				return r->cap > IMPORT_MAX ? -EFBIG : -ENOMEM;
			r->text = more;
			r->cap = cap;
		}
		got = read(fd, r->text + r->len, r->cap - r->len);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return r->len > IMPORT_MAX ? -EFBIG : 0;
		if (got > 0)
			r->len += (size_t)got;
	}
}

static int read_all(struct reader *r)
{
	int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc;

	if (fd < 0)
		return err_errno(r->err, -errno, "%s", r->path);
	rc = slurp(r, fd);
	close(fd);
	if (rc == -EFBIG)
		return err_set(r->err, rc, "%s: longer than %u MiB, expected less", r->path, IMPORT_MAX >> 20);
	return rc < 0 ? err_errno(r->err, rc, "%s", r->path) : 0;
}

static size_t line_here(struct reader *r)
{
	for (; r->counted < r->at; r->counted++)
		r->line += r->text[r->counted] == '\n';
	return r->line;
}

/* The next byte that is not white space, or -1 at the end; it is not consumed. */
static int peek(struct reader *r)
{
	while (r->at < r->len && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
		r->at++;
	return r->at < r->len ? (unsigned char)r->text[r->at] : -1;
}

static int unexpected(struct reader *r, const char *expected)
{
	int c = peek(r);
	char byte = (char)c;

	if (c < 0)
		return err_set(r->err, -EINVAL, "%s:%zu: found the end of the file, expected %s", r->path, line_here(r), expected);
	return err_set(r->err, -EINVAL, "%s:%zu: found %s, expected %s", r->path, line_here(r), LOG_QUOTED(&byte, 1), expected);
}

static int read_one(struct reader *r, struct acctset *out)
{
	size_t line;
	struct acctdef d;
	json_error_t bad;
	json_t *object;
	int rc;

	if (peek(r) != '{')
		return unexpected(r, "an account: {\"name\": ...}");
	line = line_here(r);
	object = json_loadb(r->text + r->at, r->len - r->at, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &bad);
	if (!object) {
		line += bad.line > 0 ? (size_t)bad.line - 1 : 0;
		return err_set(r->err, json_error_code(&bad) == json_error_out_of_memory ? -ENOMEM : -EINVAL, "%s:%zu: not good JSON: %s",
			       r->path, line, LOG_QUOTED(bad.text, strlen(bad.text)));
	}
	r->at += (size_t)bad.position; /* how far the parser read, also when all is well */
	rc = acctdef_from_json(&d, object, r->err);
	json_decref(object);
	if (rc < 0) {
		err_wrap(r->err, "%s:%zu", r->path, line);
		return rc;
	}
	rc = acctset_add(out, &d);
	return rc < 0 ? err_errno(r->err, rc, "%s:%zu", r->path, line) : 0;
}

static int read_array(struct reader *r, struct acctset *out)
{
	int rc = 0;

	r->at++;
	if (peek(r) == ']') {
		r->at++;
		return 0;
	}
	while (rc == 0) {
		rc = read_one(r, out);
		if (rc < 0)
			return rc;
		if (peek(r) == ']')
			break;
		if (peek(r) != ',')
			return unexpected(r, "a comma or the ] of the list");
		r->at++;
	}
	r->at++;
	return 0;
}

static int read_accounts(struct reader *r, struct acctset *out)
{
	int rc;

	if (r->len >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0)
		r->at = r->counted = 3; /* a byte order mark, as editors on Windows write it */
	if (peek(r) == '[') {
		rc = read_array(r, out);
		if (rc == 0 && peek(r) >= 0)
			rc = unexpected(r, "nothing after the list");
		return rc;
	}
	do {
		rc = read_one(r, out);
	} while (rc == 0 && peek(r) >= 0);
	return rc;
}

int acctset_from_file(struct acctset *out, const char *path, struct err *err)
{
	struct reader r = {.path = path, .line = 1, .err = err};
	int rc;

	memset(out, 0, sizeof *out);
	rc = read_all(&r);
	if (rc == 0)
		rc = read_accounts(&r, out);
	free(r.text);
	if (rc < 0)
		acctset_done(out);
	return rc;
}
