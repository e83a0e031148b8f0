/* Listening, and who is let in. On a Unix socket the kernel says who asks; who comes from the network has a handshake before it. */
#include "lib/ctl_parts.h"

#include "lib/log.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_TIMEOUT_MS      5000
#define ANSWER_TIMEOUT_MS    10000
#define HANDSHAKE_TIMEOUT_MS 5000
#define ACCEPT_PAUSE_MS      1000 /* after descriptors ran out */
#define ACCEPT_TURN          64   /* a crowd at the door must not keep the loop from its other work */

bool ctl_has_room(struct ctl_server *s, bool favoured)
{
	struct ctl_conn *idle;
	if (s->n_conns < CTL_CONNECTIONS - (favoured ? 0u : 1u)) {
		s->full = false;
		return true;
	}
	if (favoured && (idle = ctl_conn_idlest(s))) {
		ctl_conn_free(idle);
		return true;
	}
	if (!s->full)
		log_warn("control: all %d connections are taken, refusing more", CTL_CONNECTIONS);
	s->full = true;
	return false;
}

size_t ctl_refusal(char out[CTL_REFUSAL_MAX], char *why)
{
	json_t *o = ctl_failure(NULL, CTL_REFUSED, why);
	size_t len = o ? json_dumpb(o, out, CTL_REFUSAL_MAX - 1, JSON_COMPACT) : 0;
	json_decref(o);
	if (len >= CTL_REFUSAL_MAX)
		return 0;
	out[len] = '\n';
	return len + 1;
}

/* ---- peers on this host ---- */

static bool peer_allowed(const struct ctl_server *s, int fd, const struct ucred *peer)
{
	if (peer->uid == 0)
		return true;
	if (!s->group.known)
		return false;
	if (peer->gid == s->group.gid)
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
		found |= groups[i] == s->group.gid;
	if (groups != few)
		free(groups);
	return found;
}

/* Takes fd. Tells why as far as that needs no waiting. */
static void turn_away(int fd, char *why)
{
	char line[CTL_REFUSAL_MAX];
	size_t len = ctl_refusal(line, why);
	(void)!send(fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

/* Takes fd. */
static void admit(struct ctl_server *s, int fd)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t len = sizeof(peer);
	char text[256];
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || !peer_allowed(s, fd, &peer)) {
		log_warn("control: refused uid=%u gid=%u pid=%d, neither root nor of the group %s", peer.uid, peer.gid, (int)peer.pid,
			 s->group.name);
		snprintf(text, sizeof(text), "user %u is neither root nor of the group %s", peer.uid, s->group.name);
		turn_away(fd, text);
		return;
	}
	if (!ctl_has_room(s, peer.uid == 0)) {
		snprintf(text, sizeof(text), "all %d control connections are taken", CTL_CONNECTIONS);
		turn_away(fd, text);
		return;
	}
	struct bufferevent *bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!bev) {
		close(fd);
		return;
	}
	snprintf(text, sizeof(text), "uid %u pid %d", peer.uid, (int)peer.pid);
	ctl_conn_new(s, bev, text);
}

/* ---- the server ---- */

static void on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct ctl_server *s = arg;
	(void)what;
	for (int i = 0; i < ACCEPT_TURN; i++) {
		union {
			struct sockaddr_storage any;
			struct sockaddr sa;
		} from;
		socklen_t len = sizeof(from);
		struct addr peer = {0};
		int fd = accept4(listener, &from.sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0 && addr_from_sockaddr(&peer, &from.sa)) {
			ctl_shake_start(s, fd, &peer);
		} else if (fd >= 0) {
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

static void find_group(struct ctl_server *s)
{
	char buf[16384];
	struct group group, *found = NULL;
	s->group.known = getgrnam_r(s->group.name, &group, buf, sizeof(buf), &found) == 0 && found;
	if (s->group.known)
		s->group.gid = group.gr_gid;
}

int ctl_listen(struct ctl_server **out, struct event_base *base, const struct ctl_options *opt, struct err *err)
{
	struct ctl_server *s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->base = base;
	s->fd = -1;
	s->opt = *opt;
	s->opt.address = NULL; /* borrowed for this call alone */
	s->group.name = opt->group ? opt->group : "shunt";
	s->opt.line_timeout_ms = opt->line_timeout_ms ? opt->line_timeout_ms : LINE_TIMEOUT_MS;
	s->opt.answer_timeout_ms = opt->answer_timeout_ms ? opt->answer_timeout_ms : ANSWER_TIMEOUT_MS;
	s->opt.handshake_timeout_ms = opt->handshake_timeout_ms ? opt->handshake_timeout_ms : HANDSHAKE_TIMEOUT_MS;
	evtimer_assign(&s->accept_pause, base, on_accept_again, s);
	event_assign(&s->accept_event, base, -1, EV_READ | EV_PERSIST, on_accept, s);
	find_group(s);
	int rc;
	if (strncmp(opt->address, "tls:", 4) == 0) {
		rc = ctl_shake_open(opt->address, opt->tls, &s->fd, err);
	} else {
		s->opt.tls = NULL;
		rc = ctl_path_open(&s->path, opt->address, &s->group, &s->fd, err);
	}
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

void ctl_use_tls(struct ctl_server *s, const struct tls *tls)
{
	s->opt.tls = tls;
}

void ctl_close(struct ctl_server *s)
{
	if (!s)
		return;
	while (s->shakes)
		ctl_shake_free(s->shakes);
	while (s->conns)
		ctl_conn_free(s->conns);
	event_del(&s->accept_event);
	evtimer_del(&s->accept_pause);
	ctl_path_remove(&s->path);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}
