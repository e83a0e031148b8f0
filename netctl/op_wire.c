/* op_wire - the kinds of op that tell or ask the network something and leave nothing behind that could be undone.
 * {"op":"announce","addresses":["203.0.113.10",..],"dev":"eth0"}      neighbours learn that the addresses are here; once
 *         With "state": "absent" nothing is said: the op is there for the undo it brings along.
 * {"op":"duplicate","addresses":[..],"dev":"eth0","allow":["02:..",..]}
 *         changes nothing; -EADDRINUSE where a station that is not in "allow" (may be missing) has or probes for one of the addresses
 * {"op":"reset","addresses":[..],"ports":[80,..],"mark":M}
 *         ends the TCP connections with these local addresses and ports that are not the proxy's, whose mark is M (may be missing); how
 *         many is stored back as "reset". None is fine. With "count": true they are counted alone. With "whose": "proxy" it is
 *         about the proxy's instead. "patience": S: that many seconds they may come to an end by themselves. */
#include "netctl/announce.h"
#include "netctl/diag.h"
#include "netctl/duplicate.h"
#include "netctl/op.h"
#include "netctl/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_STEP_MS 100
#define HALF_OPEN_MS     1000 /* by then an honest visitor has answered our SYN-ACK, or lost it and will try again */

/* ---- reading */
static const char *kind(const json_t *op)
{
	return op_string(op, "op");
}

/* The list called `member`, of which there must be one entry at least. */
static int need_list(const json_t *op, const char *member, json_t **out, struct err *err)
{
	*out = json_object_get(op, member);
	if (json_is_array(*out) && json_array_size(*out) > 0)
		return 0;
	return err_set(err, -EINVAL, "op \"%s\": found no list \"%s\", or an empty one", kind(op), member);
}

static int read_addr(const json_t *op, const json_t *entry, struct addr *out, struct err *err)
{
	const char *text = json_string_value(entry);

	if (text && addr_parse(out, text) && !addr_is_any(out))
		return 0;
	return err_set(err, -EINVAL, "op \"%s\": found \"%.80s\" in \"addresses\", expected an IP address", kind(op), text ? text : "");
}

static int read_port(const json_t *op, const json_t *entry, uint16_t *out, struct err *err)
{
	json_int_t port = json_integer_value(entry); /* 0 for what is no number */

	if (port < 1 || port > 65535)
		return err_set(err, -EINVAL, "op \"%s\": found a port that is not a number from 1 to 65535", kind(op));
	*out = (uint16_t)port;
	return 0;
}

static int read_mac(const json_t *op, const json_t *entry, struct mac *out, struct err *err)
{
	const char *text = json_string_value(entry);

	if (text && mac_parse(out, text))
		return 0;
	return err_set(err, -EINVAL, "op \"%s\": found \"%.40s\" in \"allow\", expected a MAC address", kind(op), text ? text : "");
}

static int read_mark(const json_t *op, uint32_t *out, struct err *err)
{
	const json_t *mark = json_object_get(op, "mark");
	json_int_t v = json_integer_value(mark);

	if ((mark && !json_is_integer(mark)) || v < 0 || v > UINT32_MAX)
		return err_set(err, -EINVAL, "op \"%s\": found a \"mark\" that is not a number of 32 bits", kind(op));
	*out = (uint32_t)v;
	return 0;
}

/* All an op says, in C. */
struct parsed {
	struct addr *addrs;
	uint16_t *ports;
	struct mac *allow; /* these three: owned */
	size_t n_addrs, n_ports, n_allow;
	uint32_t mark;
	const char *dev;
};

static void parsed_done(struct parsed *p)
{
	free(p->addrs);
	free(p->ports);
	free(p->allow);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "no memory for a list of addresses");
}

static int parse_addrs(const json_t *op, struct parsed *p, struct err *err)
{
	json_t *list;
	int rc = need_list(op, "addresses", &list, err);

	if (rc < 0)
		return rc;
	p->addrs = calloc(json_array_size(list), sizeof *p->addrs);
	if (!p->addrs)
		return no_memory(err);
	for (; rc == 0 && p->n_addrs < json_array_size(list); p->n_addrs++)
		rc = read_addr(op, json_array_get(list, p->n_addrs), &p->addrs[p->n_addrs], err);
	return rc;
}

static int parse_ports(const json_t *op, struct parsed *p, struct err *err)
{
	json_t *list;
	int rc = need_list(op, "ports", &list, err);

	if (rc < 0)
		return rc;
	p->ports = calloc(json_array_size(list), sizeof *p->ports);
	if (!p->ports)
		return no_memory(err);
	for (; rc == 0 && p->n_ports < json_array_size(list); p->n_ports++)
		rc = read_port(op, json_array_get(list, p->n_ports), &p->ports[p->n_ports], err);
	return rc;
}

