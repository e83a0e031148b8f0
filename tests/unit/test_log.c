/* Errors and log lines: cut where they must be, quoted where they are foreign, dropped rather than waited for. */
#include "lib/err.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error becomes fd for as long as a test looks at it. */
static int take_stderr(int fd)
{
	int old = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	log_open("test");
	return old;
}

static void give_stderr_back(int old)
{
	dup2(old, STDERR_FILENO);
	close(old);
	log_open("test");
}

static void quoting(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, cap;
		const char *out;
	} rows[] = {
		{"abc", 3, 260, "\"abc\""},
		{"a\"b\\c", 5, 260, "\"a\\x22b\\x5cc\""},
		{"\r\n\0\xff\x7f", 5, 260, "\"\\x0d\\x0a\\x00\\xff\\x7f\""},
		{"", 0, 260, "\"\""},
		{"abcdef", 6, 9, "\"abcdef\""},
		{"abcdefg", 7, 9, "\"abc...\""},
		{"abc\n\n", 5, 12, "\"abc...\""},
		{"abc", 3, 5, ""},
	};
	char out[260];
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		memset(out, 'X', sizeof(out));
		assert_string_equal(log_quote(out, rows[i].cap, rows[i].bytes, rows[i].len), rows[i].out);
		if (rows[i].cap < sizeof(out))
			assert_int_equal(out[rows[i].cap], 'X');
	}
}

static void lines(void **state)
{
	char line[8192], big[6000];
	int p[2], old;
	ssize_t n;
	(void)state;
	assert_int_equal(pipe(p), 0);
	old = take_stderr(p[1]);
	log_debug("not written");
	log_warn("conn=%d reason=\"two\nlines\"", 7);
	n = read(p[0], line, sizeof(line) - 1);
	line[n] = '\0';
	memset(big, 'y', sizeof(big));
	log_info("%.*s", (int)sizeof(big), big);
	ssize_t cut = read(p[0], line + n + 1, 5000);
	give_stderr_back(old);
	assert_non_null(strstr(line, "Z test warn: conn=7 reason=\"two lines\"\n"));
	assert_null(strchr(line, '<'));
	assert_int_equal(cut, 4096);
	assert_memory_equal(line + n + 1 + cut - 4, "...\n", 4);
	close(p[0]);
	close(p[1]);
}

static void the_journal_gets_priorities(void **state)
{
	char line[200], stream[80];
	struct stat st;
	int s[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	fstat(s[1], &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	int old = take_stderr(s[1]);
	log_error("a=1");
	ssize_t n = read(s[0], line, sizeof(line));
	give_stderr_back(old);
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(n, 7);
	assert_memory_equal(line, "<3>a=1\n", 7);
	close(s[0]);
	close(s[1]);
}

/* Neither a full pipe, nor a full socket, nor a reader that is gone may stop or kill us. */
static void nothing_waits_for_a_reader(void **state)
{
	int p[2], s[2], old;
	(void)state;
	for (int round = 0; round < 3; round++) {
		uint64_t lost = log_lost();
		int *fds = round == 1 ? s : p;
		assert_int_equal(round == 1 ? socketpair(AF_UNIX, SOCK_STREAM, 0, s) : pipe(p), 0);
		if (round == 2)
			close(p[0]);
		old = take_stderr(fds[1]);
		for (int i = 0; i < 20000; i++)
			log_warn("line=%d and some words to fill what is there", i);
		give_stderr_back(old);
		assert_true(log_lost() > lost);
		if (round != 2)
			close(fds[0]);
		close(fds[1]);
	}
}

static void errors(void **state)
{
	struct err e;
	char big[2000];
	(void)state;
	assert_int_equal(err_set(&e, -EINVAL, "n=%d", 3), -EINVAL);
	assert_int_equal(err_wrap(&e, "reading %s", "x"), -EINVAL);
	assert_string_equal(e.text, "reading x: n=3");
	assert_int_equal(err_errno(&e, -ENOENT, "open %s", "y"), -ENOENT);
	assert_string_equal(e.text, "open y: No such file or directory");
	assert_int_equal(e.code, -ENOENT);
	memset(big, 'z', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&e, -EIO, "%s", big);
	assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
	assert_string_equal(e.text + ERR_TEXT_MAX - 5, "z...");
	assert_int_equal(err_wrap(&e, "in front"), -EIO);
	assert_memory_equal(e.text, "in front: zzz", 13);
	assert_string_equal(e.text + ERR_TEXT_MAX - 4, "...");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
	assert_true(err_wrap(NULL, "x") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quoting),
		cmocka_unit_test(lines),
		cmocka_unit_test(the_journal_gets_priorities),
		cmocka_unit_test(errors),
		cmocka_unit_test(nothing_waits_for_a_reader),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
