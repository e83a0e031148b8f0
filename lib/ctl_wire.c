/* The asking side's way to the server: a Unix socket, or TLS over TCP. All waiting is done here, in wait_for(). */
#include "lib/ctl_parts.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/tls.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_MAX  253
#define TRIES_MAX 8 /* addresses of one name */

/* A server that is gone without a word, or a line that is cut: what it does not acknowledge for so long, requests and the kernel's own
 * questions while we wait, ends the connection (tcp(7)). */
#define SILENT_S    10
#define KEEP_IDLE_S 5
#define KEEP_EACH_S 2

/* 0 when the server is ready, -ETIMEDOUT, or -EINTR: the caller wants no more of it. */
static int wait_for(const struct ctl_wire *w, short events, int64_t deadline, struct err *err)
{
	for (;;) {
		int64_t left = deadline - mono_ms();
		struct pollfd p[2] = {{.fd = w->fd, .events = events}, {.fd = w->cancel_fd, .events = POLLIN}};
		int n = poll(p, 2, left > 0 ? (int)left : 0);
		if (n > 0)
			return p[0].revents ? 0 : err_set(err, -EINTR, "%s", strerror(EINTR));
		if (n == 0)
			return err_set(err, -ETIMEDOUT, "%s", strerror(ETIMEDOUT));
		if (errno != EINTR)
			return err_set(err, -errno, "%s", strerror(errno));
	}
}

static int system_error(int error, struct err *err)
{
	return err_set(err, -error, "%s", strerror(error));
}

/* ---- connecting ---- */

static int dial_unix(struct ctl_wire *w, const char *address, int timeout_ms, struct err *err)
{
	int64_t deadline = mono_ms() + timeout_ms;
	struct sockaddr_un sa;
	int rc = ctl_unix_address(&sa, address, err);
	if (rc < 0)
		return rc;
	w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return err_errno(err, -errno, "socket");
	/* A Unix socket connects at once or says EAGAIN while the server's queue is full; no event tells when it is not. */
	while (connect(w->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || mono_ms() >= deadline)
			return err_errno(err, errno == EAGAIN ? -ETIMEDOUT : -errno, "%s", sa.sun_path);
		poll(NULL, 0, 10);
	}
	return 0;
}

/* "HOST:PORT" into its two parts. */
static bool split(const char *text, char host[HOST_MAX + 1], const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (bracketed) {
		text++;
		len -= 2;
	}
	if (!colon || len == 0 || len > HOST_MAX || bracketed != (memchr(text, ':', len) != NULL))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	*port = colon + 1;
	size_t digits = strspn(*port, "0123456789");
	return digits <= 5 && !(*port)[digits] && atoi(*port) >= 1 && atoi(*port) <= 65535;
}

static void set_options(int fd)
{
	const int on = 1, idle = KEEP_IDLE_S, each = KEEP_EACH_S;
	const unsigned silent = SILENT_S * 1000;
	/* Whoever closes has given up what was not answered. The kernel must not go on sending it for minutes: it would arrive after what
	 * is asked over the next connection. */
	const struct linger discard = {.l_onoff = 1, .l_linger = 0};
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof(each));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof(silent));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &discard, sizeof(discard));
}