static int parse_allow(const json_t *op, struct parsed *p, struct err *err)
{
	json_t *list = json_object_get(op, "allow");
	int rc = 0;

	if (list && !json_is_array(list))
		return err_set(err, -EINVAL, "op \"%s\": found an \"allow\" that is no list", kind(op));
	p->allow = calloc(json_array_size(list) + 1, sizeof *p->allow);
	if (!p->allow)
		return no_memory(err);
	for (; rc == 0 && p->n_allow < json_array_size(list); p->n_allow++)
		rc = read_mac(op, json_array_get(list, p->n_allow), &p->allow[p->n_allow], err);
	return rc;
}

/* Each reads what its kind has; parsed_done() after it, also where it failed. */
static int parse_announce(const json_t *op, struct parsed *p, struct err *err)
{
	int rc = op_need(op, "dev", &p->dev, err);

	return rc < 0 ? rc : parse_addrs(op, p, err);
}

static int parse_duplicate(const json_t *op, struct parsed *p, struct err *err)
{
	int rc = parse_announce(op, p, err);

	return rc < 0 ? rc : parse_allow(op, p, err);
}

static int parse_reset(const json_t *op, struct parsed *p, struct err *err)
{
	int rc = parse_addrs(op, p, err);

	if (rc == 0)
		rc = parse_ports(op, p, err);
	return rc < 0 ? rc : read_mark(op, &p->mark, err);
}

typedef int parse_fn(const json_t *op, struct parsed *p, struct err *err);

static int check(const json_t *op, parse_fn *parse, struct err *err)
{
	struct parsed p = {0};
	int rc = parse(op, &p, err);

	parsed_done(&p);
	return rc;
}

/* ---- saying it as commands */
struct words {
	char *out;
	size_t cap, len;
};

static void say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *w, const char *fmt, ...)
{
	va_list ap;

	if (w->len >= w->cap)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(w->out + w->len, w->cap - w->len, fmt, ap);
	va_end(ap);
	w->len += n > 0 ? (size_t)n : 0;
	if (w->len >= w->cap && w->cap > 4)
		memcpy(w->out + w->cap - 4, "...", 4);
}

static void say_commands(json_t *op, const char *v4, const char *v6, char *out, size_t cap)
{
	struct words w = {out, cap, 0};
	const char *dev = op_string(op, "dev");
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(op, "addresses"), i, entry) {
		const char *ip = json_string_value(entry);
		say(&w, "%s", i ? "; " : "");
		say(&w, ip && strchr(ip, ':') ? v6 : v4, dev ? dev : "?", ip ? ip : "?");
	}
}

/* ---- announce */
static int announce_check(json_t *op, struct err *err)
{
	return check(op, parse_announce, err);
}

static int announce_apply(struct world *w, json_t *op, struct err *err)
{
	struct parsed p = {0};
	int rc = parse_announce(op, &p, err);

	(void)w;
	if (rc == 0 && !op_absent(op))
		rc = announce(p.dev, p.addrs, p.n_addrs, err);
	parsed_done(&p);
	return rc;
}

static void announce_text(json_t *op, char *out, size_t cap)
{
	if (op_absent(op))
		snprintf(out, cap, "(no announcement but when this is undone)");
	else
		say_commands(op, "arping -A -c 1 -I %1$s %2$s", "ndsend %2$s %1$s", out, cap);
}

const struct op_kind op_announce = {.name = "announce", .check = announce_check, .apply = announce_apply, .text = announce_text};

/* ---- duplicate */
static int duplicate_check(json_t *op, struct err *err)
{
	return check(op, parse_duplicate, err);
}

static bool allowed(const struct parsed *p, const struct mac *m)
{
	for (size_t i = 0; i < p->n_allow; i++)
		if (mac_same(&p->allow[i], m))
			return true;
	return false;
}

/* The first station that may not have the address; "more" counts as one, since nobody knows who that is. NULL: there is none. */
static const char *intruder(const struct parsed *p, const struct duplicate *d, char mac[MAC_TEXT_MAX], bool *asking)
{
	for (size_t i = 0; i < d->n_stations; i++) {
		if (allowed(p, &d->station[i].mac))
			continue;
		*asking = d->station[i].asking;
		return mac_text(&d->station[i].mac, mac);
	}
	*asking = false;
	return d->more ? "too many stations" : NULL;
}

static int judge(const struct parsed *p, const struct duplicate *list, struct err *err)
{
	struct words w = {(char[ERR_TEXT_MAX]){0}, ERR_TEXT_MAX, 0};

	for (size_t i = 0; i < p->n_addrs; i++) {
		char mac[MAC_TEXT_MAX], text[ADDR_TEXT_MAX];
		bool asking;
		const char *who = intruder(p, &list[i], mac, &asking);
		if (who)
			say(&w, "%s%s is %s by %s", w.len ? ", " : "", addr_text(&list[i].addr, text), asking ? "being claimed" : "in use",
			    who);
	}
	return w.len ? err_set(err, -EADDRINUSE, "on %s %s", p->dev, w.out) : 0;
}

