/* Who answers the challenges of certificate authorities (RFC 8555 8.3) after the move: the side the account is on, whichever way the
 * authority comes. A token that nobody has is asked for on both sides; a good answer is 404. */
#include "control/preflight_parts.h"
#include "lib/member.h"

#include <stdio.h>
#include <string.h>

static void by_status(json_t *findings, const struct preflight_view *v, const json_t *fresh, json_int_t was)
{
	json_int_t status = member_int(fresh, "status");
	const char *domain = member_text(fresh, "domain"), *to = side_name(v->to);
	if (!json_is_true(json_object_get(fresh, "ok")) || status == was)
		return; /* preflight_twin() speaks of silence; what has been so is how it works */
	if (status >= 200 && status < 300)
		FIND(findings, GRADE_WARN, "acme", domain,
		     "leave " ACME_PATH " out of the rule that answers everything, or the authority refuses what it gets",
		     "%s answers %lld to a challenge that it cannot know, %s %lld", to, (long long)status, side_name(v->from),
		     (long long)was);
	else if (status == 401 || status == 403 || status >= 500)
		FIND(findings, GRADE_WARN, "acme", domain, "let " ACME_PATH " be read by anybody there, or renewals will fail",
		     "%s answers %lld below " ACME_PATH ", %s %lld", to, (long long)status, side_name(v->from), (long long)was);
}

void preflight_acme(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh)
{
	const json_t *a, *b = NULL;
	size_t i, n = 0, listened = 0;
	json_int_t was = 0, will = 0;
	json_array_foreach (old, i, a) {
		if (!json_is_string(json_object_get(a, "listener")))
			continue;
		listened++;
		b = preflight_answer_of(fresh, a);
		if (!b)
			continue;
		by_status(findings, v, b, member_int(a, "status"));
		was = member_int(a, "status");
		will = member_int(b, "status");
		n++;
	}
	if (json_array_size(old) && !listened)
		FIND(findings, GRADE_WARN, "acme", v->def->name,
		     "a listener for port 80 with protocol = \"http\" hands challenges to the account's side",
		     "no listener of shunt-proxy carries its HTTP: ACME challenges by HTTP go on to the client server");
	else if (n)
		FIND(findings, GRADE_INFORM, "acme", v->def->name, "have that side's ACME client renew from then on",
		     "after the move %s answers ACME challenges by HTTP; to a token that nobody has, %s says %lld now, %s %lld",
		     side_name(v->to), side_name(v->from), (long long)was, side_name(v->to), (long long)will);
}
