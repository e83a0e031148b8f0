/* What `shunt check` asks: which ports an account is visited by, what a side answers for its domains, and whom the transit server sees. */
#include "lib/log.h"
#include "proxy/control_impl.h"
#include "proxy/fetch.h"
#include "proxy/greet.h"
#include "proxy/hold.h"
#include "proxy/listener.h"
#include "proxy/probe.h"
#include "proxy/prove.h"
#include "proxy/seenfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- seen ---- */

static void add_listener(void *arg, struct listener *l, const struct addr *came_to)
{
	char text[ADDR_TEXT_MAX];

	json_array_append_new(arg, json_pack("{ss si ss ss ss}", "listener", l->conf->name, "port", l->conf->port, "protocol",
					     protocol_name(l->conf->protocol), "came-to", addr_text(came_to, text), "source-transit",
					     source_name(l->conf->source[SIDE_TRANSIT])));
}

static json_t *json_seen(const struct seen_row *r)
{
	json_t *days = json_array();

	for (int i = 0; i < SEEN_DAYS; i++)
		json_array_append_new(days, json_integer((json_int_t)r->days[i]));
	return json_pack("{si ss sI so so so}", "port", r->port, "protocol", protocol_name(r->protocol), "count", (json_int_t)r->count,
			 "per-day", days, "first-seen", json_time(r->first_ms), "last-seen", json_time(r->last_ms));
}

void cmd_seen(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	uint64_t now = wall_ms();
	struct seen_row rows[SEEN_MAX];
	json_t *seen = json_array(), *listeners = json_array();

	if (!a) {
		json_decref(seen);
		json_decref(listeners);
		return;
	}
	for (size_t i = 0, n = seen_rows(a, now, rows); i < n; i++)
		json_array_append_new(seen, json_seen(&rows[i]));
	probe_places(p, table_def(p->table, a), add_listener, listeners);
	ctl_answer(call, json_pack("{ss so sI si so sb so}", "side", side_name(account_side(a)), "since",
				   json_time(seenfile_since(p->seenfile, a, now)), "uncounted",
				   (json_int_t)(seenfile_uncounted_ms(p->seenfile, now) / 1000), "days", SEEN_DAYS, "seen", seen, "more",
				   (int)atomic_load(&a->seen_more), "listeners", listeners));
}

/* ---- fetch ---- */

struct asked {
	struct ctl_call *call;
	enum side side;
};

static json_t *text_or_null(const char *text)
{
	return *text ? json_string(text) : json_null();
}

static json_t *json_addr(const struct addr *a, bool port)
{
	char text[ADDR_TEXT_MAX];

	return addr_family(a) == AF_UNSPEC ? json_null() : json_string(port ? addr_text_port(a, text) : addr_text(a, text));
}

static json_t *json_cert(const struct fetch_facts *f)
{
	const struct probe_cert *c = &f->cert;
	json_t *names = json_array();

	for (size_t i = 0; i < c->n_names; i++)
		json_array_append_new(names, json_string(c->names[i]));
	return json_pack("{ss ss sI sI so sI sb sb}", "fingerprint", c->fingerprint, "issuer", c->issuer, "from", (json_int_t)c->from,
			 "until", (json_int_t)c->until, "names", names, "left-out", (json_int_t)c->left_out, "self-signed",
			 (int)c->self_signed, "matches", (int)c->matches);
}

static json_t *json_hash(uint64_t h, unsigned n)
{
	char text[20];

	snprintf(text, sizeof text, "%016llx", (unsigned long long)h);
	return n ? json_string(text) : json_null();
}

static void add_page(json_t *o, const struct fetch_facts *f)
{
	const struct outline *l = &f->outline;

	json_object_update_new(o, json_pack("{sI so so so sI sb sb so sI so sI}", "status", (json_int_t)f->status, "location",
					    text_or_null(f->location), "type", text_or_null(f->type), "title", text_or_null(l->title),
					    "size", (json_int_t)f->size, "whole", (int)f->whole, "encoded", (int)f->encoded, "tags",
					    json_hash(l->tags, l->n_tags), "n-tags", (json_int_t)l->n_tags, "words",
					    json_hash(l->words, l->n_words), "n-words", (json_int_t)l->n_words));
}

