/* Does the transit server see who a visitor is? For services whose source address decides what is allowed (mail without a password, bans) a
 * move is stopped unless it was proved: fail closed, here alone. One proof serves all accounts of a listener and address. */
#include "control/preflight_source.h"

#include "control/netctllink.h"
#include "control/preflight_parts.h"
#include "control/proxylink.h"
#include "lib/member.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ECHO_S 20
#define ASK_MS 10000

struct source_proofs {
	pthread_mutex_t lock;
	struct netctllink *transit; /* borrowed; used under the lock; NULL: not configured */
	const struct conf *conf;
	json_t *by_listener; /* "LISTENER ADDRESS" -> {"ok","said"}, "LISTENER service" -> {"expects","said"} */
};

struct source_proofs *source_proofs_new(const struct conf *conf, struct netctllink *transit)
{
	struct source_proofs *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct source_proofs){.lock = PTHREAD_MUTEX_INITIALIZER, .transit = transit, .conf = conf, .by_listener = json_object()};
	return p;
}

void source_proofs_free(struct source_proofs *p)
{
	if (p)
		json_decref(p->by_listener);
	free(p);
}

static const char *partner_of(const struct conf *c, const char *came_to)
{
	struct addr a;
	for (size_t i = 0; addr_parse(&a, came_to) && i < c->n_pairs; i++) {
		if (addr_same_ip(&c->pairs[i].client.addr, &a))
			return c->pairs[i].transit.text;
	}
	return NULL;
}

static json_t *verdict(bool ok, const char *said)
{
	return json_pack("{s:b, s:s}", "ok", ok, "said", said);
}

static json_t *ask(struct source_proofs *p, struct proxylink *proxy, const json_t *listener)
{
	const char *came_to = member_text(listener, "came-to"), *partner = partner_of(p->conf, came_to);
	char at[ADDR_TEXT_MAX];
	json_t *answer = NULL, *found;
	struct err err = {0};
	struct addr echo;
	if (!p->transit)
		return verdict(false, "it cannot be proved without shunt-netctl of the transit server (control: netctl-transit)");
	if (!partner || !addr_parse(&echo, partner))
		return verdict(false, "the partner of its address is not an address");
	int rc = netctllink_ask(p->transit, "echo", json_pack("{s:s, s:i}", "at", partner, "seconds", ECHO_S), ASK_MS, &answer, NULL, &err);
	if (rc == 0) {
		addr_set_port(&echo, (uint16_t)member_int(answer, "port"));
		json_decref(answer);
		answer = NULL;
		rc = proxylink_ask(proxy, "prove",
				   json_pack("{s:s, s:s, s:s}", "listener", member_text(listener, "listener"), "came-to", came_to, "echo",
					     addr_text_port(&echo, at)),
				   ASK_MS, &answer, &err);
	}
	found = rc < 0 ? verdict(false, err.text) : verdict(json_is_true(json_object_get(answer, "proved")), member_text(answer, "said"));
	json_decref(answer);
	return found;
}

/* Whether what a service said first is its protocol's greeting, rather than a complaint about a header that it does not know. */
static bool is_greeting(uint16_t port, const char *said)
{
	static const struct {
		uint16_t port;
		const char *begin;
	} greetings[] = {{21, "220"},   {22, "SSH-"},     {25, "220"},  {110, "+OK"}, {143, "* "},  {587, "220"},
			 {2525, "220"}, {4190, "\"IMPL"}, {465, "TLS"}, {990, "TLS"}, {993, "TLS"}, {995, "TLS"}};
	for (size_t i = 0; i < sizeof(greetings) / sizeof(*greetings); i++) {
		if (greetings[i].port == port)
			return strncmp(said, greetings[i].begin, strlen(greetings[i].begin)) == 0;
	}
	return false;
}

