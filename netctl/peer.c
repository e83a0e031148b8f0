#include "netctl/peer.h"

#include "lib/ctl.h"
#include "lib/tls.h"

#include <errno.h>
#include <string.h>

static const char *address_of(const struct conf *c, const char *peer)
{
	if (strcmp(peer, "client") == 0)
		return c->netctl.client;
	if (strcmp(peer, "transit") == 0)
		return c->netctl.transit;
	return strcmp(peer, "router") == 0 ? c->netctl.router : NULL;
}

static int connect_to(const struct conf *c, const char *address, struct tls **tls, struct ctl_client **client, struct err *err)
{
	int rc = 0;

	if (strncmp(address, "tls://", 6) == 0)
		rc = tls_new(tls, c->tls.ca, c->tls.cert, c->tls.key, err);
	return rc < 0 ? rc : ctl_connect_tls(client, address, *tls, err);
}

int peer_ask(const struct conf *c, const char *peer, const char *cmd, json_t *fields, json_t **answer, struct err *err)
{
	const char *address = address_of(c, peer);
	struct ctl_client *client = NULL;
	struct tls *tls = NULL;
	enum ctl_code code;
	int rc;

	if (!address) {
		json_decref(fields);
		return err_set(err, -EINVAL, "%s:%d: found no `%s` in the section netctl, expected where its shunt-netctl is asked",
			       c->file, c->netctl.line, peer);
	}
	rc = connect_to(c, address, &tls, &client, err);
	if (rc < 0) {
		json_decref(fields);
		if (rc != -EACCES && rc != -EINVAL && rc != -EPERM && err)
			err->code = rc = -EHOSTUNREACH;
		err_wrap(err, "the %s's shunt-netctl does not answer", peer);
	} else {
		rc = ctl_request(client, cmd, fields, PEER_TIMEOUT_MS, answer, &code, err);
		if (rc < 0)
			err_wrap(err, "the %s", peer);
	}
	ctl_disconnect(client);
	tls_free(tls);
	return rc;
}
