#include "dnsupdate/pdns_json.h"

#include "dnsupdate/rest.h"
#include "dnsupdate/wire.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int pdns_zone_id(char *out, size_t cap, const char *zone)
{
	size_t n = 0;

	if (strcmp(zone, ".") == 0) { /* a path of its own would end there */
		snprintf(out, cap, "=2E");
		return 0;
	}
	for (; *zone; zone++) {
		unsigned char c = (unsigned char)*zone;

		if (n + 4 > cap)
			return -ENAMETOOLONG;
		if (isalnum(c) || c == '.' || c == '-')
			out[n++] = (char)tolower(c);
		else
			n += (size_t)snprintf(out + n, cap - n, "=%02X", c);
	}
	out[n] = '\0';
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

bool pdns_is_primary(const json_t *object)
{
	const char *kind = text_of(object, "kind");

	return !kind || (strcasecmp(kind, "Slave") != 0 && strcasecmp(kind, "Secondary") != 0 && strcasecmp(kind, "Consumer") != 0);
}

/* ---- reading ---- */

static int add_content(struct rrset *s, const char *content, struct err *err)
{
	uint8_t *bytes;
	char *cut = NULL;
	size_t len;
	int rc;

	if (s->type == PDNS_LUA)
		return rrset_add(s, (const uint8_t *)content, strnlen(content, UINT16_MAX));
	if (s->type == RR_TXT || s->type == RR_SPF)
		content = cut = rest_txt_cut(content);
	rc = content ? wire_rdata_parse(s->type, content, &bytes, &len, err) : -ENOMEM;
	free(cut);
	if (rc < 0)
		return rc;
	rc = rrset_add(s, bytes, len);
	free(bytes);
	return rc;
}

static bool is_disabled(const json_t *record)
{
	return json_is_true(json_object_get(record, "disabled"));
}

static bool type_of(uint16_t *type, const json_t *object)
{
	const char *text = text_of(object, "type");

	if (text && strcmp(text, "LUA") == 0) {
		*type = PDNS_LUA;
		return true;
	}
	return text && rr_type_parse(type, text);
}

/* The served values of one of the API's RRsets. -EINVAL: they cannot be told. */
static int read_set(struct rrset *out, const json_t *object, struct err *err)
{
	const char *name = text_of(object, "name");
	const json_t *ttl = json_object_get(object, "ttl"), *record;
	json_int_t seconds = json_integer_value(ttl);
	char owner[RR_NAME_MAX];
	uint16_t type;
	size_t i;
	int rc;

	if (!name || !*name || name_absolute(owner, name) < 0 || !type_of(&type, object) || seconds < 0 || seconds > INT32_MAX)
		return err_set(err, -EINVAL, "found an RRset without a proper name, type or ttl");
	rc = rrset_init(out, owner, type, (uint32_t)seconds);
	json_array_foreach (json_object_get(object, "records"), i, record) {
		const char *content = text_of(record, "content");

		if (rc == 0 && !is_disabled(record))
			rc = content ? add_content(out, content, err) : err_set(err, -EINVAL, "found a record without content");
	}
	if (rc < 0)
		rrset_done(out);
	return rc;
}

int pdns_zone_parse(struct zone *out, const char *name, const json_t *object, struct err *err)
{
	const json_t *sets = json_object_get(object, "rrsets"), *set, *serial = json_object_get(object, "edited_serial");
	struct rrset one;
	size_t i;
	int rc;

	if (!json_is_array(sets))
		return err_set(err, -EBADMSG, "%s: found no rrsets in the answer", name);
	rc = zone_init(out, name);
	json_array_foreach (sets, i, set) {
		int bad = rc == 0 ? read_set(&one, set, NULL) : -ENOMEM;

		if (bad == -ENOMEM)
			rc = bad;
		if (bad < 0)
			continue;
		if (one.n && name_within(one.owner, name))
			rc = zone_add_set(out, &one);
		else
			rrset_done(&one);
	}
	if (rc == 0)
		rc = zone_order(out);
	if (rc < 0) {
		zone_done(out);
		return err_set(err, rc, "out of memory");
	}
	out->is_signed = json_is_true(json_object_get(object, "dnssec"));
	if (json_is_integer(serial))
		out->serial = (uint32_t)json_integer_value(serial);
	return 0;
}

/* ---- writing ---- */

static const json_t *find_set(const json_t *object, const char *owner, uint16_t type)
{
	const json_t *set;
	size_t i;

	json_array_foreach (json_object_get(object, "rrsets"), i, set) {
		const char *name = text_of(set, "name");
		uint16_t found;

		if (name && name_same(name, owner) && type_of(&found, set) && found == type)
			return set;
	}
	return NULL;
}

static int append_next(json_t *records, const struct rrset *next)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < next->n; i++) {
		char *content = wire_rdata_text(next->type, next->values[i].bytes, next->values[i].len);
		json_t *record = content ? json_pack("{s:s, s:b}", "content", content, "disabled", 0) : NULL;

		rc = record && json_array_append_new(records, record) == 0 ? 0 : -ENOMEM;
		free(content);
	}
	return rc;
}

