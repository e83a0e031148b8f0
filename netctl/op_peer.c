/* Ops that need others: another host's shunt-netctl, a program that looks from outside, the journal of this host.
 *
 *   {"op":"peer","peer":"client"|"transit"|"router","do":"apply"|"confirm"|"revert"|"settle"|"hello","plan":NAME,"confirm":S}
 *   {"op":"probe","program":"/PATH","addresses":[..]}
 *   {"op":"settle","plan":NAME} */
#include "netctl/hook.h"
#include "netctl/op.h"
#include "netctl/peer.h"
#include "netctl/plan.h"

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int probe_limit_s(void)
{
#ifdef SHUNT_TEST_KILL
	const char *less = getenv("SHUNT_TEST_PROBE_S");

	if (less)
		return atoi(less);
#endif
	return HOOK_PROBE_S;
}

static int check_peer(json_t *op, struct err *err)
{
	static const char *const deeds[] = {"apply", "confirm", "revert", "settle", "hello"};
	const char *peer, *deed, *plan;
	int rc = op_need(op, "peer", &peer, err);

	if (rc == 0)
		rc = op_need(op, "do", &deed, err);
	if (rc == 0)
		rc = op_need(op, "plan", &plan, err);
	for (size_t i = 0; rc == 0 && i < sizeof deeds / sizeof *deeds; i++)
		if (strcmp(deeds[i], deed) == 0)
			return 0;
	return rc < 0 ? rc
		      : err_set(err, -EINVAL, "op \"peer\": found do \"%.20s\", expected apply, confirm, revert, settle or hello", deed);
}

static int apply_peer(struct world *w, json_t *op, struct err *err)
{
	json_t *fields = json_object(), *answer = NULL, *confirm = json_object_get(op, "confirm");
	const char *deed = op_string(op, "do");
	int rc;

	json_object_set(fields, "plan", json_object_get(op, "plan"));
	if (confirm && strcmp(deed, "apply") == 0)
		json_object_set(fields, "confirm", confirm);
	rc = peer_ask(w->conf, op_string(op, "peer"), deed, fields, &answer, err);
	json_decref(answer);
	return rc;
}

static void text_peer(json_t *op, char *out, size_t cap)
{
	snprintf(out, cap, "ask the %s: %s %s", op_string(op, "peer"), op_string(op, "do"), op_string(op, "plan"));
}

const struct op_kind op_peer = {.name = "peer", .check = check_peer, .apply = apply_peer, .text = text_peer};

static int check_probe(json_t *op, struct err *err)
{
	const char *program;

	return op_need(op, "program", &program, err);
}

static int apply_probe(struct world *w, json_t *op, struct err *err)
{
	char words[200];
	const char *program = op_string(op, "program");
	int rc;

	(void)w;
	rc = hook_run(program, json_object_get(op, "addresses"), probe_limit_s(), words, sizeof words, err);
	if (rc < 0 || rc == 0)
		return rc;
	return err_set(err, -EHOSTUNREACH, "the addresses do not answer from outside (exit %d%s%s)", rc, *words ? ": " : "", words);
}

static void text_probe(json_t *op, char *out, size_t cap)
{
	snprintf(out, cap, "%s (does it work from outside?)", op_string(op, "program"));
}

const struct op_kind op_probe = {.name = "probe", .check = check_probe, .apply = apply_probe, .text = text_probe};

static int check_settle(json_t *op, struct err *err)
{
	const char *plan;

	return op_need(op, "plan", &plan, err);
}

static int apply_settle(struct world *w, json_t *op, struct err *err)
{
	int rc = plan_settle(w, w->journal, op_string(op, "plan"), err);

	return rc == -ENOENT ? 0 : rc;
}

static void text_settle(json_t *op, char *out, size_t cap)
{
	snprintf(out, cap, "undo what is left of %s", op_string(op, "plan"));
}

const struct op_kind op_settle = {.name = "settle", .check = check_settle, .apply = apply_settle, .text = text_settle};
