#include "netctl/serve.h"

#include "netctl/act.h"
#include "netctl/echo.h"

#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/member.h"
#include "lib/notify.h"
#include "lib/tls.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define OVERDUE_S 1

struct serve {
	const struct conf *conf;
	struct loop *loop;
	struct tls *tls;
	struct ctl_server *here, *there;
	struct echoes *echoes;
	struct event sigs[3], second;
	bool blind; /* the last look for what is overdue has failed */
};

static enum ctl_code code_of(enum exit_code x)
{
	switch (x) {
	case EXIT_DONE:
	case EXIT_REFUSED:
		return CTL_REFUSED;
	case EXIT_USAGE:
		return CTL_USAGE;
	case EXIT_UNDONE:
		return CTL_FAILED;
	case EXIT_STUCK:
		return CTL_STUCK;
	}
	return CTL_STUCK;
}

static int seconds_of(json_t *request, int *out, struct err *err)
{
	json_t *v = json_object_get(request, "confirm");

	*out = -1;
	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 3600)
		return err_set(err, -EINVAL, "\"confirm\": expected seconds from 0 to 3600");
	*out = (int)json_integer_value(v);
	return 0;
}

/* "moved" as the configuration writes the same addresses, each once. *out: returned new, NULL where none was given. */
static int read_moved(const struct conf *c, json_t *request, json_t **out, struct err *err)
{
	json_t *given = json_object_get(request, "moved"), *a, *pairs = NULL;
	size_t i, k;
	int rc;

	*out = NULL;
	if (!given)
		return 0;
	if (!json_is_array(given))
		return err_set(err, -EINVAL, "\"moved\": expected a list of addresses");
	rc = build_addresses(&pairs, c, BUILD_CLIENT, err);
	if (rc < 0)
		return rc;
	*out = json_array();
	for (k = 0; k < json_array_size(pairs); k++) {
		struct addr ours, theirs;

		addr_parse(&ours, json_string_value(json_array_get(pairs, k)));
		json_array_foreach (given, i, a)
			if (json_is_string(a) && addr_parse(&theirs, json_string_value(a)) && addr_same_ip(&ours, &theirs)) {
				json_array_append(*out, json_array_get(pairs, k));
				break;
			}
	}
	json_decref(pairs);
	if (json_array_size(*out) == json_array_size(given))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(err, -EINVAL, "\"moved\": expected client addresses of pairs, each once");
}

static enum exit_code apply(struct act *a, const char *plan, int confirm, json_t *request, struct build_wish *wish, json_t *answer,
			    struct err *err)
{
	enum exit_code x;

	if (read_moved(a->conf, request, &wish->moved, err) < 0)
		return EXIT_USAGE;
	x = act_apply(a, plan, confirm, wish, answer, err);
	json_decref(wish->moved);
	return x;
}

static enum exit_code act_by_name(struct act *a, const char *cmd, json_t *request, json_t *answer, struct err *err)
{
	const char *plan = json_string_value(json_object_get(request, "plan"));
	struct build_wish wish = {.without_peer = json_is_true(json_object_get(request, "without-peer"))};
	bool force = json_is_true(json_object_get(request, "force"));
	int confirm;

	if (seconds_of(request, &confirm, err) < 0)
		return EXIT_USAGE;
	if (strcmp(cmd, "status") == 0)
		return act_status(a, answer, err);
	if (strcmp(cmd, "recover") == 0)
		return act_recover(a, answer, err);
	if (strcmp(cmd, "confirm") == 0)
		return act_confirm(a, plan, answer, err);
	if (strcmp(cmd, "reset-old") == 0)
		return act_reset_old(a, answer, err);
	if (!plan && (strcmp(cmd, "plan") == 0 || strcmp(cmd, "apply") == 0 || strcmp(cmd, "revert") == 0 || strcmp(cmd, "settle") == 0)) {
		err_set(err, -EINVAL, "\"plan\": expected the name of a plan");
		return EXIT_USAGE;
	}
	if (strcmp(cmd, "plan") == 0)
		return act_plan(a, plan, &wish, answer, err);
	if (strcmp(cmd, "apply") == 0)
		return apply(a, plan, confirm, request, &wish, answer, err);
	if (strcmp(cmd, "revert") == 0)
		return act_revert(a, plan, force, answer, err);
	if (strcmp(cmd, "settle") == 0)
		return act_settle(a, plan, answer, err);
	err_set(err, -EINVAL, "there is no command \"%.40s\"", cmd);
	return EXIT_USAGE;
}

