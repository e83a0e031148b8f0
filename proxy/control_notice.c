/* control_notice: what a controller at work leaves here, for whoever asks from another host. In memory alone: it is of now. */
#include "proxy/control_impl.h"

#define NOTICE_MAX (256 << 10) /* bytes as JSON: an answer to status, which has it, stays far below the limit of a message */

void cmd_notice(struct proxy *p, struct ctl_call *call, json_t *req)
{
	json_t *said = json_object_get(req, "said");

	if (!json_is_object(said) || json_dumpb(said, NULL, 0, JSON_COMPACT) > NOTICE_MAX) {
		ctl_fail(call, CTL_USAGE, "\"said\": expected an object of at most %d bytes", NOTICE_MAX);
		return;
	}
	notice_forget(p);
	p->notice = json_incref(said);
	p->notice_at = loop_now(p->loop);
	ctl_answer(call, NULL);
}

json_t *json_notice(const struct proxy *p)
{
	if (!p->notice)
		return json_null();
	return json_pack("{sI sO}", "age-ms", (json_int_t)(loop_now(p->loop) - p->notice_at), "said", p->notice);
}

void notice_forget(struct proxy *p)
{
	json_decref(p->notice);
	p->notice = NULL;
}