static int connect_to(struct ctl_wire *w, const struct addrinfo *to, int64_t deadline, struct err *err)
{
	int error = 0;
	socklen_t len = sizeof(error);
	w->fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0)
		return system_error(errno, err);
	set_options(w->fd);
	if (connect(w->fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return system_error(errno, err);
	int rc = wait_for(w, POLLOUT, deadline, err);
	if (rc == 0 && getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	return error ? system_error(error, err) : rc;
}

/* getaddrinfo() blocks, as this side does anyway: a command waits for its answer here, and what /etc/hosts says counts for it as for any
 * other program. How long it may take is the resolver's own limit (resolv.conf(5): timeout, attempts). */
static int find(struct addrinfo **out, const char *host, const char *port, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	int rc = getaddrinfo(host, port, &hints, out);
	if (rc == EAI_SYSTEM)
		return system_error(errno, err);
	return rc ? err_set(err, -EHOSTUNREACH, "%s", gai_strerror(rc)) : 0;
}

static int shake(struct ctl_wire *w, const char *host, const struct tls *tls, int64_t deadline, struct err *err)
{
	short wants = 0;
	int rc = tls_dial(&w->tls, tls, w->fd, host, err);
	while (rc == 0 && (rc = tls_handshake(w->tls, &wants, err)) == -EAGAIN)
		rc = wait_for(w, wants, deadline, err);
	return rc;
}

static int dial_tls(struct ctl_wire *w, const char *address, const struct tls *tls, int timeout_ms, struct err *err)
{
	char host[HOST_MAX + 1];
	const char *port;
	struct addrinfo *found = NULL;
	int left = 0;
	if (!split(address + strlen("tls://"), host, &port))
		return err_set(err, -EINVAL, "control address: found %s, expected tls://HOST:PORT", LOG_QUOTED(address, strlen(address)));
	if (!tls)
		return err_set(err, -EINVAL, "%s: found no certificates to use there, expected those of the section tls", address);
	int rc = find(&found, host, port, err);
	int64_t deadline = mono_ms() + timeout_ms;
	for (const struct addrinfo *a = found; a && left < TRIES_MAX; a = a->ai_next)
		left++;
	for (const struct addrinfo *a = found; left > 0; a = a->ai_next, left--) {
		int64_t now = mono_ms(); /* each address gets its share: the first ones may be those that nobody answers at */
		ctl_wire_close(w);
		rc = connect_to(w, a, now + (deadline - now) / left, err);
		if (rc == 0)
			break;
	}
	if (found)
		freeaddrinfo(found);
	if (rc == 0)
		rc = shake(w, host, tls, deadline, err);
	if (rc < 0)
		err_wrap(err, "%s", address);
	return rc;
}

int ctl_wire_dial(struct ctl_wire *w, const char *address, const struct tls *tls, int timeout_ms, struct err *err)
{
	bool network = strncmp(address, "tls://", 6) == 0;
	*w = (struct ctl_wire){.fd = -1, .cancel_fd = -1};
	int rc = network ? dial_tls(w, address, tls, timeout_ms, err) : dial_unix(w, address, timeout_ms, err);
	if (rc < 0)
		ctl_wire_close(w);
	return rc;
}

void ctl_wire_close(struct ctl_wire *w)
{
	tls_hang_up(w->tls);
	w->tls = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* ---- bytes ---- */

/* The kernel's ETIMEDOUT is not our deadline's: the connection is gone, and another one may do. */
static ssize_t lost(ssize_t n, struct err *err)
{
	return n == -ETIMEDOUT ? err_set(err, -ECONNRESET, "nothing was heard of it for %d s", SILENT_S) : n;
}

static ssize_t send_some(struct ctl_wire *w, const char *bytes, size_t len, short *wants, struct err *err)
{
	if (w->tls)
		return lost(tls_send(w->tls, bytes, len, wants, err), err);
	ssize_t n = send(w->fd, bytes, len, MSG_NOSIGNAL);
	*wants = POLLOUT;
	return n < 0 ? system_error(errno, err) : n;
}

int ctl_wire_send(struct ctl_wire *w, const char *bytes, size_t len, int64_t deadline, struct err *err)
{
	while (len) {
		short wants = 0;
		ssize_t n = send_some(w, bytes, len, &wants, err);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n == -EPIPE || n == -ECONNRESET) {
			return 0;
		} else if (n == -EAGAIN) {
			int rc = wait_for(w, wants, deadline, err);
			if (rc < 0)
				return rc;
		} else if (n != -EINTR) {
			return (int)n;
		}
	}
	return 0;
}

static ssize_t receive_some(struct ctl_wire *w, char *into, size_t cap, short *wants, struct err *err)
{
	if (w->tls)
		return lost(tls_receive(w->tls, into, cap, wants, err), err);
	ssize_t n = recv(w->fd, into, cap, 0);
	*wants = POLLIN;
	return n > 0 ? n : system_error(n == 0 ? ECONNRESET : errno, err);
}

ssize_t ctl_wire_receive(struct ctl_wire *w, char *into, size_t cap, int64_t deadline, struct err *err)
{
	for (;;) {
		short wants = 0;
		ssize_t n = receive_some(w, into, cap, &wants, err);
		if (n == -EAGAIN) {
			int rc = wait_for(w, wants, deadline, err);
			if (rc < 0)
				return rc;
		} else if (n != -EINTR) {
			return n;
		}
	}
}
