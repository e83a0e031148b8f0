/* Any bytes as a chunked body, at once and in pieces: answer and output may not depend on how they arrive, and what is written must
 * be read as the same data. */
#include "proxy/chunk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	enum parse rc;
	size_t used, len;
	char *out;
};

static void must(bool good)
{
	if (!good)
		abort();
}

static struct result feed(const char *in, size_t len, bool raw, size_t step)
{
	struct result r = {.rc = PARSE_MORE, .out = malloc(len + 1)};
	struct chunk c;

	must(r.out != NULL);
	chunk_init(&c, raw);
	while (r.used < len && r.rc == PARSE_MORE) {
		size_t n = len - r.used < step ? len - r.used : step, used, written;

		r.rc = chunk_feed(&c, in + r.used, n, &used, r.out + r.len, &written);
		must(used <= n && written <= used && (r.rc != PARSE_MORE || used == n));
		r.used += used;
		r.len += written;
	}
	return r;
}

static void must_agree(const struct result *a, const struct result *b)
{
	must(a->rc == b->rc && a->used == b->used && a->len == b->len && memcmp(a->out, b->out, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *in = (const char *)data;
	struct result whole = feed(in, size, false, size), bytes = feed(in, size, false, 1), threes = feed(in, size, false, 3);
	struct result raw = feed(in, size, true, size), again = feed(whole.out, whole.len, false, 7),
		      raw_again = feed(whole.out, whole.len, true, 2);

	must_agree(&whole, &bytes);
	must_agree(&whole, &threes);
	must(raw.rc == whole.rc && raw.used == whole.used);
	if (whole.rc == PARSE_OK) {
		must_agree(&raw, &(struct result){whole.rc, raw.used, raw_again.len, raw_again.out});
		must(again.rc == PARSE_OK && again.used == whole.len && again.len == whole.len &&
		     memcmp(again.out, whole.out, whole.len) == 0);
	}
	free(whole.out);
	free(bytes.out);
	free(threes.out);
	free(raw.out);
	free(again.out);
	free(raw_again.out);
	return 0;
}
