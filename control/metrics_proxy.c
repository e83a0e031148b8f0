/* Metrics from shunt-proxy's status, metrics and stragglers (proxy/control.h). */
#include "control/metrics.h"
#include "lib/member.h"

#include <math.h>
#include <string.h>

#define RECENT_MS (3600 * 1000)

/* ---- what it is ---- */

static void tell_table(struct expo *e, const json_t *table)
{
	static const char *const states[] = {"ok", "empty", "damaged"};
	const char *now = json_string_value(json_object_get(table, "state"));
	expo_family(e, "shunt_proxy_table_state", EXPO_GAUGE, "What the proxy's table is: 1 for that state, 0 for the others.");
	for (size_t i = 0; now && i < 3; i++)
		expo_sample(e, EXPO_LABELS({"state", states[i]}), strcmp(now, states[i]) == 0);
	expo_one(e, "shunt_proxy_accounts", EXPO_GAUGE, "Accounts in the proxy's table.", member_real(table, "accounts"));
	expo_one(e, "shunt_proxy_domains", EXPO_GAUGE, "Domains in the proxy's table.", member_real(table, "domains"));
}

static void tell_process(struct expo *e, const json_t *status)
{
	expo_family(e, "shunt_proxy_info", EXPO_GAUGE, "The proxy that answered; always 1.");
	expo_sample(e, EXPO_LABELS({"version", member_text_or(status, "version", "unknown")}), 1);
	expo_one(e, "shunt_proxy_start_time_seconds", EXPO_GAUGE, "When the proxy began, within a second.",
		 floor((double)now_ms() / 1000) - member_real(status, "uptime-s"));
	expo_one(e, "shunt_proxy_workers", EXPO_GAUGE, "Threads of the proxy.", member_real(status, "workers"));
	tell_table(e, json_object_get(status, "table"));
}

/* Without the interception there is nothing to be alive. */
static void tell_intercept(struct expo *e, const json_t *i)
{
	bool on = strcmp(member_text(i, "state"), "on") == 0;
	expo_one(e, "shunt_proxy_intercept_on", EXPO_GAUGE, "Whether the proxy is configured to intercept.", on);
	if (!on)
		return;
	expo_one(e, "shunt_proxy_intercept_alive", EXPO_GAUGE, "Whether visitors are being led to the proxy; 0: the local services answer.",
		 json_is_true(json_object_get(i, "alive")));
	expo_one(e, "shunt_proxy_intercept_renewals_total", EXPO_COUNTER, "Signs of life that the kernel took.", member_real(i, "renewed"));
	expo_one(e, "shunt_proxy_intercept_failures_total", EXPO_COUNTER, "Signs of life that the kernel did not take.",
		 member_real(i, "failed"));
}

/* ---- its bounds ---- */

