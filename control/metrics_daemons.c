/* Metrics from the status of shunt-netctl on both servers, and of shunt-dnsupdate. */
#include "control/metrics.h"
#include "lib/member.h"

#include <math.h>
#include <string.h>

/* ---- netctl ---- */

/* One sample per plan that is in the journal; absent: it is not in force. NAN: nothing to tell. */
static double plan_state(const json_t *plan)
{
	(void)plan;
	return 1;
}

static double plan_drift(const json_t *plan)
{
	return (double)json_array_size(json_object_get(plan, "drift"));
}

static double plan_error(const json_t *plan)
{
	return *member_text(plan, "error") || *member_text(plan, "drift-unknown");
}

static double plan_reverts(const json_t *plan)
{
	const json_t *left = json_object_get(plan, "reverts-in");
	return left ? floor((double)now_ms() / 1000) + json_number_value(left) : NAN;
}

static void tell_plans(struct expo *e, const struct metrics_answers *m, double (*of)(const json_t *plan), bool with_state)
{
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		size_t i;
		json_t *p;
		json_array_foreach (json_object_get(m->netctl[s], "plans"), i, p) {
			double v = of(p);
			if (isnan(v))
				continue;
			expo_sample(e,
				    EXPO_LABELS({"side", side_name((enum side)s)}, {"plan", member_text(p, "plan")},
						{with_state ? "state" : NULL, member_text(p, "state")}),
				    v);
		}
	}
}

void metrics_netctl(struct app *a, struct expo *e, const struct metrics_answers *m)
{
	(void)a;
	expo_family(e, "shunt_netctl_plan", EXPO_GAUGE,
		    "A plan that shunt-netctl of that server has in its journal, by its state; always 1.");
	tell_plans(e, m, plan_state, true);
	expo_family(e, "shunt_netctl_plan_drift", EXPO_GAUGE, "How much of a plan's work is not as it was made: somebody else changed it.");
	tell_plans(e, m, plan_drift, false);
	expo_family(e, "shunt_netctl_plan_error", EXPO_GAUGE, "Whether a plan is in trouble of its own, or cannot be looked at.");
	tell_plans(e, m, plan_error, false);
	expo_family(e, "shunt_netctl_plan_revert_timestamp_seconds", EXPO_GAUGE,
		    "When a plan that is pending reverts unless it is confirmed.");
	tell_plans(e, m, plan_reverts, false);
	expo_family(e, "shunt_netctl_objects", EXPO_GAUGE, "Addresses, routes, rules and tables of ours on that server.");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		if (m->netctl[s])
			expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}),
				    (double)json_array_size(json_object_get(m->netctl[s], "ours")));
	}
	expo_family(e, "shunt_netctl_connections_past_proxy", EXPO_GAUGE,
		    "Connections from before the interception that pass by the proxy.");
	for (int s = SIDE_CLIENT; s <= SIDE_TRANSIT; s++) {
		const json_t *past = json_object_get(m->netctl[s], "past-the-proxy");
		if (past)
			expo_sample(e, EXPO_LABELS({"side", side_name((enum side)s)}), json_number_value(past));
	}
}

/* ---- dnsupdate ---- */

void metrics_dns(struct app *a, struct expo *e, const struct metrics_answers *m)
{
	static const char *const states[] = {"new", "prepared", "pushed", "finalised", "undone"};
	double zones[5] = {0}, records = 0, lagging = 0, busy = 0, clean = NAN, since = NAN;
	size_t i, s;
	json_t *o;
	(void)a;
	if (!m->dns)
		return;
	json_array_foreach (json_object_get(m->dns, "entries"), i, o) {
		double at = metrics_time(json_string_value(json_object_get(o, "clean-at")));
		bool lags = *member_text(o, "lagging") != '\0';
		for (s = 0; s < 5; s++)
			zones[s] += strcmp(member_text(o, "state"), states[s]) == 0;
		records += member_real(o, "records");
		lagging += lags;
		busy += json_is_true(json_object_get(o, "busy"));
		if (isnan(clean) || at > clean)
			clean = at;
		at = metrics_time(json_string_value(json_object_get(o, "since")));
		if (lags && (isnan(since) || at < since))
			since = at;
	}
	expo_family(e, "shunt_dnsupdate_zones", EXPO_GAUGE,
		    "Zones in which records of an account are changed, by state; once for each account.");
	for (s = 0; s < 5; s++)
		expo_sample(e, EXPO_LABELS({"state", states[s]}), zones[s]);
	expo_one(e, "shunt_dnsupdate_record_sets", EXPO_GAUGE, "Record sets that are changed.", records);
	expo_one(e, "shunt_dnsupdate_lagging_zones", EXPO_GAUGE,
		 "Of these zones, those that a name server did not show as changed when last asked: by a move, or by verify. What somebody "
		 "else "
		 "changes afterwards is seen with the next look.",
		 lagging);
	expo_one(e, "shunt_dnsupdate_busy_zones", EXPO_GAUGE, "Of these zones, those in which a change is under way, or was interrupted.",
		 busy);
	if (!isnan(since))
		expo_one(e, "shunt_dnsupdate_lagging_since_timestamp_seconds", EXPO_GAUGE,
			 "When the oldest change was made that a name server lags behind.", since);
	if (!isnan(clean))
		expo_one(e, "shunt_dnsupdate_clean_timestamp_seconds", EXPO_GAUGE,
			 "From when on no resolver may hold what was there before.", clean);
}
