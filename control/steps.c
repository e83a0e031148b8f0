#include "control/steps.h"

#include "control/homeward.h"
#include "control/hook.h"
#include "control/price.h"
#include "control/probe.h"
#include "control/publish.h"
#include "lib/member.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int nothing(struct move *m, struct err *err)
{
	(void)err;
	m->evidence = json_pack("{s:s}", "nothing", "nothing to do");
	return 0;
}

/* ---- hooks ---- */

static void on_progress(void *arg, double percent)
{
	move_progress(arg, percent);
}

/* Takes e. A second hook of the same step (verify after seal) goes below its name. */
static void say(struct move *m, const char *name, json_t *e)
{
	if (m->evidence)
		json_object_set_new(m->evidence, name, e);
	else
		m->evidence = e;
}

static void say_below(struct move *m, const char *name, json_t *e)
{
	if (!m->evidence)
		m->evidence = json_object();
	json_object_set_new(m->evidence, name, e);
}

static void on_tick(void *arg)
{
	move_tick(arg);
}

static int hook(struct move *m, const char *name, const char *path, struct err *err)
{
	char account[100], from[40], to[40], hook_name[40], phase[30], id[40];
	const struct move_row *r = &m->row;
	struct hook_output out;

	if (!path) {
		say(m, name, json_pack("{s:o}", "nothing", json_sprintf("no hook-%s is configured", name)));
		return 0;
	}
	snprintf(account, sizeof(account), "SHUNT_ACCOUNT=%s", r->account);
	snprintf(from, sizeof(from), "SHUNT_FROM=%s", side_name(r->from));
	snprintf(to, sizeof(to), "SHUNT_TO=%s", side_name(r->to));
	snprintf(hook_name, sizeof(hook_name), "SHUNT_HOOK=%s", name);
	snprintf(phase, sizeof(phase), "SHUNT_PHASE=%s", m->undoing ? "undo" : "apply");
	snprintf(id, sizeof(id), "SHUNT_MOVE=%lld", (long long)r->id);
	struct hook h = {
		.name = name,
		.path = path,
		.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", account, from, to, hook_name, phase, id, NULL},
		.timeout_s = m->with->conf->hook_timeout,
		.cancel_fd = m->undoing ? -1 : m->with->cancel_fd,
		.on_progress = m->undoing ? NULL : on_progress,
		.on_tick = m->undoing ? NULL : on_tick,
		.arg = m,
	};
	int rc = hook_run(&h, &out, err);
	json_t *e = json_pack("{s:s, s:I}", "hook", path, "ms", (json_int_t)out.ms);
	if (out.text)
		json_object_set_new(e, "output", json_string(out.text));
	if (out.dropped)
		json_object_set_new(e, "output-dropped", json_integer((json_int_t)out.dropped));
	hook_output_done(&out);
	say(m, name, e);
	return rc;
}

static void plan_hook(const char *name, const char *path, const char *what, char *out, size_t cap)
{
	if (path)
		snprintf(out, cap, "run hook %s (%s)%s", name, path, what);
	else
		snprintf(out, cap, "nothing: no hook-%s is configured", name);
}

/* ---- probes ---- */

/* What does not answer before the move need not answer after it; that it cannot be told keeps nobody from moving. */
static void probe_old(struct move *m)
{
	if (m->with->conf->probe)
		probe_ask(m->with->proxy, m->row.account, m->row.from, &m->probe_before, NULL);
	if (m->probe_before) /* for who goes on when we are gone */
		json_object_set(m->row.evidence, "probe-before", m->probe_before);
}

static int probe_new(struct move *m, struct err *err)
{
	char why[700];
	size_t excused;
	json_t *answer = NULL;
	if (!m->with->conf->probe || m->with->unproved)
		return 0;
	int rc = probe_ask(m->with->proxy, m->row.account, m->row.to, &answer, err);
	if (rc < 0)
		return err_wrap(err, "whether %s answers could not be asked", side_name(m->row.to));
	if (probe_failures(answer, m->probe_before ? m->probe_before : json_object_get(m->row.evidence, "probe-before"), &excused, why,
			   sizeof(why)))
		rc = err_set(err, -EIO, "%s does not answer for %s: %s (mend that; --force moves it all the same)", side_name(m->row.to),
			     m->row.account, why);
	say_below(m, "probe",
		  json_pack("{s:O?, s:I}", "probes", json_object_get(answer, "probes"), "failed-before-too", (json_int_t)excused));
	json_decref(answer);
	return rc;
}

