#include "dnsupdate/backend.h"

#include <errno.h>
#include <stdlib.h>

const char *outcome_text(enum outcome o)
{
	switch (o) {
	case OUTCOME_DONE:
		return "done";
	case OUTCOME_DRIFT:
		return "drift";
	case OUTCOME_REFUSED:
		return "refused";
	case OUTCOME_BUSY:
		return "busy";
	case OUTCOME_AWAY:
		return "away";
	case OUTCOME_UNKNOWN:
		return "unknown";
	}
	return "?";
}

static const struct backend_ops *ops_of(const struct conf_zone_server *conf)
{
	switch (conf->backend) {
	case BACKEND_RFC2136:
		return &backend_rfc2136;
	case BACKEND_POWERDNS:
		return &backend_powerdns;
	case BACKEND_ALWAYSDATA:
		return &backend_alwaysdata;
	}
	return NULL;
}

int backend_new(struct backend **out, struct event_base *base, const struct conf_zone_server *conf, struct err *err)
{
	const struct backend_ops *ops = ops_of(conf);
	struct backend *b;
	int rc;

	*out = NULL;
	b = calloc(1, sizeof *b);
	if (!b)
		return err_set(err, -ENOMEM, "out of memory");
	*b = (struct backend){.ops = ops, .conf = conf, .base = base};
	rc = ops->open(b, err);
	if (rc < 0) {
		backend_free(b);
		return rc;
	}
	*out = b;
	return 0;
}

static void unlink_call(struct backend_call *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
}

void backend_cancel(struct backend_call *c)
{
	if (!c)
		return;
	unlink_call(c);
	c->b->ops->cancel(c);
	free(c);
}

void backend_free(struct backend *b)
{
	if (!b)
		return;
	while (b->calls)
		backend_cancel(b->calls);
	b->ops->close(b);
	free(b->shown);
	free(b);
}

const char *backend_name(const struct backend *b)
{
	return b->shown;
}

const struct addr *backend_address(const struct backend *b)
{
	return b->has_address ? &b->address : NULL;
}

static struct backend_call *call_new(struct backend *b, void *arg)
{
	struct backend_call *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->b = b;
	c->arg = arg;
	c->next = b->calls;
	c->link = &b->calls;
	if (c->next)
		c->next->link = &c->next;
	b->calls = c;
	return c;
}

/* The handle, or NULL where it was not started. */
static struct backend_call *started(struct backend_call *c, int rc)
{
	if (rc == 0)
		return c;
	unlink_call(c);
	free(c);
	return NULL;
}

struct backend_call *backend_find(struct backend *b, const char *name, backend_find_fn *fn, void *arg)
{
	struct backend_call *c = call_new(b, arg);

	if (!c)
		return NULL;
	c->kind = CALL_FIND;
	c->fn.find = fn;
	return started(c, b->ops->find(c, name));
}

struct backend_call *backend_read(struct backend *b, const char *zone, backend_read_fn *fn, void *arg)
{
	struct backend_call *c = call_new(b, arg);

	if (!c)
		return NULL;
	c->kind = CALL_READ;
	c->fn.read = fn;
	return started(c, b->ops->read(c, zone));
}

struct backend_call *backend_change(struct backend *b, const char *zone, const struct change *changes, size_t n, backend_change_fn *fn,
				    void *arg)
{
	struct backend_call *c = call_new(b, arg);

	if (!c)
		return NULL;
	c->kind = CALL_CHANGE;
	c->fn.change = fn;
	return started(c, b->ops->change(c, zone, changes, n));
}

bool backend_is_piecewise(const struct backend *b)
{
	return b->ops->piecewise;
}

int backend_eta(const struct backend *b, size_t n)
{
	return b->ops->eta ? b->ops->eta(b, n) : 0;
}

/* ---- ends ---- */

void backend_found(struct backend_call *c, const char *zone, const struct err *err)
{
	backend_find_fn *fn = c->fn.find;
	void *arg = c->arg;

	unlink_call(c);
	free(c);
	fn(arg, zone, err);
}

void backend_was_read(struct backend_call *c, struct zone *zone, const struct err *err)
{
	backend_read_fn *fn = c->fn.read;
	void *arg = c->arg;

	unlink_call(c);
	free(c);
	fn(arg, zone, err);
}

void backend_changed(struct backend_call *c, enum outcome outcome, const struct err *err)
{
	backend_change_fn *fn = c->fn.change;
	void *arg = c->arg;

	unlink_call(c);
	free(c);
	fn(arg, outcome, err);
}
