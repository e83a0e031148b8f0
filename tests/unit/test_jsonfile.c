/* A file of jsonfile comes back as it was written or is refused, with the file and what was found in it named; and whatever hinders a
 * write, the old object stays. */
#include "lib/jsonfile.h"
#include "tests/unit/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST 4096

struct place {
	char path[64];
	int dir;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	place_make(p->path, "test_jsonfile");
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	close(p->dir);
	place_remove(p->path);
	free(p);
	return 0;
}

static json_t *an_object(const char *text, size_t numbers)
{
	json_t *object = json_pack("{s:s, s:[{s:b, s:n}], s:[]}", "text", text, "nested", "yes", 1, "none", "numbers");

	assert_non_null(object);
	for (size_t i = 0; i < numbers; i++)
		json_array_append_new(json_object_get(object, "numbers"), json_integer((json_int_t)i));
	return object;
}

static void write_one(struct place *p, const char *name, const char *text)
{
	json_t *object = an_object(text, 3);
	struct err err;

	if (jsonfile_write(p->dir, name, p->path, object, MOST, &err) != 0)
		fail_msg("%s", err.text);
	json_decref(object);
}

static bool says(struct place *p, const char *name, const char *text)
{
	json_t *object;
	struct err err;
	bool same;

	if (jsonfile_read(p->dir, name, p->path, MOST, &object, &err) != 0)
		fail_msg("%s", err.text);
	same = strcmp(json_string_value(json_object_get(object, "text")), text) == 0;
	json_decref(object);
	return same;
}

static void refused(struct place *p, const char *name, int code, const char *words)
{
	json_t *object = (json_t *)p;
	struct err err = {0};
	int rc = jsonfile_read(p->dir, name, p->path, MOST, &object, &err);

	if (rc != code || !strstr(err.text, words) || !strstr(err.text, name) || !strstr(err.text, p->path))
		fail_msg("%d \"%s\" instead of %d \"%s\"", rc, err.text, code, words);
	assert_null(object);
	assert_int_equal(jsonfile_read(p->dir, name, p->path, MOST, &object, NULL), code);
}

