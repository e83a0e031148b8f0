/* Any JSON in place of an entry of the journal: read or refused with a reason; what was read is written to something that reads to the
 * same, and a zone that knows nothing of it settles no more than it may. */
#include "dnsupdate/entry.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void check(struct entry *e)
{
	struct zone empty;

	for (size_t i = 0; i < e->n; i++) {
		const struct rrset *s = &e->marks[i].before;

		expect(entry_mark(e, s->owner, s->type) == &e->marks[i], "a mark is not found");
	}
	expect(zone_init(&empty, e->zone) == 0, "out of memory");
	expect((entry_settle(e, &empty) > 0) == entry_pending(e), "pending and settled");
	entry_compact(e);
	zone_done(&empty);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL), *first, *second;
	struct err err = {0};
	struct entry e, again;

	if (!object)
		return 0;
	if (entry_from_json(&e, object, &err) < 0) {
		expect(err.text[0], "refused without a reason");
		json_decref(object);
		return 0;
	}
	json_decref(object);
	first = entry_to_json(&e);
	expect(first && entry_from_json(&again, first, &err) == 0, err.text);
	second = entry_to_json(&again);
	expect(json_equal(first, second), "it reads back to something else");
	json_decref(first);
	json_decref(second);
	check(&again);
	entry_done(&again);
	entry_done(&e);
	return 0;
}
