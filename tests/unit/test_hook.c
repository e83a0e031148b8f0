/* Hooks as real processes: what they see, what of their words is kept, and that none of them outlives its end, ours included. */
#include "control/hook.h"
#include "tests/unit/place.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
	char dir[64], path[80];
	double percent[16];
	int n;
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	place_make(b->dir, "shunt-hook");
	snprintf(b->path, sizeof(b->path), "%s/hook", b->dir);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	place_remove(b->dir);
	free(b);
	return 0;
}

static void on_progress(void *arg, double percent)
{
	struct bench *b = arg;
	if (b->n < 16)
		b->percent[b->n++] = percent;
}

static void script(struct bench *b, const char *text)
{
	FILE *f = fopen(b->path, "w");
	fprintf(f, "#!/bin/sh\ncd %s\n%s\n", b->dir, text);
	fclose(f);
	chmod(b->path, 0755);
}

static int run(struct bench *b, int timeout_s, int cancel_fd, struct hook_output *out, struct err *err)
{
	struct hook h = {
		.name = "copy",
		.path = b->path,
		.env = {"PATH=/usr/bin:/bin", "SHUNT_ACCOUNT=alice; touch /tmp/never", NULL},
		.timeout_s = timeout_s,
		.cancel_fd = cancel_fd,
		.on_progress = on_progress,
		.arg = b,
	};
	return hook_run(&h, out, err);
}

/* The process whose number is in the file named: gone within five seconds? Files appear when the shell writes them. */
static bool gone(struct bench *b, const char *name)
{
	char path[160];
	int pid = 0;
	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	for (int i = 0; i < 3000; i++) {
		FILE *f = fopen(path, "r");
		if (f) {
			if (fscanf(f, "%d", &pid) != 1)
				pid = 0;
			fclose(f);
		}
		if (pid && kill(pid, 0) < 0 && errno == ESRCH)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
	}
	return false;
}

static bool wait_file(struct bench *b, const char *name)
{
	char path[160];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", b->dir, name);
	for (int i = 0; i < 3000; i++) {
		if (stat(path, &st) == 0 && st.st_size > 0)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
	}
	return false;
}

static void test_words(void **state)
{
	struct bench *b = *state;
	struct hook_output out;
	struct err err = {0};
	setenv("SHUNT_LEAK", "1", 1);
	script(b, "echo 'progress 0%'; echo progress 40.5; echo 'progress 400%'; echo 'progress half'; echo hello; printf "
		  "'caf\\303\\251\\033['; "
		  "env | sort | grep -v '^PWD\\|^_\\|^SHLVL\\|^OLDPWD'; echo \"args $#\"; cat; echo no >&2");
	assert_int_equal(run(b, 20, -1, &out, &err), 0);
	assert_int_equal(b->n, 2);
	assert_true(b->percent[0] == 0 && b->percent[1] == 40.5);
	assert_string_equal(out.text, "progress 400%\nprogress half\nhello\ncaf???[PATH=/usr/bin:/bin\n"
				      "SHUNT_ACCOUNT=alice; touch /tmp/never\nargs 0\n");
	hook_output_done(&out);
	assert_int_not_equal(access("/tmp/never", F_OK), 0);
}

static void test_failures(void **state)
{
	struct bench *b = *state;
	static const struct {
		const char *text, *says[2];
	} cases[] = {
		{"echo first >&2; echo second >&2; echo third >&2; echo fourth >&2; exit 3", {"failed with 3", "second third fourth"}},
		{"kill -9 $$", {"killed by signal 9", ""}},
		{"exit 1", {"failed with 1", "copy"}},
		{"yes 0123456789 | head -c 100000 >&2; echo; echo last >&2; exit 2", {"failed with 2", "last"}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct hook_output out;
		struct err err = {0};
		script(b, cases[i].text);
		assert_int_equal(run(b, 20, -1, &out, &err), -EIO);
		for (int k = 0; k < 2; k++) {
			if (!strstr(err.text, cases[i].says[k]))
				fail_msg("\"%s\" lacks \"%s\"", err.text, cases[i].says[k]);
		}
		assert_null(strstr(err.text, "first"));
		hook_output_done(&out);
	}
}

static void test_cannot_run(void **state)
{
	struct bench *b = *state;
	struct hook_output out;
	struct err err = {0};
	assert_true(run(b, 20, -1, &out, &err) < 0); /* not there */
	assert_non_null(strstr(err.text, "No such file"));
	hook_output_done(&out);
	script(b, "exit 0");
	chmod(b->path, 0644);
	assert_true(run(b, 20, -1, &out, &err) < 0);
	assert_non_null(strstr(err.text, "Permission denied"));
	hook_output_done(&out);
}

static void test_output_is_bounded(void **state)
{
	struct bench *b = *state;
	struct hook_output out;
	struct err err = {0};
	script(b, "head -c 300000 /dev/zero | tr '\\0' x; echo; yes 0123456789 | head -c 1000000; echo; echo 'progress 100%'");
	assert_int_equal(run(b, 20, -1, &out, &err), 0);
	assert_true(out.len <= HOOK_OUTPUT_MAX);
	assert_true(out.dropped > 1200000);
	assert_true(memchr(out.text, '\n', HOOK_LINE_MAX) != NULL); /* the long line was cut */
	assert_int_equal(b->n, 1);
	hook_output_done(&out);
}

static void test_timeout_kills_the_group(void **state)
{
	struct bench *b = *state;
	struct hook_output out;
	struct err err = {0};
	script(b, "trap '' TERM\nsh -c 'trap \"\" TERM; echo $$ >grandchild; while :; do sleep 1; done' &\necho working >&2\nwait");
	assert_int_equal(run(b, 4, -1, &out, &err), -ETIMEDOUT); /* after the grandchild has said who it is */
	assert_non_null(strstr(err.text, "hook-timeout"));
	assert_true(gone(b, "grandchild"));
	hook_output_done(&out);
}

static void test_cancel(void **state)
{
	struct bench *b = *state;
	struct hook_output out;
	struct err err = {0};
	int p[2];
	assert_int_equal(pipe(p), 0);
	script(b, "sh -c 'echo $$ >grandchild; while :; do sleep 1; done'");
	pid_t pid = fork(); /* presses Ctrl-C when the hook is at work */
	if (pid == 0)
		_exit(wait_file(b, "grandchild") && write(p[1], "x", 1) == 1 ? 0 : 1);
	assert_int_equal(run(b, 20, p[0], &out, &err), -EINTR);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(gone(b, "grandchild"));
	hook_output_done(&out);
	close(p[0]);
	close(p[1]);
}

static void test_left_behind_does_not_hang(void **state)
{
	struct bench *b = *state;
	struct hook_output out;
	struct err err = {0};
	script(b, "sh -c 'echo $$ >left; while :; do sleep 1; done' &\nwhile [ ! -s left ]; do sleep 0.01; done\nexit 0");
	assert_int_equal(run(b, 20, -1, &out, &err), 0); /* though the one left behind has our pipe */
	assert_true(gone(b, "left"));
	hook_output_done(&out);
}

static void test_dies_with_us(void **state)
{
	struct bench *b = *state;
	int status;
	script(b, "echo $$ >child; sh -c 'echo $$ >grandchild; while :; do sleep 1; done'");
	pid_t pid = fork();
	if (pid == 0) {
		struct hook_output out;
		struct err err;
		run(b, 0, -1, &out, &err);
		_exit(0);
	}
	assert_true(wait_file(b, "grandchild"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(gone(b, "child"));
	assert_true(gone(b, "grandchild"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cannot_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout_kills_the_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_behind_does_not_hang, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dies_with_us, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
