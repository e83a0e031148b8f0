/* Control sockets: a real server in a thread of its own, asked properly by the client and improperly by hand. */
#include "lib/ctl.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS       20000 /* no test waits as long for what does come */
#define LINE_TIMEOUT_MS   2000  /* longer than this process may be without a processor */
#define ANSWER_TIMEOUT_MS 2500
#define BIG               900000

struct fixture {
	char dir[64], path[128], address[160];
	struct event_base *base;
	struct ctl_server *server;
	pthread_t thread;
	struct ctl_call *kept;
	int gate[2]; /* a pipe: "stall" keeps the loop until a byte comes */
	atomic_int calls, sessions;
};

static void on_call(struct ctl_call *call, const char *cmd, json_t *request, void **session, void *arg)
{
	struct fixture *f = arg;
	atomic_fetch_add(&f->calls, 1);
	if (strcmp(cmd, "echo") == 0) {
		ctl_answer(call, json_pack("{s:O, s:O*}", "got", json_object_get(request, "say"), "pad", json_object_get(request, "pad")));
	} else if (strcmp(cmd, "refuse") == 0) {
		ctl_fail(call, (enum ctl_code)json_integer_value(json_object_get(request, "as")), "no %s", "\xff thanks");
	} else if (strcmp(cmd, "big") == 0 || strcmp(cmd, "huge") == 0) {
		size_t len = strcmp(cmd, "big") == 0 ? BIG : CTL_LINE_MAX;
		char *text = malloc(len);
		memset(text, 'b', len);
		ctl_answer(call, json_pack("{s:s#}", "text", text, (int)len));
		free(text);
	} else if (strcmp(cmd, "who") == 0) {
		ctl_answer(call, json_pack("{s:s}", "peer", ctl_peer(call)));
	} else if (strcmp(cmd, "keep") == 0) {
		f->kept = call;
	} else if (strcmp(cmd, "stall") == 0) {
		char byte;
		assert_int_equal(read(f->gate[0], &byte, 1), 1);
		ctl_answer(call, NULL);
	} else if (strcmp(cmd, "release") == 0) {
		ctl_answer(f->kept, NULL);
		ctl_answer(call, NULL);
	} else if (strcmp(cmd, "count") == 0) {
		if (!*session)
			*session = calloc(1, sizeof(int));
		ctl_answer(call, json_pack("{s:i}", "n", ++*(int *)*session));
		atomic_fetch_add(&f->sessions, *(int *)*session == 1);
	} else {
		event_base_loopexit(f->base, NULL);
		ctl_answer(call, NULL);
	}
}

static void *serve(void *arg)
{
	struct fixture *f = arg;
	event_base_dispatch(f->base);
	return NULL;
}

static _Atomic int freed_sessions;

static void session_free(void *session)
{
	atomic_fetch_add(&freed_sessions, 1);
	free(session);
}

static struct ctl_options options(struct fixture *f)
{
	struct group *own = getgrgid(getgid()); /* so that the tests run as anybody */
	return (struct ctl_options){.address = f->address,
				    .group = own ? own->gr_name : "root",
				    .handler = on_call,
				    .session_free = session_free,
				    .arg = f,
				    .line_timeout_ms = LINE_TIMEOUT_MS,
				    .answer_timeout_ms = ANSWER_TIMEOUT_MS};
}

static int make_place(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/test_ctl.XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	chmod(f->dir, 0755);
	snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	snprintf(f->address, sizeof(f->address), "unix:%s", f->path);
	f->base = event_base_new();
	*state = f;
	return 0;
}

static int remove_place(void **state)
{
	struct fixture *f = *state;
	event_base_free(f->base);
	unlink(f->path);
	int rc = rmdir(f->dir);
	free(f);
	return rc;
}

