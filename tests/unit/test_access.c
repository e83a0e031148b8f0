#include "lib/log.h"
#include "proxy/access.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A directory of its own, and standard error caught in a file of it: what was said there is part of the interface. */
struct place {
	char dir[64], log[80], said[80];
	int stderr_was;
};

static void on_file_limit(int sig)
{
	(void)sig; /* SIGXFSZ: the write then fails with EFBIG, or comes back short */
}

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	assert_non_null(p);
	strcpy(p->dir, "/tmp/test_access.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->log, sizeof p->log, "%s/log", p->dir);
	snprintf(p->said, sizeof p->said, "%s/said", p->dir);
	p->stderr_was = dup(STDERR_FILENO);
	int fd = open(p->said, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
	log_open("test_access");
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	char other[96];
	dup2(p->stderr_was, STDERR_FILENO);
	close(p->stderr_was);
	unlink(p->log);
	unlink(p->said);
	snprintf(other, sizeof other, "%s.1", p->log);
	unlink(other);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static char *contents(const char *path)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char *text = NULL;
	size_t len = 0, cap = 0;
	for (;;) {
		if (len + 4096 > cap)
			assert_non_null(text = realloc(text, cap = cap * 2 + 8192));
		size_t n = fread(text + len, 1, 4095, f);
		if (n == 0)
			break;
		len += n;
	}
	text[len] = '\0';
	fclose(f);
	return text;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;
	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static unsigned count_in(const char *path, const char *what)
{
	char *text = contents(path);
	unsigned n = count(text, what);
	free(text);
	return n;
}

static struct access_file *must_open(const char *spec)
{
	struct access_file *f = NULL;
	struct err err = {0};
	if (access_open(&f, spec, ACCESS_TEXT, &err) != 0)
		fail_msg("%s", err.text);
	return f;
}

static struct access_line line_of(uint64_t conn)
{
	static _Thread_local struct addr peer;
	assert_true(addr_parse_port(&peer, "192.0.2.1:4711"));
	return (struct access_line){.conn = conn,
				    .listener = "web",
				    .protocol = "http",
				    .peer = &peer,
				    .account = "alice",
				    .side = "client",
				    .name = slice_of("alice.example"),
				    .method = slice_of("GET"),
				    .target = slice_of("/"),
				    .status = 200,
				    .bytes_up = 120,
				    .bytes_down = UINT64_MAX,
				    .wait_ms = 0,
				    .connect_ms = 1,
				    .total_ms = 12,
				    .why = "ok"};
}

static void write_one(struct access *a, uint64_t conn)
{
	struct access_line l = line_of(conn);
	access_write(a, &l);
}

/* Every line begins and ends as a line of ours does, whatever happened in between. */
static unsigned whole_lines(const char *text)
{
	unsigned n = 0;
	while (*text) {
		const char *end = strchr(text, '\n');
		assert_non_null(end);
		if (strncmp(text, "time=", 5) != 0 || strncmp(end - 9, " why=\"ok\"", 9) != 0 ||
		    memmem(text + 1, (size_t)(end - text), "time=", 5))
			fail_msg("a torn line: %.*s", (int)(end - text), text);
		text = end + 1;
		n++;
	}
	return n;
}

static void test_one_line(void **state)
{
	struct place *p = *state;
	struct access_file *f = must_open(p->log);
	struct access *a = access_new(f);
	struct stat st;
	assert_true(access_wanted(a));
	write_one(a, 7);
	assert_int_equal(stat(p->log, &st), 0);
	assert_int_equal(st.st_size, 0); /* gathered */
	assert_int_equal(st.st_mode & 0777, 0640);
	access_flush(a);
	char *text = contents(p->log);
	assert_int_equal(strncmp(text, "time=20", 7), 0);
	assert_int_equal(text[28], 'Z');
	assert_string_equal(text + 29, " conn=7 listener=\"web\" protocol=http peer=192.0.2.1:4711 account=alice side=client "
				       "name=\"alice.example\" method=\"GET\" target=\"/\" status=200 bytes_up=120 "
				       "bytes_down=18446744073709551615 wait_ms=0 connect_ms=1 total_ms=12 why=\"ok\"\n");
	free(text);
	struct access_line bare = {.conn = 8, .protocol = "tls"}; /* no name, nobody reached */
	access_write(a, &bare);
	access_free(a); /* flushes */
	text = contents(p->log);
	assert_non_null(strstr(text, " conn=8 listener=\"\" protocol=tls peer=- account=- side=- name=\"\" bytes_up=0 "));
	assert_null(strstr(strstr(text, "conn=8"), "method="));
	free(text);
	assert_int_equal(access_lost(f), 0);
	access_close(f);
	access_close(NULL);
	access_free(NULL);
}

static void test_hostile_bytes(void **state)
{
	struct place *p = *state;
	static char longest[20000];
	memset(longest, 0xff, sizeof longest);
	struct {
		struct slice bytes;
		const char *expect;
	} cases[] = {
		{{"a\nconn=1 account=root", 21}, "name=\"a\\x0aconn=1 account=root\""},
		{{"a\" why=\"b\\", 10}, "name=\"a\\x22 why=\\x22b\\x5c\""},
		{{"\0\x1b[2J\x7f\x80", 7}, "name=\"\\x00\\x1b[2J\\x7f\\x80\""},
		{{longest, sizeof longest}, "...\" method="},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct access_file *f = must_open(p->log);
		struct access *a = access_new(f);
		struct access_line l = line_of(1);
		l.name = l.method = l.target = cases[i].bytes;
		access_write(a, &l);
		access_free(a);
		access_close(f);
		char *text = contents(p->log);
		assert_non_null(strstr(text, cases[i].expect));
		assert_int_equal(whole_lines(text), 1);
		assert_true(strlen(text) <= 4096);
		for (const char *c = text; *c; c++)
			assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
		free(text);
		unlink(p->log);
	}
}

static void test_full_buffer_is_written(void **state)
{
	struct place *p = *state;
	struct access_file *f = must_open(p->log);
	struct access *a = access_new(f);
	for (uint64_t i = 0; i < 1000; i++)
		write_one(a, i);
	char *text = contents(p->log);
	unsigned n = whole_lines(text);
	assert_true(n > 900 && n < 1000);
	free(text);
	access_flush(a);
	text = contents(p->log);
	assert_int_equal(whole_lines(text), 1000);
	free(text);
	assert_int_equal(access_lost(f), 0);
	access_free(a);
	access_close(f);
}

static void test_full_disk(void **state)
{
	struct place *p = *state;
	assert_int_equal(symlink("/dev/full", p->log), 0);
	struct access_file *f = must_open(p->log);
	struct access *a = access_new(f);
	for (uint64_t i = 0; i < 1000; i++)
		write_one(a, i);
	uint64_t lost = access_lost(f);
	assert_true(lost > 900 && lost < 1000); /* the buffer's worth is kept */
	access_flush(a);
	for (uint64_t i = 0; i < 1000; i++)
		write_one(a, i);
	assert_int_equal(access_lost(f), lost + 1000);
	assert_int_equal(count_in(p->said, "access log cannot be written"), 1); /* said once */
	assert_int_equal(count_in(p->said, "No space left on device"), 1);

	assert_int_equal(unlink(p->log), 0); /* room again */
	assert_int_equal(access_reopen(f, NULL), 0);
	access_flush(a);
	write_one(a, 1);
	access_flush(a);
	char *text = contents(p->log);
	assert_int_equal(whole_lines(text), 2000 - access_lost(f) + 1); /* no line is in both counts, none in neither */
	free(text);
	char expect[64];
	snprintf(expect, sizeof expect, "%llu lines were lost", (unsigned long long)(lost + 1000));
	assert_int_equal(count_in(p->said, expect), 1);
	access_flush(a);
	access_free(a);
	access_close(f);
	assert_int_equal(count_in(p->said, "lines were lost"), 1);
}

/* A disk that becomes full in the middle of a line, by the limit on a file's size. */
static void test_torn_line_is_mended(void **state)
{
	struct place *p = *state;
	struct rlimit was, low;
	signal(SIGXFSZ, on_file_limit);
	struct access_file *f = must_open(p->log);
	struct access *a = access_new(f);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	low = was;
	low.rlim_cur = 1000;
	for (uint64_t i = 0; i < 10; i++)
		write_one(a, i);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	access_flush(a);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(access_lost(f), 1);
	access_flush(a);
	char *text = contents(p->log), *line = text;
	unsigned whole = 0, torn = 0;
	for (char *next; *line; line = next) {
		next = strchr(line, '\n');
		assert_non_null(next);
		*next++ = '\0';
		assert_int_equal(count(line, "time="), 1);
		if (strstr(line, "why=\"ok\""))
			whole++;
		else
			torn++;
	}
	assert_int_equal(whole, 9);
	assert_int_equal(torn, 1);
	free(text);
	access_free(a);
	access_close(f);
}

/* Reads the given end until it would block; returns new. */
static char *take(int fd)
{
	char *text = calloc(1, 1 << 20);
	size_t len = 0;
	ssize_t n;
	assert_non_null(text);
	while ((n = read(fd, text + len, (1 << 20) - 1 - len)) > 0)
		len += (size_t)n;
	return text;
}

static void test_reader_gone_and_back(void **state)
{
	struct place *p = *state;
	signal(SIGPIPE, SIG_DFL); /* whoever opens the log must see to it */
	assert_int_equal(mkfifo(p->log, 0600), 0);
	struct access_file *f = NULL;
	struct err err = {0};
	assert_int_equal(access_open(&f, p->log, ACCESS_TEXT, &err), -ENXIO); /* nobody reads it */
	assert_null(f);
	assert_non_null(strstr(err.text, p->log));
	int rd = open(p->log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	f = must_open(p->log);
	struct access *a = access_new(f);
	write_one(a, 1);
	access_flush(a);
	close(rd);
	for (uint64_t i = 0; i < 1000; i++)
		write_one(a, i);
	access_flush(a);
	assert_true(access_lost(f) > 900);
	assert_int_equal(count_in(p->said, "Broken pipe"), 1);
	rd = open(p->log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	access_flush(a);
	char *text = take(rd);
	assert_int_equal(whole_lines(text), 1001 - access_lost(f)); /* the first was still in the pipe */
	free(text);
	assert_int_equal(count_in(p->said, "lines were lost"), 1);
	access_free(a);
	access_close(f);
	close(rd);
}

/* A reader that is slow, behind a pipe, a blocking standard error of each sort, or journald's socket: nothing blocks, lines stay whole. */
static void test_slow_reader(void **state)
{
	struct place *p = *state;
	static const struct {
		const char *what;
		bool by_path, is_socket;
	} cases[] = {{"fifo", true, false}, {"stderr is a pipe", false, false}, {"stderr is a socket", false, true}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int end[2], said = -1;
		if (cases[i].by_path) {
			assert_int_equal(mkfifo(p->log, 0600), 0);
			end[0] = open(p->log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
			end[1] = open(p->log, O_WRONLY | O_CLOEXEC);
		} else if (cases[i].is_socket) {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, end), 0);
		} else {
			assert_int_equal(pipe2(end, O_CLOEXEC), 0);
		}
		assert_int_equal(fcntl(end[0], F_SETFL, O_NONBLOCK), 0);
		if (!cases[i].by_path) {
			said = dup(STDERR_FILENO);
			dup2(end[1], STDERR_FILENO);
		}
		struct access_file *f = must_open(cases[i].by_path ? p->log : "stderr");
		if (said >= 0) {
			assert_false(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK); /* it is shared with others */
			dup2(said, STDERR_FILENO);                                /* our own words go to the file again */
			close(said);
		}
		struct access *a = access_new(f);
		for (uint64_t n = 0; n < 5000; n++)
			write_one(a, n);
		assert_true(access_lost(f) > 0 && access_lost(f) < 5000);
		unsigned got = 0;
		for (unsigned more = 1; more; got += more) {
			access_flush(a);
			char *text = take(end[0]);
			more = whole_lines(text);
			free(text);
		}
		assert_int_equal(got, 5000 - access_lost(f));
		access_free(a);
		access_close(f);
		close(end[0]);
		close(end[1]);
		unlink(p->log);
	}
}

static void test_what_stays_at_the_end_is_lost(void **state)
{
	struct place *p = *state;
	assert_int_equal(symlink("/dev/full", p->log), 0);
	struct access_file *f = must_open(p->log);
	struct access *a = access_new(f);
	write_one(a, 1);
	write_one(a, 2);
	access_free(a);
	assert_int_equal(access_lost(f), 2);
	access_close(f);
	assert_int_equal(count_in(p->said, "2 lines were lost"), 1);
}

static void test_reopen_after_rename(void **state)
{
	struct place *p = *state;
	char old[96];
	snprintf(old, sizeof old, "%s.1", p->log);
	struct access_file *f = must_open(p->log);
	struct access *a = access_new(f);
	write_one(a, 1);
	access_flush(a);
	assert_int_equal(rename(p->log, old), 0);
	write_one(a, 2);
	access_flush(a); /* still the old one */
	write_one(a, 3);
	assert_int_equal(access_reopen(f, NULL), 0);
	access_flush(a);
	assert_int_equal(count_in(old, " conn="), 2);
	assert_int_equal(count_in(p->log, " conn=3 "), 1);

	/* What cannot be opened leaves the old file in use. */
	struct err err = {0};
	assert_int_equal(unlink(p->log), 0);
	assert_int_equal(mkdir(p->log, 0700), 0);
	assert_int_equal(access_reopen(f, &err), -EISDIR);
	assert_non_null(strstr(err.text, p->log));
	write_one(a, 4);
	access_flush(a);
	assert_int_equal(access_lost(f), 0);
	assert_int_equal(rmdir(p->log), 0);
	access_free(a);
	access_close(f);
}

static void test_none_and_bad_paths(void **state)
{
	struct place *p = *state;
	struct access_file *f = must_open("none");
	struct access *a = access_new(f);
	assert_false(access_wanted(a));
	write_one(a, 1);
	access_flush(a);
	assert_int_equal(access_reopen(f, NULL), 0);
	access_free(a);
	assert_int_equal(access_lost(f), 0);
	access_close(f);

	struct err err = {0};
	char path[96];
	snprintf(path, sizeof path, "%s/none/log", p->dir);
	assert_int_equal(access_open(&f, path, ACCESS_TEXT, &err), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_int_equal(access_open(&f, p->dir, ACCESS_TEXT, &err), -EISDIR);
	assert_null(f);
}

#define WORKERS 4
#define LINES   20000

static void *worker(void *arg)
{
	struct access *a = access_new(arg);
	for (uint64_t i = 0; i < LINES; i++) {
		write_one(a, i);
		if (i % 37 == 0)
			access_flush(a);
	}
	access_free(a);
	return NULL;
}

static void test_workers_and_rotations(void **state)
{
	struct place *p = *state;
	char old[96];
	snprintf(old, sizeof old, "%s.1", p->log);
	struct access_file *f = must_open(p->log);
	pthread_t t[WORKERS];
	unsigned lines = 0;
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, worker, f), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(rename(p->log, old), 0);
		assert_int_equal(access_reopen(f, NULL), 0);
		if (i < 19) {
			/* Kept, for a write that was under way still lands in it; all are counted at the end. */
			char keep[112];
			snprintf(keep, sizeof keep, "%s.%d", old, i);
			assert_int_equal(rename(old, keep), 0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	access_close(f);
	for (int i = -2; i < 19; i++) {
		char name[112];
		if (i == -2)
			snprintf(name, sizeof name, "%s", p->log);
		else if (i == -1)
			snprintf(name, sizeof name, "%s", old);
		else
			snprintf(name, sizeof name, "%s.%d", old, i);
		char *text = contents(name);
		lines += whole_lines(text);
		free(text);
		unlink(name);
	}
	assert_int_equal(lines, WORKERS * LINES);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_one_line),
		CASE(test_hostile_bytes),
		CASE(test_full_buffer_is_written),
		CASE(test_full_disk),
		CASE(test_torn_line_is_mended),
		CASE(test_reader_gone_and_back),
		CASE(test_slow_reader),
		CASE(test_what_stays_at_the_end_is_lost),
		CASE(test_reopen_after_rename),
		CASE(test_none_and_bad_paths),
		CASE(test_workers_and_rotations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
