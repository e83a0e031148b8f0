/* The way of a change: read, plan, write down, send - and read again, until a plan finds nothing to do. An answer that was lost, a server
 * that says yes and does nothing, and a crash before the answer are then one and the same case. */
#include "dnsupdate/task_parts.h"

#include "lib/kill.h"
#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENDS_MOST 4 /* of one change, each after a look at what the last one did */
#define READS_MOST 5 /* in a row that failed, after something was sent */
#define PAUSE_MS   200

#define TO(s) (1u << TASK_##s)
static const struct {
	const char *name;
	unsigned next;
} states[] = {
	[TASK_WAITING] = {"waiting", TO(JUDGING) | TO(LOCKING) | TO(OVER)},
	[TASK_JUDGING] = {"judging", TO(LOCKING) | TO(OVER)},
	[TASK_LOCKING] = {"locking", TO(READING) | TO(OVER)},
	[TASK_READING] = {"reading", TO(CHANGING) | TO(PAUSING) | TO(MUSTERING) | TO(OVER)},
	[TASK_CHANGING] = {"changing", TO(PAUSING)},
	[TASK_PAUSING] = {"pausing", TO(READING)},
	[TASK_MUSTERING] = {"mustering", TO(LOOKING)},
	[TASK_LOOKING] = {"looking", TO(NOTING)},
	[TASK_NOTING] = {"noting", TO(OVER)},
	[TASK_OVER] = {"over", 0},
};

void task_enter(struct task *t, enum task_state to)
{
	assert(states[t->state].next & (1u << to));
	log_debug("account=%s zone=%s %s -> %s", t->wish->scope.account, t->zone, states[t->state].name, states[to].name);
	t->state = to;
}

