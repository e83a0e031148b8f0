#include "dnsupdate/alwaysdata_json.h"

#include "dnsupdate/backend.h"
#include "dnsupdate/rest.h"
#include "dnsupdate/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool has_priority(uint16_t type)
{
	return type == RR_MX || type == RR_SRV;
}

static bool ends_in_name(uint16_t type)
{
	return type == RR_NS || type == RR_CNAME || type == RR_PTR || type == RR_DNAME || type == RR_MX || type == RR_SRV ||
	       type == RR_ALIAS;
}

/* ---- reading ---- */

static bool is_ours(const json_t *object, json_int_t domain)
{
	const char *href = text_of(json_object_get(object, "domain"), "href");
	char expected[64];

	snprintf(expected, sizeof expected, "/v1/domain/%lld/", (long long)domain);
	return json_is_object(object) && json_is_true(json_object_get(object, "is_user_defined")) &&
	       !json_is_false(json_object_get(object, "is_active")) && (!href || strcmp(href, expected) == 0);
}

/* As a zone file would have it. Returned new. */
static char *zone_file_text(uint16_t type, json_int_t priority, const char *value)
{
	const char *dot = ends_in_name(type) && value[strlen(value) - 1] != '.' ? "." : "";
	char number[32] = "", *out;

	if (has_priority(type))
		snprintf(number, sizeof number, "%lld ", (long long)priority);
	return asprintf(&out, "%s%s%s", number, value, dot) < 0 ? NULL : out;
}

static int read_value(struct rdata *out, uint16_t type, const json_t *object, struct err *err)
{
	const char *value = text_of(object, "value");
	json_int_t priority = json_integer_value(json_object_get(object, "priority"));
	size_t len = value ? strlen(value) : 0, n;
	uint8_t *bytes;
	char *text;
	int rc;

	if (!len || len > UINT16_MAX || (has_priority(type) && (priority < 0 || priority > UINT16_MAX)))
		return -EINVAL;
	if ((type == RR_TXT || type == RR_SPF) && value[0] != '"') {
		rc = rest_txt_from_plain(value, &bytes, &n);
	} else {
		text = type == RR_TXT || type == RR_SPF ? rest_txt_cut(value) : zone_file_text(type, priority, value);
		rc = text ? wire_rdata_parse(type, text, &bytes, &n, err) : -ENOMEM;
		free(text);
	}
	if (rc == 0)
		*out = (struct rdata){bytes, (uint16_t)n};
	return rc;
}

/* -EINVAL: it is none that we can tell. */
static int read_record(struct ad_record *out, const char *zone, const json_t *object)
{
	const char *name = text_of(object, "name"), *type = text_of(object, "type");
	const json_t *id = json_object_get(object, "id"), *ttl = json_object_get(object, "ttl");
	json_int_t seconds = json_is_integer(ttl) ? json_integer_value(ttl) : AD_TTL;
	int rc;

	*out = (struct ad_record){.id = json_integer_value(id)};
	if (!name || strlen(name) + strlen(zone) + 2 > RR_NAME_MAX || !type || !rr_type_parse(&out->rr.type, type) ||
	    !json_is_integer(id) || out->id <= 0 || seconds < 0 || seconds > INT32_MAX)
		return -EINVAL;
	out->rr.class = 1;
	out->rr.ttl = (uint32_t)seconds;
	if (asprintf(&out->rr.owner, "%s%s%s", name, *name ? "." : "", zone) < 0) {
		out->rr.owner = NULL;
		return -ENOMEM;
	}
	rc = read_value(&out->rr.rdata, out->rr.type, object, NULL);
	if (rc < 0)
		rr_done(&out->rr);
	return rc;
}

int ad_records_parse(struct ad_records *out, const char *zone, json_int_t domain, const json_t *list, struct err *err)
{
	const json_t *object;
	size_t i;

	*out = (struct ad_records){0};
	if (!json_is_array(list))
		return err_set(err, -EBADMSG, "%s: found no list of records in the answer", zone);
	out->v = calloc(json_array_size(list) + 1, sizeof *out->v);
	if (!out->v)
		return err_set(err, -ENOMEM, "out of memory");
	json_array_foreach (list, i, object) {
		int rc = is_ours(object, domain) ? read_record(&out->v[out->n], zone, object) : -EINVAL;

		if (rc == -ENOMEM) {
			ad_records_done(out);
			return err_set(err, rc, "out of memory");
		}
		out->n += rc == 0;
	}
	return 0;
}

void ad_records_done(struct ad_records *r)
{
	for (size_t i = 0; i < r->n; i++)
		rr_done(&r->v[i].rr);
	free(r->v);
	*r = (struct ad_records){0};
}