static int start(void **state)
{
	if (make_place(state) < 0)
		return -1;
	struct fixture *f = *state;
	struct ctl_options opt = options(f);
	struct err err = {0};
	if (ctl_listen(&f->server, f->base, &opt, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	return pthread_create(&f->thread, NULL, serve, f);
}

/* ---- the other side, by hand ---- */

static int dial(const struct fixture *f)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(sa.sun_path, f->path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

#define SAY(fd, text) say(fd, text, sizeof(text) - 1)

/* One line into out, or false at the end of the connection. */
static bool hear(int fd, char *out, size_t cap)
{
	for (size_t n = 0; n + 1 < cap; n++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, PATIENCE_MS) != 1)
			fail_msg("no answer");
		if (recv(fd, out + n, 1, 0) <= 0)
			return false;
		if (out[n] == '\n') {
			out[n] = '\0';
			return true;
		}
	}
	fail_msg("the line is too long");
	return false;
}

static void expect_end(int fd)
{
	char line[512];
	if (hear(fd, line, sizeof(line)))
		fail_msg("expected the end of the connection, got %s", line);
	close(fd);
}

static void ask(struct ctl_client *c, const char *cmd, json_t *fields)
{
	struct err err = {0};
	json_t *answer;
	if (ctl_request(c, cmd, fields, PATIENCE_MS, &answer, NULL, &err) < 0)
		fail_msg("%s: %s", cmd, err.text);
	json_decref(answer);
}

static struct ctl_client *client(const struct fixture *f)
{
	struct ctl_client *c = NULL;
	struct err err = {0};
	if (ctl_connect(&c, f->address, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

/* The server must still be well after what a test did to it. */
static int stop(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f);
	ask(c, "echo", json_pack("{s:s}", "say", "still there"));
	ctl_disconnect(c);
	int fd = dial(f);
	SAY(fd, "{\"v\":1,\"cmd\":\"stop\"}\n"); /* the loop ends before it could answer */
	pthread_join(f->thread, NULL);
	ctl_close(f->server);
	close(fd);
	if (access(f->path, F_OK) == 0)
		return -1; /* the socket must go with its server */
	return remove_place(state);
}

/* ---- tests ---- */

static void requests_are_answered(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f);
	struct err err = {0};
	enum ctl_code code;
	json_t *answer;
	assert_int_equal(ctl_request(c, "echo", json_pack("{s:s}", "say", "h\xc3\xa9"), PATIENCE_MS, &answer, &code, &err), 0);
	assert_string_equal(json_string_value(json_object_get(answer, "got")), "h\xc3\xa9");
	json_decref(answer);
	for (int as = CTL_REFUSED; as <= CTL_STUCK; as++) {
		assert_int_equal(ctl_request(c, "refuse", json_pack("{s:i}", "as", as), PATIENCE_MS, &answer, &code, &err), -EPROTO);
		assert_int_equal(code, as);
		assert_string_equal(err.text, "no ? thanks");
		assert_null(answer);
	}
	assert_int_equal(ctl_request(c, "big", NULL, PATIENCE_MS, &answer, &code, &err), 0);
	assert_int_equal(json_string_length(json_object_get(answer, "text")), BIG);
	json_decref(answer);
	assert_int_equal(ctl_request(c, "huge", NULL, PATIENCE_MS, &answer, &code, &err), -EPROTO);
	assert_int_equal(code, CTL_FAILED);
	char *text = calloc(1, CTL_LINE_MAX + 1);
	memset(text, 't', CTL_LINE_MAX);
	assert_int_equal(ctl_request(c, "echo", json_pack("{s:s}", "say", text), PATIENCE_MS, &answer, &code, &err), -EMSGSIZE);
	free(text);
	char self[64];
	snprintf(self, sizeof(self), "uid %u pid %d", getuid(), (int)getpid());
	assert_int_equal(ctl_request(c, "who", NULL, PATIENCE_MS, &answer, &code, &err), 0);
	assert_string_equal(json_string_value(json_object_get(answer, "peer")), self);
	json_decref(answer);
	ask(c, "echo", json_pack("{s:i}", "say", 1));
	ctl_disconnect(c);
}

static void a_late_answer_is_not_taken_for_the_next(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f), *other = client(f);
	struct err err = {0};
	enum ctl_code code;
	json_t *answer;
	assert_int_equal(ctl_request(c, "keep", NULL, 50, &answer, &code, &err), -ETIMEDOUT);
	assert_int_equal(code, CTL_FAILED);
	ask(other, "release", NULL);
	assert_int_equal(ctl_request(c, "echo", json_pack("{s:s}", "say", "mine"), PATIENCE_MS, &answer, &code, &err), 0);
	assert_string_equal(json_string_value(json_object_get(answer, "got")), "mine");
	json_decref(answer);
	ctl_disconnect(c);
	ctl_disconnect(other);
}

#define MANY 1000

static void on_refusal(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	(void)i;
	assert_int_equal(rc, -EPROTO);
	assert_null(answer);
	assert_string_equal(err->text, "no ? thanks");
	++*(int *)arg;
}

static void on_echo(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	size_t *n = arg;
	(void)err;
	assert_int_equal(i, (*n)++);
	assert_int_equal(rc, 0);
	assert_int_equal(json_integer_value(json_object_get(answer, "got")), i);
}

static void many_are_asked_ahead(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f);
	struct err err = {0};
	json_t *fields[MANY];
	size_t n = 0, done = 0;
	for (size_t i = 0; i < MANY; i++)
		fields[i] = json_pack("{s:i}", "say", (int)i);
	assert_int_equal(ctl_request_many(c, "echo", fields, MANY, PATIENCE_MS, on_echo, &n, &done, &err), 0);
	assert_int_equal(done, MANY);
	assert_int_equal(n, MANY);
	char big[20000]; /* more at once than sockets hold, and answers as long */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (size_t i = 0; i < MANY; i++)
		fields[i] = json_pack("{s:i, s:s}", "say", (int)i, "pad", big);
	n = 0;
	assert_int_equal(ctl_request_many(c, "echo", fields, MANY, PATIENCE_MS, on_echo, &n, &done, &err), 0);
	assert_int_equal(n, MANY);
	int refused = 0;
	for (int i = 0; i < 2; i++)
		fields[i] = json_pack("{s:i}", "as", CTL_REFUSED);
	assert_int_equal(ctl_request_many(c, "refuse", fields, 2, PATIENCE_MS, on_refusal, &refused, &done, &err), 0);
	assert_int_equal(refused, 2);
	ask(c, "echo", json_pack("{s:s}", "say", "as before"));
	assert_int_equal(ctl_request_many(c, "keep", (json_t *[]){NULL, NULL}, 2, 50, on_refusal, &refused, &done, &err), -ETIMEDOUT);
	assert_int_equal(done, 0);
	ctl_disconnect(c);
	c = client(f);
	ask(c, "release", NULL); /* the second of them is not begun: there is nothing that it could leave behind */
	ctl_disconnect(c);
}