/* -EEXIST: one of them would have to be enabled, which no undo could tell from a new one. */
static int append_disabled(json_t *records, const json_t *set, const struct rrset *next)
{
	const json_t *record;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(set, "records"), i, record) {
		struct rrset same;

		if (rc < 0 || !is_disabled(record) || !text_of(record, "content"))
			continue;
		rc = rrset_copy(&same, next);
		if (rc < 0)
			break;
		if (add_content(&same, text_of(record, "content"), NULL) == 0 && same.n == next->n)
			rc = -EEXIST;
		else if (json_array_append_new(records,
					       json_pack("{s:O, s:b}", "content", json_object_get(record, "content"), "disabled", 1)) < 0)
			rc = -ENOMEM;
		rrset_done(&same);
	}
	return rc;
}

static json_t *lower_name(const char *name)
{
	char lower[RR_NAME_MAX];
	size_t n = 0;

	for (; name[n] && n + 1 < sizeof lower; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	lower[n] = '\0';
	return json_string(lower);
}

/* One element of "rrsets". Where nothing is left, comments would go as well unless they are in the request. */
static int append_change(json_t *rrsets, const json_t *set, const struct rrset *next, uint32_t ttl)
{
	char type[16];
	const json_t *comments = json_object_get(set, "comments");
	json_t *records = json_array(), *o;
	int rc = records ? append_next(records, next) : -ENOMEM;

	if (rc == 0)
		rc = append_disabled(records, set, next);
	if (rc < 0) {
		json_decref(records);
		return rc;
	}
	bool empty = json_array_size(records) == 0, keep = empty && json_array_size(comments) > 0;

	o = json_pack("{s:o, s:s, s:I, s:s, s:o}", "name", lower_name(next->owner), "type", rr_type_text(next->type, type), "ttl",
		      (json_int_t)ttl, "changetype", empty && !keep ? "DELETE" : "REPLACE", "records", records);
	if (o && keep)
		json_object_set_new(o, "comments", json_deep_copy(comments));
	return o && json_array_append_new(rrsets, o) == 0 ? 0 : -ENOMEM;
}

static enum outcome no_memory(struct err *err)
{
	err_set(err, -ENOMEM, "out of memory");
	return OUTCOME_BUSY;
}

static enum outcome check_and_append(json_t *rrsets, const json_t *object, const struct change *c, struct err *err)
{
	const json_t *set = find_set(object, c->was.owner, c->was.type);
	struct rrset found;
	enum outcome o;
	char type[16];
	int rc = set ? read_set(&found, set, err) : rrset_init(&found, c->was.owner, c->was.type, 0);

	if (rc == -ENOMEM)
		return no_memory(err);
	if (rc < 0) {
		err_wrap(err, "%.200s %s cannot be changed", c->was.owner, rr_type_text(c->was.type, type));
		return OUTCOME_REFUSED;
	}
	o = rest_compare(c, &found, err);
	rrset_done(&found);
	if (o != OUTCOME_DONE)
		return o;
	rc = append_change(rrsets, set, &c->next, c->next.n ? c->next.ttl : c->was.ttl);
	if (rc == -EEXIST) {
		err_set(err, rc, "%.200s %s: a new value is there already as a disabled record: delete that, or enable it", c->was.owner,
			rr_type_text(c->was.type, type));
		return OUTCOME_REFUSED;
	}
	return rc < 0 ? no_memory(err) : OUTCOME_DONE;
}

/* Without SOA-EDIT-API a change through the API leaves the serial as it is, and secondaries never hear of it. */
static bool serial_moves(const json_t *object)
{
	const char *edit = text_of(object, "soa_edit_api");

	return edit && *edit && strcasecmp(edit, "OFF") != 0;
}

enum outcome pdns_patch(char **body, const json_t *object, const struct change *changes, size_t n, struct err *err)
{
	enum outcome o = OUTCOME_DONE;
	const char *zone = text_of(object, "name");
	json_t *rrsets, *patch;

	*body = NULL;
	if (!json_is_object(object) || !zone || !json_is_array(json_object_get(object, "rrsets"))) {
		err_set(err, -EBADMSG, "found no zone in the answer");
		return OUTCOME_REFUSED;
	}
	if (!pdns_is_primary(object)) {
		err_set(err, -EROFS, "%.200s is a secondary zone there: what is changed in it goes with its next transfer", zone);
		return OUTCOME_REFUSED;
	}
	if (!serial_moves(object)) {
		err_set(err, -EROFS,
			"%.200s: its serial would not move, so that its secondaries would never follow; set it right with `pdnsutil "
			"set-meta %.200s "
			"SOA-EDIT-API DEFAULT`",
			zone, zone);
		return OUTCOME_REFUSED;
	}
	rrsets = json_array();
	patch = json_pack("{s:o}", "rrsets", rrsets);
	for (size_t i = 0; patch && o == OUTCOME_DONE && i < n; i++)
		o = check_and_append(rrsets, object, &changes[i], err);
	if (patch && o == OUTCOME_DONE)
		*body = json_dumps(patch, JSON_COMPACT);
	json_decref(patch);
	return o == OUTCOME_DONE && !*body ? no_memory(err) : o;
}
