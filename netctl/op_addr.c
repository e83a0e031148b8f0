/* The kind addr. "address" without "/LEN" means the address whatever its prefix; a new one then gets the whole length.
 * One that is there is left as it is, unless the op names another lifetime, metric or protocol: those alone can be changed in place.
 * IPv6 waits for duplicate detection to end, unless "nodad" says not to detect, or "dad":"done" that it was ours a moment ago: an undo
 * brings an address back at once, with the flags it had.
 * Not kept by an undo: the order of addresses. A primary IPv4 address that was taken away comes back as the last of its prefix, secondary;
 * and what was left of a lifetime counts anew from then. A primary address takes its secondaries along, unless
 * net.ipv4.conf.*.promote_secondaries is set: then the op is refused. */
#include "netctl/op_net.h"

#include "lib/clock.h"
#include "lib/member.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAD_MS  3000
#define POLL_MS 20

static const char *const in_place[] = {"valid", "preferred", "metric", "protocol", NULL};

static int addr_check(json_t *op, struct err *err)
{
	const char *dad = member_text(op, "dad");

	if (json_object_get(op, "dad") && strcmp(dad, "done") != 0)
		return err_set(err, -EINVAL, "op \"addr\": found \"dad\" \"%.40s\", expected \"done\"", dad);
	return nl_check(NL_ADDR, op, err);
}

static bool any_length(const json_t *op)
{
	const char *address = op_string(op, "address");

	return !strchr(address, '/');
}

/* *canon: as it shall be; *found: those of this address, of any prefix where the op names none, and in IPv6, which has each but once. */
static int addr_find(struct world *w, json_t *op, json_t **canon, json_t **found, struct err *err)
{
	static const char *const by[] = {"address", "dev", NULL};
	json_t *like = NULL;
	int rc = nl_canon(NL_ADDR, op, canon, err);

	if (rc < 0)
		return rc;
	like = op_pick(*canon, by);
	if (like && (any_length(op) || op_is_v6(op))) {
		char ip[64];
		snprintf(ip, sizeof(ip), "%s", op_string(*canon, "address"));
		ip[strcspn(ip, "/")] = '\0';
		json_object_set_new(like, "address", json_string(ip));
	}
	rc = like ? op_find(w, NL_ADDR, like, by, found, err) : err_set(err, -ENOMEM, "out of memory");
	json_decref(like);
	if (rc < 0)
		json_decref(*canon);
	return rc;
}

/* The one that is meant, or NULL. */
static const json_t *addr_meant(const json_t *found, const json_t *canon, const json_t *op)
{
	const json_t *one;
	size_t i;

	json_array_foreach (found, i, one) {
		if ((any_length(op) || op_same_member(one, canon, "address")) &&
		    (!json_object_get(op, "peer") || op_same_member(one, canon, "peer")))
			return one;
	}
	return NULL;
}

static bool changes(const json_t *one, const json_t *canon, const json_t *op)
{
	for (const char *const *m = in_place; *m; m++) {
		if (json_object_get(op, *m) && !op_same_member(one, canon, *m))
			return true;
	}
	return false;
}

/* IPv6 has an address but once on an interface, whatever the prefix. */
static int other_length(const json_t *found, const json_t *op, struct err *err)
{
	if (!op_is_v6(op) || json_array_size(found) == 0)
		return 0;
	return err_set(err, -EEXIST, "found %s on %s, which cannot have it with another prefix length too",
		       op_string(json_array_get(found, 0), "address"), op_string(op, "dev"));
}