/* Of all names; "." and ".." apart. */
static size_t files(struct place *p)
{
	int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	size_t n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void comes_back(void **state)
{
	struct place *p = *state;
	json_t *object = an_object("k\xc3\xa4se", 9), *found;
	struct stat st;
	char longest[NAME_MAX + 1];
	struct err err;

	assert_int_equal(jsonfile_write(p->dir, "a", p->path, object, MOST, &err), 0);
	assert_non_null(json_object_get(object, "sum"));
	assert_int_equal(jsonfile_read(p->dir, "a", p->path, MOST, &found, &err), 0);
	assert_true(json_equal(object, found));
	/* what was read is written again, with a sum of its own */
	json_object_set_new(found, "more", json_real(0.1));
	assert_int_equal(jsonfile_write(p->dir, "a", p->path, found, MOST, &err), 0);
	json_decref(object);
	assert_int_equal(jsonfile_read(p->dir, "a", p->path, MOST, &object, &err), 0);
	assert_true(json_equal(object, found));
	json_decref(object);
	json_decref(found);
	assert_int_equal(fstatat(p->dir, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	memset(longest, 'z', NAME_MAX);
	longest[NAME_MAX] = '\0';
	write_one(p, longest, "long");
	assert_true(says(p, longest, "long"));
	assert_int_equal(files(p), 2);
	assert_int_equal(jsonfile_remove(p->dir, "a", p->path, &err), 0);
	assert_int_equal(jsonfile_remove(p->dir, "a", p->path, &err), 0);
	refused(p, "a", -ENOENT, "a: No such file");
	assert_int_equal(files(p), 1);
}

static void damage_is_refused(void **state)
{
	struct place *p = *state;
	char text[MOST], bad[MOST];
	json_t *object = an_object("old", 3), *found;
	size_t len;

	assert_int_equal(jsonfile_write(p->dir, "a", p->path, object, MOST, NULL), 0);
	len = place_get(p->path, "a", text, sizeof text);
	for (size_t n = 0; n < len; n++) {
		place_put(p->path, "a", text, n);
		refused(p, "a", -EBADMSG, "found no JSON");
	}
	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(bad, text, len);
		bad[bit / 8] ^= (char)(1 << bit % 8);
		place_put(p->path, "a", bad, len);
		if (jsonfile_read(p->dir, "a", p->path, MOST, &found, NULL) != 0)
			refused(p, "a", -EBADMSG, ": found ");
		else
			assert_true(json_equal(object, found)); /* a blank for another */
		json_decref(found);
	}
	json_decref(object);
}

static void strange_files_are_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"", "found no JSON"},
		{"null", "found no JSON"},
		{"[]", "found no JSON object"},
		{"{}", "it has no sum"},
		{"{\"sum\":1}", "it has no sum"},
		{"{\"sum\":\"\"}", "its sum is another"},
		{"{\"text\":\"x\",\"sum\":\"0000000000000000\"}", "its sum is another"},
		{"{\"a\":1,\"a\":1}", "duplicate"},
		{"{} {}", "found no JSON"},
	};
	struct place *p = *state;
	char much[MOST + 1];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		place_put(p->path, "a", cases[i].text, strlen(cases[i].text));
		refused(p, "a", -EBADMSG, cases[i].words);
	}
	memset(much, ' ', sizeof much);
	place_put(p->path, "a", much, sizeof much);
	refused(p, "a", -EFBIG, "found 4097 bytes, expected at most 4096");
	write_one(p, "b", "whole");
	assert_int_equal(symlinkat("b", p->dir, "link"), 0);
	refused(p, "link", -ELOOP, "symbolic link");
	assert_int_equal(mkfifoat(p->dir, "fifo", 0600), 0);
	refused(p, "fifo", -EINVAL, "something else than a file"); /* and without waiting for a writer */
	assert_int_equal(mkdirat(p->dir, "dir", 0700), 0);
	refused(p, "dir", -EINVAL, "something else than a file");
	if (geteuid() == 0) {
		assert_int_equal(fchownat(p->dir, "b", 12345, 12345, 0), 0);
		refused(p, "b", -EPERM, "of user 12345");
	}
}

/* A link in its place is replaced, not followed. */
static void a_link_is_not_written_through(void **state)
{
	struct place *p = *state;
	struct stat st;

	place_put(p->path, "theirs", "as it was", 9);
	assert_int_equal(symlinkat("theirs", p->dir, "a"), 0);
	write_one(p, "a", "new");
	assert_true(says(p, "a", "new"));
	assert_int_equal(fstatat(p->dir, "theirs", &st, 0), 0);
	assert_int_equal(st.st_size, 9);
}

