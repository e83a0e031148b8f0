#include "netctl/show.h"

#include "lib/member.h"

#include <string.h>

static void show_texts(struct out *out, const char *mark, json_t *list)
{
	size_t i;
	json_t *t;

	json_array_foreach (list, i, t)
		out_line(out, "  %s %s", mark, json_string_value(t));
}

void show_plan(struct out *out)
{
	json_t *stage;
	size_t i;

	out_line(out, "%s would do this, and nothing is changed now (+ in this order, - its undo, backwards):",
		 member_text(out->object, "plan"));
	json_array_foreach (json_object_get(out->object, "stages"), i, stage) {
		json_int_t delay = member_int(stage, "delay");

		if (delay)
			out_line(out, "%s, %lld s after the confirmation", member_text(stage, "name"), (long long)delay);
		else
			out_line(out, "%s", member_text(stage, "name"));
		show_texts(out, "+", json_object_get(stage, "do"));
		show_texts(out, "-", json_object_get(stage, "undone-by"));
	}
}

void show_applied(struct out *out)
{
	const char *plan = member_text(out->object, "plan");
	json_t *left = json_object_get(out->object, "reverts-in");

	if (json_object_get(out->object, "already"))
		out_line(out, "%s is in force, by %s since %s", plan, member_text(out->object, "by"), member_text(out->object, "began"));
	else if (left)
		out_line(out, "%s is done and waits for `shunt-netctl confirm`; else it is undone in %lld s", plan,
			 (long long)json_integer_value(left));
	else
		out_line(out, "%s is in force", plan);
}

void show_list(struct out *out, const char *member, const char *when_empty)
{
	json_t *list = json_object_get(out->object, member), *name;
	size_t i;

	json_array_foreach (list, i, name)
		out_line(out, "%s %s", json_string_value(name), member);
	if (json_array_size(list) == 0)
		out_line(out, "%s", when_empty);
}

static void show_one(struct out *out, json_t *plan)
{
	json_t *left = json_object_get(plan, "reverts-in"), *drift = json_object_get(plan, "drift"), *t;
	size_t i;

	out_line(out, "%-10s %s, by %s since %s", member_text(plan, "plan"), member_text(plan, "state"), member_text(plan, "by"),
		 member_text(plan, "began"));
	if (left)
		out_line(out, "           is undone in %lld s unless confirmed", (long long)json_integer_value(left));
	if (*member_text(plan, "next"))
		out_line(out, "           still to come: %s", member_text(plan, "next"));
	if (*member_text(plan, "error"))
		out_line(out, "           %s", member_text(plan, "error"));
	json_array_foreach (drift, i, t)
		out_line(out, "           changed by somebody else: %s", json_string_value(t));
}

void show_status(struct out *out)
{
	json_t *plans = json_object_get(out->object, "plans"), *ours = json_object_get(out->object, "ours"), *o, *old;
	size_t i;

	out_line(out, "role       %s, topology %s", member_text(out->object, "role"), member_text(out->object, "topology"));
	json_array_foreach (plans, i, o)
		show_one(out, o);
	if (json_array_size(plans) == 0)
		out_line(out, "nothing is in force");
	json_array_foreach (ours, i, o)
		out_line(out, "%s %s", i ? "          " : "ours      ", member_text(o, "text"));
	old = json_object_get(out->object, "past-the-proxy");
	if (old)
		out_line(out, "old        %lld connections pass the proxy by; `intercept on --reset-old` resets them",
			 (long long)json_integer_value(old));
}
