#include "dnsupdate/rr.h"

#include "dnsupdate/wire.h"
#include "lib/hex.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

int name_compare(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) - lower(*b);
}

bool name_same(const char *a, const char *b)
{
	return name_compare(a, b) == 0;
}

/* The first character behind the dot that ends the first label; an escaped dot (\.) is part of the label. */
static const char *after_label(const char *name)
{
	for (; *name && *name != '.'; name++)
		if (*name == '\\' && name[1])
			name++;
	return *name ? name + 1 : name;
}

const char *name_parent(const char *name)
{
	const char *rest = after_label(name);

	if (name[0] == '\0' || strcmp(name, ".") == 0)
		return NULL;
	return *rest ? rest : ".";
}

bool name_within(const char *name, const char *top)
{
	if (strcmp(top, ".") == 0)
		return true;
	for (; name && *name; name = name_parent(name))
		if (name_same(name, top))
			return true;
	return false;
}

int name_absolute(char *out, const char *name)
{
	size_t len = strlen(name);
	bool dot = len && name[len - 1] == '.' && (len < 2 || name[len - 2] != '\\');

	if (len + 2 > RR_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(out, name, len + 1);
	if (!dot)
		memcpy(out + len, ".", 2);
	return 0;
}

bool name_is_wildcard(const char *name)
{
	return name[0] == '*' && name[1] == '.';
}

/* ---- RRsets ---- */

void rr_done(struct rr *r)
{
	free(r->owner);
	free(r->rdata.bytes);
	*r = (struct rr){0};
}

int rrset_init(struct rrset *s, const char *owner, uint16_t type, uint32_t ttl)
{
	*s = (struct rrset){.owner = strdup(owner), .type = type, .ttl = ttl};
	return s->owner ? 0 : -ENOMEM;
}

static int compare_rdata(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	size_t len = a_len < b_len ? a_len : b_len;
	int c = len ? memcmp(a, b, len) : 0;

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

int rrset_add(struct rrset *s, const uint8_t *bytes, size_t len)
{
	struct rdata *grown;
	uint8_t *copy;
	size_t at = s->n;

	while (at > 0) {
		int c = compare_rdata(bytes, len, s->values[at - 1].bytes, s->values[at - 1].len);

		if (c == 0)
			return 0;
		if (c > 0)
			break;
		at--;
	}
	grown = reallocarray(s->values, s->n + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	s->values = grown;
	copy = malloc(len ? len : 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, bytes, len);
	memmove(&grown[at + 1], &grown[at], (s->n - at) * sizeof *grown);
	grown[at] = (struct rdata){copy, (uint16_t)len};
	s->n++;
	return 0;
}

int rrset_copy(struct rrset *out, const struct rrset *from)
{
	int rc = rrset_init(out, from->owner, from->type, from->ttl);

	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = rrset_add(out, from->values[i].bytes, from->values[i].len);
	if (rc < 0)
		rrset_done(out);
	return rc;
}

void rrset_done(struct rrset *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->values[i].bytes);
	free(s->values);
	free(s->owner);
	*s = (struct rrset){0};
}

bool rrset_has(const struct rrset *s, const struct rdata *value)
{
	for (size_t i = 0; i < s->n; i++)
		if (compare_rdata(s->values[i].bytes, s->values[i].len, value->bytes, value->len) == 0)
			return true;
	return false;
}

bool rrset_is(const struct rrset *s, const char *owner, uint16_t type)
{
	return s->type == type && name_same(s->owner, owner);
}

bool rrset_same_values(const struct rrset *a, const struct rrset *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (compare_rdata(a->values[i].bytes, a->values[i].len, b->values[i].bytes, b->values[i].len) != 0)
			return false;
	return true;
}

bool rrset_equal(const struct rrset *a, const struct rrset *b)
{
	return rrset_same_values(a, b) && (a->n == 0 || a->ttl == b->ttl);
}

char *rrset_text(const struct rrset *s, char *out, size_t cap)
{
	size_t n = 0;

	if (s->n == 0) {
		snprintf(out, cap, "none");
		return out;
	}
	for (size_t i = 0; i < s->n && n < cap; i++) {
		char *text = wire_rdata_text(s->type, s->values[i].bytes, s->values[i].len);

		n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? " " : "", text ? text : "?");
		free(text);
	}
	if (n < cap)
		snprintf(out + n, cap - n, " (TTL %u)", s->ttl);
	return out;
}

/* ---- JSON ---- */

static json_t *hex(const struct rdata *r)
{
	char *text = malloc((size_t)r->len * 2 + 1);
	json_t *out;

	if (!text)
		return NULL;
	hex_text(r->bytes, r->len, text);
	out = json_string(text);
	free(text);
	return out;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int add_hex(struct rrset *s, const char *text)
{
	size_t len = text ? strlen(text) : 1;
	uint8_t *bytes;
	int rc;

	if (len % 2 || len / 2 > UINT16_MAX)
		return -EINVAL;
	bytes = malloc(len / 2 + 1);
	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < len / 2; i++) {
		int high = digit(text[i * 2]), low = digit(text[i * 2 + 1]);

		if (high < 0 || low < 0) {
			free(bytes);
			return -EINVAL;
		}
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	rc = rrset_add(s, bytes, len / 2);
	free(bytes);
	return rc;
}

json_t *rrset_to_json(const struct rrset *s, bool exact)
{
	char type[16];
	json_t *values = json_array(), *o = json_pack("{s:s, s:s, s:I, s:o}", "owner", s->owner, "type", rr_type_text(s->type, type), "ttl",
						      (json_int_t)s->ttl, "values", values);

	for (size_t i = 0; o && i < s->n; i++) {
		char *text = wire_rdata_text(s->type, s->values[i].bytes, s->values[i].len);

		if (!text || json_array_append_new(values, json_string(text)) < 0) {
			json_decref(o);
			o = NULL;
		}
		free(text);
	}
	if (!o || !exact)
		return o;
	values = json_array();
	json_object_set_new(o, "rdata", values);
	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(values, hex(&s->values[i]));
	return o;
}

int rrset_from_json(struct rrset *out, const json_t *object, struct err *err)
{
	const char *owner = json_string_value(json_object_get(object, "owner")), *type = json_string_value(json_object_get(object, "type"));
	const json_t *ttl = json_object_get(object, "ttl"), *rdata = json_object_get(object, "rdata"), *value;
	uint16_t number;
	size_t i;
	int rc;

	if (!owner || strlen(owner) >= RR_NAME_MAX || !type || !rr_type_parse(&number, type) || !json_is_integer(ttl) ||
	    json_integer_value(ttl) < 0 || json_integer_value(ttl) > INT32_MAX || !json_is_array(rdata))
		return err_set(err, -EINVAL, "found no RRset, expected owner, type, ttl and rdata");
	rc = rrset_init(out, owner, number, (uint32_t)json_integer_value(ttl));
	json_array_foreach (rdata, i, value)
		if (rc == 0)
			rc = add_hex(out, json_string_value(value));
	if (rc < 0)
		rrset_done(out);
	if (rc == -EINVAL)
		return err_set(err, rc, "found RDATA of %.200s %s that is not hexadecimal", owner, type);
	return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

/* ---- zones ---- */

int zone_init(struct zone *z, const char *name)
{
	*z = (struct zone){.name = strdup(name)};
	return z->name ? 0 : -ENOMEM;
}

int zone_add_set(struct zone *z, struct rrset *s)
{
	if (z->n == z->cap) {
		size_t cap = z->cap ? z->cap * 2 : 64;
		struct rrset *grown = reallocarray(z->sets, cap, sizeof *grown);

		if (!grown) {
			rrset_done(s);
			return -ENOMEM;
		}
		z->sets = grown;
		z->cap = cap;
	}
	z->sets[z->n++] = *s;
	*s = (struct rrset){0};
	return 0;
}

int zone_add(struct zone *z, const struct rr *r)
{
	struct rrset *last = z->n ? &z->sets[z->n - 1] : NULL, fresh;
	int rc;

	if (last && rrset_is(last, r->owner, r->type)) { /* a transfer has them together, as a rule */
		if (r->ttl < last->ttl)
			last->ttl = r->ttl;
		return rrset_add(last, r->rdata.bytes, r->rdata.len);
	}
	rc = rrset_init(&fresh, r->owner, r->type, r->ttl);
	if (rc == 0)
		rc = rrset_add(&fresh, r->rdata.bytes, r->rdata.len);
	if (rc < 0) {
		rrset_done(&fresh);
		return rc;
	}
	return zone_add_set(z, &fresh);
}

static int compare_sets(const void *a, const void *b)
{
	const struct rrset *x = a, *y = b;
	int c = name_compare(x->owner, y->owner);

	return c ? c : (x->type > y->type) - (x->type < y->type);
}

static int join(struct rrset *into, struct rrset *from)
{
	int rc = 0;

	if (from->ttl < into->ttl)
		into->ttl = from->ttl;
	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = rrset_add(into, from->values[i].bytes, from->values[i].len);
	rrset_done(from);
	return rc;
}

/* Also what the zone says about itself: serial, negative TTL (the last and the first field of five, RFC 1035 3.3.13), signed or not. */
static void note_apex(struct zone *z)
{
	const struct rrset *soa = zone_find(z, z->name, RR_SOA);

	z->is_signed = zone_find(z, z->name, RR_DNSKEY) != NULL;
	if (soa && soa->n && soa->values[0].len >= 20) {
		const uint8_t *p = soa->values[0].bytes + soa->values[0].len - 20;
		uint32_t minimum = (uint32_t)p[16] << 24 | (uint32_t)p[17] << 16 | (uint32_t)p[18] << 8 | p[19];

		z->serial = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		z->negative_ttl = minimum < soa->ttl ? minimum : soa->ttl;
	}
}

int zone_order(struct zone *z)
{
	size_t kept = 0;
	int rc = 0;

	if (z->n)
		qsort(z->sets, z->n, sizeof *z->sets, compare_sets);
	for (size_t i = 0; i < z->n; i++) {
		if (kept && compare_sets(&z->sets[kept - 1], &z->sets[i]) == 0) {
			if (join(&z->sets[kept - 1], &z->sets[i]) < 0)
				rc = -ENOMEM;
		} else {
			z->sets[kept++] = z->sets[i];
		}
	}
	z->n = kept;
	note_apex(z);
	return rc;
}

const struct rrset *zone_find(const struct zone *z, const char *owner, uint16_t type)
{
	char name[RR_NAME_MAX];
	struct rrset key = {.owner = name, .type = type};

	if (z->n == 0 || strlen(owner) >= sizeof name)
		return NULL;
	memcpy(name, owner, strlen(owner) + 1);
	return bsearch(&key, z->sets, z->n, sizeof *z->sets, compare_sets);
}

void zone_done(struct zone *z)
{
	for (size_t i = 0; i < z->n; i++)
		rrset_done(&z->sets[i]);
	free(z->sets);
	free(z->name);
	*z = (struct zone){0};
}

/* ---- types ---- */

bool rr_is_dnssec(uint16_t type)
{
	switch (type) {
	case RR_DS:
	case RR_RRSIG:
	case RR_NSEC:
	case RR_DNSKEY:
	case RR_NSEC3:
	case RR_NSEC3PARAM:
	case RR_CDS:
	case RR_CDNSKEY:
	case 65534: /* BIND's signing state */
		return true;
	default:
		return false;
	}
}
