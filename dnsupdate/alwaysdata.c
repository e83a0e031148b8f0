/* backend_alwaysdata: zones changed through alwaysdata's REST API, record by record.
 * It takes one request at a time, on a connection that is kept: 50 requests a minute that change something (250 that read) is what is
 * allowed on such a connection. All calls of a backend share these; what waits for a write lets reads pass. After a 429 nothing is sent for
 * as long as it says. Another program with the same key is not known here: its requests show as 429 only. There is no compare-and-swap and
 * no batch: the records are read and compared with `was`, then written one after the other. A failure after the first of these is
 * OUTCOME_UNKNOWN, with what was done; reading shows the rest. The key file's line is the user of Basic authentication: APIKEY
 * account=ACCOUNT. A deleted record's annotation is lost; a record whose value is replaced keeps it. */
#include "dnsupdate/alwaysdata_json.h"
#include "dnsupdate/rate.h"
#include "dnsupdate/rest.h"
#include "dnsupdate/secret.h"
#include "lib/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WRITES_A_MINUTE  50
#define READS_A_MINUTE   250
#define PAUSE_S          60 /* after a 429 that does not say how long */
#define PAUSE_MAX_S      180
#define REFUSALS_MAX     3 /* 429s in a row after which a call is given up */
#define DOMAINS_FRESH_MS 60000
#define DOMAINS          "/v1/domain/"
#define RECORDS          "/v1/record/"

struct ad_call;
typedef void step_fn(struct ad_call *p, const struct http_answer *a);

struct ad {
	struct http *http;
	struct event *turn; /* who is in line is looked at from the loop alone, for a call may end there */
	struct rate reads, writes;
	struct ad_call *line, **line_end;
	struct ad_call *asking;
	struct http_request *request; /* asking's */
	uint64_t not_before;          /* after a 429 */
	json_t *domains;
	uint64_t domains_at;
};
struct ad_call {
	struct backend_call *call;
	struct ad *ad;
	struct ad_call *next; /* in line */
	/* what it wants to ask, one thing at a time */
	const char *method;
	char path[64];
	char *body;
	step_fn *step;
	int refusals;
	/* what it is about */
	char name[RR_NAME_MAX]; /* find: the name; else the zone */
	json_int_t domain;
	const struct change *changes;
	size_t n;
	struct ad_writes todo;
	size_t done;
};

/* ---- the line ---- */

static void look_again(struct ad *ad, uint64_t after_ms)
{
	struct timeval t = {(time_t)(after_ms / 1000), (suseconds_t)(after_ms % 1000 * 1000)};

	event_add(ad->turn, &t);
}

/* Takes body. */
static void ask(struct ad_call *p, const char *method, const char *path, char *body, step_fn *step)
{
	free(p->body);
	p->method = method;
	snprintf(p->path, sizeof p->path, "%s", path);
	p->body = body;
	p->step = step;
	p->refusals = 0;
	p->next = NULL;
	*p->ad->line_end = p;
	p->ad->line_end = &p->next;
	look_again(p->ad, 0);
}

static void leave_line(struct ad_call *p)
{
	struct ad *ad = p->ad;
	struct ad_call **at = &ad->line;

	while (*at && *at != p)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = p->next;
	if (!*at)
		ad->line_end = at;
}

static struct rate *rate_of(struct ad_call *p)
{
	return strcmp(p->method, "GET") == 0 ? &p->ad->reads : &p->ad->writes;
}

static void on_answer(void *arg, const struct http_answer *a)
{
	struct ad_call *p = arg;
	struct ad *ad = p->ad;
	long pause = a->retry_after ? a->retry_after : PAUSE_S;

	ad->asking = NULL;
	ad->request = NULL;
	look_again(ad, 0);
	if (a->end == HTTP_ANSWERED && a->status == 429) {
		ad->not_before = (uint64_t)mono_ms() + (uint64_t)(pause < PAUSE_MAX_S ? pause : PAUSE_MAX_S) * 1000;
		if (pause <= PAUSE_MAX_S && ++p->refusals < REFUSALS_MAX) { /* first in line again */
			p->next = ad->line;
			if (!p->next)
				ad->line_end = &p->next;
			ad->line = p;
			return;
		}
	}
	p->step(p, a); /* ad may be gone after it */
}

/* The first in line that may go now; NULL: *wait is for how long nobody may. */
static struct ad_call *whose_turn(struct ad *ad, uint64_t now, uint64_t *wait)
{
	*wait = UINT64_MAX;
	if (ad->not_before > now) {
		*wait = ad->not_before - now;
		return NULL;
	}
	for (struct ad_call *p = ad->line; p; p = p->next) {
		uint64_t w = rate_wait(rate_of(p), now);

		if (w == 0)
			return p;
		if (w < *wait)
			*wait = w;
	}
	return NULL;
}