static json_t *json_fetch(const struct fetch_wish *w, const struct fetch_facts *f)
{
	json_t *o = json_pack("{ss ss ss so so so sb sI so so}", "domain", w->domain, "scheme", w->tls ? "https" : "http", "path", w->path,
			      "listener", f->listener ? json_string(f->listener) : json_null(), "came-to", json_addr(&f->came_to, false),
			      "at", json_addr(&f->at, true), "ok", (int)f->ok, "ms", (json_int_t)f->ms, "said",
			      json_stringn_nocheck(f->said, strlen(f->said)), "tls",
			      f->shook ? json_pack("{ss sb}", "version", f->version, "h2", (int)f->h2) : json_null());

	if (f->ok)
		add_page(o, f);
	if (f->has_cert)
		json_object_set_new(json_object_get(o, "tls"), "certificate", json_cert(f));
	return o;
}

static void fetched(void *arg, const struct fetch_wish *wishes, const struct fetch_facts *facts, size_t n)
{
	struct asked *q = arg;
	json_t *list = json_array();

	for (size_t i = 0; facts && i < n; i++)
		json_array_append_new(list, json_fetch(&wishes[i], &facts[i]));
	if (facts) {
		ctl_answer(q->call, json_pack("{ss so}", "side", side_name(q->side), "answers", list));
	} else {
		json_decref(list);
		ctl_fail(q->call, CTL_REFUSED, "the question was ended: the account is held now, or the proxy ends");
	}
	free(q);
}

static bool path_ok(const char *path)
{
	for (const char *p = path; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return *path == '/' && strlen(path) < FETCH_PATH;
}

static bool read_wish(struct fetch_wish *w, const json_t *o)
{
	const char *domain = json_string_value(json_object_get(o, "domain")), *scheme = json_string_value(json_object_get(o, "scheme")),
		   *path = json_string_value(json_object_get(o, "path")), *expected;

	*w = (struct fetch_wish){.path = "/"};
	if (!domain || !scheme || !domain_canon(w->domain, domain, false, &expected) || (path && !path_ok(path)))
		return false;
	if (path)
		snprintf(w->path, sizeof w->path, "%s", path);
	w->tls = strcmp(scheme, "https") == 0;
	return w->tls || strcmp(scheme, "http") == 0;
}

/* How many; 0: it was answered. */
static size_t read_wishes(struct ctl_call *call, const json_t *req, struct fetch_wish wishes[FETCHES_MAX])
{
	const json_t *list = json_object_get(req, "requests"), *o;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > FETCHES_MAX) {
		ctl_fail(call, CTL_USAGE, "\"requests\": expected a list of 1 to %d", FETCHES_MAX);
		return 0;
	}
	json_array_foreach (list, i, o) {
		if (!read_wish(&wishes[i], o)) {
			ctl_fail(call, CTL_USAGE,
				 "\"requests\": expected {\"domain\":D, \"scheme\":\"http\" or \"https\", \"path\":P or absent}");
			return 0;
		}
	}
	return json_array_size(list);
}

/* Of an account; false: it was answered. */
static bool want_open_side(struct ctl_call *call, const json_t *req, const struct account *a, enum side *side)
{
	if (!want_side(call, req, side))
		return false;
	/* Neither side: behind the fence the old one is whichever the switch has left, and nothing of ours may reach it either. */
	if (account_gate(a) != GATE_OPEN) {
		ctl_fail(call, CTL_REFUSED, "account %s is %s: nothing is asked of it now", a->name, gate_name(account_gate(a)));
		return false;
	}
	return true;
}