/* What DNS would refuse is found before the copying, and long before anybody waits. */
static int prepare(struct move *m, struct err *err)
{
	int rc = publish_plan(m, err);
	if (rc == 0)
		rc = homeward_lead(m, err);
	if (rc == 0)
		probe_old(m);
	if (rc == 0)
		rc = hook(m, "prepare", m->with->conf->hook_prepare, err);
	if (rc == 0)
		rc = homeward_wait(m, err);
	if (m->dns_plan)
		say_below(m, "dns", publish_evidence(m->dns_plan, "planned"));
	return rc;
}

static int unprepare(struct move *m, struct err *err)
{
	int rc = homeward_lead_back(m, err);
	return rc < 0 || m->evidence ? rc : nothing(m, err);
}

static void plan_prepare(const struct move *m, char *out, size_t cap)
{
	size_t at;
	snprintf(out, cap, "%s", publish_concerns(m) ? "ask whether DNS stands in the way; " : "");
	at = strlen(out);
	homeward_text(m, out + at, cap - at);
	at = strlen(out);
	plan_hook("prepare", m->with->conf->hook_prepare, ", no downtime", out + at, cap - at);
}

static int unseal(struct move *m, struct err *err)
{
	int rc = hook(m, "seal", m->with->conf->hook_seal, err);
	m->unsealed = rc == 0;
	return rc;
}

static int copy(struct move *m, struct err *err)
{
	return hook(m, "copy", m->with->conf->hook_copy, err);
}

/* It may have closed the old side to whoever passes by the proxy, before it read: what opens that again is the undo of the seal. */
static int uncopy(struct move *m, struct err *err)
{
	return m->with->conf->hook_copy && !m->unsealed ? unseal(m, err) : nothing(m, err);
}

static void plan_copy(const struct move *m, char *out, size_t cap)
{
	plan_hook("copy", m->with->conf->hook_copy, ": the downtime", out, cap);
}

/* From here on the new side is open: whether visitors are led past the gate counts. */
static int watch_gate(struct move *m, struct err *err)
{
	if (!move_may_fail_open(m) || json_object_get(m->row.evidence, MOVE_FAILED_OPEN))
		return 0;
	return proxylink_ask(m->with->proxy, "fence", json_pack("{s:s, s:b}", "name", m->row.account, "watch", 1), 0, NULL, err);
}

static int seal(struct move *m, struct err *err)
{
	int rc = watch_gate(m, err);
	if (rc == 0)
		rc = hook(m, "seal", m->with->conf->hook_seal, err);
	if (rc == 0)
		rc = hook(m, "verify", m->with->conf->hook_verify, err);
	return rc < 0 ? rc : probe_new(m, err);
}

static void plan_seal(const struct move *m, char *out, size_t cap)
{
	char s[300], v[300];
	plan_hook("seal", m->with->conf->hook_seal, ": the old side refuses the account from here on", s, sizeof(s));
	plan_hook("verify", m->with->conf->hook_verify, "", v, sizeof(v));
	bool asks = m->with->conf->probe && !m->with->unproved;
	snprintf(out, cap, "%s; %s%s%s", s, v, asks ? "; then the proxy asks whether it answers there: " : "",
		 asks ? side_name(m->row.to) : "");
}

#define RESET_MS 15000 /* visitors wait meanwhile */

/* ---- the proxy ---- */

static int ask(struct move *m, const char *cmd, json_t *fields, int timeout_ms, struct err *err)
{
	json_t *answer = NULL;
	json_object_set_new(fields, "name", json_string(m->row.account));
	int rc = proxylink_ask(m->with->proxy, cmd, fields, timeout_ms, &answer, err);
	if (rc == -EINTR)
		err_set(err, rc, "interrupted");
	if (rc < 0)
		return rc;
	json_object_del(answer, "v");
	json_object_del(answer, "id");
	json_object_del(answer, "ok");
	m->evidence = answer;
	return 0;
}

