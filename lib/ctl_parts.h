#pragma once
/* ctl_parts - what the files of ctl share among themselves; of others only shunt serve includes it, for the file of its Unix socket.
 * The way of a peer: ctl_server.c accepts. On a Unix socket the kernel says who it is, and it is let in or turned away at once. From the
 * network it first goes through ctl_shake.c, until its certificate says who it is. Who is let in becomes a ctl_conn (ctl.c). */
#include "lib/addr.h"
#include "lib/ctl.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

#define CTL_PEER_MAX    256 /* of what ctl_peer() says */
#define CTL_REFUSAL_MAX 512

struct bufferevent;
struct ctl_conn;
struct ctl_shake;

/* ---- ctl_path.c: the file of a Unix socket ---- */
struct ctl_path {
	struct sockaddr_un sa;
	dev_t dev; /* with ino: the file as we made it */
	ino_t ino; /* 0: we made none */
};
struct ctl_group {
	const char *name;
	bool known;
	gid_t gid;
};
/* Makes the file and listens; *fd is the caller's to close, also on failure. */
int ctl_path_open(struct ctl_path *p, const char *address, const struct ctl_group *group, int *fd, struct err *err);
void ctl_path_remove(const struct ctl_path *p); /* unless another file has taken its place */

/* ---- ctl_server.c: listening, and who is let in ---- */
struct ctl_server {
	struct event_base *base;
	struct ctl_options opt;
	int fd;
	struct event accept_event, accept_pause;
	struct ctl_conn *conns; /* the newest first */
	unsigned n_conns;
	bool full; /* and has said so */
	/* of a Unix socket */
	struct ctl_path path;
	struct ctl_group group;
	/* of a port: the newest first, and how much has been said about those that were refused */
	struct ctl_shake *shakes;
	unsigned n_shakes;
	unsigned said, unsaid;
	time_t said_since; /* seconds on the monotonic clock */
};
bool ctl_has_room(struct ctl_server *s, bool favoured);   /* who is favoured may take an idle one's place, and the last place */
size_t ctl_refusal(char out[CTL_REFUSAL_MAX], char *why); /* the line that says why, with its newline; 0: out of memory */

/* ---- ctl_shake.c: peers from the network, until it is known who they are ---- */
int ctl_shake_open(const char *address, const struct tls *tls, int *fd, struct err *err); /* *fd as above */
void ctl_shake_start(struct ctl_server *s, int fd, const struct addr *peer);              /* takes fd */
void ctl_shake_free(struct ctl_shake *k);

/* ---- ctl.c: one peer that was let in ---- */
int ctl_conn_new(struct ctl_server *s, struct bufferevent *bev, const char *peer); /* takes bev, also on failure; -ENOMEM */
void ctl_conn_free(struct ctl_conn *c);
struct ctl_conn *ctl_conn_idlest(struct ctl_server *s); /* idle, and of these the one that came first; or NULL */
json_t *ctl_failure(const json_t *request, enum ctl_code code, char *text);

/* ---- ctl_wire.c: the asking side's way to the server, with deadlines (ms on the monotonic clock) ---- */
struct ctl_wire {
	int fd;
	int cancel_fd;          /* readable: waiting ends; -1 is none */
	struct tls_stream *tls; /* NULL on a Unix socket */
};
/* On failure w is closed; err says what was tried. timeout_ms does not count the search for a name's addresses. */
int ctl_wire_dial(struct ctl_wire *w, const char *address, const struct tls *tls, int timeout_ms, struct err *err);
void ctl_wire_close(struct ctl_wire *w);
/* All of it, or a negative code. 0 too if the server has closed: it may have said why before, so that reading tells more. */
int ctl_wire_send(struct ctl_wire *w, const char *bytes, size_t len, int64_t deadline, struct err *err);
ssize_t ctl_wire_receive(struct ctl_wire *w, char *into, size_t cap, int64_t deadline, struct err *err); /* at least a byte */