/* At an address of a pair that is this host's side. */
static void open_echo(struct serve *s, struct ctl_call *call, json_t *request, json_t *answer)
{
	const char *text = json_string_value(json_object_get(request, "at"));
	json_int_t seconds = json_integer_value(json_object_get(request, "seconds"));
	json_t *pairs = NULL, *a;
	struct err err = {0};
	struct addr at, one;
	bool ours = false;
	uint16_t port;
	size_t i;

	if (!text || !addr_parse(&at, text) || seconds < 1 || seconds > ECHO_SECONDS_MAX) {
		json_decref(answer);
		ctl_fail(call, CTL_USAGE, "echo: expected \"at\", an address, and \"seconds\" from 1 to %d", ECHO_SECONDS_MAX);
		return;
	}
	if (build_addresses(&pairs, s->conf, BUILD_TRANSIT, &err) == 0)
		json_array_foreach (pairs, i, a)
			ours = ours || (addr_parse(&one, json_string_value(a)) && addr_same_ip(&one, &at));
	json_decref(pairs);
	if (!ours && !*err.text)
		err_set(&err, -EPERM, "%s is not the transit address of a pair", text);
	if (!ours || echo_open(s->echoes, &at, (int)seconds, &port, &err) < 0) {
		json_decref(answer);
		ctl_fail(call, CTL_REFUSED, "echo: %s", err.text);
		return;
	}
	log_info("cmd=echo at=%s port=%u seconds=%d by=%s", text, port, (int)seconds, LOG_QUOTED(ctl_peer(call), strlen(ctl_peer(call))));
	json_object_set_new(answer, "port", json_integer(port));
	ctl_answer(call, answer);
}

static void on_request(struct ctl_call *call, const char *cmd, json_t *request, void **session, void *arg)
{
	struct serve *s = arg;
	struct act a = {.by = ctl_peer(call)};
	json_t *answer = json_object();
	struct err err = {0};
	enum exit_code x = EXIT_REFUSED;
	const char *plan = member_text_or(request, "plan", "-");

	(void)session;
	json_object_set_new(answer, "role", json_string(role_name(s->conf->netctl.role)));
	if (strcmp(cmd, "hello") == 0) {
		ctl_answer(call, answer);
		return;
	}
	if (strcmp(cmd, "echo") == 0) {
		open_echo(s, call, request, answer);
		return;
	}
	if (act_open(&a, s->conf, &err) == 0)
		x = act_by_name(&a, cmd, request, answer, &err);
	act_close(&a);
	if (strcmp(cmd, "status") != 0)
		log_info("cmd=%s plan=%s by=%s exit=%d%s%s", LOG_QUOTED(cmd, strlen(cmd)), LOG_QUOTED(plan, strlen(plan)),
			 LOG_QUOTED(ctl_peer(call), strlen(ctl_peer(call))), x, x ? " reason=" : "",
			 x ? LOG_QUOTED(err.text, strlen(err.text)) : "");
	if (x == EXIT_DONE) {
		ctl_answer(call, answer);
		return;
	}
	json_decref(answer);
	ctl_fail(call, code_of(x), "%s", err.text);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct serve *s = arg;
	struct act a = {.by = "shunt-netctl serve"};
	struct err err = {0};

	(void)fd;
	(void)what;
	if (act_open(&a, s->conf, &err) == 0)
		act_overdue(&a);
	else if (!s->blind)
		log_error("reason=%s advice=\"what is overdue is not seen until this is mended\"", LOG_QUOTED(err.text, strlen(err.text)));
	s->blind = err.code < 0; /* said once */
	act_close(&a);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct serve *s = arg;

	(void)sig;
	(void)what;
	loop_stop(s->loop);
}

