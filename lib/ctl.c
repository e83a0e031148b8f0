/* The answering side. A connection is in one of three states, told by what it has: a call (the handler works on it; we do not
 * read), output (an answer is on its way; we do not read), or neither (we read, and look for the next line). conn_turn() is the
 * only place that starts a call, and a handler may do anything to its connection, so it is always the last thing done. */
#include "lib/ctl.h"

#include "lib/log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_TIMEOUT_MS   5000
#define ANSWER_TIMEOUT_MS 10000
#define ACCEPT_PAUSE_MS   1000 /* after descriptors ran out */
#define LOCK_TRIES        100  /* of 10 ms each, while another server of the same directory starts */
#define ID_MAX            128
#define OUT_OF_MEMORY     "{\"v\":1,\"ok\":false,\"code\":\"failed\",\"error\":\"out of memory\"}\n"

struct conn {
	struct conn *next, **link;
	struct ctl_server *server;
	struct bufferevent *bev;
	struct ctl_call *call; /* owned by the handler that was given it; NULL between calls */
	void *session;
	struct event timer; /* for the rest of a line, or for the reader of an answer */
	size_t scanned;     /* so much of the input is known to hold no newline: a line may come in a million pieces */
	pid_t pid;
	bool closing; /* after the output is gone */
	bool eof;
};

struct ctl_server {
	struct event_base *base;
	struct ctl_options opt;
	struct sockaddr_un path;
	dev_t dev; /* with ino: the socket's file as we made it */
	ino_t ino;
	int fd;
	bool group_known, full;
	gid_t group;
	struct event accept_event, accept_pause;
	struct conn *conns; /* the newest first */
	unsigned n_conns;
};

struct ctl_call {
	struct conn *conn; /* NULL once the connection is gone */
	json_t *request;
};

static const char *const code_names[] = {[CTL_REFUSED] = "refused", [CTL_USAGE] = "usage", [CTL_FAILED] = "failed", [CTL_STUCK] = "stuck"};

const char *ctl_code_name(enum ctl_code code)
{
	return code_names[code];
}

int ctl_unix_address(struct sockaddr_un *out, const char *address, struct err *err)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if (strncmp(address, "unix:/", 6) != 0)
		return err_set(err, -EINVAL, "control address: found %s, expected unix:/PATH", LOG_QUOTED(address, strlen(address)));
	size_t len = strlen(address + 5);
	if (len >= sizeof(out->sun_path))
		return err_set(err, -ENAMETOOLONG, "control address: found a path of %zu bytes, expected at most %zu", len,
			       sizeof(out->sun_path) - 1);
	memcpy(out->sun_path, address + 5, len);
	return 0;
}

/* ---- lines ---- */

int ctl_parse_line(json_t **out, const char *line, size_t len, struct err *err)
{
	json_error_t why;
	*out = NULL;
	if (len > CTL_LINE_MAX)
		return err_set(err, -EMSGSIZE, "the line has more than %u bytes", CTL_LINE_MAX);
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
	if (!o)
		return err_set(err, -EPROTO, "the line is not JSON: %s at byte %d", why.text, why.position);
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, -EPROTO, "the line is not a JSON object");
	}
	*out = o;
	const json_t *v = json_object_get(o, "v"), *cmd = json_object_get(o, "cmd"), *id = json_object_get(o, "id");
	if (!json_is_integer(v) || json_integer_value(v) != CTL_VERSION)
		return err_set(err, -EPROTO, "\"v\": expected %d, the only version spoken here", CTL_VERSION);
	if (!json_is_string(cmd) || json_string_length(cmd) == 0)
		return err_set(err, -EPROTO, "\"cmd\": expected the name of a command");
	if (id && (!json_is_string(id) || json_string_length(id) > ID_MAX))
		return err_set(err, -EPROTO, "\"id\": expected a string of at most %d bytes", ID_MAX);
	return 0;
}

static void arm(struct conn *c, int ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
	evtimer_add(&c->timer, &tv);
}

/* Takes object; NULL means memory was out while it was made. */
static void put_line(struct conn *c, json_t *object)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	json_decref(object);
	bool whole = text && evbuffer_add(out, text, len) == 0 && evbuffer_add(out, "\n", 1) == 0;
	free(text);
	if (!whole) {
		evbuffer_drain(out, evbuffer_get_length(out));
		evbuffer_add(out, OUT_OF_MEMORY, sizeof(OUT_OF_MEMORY) - 1);
	}
	bufferevent_disable(c->bev, EV_READ);
	arm(c, c->server->opt.answer_timeout_ms);
}

