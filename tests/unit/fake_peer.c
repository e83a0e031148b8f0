#include "tests/unit/fake_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *fake_peer_new(size_t size)
{
	struct fake_peer *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		abort();
	p->code = CTL_REFUSED;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void fake_peer_free(void *fake, size_t size)
{
	munmap(fake, size);
}

int fake_no(enum ctl_code *code, enum ctl_code with, struct err *err, const char *why)
{
	*code = with;
	return err_set(err, -EPROTO, "%s", why);
}

static int on_connect(void *self, struct err *err)
{
	struct fake_peer *p = self;
	return p->away ? err_set(err, -ECONNREFUSED, "nobody there") : 0;
}

static int answer_to(struct fake_peer *p, const char *cmd, json_t *q, json_t **answer, enum ctl_code *code, struct err *err)
{
	char what[40];
	bool note = p->name(cmd, q, what, sizeof(what));
	if (strcmp(p->go_away_at, what) == 0)
		p->away = true;
	if (p->away)
		return err_set(err, -ECONNRESET, "it went away");
	if (note)
		snprintf(p->calls + strlen(p->calls), sizeof(p->calls) - strlen(p->calls), "%s ", what);
	if (strcmp(p->refuse, what) == 0) {
		if (p->refuse_once)
			p->refuse[0] = '\0';
		return fake_no(code, p->code, err, "it does not want to");
	}
	int rc = p->serve(p, cmd, q, answer, code, err);
	if (rc == 0 && !*answer)
		*answer = json_object();
	if (rc == 0 && strcmp(p->lose, what) == 0) {
		p->lose[0] = '\0';
		json_decref(*answer);
		*answer = NULL;
		return err_set(err, p->lose_with ? p->lose_with : -ECONNRESET, "it went away");
	}
	return rc;
}

static int on_request(void *self, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code, int cancel_fd,
		      struct err *err)
{
	struct fake_peer *p = self;
	(void)timeout_ms;
	(void)cancel_fd;
	*code = CTL_FAILED;
	*answer = NULL;
	pthread_mutex_lock(&p->lock);
	int rc = answer_to(p, cmd, fields, answer, code, err);
	pthread_mutex_unlock(&p->lock);
	json_decref(fields);
	return rc;
}

/* In order, as over a connection: what comes after the one that it broke at was not answered. */
static int on_request_many(void *self, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg, size_t *done,
			   struct err *err)
{
	int rc = 0;
	*done = 0;
	for (size_t i = 0; i < n; i++) {
		json_t *answer = NULL;
		enum ctl_code code;
		struct err why = {0};
		if (rc < 0 && rc != -EPROTO) {
			json_decref(fields[i]);
			continue;
		}
		rc = on_request(self, cmd, fields[i], timeout_ms, &answer, &code, -1, &why);
		if (rc == 0 || rc == -EPROTO)
			each(arg, (*done)++, rc, answer, &why);
		else
			err_set(err, rc, "%s", why.text);
		json_decref(answer);
	}
	return rc == -EPROTO ? 0 : rc;
}

static void on_disconnect(void *self)
{
	(void)self;
}

const struct wire_ops fake_peer_ops = {on_connect, on_request, on_request_many, on_disconnect, on_disconnect};
