#include "tests/unit/dns_server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put48(uint8_t *p, int64_t v)
{
	for (int i = 0; i < 6; i++)
		p[i] = (uint8_t)(v >> (40 - 8 * i));
}

struct tsig_key *dns_key(uint8_t fill)
{
	struct tsig_key *k = calloc(1, sizeof *k);

	*k = (struct tsig_key){.name = strdup(DNS_KEY_NAME),
			       .algorithm = "hmac-sha256.",
			       .digest = "SHA256",
			       .mac_len = 32,
			       .secret = malloc(32),
			       .secret_len = 32};
	memset(k->secret, fill, 32);
	return k;
}

/* ---- replies ---- */

static size_t put_name(uint8_t *p, const char *name)
{
	uint8_t *start = p;

	while (*name) {
		size_t len = strcspn(name, ".");

		*p++ = (uint8_t)len;
		memcpy(p, name, len);
		p += len;
		name += len + (name[len] == '.');
	}
	*p++ = 0;
	return (size_t)(p - start);
}

void dns_reply(struct dns_reply *r, const uint8_t *query, size_t len, unsigned flags, unsigned rcode)
{
	size_t end = 12;

	while (end < len && query[end])
		end += 1u + query[end];
	end += 5;
	memcpy(r->bytes, query, end);
	r->len = end;
	put16(r->bytes + 2, 0x8000u | (query[2] & 0x78u) << 8 | flags | rcode);
	memset(r->bytes + 6, 0, 6);
}

void dns_record(struct dns_reply *r, int section, const char *owner, unsigned type, unsigned class, uint32_t ttl, const void *rdata,
		size_t len)
{
	uint8_t *p = r->bytes + r->len, *count = r->bytes + 4 + 2 * section;

	if (owner) {
		p += put_name(p, owner);
	} else {
		put16(p, 0xc00c);
		p += 2;
	}
	put16(p, type);
	put16(p + 2, class);
	put16(p + 4, ttl >> 16);
	put16(p + 6, ttl & 0xffff);
	put16(p + 8, (unsigned)len);
	if (len)
		memcpy(p + 10, rdata, len);
	r->len = (size_t)(p + 10 + len - r->bytes);
	put16(count, (count[0] << 8 | count[1]) + 1u);
}

/* ---- signatures ---- */

void dns_signer_init(struct dns_signer *s, const struct tsig_key *key, const uint8_t *query, size_t len)
{
	*s = (struct dns_signer){.key = key, .fudge = 300};
	memcpy(s->mac, query + len - 6 - 32, 32); /* MAC, original id, error, length of other data */
}

/* What RFC 8945 4.3 lays out, at p; other data only for BADTIME. */
static size_t lay_out(const struct dns_signer *s, const struct dns_reply *r, const uint8_t *time, const uint8_t *other, size_t other_len,
		      uint8_t *p)
{
	uint8_t *start = p;

	put16(p, 32);
	memcpy(p + 2, s->mac, 32);
	p += 34;
	memcpy(p, s->unsigned_bytes, s->unsigned_len);
	p += s->unsigned_len;
	memcpy(p, r->bytes, r->len);
	p += r->len;
	if (!s->timers) {
		p += put_name(p, s->key->name);
		memcpy(p, "\0\xff\0\0\0", 6);
		p += 6;
		p += put_name(p, s->key->algorithm);
	}
	memcpy(p, time, 6);
	put16(p + 6, s->fudge);
	p += 8;
	if (!s->timers) {
		put16(p, s->error);
		put16(p + 2, (unsigned)other_len);
		memcpy(p + 4, other, other_len);
		p += 4 + other_len;
	}
	return (size_t)(p - start);
}

static void append(struct dns_signer *s, struct dns_reply *r, const uint8_t *time, const uint8_t *mac, size_t mac_len, const uint8_t *other,
		   size_t other_len)
{
	uint8_t *p = r->bytes + r->len, *size;

	p += put_name(p, s->name ? s->name : s->key->name);
	memcpy(p, "\0\xfa\0\xff\0\0\0", 8);
	size = p + 8;
	p += 10;
	p += put_name(p, s->key->algorithm);
	memcpy(p, time, 6);
	put16(p + 6, s->fudge);
	put16(p + 8, (unsigned)mac_len);
	memcpy(p + 10, mac, mac_len);
	p += 10 + mac_len;
	memcpy(p, r->bytes, 2);
	put16(p + 2, s->error);
	put16(p + 4, (unsigned)other_len);
	memcpy(p + 6, other, other_len);
	p += 6 + other_len;
	put16(size, (unsigned)(p - size - 2));
	r->len = (size_t)(p - r->bytes);
	put16(r->bytes + 10, (r->bytes[10] << 8 | r->bytes[11]) + 1u);
}