static json_t *answer_head(const json_t *request, bool ok)
{
	json_t *o = json_pack("{s:i}", "v", CTL_VERSION);
	json_t *id = request ? json_object_get(request, "id") : NULL;
	if (json_is_string(id))
		json_object_set(o, "id", id);
	json_object_set_new(o, "ok", json_boolean(ok));
	return o;
}

static json_t *failure(const json_t *request, enum ctl_code code, char *text)
{
	json_t *o = answer_head(request, false), *error = json_string(text);
	if (!error) { /* a foreign byte came along, or our own cut went through a character */
		for (char *p = text; *p; p++)
			if ((unsigned char)*p >= 0x80)
				*p = '?';
		error = json_string(text);
	}
	json_object_set_new(o, "code", json_string(code_names[code]));
	json_object_set_new(o, "error", error);
	return o;
}

/* ---- connections ---- */

static void conn_free(struct conn *c)
{
	struct ctl_server *s = c->server;
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->n_conns--;
	if (c->call)
		c->call->conn = NULL;
	evtimer_del(&c->timer);
	bufferevent_free(c->bev);
	if (c->session && s->opt.session_free)
		s->opt.session_free(c->session);
	free(c);
}

/* Answers what was no request and ends the connection. */
static void conn_refuse(struct conn *c, const json_t *request, struct err *err)
{
	c->closing = true;
	put_line(c, failure(request, CTL_USAGE, err->text));
}

static void dispatch(struct conn *c, char *line, size_t len)
{
	struct err err;
	json_t *request;
	struct ctl_call *call = NULL;
	int rc = ctl_parse_line(&request, line, len, &err);
	free(line);
	if (rc == 0 && !(call = calloc(1, sizeof(*call))))
		err_set(&err, -ENOMEM, "out of memory");
	if (!call) {
		conn_refuse(c, request, &err);
		json_decref(request);
		return;
	}
	call->conn = c;
	call->request = request;
	c->call = call;
	bufferevent_disable(c->bev, EV_READ);
	struct ctl_server *s = c->server;
	s->opt.handler(call, json_string_value(json_object_get(request, "cmd")), request, &c->session, s->opt.arg);
}

/* Takes the next step of a connection: the last thing its caller does with it. */
static void conn_turn(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct err err;
	if (c->call || c->closing || evbuffer_get_length(bufferevent_get_output(c->bev)))
		return;
	size_t have = evbuffer_get_length(in);
	struct evbuffer_ptr from, end = {.pos = -1};
	if (have > c->scanned && evbuffer_ptr_set(in, &from, c->scanned, EVBUFFER_PTR_SET) == 0)
		end = evbuffer_search(in, "\n", 1, &from);
	size_t len = end.pos < 0 ? have : (size_t)end.pos;
	if (len > CTL_LINE_MAX) {
		err_set(&err, -EMSGSIZE, "the line has more than %u bytes", CTL_LINE_MAX);
		conn_refuse(c, NULL, &err);
	} else if (end.pos >= 0) {
		char *line = malloc(len + 1);
		evtimer_del(&c->timer);
		c->scanned = 0;
		if (line && evbuffer_remove(in, line, len + 1) == (int)len + 1) {
			dispatch(c, line, len);
		} else {
			free(line);
			conn_free(c);
		}
	} else if (c->eof) {
		conn_free(c);
	} else {
		c->scanned = have;
		if (have && !evtimer_pending(&c->timer, NULL)) /* from the line's first byte: more of them buy no time */
			arm(c, c->server->opt.line_timeout_ms);
		bufferevent_enable(c->bev, EV_READ);
	}
}

static void on_readable(struct bufferevent *bev, void *arg)
{
	(void)bev;
	conn_turn(arg);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	if (evbuffer_get_length(bufferevent_get_output(bev)))
		return;
	evtimer_del(&c->timer);
	if (c->closing)
		conn_free(c);
	else
		conn_turn(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;
	(void)bev;
	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR)) {
		c->eof = true;
		conn_turn(c); /* lines that came whole are still done and answered: the peer may only have shut its half */
	} else {
		conn_free(c);
	}
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct err err;
	(void)fd;
	(void)what;
	if (evbuffer_get_length(bufferevent_get_output(c->bev))) {
		log_warn("control: pid=%d does not read its answer, closed", (int)c->pid);
		conn_free(c);
		return;
	}
	err_set(&err, -ETIMEDOUT, "the line was not finished within %d ms", c->server->opt.line_timeout_ms);
	conn_refuse(c, NULL, &err);
}

/* ---- calls ---- */

/* Takes the answer. */
static void call_end(struct ctl_call *call, json_t *answer)
{
	struct conn *c = call->conn;
	if (c) {
		c->call = NULL;
		put_line(c, answer);
	} else {
		json_decref(answer);
	}
	json_decref(call->request);
	free(call);
}

