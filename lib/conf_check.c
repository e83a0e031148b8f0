/* What keys say together: a listener must be able to listen, must not lead back to itself, and must know its partner; where other hosts
 * are spoken to there must be certificates. */
#include "lib/conf_parts.h"

#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int bad(const struct conf *c, struct err *err, int line, const char *text)
{
	return err_set(err, -EINVAL, "%s:%d: %s", c->file, line, text);
}

static bool same_host(const struct conf_host *a, const struct conf_host *b)
{
	if (!a->text || !b->text)
		return false;
	if (addr_family(&a->addr) != AF_UNSPEC && addr_family(&b->addr) != AF_UNSPEC)
		return addr_same_ip(&a->addr, &b->addr);
	return strcmp(a->text, b->text) == 0;
}

static int check_pairs(const struct conf *c, struct err *err)
{
	char text[512];
	bool partner = c->n_pairs == 0;

	for (size_t i = 0; i < c->n_pairs; i++) {
		const struct conf_pair *p = &c->pairs[i];
		int a = addr_family(&p->client.addr), b = addr_family(&p->transit.addr);

		if (a != AF_UNSPEC && b != AF_UNSPEC && a != b)
			return bad(c, err, p->line,
				   "found a pair of an IPv4 and an IPv6 address, expected two of one family, pair each with its like");
		if (same_host(&p->client, &p->transit))
			return bad(c, err, p->line,
				   "found a pair whose two sides are the same, expected client and transit to differ, correct one");
		partner = partner || p->transit.text;
		for (size_t k = 0; k < i; k++) {
			if (!same_host(&p->client, &c->pairs[k].client))
				continue;
			snprintf(text, sizeof(text),
				 "found a second pair for client = %s, expected each once (the first is in line %d), remove one",
				 LOG_QUOTED(p->client.text, strlen(p->client.text)), c->pairs[k].line);
			return bad(c, err, p->line, text);
		}
	}
	if (!partner)
		return bad(c, err, c->pairs[0].line, "found no pair with a transit address, expected one at least, add transit = \"...\"");
	return 0;
}

/* The partner is found by the address that the visitor came to, so it must be in a pair. */
static int check_partner(const struct conf *c, const struct conf_listener *l, struct err *err)
{
	char list[512] = "", text[1000];
	size_t n = 0, of_family = 0, named = 0;

	for (size_t i = 0; i < c->n_pairs; i++) {
		const struct conf_host *client = &c->pairs[i].client;

		if (addr_family(&client->addr) == AF_UNSPEC)
			named++;
		else if (addr_same_ip(&client->addr, &l->bind))
			return 0;
		else
			of_family += addr_family(&client->addr) == addr_family(&l->bind);
		if (n < sizeof(list))
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", client->text);
	}
	if (c->n_pairs == 0 || named || addr_is_any(&l->bind) || (addr_is_loopback(&l->bind) && of_family <= 1))
		return 0;
	snprintf(text, sizeof(text),
		 "found listener %s with address = \"%s\", expected a pair's client address (%s), add a pair or correct it",
		 LOG_QUOTED(l->name, strlen(l->name)), l->address, list);
	return bad(c, err, l->line, text);
}

static enum source default_source(const struct conf_listener *l, int side)
{
	if (!l->address && side == 0)
		return SOURCE_TRANSPARENT;
	return l->protocol == PROTOCOL_HTTP ? SOURCE_HEADERS : SOURCE_PLAIN;
}

static int check_sources(const struct conf *c, struct conf_listener *l, struct err *err)
{
	char text[400];

	for (int side = 0; side < 2; side++) {
		if (l->source[side] == SOURCE_UNSET && !(c->proxy.source[side] == SOURCE_HEADERS && l->protocol != PROTOCOL_HTTP))
			l->source[side] = c->proxy.source[side];
		if (l->source[side] == SOURCE_UNSET)
			l->source[side] = default_source(l, side);
		if (l->source[side] == SOURCE_TRANSPARENT && !c->proxy.intercept) {
			snprintf(text, sizeof(text),
				 "found source-%s = transparent in listener %s, expected it with intercept = true only, add that or use "
				 "%splain or proxy-v2",
				 side ? "transit" : "local", LOG_QUOTED(l->name, strlen(l->name)),
				 l->protocol == PROTOCOL_HTTP ? "headers, " : "");
			return bad(c, err, l->line, text);
		}
		if (l->source[side] != SOURCE_HEADERS || l->protocol == PROTOCOL_HTTP)
			continue;
		snprintf(text, sizeof(text),
			 "found source-%s = headers in listener %s of protocol %s, expected it for http only, use plain or proxy-v2",
			 side ? "transit" : "local", LOG_QUOTED(l->name, strlen(l->name)), protocol_name(l->protocol));
		return bad(c, err, l->line, text);
	}
	return 0;
}

static int check_intercepted(const struct conf *c, struct conf_listener *l, struct err *err)
{
	char text[400];

	if (c->n_pairs && l->port != c->proxy.intercept_port)
		return check_sources(c, l, err);
	if (c->n_pairs)
		snprintf(text, sizeof(text), "found listener %s on intercept-port, %u, expected another port for one of them",
			 LOG_QUOTED(l->name, strlen(l->name)), l->port);
	else
		snprintf(text, sizeof(text),
			 "found listener %s without address and no pair whose client address it could take, add a pair to the server",
			 LOG_QUOTED(l->name, strlen(l->name)));
	return bad(c, err, l->line, text);
}