int op_keep_addr(const json_t *found, json_t *undo, struct err *err)
{
	const char *dad = op_string(found, "dad");
	int rc = op_append(undo, found, "present", NULL, err);

	if (rc < 0)
		return rc;
	json_t *op = json_array_get(undo, json_array_size(undo) - 1);
	json_object_del(op, "dad");
	/* One that another station has would do harm if it came back without being asked about. */
	if (op_is_v6(found) && !json_object_get(found, "nodad") && !(dad && strcmp(dad, "failed") == 0) &&
	    json_object_set_new(op, "dad", json_string("done")) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}

/* What was the default is named too: an op leaves alone what it does not name. */
static int keep_changed(const json_t *one, json_t *undo, struct err *err)
{
	json_t *defaults = json_pack("{s:I,s:I,s:i}", "valid", (json_int_t)UINT32_MAX, "preferred", (json_int_t)UINT32_MAX, "metric", 0);
	int rc = defaults ? op_keep_addr(one, undo, err) : err_set(err, -ENOMEM, "out of memory");

	if (rc == 0 && json_object_update_missing(json_array_get(undo, json_array_size(undo) - 1), defaults) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	json_decref(defaults);
	return rc;
}

static int addr_undo_present(json_t *op, const json_t *one, const json_t *canon, const json_t *found, json_t *undo, struct err *err)
{
	static const char *const name[] = {"op", "address", "dev", "peer", NULL};

	if (one)
		return changes(one, canon, op) ? keep_changed(one, undo, err) : 0;
	int rc = other_length(found, op, err);
	if (rc < 0)
		return rc;
	json_t *gone = op_pick(canon, name);
	rc = gone ? op_append(undo, gone, "absent", NULL, err) : err_set(err, -ENOMEM, "out of memory");
	json_decref(gone);
	return rc;
}

static int addr_undo(struct world *w, json_t *op, json_t *undo, struct err *err)
{
	json_t *canon, *found;
	int rc = addr_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	const json_t *one = addr_meant(found, canon, op);
	if (!op_absent(op))
		rc = addr_undo_present(op, one, canon, found, undo, err);
	else if (one && (rc = op_keep_addr(one, undo, err)) == 0)
		rc = op_keep_routes(w, one, undo, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

/* ---- apply ---- */

static int still_there(struct world *w, const json_t *like, json_t **found, struct err *err)
{
	static const char *const by[] = {"address", "dev", NULL};

	return op_find(w, NL_ADDR, like, by, found, err);
}

static int dad_failed(const json_t *one, struct err *err)
{
	return err_set(err, -EADDRINUSE, "another station has %s: duplicate address detection failed on %s", op_string(one, "address"),
		       op_string(one, "dev"));
}

/* Until the kernel has asked around. It tells only those who listen to everything, so it is asked. */
static int await_dad(struct world *w, const json_t *canon, struct err *err)
{
	const struct timespec nap = {.tv_nsec = POLL_MS * 1000000L};
	int64_t start = mono_ms();
	json_t *found;

	for (;;) {
		int rc = still_there(w, canon, &found, err);
		if (rc < 0)
			return rc;
		const json_t *one = json_array_get(found, 0);
		const char *dad = op_string(one, "dad");
		if (!one)
			rc = err_set(err, -ENOENT, "it went away while duplicate address detection ran");
		else if (dad && strcmp(dad, "failed") == 0)
			rc = dad_failed(one, err);
		json_decref(found);
		if (rc < 0 || !dad)
			return rc;
		if (mono_ms() - start >= DAD_MS)
			return err_set(err, -ETIMEDOUT, "duplicate address detection has not ended in %d s (is %s up, and connected?)",
				       DAD_MS / 1000, op_string(canon, "dev"));
		nanosleep(&nap, NULL);
	}
}

/* Added without detection, and then without the mark of that. */
static int put_back(struct world *w, json_t *canon, struct err *err)
{
	json_t *quick = json_copy(canon);
	int rc = quick && json_object_set_new(quick, "nodad", json_true()) == 0 ? nl_put(w->nl, NL_ADDR, quick, NL_CREATE, err)
										: err_set(err, -ENOMEM, "out of memory");

	json_decref(quick);
	return rc < 0 ? rc : nl_put(w->nl, NL_ADDR, canon, NL_REPLACE, err);
}

static int add(struct world *w, json_t *op, json_t *canon, struct err *err)
{
	bool done = op_string(op, "dad") != NULL;

	if (op_is_v6(op) && done)
		return put_back(w, canon, err);
	int rc = nl_put(w->nl, NL_ADDR, canon, NL_CREATE, err);
	return rc == 0 && op_is_v6(op) && !json_is_true(json_object_get(op, "nodad")) ? await_dad(w, canon, err) : rc;
}

static int change(struct world *w, const json_t *one, const json_t *canon, const json_t *op, struct err *err)
{
	json_t *as_named = json_copy((json_t *)one);
	int rc = as_named ? 0 : err_set(err, -ENOMEM, "out of memory");

	for (const char *const *m = in_place; rc == 0 && *m; m++) {
		if (!json_object_get(op, *m))
			continue;
		json_object_del(as_named, *m);
		if (json_object_get(canon, *m))
			json_object_set(as_named, *m, json_object_get(canon, *m));
	}
	if (rc == 0)
		rc = nl_put(w->nl, NL_ADDR, as_named, NL_REPLACE, err);
	json_decref(as_named);
	return rc;
}

static bool promotes(const char *dev)
{
	const char *where[] = {"all", dev};
	bool on = false;

	for (int i = 0; i < 2; i++) {
		char path[100];
		snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/promote_secondaries", where[i]);
		FILE *f = fopen(path, "re");
		on |= f && fgetc(f) == '1';
		if (f)
			fclose(f);
	}
	return on;
}

static bool same_net(const char *a, const char *b)
{
	struct in_addr x, y;
	char ip[64];
	int bits = atoi(strchr(a, '/') + 1);

	if (strcmp(strchr(a, '/'), strchr(b, '/')) != 0)
		return false;
	snprintf(ip, sizeof(ip), "%.*s", (int)strcspn(a, "/"), a);
	inet_pton(AF_INET, ip, &x);
	snprintf(ip, sizeof(ip), "%.*s", (int)strcspn(b, "/"), b);
	inet_pton(AF_INET, ip, &y);
	return bits == 0 || ((ntohl(x.s_addr) ^ ntohl(y.s_addr)) >> (32 - bits)) == 0;
}

/* The first of a prefix is its primary. */
static int takes_others_along(struct world *w, const json_t *one, struct err *err)
{
	const char *address = op_string(one, "address"), *dev = op_string(one, "dev");
	json_t *like = json_pack("{s:s,s:s}", "family", "inet", "dev", dev), *all, *other;
	int others = 0;
	bool before = false;
	size_t i;

	if (op_is_v6(one) || strcmp(strchr(address, '/'), "/32") == 0) {
		json_decref(like);
		return 0;
	}
	int rc = like ? op_find(w, NL_ADDR, like, (const char *const[]){"family", "dev", NULL}, &all, err)
		      : err_set(err, -ENOMEM, "out of memory");
	json_decref(like);
	if (rc < 0)
		return rc;
	json_array_foreach (all, i, other) {
		if (json_equal(other, one))
			before |= others > 0;
		else
			others += same_net(address, op_string(other, "address"));
	}
	json_decref(all);
	if (before || others == 0 || promotes(dev))
		return 0;
	return err_set(
		err, -EBUSY,
		"%s is the primary address of its prefix: %d others would go with it (set net.ipv4.conf.%s.promote_secondaries to 1)",
		address, others, dev);
}

static int take(struct world *w, const json_t *one, struct err *err)
{
	int rc = takes_others_along(w, one, err);

	if (rc == 0)
		rc = nl_delete(w->nl, NL_ADDR, one, err);
	return rc == -EADDRNOTAVAIL || rc == -ENODEV ? 0 : rc;
}

/* The interface has another name now, and the address, if it is ours, is still on it. */
static int take_from_renamed(struct world *w, const json_t *canon, const json_t *op, struct err *err)
{
	json_t *like, *all, *other;
	size_t i;
	int rc;

	if (if_nametoindex(op_string(op, "dev")))
		return 0;
	like = json_pack("{s:i}", "protocol", OP_TAG);
	all = json_array();
	rc = nl_find(w->nl, NL_ADDR, like, all, err);
	json_array_foreach (all, i, other)
		if (rc == 0 && op_same_member(other, canon, "address"))
			rc = take(w, other, err);
	json_decref(like);
	json_decref(all);
	return rc;
}

static int addr_apply(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	int rc = addr_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	const json_t *one = addr_meant(found, canon, op);
	if (op_absent(op))
		rc = one ? take(w, one, err) : take_from_renamed(w, canon, op, err);
	else if (!one && (rc = other_length(found, op, err)) == 0)
		rc = add(w, op, canon, err);
	else if (one && changes(one, canon, op))
		rc = change(w, one, canon, op, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static int verify_present(const json_t *one, const json_t *canon, json_t *op, const json_t *found, struct err *err)
{
	const char *dad = op_string(one, "dad");

	if (!one)
		return op_differs(json_array_get(found, 0), err);
	if (dad && strcmp(dad, "failed") == 0)
		return err_set(err, -ENOENT, "it is there, but another station has it too (duplicate address detection failed)");
	if (dad)
		return err_set(err, -ENOENT, "it is there, but duplicate address detection has not ended");
	/* Lifetimes tick, but one that is over, or is not, stays so. */
	if (json_object_get(op, "preferred") && (member_int_or(op, "preferred", 1) == 0) != (member_int_or(one, "preferred", 1) == 0))
		return op_differs(one, err);
	for (const char *const *m = in_place + 2; *m; m++) {
		if (json_object_get(op, *m) && !op_same_member(one, canon, *m))
			return op_differs(one, err);
	}
	return 0;
}

static int addr_verify(struct world *w, json_t *op, struct err *err)
{
	json_t *canon, *found;
	int rc = addr_find(w, op, &canon, &found, err);

	if (rc < 0)
		return rc;
	const json_t *one = addr_meant(found, canon, op);
	if (!op_absent(op))
		rc = verify_present(one, canon, op, found, err);
	else if (one)
		rc = op_differs(one, err);
	json_decref(canon);
	json_decref(found);
	return rc;
}

static void addr_text(json_t *op, char *out, size_t cap)
{
	static const char *const words[][2] = {{"broadcast", "brd"},
					       {"dev", "dev"},
					       {"scope", "scope"},
					       {"label", "label"},
					       {"metric", "metric"},
					       {"nodad", "nodad"},
					       {"optimistic", "optimistic"},
					       {"home", "home"},
					       {"mngtmpaddr", "mngtmpaddr"},
					       {"noprefixroute", "noprefixroute"},
					       {"autojoin", "autojoin"},
					       {"valid", "valid_lft"},
					       {"preferred", "preferred_lft"}};
	op_say(out, cap, "ip addr %s %s", op_absent(op) ? "del" : "add", member_text_or(op, "address", "?"));
	op_say_member(out, cap, op, "peer", "peer");
	if (op_absent(op)) {
		op_say_member(out, cap, op, "dev", "dev");
		return;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		op_say_member(out, cap, op, words[i][0], words[i][1]);
	op_say(out, cap, " proto %d", (int)member_int_or(op, "protocol", OP_TAG));
}

const struct op_kind op_addr = {"addr", addr_check, addr_undo, addr_apply, addr_verify, addr_text};