/* What the service itself does: {"expects": true, false, or null where it is not known, "said"}. */
static json_t *ask_service(struct proxylink *proxy, const json_t *listener)
{
	char text[500];
	json_t *answer = NULL;
	struct err err = {0};
	int rc = proxylink_ask(
		proxy, "greet",
		json_pack("{s:s, s:s}", "listener", member_text(listener, "listener"), "came-to", member_text(listener, "came-to")), ASK_MS,
		&answer, &err);
	const char *with = member_text(answer, "with"), *without = member_text(answer, "without"),
		   *trouble = rc < 0 ? err.text : member_text(answer, "trouble");
	bool takes = !*without && is_greeting((uint16_t)member_int(listener, "port"), with);
	json_t *expects = *without ? json_false() : takes && !*trouble ? json_true() : json_null();
	if (*without)
		snprintf(text, sizeof(text), "its service answers without a PROXY header (%.120s), and so does not expect one", without);
	else if (*trouble)
		snprintf(text, sizeof(text), "whether its service expects the PROXY header is not known: %.300s", trouble);
	else if (takes)
		snprintf(text, sizeof(text), "its service waits for the PROXY header, and answers with it (%.120s)", with);
	else
		snprintf(text, sizeof(text), "whether its service expects the PROXY header is not known: with one it says %.120s",
			 *with ? with : "nothing");
	json_decref(answer);
	return json_pack("{s:o, s:s}", "expects", expects, "said", text);
}

/* Proofs as they were, or made now; borrowed. The way is proved for each address, the service asked once for each listener: it takes 4 s.
 */
static const json_t *proof(struct source_proofs *p, struct proxylink *proxy, const json_t *listener, bool service)
{
	char key[400];
	snprintf(key, sizeof(key), "%.300s %.64s", member_text(listener, "listener"),
		 service ? "service" : member_text(listener, "came-to"));
	pthread_mutex_lock(&p->lock);
	json_t *known = json_object_get(p->by_listener, key);
	if (!known) {
		known = service ? ask_service(proxy, listener) : ask(p, proxy, listener);
		json_object_set_new(p->by_listener, key, known);
	}
	pthread_mutex_unlock(&p->lock);
	return known;
}

static void believes(json_t *findings, struct source_proofs *p, struct proxylink *proxy, const json_t *listener, const char *name)
{
	const json_t *r = proof(p, proxy, listener, true), *expects = json_object_get(r, "expects");
	FIND(findings,
	     json_is_false(expects)  ? GRADE_STOP
	     : json_is_null(expects) ? GRADE_WARN
				     : GRADE_INFORM,
	     "source-service", name,
	     json_is_true(expects) ? NULL : "let the service take the PROXY protocol from this host, and from no other", "%s",
	     member_text(r, "said"));
}

static void login(json_t *findings, struct source_proofs *p, struct proxylink *proxy, const json_t *listener, const char *service)
{
	const char *source = member_text(listener, "source-transit");
	char name[100];
	snprintf(name, sizeof(name), "port %lld (%s)", (long long)member_int(listener, "port"), service);
	if (strcmp(source, "transparent") != 0 && strcmp(source, "proxy-v2") != 0) {
		FIND(findings, GRADE_STOP, "source", name,
		     "set source-transit = \"proxy-v2\" or \"transparent\" for this listener: else this host's address decides who may "
		     "send mail and who is banned",
		     "with source-transit = %s the transit server sees this host in place of the visitor", source);
		return;
	}
	const json_t *r = proof(p, proxy, listener, false);
	if (!json_is_true(json_object_get(r, "ok"))) {
		FIND(findings, GRADE_STOP, "source", name, "the service must not move before the transit server sees who its visitors are",
		     "with source-transit = %s it is not proved that the transit server sees visitors' addresses: %s", source,
		     member_text(r, "said"));
		return;
	}
	FIND(findings, GRADE_INFORM, "source", name, "look for a test login's address in the service's own log all the same",
	     "proved on the way to the transit server (source-transit = %s): %s", source, member_text(r, "said"));
	if (strcmp(source, "proxy-v2") == 0)
		believes(findings, p, proxy, listener, name);
}

void preflight_source(json_t *findings, struct source_proofs *p, struct proxylink *proxy, const struct acctdef *def,
		      const json_t *listeners)
{
	const json_t *l;
	const char *service;
	bool plain = false;
	size_t i;
	json_array_foreach (listeners, i, l) {
		if (preflight_is_login_port((uint16_t)member_int(l, "port"), &service))
			login(findings, p, proxy, l, service);
		else
			plain = plain || strcmp(member_text(l, "source-transit"), "plain") == 0;
	}
	if (plain)
		FIND(findings, GRADE_INFORM, "source", def->name,
		     "source-transit = \"proxy-v2\" or \"transparent\", where bans, limits or statistics go by the visitor's address",
		     "with source-transit = plain the transit server sees this host's address in place of its visitors'");
}
