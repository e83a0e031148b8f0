/* route: where a visitor would be led, asked of the proxy. */
#include "control/app.h"
#include "lib/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "host", "host:443", "[2001:db8::1]:443", "2001:db8::1". */
static int split(const char *text, char *host, size_t cap, long *port, struct err *err)
{
	const char *colon = strrchr(text, ':'), *expected;
	char *end, canon[DOMAIN_MAX + 1];
	struct addr ip;
	*port = 0;
	if (strstr(text, "://"))
		return err_set(err, -EINVAL, "route: found \"%.60s\", expected HOST[:PORT], not a URL", text);
	size_t len = strlen(text);
	if (*text == '[') {
		const char *close = strchr(text, ']');
		if (!close || (close[1] && close[1] != ':'))
			return err_set(err, -EINVAL, "route: found \"%.60s\", expected HOST[:PORT]", text);
		colon = close[1] ? close + 1 : NULL;
		text++;
		len = (size_t)(close - text);
	} else if (colon && strchr(text, ':') != colon) {
		colon = NULL; /* an IPv6 address without brackets */
	} else if (colon) {
		len = (size_t)(colon - text);
	}
	if (colon) {
		*port = strtol(colon + 1, &end, 10);
		if (*end || *port < 1 || *port > 65535)
			return err_set(err, -EINVAL, "route: found port \"%.60s\", expected a number from 1 to 65535", colon + 1);
	}
	if (len == 0 || len >= cap)
		return err_set(err, -EINVAL, "route: found a host of %zu characters, expected 1 to %zu", len, cap - 1);
	memcpy(host, text, len);
	host[len] = '\0';
	if (!addr_parse(&ip, host) && !domain_canon(canon, host, true, &expected))
		return err_set(err, -EINVAL, "route: found host \"%.60s\", expected %s, or an address", host, expected);
	return 0;
}

/* Which fact decided, in words. */
static void say_why(struct app *a, const json_t *answer)
{
	const char *why = member_text_or(answer, "why", "the proxy says so"), *account = member_text_or(answer, "account", "");

	if (strcmp(why, "name") == 0)
		out_line(&a->out, "because %s claims the domain %s", account, member_text_or(answer, "matched", "?"));
	else if (strcmp(why, "address") == 0 || strcmp(why, "port") == 0 || strcmp(why, "login") == 0)
		out_line(&a->out, "because %s claims the %s", account, why);
	else if (strcmp(why, "unknown") == 0)
		out_line(&a->out, "because no account claims it, and `unknown` of shunt.conf says so");
	else
		out_line(&a->out, "because %s", why);
}

enum exit_code cmd_route(struct app *a, char **words, int n, struct err *err)
{
	char host[DOMAIN_MAX + 8], login[LOGIN_MAX + 1];
	const char *expected;
	long port;
	struct addr ip;
	json_t *answer = NULL;
	(void)n;

	if (split(words[0], host, sizeof(host), &port, err) < 0)
		return EXIT_USAGE;
	if ((a->opt.to && !addr_parse(&ip, a->opt.to)) || a->opt.logins.n > 1) {
		err_set(err, -EINVAL, "route: expected HOST[:PORT], --to an address, and --login once");
		return EXIT_USAGE;
	}
	if (a->opt.logins.n && !login_canon(login, a->opt.logins.w[0], &expected)) {
		err_set(err, -EINVAL, "route: --login: found \"%.60s\", expected %s", a->opt.logins.w[0], expected);
		return EXIT_USAGE;
	}
	json_t *q = json_object();
	json_t *name = json_string(host);
	if (!a->opt.to && addr_parse(&ip, host)) /* an address as the host is where the traffic goes */
		json_object_set(q, "to", name);
	else
		json_object_set(q, "host", name);
	json_decref(name);
	if (port)
		json_object_set_new(q, "port", json_integer(port));
	if (a->opt.to)
		json_object_set_new(q, "to", json_string(a->opt.to));
	if (a->opt.logins.n)
		json_object_set_new(q, "login", json_string(login));
	const char *key;
	json_t *v;
	int rc = proxylink_ask(a->proxy, "route", q, 0, &answer, err);
	if (rc < 0)
		return EXIT_REFUSED;
	out_line(&a->out, "%s -> %s%s%s, account %s, gate %s", words[0], member_text_or(answer, "side", "refused"),
		 json_is_string(json_object_get(answer, "target")) ? " at " : "", member_text_or(answer, "target", ""),
		 member_text_or(answer, "account", "none"), member_text_or(answer, "gate", "open"));
	say_why(a, answer);
	if (json_is_null(json_object_get(answer, "listener")))
		out_line(&a->out, "but no listener of the proxy is there: such traffic does not come through it");
	json_object_foreach (answer, key, v)
		if (strcmp(key, "v") && strcmp(key, "id") && strcmp(key, "ok"))
			out_set(&a->out, key, json_incref(v));
	json_decref(answer);
	return EXIT_DONE;
}
