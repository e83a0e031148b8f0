#include "control/proxylink.h"

#include "lib/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ASK_MS      15000
#define COMMIT_MS   60000       /* a million domains are hashed and written */
#define BATCH_BYTES (256 << 10) /* of CTL_LINE_MAX */

int proxylink_with(struct proxylink **out, const char *address, const struct wire_ops *ops, void *self)
{
	struct proxylink *l = calloc(1, sizeof(*l));
	*out = l;
	if (!l || !(l->address = strdup(address))) {
		free(l);
		*out = NULL;
		return -ENOMEM;
	}
	l->ops = ops;
	l->self = self;
	l->cancel_fd = -1;
	return 0;
}

int proxylink_open(struct proxylink **out, const char *address, const struct conf_tls *tls, struct err *err)
{
	void *wire;
	int rc = wire_new(&wire, address, tls, err);
	*out = NULL;
	if (rc < 0)
		return rc;
	rc = proxylink_with(out, address, &wire_ops, wire);
	if (rc < 0) {
		wire_ops.free(wire);
		return err_set(err, rc, "out of memory");
	}
	return 0;
}

static void drop(struct proxylink *l)
{
	if (l->connected)
		l->ops->disconnect(l->self);
	l->connected = false;
}

void proxylink_close(struct proxylink *l)
{
	if (!l)
		return;
	drop(l);
	l->ops->free(l->self);
	free(l->address);
	free(l);
}

