/* What the back ends of a side answer for an account, told to whoever asks. */
#include "lib/log.h"
#include "proxy/control_impl.h"
#include "proxy/probe.h"

#include <stdlib.h>
#include <string.h>

struct asked {
	struct ctl_call *call;
	enum side side;
};

static json_t *json_probe(const struct probe_result *r)
{
	char at[ADDR_TEXT_MAX], came_to[ADDR_TEXT_MAX];

	return json_pack("{ss ss so ss? ss so sb sI so}", "listener", r->listener, "protocol", protocol_name(r->protocol), "name",
			 *r->name ? json_string(r->name) : json_null(), "spoken", r->door, "came-to", addr_text(&r->came_to, came_to), "at",
			 addr_family(&r->at) != AF_UNSPEC ? json_string(addr_text_port(&r->at, at)) : json_null(), "ok", r->ok, "ms",
			 (json_int_t)r->ms, "said", json_stringn_nocheck(r->said, strlen(r->said)));
}

static void done(void *arg, const struct probe_result *results, size_t n, size_t left_out)
{
	struct asked *q = arg;
	json_t *list = json_array();
	bool answers = true;

	for (size_t i = 0; i < n; i++) {
		answers = answers && results[i].ok;
		json_array_append_new(list, json_probe(&results[i]));
	}
	if (results) {
		ctl_answer(q->call, json_pack("{ss sb sI so}", "side", side_name(q->side), "answers", answers, "left-out",
					      (json_int_t)left_out, "probes", list));
	} else {
		json_decref(list);
		ctl_fail(q->call, CTL_REFUSED, "the question was ended: the account is held now, or the proxy ends");
	}
	free(q);
}

void cmd_probe(struct proxy *p, struct ctl_call *call, json_t *req)
{
	struct account *a = want_account(p, call, req);
	struct asked *q;
	enum side side;

	if (!a || !want_side(call, req, &side))
		return;
	if (account_gate(a) != GATE_OPEN && account_side(a) == side) {
		ctl_fail(call, CTL_REFUSED, "account %s is %s on that side: nothing goes there", a->name, gate_name(account_gate(a)));
		return;
	}
	q = malloc(sizeof *q);
	if (q) {
		*q = (struct asked){call, side};
		if (probe_start(p, a, side, done, q) == 0)
			return;
	}
	free(q);
	ctl_fail(call, CTL_FAILED, "out of memory");
}
