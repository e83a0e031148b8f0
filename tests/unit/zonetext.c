#include "tests/unit/zonetext.h"

#include "dnsupdate/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_record(struct zone *z, const char *name, uint32_t ttl, const char *type, const char *value)
{
	char owner[RR_NAME_MAX];
	struct rr r = {.ttl = ttl, .class = 1};
	struct err err = {0};
	size_t len;

	snprintf(owner, sizeof owner, "%s%s%s", strcmp(name, "@") == 0 ? "" : name, strcmp(name, "@") == 0 ? "" : ".", z->name);
	r.owner = owner;
	assert_true(rr_type_parse(&r.type, type));
	if (wire_rdata_parse(r.type, value, &r.rdata.bytes, &len, &err) < 0)
		fail_msg("%s", err.text);
	r.rdata.len = (uint16_t)len;
	assert_int_equal(zone_add(z, &r), 0);
	free(r.rdata.bytes);
}

void zone_from_text(struct zone *z, const char *apex, const char *text)
{
	char *copy = strdup(text), *save;

	assert_int_equal(zone_init(z, apex), 0);
	if (!strstr(text, " SOA "))
		add_record(z, "@", 600, "SOA", "ns.invalid. hostmaster.invalid. 1 3600 600 86400 300");
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[300], type[20];
		unsigned ttl;
		int n = 0;

		if (line[strspn(line, " \t")] == '\0')
			continue;
		if (sscanf(line, " %299s %u %19s %n", name, &ttl, type, &n) != 3)
			fail_msg("no record: %s", line);
		add_record(z, name, ttl, type, line + n);
	}
	free(copy);
	assert_int_equal(zone_order(z), 0);
}

char *zone_to_text(const struct zone *z)
{
	char *out = NULL, type[16];
	size_t len;
	FILE *f = open_memstream(&out, &len);

	for (size_t i = 0; i < z->n; i++) {
		const struct rrset *s = &z->sets[i];

		for (size_t k = 0; s->type != RR_SOA && k < s->n; k++) {
			char *text = wire_rdata_text(s->type, s->values[k].bytes, s->values[k].len);

			fprintf(f, "%s %u %s %s\n", s->owner, s->ttl, rr_type_text(s->type, type), text);
			free(text);
		}
	}
	fclose(f);
	return out;
}

static void take_away(struct zone *z, const char *owner, uint16_t type)
{
	size_t kept = 0;

	for (size_t i = 0; i < z->n; i++) {
		if (rrset_is(&z->sets[i], owner, type))
			rrset_done(&z->sets[i]);
		else
			z->sets[kept++] = z->sets[i];
	}
	z->n = kept;
}

void zone_apply(struct zone *z, const struct entry *e)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct mark *m = &e->marks[i];
		struct rrset copy;

		if (!m->pending)
			continue;
		take_away(z, m->next.owner, m->next.type);
		if (m->next.n == 0)
			continue;
		assert_int_equal(rrset_copy(&copy, &m->next), 0);
		assert_int_equal(zone_add_set(z, &copy), 0);
	}
	assert_int_equal(zone_order(z), 0);
}

void rrset_from_text(struct rrset *s, const char *owner, uint16_t type, uint32_t ttl, const char *value)
{
	uint8_t *bytes;
	size_t len;

	assert_int_equal(rrset_init(s, owner, type, ttl), 0);
	if (!value)
		return;
	assert_int_equal(wire_rdata_parse(type, value, &bytes, &len, NULL), 0);
	assert_int_equal(rrset_add(s, bytes, len), 0);
	free(bytes);
}

static void set_host(struct conf_host *h, const char *text)
{
	if (strcmp(text, "-") == 0)
		return;
	h->text = strdup(text);
	h->line = 3;
	addr_parse(&h->addr, text); /* stays AF_UNSPEC for a name */
}

struct conf conf_from_text(const char *pairs)
{
	struct conf c = {.file = "test.conf", .dns = {.ttl = 60, .zone_share = 90}};
	char *copy = strdup(pairs), *save;

	for (char *pair = strtok_r(copy, ",", &save); pair; pair = strtok_r(NULL, ",", &save)) {
		char client[64], transit[64];

		assert_int_equal(sscanf(pair, " %63s %63s", client, transit), 2);
		c.pairs = reallocarray(c.pairs, c.n_pairs + 1, sizeof *c.pairs);
		c.pairs[c.n_pairs] = (struct conf_pair){.line = 3};
		set_host(&c.pairs[c.n_pairs].client, client);
		set_host(&c.pairs[c.n_pairs].transit, transit);
		c.n_pairs++;
	}
	free(copy);
	return c;
}

void conf_done(struct conf *c)
{
	for (size_t i = 0; i < c->n_pairs; i++) {
		free(c->pairs[i].client.text);
		free(c->pairs[i].transit.text);
	}
	free(c->pairs);
}