static void with_domains(struct ad_call *p);
static void on_domains(struct ad_call *p, const struct http_answer *a);

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct ad *ad = arg;
	uint64_t now = (uint64_t)mono_ms(), wait;
	struct ad_call *p;

	(void)fd, (void)what;
	if (ad->asking || !ad->line)
		return;
	p = whose_turn(ad, now, &wait);
	if (!p) {
		look_again(ad, wait);
		return;
	}
	leave_line(p);
	if (p->step == on_domains && ad->domains && now - ad->domains_at < DOMAINS_FRESH_MS) {
		look_again(ad, 0);
		with_domains(p);
		return;
	}
	rate_note(rate_of(p), now);
	ad->request = http_send(ad->http, p->method, p->path, p->body, on_answer, p);
	if (ad->request) {
		ad->asking = p;
		return;
	}
	struct http_answer none = {.end = HTTP_NOT_SENT, .body = "", .target = p->path, .err = {.code = -ENOMEM, .text = "out of memory"}};

	look_again(ad, 0);
	p->step(p, &none);
}

/* ---- calls ---- */

static struct backend_call *done_with(struct ad_call *p)
{
	struct backend_call *c = p->call;

	c->impl = NULL;
	ad_writes_done(&p->todo);
	free(p->body);
	free(p);
	return c;
}

static void fail(struct ad_call *p, enum outcome o, const struct err *err)
{
	struct backend_call *c = done_with(p);

	switch (c->kind) {
	case CALL_FIND:
		backend_found(c, NULL, err);
		break;
	case CALL_READ:
		backend_was_read(c, NULL, err);
		break;
	case CALL_CHANGE:
		backend_changed(c, o, err);
		break;
	}
}

static int start(struct backend_call *c, const char *name, const struct change *changes, size_t n)
{
	struct ad_call *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	p->call = c;
	p->ad = c->b->impl;
	p->changes = changes;
	p->n = n;
	if (name_absolute(p->name, name) < 0) {
		free(p);
		return -ENAMETOOLONG;
	}
	c->impl = p;
	ask(p, "GET", DOMAINS, NULL, on_domains);
	return 0;
}

static int find(struct backend_call *c, const char *name)
{
	return start(c, name, NULL, 0);
}

static int read_zone(struct backend_call *c, const char *zone)
{
	return start(c, zone, NULL, 0);
}

static int change(struct backend_call *c, const char *zone, const struct change *changes, size_t n)
{
	return start(c, zone, changes, n);
}

static void cancel(struct backend_call *c)
{
	struct ad_call *p = c->impl;

	if (!p)
		return;
	if (p->ad->asking == p) {
		http_cancel(p->ad->request);
		p->ad->asking = NULL;
		p->ad->request = NULL;
		look_again(p->ad, 0);
	} else {
		leave_line(p);
	}
	done_with(p);
}

/* ---- steps ---- */

static void on_domains(struct ad_call *p, const struct http_answer *a)
{
	struct err err = {0};
	json_t *list = rest_json(a, &err);

	if (!list) {
		fail(p, rest_outcome_of_read(a, NULL), &err);
		return;
	}
	json_decref(p->ad->domains);
	p->ad->domains = list;
	p->ad->domains_at = (uint64_t)mono_ms();
	with_domains(p);
}

static void on_records(struct ad_call *p, const struct http_answer *a);

static void with_domains(struct ad_call *p)
{
	struct err err = {0};
	char zone[RR_NAME_MAX], path[64];
	bool known = ad_domain(p->ad->domains, p->name, &p->domain, zone);

	if (p->call->kind == CALL_FIND) {
		backend_found(done_with(p), known ? zone : NULL, known ? NULL : &err); /* code 0: not hosted here */
		return;
	}
	if (!known || !name_same(zone, p->name)) {
		err_set(&err, -ENOENT, "%.300s: no such domain in this account", p->name);
		fail(p, OUTCOME_REFUSED, &err);
		return;
	}
	snprintf(path, sizeof path, RECORDS "?domain=%lld", (long long)p->domain);
	ask(p, "GET", path, NULL, on_records);
}

static void next_write(struct ad_call *p);

/* DONE: todo is filled. */
static enum outcome compare(struct ad_call *p, const struct ad_records *records, struct err *err)
{
	enum outcome o = OUTCOME_DONE;
	int rc;

	for (size_t i = 0; o == OUTCOME_DONE && i < p->n; i++) {
		struct rrset found;

		if (ad_rrset(&found, records, p->changes[i].was.owner, p->changes[i].was.type) < 0) {
			err_set(err, -ENOMEM, "out of memory");
			return OUTCOME_BUSY;
		}
		o = rest_compare(&p->changes[i], &found, err);
		rrset_done(&found);
	}
	if (o != OUTCOME_DONE)
		return o;
	rc = ad_plan(&p->todo, p->name, p->domain, records, p->changes, p->n, err);
	return rc == 0 ? OUTCOME_DONE : rc == -EINVAL ? OUTCOME_REFUSED : OUTCOME_BUSY;
}