void cmd_fetch(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	struct fetch_wish *wishes = calloc(FETCHES_MAX, sizeof *wishes);
	struct asked *q = malloc(sizeof *q);
	enum side side;
	size_t n = 0;
	int rc = -ENOMEM;

	if (!a || (wishes && (!want_open_side(call, req, a, &side) || !(n = read_wishes(call, req, wishes))))) {
		free(wishes);
		free(q);
		return;
	}
	if (wishes && q) {
		*q = (struct asked){call, side};
		rc = fetch_start(p, a, side, wishes, n, fetched, q);
	}
	free(wishes);
	if (rc == 0)
		return;
	free(q);
	if (rc == -EBUSY)
		ctl_fail(call, CTL_REFUSED, "busy: %d such questions are under way", FETCH_SETS);
	else
		ctl_fail(call, CTL_FAILED, "out of memory");
}

/* ---- prove ---- */

static void proved(void *arg, const struct prove_result *r)
{
	struct ctl_call *call = arg;

	if (!r) {
		ctl_fail(call, CTL_REFUSED, "the question was ended: the proxy ends");
		return;
	}
	ctl_answer(call, json_pack("{so so sb so}", "sent-as", json_addr(&r->sent_as, false), "seen", json_addr(&r->seen, false), "proved",
				   (int)r->ok, "said", json_stringn_nocheck(r->said, strlen(r->said))));
}

static struct listener *listener_named(const struct proxy *p, const char *name)
{
	for (size_t i = 0; i < p->n_listeners; i++)
		if (strcmp(p->listeners[i]->conf->name, name) == 0)
			return p->listeners[i];
	return NULL;
}

/* Only to the partner of a client address: nobody is to be reached through us whom visitors would not reach. */
static bool is_partner(const struct listener *l, const struct addr *came_to, const struct addr *echo)
{
	const char *why;
	struct way way;

	if (!listener_way(&way, l, SIDE_TRANSIT, came_to, came_to, LISTENER_MAIN, &why))
		return false;
	for (size_t i = 0; i < way.n; i++) {
		struct addr a = way_at(&way, i);

		if (addr_same_ip(&a, echo))
			return true;
	}
	return false;
}

/* NULL: it was answered. */
static struct listener *want_listener(struct proxy *p, struct ctl_call *call, const json_t *req, struct addr *came_to)
{
	const char *name = want_string(call, req, "listener"), *to = name ? want_string(call, req, "came-to") : NULL;
	struct listener *l = to ? listener_named(p, name) : NULL;

	if (!to || (l && addr_parse(came_to, to)))
		return to ? l : NULL;
	ctl_fail(call, CTL_USAGE, "expected the name of a listener, and an address");
	return NULL;
}

void cmd_prove(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct addr came_to, echo;
	struct listener *l = want_listener(p, call, req, &came_to);
	const char *at = l ? want_string(call, req, "echo") : NULL;

	if (!at)
		return;
	if (!addr_parse_port(&echo, at))
		ctl_fail(call, CTL_USAGE, "\"echo\": expected an address with a port");
	else if (!is_partner(l, &came_to, &echo))
		ctl_fail(call, CTL_REFUSED, "what comes to that address does not go to %s", at);
	else if (prove_start(p, l, &came_to, &echo, proved, call) < 0)
		ctl_fail(call, CTL_FAILED, "out of memory");
}

/* ---- greet ---- */

static void greeted(void *arg, const struct greet_result *r)
{
	struct ctl_call *call = arg;

	if (r)
		ctl_answer(call, json_pack("{so so so}", "with", text_or_null(r->with), "without", text_or_null(r->without), "trouble",
					   text_or_null(r->trouble)));
	else
		ctl_fail(call, CTL_REFUSED, "the question was ended: the proxy ends");
}

void cmd_greet(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct addr came_to;
	struct listener *l = want_listener(p, call, req, &came_to);

	if (l && greet_start(p, l, &came_to, greeted, call) < 0)
		ctl_fail(call, CTL_FAILED, "out of memory");
}
