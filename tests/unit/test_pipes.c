#include "lib/clock.h"
#include "proxy/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_get_gives_a_good_pipe(void **state)
{
	(void)state;
	struct pipes *p = pipes_new(4);
	struct pipe *pipe = pipes_get(p);
	assert_non_null(pipe);
	assert_true(pipe->size >= PIPES_SIZE_MIN);
	assert_int_equal(pipe->size, fcntl(pipe->rd, F_GETPIPE_SZ));
	assert_int_equal(pipe->held, 0);
	assert_null(pipe->next);
	assert_true(fcntl(pipe->rd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(pipe->wr, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(pipe->rd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(pipe->wr, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(pipe->wr, "x", 1), 1);
	char c = 0;
	assert_int_equal(read(pipe->rd, &c, 1), 1);
	assert_int_equal(c, 'x');
	pipes_put(p, pipe);
	pipes_free(p);
}

static void test_empty_pipe_is_lent_again(void **state)
{
	(void)state;
	struct pipes *p = pipes_new(4);
	struct pipe *first = pipes_get(p);
	int rd = first->rd;
	pipes_put(p, first);
	assert_int_equal(pipes_idle(p), 1);
	struct pipe *again = pipes_get(p);
	assert_ptr_equal(again, first);
	assert_int_equal(again->rd, rd);
	assert_int_equal(pipes_idle(p), 0);
	assert_int_equal(pipes_lent(p), 1);
	pipes_put(p, again);
	pipes_free(p);
	assert_false(is_open(rd));
}

static void test_dirty_pipe_is_closed(void **state)
{
	(void)state;
	struct pipes *p = pipes_new(4);
	struct pipe *pipe = pipes_get(p);
	int rd = pipe->rd, wr = pipe->wr;
	assert_int_equal(write(pipe->wr, "secret", 6), 6);
	pipe->held = 6;
	pipes_put(p, pipe);
	assert_int_equal(pipes_idle(p), 0);
	assert_int_equal(pipes_lent(p), 0);
	assert_false(is_open(rd));
	assert_false(is_open(wr));
	pipe = pipes_get(p);
	char buf[6];
	assert_int_equal(read(pipe->rd, buf, sizeof buf), -1);
	assert_int_equal(errno, EAGAIN);
	pipes_put(p, pipe);
	pipes_free(p);
}

static void test_cap_is_exact(void **state)
{
	(void)state;
	struct pipe *lent[3];
	struct pipes *p = pipes_new(3);
	for (int i = 0; i < 3; i++)
		assert_non_null(lent[i] = pipes_get(p));
	assert_null(pipes_get(p));
	assert_int_equal(pipes_lent(p), 3);
	pipes_put(p, lent[1]);
	assert_non_null(lent[1] = pipes_get(p));
	assert_null(pipes_get(p));
	lent[2]->held = 1; /* a closed one makes room as well */
	pipes_put(p, lent[2]);
	assert_non_null(lent[2] = pipes_get(p));
	for (int i = 0; i < 3; i++)
		pipes_put(p, lent[i]);
	pipes_free(p);

	p = pipes_new(0);
	assert_null(pipes_get(p));
	pipes_put(p, NULL);
	pipes_free(p);
	pipes_free(NULL);
}

static void test_keeps_a_bounded_number(void **state)
{
	(void)state;
	struct pipe *lent[PIPES_KEEP + 8];
	struct pipes *p = pipes_new(PIPES_KEEP + 8);
	for (int i = 0; i < PIPES_KEEP + 8; i++)
		assert_non_null(lent[i] = pipes_get(p));
	for (int i = 0; i < PIPES_KEEP + 8; i++)
		pipes_put(p, lent[i]);
	assert_int_equal(pipes_idle(p), PIPES_KEEP);
	assert_int_equal(pipes_lent(p), 0);
	pipes_free(p);
}

static void test_refusal_pauses_then_recovers(void **state)
{
	(void)state;
	struct rlimit was, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	struct pipes *p = pipes_new(8);
	struct pipe *kept = pipes_get(p);
	none = was;
	none.rlim_cur = 0; /* no new descriptor at all */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int64_t start = mono_ms();
	assert_null(pipes_get(p));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_null(pipes_get(p)); /* could be had again, but the pool pauses */
	pipes_put(p, kept);
	assert_ptr_equal(kept, pipes_get(p)); /* what is idle is lent all the same */

	struct pipe *pipe = NULL;
	while (!(pipe = pipes_get(p)) && mono_ms() < start + 20000)
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	assert_non_null(pipe);
	assert_true(mono_ms() - start >= PIPES_PAUSE_MS - 20); /* the pool reads a coarse clock */
	pipes_put(p, pipe);
	pipes_put(p, kept);
	pipes_free(p);
}

/* As a user of its own without privileges: the kernel's quota of pages ends in pipes of 8 KiB, which must not be lent. */
static int drain_the_quota(void)
{
	struct rlimit lim;
	if (geteuid() == 0 && setuid(61000 + (uid_t)(getpid() % 1000)) < 0)
		return 2;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 2;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 2;
	struct pipes *p = pipes_new(8192);
	struct pipe *all = NULL, *pipe;
	unsigned n = 0;
	while ((pipe = pipes_get(p))) {
		if (pipe->size < PIPES_SIZE_MIN)
			return 3;
		pipe->next = all;
		all = pipe;
		n++;
	}
	if (n == 0 || n >= 8192 || pipes_lent(p) != n)
		return 4;
	while ((pipe = all)) {
		all = pipe->next;
		pipes_put(p, pipe);
	}
	pipes_free(p);
	return 0;
}

static void test_small_pipes_are_refused(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(drain_the_quota());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get_gives_a_good_pipe),   cmocka_unit_test(test_empty_pipe_is_lent_again),
		cmocka_unit_test(test_dirty_pipe_is_closed),    cmocka_unit_test(test_cap_is_exact),
		cmocka_unit_test(test_keeps_a_bounded_number),  cmocka_unit_test(test_refusal_pauses_then_recovers),
		cmocka_unit_test(test_small_pipes_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