static void tell_limits(struct expo *e, const json_t *limits)
{
	static const struct {
		const char *key, *name, *help;
	} rows[] = {
		{"max-connections", "shunt_proxy_limit_connections", "Limit: connections at once."},
		{"source-connections", "shunt_proxy_limit_source_connections", "Limit: connections at once of one source; 0: none."},
		{"source-rate", "shunt_proxy_limit_source_connections_per_second",
		 "Limit: new connections a second of one source; 0: none."},
		{"hold-max-connections", "shunt_proxy_limit_waiting_connections", "Limit: who may wait behind holds at once."},
		{"hold-max-wait", "shunt_proxy_limit_hold_wait_seconds", "Limit: how long a visitor waits behind a hold."},
		{"drain", "shunt_proxy_limit_drain_seconds", "Limit: how long what is in flight may take to finish when an account moves."},
		{"http-head-max", "shunt_proxy_limit_http_head_bytes", "Limit: head of a request or an answer."},
		{"http-head-timeout", "shunt_proxy_limit_http_head_seconds", "Limit: time for the head of a request."},
		{"http-fields", "shunt_proxy_limit_http_fields", "Limit: fields of a head."},
		{"http-request-line", "shunt_proxy_limit_http_request_line_bytes", "Limit: request line."},
		{"hello-max", "shunt_proxy_limit_tls_hello_bytes", "Limit: ClientHello."},
		{"hello-timeout", "shunt_proxy_limit_tls_hello_seconds", "Limit: time for a ClientHello."},
		{"hello-records", "shunt_proxy_limit_tls_hello_records", "Limit: records of a ClientHello."},
		{"connect-timeout", "shunt_proxy_limit_connect_seconds", "Limit: time for a connection to a back end."},
		{"response-timeout", "shunt_proxy_limit_response_seconds", "Limit: time until a back end begins to answer."},
		{"keep-alive", "shunt_proxy_limit_keep_alive_seconds", "Limit: time between requests of one connection."},
		{"idle", "shunt_proxy_limit_idle_seconds", "Limit: time in which nothing moves."},
		{"control-message", "shunt_proxy_limit_control_message_bytes", "Limit: a message of the control socket."},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (json_object_get(limits, rows[i].key))
			expo_one(e, rows[i].name, EXPO_GAUGE, rows[i].help, member_real(limits, rows[i].key));
	}
}

/* ---- traffic ---- */

static void tell_traffic(struct expo *e, const json_t *status)
{
	const json_t *sides = json_object_get(status, "sides"), *conns = json_object_get(status, "connections");
	expo_family(e, "shunt_proxy_requests_total", EXPO_COUNTER, "Requests (HTTP) and connections (TLS, TCP) that were sent to a side.");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++)
		expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}),
			    member_real(json_object_get(sides, side_name((enum side)s)), "requests"));
	expo_family(e, "shunt_proxy_errors_total", EXPO_COUNTER, "Of these, those that were answered with 5xx or were reset.");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++)
		expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}),
			    member_real(json_object_get(sides, side_name((enum side)s)), "errors"));
	expo_family(e, "shunt_proxy_traffic_bytes_total", EXPO_COUNTER,
		    "Bytes of bodies and connections, counted when they end: up to a side, and down.");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		const json_t *o = json_object_get(sides, side_name((enum side)s));
		expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}, {"direction", "up"}), member_real(o, "bytes-up"));
		expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}, {"direction", "down"}), member_real(o, "bytes-down"));
	}
	expo_one(e, "shunt_proxy_connections", EXPO_GAUGE, "Connections of visitors now.", member_real(conns, "now"));
	expo_one(e, "shunt_proxy_waiting_connections", EXPO_GAUGE, "Of these, those that wait behind a hold.",
		 member_real(conns, "parked"));
	expo_one(e, "shunt_proxy_access_log_lost_lines_total", EXPO_COUNTER, "Lines of the access log that could not be written.",
		 member_real(status, "access-lines-lost"));
}

static void tell_refused(struct expo *e, const json_t *metrics)
{
	const json_t *refused = json_object_get(metrics, "refused");
	const char *code;
	json_t *n;
	expo_one(e, "shunt_proxy_connections_accepted_total", EXPO_COUNTER, "Connections of visitors since the proxy began.",
		 member_real(metrics, "connections"));
	expo_family(e, "shunt_proxy_refused_total", EXPO_COUNTER,
		    "Visitors that were refused: held too long, too many waiting, or their source at its limit.");
	expo_sample(e, EXPO_LABELS({"reason", "held_too_long"}), member_real(refused, "held-too-long"));
	expo_sample(e, EXPO_LABELS({"reason", "too_many_held"}), member_real(refused, "too-many-held"));
	expo_sample(e, EXPO_LABELS({"reason", "source_limit"}), member_real(refused, "source"));
	expo_family(e, "shunt_proxy_own_responses_total", EXPO_COUNTER,
		    "HTTP answers that the proxy gave in a back end's place, by status.");
	json_object_foreach (json_object_get(metrics, "answers"), code, n)
		expo_sample(e, EXPO_LABELS({"code", code}), json_number_value(n));
}