int ad_zone(struct zone *out, const char *zone, const struct ad_records *r)
{
	int rc = zone_init(out, zone);

	for (size_t i = 0; rc == 0 && i < r->n; i++)
		rc = zone_add(out, &r->v[i].rr);
	if (rc == 0)
		rc = zone_order(out);
	if (rc < 0)
		zone_done(out);
	else
		out->negative_ttl = AD_NEGATIVE_TTL;
	return rc;
}

static bool belongs(const struct ad_record *r, const char *owner, uint16_t type)
{
	return r->rr.type == type && name_same(r->rr.owner, owner);
}

int ad_rrset(struct rrset *out, const struct ad_records *r, const char *owner, uint16_t type)
{
	int rc = rrset_init(out, owner, type, 0);

	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		const struct rr *rr = &r->v[i].rr;

		if (!belongs(&r->v[i], owner, type))
			continue;
		if (out->n == 0 || rr->ttl < out->ttl)
			out->ttl = rr->ttl;
		rc = rrset_add(out, rr->rdata.bytes, rr->rdata.len);
	}
	if (rc < 0)
		rrset_done(out);
	return rc;
}

bool ad_domain(const json_t *list, const char *name, json_int_t *id, char zone[RR_NAME_MAX])
{
	const json_t *domain;
	size_t i;

	for (; name && strcmp(name, ".") != 0; name = name_parent(name))
		json_array_foreach (list, i, domain) {
			const char *found = text_of(domain, "name");

			*id = json_integer_value(json_object_get(domain, "id"));
			if (found && *found && *id > 0 && name_absolute(zone, found) == 0 && name_same(zone, name))
				return true;
		}
	return false;
}

/* ---- writing ---- */

static json_t *ttl_json(uint32_t ttl)
{
	return ttl == AD_TTL ? json_null() : json_integer(ttl);
}

static int put(json_t *body, const char *key, json_t *value)
{
	return json_object_set_new(body, key, value) == 0 ? 0 : -ENOMEM;
}

/* "value", and "priority" for the types that have one. */
static int put_value(json_t *body, uint16_t type, const struct rdata *r)
{
	char *text = NULL, *value, *end;
	int rc = type == RR_TXT || type == RR_SPF ? rest_txt_to_plain(r->bytes, r->len, &text) : -EINVAL;

	if (rc == 0 || rc == -ENOMEM) {
		rc = rc == 0 ? put(body, "value", json_string(text)) : rc;
		free(text);
		return rc;
	}
	value = text = wire_rdata_text(type, r->bytes, r->len);
	if (!text)
		return -ENOMEM;
	rc = 0;
	if (text[0] == '\\' && text[1] == '#') {
		rc = -EINVAL;
	} else if (has_priority(type)) {
		rc = put(body, "priority", json_integer((json_int_t)strtoul(text, &value, 10)));
		value += *value == ' ';
	}
	end = value + strlen(value);
	if (ends_in_name(type) && end - value > 1 && end[-1] == '.')
		end[-1] = '\0';
	if (rc == 0)
		rc = put(body, "value", json_string(value));
	free(text);
	return rc;
}

static char *describe(const struct rrset *s, const struct rdata *value)
{
	char type[16], *text = wire_rdata_text(s->type, value->bytes, value->len), *out;

	if (asprintf(&out, "%s %s %s", s->owner, rr_type_text(s->type, type), text ? text : "?") < 0)
		out = NULL;
	free(text);
	return out;
}

/* Takes body. */
static int add_write(struct ad_writes *w, int kind, json_int_t id, json_t *body, char *what)
{
	struct ad_write *grown = what ? reallocarray(w->v, w->n + 1, sizeof *grown) : NULL;

	if (grown)
		w->v = grown;
	if (!grown || (kind != AD_DELETE && !body)) {
		json_decref(body);
		free(what);
		return -ENOMEM;
	}
	grown[w->n].kind = kind;
	grown[w->n].id = id;
	grown[w->n].body = body;
	grown[w->n].what = what;
	w->n++;
	return 0;
}

/* In the place of the record id: another value (NULL: the same), another TTL. */
static int add_patch(struct ad_writes *w, json_int_t id, const struct rrset *next, const struct rdata *value, const struct rdata *shown,
		     bool ttl)
{
	json_t *body = json_object();
	int rc = body ? 0 : -ENOMEM;

	if (rc == 0 && value)
		rc = put_value(body, next->type, value);
	if (rc == 0 && ttl)
		rc = put(body, "ttl", ttl_json(next->ttl));
	if (rc < 0) {
		json_decref(body);
		return rc;
	}
	return add_write(w, AD_PATCH, id, body, describe(next, shown));
}

