/* After the change: who answers for the zone is gathered, asked until all show it, and what was seen is written down. */
#include "dnsupdate/task_parts.h"

#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_lock_to_note(struct deadline *d);

/* The longest that anybody may remember anything of before our first change, without knowing which of it still was about: aliases that lead
 * nowhere near count as well. */
static uint32_t longest_ttl(const struct task *t)
{
	uint32_t ttl = t->old_ttl_s;

	for (size_t i = 0; i < t->entry.n; i++) {
		const struct rrset *before = &t->entry.marks[i].before;
		uint32_t its = before->n ? before->ttl : t->content.negative_ttl;

		ttl = its > ttl ? its : ttl;
	}
	for (size_t i = 0; i < t->content.n; i++)
		if (t->content.sets[i].type == RR_CNAME && t->content.sets[i].ttl > ttl)
			ttl = t->content.sets[i].ttl;
	return ttl;
}

/* All servers show it: the clock of resolvers runs from now on. What an earlier change left in them is still there, however short the TTL
 * of this one; and where that was never seen on all servers, its clock has not begun before now. */
static void set_clean(struct task *t, int64_t verified_ms)
{
	struct entry *e = &t->entry;
	bool is_known = t->changed && (t->is_first || e->clean_ms);
	int64_t clean_ms = verified_ms + ((int64_t)(is_known ? t->old_ttl_s : longest_ttl(t)) + 10) * 1000;

	if (!t->changed && e->clean_ms)
		return;
	if (clean_ms > e->clean_ms || e->state == ENTRY_UNDONE)
		e->clean_ms = clean_ms;
}

/* What was seen belongs to the entry as it was then: if somebody has changed it since, it says nothing. */
static int note(struct task *t, struct err *err)
{
	int64_t changed_ms = t->entry.changed_ms, verified = t->published ? now_ms() : 0;
	struct entry now;
	int rc = journal_read(t->dns->journal, t->wish->scope.account, t->zone, &now, err);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (now.changed_ms != changed_ms) {
		entry_done(&now);
		return 0;
	}
	entry_done(&t->entry);
	t->entry = now;
	if (verified)
		set_clean(t, verified);
	if (verified && !t->entry.verified_ms)
		t->entry.verified_ms = verified;
	t->clean_ms = t->entry.clean_ms;
	free(t->entry.lagging);
	t->entry.lagging = t->lagging ? strdup(t->lagging) : NULL;
	if (t->published && t->entry.state == ENTRY_UNDONE)
		entry_compact(&t->entry);
	return task_save(t, err);
}

static void try_to_note(struct task *t)
{
	struct err err = {0};
	int rc = journal_lock(t->dns->journal, t->zone, &t->lock, &err);

	if (rc == -EWOULDBLOCK && loop_now(t->dns->loop) < t->lock_until) {
		deadline_arm(t->dns->loop, &t->timer, on_lock_to_note, TASK_LOCK_LOOK_MS);
		return;
	}
	if (rc == 0)
		rc = note(t, &err);
	if (rc < 0)
		log_warn("account=%s zone=%s reason=\"what was seen could not be written down: %s\"", t->wish->scope.account, t->zone,
			 err.text);
	task_over(t);
}

static void on_lock_to_note(struct deadline *d)
{
	try_to_note(task_of_timer(d));
}

/* "ns1.provider.example. (192.0.2.53)"; of the primary, which has no other name, "192.0.2.53". */
static const char *server_text(const struct server *s, char out[RR_NAME_MAX + ADDR_TEXT_MAX])
{
	char addr[ADDR_TEXT_MAX];

	addr_text(&s->addr, addr);
	if (strcmp(s->name, addr) == 0)
		snprintf(out, RR_NAME_MAX + ADDR_TEXT_MAX, "%s", addr);
	else
		snprintf(out, RR_NAME_MAX + ADDR_TEXT_MAX, "%.*s (%s)", RR_NAME_MAX - 4, s->name, addr);
	return out;
}

static void add_lagging(char **text, const struct sighting *s)
{
	char server[RR_NAME_MAX + ADDR_TEXT_MAX], *more = NULL;

	if (asprintf(&more, "%s%s%s %s", *text ? *text : "", *text ? "; " : "", server_text(s->server, server), s->trouble) < 0)
		return;
	free(*text);
	*text = more;
}

static void note_lost(struct task *t)
{
	for (size_t i = 0; i < t->servers.n_lost; i++) {
		char *more = NULL;

		if (asprintf(&more, "%s%s%s has no address that could be found", t->lagging ? t->lagging : "", t->lagging ? "; " : "",
			     t->servers.lost[i]) < 0)
			continue;
		free(t->lagging);
		t->lagging = more;
	}
}

