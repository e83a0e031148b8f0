/* What HTTP APIs answer. The first byte chooses: 'p' a zone of PowerDNS, 'd' alwaysdata's domains, anything else its records. What is read
 * as an RRset must be a change of itself away from itself: compared with itself it is no drift, and what is planned to make it of itself is
 * nothing. */
#include "dnsupdate/alwaysdata_json.h"
#include "dnsupdate/pdns_json.h"
#include "dnsupdate/rest.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONE "example.test."

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

/* Each RRset becomes another one, or none, and then is what it was. */
static void pdns_changes(const json_t *o, const struct zone *z)
{
	for (size_t i = 0; i < z->n && i < 20; i++) {
		const struct rrset *s = &z->sets[i];
		struct change same = {*s, *s}, gone = {*s, {.owner = s->owner, .type = s->type}};
		struct err err = {0};
		char *body;
		enum outcome out = pdns_patch(&body, o, &same, 1, &err);

		need((out == OUTCOME_DONE) == (body != NULL), "a request without a body, or a body of none");
		need(out == OUTCOME_DONE || err.text[0], "no reason");
		free(body);
		out = pdns_patch(&body, o, &gone, 1, &err);
		need((out == OUTCOME_DONE) == (body != NULL), "a request without a body, or a body of none");
		free(body);
	}
}

static void pdns(const json_t *o)
{
	struct err err = {0};
	struct zone z;

	if (pdns_zone_parse(&z, ZONE, o, &err) < 0) {
		need(err.text[0], "no reason");
		return;
	}
	for (size_t i = 0; i < z.n; i++)
		need(z.sets[i].n > 0 && name_within(z.sets[i].owner, ZONE), "an RRset that is none, or elsewhere");
	pdns_changes(o, &z);
	zone_done(&z);
}

static void records(const json_t *o)
{
	struct ad_records r;
	struct ad_writes w;
	struct zone z;

	if (ad_records_parse(&r, ZONE, 3, o, NULL) < 0)
		return;
	need(ad_zone(&z, ZONE, &r) == 0, "no zone of good records");
	for (size_t i = 0; i < z.n && i < 20; i++) {
		const struct rrset *s = &z.sets[i];
		struct change same = {*s, *s}, gone = {*s, {.owner = s->owner, .type = s->type}};
		struct rrset found;

		need(ad_rrset(&found, &r, s->owner, s->type) == 0 && rest_compare(&same, &found, NULL) == OUTCOME_DONE,
		     "drift from itself");
		rrset_done(&found);
		need(ad_plan(&w, ZONE, 3, &r, &same, 1, NULL) == 0 && w.n == 0, "work to leave it as it is");
		ad_writes_done(&w);
		need(ad_plan(&w, ZONE, 3, &r, &gone, 1, NULL) == 0 && w.n >= s->n, "too little work to make it go");
		ad_writes_done(&w);
	}
	zone_done(&z);
	ad_records_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_answer a = {.end = HTTP_ANSWERED, .status = 200, .target = "GET x"};
	char zone[RR_NAME_MAX], *text;
	struct err err = {0};
	json_int_t id;
	json_t *o;

	if (size == 0)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	a.body = text;
	a.len = size - 1;
	o = rest_json(&a, &err);
	need(o || err.text[0], "no reason");
	if (o && data[0] == 'p')
		pdns(o);
	else if (o && data[0] == 'd')
		ad_domain(o, "a.www.example.test.", &id, zone);
	else if (o)
		records(o);
	json_decref(o);
	a.status = 422;
	http_explain(&err, -EACCES, &a);
	for (const char *c = err.text; *c; c++)
		need(*c >= ' ' && *c < 0x7f, "a control character of a server's in a message of ours");
	free(text);
	return 0;
}
