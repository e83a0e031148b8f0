#include "dnsupdate/serve.h"

#include "dnsupdate/records.h"
#include "dnsupdate/report.h"

#include "lib/ctl.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/notify.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MOST (CTL_LINE_MAX - 4096) /* room for the version, the request's id and an error */

struct serve {
	const struct conf *conf;
	struct loop *loop;
	struct dns dns;
	struct ctl_server *server;
	struct asked *asked; /* under way */
	struct looked *looked;
	struct event sigs[2];
};

/* One command under way. */
struct asked {
	struct asked *next, **link;
	struct serve *serve;
	struct ctl_call *call;
	struct job *job;
	char *cmd, *account;
};

/* One `records` under way. */
struct looked {
	struct looked *next, **link;
	struct ctl_call *call;
	struct records *records;
};

static void looked_free(struct looked *k)
{
	*k->link = k->next;
	if (k->next)
		k->next->link = k->link;
	free(k);
}

static void asked_free(struct asked *a)
{
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	free(a->cmd);
	free(a->account);
	free(a);
}

/* takes answer */
static void answer_with(struct ctl_call *call, json_t *answer, enum exit_code x, const struct err *err)
{
	json_object_set_new(answer, "exit", json_integer(x));
	if (x != EXIT_DONE)
		json_object_set_new(answer, "error", json_string(err->text));
	ctl_answer(call, answer);
}

static void on_job(void *arg, enum exit_code x, json_t *answer, const struct err *err)
{
	struct asked *a = arg;

	log_info("cmd=%s account=%s by=%s exit=%d changed=%lld published=%s%s%s", a->cmd, a->account,
		 LOG_QUOTED(ctl_peer(a->call), strlen(ctl_peer(a->call))), x,
		 (long long)json_integer_value(json_object_get(answer, "changed")),
		 json_is_true(json_object_get(answer, "published")) ? "yes" : "no", x ? " reason=" : "",
		 x ? LOG_QUOTED(err->text, strlen(err->text)) : "");
	report_shorten(answer, ANSWER_MOST);
	answer_with(a->call, answer, x, err);
	asked_free(a);
}

/* ---- requests ---- */