static void lines_come_as_they_like(void **state)
{
	static const char request[] = "{\"v\":1,\"id\":\"a\",\"cmd\":\"echo\",\"say\":1}\n";
	struct fixture *f = *state;
	char line[512];
	int fd = dial(f);
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		say(fd, request + i, 1);
	assert_true(hear(fd, line, sizeof(line)));
	assert_string_equal(line, "{\"v\":1,\"id\":\"a\",\"ok\":true,\"got\":1}");
	SAY(fd, "{\"v\":1,\"cmd\":\"echo\",\"say\":2}\n{\"v\":1,\"cmd\":\"echo\",\"say\":3}\r\n{\"v\":1,\"cmd\":\"echo\",\"say\":4}\n{"
		"\"v\":1,");
	shutdown(fd, SHUT_WR);
	for (int i = 2; i <= 4; i++) {
		char expected[80];
		snprintf(expected, sizeof(expected), "{\"v\":1,\"ok\":true,\"got\":%d}", i);
		assert_true(hear(fd, line, sizeof(line)));
		assert_string_equal(line, expected);
	}
	expect_end(fd);
}

static void bad_lines_end_the_connection(void **state)
{
#define ROW(text)                       \
	{                               \
		text "\n", sizeof(text) \
	}
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		ROW("{\"v\":1,\"cmd\":\"a\0b\"}"),
		ROW("{\"v\":1,\"cmd\":\"\xff\xfe\"}"),
		ROW("\0"),
		ROW(""),
		ROW("hold alice"),
		ROW("[1]"),
		ROW("{\"v\":2,\"cmd\":\"echo\"}"),
		ROW("{\"cmd\":\"echo\"}"),
		ROW("{\"v\":1}"),
		ROW("{\"v\":1,\"cmd\":7}"),
		ROW("{\"v\":1,\"cmd\":\"a\",\"cmd\":\"b\"}"),
		ROW("{\"v\":1,\"id\":7,\"cmd\":\"echo\"}"),
	};
	struct fixture *f = *state;
	char line[512];
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int fd = dial(f), calls = atomic_load(&f->calls);
		say(fd, rows[i].text, rows[i].len);
		assert_true(hear(fd, line, sizeof(line)));
		if (!strstr(line, "\"ok\":false,\"code\":\"usage\""))
			fail_msg("row %zu: %s", i, line);
		expect_end(fd);
		assert_int_equal(atomic_load(&f->calls), calls);
	}
}