static int count_bytes(const char *bytes, size_t len, void *arg)
{
	(void)bytes;
	*(size_t *)arg += len;
	return 0;
}

void ctl_answer(struct ctl_call *call, json_t *fields)
{
	json_t *o = answer_head(call->request, true);
	size_t len = 0;
	if (fields && o && json_object_update_missing(o, fields) < 0) {
		json_decref(o);
		o = NULL;
	}
	json_decref(fields);
	if (o && json_dump_callback(o, count_bytes, &len, JSON_COMPACT) == 0 && len > CTL_LINE_MAX) {
		json_decref(o);
		ctl_fail(call, CTL_FAILED, "the answer would have %zu bytes, more than the limit of %u: ask for less at a time", len,
			 CTL_LINE_MAX);
		return;
	}
	call_end(call, o);
}

void ctl_fail(struct ctl_call *call, enum ctl_code code, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	call_end(call, failure(call->request, code, text));
}

/* ---- letting in ---- */

static bool peer_allowed(const struct ctl_server *s, int fd, const struct ucred *peer)
{
	if (peer->uid == 0)
		return true;
	if (!s->group_known)
		return false;
	if (peer->gid == s->group)
		return true;
	gid_t few[64], *groups = few;
	socklen_t len = sizeof(few);
	int rc = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len);
	if (rc < 0 && errno == ERANGE) { /* the kernel has put the wanted size into len */
		groups = malloc(len);
		rc = groups ? getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) : -1;
	}
	bool found = false;
	for (size_t i = 0; rc == 0 && i < len / sizeof(gid_t); i++)
		found |= groups[i] == s->group;
	if (groups != few)
		free(groups);
	return found;
}

/* Ends the connection that has been idle and was opened first. */
static bool make_room(struct ctl_server *s)
{
	struct conn *found = NULL;
	for (struct conn *c = s->conns; c; c = c->next)
		if (!c->call && !c->session && !evbuffer_get_length(bufferevent_get_output(c->bev)) &&
		    !evbuffer_get_length(bufferevent_get_input(c->bev)))
			found = c;
	if (found)
		conn_free(found);
	return found != NULL;
}

static bool has_room(struct ctl_server *s, bool root)
{
	if (s->n_conns < CTL_CONNECTIONS - (root ? 0u : 1u))
		return true;
	return root && make_room(s);
}

/* Takes fd. Tells why as far as that needs no waiting. */
static void turn_away(int fd, char *why)
{
	json_t *o = failure(NULL, CTL_REFUSED, why);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (text) {
		struct iovec parts[] = {{text, strlen(text)}, {(char[]){'\n'}, 1}};
		struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
		(void)!sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	free(text);
	json_decref(o);
	close(fd);
}

static int conn_new(struct ctl_server *s, int fd, pid_t pid)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev) {
		free(c);
		return -ENOMEM;
	}
	c->server = s;
	c->pid = pid;
	evtimer_assign(&c->timer, s->base, on_timeout, c);
	c->link = &s->conns;
	c->next = s->conns;
	if (c->next)
		c->next->link = &c->next;
	s->conns = c;
	s->n_conns++;
	bufferevent_setwatermark(c->bev, EV_READ, 0, CTL_LINE_MAX + 4096);
	bufferevent_setcb(c->bev, on_readable, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ);
	return 0;
}

/* Takes fd. */
static void admit(struct ctl_server *s, int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	char why[256];
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || !peer_allowed(s, fd, &peer)) {
		log_warn("control: refused uid=%u gid=%u pid=%d, neither root nor of the group %s", peer.uid, peer.gid, (int)peer.pid,
			 s->opt.group);
		snprintf(why, sizeof(why), "user %u is neither root nor of the group %s", peer.uid, s->opt.group);
		turn_away(fd, why);
		return;
	}
	if (!has_room(s, peer.uid == 0)) {
		if (!s->full)
			log_warn("control: all %d connections are taken, refusing more", CTL_CONNECTIONS);
		s->full = true;
		snprintf(why, sizeof(why), "all %d control connections are taken", CTL_CONNECTIONS);
		turn_away(fd, why);
		return;
	}
	s->full = false;
	if (conn_new(s, fd, peer.pid) < 0)
		close(fd);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct ctl_server *s = arg;
	(void)what;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			admit(s, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			struct timeval pause = {ACCEPT_PAUSE_MS / 1000, 0};
			log_warn("control: cannot accept: %s", strerror(errno));
			event_del(&s->accept_event);
			evtimer_add(&s->accept_pause, &pause);
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			return;
		}
	}
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_server *s = arg;
	(void)fd;
	(void)what;
	event_add(&s->accept_event, NULL);
}

/* ---- the socket's file ---- */