/* ---- holds ---- */

static void tell_waits(struct expo *e, const json_t *waits)
{
	const json_t *bounds = json_object_get(waits, "bounds-ms"), *counts = json_object_get(waits, "counts");
	double ends[EXPO_BOUNDS_MAX];
	struct expo_histogram h = {.bounds = ends, .sum = member_real(waits, "sum-ms") / 1000};
	if (json_array_size(bounds) > EXPO_BOUNDS_MAX || json_array_size(counts) != json_array_size(bounds) + 1)
		return;
	for (; h.n < json_array_size(bounds); h.n++) {
		ends[h.n] = json_number_value(json_array_get(bounds, h.n)) / 1000;
		h.counts[h.n] = json_number_value(json_array_get(counts, h.n));
	}
	h.counts[h.n] = json_number_value(json_array_get(counts, h.n));
	expo_family(e, "shunt_proxy_hold_wait_seconds", EXPO_HISTOGRAM,
		    "How long requests and connections waited behind a hold, whether they were let go, were refused or gave up.");
	expo_histogram(e, NULL, &h);
}

static void tell_holds(struct expo *e, const json_t *held)
{
	size_t i;
	json_t *h;
	expo_family(e, "shunt_proxy_held_accounts", EXPO_GAUGE, "Accounts whose gate is closed, by gate.");
	expo_sample(e, EXPO_LABELS({"gate", "held"}), member_real(held, "held"));
	expo_sample(e, EXPO_LABELS({"gate", "fenced"}), member_real(held, "fenced"));
	expo_family(e, "shunt_proxy_hold_start_timestamp_seconds", EXPO_GAUGE,
		    "When the gate of that account was closed; of the 100 longest.");
	json_array_foreach (json_object_get(held, "oldest"), i, h) {
		const char *name = json_string_value(json_object_get(h, "name")), *gate = json_string_value(json_object_get(h, "gate"));
		expo_sample(e, EXPO_LABELS({"account", name}, {"gate", gate}), member_real(h, "since"));
	}
}

/* ---- stragglers ---- */

static void tell_stragglers(struct expo *e, const json_t *s)
{
	double recent = 0, least = INFINITY;
	size_t i;
	json_t *o;
	json_array_foreach (json_object_get(s, "names"), i, o) {
		double quiet = member_real(o, "quiet-ms");
		recent += quiet < RECENT_MS;
		least = quiet < least ? quiet : least;
	}
	expo_one(e, "shunt_straggler_names", EXPO_GAUGE, "Names of moved accounts whose visitors came to the client server's addresses.",
		 member_real(s, "total"));
	expo_one(e, "shunt_straggler_recent_names", EXPO_GAUGE, "Of the 1000 heaviest of these, those that came within the last hour.",
		 recent);
	expo_one(e, "shunt_straggler_visits", EXPO_GAUGE,
		 "Their requests (HTTP) and connections, since the proxy's first start or the account's move.", member_real(s, "count"));
	if (isfinite(least))
		expo_one(e, "shunt_straggler_last_seen_timestamp_seconds", EXPO_GAUGE, "When the last of them came.",
			 ((double)now_ms() - least) / 1000);
}

void metrics_proxy(struct expo *e, const struct metrics_answers *m)
{
	if (!m->status)
		return;
	tell_process(e, m->status);
	tell_intercept(e, json_object_get(m->status, "intercept"));
	tell_limits(e, json_object_get(m->status, "limits"));
	tell_traffic(e, m->status);
	if (m->metrics) {
		tell_refused(e, m->metrics);
		tell_waits(e, json_object_get(m->metrics, "waits"));
		tell_holds(e, json_object_get(m->metrics, "held"));
	}
	if (m->stragglers)
		tell_stragglers(e, m->stragglers);
}
