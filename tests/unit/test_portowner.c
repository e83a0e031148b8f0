#include "proxy/portowner.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct addr at(const char *text)
{
	struct addr a;
	assert_true(addr_parse_port(&a, text));
	return a;
}

/* Listens at an address of the text form with port 0 and puts the port into it; -1: there is no such address here. */
static int listen_at(struct addr *a)
{
	int off = 0, fd = socket(addr_family(a), SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof *a;
	if (fd < 0)
		return -1;
	if (addr_family(a) == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (bind(fd, &a->sa, addr_len(a)) < 0 || listen(fd, 1) < 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, &a->sa, &len), 0);
	return fd;
}

static void test_names_us(void **state)
{
	(void)state;
	static const struct {
		const char *has, *want;
		bool found;
	} cases[] = {
		{"127.0.0.1:0", "127.0.0.1:0", true},  {"127.0.0.1:0", "0.0.0.0:0", true}, /* a wildcard would clash with it */
		{"0.0.0.0:0", "127.0.0.1:0", true},                                        /* and the other way round */
		{"127.0.0.1:0", "127.0.0.2:0", false}, {"[::1]:0", "[::1]:0", true},       {"[::1]:0", "[::]:0", true},
		{"[::]:0", "[::1]:0", true},           {"[::]:0", "127.0.0.1:0", true}, /* both families */
		{"127.0.0.1:0", "[::]:0", true},       {"[::1]:0", "127.0.0.1:0", false},  {"[::1]:0", "[2001:db8::1]:0", false},
		{"127.0.0.1:0", "[::1]:0", false},
	};
	char name[32], expect[64], out[PORTOWNER_MAX];
	prctl(PR_SET_NAME, "ev) S 1 il");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr has = at(cases[i].has), want = at(cases[i].want);
		int fd = listen_at(&has);
		if (fd < 0 && addr_family(&has) == AF_INET6)
			continue; /* no IPv6 on this machine */
		assert_true(fd >= 0);
		addr_set_port(&want, addr_port(&has));
		prctl(PR_GET_NAME, name);
		snprintf(expect, sizeof expect, "pid %d (%s)", getpid(), name);
		int rc = portowner_describe(&want, out, sizeof out);
		if (rc != (cases[i].found ? 0 : -ENOENT) || strcmp(out, cases[i].found ? expect : "") != 0)
			fail_msg("case %zu: %d %s", i, rc, out);
		close(fd);
		assert_int_equal(portowner_describe(&want, out, sizeof out), -ENOENT); /* gone */
		assert_string_equal(out, "");
	}
}

static void test_connections_are_no_listeners(void **state)
{
	(void)state;
	struct addr has = at("127.0.0.1:0"), us;
	socklen_t len = sizeof us;
	char out[PORTOWNER_MAX];
	int listener = listen_at(&has), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, &has.sa, addr_len(&has)), 0);
	assert_int_equal(getsockname(fd, &us.sa, &len), 0);
	assert_int_equal(portowner_describe(&us, out, sizeof out), -ENOENT);
	close(fd);
	close(listener);
}

static void test_small_buffer(void **state)
{
	(void)state;
	struct addr has = at("127.0.0.1:0");
	int fd = listen_at(&has);
	char out[8] = "xxxxxxx";
	assert_int_equal(portowner_describe(&has, out, 5), 0);
	assert_string_equal(out, "pid ");
	assert_int_equal(out[5], 'x');
	close(fd);
}

/* Runs in a process of its own until its end of the pipe says so. */
static pid_t start(int ready, int until, const char *name, int children)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	char c;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < children; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			prctl(PR_SET_NAME, "worker");
			(void)!write(ready, "x", 1);
			(void)!read(until, &c, 1);
			_exit(0);
		}
	prctl(PR_SET_NAME, name);
	(void)!write(ready, "x", 1);
	(void)!read(until, &c, 1);
	_exit(0);
}

static void test_master_and_workers(void **state)
{
	(void)state;
	struct addr has = at("127.0.0.1:0");
	int ready[2], until[2], fd = listen_at(&has);
	char out[PORTOWNER_MAX], expect[64], c;
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(until), 0);
	pid_t pid = start(ready[1], until[0], "ma) S 1 st", 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	close(fd); /* it is theirs alone now */
	assert_int_equal(portowner_describe(&has, out, sizeof out), 0);
	snprintf(expect, sizeof expect, "pid %d (ma) S 1 st) and 3 more", pid);
	assert_string_equal(out, expect);
	assert_int_equal(write(until[1], "xxxx", 4), 4);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 2; i++) {
		close(ready[i]);
		close(until[i]);
	}
}

/* Asked by somebody who cannot look into the other's descriptors. */
static void test_unseen_process(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct addr has = at("127.0.0.1:0");
	int fd = listen_at(&has), status;
	char out[PORTOWNER_MAX];
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fd);
		if (setuid(65534) < 0)
			_exit(2);
		_exit(portowner_describe(&has, out, sizeof out) == 0 && strcmp(out, "uid 0 (root)") == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_us),       cmocka_unit_test(test_connections_are_no_listeners),
		cmocka_unit_test(test_small_buffer),   cmocka_unit_test(test_master_and_workers),
		cmocka_unit_test(test_unseen_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
