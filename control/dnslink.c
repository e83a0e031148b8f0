#include "control/dnslink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int dnslink_with(struct dnslink **out, const char *address, const struct wire_ops *ops, void *self)
{
	struct dnslink *l = calloc(1, sizeof(*l));
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

int dnslink_open(struct dnslink **out, const char *address, const struct conf_tls *tls, struct err *err)
{
	void *wire;
	int rc = wire_new(&wire, address, tls, err);
	*out = NULL;
	if (rc < 0)
		return rc;
	rc = dnslink_with(out, address, &wire_ops, wire);
	if (rc < 0) {
		wire_ops.free(wire);
		return err_set(err, rc, "out of memory");
	}
	return 0;
}

void dnslink_close(struct dnslink *l)
{
	if (!l)
		return;
	l->ops->free(l->self);
	free(l->address);
	free(l);
}

bool dnslink_is_away(int rc)
{
	return rc == -EHOSTUNREACH || rc == -ENOTCONN;
}

/* A certificate of ours that is refused is heard of with the first request, and nothing was done then. */
static int unreached(const struct dnslink *l, bool connected, int rc, const struct err *why, struct err *err)
{
	if (rc == -EINTR)
		return err_set(err, rc, "interrupted");
	if (!connected || rc == -EACCES)
		return err_set(err, -EHOSTUNREACH,
			       "shunt-dnsupdate does not answer at %s (%.700s): start it (systemctl start shunt-dnsupdate)", l->address,
			       why->text);
	return err_set(err, -ENOTCONN, "shunt-dnsupdate was asked, and its answer did not come (%.700s)", why->text);
}

/* Its own verdict: 0, or -EPROTO with its words. */
static int verdict(const json_t *answer, enum ctl_code *code, struct err *err)
{
	const json_t *exit = json_object_get(answer, "exit");
	const char *error = json_string_value(json_object_get(answer, "error"));
	json_int_t x = json_integer_value(exit);
	if (!exit || x == 0)
		return 0;
	*code = x >= CTL_REFUSED && x <= CTL_STUCK ? (enum ctl_code)x : CTL_FAILED;
	return err_set(err, -EPROTO, "%.1000s", error ? error : "shunt-dnsupdate does not say why");
}

static int ask(struct dnslink *l, const char *cmd, json_t *fields, int timeout_ms, int cancel_fd, json_t **answer, enum ctl_code *code,
	       struct err *err)
{
	struct err why = {0};
	enum ctl_code unused;
	code = code ? code : &unused;
	*code = CTL_FAILED;
	*answer = NULL;
	int rc = l->ops->connect(l->self, &why);
	bool connected = rc == 0;
	if (connected)
		rc = l->ops->request(l->self, cmd, fields, timeout_ms, answer, code, cancel_fd, &why);
	else
		json_decref(fields);
	l->ops->disconnect(l->self);
	if (rc == -EPROTO && connected)
		return err_set(err, rc, "shunt-dnsupdate: %.900s", why.text);
	return rc < 0 ? unreached(l, connected, rc, &why, err) : verdict(*answer, code, err);
}

/* ---- many at a time ---- */

struct many {
	ctl_each *each;
	void *arg;
};

static void on_each(void *arg, size_t i, int rc, const json_t *answer, const struct err *err)
{
	const struct many *m = arg;
	struct err why = {0};
	enum ctl_code code;
	if (rc == -EPROTO)
		err_set(&why, rc, "shunt-dnsupdate: %.900s", err->text);
	else
		rc = verdict(answer, &code, &why);
	m->each(m->arg, i, rc, answer, &why);
}

/* How many were answered, and told; takes as many of the fields, and borrows the others. */
static size_t ask_ahead(struct dnslink *l, const char *cmd, json_t **fields, size_t n, const struct many *m)
{
	json_t **taken = n > 1 && l->ops->request_many ? calloc(n, sizeof(*taken)) : NULL;
	size_t done = 0;
	if (taken && l->ops->connect(l->self, NULL) == 0) {
		for (size_t i = 0; i < n; i++)
			taken[i] = json_incref(fields[i]);
		l->ops->request_many(l->self, cmd, taken, n, DNS_TIMEOUT_MS, on_each, (void *)m, &done, NULL);
	}
	l->ops->disconnect(l->self);
	free(taken);
	for (size_t i = 0; i < done; i++)
		json_decref(fields[i]);
	return done;
}

void dns_many(struct dnslink *l, const char *cmd, json_t **fields, size_t n, ctl_each *each, void *arg)
{
	const struct many m = {each, arg};
	struct err err = {0};
	int rc = 0;
	for (size_t i = ask_ahead(l, cmd, fields, n, &m); i < n; i++) { /* the connection broke, or there was none: one by one tells why */
		json_t *answer = NULL;
		if (dnslink_is_away(rc)) {
			json_decref(fields[i]);
		} else {
			err = (struct err){0};
			rc = ask(l, cmd, fields[i], DNS_TIMEOUT_MS, l->cancel_fd, &answer, NULL, &err);
		}
		each(arg, i, rc, answer, &err);
		json_decref(answer);
	}
}

/* ---- the questions ---- */

json_t *dns_account(const struct acctdef *d, const json_t *others)
{
	json_t *o = json_pack("{s:s, s:[]}", "name", d->name, "domains");
	for (size_t i = 0; o && i < d->n_domains; i++)
		json_array_append_new(json_object_get(o, "domains"), json_string(d->domains[i]));
	if (o && json_array_size(others))
		json_object_set_new(o, "others", json_deep_copy(others));
	return o;
}

json_t *dns_plan_fields(json_t *account, enum dns_verb verb, enum side to)
{
	json_t *fields = json_pack("{s:O, s:s}", "account", account, "verb", verb == DNS_UNDO ? "undo" : "push");
	if (verb == DNS_PUSH)
		json_object_set_new(fields, "to", json_string(side_name(to)));
	return fields;
}

int dns_plan(struct dnslink *l, json_t *account, enum dns_verb verb, enum side to, json_t **answer, enum ctl_code *code, struct err *err)
{
	return ask(l, "plan", dns_plan_fields(account, verb, to), DNS_TIMEOUT_MS, l->cancel_fd, answer, code, err);
}

int dns_push(struct dnslink *l, json_t *account, enum side to, int wait_s, json_t **answer, enum ctl_code *code, struct err *err)
{
	json_t *fields = json_pack("{s:O, s:s, s:i}", "account", account, "to", side_name(to), "wait", wait_s);
	return ask(l, "push", fields, (wait_s + DNS_GRACE_S) * 1000, -1, answer, code, err);
}

int dns_undo(struct dnslink *l, json_t *account, int wait_s, json_t **answer, enum ctl_code *code, struct err *err)
{
	json_t *fields = json_pack("{s:O, s:i}", "account", account, "wait", wait_s);
	return ask(l, "undo", fields, (wait_s + DNS_GRACE_S) * 1000, -1, answer, code, err);
}

json_t *dns_classify_fields(json_t *account)
{
	return json_pack("{s:O}", "account", account);
}

json_t *dns_records_fields(char *const *domains, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(domains[i]));
	return json_pack("{s:o}", "domains", list);
}

int dns_status(struct dnslink *l, const char *account, json_t **answer, struct err *err)
{
	return ask(l, "status", json_pack("{s:s*}", "account", account), DNS_LOOK_MS, -1, answer, NULL, err);
}
