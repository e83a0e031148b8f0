/* faultshim - makes the Nth system call of a kind fail: a shared object for LD_PRELOAD, for tests alone, never installed.
 *
 *   SHUNT_FAULT=PROGRAM:CLASS:N:ERRNO[:short]    shunt-netctl:fsync:7:EIO
 *   SHUNT_FAULT=PROGRAM:count                    none fails; at its end the process notes how many there were, class by class
 *   SHUNT_FAULT_LOG=FILE                         where it is noted that the Nth call was reached, with its file or socket and who called
 *
 * One environment serves all: only processes named PROGRAM count (program_invocation_short_name), so that hooks, nft and servers are let
 * be. A process with an argument "guard" is named so: it is started by one that counts by itself. Children that are forked and not
 * replaced count together with their parent. Exactly one call fails, as if nothing of it had been done; with "short" half of it is
 * written first, and the next of its class is what fails.
 * CLASS, counted across threads:
 *   write     write writev pwrite pwritev, to files and pipes (standard output and error do not count: the words are what is judged)
 *   send      send sendto sendmsg, and write and writev to a socket: Unix, TCP, UDP, netlink and raw
 *   fsync     fsync fdatasync                       rename    rename renameat renameat2
 *   open      open openat creat, where O_CREAT      unlink    unlink unlinkat      mkdir    mkdir mkdirat      truncate  ftruncate
 * What the C library does inside itself (stdio's writes, for one) is out of its reach. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAMES 24

enum class { CLASS_WRITE, CLASS_SEND, CLASS_FSYNC, CLASS_RENAME, CLASS_OPEN, CLASS_UNLINK, CLASS_MKDIR, CLASS_TRUNCATE, CLASS_N };
static const char *const names[CLASS_N] = {"write", "send", "fsync", "rename", "open", "unlink", "mkdir", "truncate"};
static const struct {
	const char *name;
	int code;
} errors[] = {
	{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EPIPE", EPIPE},   {"ECONNRESET", ECONNRESET},  {"ENOBUFS", ENOBUFS},
	{"EACCES", EACCES}, {"EROFS", EROFS},   {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"ENETUNREACH", ENETUNREACH}};

/* Set by the constructor, before any thread. */
static int class = -1, error;
static bool active;
static long nth;
static bool by_halves;
static const char *log_path;
static atomic_long *calls; /* CLASS_N of them, shared with forked children */
static bool counts;        /* and fails none */

static bool is_guard(void)
{
	char text[4096];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(text + i) + 1) {
		text[n] = '\0';
		if (strcmp(text + i, "guard") == 0)
			return true;
	}
	return false;
}

static void __attribute__((noreturn)) nonsense(const char *spec)
{
	fprintf(stderr, "faultshim: SHUNT_FAULT=%s: expected PROGRAM:CLASS:N:ERRNO[:short]\n", spec);
	_exit(125);
}

