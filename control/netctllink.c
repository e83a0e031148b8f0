#include "control/netctllink.h"

#include "lib/clock.h"
#include "lib/member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 10000
#define LOOK_MS     10000 /* a status: nothing is changed by it, and nobody shall wait for long */

int netctllink_with(struct netctllink **out, enum side host, const char *address, const struct wire_ops *ops, void *self)
{
	struct netctllink *l = calloc(1, sizeof(*l));
	*out = l;
	if (!l || !(l->address = strdup(address))) {
		free(l);
		*out = NULL;
		return -ENOMEM;
	}
	l->ops = ops;
	l->self = self;
	l->host = host;
	l->patience_ms = PATIENCE_MS;
	return 0;
}

int netctllink_open(struct netctllink **out, enum side host, const char *address, const struct conf_tls *tls, struct err *err)
{
	void *wire;
	int rc = wire_new(&wire, address, tls, err);
	*out = NULL;
	if (rc < 0)
		return rc;
	rc = netctllink_with(out, host, address, &wire_ops, wire);
	if (rc < 0) {
		wire_ops.free(wire);
		return err_set(err, rc, "out of memory");
	}
	return 0;
}

void netctllink_close(struct netctllink *l)
{
	if (!l)
		return;
	l->ops->free(l->self);
	free(l->address);
	free(l);
}

/* A certificate of ours that is refused is heard of with the first request, and nothing was done then. */
static int unreached(const struct netctllink *l, bool connected, int rc, const struct err *why, struct err *err)
{
	if (!connected || rc == -EACCES)
		return err_set(err, -EHOSTUNREACH, "shunt-netctl of the %s server does not answer at %s (%.700s)", side_name(l->host),
			       l->address, why->text);
	return err_set(err, -ENOTCONN, "shunt-netctl of the %s server was asked, and its answer did not come (%.700s)", side_name(l->host),
		       why->text);
}

int netctllink_ask(struct netctllink *l, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code,
		   struct err *err)
{
	struct err why = {0};
	enum ctl_code unused;
	json_t *got = NULL;

	code = code ? code : &unused;
	*code = CTL_FAILED;
	int rc = l->ops->connect(l->self, &why);
	bool connected = rc == 0;
	if (connected)
		rc = l->ops->request(l->self, cmd, fields, timeout_ms ? timeout_ms : NETCTL_TIMEOUT_MS, &got, code, -1, &why);
	else
		json_decref(fields);
	l->ops->disconnect(l->self);
	if (rc == -EPROTO && connected)
		return err_set(err, rc, "shunt-netctl of the %s server: %.900s", side_name(l->host), why.text);
	if (rc < 0)
		return unreached(l, connected, rc, &why, err);
	if (answer)
		*answer = got;
	else
		json_decref(got);
	return 0;
}

int netctllink_wait(struct netctllink *l, json_t **status, struct err *err)
{
	for (int64_t until = mono_ms() + l->patience_ms;;) {
		int rc = netctllink_ask(l, "status", NULL, LOOK_MS, status, NULL, err);
		if (rc == 0 || rc == -EPROTO || mono_ms() >= until)
			return rc;
		nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000}, NULL);
	}
}

const json_t *netctl_plan(const json_t *status, const char *name)
{
	size_t i;
	json_t *p;
	json_array_foreach (json_object_get(status, "plans"), i, p) {
		if (strcmp(member_text(p, "plan"), name) == 0)
			return p;
	}
	return NULL;
}

bool netctl_plan_is(const json_t *plan, const char *state)
{
	return strcmp(member_text(plan, "state"), state) == 0;
}

const char *netctl_plan_trouble(const json_t *plan)
{
	static const char *const members[] = {"error", "drift-unknown"};
	for (size_t i = 0; i < 2; i++) {
		const char *text = json_string_value(json_object_get(plan, members[i]));
		if (text)
			return text;
	}
	return json_string_value(json_array_get(json_object_get(plan, "drift"), 0));
}
