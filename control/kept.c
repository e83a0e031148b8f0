#include "control/kept.h"

#include <stdio.h>

#define AT_ONCE 100

static void count(struct kept *k, const char *account, const json_t *findings)
{
	size_t counts[GRADES];
	findings_count(findings, counts);
	for (int g = 0; g < GRADES; g++)
		k->counts[g] += counts[g];
	if (counts[GRADE_STOP] == 0)
		return;
	const json_t *f = json_array_get(findings, 0); /* they are in order */
	if (k->stopped++ == 0)
		snprintf(k->first, sizeof(k->first), "%s: %.200s: %.300s", account, json_string_value(json_object_get(f, "name")),
			 json_string_value(json_object_get(f, "found")));
}

void kept_take(struct kept *k, struct app *a, const char *account, json_t *findings)
{
	count(k, account, findings);
	if (!k->waiting)
		k->waiting = json_object();
	json_object_set(k->waiting, account, findings);
	if (json_object_size(k->waiting) >= AT_ONCE)
		kept_flush(k, a);
}

static int write_down(struct app *a, json_t *all, struct err *err)
{
	int64_t at = now_ms();
	const char *account;
	json_t *findings;
	int rc = journal_begin(a->db, err);
	if (rc < 0)
		return rc;
	json_object_foreach (all, account, findings) {
		if (rc == 0)
			rc = findings_put(a->db, account, at, findings, err);
	}
	if (rc == 0)
		return journal_commit(a->db, err);
	journal_rollback(a->db);
	return rc;
}

void kept_flush(struct kept *k, struct app *a)
{
	struct err err = {0};
	if (k->waiting && json_object_size(k->waiting) && write_down(a, k->waiting, &err) < 0 && !k->lost) {
		k->lost = true;
		out_set(&a->out, "not-kept", json_string(err.text));
		if (!a->out.json)
			fprintf(stderr, "shunt: note: what was found is not kept: %s\n", err.text);
	}
	json_decref(k->waiting);
	k->waiting = NULL;
}
