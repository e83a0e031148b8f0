#include "control/wire.h"

#include "lib/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct wire {
	char *address;
	const struct conf_tls *files;
	struct tls *tls; /* made with the first connection that wants it */
	struct ctl_client *client;
};

int wire_new(void **out, const char *address, const struct conf_tls *tls, struct err *err)
{
	struct wire *w = calloc(1, sizeof(*w));
	*out = w;
	if (!w || !(w->address = strdup(address))) {
		free(w);
		*out = NULL;
		return err_set(err, -ENOMEM, "out of memory");
	}
	w->files = tls;
	return 0;
}

static int on_connect(void *self, struct err *err)
{
	struct wire *w = self;
	int rc = 0;
	if (strncmp(w->address, "tls://", 6) == 0 && !w->tls) {
		if (!w->files || !w->files->present)
			return err_set(err, -EINVAL, "%s wants certificates, and shunt.conf has no section tls", w->address);
		rc = tls_new(&w->tls, w->files->ca, w->files->cert, w->files->key, err);
	}
	return rc < 0 ? rc : ctl_connect_tls(&w->client, w->address, w->tls, err);
}

static int on_request(void *self, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code, int cancel_fd,
		      struct err *err)
{
	struct wire *w = self;
	ctl_cancel_on(w->client, cancel_fd);
	return ctl_request(w->client, cmd, fields, timeout_ms, answer, code, err);
}

static int on_request_many(void *self, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg, size_t *done,
			   struct err *err)
{
	struct wire *w = self;
	ctl_cancel_on(w->client, -1);
	return ctl_request_many(w->client, cmd, fields, n, timeout_ms, each, arg, done, err);
}

static void on_disconnect(void *self)
{
	struct wire *w = self;
	ctl_disconnect(w->client);
	w->client = NULL;
}

static void on_free(void *self)
{
	struct wire *w = self;
	on_disconnect(w);
	tls_free(w->tls);
	free(w->address);
	free(w);
}

const struct wire_ops wire_ops = {on_connect, on_request, on_request_many, on_disconnect, on_free};
