/* The file of counts: what was put and added is read again; whatever is not as it was written is found, at every byte; what was being added
 * when the end came is dropped; and what has not changed is not written again. */
#include "proxy/countfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/test_countfile.XXXXXX", path[PATH_MAX];

static struct countfile *fresh(void)
{
	struct countfile *f;

	assert_int_equal(countfile_new(&f, path, NULL), 0);
	return f;
}

static int put_two(struct countfile *f, int second)
{
	countfile_begin(f);
	countfile_put(f, json_pack("{si}", "a", 1));
	countfile_put(f, json_pack("{si}", "b", second));
	return countfile_commit(f, NULL);
}

static ino_t inode(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static size_t slurp(char *out, size_t cap)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, out, cap);

	close(fd);
	assert_true(n > 0 && (size_t)n < cap);
	return (size_t)n;
}

static void spew(const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

/* How many lines there are, of which *put; or the error. */
static int lines(size_t *put)
{
	struct countfile *f = fresh();
	struct countfile_lines l;
	struct err err = {0};
	int rc = countfile_read(f, &l, &err);

	if (rc == 0)
		rc = (int)json_array_size(l.all);
	else
		assert_true(rc == -ENOENT || strstr(err.text, path));
	*put = l.n_put;
	json_decref(l.all);
	countfile_free(f);
	return rc;
}

static void there_and_back(void **state)
{
	struct countfile *f = fresh();
	struct countfile_lines l;
	size_t put;

	(void)state;
	assert_int_equal(lines(&put), -ENOENT);
	assert_int_equal(countfile_add(f, json_object(), NULL), -ENOENT);
	assert_int_equal(put_two(f, 2), 0);
	ino_t first = inode();
	assert_int_equal(put_two(f, 2), 0);
	assert_int_equal(inode(), first);
	assert_int_equal(put_two(f, 3), 0);
	assert_int_not_equal(inode(), first);
	first = inode();
	assert_int_equal(countfile_add(f, json_pack("{si}", "c", 4), NULL), 0);
	countfile_free(f);
	assert_int_equal(lines(&put), 3);
	assert_int_equal(put, 2);

	/* another process goes on where it ends */
	f = fresh();
	assert_int_equal(countfile_read(f, &l, NULL), 0);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(l.all, 2), "c")), 4);
	json_decref(l.all);
	assert_int_equal(countfile_add(f, json_pack("{si}", "d", 5), NULL), 0);
	assert_int_equal(lines(&put), 4);
	assert_int_equal(put_two(f, 3), 0); /* as before, but not what is there now */
	assert_int_not_equal(inode(), first);
	assert_int_equal(lines(&put), 2);
	countfile_remove(f);
	assert_int_equal(lines(&put), -ENOENT);
	countfile_free(f);
}

static void every_byte(void **state)
{
	char whole[1024], bytes[1024];
	struct countfile *f = fresh();
	size_t put, end, n;

	(void)state;
	assert_int_equal(put_two(f, 2), 0);
	end = slurp(whole, sizeof whole);
	assert_int_equal(countfile_add(f, json_pack("{si}", "c", 4), NULL), 0);
	n = slurp(whole, sizeof whole);
	countfile_free(f);
	for (size_t cut = 0; cut < n; cut++) {
		spew(whole, cut);
		assert_int_equal(lines(&put), cut < end ? -EBADMSG : 2);
		if (cut >= end) /* and its torn end is cut off */
			assert_int_equal(slurp(bytes, sizeof bytes), end);
	}
	for (size_t at = 0; at < n; at++) {
		memcpy(bytes, whole, n);
		bytes[at] ^= 1;
		spew(bytes, n);
		assert_int_equal(lines(&put), at == n - 1 ? 2 : -EBADMSG); /* the last newline: a line that was not finished */
	}
	spew(whole, n);
	assert_int_equal(chmod(path, 0622), 0);
	assert_int_equal(lines(&put), -EBADMSG);
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(lines(&put), -EBADMSG);
	unlink(path);
}

static void fails(void **state)
{
	struct countfile *f;
	struct err err = {0};
	char none[PATH_MAX + 8];

	(void)state;
	snprintf(none, sizeof none, "%s/no/table", dir);
	assert_int_equal(countfile_new(&f, none, NULL), 0);
	countfile_begin(f);
	assert_int_equal(countfile_commit(f, &err), -ENOENT);
	assert_non_null(strstr(err.text, none));
	countfile_free(f);
	f = fresh();
	countfile_begin(f);
	countfile_put(f, NULL);
	assert_int_equal(countfile_commit(f, NULL), -ENOMEM);
	countfile_free(f);
	countfile_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(fails),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/table.counts", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
