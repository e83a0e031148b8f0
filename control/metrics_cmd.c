/* metrics: everything that is asked, and the text that comes of it. */
#include "control/metrics.h"
#include "lib/clock.h"

#include "config.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double metrics_time(const char *text)
{
	struct tm tm = {0};
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	return rest ? (double)timegm(&tm) + (*rest == '.' ? strtod(rest, NULL) : 0) : NAN;
}

/* ---- asking, side by side ---- */

static double since(int64_t began_us)
{
	return (double)(mono_us() - began_us) / 1e6;
}

struct part {
	struct app *a;
	struct metrics_answers *m;
	void (*ask)(struct app *a, struct metrics_answers *m);
	pthread_t thread;
	bool apart; /* in a thread of its own */
};

static void ask_proxy(struct app *a, struct metrics_answers *m)
{
	int64_t began = mono_us();
	a->proxy->patience_ms = 0;
	if (proxylink_ask(a->proxy, "status", NULL, METRICS_ASK_MS, &m->status, NULL) == 0) {
		proxylink_ask(a->proxy, "metrics", NULL, METRICS_ASK_MS, &m->metrics, NULL); /* one of before does not know it */
		proxylink_ask(a->proxy, "stragglers", json_pack("{s:i}", "limit", 1000), METRICS_ASK_MS, &m->stragglers, NULL);
	}
	m->proxy_s = since(began);
}

static void ask_netctl(struct app *a, struct metrics_answers *m, enum side side)
{
	int64_t began = mono_us();
	if (a->netctl[side])
		netctllink_ask(a->netctl[side], "status", NULL, METRICS_ASK_MS, &m->netctl[side], NULL, NULL);
	m->netctl_s[side] = since(began);
}

static void ask_client(struct app *a, struct metrics_answers *m)
{
	ask_netctl(a, m, SIDE_CLIENT);
}

static void ask_transit(struct app *a, struct metrics_answers *m)
{
	ask_netctl(a, m, SIDE_TRANSIT);
}

static void ask_dns(struct app *a, struct metrics_answers *m)
{
	int64_t began = mono_us();
	if (a->dns && dns_status(a->dns, NULL, &m->dns, NULL) < 0) {
		json_decref(m->dns);
		m->dns = NULL;
	}
	m->dns_s = since(began);
}

static void *work(void *arg)
{
	struct part *p = arg;
	p->ask(p->a, p->m);
	return NULL;
}

void metrics_ask(struct app *a, struct metrics_answers *out)
{
	static void (*const asks[])(struct app *, struct metrics_answers *) = {ask_client, ask_transit, ask_dns, ask_proxy};
	struct part parts[4];
	*out = (struct metrics_answers){0};
	for (size_t i = 0; i < 4; i++) {
		parts[i] = (struct part){.a = a, .m = out, .ask = asks[i]};
		parts[i].apart = i < 3 && pthread_create(&parts[i].thread, NULL, work, &parts[i]) == 0;
		if (!parts[i].apart)
			work(&parts[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		if (parts[i].apart)
			pthread_join(parts[i].thread, NULL);
	}
}

void metrics_answers_done(struct metrics_answers *m)
{
	json_decref(m->status);
	json_decref(m->metrics);
	json_decref(m->stragglers);
	json_decref(m->netctl[SIDE_CLIENT]);
	json_decref(m->netctl[SIDE_TRANSIT]);
	json_decref(m->dns);
	*m = (struct metrics_answers){0};
}

/* ---- who is there ---- */

static void tell_up(struct app *a, struct expo *e, const struct metrics_answers *m)
{
	expo_family(e, "shunt_build_info", EXPO_GAUGE, "The shunt command that tells this; always 1.");
	expo_sample(e, EXPO_LABELS({"version", PACKAGE_VERSION}), 1);
	expo_one(e, "shunt_journal_up", EXPO_GAUGE, "Whether the state database could be read.", a->db != NULL);
	expo_one(e, "shunt_proxy_up", EXPO_GAUGE, "Whether shunt-proxy answered in time.", m->status != NULL);
	expo_family(e, "shunt_netctl_up", EXPO_GAUGE,
		    "Whether shunt-netctl of that server answered in time; absent where it is not configured.");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		if (a->netctl[s])
			expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}), m->netctl[s] != NULL);
	}
	expo_family(e, "shunt_dnsupdate_up", EXPO_GAUGE, "Whether shunt-dnsupdate answered in time; absent where it is not configured.");
	if (a->dns)
		expo_sample(e, NULL, m->dns != NULL);
	expo_family(e, "shunt_ask_duration_seconds", EXPO_GAUGE, "How long the last question to each part took.");
	expo_sample(e, EXPO_LABELS({"part", "proxy"}), m->proxy_s);
	if (a->netctl[SIDE_CLIENT])
		expo_sample(e, EXPO_LABELS({"part", "netctl-client"}), m->netctl_s[SIDE_CLIENT]);
	if (a->netctl[SIDE_TRANSIT])
		expo_sample(e, EXPO_LABELS({"part", "netctl-transit"}), m->netctl_s[SIDE_TRANSIT]);
	if (a->dns)
		expo_sample(e, EXPO_LABELS({"part", "dnsupdate"}), m->dns_s);
}

static void tell(struct app *a, FILE *f)
{
	struct metrics_answers m;
	struct expo e = {.to = f};
	metrics_ask(a, &m);
	tell_up(a, &e, &m);
	metrics_certs(a, &e);
	metrics_journal(a, &e);
	metrics_proxy(&e, &m);
	metrics_netctl(a, &e, &m);
	metrics_dns(a, &e, &m);
	metrics_answers_done(&m);
}

enum exit_code cmd_metrics(struct app *a, char **words, int n, struct err *err)
{
	struct err away = {0};
	char *text = NULL;
	size_t len;
	(void)words;
	(void)n;
	enum exit_code x = app_look(a, &away, err);
	if (x)
		return x;
	FILE *f = open_memstream(&text, &len);
	if (!f) {
		err_set(err, -ENOMEM, "out of memory");
		return EXIT_REFUSED;
	}
	if (*away.text)
		fprintf(stderr, "shunt: warning: %s\n", away.text);
	tell(a, f);
	fclose(f);
	out_set(&a->out, "metrics", json_string(text));
	if (!a->out.json)
		fputs(text, a->out.to ? a->out.to : stdout);
	free(text);
	return EXIT_DONE;
}
