/* The table on disk: what was acknowledged comes back, a torn last change does not, and no damage makes anybody's side another. */
#include "proxy/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/shunt-store.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/table", dir);
	return 0;
}

static int teardown(void **state)
{
	static const char *const ends[] = {"", ".lock", ".new"};
	char p[128];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(p, sizeof p, "%s%s", path, ends[i]);
		unlink(p);
	}
	return rmdir(dir);
}

static struct acctset two(void)
{
	static const char *const json[] = {"{\"name\": \"alice\", \"domains\": [\"alice.example\"], \"ports\": [8300]}",
					   "{\"name\": \"bob\", \"domains\": [\"*.bob.example\"], \"side\": \"transit\"}"};
	struct acctset set = {0};

	for (int i = 0; i < 2; i++) {
		json_t *o = json_loads(json[i], 0, NULL);
		struct acctdef d;

		assert_int_equal(acctdef_from_json(&d, o, NULL), 0);
		assert_int_equal(acctset_add(&set, &d), 0);
		json_decref(o);
	}
	return set;
}

static void save_two(struct store *s)
{
	struct acctset set = two();
	struct err err = {0};

	assert_int_equal(store_save(s, &set, &err), 0);
	acctset_done(&set);
}

static struct store *open_it(void)
{
	struct store *s;
	struct err err = {0};

	assert_int_equal(store_open(&s, path, &err), 0);
	return s;
}

static size_t read_file(char **out)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*out = malloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, *out, (size_t)st.st_size), st.st_size);
	close(fd);
	return (size_t)st.st_size;
}

static void write_file(const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static void comes_back(void **state)
{
	struct store *s = open_it();
	struct acctset set;

	(void)state;
	assert_int_equal(store_load(s, &set, NULL), -ENOENT);
	save_two(s);
	assert_int_equal(store_change(s, "alice", SIDE_CLIENT, GATE_HELD, NULL), 0);
	assert_int_equal(store_change(s, "alice", SIDE_CLIENT, GATE_FENCED, NULL), 0);
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, NULL), 0);
	store_close(s);
	s = open_it();
	assert_int_equal(store_load(s, &set, NULL), 0);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.defs[0].name, "alice");
	assert_int_equal(set.defs[0].side, SIDE_TRANSIT);
	assert_int_equal(set.defs[0].gate, GATE_FENCED);
	assert_int_equal(set.defs[1].side, SIDE_TRANSIT);
	assert_string_equal(set.defs[1].domains[0], "*.bob.example");
	acctset_done(&set);
	assert_int_equal(store_change(s, "bob", SIDE_CLIENT, GATE_OPEN, NULL), 0); /* after a load too */
	store_close(s);
	s = open_it();
	assert_int_equal(store_load(s, &set, NULL), 0);
	assert_int_equal(set.defs[1].side, SIDE_CLIENT);
	acctset_done(&set);
	store_close(s);
}

/* A file cut anywhere: the snapshot must be whole, the last change may be torn and is then as if it had not been. */
static void cut_anywhere(void **state)
{
	struct store *s = open_it();
	struct acctset set;
	char *bytes;
	size_t snapshot, len;

	(void)state;
	save_two(s);
	snapshot = read_file(&bytes);
	free(bytes);
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_OPEN, NULL), 0);
	len = read_file(&bytes);
	for (size_t cut = 0; cut < len; cut++) {
		struct err err = {0};

		write_file(bytes, cut);
		if (cut < snapshot) {
			assert_int_equal(store_load(s, &set, &err), -EBADMSG);
			assert_non_null(strstr(err.text, path));
			continue;
		}
		assert_int_equal(store_load(s, &set, &err), 0);
		assert_int_equal(set.defs[0].side, SIDE_CLIENT);
		acctset_done(&set);
	}
	free(bytes);
	store_close(s);
}

static void a_flipped_bit_is_found(void **state)
{
	struct store *s = open_it();
	struct acctset set;
	char *bytes;
	size_t len;

	(void)state;
	save_two(s);
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_OPEN, NULL), 0);
	len = read_file(&bytes);
	for (size_t bit = 0; bit < len * 8; bit++) {
		int rc;

		bytes[bit / 8] ^= (char)(1 << bit % 8);
		write_file(bytes, len);
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		rc = store_load(s, &set, NULL);
		if (rc == 0) { /* only the newline of the last change may go unnoticed: then it is torn */
			assert_true(bit / 8 == len - 1);
			acctset_done(&set);
		} else {
			assert_int_equal(rc, -EBADMSG);
		}
	}
	free(bytes);
	store_close(s);
}

static void refuses_what_is_not_ours(void **state)
{
	static const char *const bad[] = {"", "\n", "hello\n", "00000000 {}\n", "d1ee3fe0 {\"shunt-table\":2}\n"};
	char zeros[4096] = {0};
	struct store *s = open_it(), *second;
	struct acctset set;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_file(bad[i], strlen(bad[i]));
		assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	}
	write_file(zeros, sizeof zeros);
	assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	save_two(s);
	chmod(path, 0622);
	assert_int_equal(store_load(s, &set, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "0622"));
	assert_int_equal(store_open(&second, path, &err), -EWOULDBLOCK);
	assert_non_null(strstr(err.text, "pid"));
	store_close(s);
}

/* ---- a disk that fails ---- */

static int fail_after; /* so many bytes may still be written; -1: all */
static bool fail_sync;

static ssize_t failing_write(int fd, const void *bytes, size_t len)
{
	if (fail_after >= 0 && len > (size_t)fail_after)
		len = (size_t)fail_after;
	if (len == 0 && fail_after == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (fail_after > 0)
		fail_after -= (int)len;
	return write(fd, bytes, len);
}

static int failing_sync(int fd)
{
	errno = EIO;
	return fail_sync ? -1 : fsync(fd);
}

static void a_full_disk_changes_nothing(void **state)
{
	static const struct store_ops ops = {failing_write, failing_sync, failing_sync, rename};
	struct store *s;
	struct acctset set;
	struct err err = {0};

	(void)state;
	for (int after = 0; after < 60; after += 7) {
		fail_after = -1;
		fail_sync = false;
		assert_int_equal(store_open_with(&s, path, &ops, NULL), 0);
		save_two(s);
		fail_after = after;
		assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, &err), -ENOSPC);
		assert_true(store_wants_save(s));
		assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, &err), -EIO); /* not before a snapshot */
		fail_after = -1;
		save_two(s);
		assert_false(store_wants_save(s));
		assert_int_equal(store_change(s, "bob", SIDE_CLIENT, GATE_OPEN, NULL), 0);
		fail_sync = true;
		assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, &err), -EIO);
		fail_sync = false;
		store_close(s);
	}
	fail_after = 30; /* a snapshot that does not fit leaves the old one */
	assert_int_equal(store_open_with(&s, path, &ops, NULL), 0);
	set = two();
	assert_int_equal(store_save(s, &set, &err), -ENOSPC);
	acctset_done(&set);
	fail_after = -1;
	assert_int_equal(store_load(s, &set, NULL), 0);
	assert_int_equal(set.n, 2);
	acctset_done(&set);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flipped_bit_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_changes_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