static void an_endless_line_is_cut_off(void **state)
{
	struct fixture *f = *state;
	static char chunk[65536];
	char line[512];
	size_t sent = 0;
	int fd = dial(f);
	memset(chunk, 'x', sizeof(chunk));
	for (ssize_t n; sent < 8 * CTL_LINE_MAX && (n = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL)) > 0;)
		sent += (size_t)n;
	assert_true(sent < 2 * CTL_LINE_MAX);
	assert_true(hear(fd, line, sizeof(line)));
	assert_non_null(strstr(line, "more than 1048576 bytes"));
	close(fd);
}

/* A byte now and then buys no time: it is the line that has a deadline. */
static void an_unfinished_line_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	char line[512];
	int fd = dial(f);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	for (int i = 0; poll(&p, 1, 20) == 0; i++) {
		assert_true(i < PATIENCE_MS / 20);
		if (send(fd, " ", 1, MSG_NOSIGNAL) < 0)
			break;
	}
	assert_true(hear(fd, line, sizeof(line)));
	assert_non_null(strstr(line, "not finished"));
	expect_end(fd);
}

static void a_client_may_go_before_its_answer(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), calls = atomic_load(&f->calls);
	SAY(fd, "{\"v\":1,\"cmd\":\"keep\"}\n");
	for (int i = 0; atomic_load(&f->calls) == calls && i < PATIENCE_MS; i++)
		poll(NULL, 0, 1);
	close(fd);
	struct ctl_client *c = client(f);
	ask(c, "release", NULL);
	ctl_disconnect(c);
	assert_int_equal(atomic_load(&f->calls), calls + 2);
}

/* What waits behind a request that takes long must not be begun when nobody is there any more: the asker has given it up, and asked
 * something else since. */
static void a_request_whose_client_is_gone_is_not_begun(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *other = client(f);
	int fd = dial(f);
	SAY(fd, "{\"v\":1,\"cmd\":\"keep\"}\n{\"v\":1,\"cmd\":\"count\"}\n");
	while (atomic_load(&f->calls) == 0)
		poll(NULL, 0, 1);
	close(fd);
	ask(other, "release", NULL);
	ask(other, "echo", json_pack("{s:s}", "say", "the loop has turned"));
	assert_int_equal(atomic_load(&f->calls), 3);
	assert_int_equal(atomic_load(&f->sessions), 0);
	ctl_disconnect(other);
}

/* The same of one that came and went while the loop was busy with another's: here no answer fails that would tell. */
static void a_request_found_too_late_is_not_begun(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(pipe(f->gate), 0);
	int busy = dial(f);
	SAY(busy, "{\"v\":1,\"cmd\":\"stall\"}\n");
	while (atomic_load(&f->calls) == 0)
		poll(NULL, 0, 1);
	int fd = dial(f);
	SAY(fd, "{\"v\":1,\"cmd\":\"count\"}\n");
	close(fd);
	struct ctl_client *other = client(f);
	assert_int_equal(write(f->gate[1], "", 1), 1);
	for (int i = 0; i < 3; i++)
		ask(other, "echo", json_pack("{s:s}", "say", "the loop has turned"));
	assert_int_equal(atomic_load(&f->sessions), 0);
	ctl_disconnect(other);
	close(busy);
	close(f->gate[0]);
	close(f->gate[1]);
}