static int duplicate_apply(struct world *w, json_t *op, struct err *err)
{
	struct parsed p = {0};
	struct duplicate *list = NULL;
	int rc = parse_duplicate(op, &p, err);

	(void)w;
	if (rc < 0)
		goto out;
	list = calloc(p.n_addrs, sizeof *list);
	if (!list) {
		rc = no_memory(err);
		goto out;
	}
	for (size_t i = 0; i < p.n_addrs; i++)
		list[i].addr = p.addrs[i];
	rc = duplicate_find(p.dev, list, p.n_addrs, DUPLICATE_PROBES, DUPLICATE_INTERVAL_MS, err);
	if (rc == 0)
		rc = judge(&p, list, err);
out:
	free(list);
	parsed_done(&p);
	return rc;
}

static void duplicate_text(json_t *op, char *out, size_t cap)
{
	say_commands(op, "arping -D -c 3 -I %1$s %2$s", "ndisc6 -1 %2$s %1$s", out, cap);
}

const struct op_kind op_duplicate = {.name = "duplicate", .check = duplicate_check, .apply = duplicate_apply, .text = duplicate_text};

/* ---- reset */
static int reset_check(json_t *op, struct err *err)
{
	return check(op, parse_reset, err);
}

struct count {
	diag_judge *verdict;
	uint32_t *mark;
	int n;
};

static void count_one(const struct diag_sock *s, void *arg)
{
	struct count *c = arg;

	c->n += c->verdict(s, c->mark, NULL) == DIAG_RESET;
}

static int count_them(const struct diag_want *want, diag_judge *verdict, uint32_t *mark, struct err *err)
{
	struct count c = {verdict, mark, 0};
	int rc = diag_list(want, count_one, &c, err);

	return rc < 0 ? rc : c.n;
}

/* Until there are none, or the patience is at its end. */
static void wait_for_none(const struct diag_want *want, diag_judge *verdict, uint32_t *mark, json_int_t patience_s)
{
	int64_t end = plan_now_ms() + patience_s * 1000;

	while (plan_now_ms() < end) {
		if (count_them(want, verdict, mark, NULL) <= 0)
			return;
		poll(NULL, 0, PATIENCE_STEP_MS);
	}
}

static int reset_apply(struct world *w, json_t *op, struct err *err)
{
	const char *whose = op_string(op, "whose");
	diag_judge *verdict = whose && strcmp(whose, "proxy") == 0 ? diag_the_proxys : diag_not_the_proxys;
	struct parsed p = {0};
	int rc = parse_reset(op, &p, err);

	(void)w;
	if (rc == 0) {
		struct diag_want want = {p.addrs, p.n_addrs, p.ports, p.n_ports};

		wait_for_none(&want, verdict, &p.mark, json_integer_value(json_object_get(op, "patience")));
		if (json_is_true(json_object_get(op, "count")))
			rc = count_them(&want, verdict, &p.mark, err);
		else
			rc = diag_reset(&want, verdict, &p.mark, HALF_OPEN_MS, err);
	}
	parsed_done(&p);
	if (rc < 0)
		return rc;
	return json_object_set_new(op, "reset", json_integer(rc)) == 0 ? 0 : no_memory(err);
}

/* ss(8) knows no filter for what is transparent: typed, the command would reset the proxy's as well, but for the mark. */
static void reset_text(json_t *op, char *out, size_t cap)
{
	struct words w = {out, cap, 0};
	json_int_t mark = json_integer_value(json_object_get(op, "mark"));
	json_t *entry;
	size_t i;

	say(&w, "ss -K -t '");
	if (mark)
		say(&w, "not fwmark = 0x%" PRIx32 "/0x%" PRIx32 " and ", (uint32_t)mark, (uint32_t)mark);
	json_array_foreach (json_object_get(op, "ports"), i, entry)
		say(&w, "%ssport = :%" JSON_INTEGER_FORMAT, i ? " or " : "( ", json_integer_value(entry));
	json_array_foreach (json_object_get(op, "addresses"), i, entry) {
		const char *ip = json_string_value(entry);
		bool v6 = ip && strchr(ip, ':');
		say(&w, "%ssrc %s%s%s", i ? " or " : " ) and ( ", v6 ? "[" : "", ip ? ip : "?", v6 ? "]" : "");
	}
	say(&w, " )'");
}

const struct op_kind op_reset = {.name = "reset", .check = reset_check, .apply = reset_apply, .text = reset_text};