bool proxylink_is_away(int rc)
{
	switch (rc) {
	case -ECONNREFUSED:
	case -ENOENT:
	case -ECONNRESET:
	case -EPIPE:
	case -ENOTCONN:
	case -ETIMEDOUT:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/* The connection's own fault: nobody has refused, and the next one may be spared. */
static bool broke(int rc)
{
	return rc == -EIO || rc == -ENOBUFS || rc == -ENOMEM;
}

static int connect_fresh(struct proxylink *l, struct err *err)
{
	int rc = l->ops->connect(l->self, err);
	if (rc < 0)
		return rc;
	l->connected = true;
	if (l->fresh && !l->in_fresh) {
		l->in_fresh = true;
		rc = l->fresh(l, l->fresh_arg, err);
		l->in_fresh = false;
		if (rc < 0)
			drop(l);
	}
	return rc;
}

static int ask_once(struct proxylink *l, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, struct err *err)
{
	enum ctl_code code;
	int rc = l->connected ? 0 : connect_fresh(l, err);
	if (rc < 0) /* nothing was asked yet: what took too long may be tried again */
		return rc == -ETIMEDOUT ? -EHOSTUNREACH : rc;
	*answer = NULL;
	rc = l->ops->request(l->self, cmd, json_incref(fields), timeout_ms, answer, &code, l->cancel_fd, err);
	if (rc < 0 && rc != -EPROTO)
		drop(l);
	return rc;
}

static int ask_patiently(struct proxylink *l, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, struct err *err)
{
	int64_t until = mono_ms() + (l->waited ? 0 : l->patience_ms);
	for (bool again = false;; again = true) {
		bool was = l->connected;
		int rc = ask_once(l, cmd, fields, timeout_ms, answer, err);
		l->waited = l->waited && rc < 0 && rc != -EPROTO;
		if (rc >= 0 || rc == -ETIMEDOUT || (!proxylink_is_away(rc) && !broke(rc)))
			return rc;
		if (was && !again)
			continue; /* an idle connection may have gone stale: that costs no patience */
		if (l->in_fresh || mono_ms() >= until) {
			l->waited = l->waited || (!l->in_fresh && l->patience_ms);
			return rc;
		}
		struct pollfd p = {.fd = l->cancel_fd, .events = POLLIN};
		if (poll(&p, 1, 50) > 0)
			return err_set(err, -EINTR, "interrupted");
	}
}

int proxylink_ask(struct proxylink *l, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, struct err *err)
{
	struct err why = {0};
	json_t *got = NULL;
	if (!fields)
		fields = json_object();
	int rc = ask_patiently(l, cmd, fields, timeout_ms ? timeout_ms : ASK_MS, &got, &why);
	json_decref(fields);
	if (rc == -ETIMEDOUT)
		err_set(err, rc, "the proxy at %s did not answer \"%s\" in time", l->address, cmd);
	else if (broke(rc))
		rc = err_set(err, -ECONNREFUSED, "the proxy at %s could not be asked (%s)", l->address, why.text);
	else if (proxylink_is_away(rc))
		err_set(err, -ECONNREFUSED, "the proxy does not answer at %s (%s): start it (systemctl start shunt-proxy)", l->address,
			why.text);
	else if (rc < 0)
		err_set(err, rc, "%s", why.text);
	if (rc < 0)
		return rc == -ETIMEDOUT || !proxylink_is_away(rc) ? rc : -ECONNREFUSED;
	if (answer)
		*answer = got;
	else
		json_decref(got);
	return 0;
}

int proxylink_tell(struct proxylink *l, const char *cmd, json_t *fields, struct err *err)
{
	json_t *answer = NULL;
	int rc = l->connected ? ask_once(l, cmd, fields, 2000, &answer, err) : -ENOTCONN;
	json_decref(fields);
	json_decref(answer);
	return rc;
}

static json_t *naming(const char *name)
{
	return json_pack("{s:s}", "name", name);
}

/* Those are told to each by their own number. */
struct ahead {
	ctl_each *each;
	void *arg;
	size_t first;
};

static void on_each(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	const struct ahead *h = arg;
	h->each(h->arg, h->first + i, rc, answer, err);
}

/* On the connection that there is; how many were answered, and told. Borrows fields. */
static size_t ask_ahead(struct proxylink *l, const char *cmd, json_t *const *fields, size_t n, int timeout_ms, const struct ahead *h)
{
	json_t **taken = n && l->connected && l->ops->request_many ? calloc(n, sizeof(*taken)) : NULL;
	size_t done = 0;
	if (!taken)
		return 0;
	for (size_t i = 0; i < n; i++)
		taken[i] = json_incref(fields[i]);
	if (l->ops->request_many(l->self, cmd, taken, n, timeout_ms, on_each, (void *)h, &done, NULL) < 0)
		drop(l);
	free(taken);
	return done;
}

void proxylink_many(struct proxylink *l, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg)
{
	int rc = 0;
	struct err err = {0};
	if (!timeout_ms)
		timeout_ms = ASK_MS;
	for (size_t i = 0; i < n;) {
		const struct ahead h = {each, arg, i};
		if (!proxylink_is_away(rc))
			i += ask_ahead(l, cmd, fields + i, n - i, timeout_ms, &h);
		if (i == n)
			break;
		json_t *answer = NULL; /* there was no connection, or it broke: this one has the patience that it takes */
		if (!proxylink_is_away(rc))
			rc = proxylink_ask(l, cmd, json_incref(fields[i]), timeout_ms, &answer, &err);
		each(arg, i++, rc, answer, &err);
		json_decref(answer);
	}
	for (size_t i = 0; i < n; i++)
		json_decref(fields[i]);
}

void proxylink_accounts(struct proxylink *l, const char *const *names, size_t n, ctl_each *each, void *arg)
{
	json_t **fields = calloc(n + 1, sizeof(*fields));
	if (!fields)
		return;
	for (size_t i = 0; i < n; i++)
		fields[i] = naming(names[i]);
	proxylink_many(l, "account", fields, n, 0, each, arg);
	free(fields);
}

static int state_of(const json_t *o, enum side *side, enum gate *gate, struct err *err)
{
	const char *s = json_string_value(json_object_get(o, "side")), *g = json_string_value(json_object_get(o, "gate"));
	if (!s || !g || !side_parse(side, s) || !gate_parse(gate, g))
		return err_set(err, -EBADMSG, "the proxy's answer names no side and gate");
	return 0;
}

int proxylink_account(struct proxylink *l, const char *name, enum side *side, enum gate *gate, struct err *err)
{
	json_t *answer = NULL;
	int rc = proxylink_ask(l, "account", naming(name), 0, &answer, err);
	if (rc < 0)
		return rc;
	rc = state_of(json_object_get(answer, "account"), side, gate, err);
	json_decref(answer);
	return rc;
}

int proxylink_list(struct proxylink *l, json_t **out, struct err *err)
{
	json_t *all = json_object();
	char *from = strdup("");
	int rc = 0;
	while (from) {
		json_t *answer = NULL, *a;
		size_t i;
		rc = proxylink_ask(l, "list", json_pack("{s:s, s:i}", "from", from, "max", 1000), 0, &answer, err);
		if (rc < 0)
			break;
		json_array_foreach (json_object_get(answer, "accounts"), i, a) {
			const char *name = json_string_value(json_object_get(a, "name"));
			enum side side;
			enum gate gate;
			rc = state_of(a, &side, &gate, err);
			if (rc < 0 || !name)
				break;
			json_object_set(all, name, a);
		}
		const char *next = json_string_value(json_object_get(answer, "next"));
		char *more = next && rc == 0 && strcmp(next, from) > 0 ? strdup(next) : NULL;
		free(from);
		from = more;
		json_decref(answer);
	}
	free(from);
	if (rc < 0) {
		json_decref(all);
		return rc;
	}
	*out = all;
	return 0;
}

static int push_once(struct proxylink *l, const struct acctset *set, json_t **answer, struct err *err)
{
	int rc = proxylink_ask(l, "import-begin", NULL, 0, NULL, err);
	for (size_t i = 0; rc == 0 && i < set->n;) {
		json_t *batch = json_array();
		for (size_t bytes = 0; i < set->n && bytes < BATCH_BYTES; i++) {
			json_t *o = acctdef_to_json(&set->defs[i], true);
			if (!o) {
				json_decref(batch);
				return err_set(err, -ENOMEM, "out of memory");
			}
			size_t len = json_dumpb(o, NULL, 0, JSON_COMPACT);
			if (bytes && bytes + len > BATCH_BYTES) { /* it goes first into the next one */
				json_decref(o);
				break;
			}
			bytes += len + 1;
			json_array_append_new(batch, o);
		}
		rc = proxylink_ask(l, "import-add", json_pack("{s:o}", "accounts", batch), 0, NULL, err);
	}
	return rc < 0 ? rc : proxylink_ask(l, "import-commit", NULL, COMMIT_MS, answer, err);
}

int proxylink_push(struct proxylink *l, const struct acctset *set, json_t **answer, struct err *err)
{
	/* A set belongs to its connection, so one that broke in the middle starts over: once. */
	int rc = push_once(l, set, answer, err);
	if (rc < 0 && l->patience_ms && !l->in_fresh)
		rc = push_once(l, set, answer, err);
	return rc;
}