static void who_does_not_read_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), calls = atomic_load(&f->calls);
	for (int i = 0; i < 10; i++)
		SAY(fd, "{\"v\":1,\"cmd\":\"big\"}\n");
	struct pollfd p = {.fd = fd, .events = 0};
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1); /* POLLHUP: the server has closed */
	assert_true(p.revents & POLLHUP);
	assert_int_equal(atomic_load(&f->calls), calls + 1); /* what follows an unread answer is not begun */
	close(fd);
}

static void a_session_lives_with_its_connection(void **state)
{
	struct fixture *f = *state;
	struct ctl_client *c = client(f), *other = client(f);
	struct err err = {0};
	json_t *answer;
	int before = atomic_load(&freed_sessions);
	ask(other, "count", NULL);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(ctl_request(c, "count", NULL, PATIENCE_MS, &answer, NULL, &err), 0);
		assert_int_equal(json_integer_value(json_object_get(answer, "n")), i);
		json_decref(answer);
	}
	assert_int_equal(atomic_load(&f->sessions), 2);
	ctl_disconnect(c);
	ctl_disconnect(other);
	for (int i = 0; atomic_load(&freed_sessions) < before + 2 && i < PATIENCE_MS; i++)
		poll(NULL, 0, 1);
	assert_int_equal(atomic_load(&freed_sessions), before + 2);
}

/* In a process of its own: opens 500 connections, and tells how many of them the server keeps. */
static void open_500(const struct fixture *f, uid_t uid, int go, int limit)
{
	int fds[500], kept = 500;
	if (setuid(uid) < 0)
		_exit(100);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* setuid() takes it back */
	for (int i = 0; i < 500; i++)
		fds[i] = dial(f);
	for (int tries = 0; kept > limit && tries < PATIENCE_MS / 10; tries++) {
		kept = 0;
		for (int i = 0; i < 500; i++) {
			struct pollfd p = {.fd = fds[i], .events = POLLIN}; /* a word of refusal, or the end */
			kept += fds[i] >= 0 && poll(&p, 1, 0) == 0;
		}
		poll(NULL, 0, 10);
	}
	(void)!write(go, &kept, sizeof(kept));
	pause();
}

static void root_gets_in_among_500(void **state)
{
	struct fixture *f = *state;
	if (getuid() != 0)
		skip();
	const uid_t users[] = {65534, 0};
	for (size_t i = 0; i < 2; i++) {
		int go[2], kept, limit = users[i] ? CTL_CONNECTIONS - 1 : CTL_CONNECTIONS;
		assert_int_equal(pipe(go), 0);
		pid_t child = fork();
		if (child == 0)
			open_500(f, users[i], go[1], limit);
		assert_int_equal(read(go[0], &kept, sizeof(kept)), sizeof(kept));
		assert_int_equal(kept, limit);
		struct ctl_client *c = client(f);
		ask(c, "echo", json_pack("{s:i}", "say", 1));
		ctl_disconnect(c);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(go[0]);
		close(go[1]);
	}
}