static int check_directory(int dir, const char *name, struct err *err)
{
	struct stat st;
	if (fstat(dir, &st) < 0)
		return err_errno(err, -errno, "%s", name);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM, "%s: found mode %04o, expected a directory that only its owner may write (chmod go-w)", name,
			       st.st_mode & 07777u);
	return 0;
}

/* Two starts at once must not both find the old socket dead; the lock is the directory itself and leaves no file behind. */
static int lock_directory(int dir, const char *name, struct err *err)
{
	for (int tries = 0; flock(dir, LOCK_EX | LOCK_NB) < 0; tries++) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || tries == LOCK_TRIES)
			return err_errno(err, -errno, "%s: cannot lock the directory", name);
		poll(NULL, 0, 10);
	}
	return 0;
}

/* Makes sure that nothing is at the path, or only the socket of a server that is gone, which is removed. */
static int clear_path(const struct sockaddr_un *sa, struct err *err)
{
	struct stat st;
	const char *path = sa->sun_path;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, -errno, "%s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(err, -EPERM, "%s: found a symbolic link, expected nothing or an old socket: remove it", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s: found something that is no socket, expected nothing or an old socket: remove it", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, -errno, "socket");
	int rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 ? 0 : -errno;
	close(fd);
	if (rc != -ECONNREFUSED && rc != -ENOENT)
		return err_set(err, -EEXIST, "%s: another server answers here: stop it first, or give this one another path", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(err, -errno, "%s: cannot remove the old socket", path);
	return 0;
}

static int bind_path(struct ctl_server *s, struct err *err)
{
	const char *path = s->path.sun_path;
	int rc = clear_path(&s->path, err);
	if (rc < 0)
		return rc;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return err_errno(err, -errno, "socket");
	/* The file takes the mode that the unbound socket has, so that at no time others can connect. */
	if (fchmod(s->fd, 0600) < 0 || bind(s->fd, (struct sockaddr *)&s->path, sizeof(s->path)) < 0)
		return err_errno(err, -errno, "%s: cannot make the socket", path);
	struct stat st;
	if (lstat(path, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	if (s->group_known && st.st_gid != s->group && lchown(path, (uid_t)-1, s->group) < 0)
		log_warn("control: cannot give %s to the group %s: %s; only root can connect", path, s->opt.group, strerror(errno));
	if (chmod(path, 0660) < 0 || listen(s->fd, 128) < 0)
		return err_errno(err, -errno, "%s", path);
	return 0;
}

static int open_path(struct ctl_server *s, struct err *err)
{
	char name[sizeof(s->path.sun_path)];
	strcpy(name, s->path.sun_path);
	char *slash = strrchr(name, '/');
	slash[slash == name] = '\0';
	int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_errno(err, -errno, "%s", name);
	int rc = check_directory(dir, name, err);
	if (rc == 0)
		rc = lock_directory(dir, name, err);
	if (rc == 0)
		rc = bind_path(s, err);
	close(dir);
	return rc;
}

static void find_group(struct ctl_server *s)
{
	char buf[16384];
	struct group group, *found = NULL;
	s->group_known = getgrnam_r(s->opt.group, &group, buf, sizeof(buf), &found) == 0 && found;
	if (s->group_known)
		s->group = group.gr_gid;
}

int ctl_listen(struct ctl_server **out, struct event_base *base, const struct ctl_options *opt, struct err *err)
{
	struct ctl_server *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->base = base;
	s->fd = -1;
	s->opt = *opt;
	s->opt.address = NULL; /* borrowed for this call alone; the path is ours */
	s->opt.group = opt->group ? opt->group : "shunt";
	s->opt.line_timeout_ms = opt->line_timeout_ms ? opt->line_timeout_ms : LINE_TIMEOUT_MS;
	s->opt.answer_timeout_ms = opt->answer_timeout_ms ? opt->answer_timeout_ms : ANSWER_TIMEOUT_MS;
	evtimer_assign(&s->accept_pause, base, on_accept_again, s);
	event_assign(&s->accept_event, base, -1, EV_READ | EV_PERSIST, on_accept, s);
	find_group(s);
	int rc = ctl_unix_address(&s->path, opt->address, err);
	if (rc == 0)
		rc = open_path(s, err);
	if (rc == 0) {
		event_assign(&s->accept_event, base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
		if (event_add(&s->accept_event, NULL) < 0)
			rc = err_set(err, -ENOMEM, "out of memory");
	}
	if (rc < 0) {
		ctl_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void ctl_close(struct ctl_server *s)
{
	if (!s)
		return;
	while (s->conns)
		conn_free(s->conns);
	event_del(&s->accept_event);
	evtimer_del(&s->accept_pause);
	struct stat st;
	if (s->ino && lstat(s->path.sun_path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path.sun_path);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
