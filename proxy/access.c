#include "proxy/access.h"

#include "lib/log.h"
#include "proxy/access_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_MAX (16u * 1024)

/* How bytes get out. A regular file takes the whole buffer in one O_APPEND write, which the kernel does not mix with others. */
enum kind {
	KIND_NONE,
	KIND_FILE,
	KIND_STREAM, /* pipe or terminal, nonblocking: whole lines, at most PIPE_BUF at a time */
	KIND_POLLED, /* the same where the description is not ours to make nonblocking: asked before each write */
	KIND_SOCKET  /* journald: as a stream, by send() */
};

struct access_file {
	enum access_format format;
	char *path; /* NULL for "none" and "stderr" */
	int fd;     /* its number stays for life: a reopen puts the new file under it */
	_Atomic enum kind kind;
	atomic_bool failing; /* lines have been lost and nothing was written since */
	atomic_bool torn;    /* the file ends in the middle of a line */
	_Atomic uint64_t lost, lost_said;
};

struct access {
	struct access_file *file;
	bool stalled; /* do not try before the next access_flush() */
	int why;      /* errno of the last try that failed */
	size_t len;
	struct access_clock clock;
	char buf[BUFFER_MAX];
};

/* ---- the file ---- */

static enum kind kind_of(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return KIND_POLLED;
	if (S_ISSOCK(st.st_mode))
		return KIND_SOCKET;
	if (S_ISREG(st.st_mode))
		return KIND_FILE;
	return fcntl(fd, F_GETFL) & O_NONBLOCK ? KIND_STREAM : KIND_POLLED;
}

static int open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	return fd < 0 ? -errno : fd;
}

/* O_NONBLOCK belongs to the open description, which we share with whoever started us; so we open our own where that is possible
 * (not of a socket, which needs none: send() takes it per call). */