static void a_failed_write_leaves_the_old(void **state)
{
	struct place *p = *state;
	json_t *big = an_object("big", 400), *bigger = an_object("bigger", MOST);
	struct rlimit old, small = {.rlim_cur = 1000};
	struct err err;

	write_one(p, "a", "old");
	assert_int_equal(jsonfile_write(p->dir, "a", p->path, bigger, MOST, &err), -EFBIG);
	assert_non_null(strstr(err.text, "could not be read again"));
	assert_true(says(p, "a", "old"));
	/* the disk is full half-way */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = jsonfile_write(p->dir, "a", p->path, big, MOST, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(rc, -EFBIG);
	assert_non_null(strstr(err.text, "cannot write"));
	assert_non_null(strstr(err.text, p->path));
	assert_true(says(p, "a", "old"));
	assert_int_equal(files(p), 1);
	assert_int_equal(jsonfile_write(p->dir, "a", p->path, big, MOST, &err), 0);
	assert_true(says(p, "a", "big"));
	/* what is in its place cannot be replaced */
	assert_int_equal(mkdirat(p->dir, "dir", 0700), 0);
	assert_int_equal(jsonfile_write(p->dir, "dir", p->path, big, MOST, &err), -EISDIR);
	assert_int_equal(files(p), 2);
	json_decref(big);
	json_decref(bigger);
}

static void left_overs_are_in_nobodys_way(void **state)
{
	struct place *p = *state;
	char name[64];

	for (unsigned n = 0; n < 3; n++) {
		snprintf(name, sizeof name, ".new-%ld-%u", (long)getpid(), n);
		place_put(p->path, name, "{", 1);
	}
	write_one(p, "a", "new");
	assert_true(says(p, "a", "new"));
	assert_int_equal(files(p), 4); /* nor are they touched: another may be writing them */
}

/* What nobody writes any more is swept; what somebody may be writing, and what only looks like it, is not. */
static void left_overs_are_swept(void **state)
{
	static const char *const others[] = {".new-", ".new-1-x", ".new-99-1x", ".new--5-0", ".news", "a"};
	struct timespec long_ago[2] = {{.tv_sec = time(NULL) - SWEEP_AFTER_S - 1}, {.tv_sec = time(NULL) - SWEEP_AFTER_S - 1}};
	struct place *p = *state;
	char dead[64], fresh[64], mine[64];
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(dead, sizeof dead, ".new-%ld-0", (long)pid);
	snprintf(fresh, sizeof fresh, ".new-%ld-1", (long)pid);
	snprintf(mine, sizeof mine, ".new-%ld-0", (long)getpid());
	place_put(p->path, dead, "{", 1);
	place_put(p->path, fresh, "{", 1);
	place_put(p->path, mine, "{", 1);
	assert_int_equal(utimensat(p->dir, dead, long_ago, 0), 0);
	assert_int_equal(utimensat(p->dir, mine, long_ago, 0), 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		place_put(p->path, others[i], "{", 1);
		assert_int_equal(utimensat(p->dir, others[i], long_ago, 0), 0);
		jsonfile_sweep(p->dir, others[i]);
	}
	jsonfile_sweep(p->dir, dead);
	jsonfile_sweep(p->dir, fresh);
	jsonfile_sweep(p->dir, mine);
	jsonfile_sweep(p->dir, ".new-1-1"); /* there is none */
	assert_int_equal(files(p), 2 + sizeof others / sizeof *others);
	assert_int_equal(faccessat(p->dir, dead, F_OK, 0), -1);
	assert_int_equal(faccessat(p->dir, fresh, F_OK, 0), 0);
	assert_int_equal(faccessat(p->dir, mine, F_OK, 0), 0);
}

/* Several write the same file at a time: what is there is always one of theirs, whole. */
static void many_writers(void **state)
{
	enum { WRITERS = 4, ROUNDS = 50 };
	struct place *p = *state;
	pid_t pids[WRITERS];
	unsigned left = WRITERS, failed = 0;

	write_one(p, "a", "w");
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			int rc = 0;
			for (int n = 0; n < ROUNDS && rc == 0; n++) {
				json_t *object = an_object("w", (size_t)(i * ROUNDS + n));
				rc = jsonfile_write(p->dir, "a", p->path, object, MOST, NULL);
				json_decref(object);
			}
			_exit(rc < 0);
		}
	}
	while (left) {
		int status;
		assert_true(says(p, "a", "w"));
		for (int i = 0; i < WRITERS; i++)
			if (pids[i] > 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
				failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
				pids[i] = 0;
				left--;
			}
	}
	assert_int_equal(failed, 0);
	assert_true(says(p, "a", "w"));
	assert_int_equal(files(p), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(comes_back),
		CASE(damage_is_refused),
		CASE(strange_files_are_refused),
		CASE(a_link_is_not_written_through),
		CASE(a_failed_write_leaves_the_old),
		CASE(left_overs_are_in_nobodys_way),
		CASE(left_overs_are_swept),
		CASE(many_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
