/* The part of `shunt status` that shunt-netctl of both hosts knows. */
#include "control/network.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

#define LOOK_MS 5000

static void show_plan(struct app *a, const char *host, const json_t *p)
{
	const char *name = member_text_or(p, "plan", "?"), *next = member_text_or(p, "next", NULL), *trouble = netctl_plan_trouble(p);
	char until[TIME_TEXT_MAX];
	json_int_t left = member_int(p, "reverts-in");
	if (netctl_plan_is(p, "pending"))
		out_line(&a->out, "%-10s %s: %s pending until %s, then it reverts", "netctl", host, name,
			 time_text(now_ms() + left * 1000, until));
	else if (netctl_plan_is(p, "confirmed"))
		out_line(&a->out, "%-10s %s: %s in force%s%s%s", "netctl", host, name, next ? ", \"" : "", next ? next : "",
			 next ? "\" is still to come" : "");
	else
		out_line(&a->out, "%-10s %s: %s is %s", "netctl", host, name, member_text_or(p, "state", "in no state"));
	if (!trouble)
		return;
	size_t more = json_array_size(json_object_get(p, "drift"));
	char others[40] = "";
	if (more > 1)
		snprintf(others, sizeof(others), ", and %zu more", more - 1);
	out_line(&a->out, "%-10s %s: %s is not as it was made, somebody else changed it: %s%s", "DRIFT", host, name, trouble, others);
}

/* Returns new: what it answered, or where it is not. */
static json_t *show_host(struct app *a, struct netctllink *l)
{
	const char *host = side_name(l->host);
	json_t *status = NULL, *p, *o = json_pack("{s:s}", "address", l->address);
	struct err e = {0};
	size_t i;
	if (netctllink_ask(l, "status", NULL, LOOK_MS, &status, NULL, &e) < 0) {
		out_line(&a->out, "%-10s %s: AWAY: %s", "netctl", host, e.text);
		json_object_set_new(o, "away", json_string(e.text));
		return o;
	}
	json_t *plans = json_object_get(status, "plans"), *past = json_object_get(status, "past-the-proxy");
	if (json_array_size(plans) == 0)
		out_line(&a->out, "%-10s %s: nothing in force", "netctl", host);
	json_array_foreach (plans, i, p)
		show_plan(a, host, p);
	if (json_integer_value(past) > 0)
		out_line(&a->out, "%-10s %s: %lld connections from before the interception pass by the proxy", "netctl", host,
			 (long long)json_integer_value(past));
	json_object_del(status, "v");
	json_object_del(status, "id");
	json_object_del(status, "ok");
	json_object_update(o, status);
	json_decref(status);
	return o;
}

static void show_intents(struct app *a)
{
	static const struct {
		const char *mark, *command;
	} intents[] = {{MARK_START, "start"}, {MARK_REINSTALL, "reinstall"}, {MARK_RETURN, "return"}, {MARK_FINISH, "finish"}};
	for (size_t i = 0; i < sizeof(intents) / sizeof(*intents); i++) {
		if (!network_mark(a, intents[i].mark))
			continue;
		bool alive = a->locks && locks_held(a->locks, LOCK_NET);
		out_line(&a->out, "%-10s %s%s", alive ? "now" : "INTERRUPTED", intents[i].command, alive ? "" : "; shunt resume goes on");
		out_set(&a->out, alive ? "now" : "interrupted", json_string(intents[i].command));
	}
}

void network_status(struct app *a)
{
	json_t *o = json_object();
	for (int host = SIDE_CLIENT; host <= SIDE_TRANSIT; host++) {
		if (a->netctl[host])
			json_object_set_new(o, side_name((enum side)host), show_host(a, a->netctl[host]));
	}
	out_set(&a->out, "network", o);
	show_intents(a);
}
