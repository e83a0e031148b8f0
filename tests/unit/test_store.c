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
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		write_file(bytes, len);
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		if (store_load(s, &set, NULL) != -EBADMSG)
			fail_msg("bit %zu of byte %zu of %zu", bit % 8, bit / 8, len);
	}
	free(bytes);
	store_close(s);
}

/* Each change after the snapshot, and all of them, zeroed, left out, doubled or swapped with the next. */
static void changes_stay_in_their_places(void **state)
{
	struct store *s = open_it();
	struct acctset set;
	char *bytes, *wrong;
	size_t at[5], len;

	(void)state;
	save_two(s);
	for (size_t i = 0; i < 4; i++) { /* lines of one length */
		at[i] = read_file(&bytes);
		free(bytes);
		assert_int_equal(store_change(s, "alice", i % 2 ? SIDE_TRANSIT : SIDE_CLIENT, i < 2 ? GATE_HELD : GATE_OPEN, NULL), 0);
	}
	len = at[4] = read_file(&bytes);
	wrong = malloc(2 * len);
	for (size_t i = 0; i < 4; i++) {
		size_t one = at[i + 1] - at[i];

		memcpy(wrong, bytes, len);
		memset(wrong + at[i], 0, one);
		write_file(wrong, len);
		assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
		memcpy(wrong + at[i], bytes + at[i], len - at[i]);
		memcpy(wrong + at[i + 1], bytes + at[i], len - at[i]); /* doubled */
		write_file(wrong, len + one);
		assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
		if (i == 3)
			break;
		memcpy(wrong + at[i], bytes + at[i + 1], len - at[i + 1]); /* left out */
		write_file(wrong, len - one);
		assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
		memcpy(wrong + at[i] + at[i + 2] - at[i + 1], bytes + at[i], one); /* swapped */
		memcpy(wrong + at[i + 2], bytes + at[i + 2], len - at[i + 2]);
		write_file(wrong, len);
		assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	}
	write_file(bytes, len);
	assert_int_equal(store_load(s, &set, NULL), 0);
	assert_int_equal(set.defs[0].side, SIDE_TRANSIT);
	acctset_done(&set);
	free(wrong);
	free(bytes);
	store_close(s);
}

static void strange_ends(void **state)
{
	static const char *const ends[] = {"x", "0123456", "01234567 {\"accounts\"", "01234567 {\"change\":\"al\x01", "\xff", "01234567x"};
	struct store *s = open_it();
	struct acctset set;
	char *bytes, long_end[4096];
	size_t len;

	(void)state;
	save_two(s);
	len = read_file(&bytes);
	bytes = realloc(bytes, len + sizeof long_end);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		memcpy(bytes + len, ends[i], strlen(ends[i]));
		write_file(bytes, len + strlen(ends[i]));
		assert_int_equal(store_load(s, &set, NULL), i == 1 ? 0 : -EBADMSG); /* that one may be a change */
		if (i == 1)
			acctset_done(&set);
	}
	memset(bytes + len, '0', sizeof long_end);
	write_file(bytes, len + sizeof long_end);
	assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	memset(bytes + len, 0, sizeof long_end);
	write_file(bytes, len + 1);
	assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	free(bytes);
	store_close(s);
}

static void refuses_what_is_not_ours(void **state)
{
	static const char *const bad[] = {"", "\n", "hello\n", "00000000 {}\n", "795f111b {\"shunt-table\":2}\n"};
	char zeros[4096] = {0};
	struct store *s = open_it(), *second;
	struct acctset set;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		write_file(bad[i], strlen(bad[i]));
		assert_int_equal(store_load(s, &set, &err), -EBADMSG);
	}
	assert_non_null(strstr(err.text, "later shunt-proxy"));
	write_file(zeros, sizeof zeros);
	assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	save_two(s);
	chmod(path, 0622);
	assert_int_equal(store_load(s, &set, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "0622"));
	chmod(path, 0600);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_int_equal(store_load(s, &set, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "12345"));
	}
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(store_load(s, &set, NULL), -EBADMSG);
	unlink(path);
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

static bool fail_rename;

static int failing_rename(const char *from, const char *to)
{
	errno = EIO;
	return fail_rename ? -1 : rename(from, to);
}