static int certificates(const struct conf *c, struct tls **out, struct err *err)
{
	char warning[TLS_TEXT_MAX];
	int rc = tls_new(out, c->tls.ca, c->tls.cert, c->tls.key, err);

	if (rc == 0 && tls_warning(*out, warning))
		log_warn("control: %s (%s)", warning, c->tls.cert);
	return rc;
}

/* Certificates that were renewed, under the same names; the rest of the configuration wants a restart. */
static void on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct serve *s = arg;
	struct tls *fresh = NULL;
	struct err err = {0};

	(void)sig;
	(void)what;
	if (!s->there)
		return;
	if (certificates(s->conf, &fresh, &err) < 0) {
		log_error("reload=refused reason=\"%s\" advice=\"the certificates before stay in use\"", err.text);
		return;
	}
	ctl_use_tls(s->there, fresh);
	tls_free(s->tls);
	s->tls = fresh;
	log_info("reload=done reason=\"certificates are read again\"");
}

static int listen_at(struct serve *s, const char *address, struct ctl_server **out, struct err *err)
{
	struct ctl_options opt = {.address = address, .handler = on_request, .arg = s, .tls = s->tls};

	return ctl_listen(out, loop_base(s->loop), &opt, err);
}

static int open_all(struct serve *s, struct err *err)
{
	const struct conf_netctl *n = &s->conf->netctl;
	int rc = loop_new(&s->loop, err);

	if (rc == 0 && !(s->echoes = echoes_new(s->loop)))
		rc = err_set(err, -ENOMEM, "out of memory");
	if (rc == 0 && n->listen)
		rc = certificates(s->conf, &s->tls, err);
	if (rc == 0)
		rc = listen_at(s, n->control, &s->here, err);
	if (rc == 0 && n->listen)
		rc = listen_at(s, n->listen, &s->there, err);
	return rc;
}

static void watch(struct serve *s)
{
	struct event_base *b = loop_base(s->loop);

	event_assign(&s->sigs[0], b, SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal, s);
	event_assign(&s->sigs[1], b, SIGINT, EV_SIGNAL | EV_PERSIST, on_signal, s);
	event_assign(&s->sigs[2], b, SIGHUP, EV_SIGNAL | EV_PERSIST, on_hup, s);
	for (int i = 0; i < 3; i++)
		event_add(&s->sigs[i], NULL);
	event_assign(&s->second, b, -1, EV_PERSIST, on_second, s);
	event_add(&s->second, &(struct timeval){.tv_sec = OVERDUE_S});
}

int serve_main(const struct conf *conf)
{
	struct serve s = {.conf = conf};
	struct act a = {.by = "shunt-netctl serve"};
	struct err err = {0};
	int rc = act_open(&a, conf, &err);

	signal(SIGPIPE, SIG_IGN);
	if (rc == 0 && act_recover(&a, NULL, &err) != EXIT_DONE)
		log_error("reason=\"%s\"", err.text);
	act_close(&a);
	if (rc == 0)
		rc = open_all(&s, &err);
	if (rc == 0) {
		watch(&s);
		log_info("role=%s control=%s listen=%s reason=\"ready\"", role_name(conf->netctl.role), conf->netctl.control,
			 conf->netctl.listen ? conf->netctl.listen : "none");
		notify("READY=1");
		loop_run(s.loop);
		for (int i = 0; i < 3; i++)
			event_del(&s.sigs[i]);
		event_del(&s.second);
	} else {
		log_error("reason=\"%s\"", err.text);
	}
	ctl_close(s.there);
	ctl_close(s.here);
	tls_free(s.tls);
	echoes_free(s.echoes);
	if (s.loop)
		loop_free(s.loop);
	return rc < 0 ? EXIT_REFUSED : EXIT_DONE;
}
