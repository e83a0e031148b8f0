/* The asking side: plain sockets, one deadline per request, no event loop. */
#include "lib/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000

struct ctl_client {
	int fd;
	unsigned asked;       /* makes ids */
	char *in;             /* CTL_LINE_MAX + 1 bytes: what came and is not yet a whole line */
	size_t in_len, taken; /* bytes in it, and of these the line handed out last */
	char name[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* 0 when fd is ready, or -ETIMEDOUT. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - now_ms();
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int ctl_connect(struct ctl_client **out, const char *address, struct err *err)
{
	struct sockaddr_un sa;
	int rc = ctl_unix_address(&sa, address, err);
	if (rc < 0)
		return rc;
	struct ctl_client *c = calloc(1, sizeof(*c));
	if (c)
		c->in = malloc(CTL_LINE_MAX + 1);
	if (!c || !c->in) {
		free(c);
		return err_set(err, -ENOMEM, "out of memory");
	}
	memcpy(c->name, sa.sun_path, sizeof(c->name));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0) {
		rc = err_errno(err, -errno, "socket");
		goto fail;
	}
	/* A Unix socket connects at once or says EAGAIN while the server's queue is full; no event tells when it is not. */
	for (int64_t deadline = now_ms() + CONNECT_TIMEOUT_MS; connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0;) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || now_ms() >= deadline) {
			rc = err_errno(err, errno == EAGAIN ? -ETIMEDOUT : -errno, "%s", c->name);
			goto fail;
		}
		poll(NULL, 0, 10);
	}
	*out = c;
	return 0;
fail:
	ctl_disconnect(c);
	return rc;
}

void ctl_disconnect(struct ctl_client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->in);
	free(c);
}

static int send_all(struct ctl_client *c, const char *data, size_t len, int64_t deadline)
{
	while (len) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* the server may have said why before it closed: read on */
		} else if (errno == EAGAIN) {
			int rc = wait_for(c->fd, POLLOUT, deadline);
			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static int receive_line(struct ctl_client *c, char **line, size_t *len, int64_t deadline)
{
	size_t scanned = 0;
	c->in_len -= c->taken;
	memmove(c->in, c->in + c->taken, c->in_len);
	c->taken = 0;
	for (;;) {
		char *end = memchr(c->in + scanned, '\n', c->in_len - scanned);
		if (end) {
			*line = c->in;
			*len = (size_t)(end - c->in);
			c->taken = *len + 1;
			return 0;
		}
		scanned = c->in_len;
		if (c->in_len == CTL_LINE_MAX + 1)
			return -EMSGSIZE;
		ssize_t n = recv(c->fd, c->in + c->in_len, CTL_LINE_MAX + 1 - c->in_len, 0);
		if (n > 0) {
			c->in_len += (size_t)n;
		} else if (n == 0) {
			return -ECONNRESET;
		} else if (errno == EAGAIN) {
			int rc = wait_for(c->fd, POLLIN, deadline);
			if (rc < 0)
				return rc;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

/* Takes fields. */
static int send_request(struct ctl_client *c, const char *cmd, json_t *fields, const char *id, int64_t deadline, struct err *err)
{
	json_t *o = json_pack("{s:i, s:s, s:s}", "v", CTL_VERSION, "id", id, "cmd", cmd);
	int rc = o && (!fields || json_object_update_missing(o, fields) == 0) ? 0 : -ENOMEM;
	char *text = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(fields);
	json_decref(o);
	if (!text)
		return err_set(err, -ENOMEM, "%s: out of memory", cmd);
	size_t len = strlen(text);
	if (len > CTL_LINE_MAX) {
		rc = err_set(err, -EMSGSIZE, "%s: the request has %zu bytes, expected at most %u", cmd, len, CTL_LINE_MAX);
	} else {
		text[len] = '\n'; /* over the final NUL: nothing reads it as a string any more */
		rc = send_all(c, text, len + 1, deadline);
		if (rc < 0)
			err_errno(err, rc, "%s: %s", c->name, cmd);
	}
	free(text);
	return rc;
}

static int refused(const json_t *answer, enum ctl_code *code, struct err *err)
{
	const char *name = json_string_value(json_object_get(answer, "code")), *error = json_string_value(json_object_get(answer, "error"));
	for (int i = CTL_REFUSED; name && i <= CTL_STUCK; i++)
		if (strcmp(name, ctl_code_name((enum ctl_code)i)) == 0)
			*code = (enum ctl_code)i;
	return err_set(err, -EPROTO, "%s", error ? error : "refused without a reason");
}

int ctl_request(struct ctl_client *c, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code,
		struct err *err)
{
	int64_t deadline = now_ms() + (timeout_ms > 0 ? timeout_ms : 0);
	enum ctl_code unused;
	char id[32];
	code = code ? code : &unused;
	*answer = NULL;
	*code = CTL_FAILED;
	snprintf(id, sizeof(id), "%d-%u", (int)getpid(), ++c->asked);
	int rc = send_request(c, cmd, fields, id, deadline, err);
	while (rc == 0) {
		char *line = NULL;
		size_t len = 0;
		json_error_t why;
		rc = receive_line(c, &line, &len, deadline);
		if (rc < 0)
			return err_errno(err, rc, "%s: no answer to %s", c->name, cmd);
		json_t *o = json_loadb(line, len, 0, &why);
		const char *got = json_string_value(json_object_get(o, "id"));
		if (!json_is_object(o)) {
			rc = err_set(err, -EPROTO, "%s: the answer to %s is not a JSON object", c->name, cmd);
		} else if (got && strcmp(got, id) != 0) {
			json_decref(o); /* to a request whose deadline had passed */
			continue;
		} else if (json_is_true(json_object_get(o, "ok"))) {
			*answer = o;
			return 0;
		} else {
			rc = refused(o, code, err);
		}
		json_decref(o);
	}
	return rc;
}