static void on_seen(void *arg, const struct sighting *all, size_t n, const struct sighting *at)
{
	struct task *t = arg;
	char server[RR_NAME_MAX + ADDR_TEXT_MAX], text[RR_NAME_MAX + 200];

	if (at) {
		snprintf(text, sizeof(text), "%s shows it after %lld ms", server_text(at->server, server), (long long)at->after_ms);
		task_say(t, text);
		return;
	}
	t->verify = NULL;
	deadline_cancel(t->dns->loop, &t->timer);
	t->sightings = calloc(n ? n : 1, sizeof(*t->sightings));
	if (t->sightings) {
		memcpy(t->sightings, all, n * sizeof(*all));
		t->n_sightings = n;
		for (size_t i = 0; i < n; i++)
			t->sightings[i].server = &t->servers.servers[i]; /* verify's own copy goes with it */
	}
	t->published = t->servers.n_lost == 0;
	note_lost(t);
	for (size_t i = 0; i < n; i++) {
		if (all[i].after_ms >= 0)
			continue;
		if (!all[i].server->resolver) {
			t->published = false;
			add_lagging(&t->lagging, &all[i]);
		}
	}
	task_enter(t, TASK_NOTING);
	t->lock_until = loop_now(t->dns->loop) + TASK_LOCK_WAIT_MS;
	try_to_note(t);
}

static int add_resolvers(struct task *t)
{
	const struct addr *addrs;
	size_t n = look_resolvers(t->dns->looker, &addrs);
	struct server *grown = reallocarray(t->servers.servers, t->servers.n + n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	t->servers.servers = grown;
	for (size_t i = 0; i < n; i++) {
		char text[ADDR_TEXT_MAX];
		struct server s = {.name = strdup(addr_text(&addrs[i], text)), .addr = addrs[i], .resolver = true};

		if (!s.name)
			return -ENOMEM;
		grown[t->servers.n++] = s;
	}
	return 0;
}

static bool has_name(const struct zone *z, const char *owner)
{
	bool has = false;

	for (size_t i = 0; !has && i < z->n; i++)
		has = name_within(z->sets[i].owner, owner);
	return has;
}

/* A name that is gone altogether was taken away by somebody else, for a change leaves at least one address of each name. There, a wildcard
 * may answer for it: no server would ever show that nothing is there. */
static size_t collect_expected(struct task *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->entry.n; i++) {
		const struct rrset *after = &t->entry.marks[i].after;

		if (after->n || has_name(&t->content, after->owner))
			t->expected[n++] = *after; /* borrowed: verify copies */
	}
	return n;
}

/* A zone whose secondary follows after a second or a minute must not keep others from being changed meanwhile. */
static void on_still_looking(struct deadline *d)
{
	struct task *t = task_of_timer(d);

	if (verify_waits(t->verify))
		dns_idles(t->dns, &t->work);
	else
		deadline_arm(t->dns->loop, &t->timer, on_still_looking, TASK_IDLE_LOOK_MS);
}

static void on_mustered(void *arg, struct server_list *servers)
{
	struct task *t = arg;

	t->muster = NULL;
	t->servers = *servers;
	*servers = (struct server_list){0};
	task_enter(t, TASK_LOOKING);
	t->expected = calloc(t->entry.n ? t->entry.n : 1, sizeof(*t->expected));
	if (!t->expected || (t->wish->resolvers && add_resolvers(t) < 0)) {
		task_enter(t, TASK_NOTING);
		task_out_of_memory(t);
		return;
	}
	t->n_expected = collect_expected(t);
	t->verify = verify_start(t->dns->looker, t->expected, t->n_expected, &t->servers, t->wish->wait_ms, on_seen, t);
	if (!t->verify) {
		task_enter(t, TASK_NOTING);
		task_out_of_memory(t);
		return;
	}
	deadline_arm(t->dns->loop, &t->timer, on_still_looking, TASK_IDLE_LOOK_MS);
}

static void no_muster(struct task *t)
{
	task_enter(t, TASK_LOOKING);
	task_enter(t, TASK_NOTING);
	task_out_of_memory(t);
}

/* Visitors ask those whom the parent names. Where it names others by now, nobody sees the zone, and those others never show what is in it.
 */
static void muster(struct task *t)
{
	const struct delegation *d = verdict_is_ours(t->delegation.verdict) ? &t->delegation : NULL;

	t->muster = muster_start(t->dns->looker, &t->content, d, backend_address(t->backend), on_mustered, t);
	if (!t->muster)
		no_muster(t);
}

static void on_parent_asked(void *arg, const struct delegation *d)
{
	struct task *t = arg;

	task_judged(t, d);
	muster(t);
}

/* Nothing is ours in this zone: nothing to be seen. */
void task_see(struct task *t)
{
	task_unlock(t);
	task_through(t);
	if (t->entry.n == 0) {
		t->published = true;
		task_over(t);
		return;
	}
	task_enter(t, TASK_MUSTERING);
	if (t->judged) {
		muster(t);
		return;
	}
	t->inquiry = task_inquire(t, on_parent_asked); /* going back did not wait for it */
	if (!t->inquiry)
		no_muster(t);
}