/* The answer is believed only when it says what was asked for. */
static int expect(struct move *m, const char *field, const char *value, struct err *err)
{
	const char *got = member_text_or(m->evidence, field, "nothing");
	if (strcmp(got, value) == 0)
		return 0;
	return err_set(err, -EPROTO, "the proxy answers %s \"%s\", expected \"%s\"", field, got, value);
}

static int hold(struct move *m, struct err *err)
{
	json_t *fields = json_object();
	int64_t left = move_left(m);
	if (left > 0)
		json_object_set_new(fields, "eta", json_integer(left));
	if (m->row.max_wait >= 0)
		json_object_set_new(fields, "max-wait", json_integer(m->row.max_wait));
	int rc = ask(m, "hold", fields, 0, err);
	return rc < 0 ? rc : expect(m, "gate", "held", err);
}

static int release_to(struct move *m, enum side side, struct err *err)
{
	int rc = ask(m, "release", json_object(), 30000, err);
	if (rc == 0)
		rc = expect(m, "gate", "open", err);
	return rc < 0 ? rc : expect(m, "side", side_name(side), err);
}

static int unhold(struct move *m, struct err *err)
{
	return release_to(m, m->row.from, err);
}

static void plan_hold(const struct move *m, char *out, size_t cap)
{
	if (m->row.max_wait >= 0)
		snprintf(out, cap, "new requests and connections of %s wait, at most %d s", m->row.account, m->row.max_wait);
	else
		snprintf(out, cap, "new requests and connections of %s wait, at most hold-max-wait", m->row.account);
}

static int drain(struct move *m, struct err *err)
{
	m->with->proxy->cancel_fd = m->with->cancel_fd; /* the only long wait; a drain that comes after the release is refused */
	int rc = ask(m, "drain", json_pack("{s:i}", "seconds", m->row.drain), m->row.drain * 1000 + 15000, err);
	m->with->proxy->cancel_fd = -1;
	return rc < 0 ? rc : expect(m, "gate", "held", err);
}

static void plan_drain(const struct move *m, char *out, size_t cap)
{
	snprintf(out, cap, "those in flight may finish for %d s, then are cut and counted", m->row.drain);
}

/* Connections from before the interception pass by the proxy, so its fence does not reach them. *reset: how many there were. */
static int reset_old(struct move *m, json_t **reset, struct err *err)
{
	json_t *answer = NULL;
	int rc = netctllink_ask(m->with->netctl, "reset-old", NULL, RESET_MS, &answer, NULL, err);
	if (rc < 0)
		return err_wrap(err, "connections that pass by the proxy could not be reset");
	*reset = json_incref(json_object_get(answer, "reset"));
	json_decref(answer);
	return 0;
}

/* More may have been accepted since the price was agreed to: this is what it came to. Who had nothing to lose was not asked, and is not
 * moved when there is something now. */
static int last_price(struct move *m, struct err *err)
{
	const json_t *price = json_object_get(m->row.evidence, "price");
	json_t *answer = NULL, *now;
	int rc = 0;
	if (!price)
		return 0;
	proxylink_ask(m->with->proxy, "account", json_pack("{s:s}", "name", m->row.account), 0, &answer, NULL);
	now = json_object_get(answer, "since-switch");
	if (now)
		json_object_set(m->evidence, "since-switch", now);
	if (price_has_risen(price, now))
		rc = err_set(
			err, -EPERM,
			"the transit server has accepted something that writes at the last moment, which a rollback would leave behind: "
			"--yes consents to that");
	json_decref(answer);
	return rc;
}

/* Whoever passes by goes first, for from the moment of the fence nothing may reach the old side. New ones come to the proxy, and wait. */
static int fence(struct move *m, struct err *err)
{
	json_t *reset = NULL;
	int rc = 0;
	if (m->row.from == SIDE_TRANSIT && m->with->homeward)
		m->with->homeward(m->with->arg);
	if (m->with->netctl)
		rc = reset_old(m, &reset, err);
	if (rc == 0)
		rc = ask(m, "fence", json_object(), 0, err);
	if (rc == 0)
		rc = expect(m, "gate", "fenced", err);
	if (rc == 0)
		rc = last_price(m, err);
	if (rc == 0 && reset)
		json_object_set(m->evidence, "reset-old", reset);
	json_decref(reset);
	return rc;
}