static const struct store_ops failing_ops = {failing_write, failing_sync, failing_sync, ftruncate, failing_rename};

/* Opened by another, as after a restart: what side has alice? */
static enum side side_after_restart(void)
{
	struct store *s = open_it();
	struct acctset set;
	enum side side;

	assert_int_equal(store_load(s, &set, NULL), 0);
	assert_int_equal(set.n, 2);
	side = set.defs[0].side;
	acctset_done(&set);
	store_close(s);
	return side;
}

/* A change that was refused has not happened, neither now nor after a restart, whatever of it was written and wherever it failed. */
static void a_refused_change_is_not_there(void **state)
{
	struct store *s;
	struct err err = {0};

	(void)state;
	for (int after = -1; after < 61; after++) { /* 61: the whole line. -1: all is written, the sync fails */
		fail_after = -1;
		fail_sync = false;
		assert_int_equal(store_open_with(&s, path, &failing_ops, NULL), 0);
		save_two(s);
		fail_after = after;
		fail_sync = after < 0;
		assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, &err), after < 0 ? -EIO : -ENOSPC);
		assert_true(store_wants_save(s));
		assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, &err), -EIO); /* not before a snapshot */
		store_close(s);
		assert_int_equal(side_after_restart(), SIDE_CLIENT);
	}
}

static void a_snapshot_heals(void **state)
{
	struct store *s;

	(void)state;
	fail_sync = false;
	fail_after = -1;
	assert_int_equal(store_open_with(&s, path, &failing_ops, NULL), 0);
	save_two(s);
	fail_after = 9;
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_FENCED, NULL), -ENOSPC);
	fail_after = -1;
	save_two(s);
	assert_false(store_wants_save(s));
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_OPEN, NULL), 0);
	store_close(s);
	assert_int_equal(side_after_restart(), SIDE_TRANSIT);
}

static void a_failed_snapshot_leaves_the_old_one(void **state)
{
	static const struct {
		int after;
		bool sync, rename;
		int rc;
	} rows[] = {{0, false, false, -ENOSPC}, {30, false, false, -ENOSPC}, {-1, true, false, -EIO}, {-1, false, true, -EIO}};
	struct store *s;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct acctset set = two();
		char temp[128];

		fail_after = -1;
		fail_sync = fail_rename = false;
		assert_int_equal(store_open_with(&s, path, &failing_ops, NULL), 0);
		save_two(s);
		assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_OPEN, NULL), 0);
		fail_after = rows[i].after;
		fail_sync = rows[i].sync;
		fail_rename = rows[i].rename;
		assert_int_equal(store_save(s, &set, &err), rows[i].rc);
		assert_non_null(strstr(err.text, path));
		acctset_done(&set);
		fail_after = -1;
		fail_sync = fail_rename = false;
		snprintf(temp, sizeof temp, "%s.new", path);
		assert_int_equal(access(temp, F_OK), -1);
		assert_int_equal(store_change(s, "bob", SIDE_CLIENT, GATE_OPEN, NULL), 0); /* the old file is as good as it was */
		store_close(s);
		assert_int_equal(side_after_restart(), SIDE_TRANSIT);
	}
}

/* A disk that fills up while a restart writes its first snapshot: the table is served, and changed once there is room again. */
static void a_full_disk_does_not_stop_a_start(void **state)
{
	struct store *s = open_it();
	struct acctset set;

	(void)state;
	save_two(s);
	store_close(s);
	fail_after = 0;
	fail_sync = fail_rename = false;
	assert_int_equal(store_open_with(&s, path, &failing_ops, NULL), 0);
	assert_int_equal(store_load(s, &set, NULL), 0);
	assert_int_equal(set.n, 2);
	assert_true(store_wants_save(s));
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_OPEN, NULL), -EIO);
	fail_after = -1;
	assert_int_equal(store_save(s, &set, NULL), 0);
	assert_int_equal(store_change(s, "alice", SIDE_TRANSIT, GATE_OPEN, NULL), 0);
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
		cmocka_unit_test_setup_teardown(changes_stay_in_their_places, setup, teardown),
		cmocka_unit_test_setup_teardown(strange_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_change_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(a_snapshot_heals, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_snapshot_leaves_the_old_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_does_not_stop_a_start, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