static int open_stderr(void)
{
	int fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

static void ignore_sigpipe(void)
{
	struct sigaction now;
	if (sigaction(SIGPIPE, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL) {
		now.sa_handler = SIG_IGN;
		sigaction(SIGPIPE, &now, NULL);
	}
}

int access_open(struct access_file **out, const char *spec, enum access_format format, struct err *err)
{
	struct access_file *f = calloc(1, sizeof *f);
	int rc = -ENOMEM;

	*out = NULL;
	if (!f)
		return err_set(err, rc, "access log: out of memory");
	f->fd = -1;
	f->format = format;
	if (strcmp(spec, "none") != 0) {
		if (strcmp(spec, "stderr") == 0) {
			rc = f->fd = open_stderr();
		} else {
			f->path = strdup(spec);
			if (f->path)
				rc = f->fd = open_path(f->path);
		}
		if (rc < 0) {
			free(f->path);
			free(f);
			return err_errno(err, rc, "access log %s", spec);
		}
		f->kind = kind_of(f->fd);
		ignore_sigpipe();
	}
	*out = f;
	return 0;
}

int access_reopen(struct access_file *f, struct err *err)
{
	if (!f->path)
		return 0;
	int fd = open_path(f->path);
	if (fd < 0)
		return err_errno(err, fd, "access log %s (the old file stays)", f->path);
	enum kind kind = kind_of(fd);
	/* Workers may be writing: the number is theirs, what is behind it changes in one step. Between this and the next line a worker may
	 * treat the new file as the old kind, which costs at worst one torn line. */
	int rc = dup3(fd, f->fd, O_CLOEXEC) < 0 ? -errno : 0;
	if (rc == 0) {
		f->kind = kind;
		f->torn = false;
	}
	close(fd);
	return rc < 0 ? err_errno(err, rc, "access log %s (the old file stays)", f->path) : 0;
}

void access_close(struct access_file *f)
{
	if (!f)
		return;
	if (f->lost > f->lost_said)
		log_warn("access log: %llu lines were lost", (unsigned long long)(f->lost - f->lost_said));
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
}

uint64_t access_lost(const struct access_file *f)
{
	return f->lost;
}

static void lose(struct access_file *f, uint64_t lines, int why)
{
	f->lost += lines;
	if (!atomic_exchange(&f->failing, true))
		log_error("access log cannot be written, lines are lost until it can: %s", strerror(why));
}

static void wrote(struct access_file *f)
{
	if (!f->failing || !atomic_exchange(&f->failing, false))
		return;
	uint64_t lost = f->lost, said = atomic_exchange(&f->lost_said, lost);
	log_warn("access log can be written again, %llu lines were lost", (unsigned long long)(lost - said));
}

/* ---- writing out ---- */

/* One write of at most len bytes. 0 < n, or -errno. */
static ssize_t put(struct access_file *f, enum kind kind, const char *p, size_t len)
{
	struct iovec iov[2] = {{.iov_base = (char[]){'\n'}, .iov_len = 1}, {.iov_base = (char *)(uintptr_t)p, .iov_len = len}};
	bool mend = f->torn;
	struct msghdr msg = {.msg_iov = iov + !mend, .msg_iovlen = 1 + (size_t)mend};
	ssize_t n;

	if (kind == KIND_POLLED) {
		struct pollfd pfd = {.fd = f->fd, .events = POLLOUT};
		if (poll(&pfd, 1, 0) <= 0)
			return -EAGAIN;
	}
	do {
		if (kind == KIND_SOCKET)
			n = sendmsg(f->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = writev(f->fd, msg.msg_iov, (int)msg.msg_iovlen);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (mend && n > 0) {
		f->torn = false;
		n--;
	}
	return n > 0 ? n : -EAGAIN;
}

/* How much of the buffer to hand over at once: all, or as many whole lines as a pipe takes in one piece. */
static size_t chunk(enum kind kind, const char *p, size_t len)
{
	if (kind == KIND_FILE || len <= PIPE_BUF - 1)
		return len;
	const char *end = memrchr(p, '\n', PIPE_BUF - 1); /* one byte is kept for mending a torn line */
	assert(end);
	return (size_t)(end - p) + 1;
}

static void drain(struct access *a)
{
	struct access_file *f = a->file;
	enum kind kind = f->kind;
	size_t done = 0;

	while (done < a->len && !a->stalled) {
		size_t want = chunk(kind, a->buf + done, a->len - done);
		ssize_t n = put(f, kind, a->buf + done, want);
		if (n < 0) {
			a->why = (int)-n;
			a->stalled = true;
			break;
		}
		done += (size_t)n;
		if (a->buf[done - 1] != '\n') { /* the disk became full inside a line: its rest would follow another worker's line */
			char *end = memchr(a->buf + done, '\n', a->len - done);
			done = (size_t)(end - a->buf) + 1;
			f->torn = true;
			lose(f, 1, kind == KIND_FILE ? ENOSPC : EAGAIN);
		} else {
			wrote(f);
		}
	}
	a->len -= done;
	memmove(a->buf, a->buf + done, a->len);
}

void access_flush(struct access *a)
{
	a->stalled = false;
	if (a->len)
		drain(a);
}

struct access *access_new(struct access_file *f)
{
	struct access *a = calloc(1, sizeof *a);
	if (a) {
		a->file = f;
		a->clock.second = -1;
	}
	return a;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	access_flush(a);
	uint64_t left = 0;
	for (size_t i = 0; i < a->len; i++)
		left += a->buf[i] == '\n';
	if (left)
		lose(a->file, left, a->why);
	free(a);
}

bool access_wanted(const struct access *a)
{
	return a->file->kind != KIND_NONE;
}

/* ---- one line ---- */

static const char *second_text(struct access_clock *c, time_t now)
{
	struct tm tm;

	if (now != c->second) {
		c->second = now;
		gmtime_r(&now, &tm);
		strftime(c->stamp, sizeof c->stamp, "%Y-%m-%dT%H:%M:%S", &tm);
	}
	return c->stamp;
}

void access_add_time(struct access_text *l, struct access_clock *c, unsigned width)
{
	struct timespec now;
	unsigned fraction;

	clock_gettime(CLOCK_REALTIME, &now);
	fraction = (unsigned)now.tv_nsec;
	for (unsigned i = width; i < 9; i++)
		fraction /= 10;
	const char *stamp = second_text(c, now.tv_sec);
	access_add(l, stamp, strlen(stamp));
	ACCESS_ADD(l, ".");
	access_add_digits(l, fraction, width);
	ACCESS_ADD(l, "Z");
}

void access_write(struct access *a, const struct access_line *in)
{
	struct access_text l;

	if (!access_wanted(a))
		return;
	l.len = 0;
	switch (a->file->format) {
	case ACCESS_JSON:
		access_format_json(&l, &a->clock, in);
		break;
	case ACCESS_TEXT:
		access_format_text(&l, &a->clock, in);
		break;
	}
	if (l.len > sizeof a->buf - a->len && !a->stalled)
		drain(a);
	if (l.len > sizeof a->buf - a->len) {
		lose(a->file, 1, a->why);
		return;
	}
	memcpy(a->buf + a->len, l.text, l.len);
	a->len += l.len;
}