static void __attribute__((constructor)) begin(void)
{
	const char *spec = getenv("SHUNT_FAULT");
	char program[64], kind[16], code[16], rest[8] = "";
	void *frames[2];

	if (!spec)
		return;
	counts = strstr(spec, ":count");
	if (counts)
		sscanf(spec, "%63[^:]", program);
	else if (sscanf(spec, "%63[^:]:%15[^:]:%ld:%15[^:]:%7s", program, kind, &nth, code, rest) < 4 || nth < 1 ||
		 (*rest && strcmp(rest, "short") != 0))
		nonsense(spec);
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (strcmp(errors[i].name, code) == 0)
			error = errors[i].code;
	int wanted = -1;
	for (int i = 0; i < CLASS_N; i++)
		if (strcmp(names[i], kind) == 0)
			wanted = i;
	if (!counts && (!error || wanted < 0 || (*rest && wanted != CLASS_WRITE && wanted != CLASS_SEND)))
		nonsense(spec);
	if (strcmp(program, is_guard() ? "guard" : program_invocation_short_name) != 0) {
		counts = false;
		return;
	}
	by_halves = *rest;
	log_path = getenv("SHUNT_FAULT_LOG");
	calls = mmap(NULL, CLASS_N * sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (calls == MAP_FAILED)
		nonsense(spec);
	backtrace(frames, 2); /* what it loads is loaded now, not in the midst of a call */
	class = counts ? -1 : wanted;
	active = true;
}

static int open_log(void)
{
	return log_path ? (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
}

static void __attribute__((destructor)) end(void)
{
	char line[256];
	int out = counts ? open_log() : -1, len = 0;

	if (out < 0)
		return;
	for (int i = 0; i < CLASS_N; i++)
		len += snprintf(line + len, sizeof line - (size_t)len, "%s %ld\n", names[i], atomic_load(&calls[i]));
	syscall(SYS_write, out, line, (size_t)len);
	syscall(SYS_close, out);
}

/* By system calls alone: nothing of it may count, or lock. */
static void note(const char *call, int fd, const char *path, long n)
{
	char line[1024], target[512] = "", link[40];
	void *frames[FRAMES];
	int out = open_log();

	if (out < 0)
		return;
	if (!path && fd >= 0) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(link, target, sizeof target - 1);
		target[len > 0 ? len : 0] = '\0';
		path = target;
	}
	int len = snprintf(line, sizeof line, "%s %d: %s %ld: %s(%s): %s%s\n", program_invocation_short_name, (int)getpid(), names[class],
			   n, call, path ? path : "", by_halves && n == nth ? "half of it, then " : "", strerrorname_np(error));
	syscall(SYS_write, out, line, (size_t)len);
	backtrace_symbols_fd(frames + 2, backtrace(frames, FRAMES) - 2, out);
	syscall(SYS_close, out);
}

enum fate { FATE_DONE, FATE_FAILS, FATE_HALF };

/* Counts a call; errno is set where it fails. */
static enum fate fate(enum class of, const char *call, int fd, const char *path)
{
	if (!active)
		return FATE_DONE;
	long n = atomic_fetch_add(&calls[of], 1) + 1;
	if ((int)of != class)
		return FATE_DONE;
	if (n != nth && !(by_halves && n == nth + 1))
		return FATE_DONE;
	int was = errno;
	note(call, fd, path, n);
	errno = was;
	if (by_halves && n == nth)
		return FATE_HALF;
	errno = error;
	return FATE_FAILS;
}

/* Of what is behind a descriptor; anything else (an eventfd, a terminal) does not count. Nor does a pipe that does not block: an event loop
 * tells itself of a signal by one, which nothing can make fail. */
static enum fate fate_of_write(const char *call, int fd)
{
	struct stat st;
	int was = errno;

	if (!active || fd == STDOUT_FILENO || fd == STDERR_FILENO || fstat(fd, &st) < 0) {
		errno = was;
		return FATE_DONE;
	}
	if (S_ISSOCK(st.st_mode))
		return fate(CLASS_SEND, call, fd, NULL);
	if (S_ISFIFO(st.st_mode) && (fcntl(fd, F_GETFL) & O_NONBLOCK))
		return FATE_DONE;
	return S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) ? fate(CLASS_WRITE, call, fd, NULL) : FATE_DONE;
}

/* ---- what stands before the C library ---- */