static void plan_fence(const struct move *m, char *out, size_t cap)
{
	snprintf(out, cap, "from here on nothing of %s reaches %s%s; the evidence is recorded", m->row.account, side_name(m->row.from),
		 m->with->netctl ? ", and connections from before the interception are reset" : "");
}

static int switch_to(struct move *m, enum side side, struct err *err)
{
	int rc = ask(m, "switch", json_pack("{s:s}", "side", side_name(side)), 0, err);
	return rc < 0 ? rc : expect(m, "side", side_name(side), err);
}

static int switch_over(struct move *m, struct err *err)
{
	return switch_to(m, m->row.to, err);
}

static int switch_back(struct move *m, struct err *err)
{
	enum side side;
	enum gate gate;
	int rc = proxylink_account(m->with->proxy, m->row.account, &side, &gate, err);
	if (rc < 0 || side == m->row.from)
		return rc;
	return switch_to(m, m->row.from, err);
}

static void plan_switch(const struct move *m, char *out, size_t cap)
{
	snprintf(out, cap, "the table names %s", side_name(m->row.to));
}

#define FIRST_BYTE_MS 3000 /* who waited is on the way to the new side when the release is over; a server that is busy answers late */

/* Whoever waited has been let go, but the first byte to the new side may still be under way: asked for until it is there, for a moment.
 * What is not known is only missing in the evidence. */
static void note_bytes(struct move *m)
{
	struct proxylink *p = m->with->proxy;
	const json_t *said = json_object_get(m->evidence, "evidence");
	bool some = json_integer_value(json_object_get(said, "released")) > 0;
	int patience = p->patience_ms;
	p->patience_ms = 0;
	for (int waited = 0; json_object_get(said, "first-byte-new"); waited += 50) {
		json_t *answer = NULL;
		if (proxylink_ask(p, "account", json_pack("{s:s}", "name", m->row.account), 2000, &answer, NULL) < 0)
			break;
		json_t *stats = json_object_get(answer, "stats");
		json_t *first = json_object_get(json_object_get(stats, side_name(m->row.to)), "first-byte");
		json_t *last = json_object_get(json_object_get(stats, side_name(m->row.from)), "last-byte");
		bool over = !json_is_null(first) || !some || waited >= FIRST_BYTE_MS;
		if (over && first)
			json_object_set(m->evidence, "first-byte-new", first);
		if (over && json_is_string(last)) /* else the fence's evidence may have it */
			json_object_set(m->evidence, "last-byte-old", last);
		json_decref(answer);
		if (over)
			break;
		poll(NULL, 0, 50);
	}
	p->patience_ms = patience;
}

static int release(struct move *m, struct err *err)
{
	int rc = release_to(m, m->row.to, err);
	if (rc == 0)
		note_bytes(m);
	return rc;
}

static void plan_release(const struct move *m, char *out, size_t cap)
{
	snprintf(out, cap, "what waited goes to %s, spread over a second", side_name(m->row.to));
}

const struct step steps[N_STEPS] = {
	[STEP_PREPARING] = {"preparing", prepare, unprepare, plan_prepare},
	[STEP_HOLDING] = {"holding", hold, unhold, plan_hold}, /* its undo opens the gate, so it comes last of the undos that matter */
	[STEP_DRAINING] = {"draining", drain, nothing, plan_drain},
	[STEP_FENCED] = {"fenced", fence, nothing, plan_fence},
	[STEP_COPYING] = {"copying", copy, uncopy, plan_copy},
	[STEP_SEALED] = {"sealed", seal, unseal, plan_seal},
	[STEP_SWITCHED] = {"switched", switch_over, switch_back, plan_switch},
	[STEP_PUBLISHED] = {"published", publish_move, nothing, publish_plan_text},
	[STEP_RELEASED] = {"released", release, nothing, plan_release},
};

int step_find(const char *name)
{
	for (int i = 0; i < N_STEPS; i++) {
		if (strcmp(steps[i].name, name) == 0)
			return i;
	}
	return -1;
}