void dns_sign(struct dns_signer *s, struct dns_reply *r)
{
	static uint8_t all[65535 * 6];
	uint8_t now[6], server[6];
	size_t other_len = s->error == 18 ? 6 : 0, len;
	unsigned mac_len = 32;

	put48(now, (int64_t)time(NULL) + (s->error == 18 ? 0 : s->shift));
	put48(server, (int64_t)time(NULL) + s->shift);
	len = lay_out(s, r, now, server, other_len, all);
	HMAC(EVP_sha256(), s->key->secret, (int)s->key->secret_len, all, len, s->mac, &mac_len);
	append(s, r, now, s->mac, s->mac_len ? s->mac_len : 32, server, other_len);
	s->timers = true;
	s->unsigned_len = 0;
}

void dns_skip(struct dns_signer *s, const struct dns_reply *r)
{
	memcpy(s->unsigned_bytes + s->unsigned_len, r->bytes, r->len);
	s->unsigned_len += r->len;
}

void dns_error(struct dns_signer *s, struct dns_reply *r, unsigned error)
{
	uint8_t now[6];

	put48(now, (int64_t)time(NULL));
	s->error = error;
	append(s, r, now, now, 0, now, 0);
}

/* ---- the server ---- */

struct dns_peer {
	struct dns_server *server;
	struct bufferevent *bev;
	struct dns_peer *next;
};

struct dns_server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct addr addr;
	dns_query_fn *fn;
	void *arg;
	struct dns_peer *peers;
	int accepted;
};

static void on_read(struct bufferevent *bev, void *arg)
{
	struct dns_peer *p = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	uint8_t size[2], query[65535];

	while (p->bev && evbuffer_copyout(in, size, 2) == 2) {
		size_t len = (size_t)(size[0] << 8 | size[1]);

		if (evbuffer_get_length(in) < 2 + len)
			return;
		evbuffer_drain(in, 2);
		evbuffer_remove(in, query, len);
		p->server->fn(p->server->arg, p, query, len);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		dns_hang_up(arg);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct dns_server *s = arg;
	struct dns_peer *p = calloc(1, sizeof *p);

	(void)l;
	(void)sa;
	(void)len;
	s->accepted++;
	p->server = s;
	p->next = s->peers;
	s->peers = p;
	p->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	bufferevent_setcb(p->bev, on_read, NULL, on_event, p);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
}

struct dns_server *dns_server_new(struct event_base *base, dns_query_fn *fn, void *arg)
{
	struct dns_server *s = calloc(1, sizeof *s);
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_storage real;
	socklen_t len = sizeof real;

	s->base = base;
	s->fn = fn;
	s->arg = arg;
	s->listener = evconnlistener_new_bind(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 64, (struct sockaddr *)&any, sizeof any);
	if (!s->listener || getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&real, &len) < 0)
		abort();
	addr_from_sockaddr(&s->addr, (struct sockaddr *)&real);
	return s;
}

const struct addr *dns_server_addr(const struct dns_server *s)
{
	return &s->addr;
}

int dns_server_accepted(const struct dns_server *s)
{
	return s->accepted;
}

void dns_hang_up(struct dns_peer *p)
{
	if (p->bev)
		bufferevent_free(p->bev);
	p->bev = NULL;
}

void dns_send(struct dns_peer *p, const void *bytes, size_t len)
{
	uint8_t size[2];

	put16(size, (unsigned)len);
	if (p->bev) {
		bufferevent_write(p->bev, size, 2);
		bufferevent_write(p->bev, bytes, len);
	}
}

void dns_server_free(struct dns_server *s)
{
	for (struct dns_peer *p = s->peers, *next; p; p = next) {
		next = p->next;
		dns_hang_up(p);
		free(p);
	}
	evconnlistener_free(s->listener);
	free(s);
}
