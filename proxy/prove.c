#include "proxy/prove.h"

#include "proxy/dial.h"
#include "proxy/listener.h"
#include "proxy/pp.h"
#include "proxy/probe.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ECHO_MAX 2048
#define HELLO    "shunt\n" /* ends what is said first */

struct prove {
	struct proxy *proxy;
	struct prove *next, **link;
	struct listener *listener; /* a reference */
	struct addr came_to;
	struct prove_result result;
	prove_done_fn *done;
	void *arg;
	int fd;
	bool said;
	struct event ev;
	struct deadline deadline;
	size_t len;
	char line[ECHO_MAX];
};

/* ---- what the echo says ---- */

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t from_hex(const char *text, uint8_t *out, size_t cap)
{
	size_t n = 0;

	for (; n < cap && digit(text[0]) >= 0 && digit(text[1]) >= 0; text += 2)
		out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
	return n;
}

static bool from_header(struct prove_result *r, const char *hex)
{
	uint8_t bytes[PP_READ_MAX];
	struct pp pp;

	if (pp_parse(&pp, bytes, from_hex(hex, bytes, sizeof bytes)) != PARSE_OK || pp.local) {
		snprintf(r->said, sizeof r->said, "no PROXY header arrived at the transit server");
		return false;
	}
	r->seen = pp.src;
	return true;
}

bool prove_judge(struct prove_result *r, const char *line, size_t len, bool proxy_v2)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	const char *peer = json_string_value(json_object_get(o, "peer")), *said = json_string_value(json_object_get(o, "said"));
	bool read = peer && said && (proxy_v2 ? from_header(r, said) : addr_parse(&r->seen, peer));
	char sent[ADDR_TEXT_MAX], seen[ADDR_TEXT_MAX];

	if (!peer || !said)
		snprintf(r->said, sizeof r->said, "no echo of shunt-netctl answers there");
	json_decref(o);
	r->ok = read && addr_same_ip(&r->seen, &r->sent_as);
	if (read)
		snprintf(r->said, sizeof r->said, "sent as %s, the transit server sees %s", addr_text(&r->sent_as, sent),
			 addr_text(&r->seen, seen));
	return r->ok;
}

/* ---- the connection ---- */

static void prove_free(struct prove *v)
{
	deadline_cancel(v->proxy->loop, &v->deadline);
	if (v->fd >= 0) {
		event_del(&v->ev);
		close(v->fd);
	}
	*v->link = v->next;
	if (v->next)
		v->next->link = v->link;
	listener_unref(v->listener);
	free(v);
}

static void over(struct prove *v)
{
	v->done(v->arg, &v->result);
	prove_free(v);
}

static void fails(struct prove *v, const char *why)
{
	snprintf(v->result.said, sizeof v->result.said, "%s", why);
	over(v);
}

static void on_late(struct deadline *d)
{
	struct prove *v = (struct prove *)((char *)d - offsetof(struct prove, deadline));

	fails(v, v->said ? "the echo does not answer"
			 : "no connection to the echo: a firewall drops it, or answers find no way back (shunt start sets that up)");
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static void want(struct prove *v, short what)
{
	event_assign(&v->ev, loop_base(v->proxy->loop), v->fd, what, on_event, v);
	if (event_add(&v->ev, NULL) < 0)
		fails(v, "out of memory");
}

static void connected(struct prove *v)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		fails(v, strerror(error ? error : errno));
		return;
	}
	if (probe_announce(v->fd, v->listener, SIDE_TRANSIT, &v->result.sent_as, &v->came_to) < 0 ||
	    send(v->fd, HELLO, strlen(HELLO), MSG_NOSIGNAL) < 0) {
		fails(v, "the echo closed the connection");
		return;
	}
	v->said = true;
	want(v, EV_READ);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct prove *v = arg;
	ssize_t n;

	(void)what;
	if (!v->said) {
		connected(v);
		return;
	}
	n = recv(fd, v->line + v->len, sizeof v->line - v->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		want(v, EV_READ);
		return;
	}
	v->len += n > 0 ? (size_t)n : 0;
	if (n > 0 && v->len < sizeof v->line && !memchr(v->line, '\n', v->len)) {
		want(v, EV_READ);
		return;
	}
	prove_judge(&v->result, v->line, v->len, v->listener->conf->source[SIDE_TRANSIT] == SOURCE_PROXY_V2);
	over(v);
}

static void begin(struct prove *v, const struct addr *echo)
{
	enum source s = v->listener->conf->source[SIDE_TRANSIT];

	if (s != SOURCE_TRANSPARENT && s != SOURCE_PROXY_V2) {
		fails(v, s == SOURCE_HEADERS ? "source-transit = headers: a service that is not HTTP sees this host's address"
					     : "source-transit = plain: services see this host's address");
		return;
	}
	v->fd = dial_as_visitor(v->proxy, v->listener, &v->result.sent_as, echo);
	if (v->fd < 0) {
		fails(v, strerror(-v->fd));
		return;
	}
	deadline_arm(v->proxy->loop, &v->deadline, on_late, PROVE_MS);
	want(v, EV_WRITE);
}

int prove_start(struct proxy *p, struct listener *l, const struct addr *came_to, const struct addr *echo, prove_done_fn *done, void *arg)
{
	struct prove *v = calloc(1, sizeof *v);

	if (!v)
		return -ENOMEM;
	v->proxy = p;
	v->listener = listener_ref(l);
	v->came_to = *came_to;
	v->done = done;
	v->arg = arg;
	v->fd = -1;
	v->next = p->proves;
	v->link = &p->proves;
	if (v->next)
		v->next->link = &v->next;
	p->proves = v;
	addr_parse(&v->result.sent_as, addr_family(echo) == AF_INET6 ? PROVE_V6 : PROVE_V4);
	begin(v, echo);
	return 0;
}

void proves_end(struct proxy *p)
{
	while (p->proves) {
		p->proves->done(p->proves->arg, NULL);
		prove_free(p->proves);
	}
}
