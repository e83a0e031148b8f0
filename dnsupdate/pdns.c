/* backend_powerdns: zones changed through PowerDNS' HTTP API.
 * The API has no compare-and-swap: the zone is read, compared with `was`, and changed by one PATCH (all of it or nothing). Whoever changes
 * the same record sets between these two, some milliseconds apart, is overwritten unseen; where that matters, use DNS UPDATE. http:// is
 * allowed, for this API mostly listens on a local network; the key then crosses it in clear. */
#include "dnsupdate/pdns_json.h"
#include "dnsupdate/rest.h"
#include "dnsupdate/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONES       "/api/v1/servers/localhost/zones"
#define CONNECTIONS 1                       /* with two, gsqlite3 answered 205 of 300 changes with "database is locked"; with one, none */
#define PATH_ROOM   (RR_NAME_MAX * 3 + 100) /* each byte of a name may take three */

struct pdns_call {
	struct backend_call *call;
	struct http_request *request;
	char name[RR_NAME_MAX]; /* find: the name, whose parents are asked for in turn; else the zone */
	const char *at;         /* into name */
	const struct change *changes;
	size_t n;
};

static int open_api(struct backend *b, struct err *err)
{
	char *key, *line = NULL;
	int rc = rest_show(b, err);

	if (rc == 0)
		rc = secret_line_load(&key, b->conf->key_file, err);
	if (rc < 0)
		return rc;
	if (asprintf(&line, "X-API-Key: %s", key) < 0) {
		line = NULL;
		rc = err_set(err, -ENOMEM, "out of memory");
	} else {
		const char *const header[] = {line, NULL};
		struct http_conf conf = {.url = b->conf->url, .header = header, .max_connections = CONNECTIONS, .clear = true};
		struct http *h;

		rc = http_new(&h, b->base, &conf, err);
		if (rc == 0)
			b->impl = h;
	}
	secret_free(line);
	secret_free(key);
	return rc;
}

static void close_api(struct backend *b)
{
	http_free(b->impl);
	b->impl = NULL;
}

/* ---- calls ---- */

static int ask(struct pdns_call *p, const char *method, const char *path, const char *body, http_fn *fn)
{
	p->request = http_send(p->call->b->impl, method, path, body, fn, p);
	return p->request ? 0 : -ENOMEM;
}

/* what: behind the zone's own path */
static int ask_about_zone(struct pdns_call *p, const char *method, const char *what, const char *body, http_fn *fn)
{
	char id[PATH_ROOM], path[PATH_ROOM + 64];

	if (pdns_zone_id(id, sizeof id, p->name) < 0)
		return -ENAMETOOLONG;
	snprintf(path, sizeof path, ZONES "/%s%s", id, what);
	return ask(p, method, path, body, fn);
}

static struct backend_call *done_with(struct pdns_call *p)
{
	struct backend_call *c = p->call;

	c->impl = NULL;
	free(p);
	return c;
}

static int start(struct pdns_call **out, struct backend_call *c, const char *name)
{
	struct pdns_call *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	p->call = c;
	if (name_absolute(p->name, name) < 0) {
		free(p);
		return -ENAMETOOLONG;
	}
	p->at = p->name;
	c->impl = p;
	*out = p;
	return 0;
}

static int drop(struct pdns_call *p, int rc)
{
	if (rc < 0)
		done_with(p);
	return rc;
}

static void cancel(struct backend_call *c)
{
	struct pdns_call *p = c->impl;

	if (!p)
		return;
	http_cancel(p->request);
	done_with(p);
}

/* ---- find: the list of zones is long, so each parent of the name is asked for by itself ---- */

static void on_zones(void *arg, const struct http_answer *a);

static int ask_for_parent(struct pdns_call *p)
{
	char path[PATH_ROOM + 64] = ZONES "?zone=";
	size_t len = strlen(path);

	if (rest_escape(path + len, sizeof path - len, p->at) < 0)
		return -ENAMETOOLONG;
	return ask(p, "GET", path, NULL, on_zones);
}

static const json_t *zone_named(const json_t *list, const char *name)
{
	const json_t *zone;
	size_t i;

	json_array_foreach (list, i, zone) {
		const char *found = json_string_value(json_object_get(zone, "name"));

		if (found && name_same(found, name))
			return zone;
	}
	return NULL;
}

static void found(struct pdns_call *p, const char *zone, const struct err *err)
{
	char name[RR_NAME_MAX];

	snprintf(name, sizeof name, "%s", zone ? zone : "");
	backend_found(done_with(p), zone ? name : NULL, err);
}