static int check_listener(const struct conf *c, struct conf_listener *l, struct err *err)
{
	const char *name = LOG_QUOTED(l->name, strlen(l->name));
	char text[400];

	if (!l->transit_port)
		l->transit_port = l->port;
	if (!l->address) {
		if (c->proxy.intercept)
			return check_intercepted(c, l, err);
		snprintf(text, sizeof(text),
			 "found listener %s without address, expected one unless intercept = true, add address and local", name);
		return bad(c, err, l->line, text);
	}
	addr_parse(&l->bind, l->address);
	addr_set_port(&l->bind, l->port);
	if (!l->local.text) {
		snprintf(text, sizeof(text),
			 "found listener %s with address and without local, expected where its local service is, or its "
			 "traffic would come back to it; add local = \"ADDRESS:PORT\"",
			 name);
		return bad(c, err, l->line, text);
	}
	if (l->local.text && addr_family(&l->local.addr) != AF_UNSPEC && l->local.port == l->port &&
	    (addr_same_ip(&l->local.addr, &l->bind) ||
	     (addr_is_any(&l->bind) && addr_family(&l->bind) == addr_family(&l->local.addr) && addr_is_loopback(&l->local.addr)))) {
		snprintf(text, sizeof(text),
			 "found listener %s whose local is the listener itself, expected another address or port, or its traffic "
			 "would come back to it",
			 name);
		return bad(c, err, l->line, text);
	}
	if (check_partner(c, l, err) < 0)
		return -EINVAL;
	return check_sources(c, l, err);
}

static bool clash(const struct conf_listener *a, const struct conf_listener *b)
{
	if (a->port != b->port)
		return false;
	if (!a->address || !b->address)
		return true; /* interception takes every pair's address */
	if (addr_family(&a->bind) != addr_family(&b->bind))
		return false;
	return addr_same_ip(&a->bind, &b->bind) || addr_is_any(&a->bind) || addr_is_any(&b->bind);
}

static int check_zone_servers(struct conf *c, struct err *err)
{
	for (size_t i = 0; i < c->dns.n_zone_servers; i++) {
		struct conf_zone_server *z = &c->dns.zone_servers[i];
		bool update = z->backend == BACKEND_RFC2136;

		if (update && !z->address.text)
			return bad(c, err, z->line,
				   "found a zone-server without address, expected where updates are sent to, add address = \"...\"");
		if (update && z->url)
			return bad(c, err, z->line,
				   "found url in a zone-server of backend rfc2136, expected address, or another backend: powerdns, "
				   "alwaysdata");
		if (!update && z->address.text)
			return bad(c, err, z->line, "found address in a zone-server whose backend is an HTTP API, expected url");
		if (z->backend == BACKEND_POWERDNS && !z->url)
			return bad(c, err, z->line,
				   "found a zone-server of backend powerdns without url, expected url = \"http://HOST:8081\"");
		if (z->backend == BACKEND_ALWAYSDATA && !z->url && !(z->url = strdup("https://api.alwaysdata.com")))
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static int check_serve(const struct conf *c, struct err *err)
{
	const struct conf_serve *s = &c->serve;
	bool tls = s->present && strncmp(s->listen, "tls://", 6) == 0;

	if (tls && !(s->cert && s->key))
		return bad(c, err, s->line,
			   "found listen = \"tls://...\" in section serve without cert or key, expected both: the certificate that "
			   "browsers are "
			   "shown, and its key");
	if (s->present && !tls && (s->cert || s->key))
		return bad(c, err, s->line,
			   "found cert or key in section serve whose listen is not tls://, expected listen = \"tls://ADDRESS:PORT\" with "
			   "them");
	return 0;
}

int conf_check(struct conf *c, struct err *err)
{
	struct conf_proxy *p = &c->proxy;
	char text[500];
	int rc = check_pairs(c, err);

	if (rc == 0 && c->tls.needed_line && !c->tls.present)
		return bad(
			c, err, c->tls.needed_line,
			"found a tls:// address and no section tls, expected the certificates to use there, add tls { ca = \"...\" cert = "
			"\"...\" key = \"...\" }");
	if (rc == 0)
		rc = check_zone_servers(c, err);
	if (rc == 0)
		rc = check_serve(c, err);
	for (size_t i = 0; rc == 0 && i < p->n_listeners; i++) {
		struct conf_listener *l = &p->listeners[i];

		rc = check_listener(c, l, err);
		for (size_t k = 0; rc == 0 && k < i; k++) {
			if (!clash(l, &p->listeners[k]))
				continue;
			snprintf(text, sizeof(text),
				 "found listener %s on port %u, which listener %s of line %d has, expected another address or port",
				 LOG_QUOTED(l->name, strlen(l->name)), l->port,
				 LOG_QUOTED(p->listeners[k].name, strlen(p->listeners[k].name)), p->listeners[k].line);
			rc = bad(c, err, l->line, text);
		}
	}
	return rc;
}