static void on_records(struct ad_call *p, const struct http_answer *a)
{
	struct err err = {0};
	struct ad_records records = {0};
	json_t *list = rest_json(a, &err);
	enum outcome o = rest_outcome_of_read(a, NULL);
	struct zone zone;
	int rc = list ? ad_records_parse(&records, p->name, p->domain, list, &err) : -EIO;

	json_decref(list);
	if (rc < 0) {
		fail(p, o == OUTCOME_DONE ? OUTCOME_REFUSED : o, &err);
		return;
	}
	if (p->call->kind == CALL_READ) {
		if (ad_zone(&zone, p->name, &records) < 0)
			rc = err_set(&err, -ENOMEM, "out of memory");
		ad_records_done(&records);
		backend_was_read(done_with(p), rc < 0 ? NULL : &zone, rc < 0 ? &err : NULL);
		return;
	}
	o = compare(p, &records, &err);
	ad_records_done(&records);
	if (o == OUTCOME_DONE)
		next_write(p);
	else
		fail(p, o, &err);
}

/* What was written before it went wrong. */
static void tell_half(struct ad_call *p, struct err *err)
{
	char done[500] = "";
	size_t n = 0;

	for (size_t i = 0; i < p->done && n < sizeof done; i++)
		n += (size_t)snprintf(done + n, sizeof done - n, "%s%.150s", i ? ", " : "", p->todo.v[i].what);
	err_wrap(err, "%zu of %zu records were written (%s%s), then", p->done, p->todo.n, done, n < sizeof done ? "" : "...");
}

static void on_written(struct ad_call *p, const struct http_answer *a)
{
	struct err err = {0};
	enum outcome o = rest_outcome(a, &err);
	bool gone = a->end == HTTP_ANSWERED && a->status == 404 && p->todo.v[p->done].kind == AD_DELETE;

	if (o == OUTCOME_DONE || gone) { /* gone: as it shall be, whoever did it */
		p->done++;
		next_write(p);
		return;
	}
	if (p->done > 0) {
		tell_half(p, &err);
		o = OUTCOME_UNKNOWN;
	}
	fail(p, o, &err);
}

static void next_write(struct ad_call *p)
{
	static const char *const methods[] = {[AD_PATCH] = "PATCH", [AD_POST] = "POST", [AD_DELETE] = "DELETE"};
	const struct ad_write *w = &p->todo.v[p->done];
	struct err err = {0};
	char path[64] = RECORDS, *body = NULL;

	if (p->done == p->todo.n) {
		backend_changed(done_with(p), OUTCOME_DONE, NULL);
		return;
	}
	if (w->kind != AD_POST)
		snprintf(path, sizeof path, RECORDS "%lld/", (long long)w->id);
	if (w->body && !(body = json_dumps(w->body, JSON_COMPACT))) {
		err_set(&err, -ENOMEM, "out of memory");
		if (p->done)
			tell_half(p, &err);
		fail(p, p->done ? OUTCOME_UNKNOWN : OUTCOME_BUSY, &err);
		return;
	}
	ask(p, methods[w->kind], path, body, on_written);
}

/* ---- the backend ---- */

static void close_api(struct backend *b)
{
	struct ad *ad = b->impl;

	if (!ad)
		return;
	b->impl = NULL;
	http_free(ad->http);
	if (ad->turn)
		event_free(ad->turn);
	json_decref(ad->domains);
	free(ad);
}

static int open_http(struct ad *ad, const struct backend *b, struct err *err)
{
	static const char *const header[] = {"alwaysdata-synchronous: yes", NULL}; /* an answer then means that it is so */
	char *key;
	int rc = secret_line_load(&key, b->conf->key_file, err);

	if (rc < 0)
		return rc;
	struct http_conf conf = {.url = b->conf->url, .header = header, .user = key, .max_connections = 1};

	if (strchr(key, ':'))
		rc = err_set(err, -EINVAL, "%s: found a colon in it, expected APIKEY account=ACCOUNT", b->conf->key_file);
	else
		rc = http_new(&ad->http, b->base, &conf, err);
	secret_free(key);
	return rc;
}

static int open_api(struct backend *b, struct err *err)
{
	struct ad *ad = calloc(1, sizeof *ad);
	int rc;

	if (!ad)
		return err_set(err, -ENOMEM, "out of memory");
	b->impl = ad;
	ad->reads.most = READS_A_MINUTE;
	ad->writes.most = WRITES_A_MINUTE;
	ad->line_end = &ad->line;
	ad->turn = evtimer_new(b->base, on_turn, ad);
	rc = rest_show(b, err);
	if (rc == 0)
		rc = ad->turn ? open_http(ad, b, err) : err_set(err, -ENOMEM, "out of memory");
	if (rc < 0)
		close_api(b);
	return rc;
}

/* As if each change were one record: a change may take several. */
static int eta(const struct backend *b, size_t n)
{
	const struct ad *ad = b->impl;
	uint64_t now = (uint64_t)mono_ms(), ms = rate_eta(&ad->writes, n, now), pause = ad->not_before > now ? ad->not_before - now : 0;

	return (int)(((ms > pause ? ms : pause) + 999) / 1000);
}

const struct backend_ops backend_alwaysdata = {.name = "alwaysdata",
					       .piecewise = true,
					       .open = open_api,
					       .close = close_api,
					       .find = find,
					       .read = read_zone,
					       .change = change,
					       .cancel = cancel,
					       .eta = eta};
