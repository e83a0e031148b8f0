/* Any bytes as the answer of a site that is looked at: what is said of it may not depend on how it arrives, and is fit for JSON. */
#include "proxy/fetch.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 20000 /* a head is parsed anew with each piece */

static void must(bool good)
{
	if (!good)
		abort();
}

static int feed(struct fetch_facts *f, const uint8_t *data, size_t size, size_t step)
{
	struct fetch_answer a = {.buf = malloc(FETCH_MAX)};
	int rc = 0;

	must(a.buf != NULL);
	*f = (struct fetch_facts){0};
	for (size_t at = 0; rc == 0 && at < size; at += step) {
		size_t n = size - at < step ? size - at : step;

		must(n <= FETCH_MAX - a.len);
		memcpy(a.buf + a.len, data + at, n);
		rc = fetch_feed(&a, n, false, f);
	}
	if (rc == 0)
		rc = fetch_feed(&a, 0, true, f);
	must(rc != 0);
	free(a.buf);
	return rc;
}

static void must_be_text(const char *text)
{
	json_t *s = json_string(text);

	must(s != NULL);
	json_decref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = size < MOST ? size : MOST;
	struct fetch_facts whole, pieces;
	int rc = feed(&whole, data, len, len ? len : 1), same = feed(&pieces, data, len, 61);

	must(rc == same && whole.status == pieces.status && whole.size == pieces.size && whole.whole == pieces.whole);
	must(whole.outline.tags == pieces.outline.tags && whole.outline.words == pieces.outline.words);
	must_be_text(whole.location);
	must_be_text(whole.type);
	must_be_text(whole.outline.title);
	return 0;
}