const char *task_outcome_text(enum task_outcome o)
{
	switch (o) {
	case TASK_NOTHING:
		return "nothing";
	case TASK_WOULD_CHANGE:
		return "would-change";
	case TASK_DONE:
		return "done";
	case TASK_SKIPPED:
		return "skipped";
	case TASK_REFUSED:
		return "refused";
	case TASK_DRIFT:
		return "drift";
	case TASK_FAILED:
		return "failed";
	case TASK_PARTLY:
		return "partly";
	case TASK_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

void task_say(struct task *t, const char *text)
{
	if (t->wish->progress)
		t->wish->progress(t->wish->arg, t->zone, text);
}

void task_unlock(struct task *t)
{
	journal_unlock(t->lock);
	t->lock = -1;
}

void task_through(struct task *t)
{
	if (!t->is_through && t->through)
		t->through(t);
	t->is_through = true;
}

void task_over(struct task *t)
{
	task_unlock(t);
	task_through(t);
	task_enter(t, TASK_OVER);
	dns_finished(t->dns, &t->work);
	t->done(t);
}

static void end(struct task *t, enum task_outcome outcome, const char *why)
{
	t->outcome = outcome;
	if (why)
		snprintf(t->error, sizeof(t->error), "%.*s", (int)sizeof(t->error) - 1, why);
	task_over(t);
}

void task_out_of_memory(struct task *t)
{
	end(t, t->sends ? TASK_UNKNOWN : TASK_FAILED, "out of memory");
}

static bool only_looks(const struct task *t)
{
	return t->wish->deed == DEED_CLASSIFY || t->wish->deed == DEED_PLAN;
}

/* ---- reading ---- */

static void on_read(void *arg, struct zone *zone, const struct err *err);

static void read_zone(struct task *t)
{
	task_enter(t, TASK_READING);
	t->call = backend_read(t->backend, t->zone, on_read, t);
	if (!t->call)
		task_out_of_memory(t);
}

static void on_pause_over(struct deadline *d)
{
	struct task *t = task_of_timer(d);

	read_zone(t);
}

static void pause_and_read(struct task *t, uint64_t ms)
{
	task_enter(t, TASK_PAUSING);
	if (ms)
		deadline_arm(t->dns->loop, &t->timer, on_pause_over, ms);
	else
		read_zone(t);
}

/* ---- the journal ---- */

/* What was changed on one server is undone there. An entry of which all is undone binds nobody. */
static int check_backend(struct task *t, struct err *err)
{
	struct entry *e = &t->entry;

	if (!e->backend || strcmp(e->backend, backend_name(t->backend)) == 0 || t->wish->deed == DEED_CLASSIFY)
		return 0;
	if (e->state != ENTRY_UNDONE || e->busy)
		return err_set(err, -EPERM,
			       "%s of account %s was changed through %s, and %s has the zone, too: undo it first, or take the other out of "
			       "the configuration",
			       t->zone, e->account, e->backend, backend_name(t->backend));
	free(e->backend);
	e->backend = NULL; /* task_save() says which it is now */
	return 0;
}

static int load_entry(struct task *t, struct err *err)
{
	int rc;

	entry_done(&t->entry);
	/* domains of nobody in particular have no entry */
	rc = *t->wish->scope.account ? journal_read(t->dns->journal, t->wish->scope.account, t->zone, &t->entry, err) : -ENOENT;
	t->has_entry = rc == 0;
	if (rc == 0)
		return check_backend(t, err);
	if (rc != -ENOENT)
		return rc;
	return entry_init(&t->entry, t->wish->scope.account, t->zone) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* The intent must outlast a power cut. What came of it need not: found again is the intent, and the next command settles it. */
int task_save(struct task *t, struct err *err)
{
	bool keep = t->entry.n > 0;

	if (!t->entry.backend && !(t->entry.backend = strdup(backend_name(t->backend))))
		return err_set(err, -ENOMEM, "out of memory");
	if (!keep && !t->has_entry)
		return 0;
	t->has_entry = keep;
	if (!keep)
		return journal_remove(t->dns->journal, &t->entry, err);
	return (t->entry.busy ? journal_write : journal_note)(t->dns->journal, &t->entry, err);
}

/* ---- changing ---- */

static void on_changed(void *arg, enum outcome outcome, const struct err *err)
{
	struct task *t = arg;

	t->call = NULL;
	kill_point("answered");
	t->answered = outcome;
	t->away += outcome == OUTCOME_AWAY;
	/* where an answer came that is not believed, the server is through with it */
	t->unheard = t->unheard || (outcome == OUTCOME_UNKNOWN && err->code != -EPERM && err->code != -EBADMSG);
	t->why = err && outcome != OUTCOME_DONE ? *err : (struct err){0};
	if (outcome != OUTCOME_DONE)
		log_info("account=%s zone=%s outcome=%s reason=%s", t->wish->scope.account, t->zone, outcome_text(outcome),
			 LOG_QUOTED(t->why.text, strlen(t->why.text)));
	pause_and_read(t, outcome == OUTCOME_BUSY || outcome == OUTCOME_AWAY ? (uint64_t)PAUSE_MS << t->sends : 0);
}

static int collect_changes(struct task *t)
{
	free(t->changes);
	t->n_changes = 0;
	t->changes = calloc(t->plan.n_changes ? t->plan.n_changes : 1, sizeof(*t->changes));
	if (!t->changes)
		return -ENOMEM;
	for (size_t i = 0; i < t->entry.n; i++) {
		const struct mark *m = &t->entry.marks[i];

		if (m->pending && t->n_changes < t->plan.n_changes)
			t->changes[t->n_changes++] = (struct change){m->after, m->next}; /* borrowed: the entry stays as it is meanwhile */
	}
	return 0;
}

static void say_eta(struct task *t)
{
	char text[100];
	int eta_s = backend_eta(t->backend, t->n_changes);

	if (eta_s == 0)
		return;
	snprintf(text, sizeof(text), "%zu changes will take about %d s, by the provider's own limit", t->n_changes, eta_s);
	task_say(t, text);
}

/* An intent that could not be put on disk may be there all the same, where only the directory could not be synced. Nothing was sent, so it
 * must not stay. */
static bool intent_is_there(struct task *t)
{
	struct entry found;

	if (journal_read(t->dns->journal, t->wish->scope.account, t->zone, &found, NULL) < 0)
		return false;
	t->to_take_back = found.busy;
	entry_done(&found);
	return t->to_take_back;
}

static void give_up(struct task *t, enum task_outcome outcome, const char *why);

static void send_changes(struct task *t)
{
	struct err err = {0};
	bool was_busy = t->entry.busy;

	t->entry.busy = true;
	t->entry.doing = t->wish->plan.verb;
	t->entry.verified_ms = 0;
	t->entry.changed_ms = 0;
	kill_point("nothing written");
	if (collect_changes(t) < 0 || task_save(t, &err) < 0) {
		const char *why = *err.text ? err.text : "out of memory";

		if (!t->sends && !was_busy && intent_is_there(t))
			give_up(t, TASK_REFUSED, why);
		else
			end(t, t->sends ? TASK_UNKNOWN : TASK_REFUSED, why);
		return;
	}
	kill_point("the intent is written");
	say_eta(t);
	t->sends++;
	task_enter(t, TASK_CHANGING);
	t->call = backend_change(t->backend, t->zone, t->changes, t->n_changes, on_changed, t);
	if (!t->call) {
		task_enter(t, TASK_PAUSING);
		task_enter(t, TASK_READING);
		task_out_of_memory(t);
	}
}

static void set_state(struct task *t)
{
	struct entry *e = &t->entry;

	e->busy = false;
	switch (t->wish->plan.verb) {
	case VERB_PREPARE:
		e->state = ENTRY_PREPARED;
		return;
	case VERB_PUSH:
		e->state = t->wish->plan.to == SIDE_TRANSIT ? ENTRY_PUSHED : ENTRY_UNDONE; /* a relocation leaves nothing to go back to */
		e->side = t->wish->plan.to;
		return;
	case VERB_UNDO:
		e->state = ENTRY_UNDONE;
		e->side = SIDE_CLIENT;
		return;
	case VERB_FINALISE:
		e->state = ENTRY_FINALISED;
		return;
	}
}

/* Home again, by relocation: what is there now is what shall be. */
static int forget_before(struct entry *e)
{
	for (size_t i = 0; i < e->n; i++) {
		struct rrset fresh;

		if (rrset_copy(&fresh, &e->marks[i].after) < 0)
			return -ENOMEM;
		rrset_done(&e->marks[i].before);
		e->marks[i].before = fresh;
	}
	return 0;
}

/* The plan finds nothing (left) to do. */
static void settled(struct task *t)
{
	struct err err = {0};
	int rc = 0;

	kill_point("settled, not written");
	if (t->wish->deed == DEED_CHANGE) {
		set_state(t);
		if (t->entry.state == ENTRY_UNDONE && t->wish->plan.verb == VERB_PUSH)
			rc = forget_before(&t->entry);
	}
	if (t->sends)
		t->entry.changed_ms = 0;
	if (rc == 0 && (t->sends || t->has_entry))
		rc = task_save(t, &err);
	if (rc < 0) {
		end(t, TASK_UNKNOWN, *err.text ? err.text : "out of memory");
		return;
	}
	kill_point("settled");
	t->outcome = t->sends ? TASK_DONE : TASK_NOTHING;
	if (t->sends)
		task_say(t, "the primary has it");
	task_see(t);
}

/* A server that stands still (its disk, its database) may carry out what it said nothing of when nobody looks any more. The entry stays as
 * it was sent: what comes of it is settled by the next command, and undo restores it. */
static void leave_pending(struct task *t, const char *why)
{
	char text[700];

	snprintf(text, sizeof(text),
		 "%.400s; sent %u times, and %s of it is in the zone yet: the server may still do it; push again, or undo, once it answers",
		 why, t->sends - t->away, t->applied ? "only a part" : "nothing");
	end(t, TASK_UNKNOWN, text);
}

/* Nothing more is sent. The entry is left as what is true now; of a fresh one nothing stays. */
static void give_up(struct task *t, enum task_outcome outcome, const char *why)
{
	struct err err = {0};
	char text[700];
	bool changed = false;

	if (t->unheard) {
		leave_pending(t, why);
		return;
	}
	snprintf(text, sizeof(text), "%.*s", (int)sizeof(text) - 1, why); /* may be of what is about to be cleared */
	for (size_t i = 0; i < t->entry.n; i++) {
		struct mark *m = &t->entry.marks[i];

		if (m->pending) {
			rrset_done(&m->next);
			m->pending = false;
		}
		changed = changed || !rrset_equal(&m->before, &m->after);
	}
	t->entry.busy = false;
	if (!changed)
		entry_compact(&t->entry);
	if ((t->sends || t->to_take_back) && task_save(t, &err) < 0)
		end(t, TASK_UNKNOWN, err.text);
	else
		end(t, t->applied ? TASK_PARTLY : outcome, text);
}

/* A change was sent, and the plan still finds something to do. */
static void not_applied(struct task *t)
{
	char text[700];

	switch (t->answered) {
	case OUTCOME_REFUSED:
		give_up(t, TASK_REFUSED, t->why.text);
		return;
	case OUTCOME_AWAY:
	case OUTCOME_BUSY:
	case OUTCOME_UNKNOWN:
		if (t->sends < SENDS_MOST)
			send_changes(t);
		else
			give_up(t, TASK_FAILED, t->why.text);
		return;
	case OUTCOME_DRIFT: /* changed back between two looks; a fresh plan is as good as the first */
	case OUTCOME_DONE:
		if (t->sends < SENDS_MOST) {
			send_changes(t);
			return;
		}
		snprintf(text, sizeof(text), "%s says that it is done, and the zone is as before", backend_name(t->backend));
		give_up(t, TASK_FAILED, text);
		return;
	}
}

static void refuse_drift(struct task *t)
{
	const struct drift *d = &t->plan.drifts[0];
	char expected[200], found[200], type[16], text[700];

	snprintf(text, sizeof(text),
		 "%zu record set%s of %s changed by somebody else since, the first %.100s %s: expected %s, found %s; nothing is "
		 "overwritten: put "
		 "it right in the zone, or give --leave-drift to leave it as it is",
		 t->plan.n_drifts, t->plan.n_drifts == 1 ? "" : "s", t->zone, d->mark->after.owner, rr_type_text(d->mark->after.type, type),
		 rrset_text(&d->mark->after, expected, sizeof(expected)), rrset_text(&d->found, found, sizeof(found)));
	if (t->sends)
		give_up(t, TASK_DRIFT, text);
	else
		end(t, TASK_DRIFT, text);
}

/* ---- planning ---- */

static bool make_plan(struct task *t)
{
	struct err err = {0};
	int rc;

	plan_done(&t->plan);
	rc = plan_make(&t->plan, &t->entry, &t->content, &t->wish->scope, t->dns->conf, &t->wish->plan, &err);
	if (!t->report)
		t->report = plan_to_json(&t->plan, &t->entry);
	if (rc == 0)
		return true;
	if (t->wish->deed == DEED_CLASSIFY && rc == -EPERM) /* a guard of pushing says nothing about names */
		return true;
	if (t->sends)
		give_up(t, rc == -EPERM ? TASK_REFUSED : TASK_FAILED, err.text);
	else
		end(t, rc == -EPERM ? TASK_REFUSED : TASK_FAILED, err.text);
	return false;
}

static void decide(struct task *t)
{
	bool fresh = t->sends == 0;

	if (!make_plan(t))
		return;
	if (fresh) {
		t->changed = t->plan.n_changes;
		t->old_ttl_s = t->plan.old_ttl_s;
		t->is_first = t->entry.state == ENTRY_NEW;
	}
	if (t->wish->deed == DEED_CLASSIFY) {
		end(t, TASK_NOTHING, NULL);
	} else if (t->plan.n_drifts) {
		refuse_drift(t);
	} else if (t->wish->deed == DEED_PLAN) {
		end(t, t->plan.n_changes ? TASK_WOULD_CHANGE : TASK_NOTHING, NULL);
	} else if (t->plan.n_changes == 0) {
		settled(t);
	} else if (fresh) {
		send_changes(t);
	} else {
		not_applied(t);
	}
}

static void count_applied(struct task *t, const struct zone *zone)
{
	for (size_t i = 0; t->sends && i < t->entry.n; i++) {
		const struct mark *m = &t->entry.marks[i];
		const struct rrset *found = zone_find(zone, m->after.owner, m->after.type);

		if (m->pending && (found ? rrset_equal(found, &m->next) : m->next.n == 0))
			t->applied++;
	}
}

/* ---- a zone that is gone ---- */

static void forget_all(struct task *t)
{
	struct err err = {0};

	if (journal_remove(t->dns->journal, &t->entry, &err) < 0) {
		end(t, TASK_FAILED, err.text);
		return;
	}
	t->has_entry = false;
	set_state(t);
	t->published = true; /* there is nothing to be seen */
	task_say(t, "its server does not have the zone any more: what was changed there is forgotten");
	end(t, TASK_NOTHING, NULL);
}

static void on_looked_for(void *arg, const char *zone, const struct err *err)
{
	struct task *t = arg;
	char text[sizeof(t->why.text) + 200];
	bool gone = !(err && err->code) && !(zone && name_same(zone, t->zone));

	t->call = NULL;
	if (gone && t->wish->plan.leave_drift && t->wish->deed == DEED_CHANGE) {
		forget_all(t);
		return;
	}
	snprintf(text, sizeof(text), "%s%s", t->why.text,
		 gone ? "; its server says that it does not have the zone. Where it is gone for good, undo --leave-drift forgets what was "
			"changed there"
		      : "");
	end(t, TASK_FAILED, text);
}

/* Nothing can be put back into a zone that is not there. Only its server's own word for that counts. */
static bool looks_for_it(struct task *t, const struct err *err)
{
	if (t->sends || !t->has_entry || t->wish->plan.verb != VERB_UNDO || t->wish->deed == DEED_VERIFY)
		return false;
	t->why = *err;
	t->call = backend_find(t->backend, t->zone, on_looked_for, t);
	return t->call != NULL;
}

static void on_read(void *arg, struct zone *zone, const struct err *err)
{
	struct task *t = arg;

	t->call = NULL;
	if (!zone && looks_for_it(t, err))
		return;
	if (!zone) {
		t->failures++;
		if (t->sends && t->failures < READS_MOST)
			pause_and_read(t, (uint64_t)PAUSE_MS << t->failures);
		else
			end(t, t->sends ? TASK_UNKNOWN : TASK_FAILED, err->text);
		return;
	}
	t->failures = 0;
	count_applied(t, zone);
	zone_done(&t->content);
	t->content = *zone;
	*zone = (struct zone){0};
	if (backend_is_piecewise(t->backend) && entry_settle_halves(&t->entry, &t->content) < 0)
		task_out_of_memory(t);
	else if (entry_settle(&t->entry, &t->content) == 0 && t->wish->deed == DEED_VERIFY)
		settled(t);
	else if (t->wish->deed == DEED_VERIFY)
		end(t, TASK_UNKNOWN,
		    "an interrupted change is not settled, and somebody else has changed the records since: push or undo says what");
	else
		decide(t);
}

/* ---- the way there ---- */

static void try_lock(struct task *t);

static void on_lock_again(struct deadline *d)
{
	try_lock(task_of_timer(d));
}

static void try_lock(struct task *t)
{
	struct err err = {0};
	int rc = only_looks(t) ? 0 : journal_lock(t->dns->journal, t->zone, &t->lock, &err);

	if (rc == -EWOULDBLOCK && loop_now(t->dns->loop) < t->lock_until) {
		deadline_arm(t->dns->loop, &t->timer, on_lock_again, TASK_LOCK_LOOK_MS);
		return;
	}
	if (rc == 0)
		rc = load_entry(t, &err);
	if (rc < 0)
		end(t, TASK_REFUSED, err.text);
	else
		read_zone(t);
}

static void lock_zone(struct task *t)
{
	task_enter(t, TASK_LOCKING);
	t->lock_until = loop_now(t->dns->loop) + TASK_LOCK_WAIT_MS;
	try_lock(t);
}

void task_judged(struct task *t, const struct delegation *d)
{
	t->inquiry = NULL;
	t->judged = true;
	t->delegation = (struct delegation){.verdict = d->verdict};
	snprintf(t->delegation.why, sizeof(t->delegation.why), "%s", d->why);
	t->delegation.cut = d->cut ? strdup(d->cut) : NULL;
	t->delegation.ns = calloc(d->n_ns ? d->n_ns : 1, sizeof(char *));
	for (size_t i = 0; t->delegation.ns && i < d->n_ns; i++)
		if ((t->delegation.ns[t->delegation.n_ns] = strdup(d->ns[i])))
			t->delegation.n_ns++;
}

static void on_judged(void *arg, const struct delegation *d)
{
	struct task *t = arg;

	task_judged(t, d);
	if (t->wish->deed != DEED_CLASSIFY && !verdict_is_ours(d->verdict))
		end(t, TASK_SKIPPED, d->why);
	else
		lock_zone(t);
}

struct inquiry *task_inquire(struct task *t, inquiry_fn *fn)
{
	const struct conf_dns *c = &t->dns->conf->dns;

	return inquiry_start(t->dns->looker, t->zone, t->zone, c->nameservers, c->n_nameservers, fn, t);
}

/* Going back needs no judgement: what was changed is restored wherever the domain is delegated by now. */
static bool needs_judgement(const struct task *t)
{
	const struct plan_wish *p = &t->wish->plan;

	if (t->wish->deed == DEED_CLASSIFY)
		return true;
	return t->wish->deed != DEED_VERIFY && (p->verb == VERB_PREPARE || (p->verb == VERB_PUSH && p->to == SIDE_TRANSIT));
}

static void start(struct work *w)
{
	struct task *t = (struct task *)((char *)w - offsetof(struct task, work));

	if (!needs_judgement(t)) {
		lock_zone(t);
		return;
	}
	task_enter(t, TASK_JUDGING);
	t->inquiry = task_inquire(t, on_judged);
	if (!t->inquiry)
		task_out_of_memory(t);
}

int task_start(struct task *t, const char *zone)
{
	t->zone = strdup(zone);
	t->lock = -1;
	t->work.start = start;
	if (!t->zone)
		return -ENOMEM;
	dns_enqueue(t->dns, &t->work, t->wish->urgent);
	return 0;
}

void task_done(struct task *t)
{
	inquiry_cancel(t->inquiry);
	backend_cancel(t->call);
	muster_cancel(t->muster);
	verify_cancel(t->verify);
	deadline_cancel(t->dns->loop, &t->timer);
	dns_finished(t->dns, &t->work);
	journal_unlock(t->lock);
	delegation_done(&t->delegation);
	plan_done(&t->plan);
	entry_done(&t->entry);
	zone_done(&t->content);
	server_list_done(&t->servers);
	json_decref(t->report);
	free(t->changes);
	free(t->expected);
	free(t->sightings);
	free(t->lagging);
	free(t->zone);
}