static void on_zones(void *arg, const struct http_answer *a)
{
	struct pdns_call *p = arg;
	struct err err = {0};
	/* 422: "unsupported characters", in a name that no zone of its has */
	bool never = a->end == HTTP_ANSWERED && a->status == 422;
	json_t *list = never ? json_array() : rest_json(a, &err);
	const json_t *zone = zone_named(list, p->at);
	bool primary = zone && pdns_is_primary(zone);
	int rc;

	p->request = NULL;
	json_decref(list);
	if (!list || zone) {
		found(p, primary ? p->at : NULL, list ? (zone && !primary ? &err : NULL) : &err);
		return;
	}
	p->at = name_parent(p->at);
	if (!p->at || strcmp(p->at, ".") == 0) {
		found(p, NULL, &err); /* code 0: not hosted here */
		return;
	}
	rc = ask_for_parent(p);
	if (rc < 0) {
		err_set(&err, rc, "out of memory");
		found(p, NULL, &err);
	}
}

static int find(struct backend_call *c, const char *name)
{
	struct pdns_call *p;
	int rc = start(&p, c, name);

	return rc < 0 ? rc : drop(p, ask_for_parent(p));
}

/* ---- read ---- */

static void on_read(void *arg, const struct http_answer *a)
{
	struct pdns_call *p = arg;
	struct err err = {0};
	json_t *object = rest_json(a, &err);
	struct zone zone;
	int rc = object ? pdns_zone_parse(&zone, p->name, object, &err) : -EIO;

	p->request = NULL;
	json_decref(object);
	backend_was_read(done_with(p), rc < 0 ? NULL : &zone, rc < 0 ? &err : NULL);
}

static int read_zone(struct backend_call *c, const char *zone)
{
	struct pdns_call *p;
	int rc = start(&p, c, zone);

	return rc < 0 ? rc : drop(p, ask_about_zone(p, "GET", "", NULL, on_read));
}

/* ---- change ---- */

static void changed(struct pdns_call *p, enum outcome o, const struct err *err)
{
	backend_changed(done_with(p), o, o == OUTCOME_DONE ? NULL : err);
}

/* Whatever it says: the change is made, and without this its secondaries hear of it within a minute. */
static void on_notified(void *arg, const struct http_answer *a)
{
	struct pdns_call *p = arg;

	(void)a;
	p->request = NULL;
	changed(p, OUTCOME_DONE, NULL);
}

static void on_patched(void *arg, const struct http_answer *a)
{
	struct pdns_call *p = arg;
	struct err err = {0};
	enum outcome o = rest_outcome(a, &err);

	p->request = NULL;
	if (o != OUTCOME_DONE || ask_about_zone(p, "PUT", "/notify", NULL, on_notified) < 0)
		changed(p, o, &err);
}

static void on_compared(void *arg, const struct http_answer *a)
{
	struct pdns_call *p = arg;
	struct err err = {0};
	char *body = NULL;
	json_t *object = rest_json(a, &err);
	enum outcome o = rest_outcome_of_read(a, NULL);

	p->request = NULL;
	if (!object && o == OUTCOME_DONE)
		o = OUTCOME_REFUSED; /* an answer that is no JSON: this is not that API */
	if (o == OUTCOME_DONE)
		o = pdns_patch(&body, object, p->changes, p->n, &err);
	json_decref(object);
	if (o == OUTCOME_DONE && ask_about_zone(p, "PATCH", "", body, on_patched) < 0) {
		err_set(&err, -ENOMEM, "out of memory");
		o = OUTCOME_BUSY;
	}
	free(body);
	if (o != OUTCOME_DONE)
		changed(p, o, &err);
}

static int change(struct backend_call *c, const char *zone, const struct change *changes, size_t n)
{
	struct pdns_call *p;
	int rc = start(&p, c, zone);

	if (rc < 0)
		return rc;
	p->changes = changes;
	p->n = n;
	return drop(p, ask_about_zone(p, "GET", "", NULL, on_compared));
}

static int eta(const struct backend *b, size_t n)
{
	(void)b, (void)n;
	return 0;
}

const struct backend_ops backend_powerdns = {.name = "powerdns",
					     .open = open_api,
					     .close = close_api,
					     .find = find,
					     .read = read_zone,
					     .change = change,
					     .cancel = cancel,
					     .eta = eta};