#define NEXT(fn)                     \
	static __typeof__(&fn) next; \
	if (!next)                   \
	*(void **)&next = dlsym(RTLD_NEXT, #fn)
/* The whole, nothing, or half of the bytes (of one that has some to halve). */
#define JUDGED(verdict, whole, half, len) \
	switch (verdict) {                \
	case FATE_FAILS:                  \
		return -1;                \
	case FATE_HALF:                   \
		if ((len) > 1)            \
			return half;      \
		/* fall through */        \
	case FATE_DONE:                   \
		break;                    \
	}                                 \
	return whole

ssize_t write(int fd, const void *p, size_t len)
{
	NEXT(write);
	JUDGED(fate_of_write("write", fd), next(fd, p, len), next(fd, p, len / 2), len);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t at)
{
	NEXT(pwrite);
	JUDGED(fate_of_write("pwrite", fd), next(fd, p, len, at), next(fd, p, len / 2, at), len);
}

ssize_t pwrite64(int fd, const void *p, size_t len, off64_t at)
{
	NEXT(pwrite64);
	JUDGED(fate_of_write("pwrite", fd), next(fd, p, len, at), next(fd, p, len / 2, at), len);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	NEXT(writev);
	size_t len = n > 0 ? v->iov_len : 0;
	JUDGED(fate_of_write("writev", fd), next(fd, v, n), next(fd, &(struct iovec){v->iov_base, len / 2}, 1), len);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	NEXT(pwritev);
	size_t len = n > 0 ? v->iov_len : 0;
	JUDGED(fate_of_write("pwritev", fd), next(fd, v, n, at), next(fd, &(struct iovec){v->iov_base, len / 2}, 1, at), len);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off64_t at)
{
	NEXT(pwritev64);
	size_t len = n > 0 ? v->iov_len : 0;
	JUDGED(fate_of_write("pwritev", fd), next(fd, v, n, at), next(fd, &(struct iovec){v->iov_base, len / 2}, 1, at), len);
}

ssize_t send(int fd, const void *p, size_t len, int flags)
{
	NEXT(send);
	if (fd == STDERR_FILENO) /* journald's */
		return next(fd, p, len, flags);
	JUDGED(fate(CLASS_SEND, "send", fd, NULL), next(fd, p, len, flags), next(fd, p, len / 2, flags), len);
}

ssize_t sendto(int fd, const void *p, size_t len, int flags, const struct sockaddr *sa, socklen_t sa_len)
{
	NEXT(sendto);
	return fate(CLASS_SEND, "sendto", fd, NULL) == FATE_FAILS ? -1 : next(fd, p, len, flags, sa, sa_len);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	NEXT(sendmsg);
	return fate(CLASS_SEND, "sendmsg", fd, NULL) == FATE_FAILS ? -1 : next(fd, m, flags);
}

int fsync(int fd)
{
	NEXT(fsync);
	return fate(CLASS_FSYNC, "fsync", fd, NULL) ? -1 : next(fd);
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	return fate(CLASS_FSYNC, "fdatasync", fd, NULL) ? -1 : next(fd);
}

int rename(const char *from, const char *to)
{
	NEXT(rename);
	return fate(CLASS_RENAME, "rename", -1, to) ? -1 : next(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	NEXT(renameat);
	return fate(CLASS_RENAME, "renameat", -1, to) ? -1 : next(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	NEXT(renameat2);
	return fate(CLASS_RENAME, "renameat2", -1, to) ? -1 : next(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path)
{
	NEXT(unlink);
	return fate(CLASS_UNLINK, "unlink", -1, path) ? -1 : next(path);
}

int unlinkat(int dir, const char *path, int flags)
{
	NEXT(unlinkat);
	return fate(CLASS_UNLINK, "unlinkat", -1, path) ? -1 : next(dir, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
	NEXT(mkdir);
	return fate(CLASS_MKDIR, "mkdir", -1, path) ? -1 : next(path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	NEXT(mkdirat);
	return fate(CLASS_MKDIR, "mkdirat", -1, path) ? -1 : next(dir, path, mode);
}

int ftruncate(int fd, off_t len)
{
	NEXT(ftruncate);
	return fate(CLASS_TRUNCATE, "ftruncate", fd, NULL) ? -1 : next(fd, len);
}

int ftruncate64(int fd, off64_t len)
{
	NEXT(ftruncate64);
	return fate(CLASS_TRUNCATE, "ftruncate", fd, NULL) ? -1 : next(fd, len);
}

/* The mode is there only where something may be made. */
#define MODE_OF(flags, last)                                    \
	mode_t mode = 0;                                        \
	if ((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) { \
		va_list ap;                                     \
		va_start(ap, last);                             \
		mode = va_arg(ap, mode_t);                      \
		va_end(ap);                                     \
	}
#define MAKES(flags, name, path) (((flags)&O_CREAT) && fate(CLASS_OPEN, name, -1, path))

int open(const char *path, int flags, ...)
{
	NEXT(open);
	MODE_OF(flags, flags)
	return MAKES(flags, "open", path) ? -1 : next(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	NEXT(open64);
	MODE_OF(flags, flags)
	return MAKES(flags, "open", path) ? -1 : next(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	NEXT(openat);
	MODE_OF(flags, flags)
	return MAKES(flags, "openat", path) ? -1 : next(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	NEXT(openat64);
	MODE_OF(flags, flags)
	return MAKES(flags, "openat", path) ? -1 : next(dir, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
	return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