static void strangers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	if (getuid() != 0)
		skip();
	int calls = atomic_load(&f->calls), status;
	chmod(f->path, 0666); /* as if somebody had; the peer check must not rely on the mode */
	pid_t child = fork();
	if (child == 0) {
		char line[512];
		const gid_t others[] = {65533, 65532};
		if (setgroups(2, others) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(100);
		int fd = dial(f);
		(void)!send(fd, "{\"v\":1,\"cmd\":\"echo\"}\n", 21, MSG_NOSIGNAL);
		bool told = hear(fd, line, sizeof(line)) && strstr(line, "\"refused\"") && strstr(line, "user 65534 is neither root");
		_exit(told && !hear(fd, line, sizeof(line)) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&f->calls), calls);
	/* one who has the group only beside its own gets in */
	child = fork();
	if (child == 0) {
		char line[512];
		gid_t beside = getgid();
		if (setgroups(1, &beside) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
			_exit(100);
		int fd = dial(f);
		(void)!send(fd, "{\"v\":1,\"cmd\":\"echo\",\"say\":1}\n", 29, MSG_NOSIGNAL);
		_exit(hear(fd, line, sizeof(line)) && strstr(line, "\"ok\":true") ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void expect_refusal(struct fixture *f, int code, const char *word)
{
	struct ctl_options opt = options(f);
	struct ctl_server *s = NULL;
	struct err err = {0};
	int rc = ctl_listen(&s, f->base, &opt, &err);
	if (rc != code || !strstr(err.text, word))
		fail_msg("expected %d with \"%s\", got %d: %s", code, word, rc, err.text);
}

static void places_are_checked(void **state)
{
	struct fixture *f = *state;
	struct ctl_options opt = options(f);
	struct ctl_server *s = NULL;
	struct err err = {0};
	char target[200];
	snprintf(target, sizeof(target), "%s/target", f->dir);
	assert_int_equal(symlink(target, f->path), 0);
	expect_refusal(f, -EPERM, "symbolic link");
	unlink(f->path);
	close(open(f->path, O_CREAT | O_WRONLY, 0600));
	expect_refusal(f, -EEXIST, "no socket");
	unlink(f->path);
	chmod(f->dir, 0775);
	expect_refusal(f, -EPERM, "0775");
	chmod(f->dir, 01777);
	expect_refusal(f, -EPERM, "1777");
	chmod(f->dir, 0755);
	assert_int_equal(access(f->path, F_OK), -1);

	assert_int_equal(ctl_listen(&s, f->base, &opt, &err), 0);
	expect_refusal(f, -EEXIST, "another server");
	assert_int_equal(access(f->path, F_OK), 0);
	/* the server dies: its socket stays and is replaced */
	snprintf(target, sizeof(target), "%s.old", f->path);
	assert_int_equal(rename(f->path, target), 0);
	ctl_close(s);
	assert_int_equal(rename(target, f->path), 0);
	assert_int_equal(ctl_listen(&s, f->base, &opt, &err), 0);
	ctl_close(s);
	assert_int_equal(access(f->path, F_OK), -1);
	/* what took its place is not its to remove */
	assert_int_equal(ctl_listen(&s, f->base, &opt, &err), 0);
	unlink(f->path);
	close(open(f->path, O_CREAT | O_WRONLY, 0600));
	ctl_close(s);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void addresses(void **state)
{
	struct ctl_client *c = NULL;
	struct err err = {0};
	char text[300] = "unix:/";
	struct fixture *f = *state;
	assert_int_equal(ctl_connect(&c, f->address, &err), -ENOENT);
	assert_int_equal(ctl_connect(&c, "/run/x", &err), -EINVAL);
	assert_int_equal(ctl_connect(&c, "unix:x", &err), -EINVAL);
	memset(text + 6, 'p', 200);
	assert_int_equal(ctl_connect(&c, text, &err), -ENAMETOOLONG);
	text[5 + 107] = '\0';
	assert_int_equal(ctl_connect(&c, text, &err), -ENOENT);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define SERVED(t) cmocka_unit_test_setup_teardown(t, start, stop)
#define PLACED(t) cmocka_unit_test_setup_teardown(t, make_place, remove_place)
		SERVED(requests_are_answered),
		SERVED(a_late_answer_is_not_taken_for_the_next),
		SERVED(many_are_asked_ahead),
		SERVED(lines_come_as_they_like),
		SERVED(bad_lines_end_the_connection),
		SERVED(an_endless_line_is_cut_off),
		SERVED(an_unfinished_line_is_not_waited_for),
		SERVED(a_client_may_go_before_its_answer),
		SERVED(a_request_whose_client_is_gone_is_not_begun),
		SERVED(a_request_found_too_late_is_not_begun),
		SERVED(who_does_not_read_is_cut_off),
		SERVED(a_session_lives_with_its_connection),
		SERVED(root_gets_in_among_500),
		SERVED(strangers_are_refused),
		PLACED(places_are_checked),
		PLACED(addresses),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
