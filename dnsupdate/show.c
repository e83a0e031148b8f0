#include "dnsupdate/show.h"

#include "lib/member.h"

#include <stdio.h>
#include <string.h>

#define JOINED_MAX 600

/* "192.0.2.10 192.0.2.11", "nothing" */
static const char *joined(const json_t *values, char out[JOINED_MAX])
{
	size_t i, n = 0;
	const json_t *v;

	out[0] = '\0';
	json_array_foreach (values, i, v)
		if (n < JOINED_MAX)
			n += (size_t)snprintf(out + n, JOINED_MAX - n, "%s%s", i ? " " : "", json_string_value(v));
	return n ? out : "nothing";
}

/* ---- classify ---- */

static void show_domain(struct out *out, const json_t *d)
{
	size_t i;
	const json_t *name;

	out_line(out, "%s %s: %s", member_text(d, "domain"), member_text(d, "verdict"), member_text(d, "why"));
	if (*member_text(d, "error"))
		out_line(out, "  %s", member_text(d, "error"));
	json_array_foreach (json_object_get(d, "names"), i, name)
		out_line(out, "  %-40s %-11s %s", member_text(name, "name"), member_text(name, "fate"), member_text(name, "what"));
}

void show_classify(struct out *out)
{
	const json_t *domains = json_object_get(out->object, "domains"), *d, *n;
	const char *verdict;
	char line[300] = "";
	size_t i, len = 0;

	json_array_foreach (domains, i, d)
		show_domain(out, d);
	json_object_foreach (json_object_get(out->object, "counts"), verdict, n)
		if (len < sizeof(line))
			len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%lld %s", len ? ", " : "",
						(long long)json_integer_value(n), verdict);
	out_line(out, "%zu domain%s: %s", json_array_size(domains), json_array_size(domains) == 1 ? "" : "s", *line ? line : "none");
}

/* ---- what is done to zones ---- */

static void show_change(struct out *out, const json_t *c)
{
	char old[JOINED_MAX], new[JOINED_MAX];

	out_line(out, "  %-40s %-5s %s (TTL %lld) -> %s (TTL %lld)", member_text(c, "owner"), member_text(c, "type"),
		 joined(json_object_get(c, "old"), old), member_int(c, "ttl"), joined(json_object_get(c, "new"), new),
		 member_int(c, "new-ttl"));
}

static void show_drift(struct out *out, const json_t *d)
{
	char text[JOINED_MAX];

	out_line(out, "  %s %s was changed by somebody else", member_text(d, "owner"), member_text(d, "type"));
	out_line(out, "    recorded %s", joined(json_object_get(d, "recorded"), text));
	out_line(out, "    expected %s", joined(json_object_get(d, "expected"), text));
	out_line(out, "    found    %s", joined(json_object_get(d, "found"), text));
}

/* "ns1.provider.example. (192.0.2.53)"; of one that is known by its address alone "192.0.2.53". */
static const char *server_text(const json_t *s, char out[JOINED_MAX])
{
	const char *name = member_text(s, "name"), *address = member_text(s, "address");

	if (strcmp(name, address) == 0)
		snprintf(out, JOINED_MAX, "%s%s", json_is_true(json_object_get(s, "resolver")) ? "resolver " : "", address);
	else
		snprintf(out, JOINED_MAX, "%s (%s)", name, address);
	return out;
}

static void show_server(struct out *out, const json_t *s)
{
	const json_t *after = json_object_get(s, "after-ms");
	char server[JOINED_MAX];

	if (json_is_integer(after))
		out_line(out, "  %s shows it after %lld ms", server_text(s, server), (long long)json_integer_value(after));
	else
		out_line(out, "  %s does not show it: %s", server_text(s, server), member_text(s, "trouble"));
}

static void show_zone(struct out *out, const json_t *z)
{
	size_t i;
	const json_t *item;

	out_line(out, "%s %s%s%s%s%s", member_text(z, "zone"), member_text(z, "outcome"), *member_text(z, "verdict") ? ", " : "",
		 member_text(z, "verdict"), *member_text(z, "why") ? ": " : "", member_text(z, "why"));
	json_array_foreach (json_object_get(z, "changes"), i, item)
		show_change(out, item);
	json_array_foreach (json_object_get(z, "notes"), i, item)
		out_line(out, "  note: %s", json_string_value(item));
	if (member_int(z, "eta"))
		out_line(out, "  the provider takes only so many changes a minute: %s about %lld s",
			 strcmp(member_text(z, "outcome"), "would-change") == 0 ? "these will take" : "these took", member_int(z, "eta"));
	json_array_foreach (json_object_get(z, "drift"), i, item)
		show_drift(out, item);
	if (*member_text(z, "error"))
		out_line(out, "  %s", member_text(z, "error"));
	json_array_foreach (json_object_get(z, "servers"), i, item)
		show_server(out, item);
}

static const char *way_back(enum job_kind kind)
{
	return kind == JOB_PUSH || kind == JOB_PREPARE || kind == JOB_FINALISE ? "; `undo` restores the zone as it was" : "";
}

void show_job(struct out *out, enum job_kind kind, bool ended_well)
{
	const json_t *zones = json_object_get(out->object, "zones"), *z;
	long long changed = member_int(out->object, "changed");
	bool published = json_is_true(json_object_get(out->object, "published"));
	size_t i;

	json_array_foreach (zones, i, z)
		show_zone(out, z);
	if (!ended_well)
		return; /* the error says it */
	if (kind == JOB_PLAN)
		out_line(out, "%lld record set%s would change; nothing was changed", changed, changed == 1 ? "" : "s");
	else if (json_array_size(zones) == 0)
		out_line(out, kind == JOB_PUSH || kind == JOB_PREPARE ? "no zone of ours holds the account's domains: nothing to change"
								      : "nothing is recorded for the account");
	else if (kind == JOB_VERIFY)
		out_line(out,
			 published ? "every name server shows what was left there" : "not every name server shows what was left there");
	else
		out_line(out, "%lld record set%s changed, %s%s", changed, changed == 1 ? "" : "s",
			 published ? "seen on every name server" : "not yet seen on every name server", changed ? way_back(kind) : "");
	if (*member_text(out->object, "clean-at") && (kind == JOB_PREPARE || kind == JOB_PUSH))
		out_line(out, "no resolver holds what was there before from %s on", member_text(out->object, "clean-at"));
}

/* ---- status ---- */

static void show_entry(struct out *out, const json_t *e)
{
	out_line(out, "%s %s %s%s, %lld record set%s since %s%s%s", member_text(e, "account"), member_text(e, "zone"),
		 member_text(e, "state"),
		 json_is_true(json_object_get(e, "busy")) ? " (a change was interrupted: push or undo settles it)" : "",
		 member_int(e, "records"), member_int(e, "records") == 1 ? "" : "s", member_text(e, "since"),
		 *member_text(e, "verified") ? ", seen on every name server at " : "", member_text(e, "verified"));
	if (*member_text(e, "lagging"))
		out_line(out, "  not seen yet: %s", member_text(e, "lagging"));
	if (*member_text(e, "clean-at"))
		out_line(out, "  no resolver holds what was there before from %s on", member_text(e, "clean-at"));
}

void show_status(struct out *out)
{
	const json_t *entries = json_object_get(out->object, "entries"), *e;
	size_t i;

	json_array_foreach (entries, i, e)
		show_entry(out, e);
	if (json_array_size(entries) == 0)
		out_line(out, "no records are changed");
}
