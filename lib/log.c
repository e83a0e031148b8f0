/* The one place with state of its own at file scope: where the log goes belongs to the process, not to a caller. */
#include "lib/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* not above PIPE_BUF: a pipe takes such a write whole or not at all */

static const struct {
	const char *word, *priority;
} levels[] = {
	[LEVEL_ERROR] = {"error", "<3>"},
	[LEVEL_WARN] = {"warn", "<4>"},
	[LEVEL_INFO] = {"info", "<6>"},
	[LEVEL_DEBUG] = {"debug", "<7>"},
};

static struct {
	const char *program;
	atomic_int most;
	_Atomic uint64_t lost;
	bool journal; /* stderr is journald's stream */
	bool socket;
	pthread_mutex_t turn; /* between asking whether a write would block and writing */
} state = {.program = "shunt", .most = LEVEL_INFO, .turn = PTHREAD_MUTEX_INITIALIZER};

void log_open(const char *program)
{
	state.program = program;
	state.journal = state.socket = false;
	struct stat st;
	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	state.socket = S_ISSOCK(st.st_mode);
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	/* The variable is inherited; it speaks of us only while it names the very file that is our stderr. */
	if (stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2)
		state.journal = dev == (unsigned long long)st.st_dev && ino == (unsigned long long)st.st_ino;
}

void log_level(enum level most)
{
	atomic_store_explicit(&state.most, (int)most, memory_order_relaxed);
}

uint64_t log_lost(void)
{
	return atomic_load_explicit(&state.lost, memory_order_relaxed);
}

static size_t put_head(char *line, size_t cap, enum level level)
{
	int n;
	if (state.journal) {
		n = snprintf(line, cap, "%s", levels[level].priority);
	} else {
		struct timespec now;
		struct tm tm;
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n = snprintf(line, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s %s: ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			     tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, state.program, levels[level].word);
	}
	return n < 0 ? 0 : (size_t)n < cap ? (size_t)n : cap - 1;
}

static bool write_line(const char *line, size_t len)
{
	ssize_t n;
	if (state.socket) {
		do
			n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (n < 0 && errno == EINTR);
		return n == (ssize_t)len;
	}
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
	pthread_mutex_lock(&state.turn);
	/* A pipe without a reader answers POLLERR: writing to it would raise SIGPIPE. */
	do
		n = poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR | POLLNVAL)) == POLLOUT ? write(STDERR_FILENO, line, len) : 0;
	while (n < 0 && errno == EINTR);
	pthread_mutex_unlock(&state.turn);
	return n == (ssize_t)len;
}

static void __attribute__((format(printf, 2, 0))) log_line(enum level level, const char *fmt, va_list ap)
{
	if ((int)level > atomic_load_explicit(&state.most, memory_order_relaxed))
		return;
	int keep = errno;
	char line[LINE_MAX_BYTES];
	size_t cap = sizeof(line); /* the newline goes where vsnprintf() wants its NUL */
	size_t head = put_head(line, cap, level);
	int n = vsnprintf(line + head, cap - head, fmt, ap);
	size_t len = head + (n < 0 ? 0 : (size_t)n);
	if (len >= cap) {
		len = cap - 1;
		memcpy(line + len - 3, "...", 3);
	}
	for (size_t i = head; i < len; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = ' ';
	line[len++] = '\n';
	if (!write_line(line, len))
		atomic_fetch_add_explicit(&state.lost, 1, memory_order_relaxed);
	errno = keep;
}

#define LOG_FUNCTION(name, level)         \
	void name(const char *fmt, ...)   \
	{                                 \
		va_list ap;               \
		va_start(ap, fmt);        \
		log_line(level, fmt, ap); \
		va_end(ap);               \
	}
LOG_FUNCTION(log_error, LEVEL_ERROR)
LOG_FUNCTION(log_warn, LEVEL_WARN)
LOG_FUNCTION(log_info, LEVEL_INFO)
LOG_FUNCTION(log_debug, LEVEL_DEBUG)

const char *log_quote(char *out, size_t cap, const void *bytes, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	if (cap < 6) { /* no room for the quotes and the dots */
		if (cap)
			out[0] = '\0';
		return out;
	}
	size_t n = 0, safe = 0; /* safe: up to where the text may reach if what follows does not fit: dots, quote and NUL behind it */
	out[n++] = '"';
	safe = n;
	for (size_t i = 0; i < len; i++) {
		bool plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\';
		size_t need = plain ? 1 : 4;
		if (n + need + 2 > cap) {
			memcpy(out + safe, "...\"", 5);
			return out;
		}
		if (plain) {
			out[n++] = (char)p[i];
		} else {
			out[n++] = '\\';
			out[n++] = 'x';
			out[n++] = hex[p[i] >> 4];
			out[n++] = hex[p[i] & 15];
		}
		if (n + 5 <= cap)
			safe = n;
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
