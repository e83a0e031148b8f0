#include "netctl/show.h"

#include <string.h>

static const char *text(const json_t *o, const char *member)
{
	const char *s = json_string_value(json_object_get(o, member));

	return s ? s : "";
}

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

	out_line(out, "%s would do this, and nothing is changed now (+ in this order, - its undo, backwards):", text(out->object, "plan"));
	json_array_foreach (json_object_get(out->object, "stages"), i, stage) {
		json_int_t delay = json_integer_value(json_object_get(stage, "delay"));

		if (delay)
			out_line(out, "%s, %lld s after the confirmation", text(stage, "name"), (long long)delay);
		else
			out_line(out, "%s", text(stage, "name"));
		show_texts(out, "+", json_object_get(stage, "do"));
		show_texts(out, "-", json_object_get(stage, "undone-by"));
	}
}

void show_applied(struct out *out)
{
	const char *plan = text(out->object, "plan");
	json_t *left = json_object_get(out->object, "reverts-in");

	if (json_object_get(out->object, "already"))
		out_line(out, "%s is in force, by %s since %s", plan, text(out->object, "by"), text(out->object, "began"));
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

	out_line(out, "%-10s %s, by %s since %s", text(plan, "plan"), text(plan, "state"), text(plan, "by"), text(plan, "began"));
	if (left)
		out_line(out, "           is undone in %lld s unless confirmed", (long long)json_integer_value(left));
	if (*text(plan, "next"))
		out_line(out, "           still to come: %s", text(plan, "next"));
	if (*text(plan, "error"))
		out_line(out, "           %s", text(plan, "error"));
	json_array_foreach (drift, i, t)
		out_line(out, "           changed by somebody else: %s", json_string_value(t));
}

void show_status(struct out *out)
{
	json_t *plans = json_object_get(out->object, "plans"), *ours = json_object_get(out->object, "ours"), *o, *old;
	size_t i;

	out_line(out, "role       %s, topology %s", text(out->object, "role"), text(out->object, "topology"));
	json_array_foreach (plans, i, o)
		show_one(out, o);
	if (json_array_size(plans) == 0)
		out_line(out, "nothing is in force");
	json_array_foreach (ours, i, o)
		out_line(out, "%s %s", i ? "          " : "ours      ", text(o, "text"));
	old = json_object_get(out->object, "past-the-proxy");
	if (old)
		out_line(out, "old        %lld connections pass the proxy by; `intercept on --reset-old` resets them",
			 (long long)json_integer_value(old));
}
