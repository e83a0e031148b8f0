#include "dnsupdate/dns.h"

#include "lib/loop.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the line ---- */

static void push(struct line *l, struct work *w)
{
	w->next = NULL;
	w->link = l->end;
	*l->end = w;
	l->end = &w->next;
}

static void leave(struct dns *d, struct work *w)
{
	struct line *l = d->urgent.end == &w->next ? &d->urgent : d->rest.end == &w->next ? &d->rest : NULL;

	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	else if (l)
		l->end = w->link;
	w->link = NULL;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct dns *d = arg;

	(void)fd;
	(void)what;
	while (d->running < (size_t)d->conf->dns.parallel) {
		struct work *w = d->urgent.first ? d->urgent.first : d->rest.first;

		if (!w)
			return;
		leave(d, w);
		w->running = true;
		d->running++;
		w->start(w);
	}
}

void dns_enqueue(struct dns *d, struct work *w, bool urgent)
{
	push(urgent ? &d->urgent : &d->rest, w);
	event_active(d->turn, 0, 0);
}

void dns_idles(struct dns *d, struct work *w)
{
	if (!w->running || d->idle == DNS_IDLE_MAX)
		return;
	w->running = false;
	w->idle = true;
	d->running--;
	d->idle++;
	event_active(d->turn, 0, 0);
}

void dns_finished(struct dns *d, struct work *w)
{
	if (w->link)
		leave(d, w);
	if (w->idle) {
		w->idle = false;
		d->idle--;
	}
	if (w->running) {
		w->running = false;
		d->running--;
		event_active(d->turn, 0, 0);
	}
}

/* ---- life ---- */

static int open_backends(struct dns *d, struct err *err)
{
	const struct conf_dns *c = &d->conf->dns;

	d->backends = calloc(c->n_zone_servers, sizeof(*d->backends));
	if (!d->backends)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < c->n_zone_servers; i++) {
		int rc = backend_new(&d->backends[i], loop_base(d->loop), &c->zone_servers[i], err);

		if (rc < 0)
			return rc;
		d->n_backends++;
	}
	return 0;
}

/* Started as root it needs to be root for the control socket and the keys alone; from here on it is whoever owns the journal. */
static int become_owner(const char *dir, struct err *err)
{
	struct stat st;

	if (geteuid() != 0 || stat(dir, &st) < 0 || st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 || setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
		return err_errno(err, -errno, "cannot become the owner of %s (uid %u)", dir, (unsigned)st.st_uid);
	return 0;
}

int dns_open(struct dns *d, const struct conf *conf, struct loop *loop, struct err *err)
{
	int rc;

	*d = (struct dns){.conf = conf, .loop = loop};
	d->urgent.end = &d->urgent.first;
	d->rest.end = &d->rest.first;
	if (!conf->dns.present || conf->dns.n_zone_servers == 0)
		return err_set(
			err, -EINVAL,
			"%s: found no zone-server in a section dns, expected the primaries whose records are changed: dns { zone-server "
			"{ address = \"...\" key-file = \"...\" } }",
			conf->file);
	d->turn = event_new(loop_base(loop), -1, 0, on_turn, d);
	if (!d->turn)
		return err_set(err, -ENOMEM, "out of memory");
	rc = open_backends(d, err);
	if (rc == 0)
		rc = become_owner(conf->dns.journal, err);
	if (rc == 0)
		rc = journal_open(&d->journal, conf->dns.journal, err);
	if (rc == 0)
		rc = look_new(&d->looker, loop_base(loop), conf->dns.resolvers, conf->dns.n_resolvers, err);
	if (rc < 0)
		dns_close(d);
	return rc;
}

void dns_close(struct dns *d)
{
	for (size_t i = 0; i < d->n_backends; i++)
		backend_free(d->backends[i]);
	free(d->backends);
	look_free(d->looker);
	journal_close(d->journal);
	if (d->turn)
		event_free(d->turn);
	*d = (struct dns){0};
}

struct backend *dns_backend(const struct dns *d, const char *name)
{
	for (size_t i = 0; name && i < d->n_backends; i++)
		if (strcmp(backend_name(d->backends[i]), name) == 0)
			return d->backends[i];
	return NULL;
}