static int add_post(struct ad_writes *w, const char *zone, json_int_t domain, const struct rrset *next, const struct rdata *value)
{
	char type[16], name[RR_NAME_MAX];
	size_t len = strlen(next->owner), tail = strlen(zone);
	json_t *body;
	int rc;

	if (!name_within(next->owner, zone) || len >= sizeof name)
		return -EINVAL;
	snprintf(name, sizeof name, "%.*s", (int)(len > tail ? len - tail - 1 : 0), next->owner);
	body = json_pack("{s:I, s:s, s:s, s:o}", "domain", domain, "type", rr_type_text(next->type, type), "name", name, "ttl",
			 ttl_json(next->ttl));
	rc = body ? put_value(body, next->type, value) : -ENOMEM;
	if (rc < 0) {
		json_decref(body);
		return rc;
	}
	return add_write(w, AD_POST, 0, body, describe(next, value));
}

static bool same_value(const struct rdata *a, const struct rdata *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The next of the values of next, from *at on, that no record has yet; NULL: all are there. */
static const struct rdata *missing(const struct rrset *next, const struct rrset *was, size_t *at)
{
	while (*at < next->n) {
		const struct rdata *value = &next->values[(*at)++];

		if (!rrset_has(was, value))
			return value;
	}
	return NULL;
}

/* What becomes of one record: it stays, takes the next value that is missing, or goes. Its TTL may be the next one already, where an
 * earlier change ended in the middle. */
static int plan_record(struct ad_writes *w, const struct ad_record *record, const struct change *c, size_t *at)
{
	bool ttl = c->was.n && c->next.n && c->was.ttl != c->next.ttl && record->rr.ttl != c->next.ttl;
	const struct rdata *value;

	if (ttl && record->rr.ttl != c->was.ttl)
		return -EINVAL;
	if (rrset_has(&c->next, &record->rr.rdata))
		return ttl ? add_patch(w, record->id, &c->next, NULL, &record->rr.rdata, true) : 0;
	value = missing(&c->next, &c->was, at);
	if (value)
		return add_patch(w, record->id, &c->next, value, value, ttl);
	return add_write(w, AD_DELETE, record->id, NULL, describe(&c->was, &record->rr.rdata));
}

/* The values that go are taken in their order, and so are those that come: the way back then puts each into the record that it came from.
 */
static int plan_one(struct ad_writes *w, const char *zone, json_int_t domain, const struct ad_records *r, const struct change *c)
{
	const struct rdata *value;
	size_t at = 0;
	int rc = 0;

	for (size_t k = 0; k < c->was.n; k++)
		for (size_t i = 0; rc == 0 && i < r->n; i++)
			if (belongs(&r->v[i], c->was.owner, c->was.type) && same_value(&r->v[i].rr.rdata, &c->was.values[k]))
				rc = plan_record(w, &r->v[i], c, &at);
	while (rc == 0 && (value = missing(&c->next, &c->was, &at)))
		rc = add_post(w, zone, domain, &c->next, value);
	return rc;
}

/* In the order of their kinds; within one, as they came. */
static int sort(struct ad_writes *w)
{
	struct ad_write *sorted = calloc(w->n + 1, sizeof *sorted);
	size_t n = 0;

	if (!sorted)
		return -ENOMEM;
	for (int kind = AD_PATCH; kind <= AD_DELETE; kind++)
		for (size_t i = 0; i < w->n; i++)
			if ((int)w->v[i].kind == kind)
				sorted[n++] = w->v[i];
	free(w->v);
	w->v = sorted;
	return 0;
}

int ad_plan(struct ad_writes *out, const char *zone, json_int_t domain, const struct ad_records *r, const struct change *changes, size_t n,
	    struct err *err)
{
	char type[16];
	int rc = 0;

	*out = (struct ad_writes){0};
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = plan_one(out, zone, domain, r, &changes[i]);
		if (rc == -EINVAL)
			err_set(err, rc,
				"%.200s %s cannot be changed through this API: a value that it has no form for, or records whose TTLs "
				"differ and "
				"could not be restored",
				changes[i].was.owner, rr_type_text(changes[i].was.type, type));
	}
	if (rc == 0)
		rc = sort(out);
	if (rc == -ENOMEM)
		err_set(err, rc, "out of memory");
	if (rc < 0)
		ad_writes_done(out);
	return rc;
}

void ad_writes_done(struct ad_writes *w)
{
	for (size_t i = 0; i < w->n; i++) {
		json_decref(w->v[i].body);
		free(w->v[i].what);
	}
	free(w->v);
	*w = (struct ad_writes){0};
}