static int read_domains(const json_t *list, char ***out, size_t *n, struct err *err)
{
	char canon[DOMAIN_MAX + 1];
	const char *expected;
	const json_t *d;
	size_t i;

	*n = 0;
	*out = calloc(json_array_size(list) + 1, sizeof(**out));
	if (!*out)
		return err_set(err, -ENOMEM, "out of memory");
	json_array_foreach (list, i, d) {
		const char *text = json_string_value(d);

		if (!text || !domain_canon(canon, text, true, &expected))
			return err_set(err, -EINVAL, "found a domain %s, expected names such as alice.example or *.alice.example",
				       text ? LOG_QUOTED(text, strlen(text)) : "that is no text");
		(*out)[*n] = strdup(canon);
		if (!(*out)[(*n)++])
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

static int read_account(json_t *request, struct job_wish *w, char ***domains, char ***others, struct err *err)
{
	json_t *account = json_object_get(request, "account"), *list = json_object_get(account ? account : request, "domains");
	json_t *other = json_object_get(account, "others");
	int rc;

	w->account = json_string_value(json_object_get(account, "name"));
	if (account && (!w->account || !account_name_ok(w->account)))
		return err_set(err, -EINVAL, "\"account\": expected an object with the name of an account and its domains");
	if (!account && w->kind != JOB_CLASSIFY)
		return err_set(err, -EINVAL, "\"account\" is missing");
	if (!json_is_array(list) || (other && !json_is_array(other)))
		return err_set(err, -EINVAL, "\"domains\": expected a list");
	if (!w->account)
		w->account = "";
	rc = read_domains(list, domains, &w->n_domains, err);
	if (rc == 0)
		rc = read_domains(other, others, &w->n_others, err);
	w->domains = *domains;
	w->others = *others;
	return rc;
}

static int read_seconds(json_t *request, int *out, struct err *err)
{
	json_t *v = json_object_get(request, "wait");

	*out = -1;
	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 3600)
		return err_set(err, -EINVAL, "\"wait\": expected seconds from 0 to 3600");
	*out = (int)json_integer_value(v);
	return 0;
}

static int read_wish(json_t *request, struct job_wish *w, char ***domains, char ***others, struct err *err)
{
	const char *to = json_string_value(json_object_get(request, "to")), *verb = json_string_value(json_object_get(request, "verb"));
	static const enum verb verbs[] = {VERB_PREPARE, VERB_PUSH, VERB_UNDO, VERB_FINALISE};
	bool known = !verb;

	w->to = SIDE_TRANSIT;
	if (to && !side_parse(&w->to, to))
		return err_set(err, -EINVAL, "\"to\": expected client or transit");
	w->verb = VERB_PUSH;
	for (size_t i = 0; verb && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(verb, verb_text(verbs[i])) == 0) {
			w->verb = verbs[i];
			known = true;
		}
	if (!known)
		return err_set(err, -EINVAL, "\"verb\": expected push, undo, prepare or finalise");
	w->leave_drift = json_is_true(json_object_get(request, "leave-drift"));
	w->urgent = w->kind != JOB_CLASSIFY;
	w->resolvers = w->kind == JOB_VERIFY;
	if (read_seconds(request, &w->wait_s, err) < 0)
		return -EINVAL;
	return read_account(request, w, domains, others, err);
}

static void start_job(struct serve *s, struct ctl_call *call, const char *cmd, enum job_kind kind, json_t *request)
{
	struct job_wish w = {.kind = kind};
	struct asked *a = calloc(1, sizeof(*a));
	char **domains = NULL, **others = NULL;
	struct err err = {0};

	if (!a || read_wish(request, &w, &domains, &others, &err) < 0) {
		ctl_fail(call, a ? CTL_USAGE : CTL_FAILED, "%s: %s", cmd, a ? err.text : "out of memory");
		free(a);
		goto out;
	}
	*a = (struct asked){
		.next = s->asked, .link = &s->asked, .serve = s, .call = call, .cmd = strdup(cmd), .account = strdup(w.account)};
	if (a->next)
		a->next->link = &a->next;
	s->asked = a;
	if (a->cmd && a->account)
		a->job = job_start(&s->dns, &w, on_job, a);
	if (!a->job) {
		ctl_fail(call, CTL_FAILED, "out of memory");
		asked_free(a);
	}
out:
	free_texts(domains, w.n_domains);
	free_texts(others, w.n_others);
}

static void say_hello(struct serve *s, struct ctl_call *call)
{
	json_t *backends = json_array(), *nameservers = json_array();

	for (size_t i = 0; i < s->dns.n_backends; i++)
		json_array_append_new(backends, json_string(backend_name(s->dns.backends[i])));
	for (size_t i = 0; i < s->conf->dns.n_nameservers; i++)
		json_array_append_new(nameservers, json_string(s->conf->dns.nameservers[i]));
	ctl_answer(call, json_pack("{s:o, s:o, s:i}", "backends", backends, "nameservers", nameservers, "exit", 0));
}

static void tell_status(struct serve *s, struct ctl_call *call, json_t *request)
{
	json_t *answer = json_object(), *account = json_object_get(request, "account");
	struct err err = {0};
	enum exit_code x;

	if (account && (!json_is_string(account) || !account_name_ok(json_string_value(account)))) {
		json_decref(answer);
		ctl_fail(call, CTL_USAGE, "status: \"account\": expected the name of an account");
		return;
	}
	x = job_status(&s->dns, json_string_value(account), answer, &err);
	report_shorten(answer, ANSWER_MOST);
	answer_with(call, answer, x, &err);
}

static void on_records(void *arg, json_t *list)
{
	struct looked *k = arg;

	ctl_answer(k->call, json_pack("{s:o, s:i}", "domains", list, "exit", 0));
	looked_free(k);
}

static void look_records(struct serve *s, struct ctl_call *call, json_t *request)
{
	json_t *list = json_object_get(request, "domains");
	struct looked *k = calloc(1, sizeof *k);
	char **domains = NULL;
	struct err err = {0};
	size_t n = 0;
	int rc = -EINVAL;

	if (k && json_array_size(list) >= 1 && json_array_size(list) <= RECORDS_MAX)
		rc = read_domains(list, &domains, &n, &err);
	if (rc == 0) {
		*k = (struct looked){.next = s->looked, .link = &s->looked, .call = call};
		k->records = records_start(s->dns.looker, domains, n, on_records, k);
		rc = k->records ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		if (k->next)
			k->next->link = &k->next;
		s->looked = k;
	} else {
		ctl_fail(call, rc == -EINVAL && k ? CTL_USAGE : CTL_FAILED, "records: %s",
			 rc != -EINVAL || !k ? "out of memory"
			 : *err.text         ? err.text
					     : "\"domains\": expected a list of 1 to 200");
		free(k);
	}
	free_texts(domains, n);
}

static void on_request(struct ctl_call *call, const char *cmd, json_t *request, void **session, void *arg)
{
	static const struct {
		const char *name;
		enum job_kind kind;
	} jobs[] = {{"classify", JOB_CLASSIFY}, {"plan", JOB_PLAN},       {"push", JOB_PUSH},        {"verify", JOB_VERIFY},
		    {"undo", JOB_UNDO},         {"prepare", JOB_PREPARE}, {"finalise", JOB_FINALISE}};
	struct serve *s = arg;

	(void)session;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(*jobs); i++)
		if (strcmp(cmd, jobs[i].name) == 0) {
			start_job(s, call, cmd, jobs[i].kind, request);
			return;
		}
	if (strcmp(cmd, "hello") == 0)
		say_hello(s, call);
	else if (strcmp(cmd, "records") == 0)
		look_records(s, call, request);
	else if (strcmp(cmd, "status") == 0)
		tell_status(s, call, request);
	else
		ctl_fail(call, CTL_USAGE, "there is no command \"%.40s\"", cmd);
}

