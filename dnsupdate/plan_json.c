/* A plan as it is told to others: what changes, what somebody else has changed, what is left alone. */
#include "dnsupdate/plan.h"

static int add(json_t *array, json_t *item)
{
	return json_array_append_new(array, item); /* -1 too where item is NULL */
}

/* The values as people write them; NULL: no memory. */
static json_t *values_of(const struct rrset *s)
{
	json_t *o = rrset_to_json(s, false), *values = json_incref(json_object_get(o, "values"));

	json_decref(o);
	return values;
}

static json_t *ttl_of(const struct rrset *s)
{
	return s->n ? json_integer(s->ttl) : json_null();
}

static json_t *change_to_json(const struct mark *m)
{
	char type[16];

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "owner", m->next.owner, "type", rr_type_text(m->next.type, type), "ttl",
			 ttl_of(&m->after), "new-ttl", ttl_of(&m->next), "old", values_of(&m->after), "new", values_of(&m->next));
}

static json_t *drift_to_json(const struct drift *d)
{
	char type[16];

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "owner", d->found.owner, "type", rr_type_text(d->found.type, type),
			 "recorded", values_of(&d->mark->before), "recorded-ttl", ttl_of(&d->mark->before), "expected",
			 values_of(&d->mark->after), "expected-ttl", ttl_of(&d->mark->after), "found", values_of(&d->found), "found-ttl",
			 ttl_of(&d->found));
}

static json_t *finding_to_json(const struct finding *f)
{
	char type[16];

	return json_pack("{s:s, s:s, s:s, s:s}", "name", f->name, "type", rr_type_text(f->type, type), "fate", fate_text(f->fate), "what",
			 f->what);
}

json_t *plan_to_json(const struct plan *p, const struct entry *e)
{
	json_t *changes = json_array(), *drift = json_array(), *names = json_array(), *notes = json_array();
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:I}", "changes", changes, "drift", drift, "names", names, "notes", notes, "old-ttl",
			      (json_int_t)p->old_ttl_s);
	int rc = o ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < e->n; i++)
		if (e->marks[i].pending)
			rc = add(changes, change_to_json(&e->marks[i]));
	for (size_t i = 0; rc == 0 && i < p->n_drifts; i++)
		rc = add(drift, drift_to_json(&p->drifts[i]));
	for (size_t i = 0; rc == 0 && i < p->n_findings; i++)
		rc = add(names, finding_to_json(&p->findings[i]));
	for (size_t i = 0; rc == 0 && i < p->n_notes; i++)
		rc = add(notes, json_string(p->notes[i]));
	if (rc == 0)
		return o;
	json_decref(o);
	return NULL;
}
