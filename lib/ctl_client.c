/* The asking side: lines over a wire, one deadline per request, no event loop. */
#include "lib/ctl_parts.h"

#include "lib/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000

struct ctl_client {
	struct ctl_wire wire;
	unsigned asked;       /* makes ids */
	char *in;             /* CTL_LINE_MAX + 1 bytes: what came and is not yet a whole line */
	size_t in_len, taken; /* bytes in it, and of these the line handed out last */
	bool cut;             /* a request went out in part: what is sent now would be taken for its rest */
	char *name;           /* for messages */
};

int ctl_connect_tls(struct ctl_client **out, const char *address, const struct tls *tls, struct err *err)
{
	struct ctl_wire wire;
	int rc = ctl_wire_dial(&wire, address, tls, CONNECT_TIMEOUT_MS, err);
	if (rc < 0)
		return rc;
	struct ctl_client *c = calloc(1, sizeof(*c));
	if (!c) {
		ctl_wire_close(&wire);
		return err_set(err, -ENOMEM, "out of memory");
	}
	c->wire = wire;
	c->in = malloc(CTL_LINE_MAX + 1);
	c->name = strdup(strncmp(address, "unix:", 5) == 0 ? address + 5 : address);
	if (!c->in || !c->name) {
		ctl_disconnect(c);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*out = c;
	return 0;
}

int ctl_connect(struct ctl_client **out, const char *address, struct err *err)
{
	return ctl_connect_tls(out, address, NULL, err);
}

void ctl_disconnect(struct ctl_client *c)
{
	if (!c)
		return;
	ctl_wire_close(&c->wire);
	free(c->name);
	free(c->in);
	free(c);
}

void ctl_cancel_on(struct ctl_client *c, int fd)
{
	c->wire.cancel_fd = fd;
}

static int receive_line(struct ctl_client *c, char **line, size_t *len, int64_t deadline, struct err *err)
{
	size_t scanned = 0;
	c->in_len -= c->taken;
	memmove(c->in, c->in + c->taken, c->in_len);
	c->taken = 0;
	for (;;) {
		char *end = memchr(c->in + scanned, '\n', c->in_len - scanned);
		if (end) {
			*line = c->in;
			*len = (size_t)(end - c->in);
			c->taken = *len + 1;
			return 0;
		}
		scanned = c->in_len;
		if (c->in_len == CTL_LINE_MAX + 1)
			return err_set(err, -EMSGSIZE, "%s", strerror(EMSGSIZE));
		ssize_t n = ctl_wire_receive(&c->wire, c->in + c->in_len, CTL_LINE_MAX + 1 - c->in_len, deadline, err);
		if (n < 0)
			return (int)n;
		c->in_len += (size_t)n;
	}
}

/* Takes fields. *sent: so many bytes. */
static int send_request(struct ctl_client *c, const char *cmd, json_t *fields, const char *id, int64_t deadline, size_t *sent,
			struct err *err)
{
	json_t *o = json_pack("{s:i, s:s, s:s}", "v", CTL_VERSION, "id", id, "cmd", cmd);
	int rc = o && (!fields || json_object_update_missing(o, fields) == 0) ? 0 : -ENOMEM;
	char *text = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(fields);
	json_decref(o);
	if (!text)
		return err_set(err, -ENOMEM, "%s: out of memory", cmd);
	size_t len = strlen(text);
	*sent = len + 1;
	if (len > CTL_LINE_MAX) {
		rc = err_set(err, -EMSGSIZE, "%s: the request has %zu bytes, expected at most %u", cmd, len, CTL_LINE_MAX);
	} else if (c->cut) {
		rc = err_set(err, -ENOTCONN, "%s: %s: an earlier request did not go out whole, connect again", c->name, cmd);
	} else {
		text[len] = '\n'; /* over the final NUL: nothing reads it as a string any more */
		rc = ctl_wire_send(&c->wire, text, len + 1, deadline, err);
		c->cut = rc < 0;
		if (rc < 0)
			err_wrap(err, "%s: %s", c->name, cmd);
	}
	free(text);
	return rc;
}

static int refused(const json_t *answer, enum ctl_code *code, struct err *err)
{
	const char *name = json_string_value(json_object_get(answer, "code")), *error = json_string_value(json_object_get(answer, "error"));
	for (int i = CTL_REFUSED; name && i <= CTL_STUCK; i++)
		if (strcmp(name, ctl_code_name((enum ctl_code)i)) == 0)
			*code = (enum ctl_code)i;
	return err_set(err, -EPROTO, "%s", error ? error : "refused without a reason");
}

/* The answer to the request id; what comes before it is to requests whose deadline had passed. */
static int await(struct ctl_client *c, const char *cmd, const char *id, int64_t deadline, json_t **answer, enum ctl_code *code,
		 struct err *err)
{
	int rc = 0;
	while (rc == 0) {
		char *line = NULL;
		size_t len = 0;
		json_error_t why;
		rc = receive_line(c, &line, &len, deadline, err);
		if (rc < 0) {
			err_wrap(err, "%s: no answer to %s", c->name, cmd);
			return rc;
		}
		json_t *o = json_loadb(line, len, 0, &why);
		const char *got = json_string_value(json_object_get(o, "id"));
		if (!json_is_object(o)) {
			rc = err_set(err, -EPROTO, "%s: the answer to %s is not a JSON object", c->name, cmd);
		} else if (got && strcmp(got, id) != 0) {
			json_decref(o);
			continue;
		} else if (json_is_true(json_object_get(o, "ok"))) {
			*answer = o;
			return 0;
		} else {
			rc = refused(o, code, err);
		}
		json_decref(o);
	}
	return rc;
}

#define ID_MAX 32

static const char *id_of(unsigned n, char out[ID_MAX])
{
	snprintf(out, ID_MAX, "%d-%u", (int)getpid(), n);
	return out;
}

static int64_t deadline_of(int timeout_ms)
{
	return mono_ms() + (timeout_ms > 0 ? timeout_ms : 0);
}

int ctl_request(struct ctl_client *c, const char *cmd, json_t *fields, int timeout_ms, json_t **answer, enum ctl_code *code,
		struct err *err)
{
	int64_t deadline = deadline_of(timeout_ms);
	enum ctl_code unused;
	char id[ID_MAX];
	size_t sent;
	code = code ? code : &unused;
	*answer = NULL;
	*code = CTL_FAILED;
	id_of(++c->asked, id);
	int rc = send_request(c, cmd, fields, id, deadline, &sent, err);
	return rc < 0 ? rc : await(c, cmd, id, deadline, answer, code, err);
}

int ctl_request_many(struct ctl_client *c, const char *cmd, json_t **fields, size_t n, int timeout_ms, ctl_each *each, void *arg,
		     size_t *done, struct err *err)
{
	size_t sent = 0, ahead = 0, sizes[CTL_AHEAD];
	unsigned first = c->asked + 1;
	char id[ID_MAX];
	int rc = 0;
	for (*done = 0; rc == 0 && *done < n;) {
		enum ctl_code code;
		json_t *answer = NULL;
		struct err why = {0};
		int64_t deadline = deadline_of(timeout_ms);
		for (; rc == 0 && sent < n && sent - *done < CTL_AHEAD && (sent == *done || ahead < CTL_AHEAD_BYTES); sent++) {
			size_t *size = &sizes[sent % CTL_AHEAD];
			rc = send_request(c, cmd, fields[sent], id_of(++c->asked, id), deadline, size, err);
			ahead += rc == 0 ? *size : 0;
		}
		if (rc < 0)
			break;
		rc = await(c, cmd, id_of(first + (unsigned)*done, id), deadline, &answer, &code, &why);
		ahead -= sizes[*done % CTL_AHEAD];
		if (rc == 0 || rc == -EPROTO) {
			each(arg, (*done)++, rc, answer, &why);
			rc = 0;
		} else {
			err_set(err, rc, "%s", why.text);
		}
		json_decref(answer);
	}
	while (sent < n)
		json_decref(fields[sent++]);
	return rc;
}