/* ---- life ---- */

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct serve *s = arg;

	(void)sig;
	(void)what;
	loop_stop(s->loop);
}

static void watch(struct serve *s)
{
	event_assign(&s->sigs[0], loop_base(s->loop), SIGTERM, EV_SIGNAL | EV_PERSIST, on_signal, s);
	event_assign(&s->sigs[1], loop_base(s->loop), SIGINT, EV_SIGNAL | EV_PERSIST, on_signal, s);
	event_add(&s->sigs[0], NULL);
	event_add(&s->sigs[1], NULL);
}

/* What is under way stops where it is; its askers see the connection end. */
static void close_all(struct serve *s)
{
	ctl_close(s->server);
	while (s->looked) {
		records_cancel(s->looked->records);
		looked_free(s->looked);
	}
	while (s->asked) {
		job_cancel(s->asked->job);
		asked_free(s->asked);
	}
	dns_close(&s->dns);
	if (s->loop)
		loop_free(s->loop);
}

int serve_main(const struct conf *conf)
{
	struct serve s = {.conf = conf};
	struct ctl_options opt = {.address = conf->dns.control, .handler = on_request, .arg = &s};
	struct err err = {0};
	int rc = loop_new(&s.loop, &err);

	if (rc == 0 && conf->dns.present)
		rc = ctl_listen(&s.server, loop_base(s.loop), &opt, &err);
	if (rc == 0)
		rc = dns_open(&s.dns, conf, s.loop, &err);
	if (rc == 0) {
		watch(&s);
		log_info("control=%s zone-servers=%zu reason=\"ready\"", conf->dns.control, s.dns.n_backends);
		notify("READY=1");
		loop_run(s.loop);
		notify("STOPPING=1");
		event_del(&s.sigs[0]);
		event_del(&s.sigs[1]);
	} else {
		log_error("reason=%s", LOG_QUOTED(err.text, strlen(err.text)));
	}
	close_all(&s);
	return rc == 0 ? EXIT_DONE : rc == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
}
