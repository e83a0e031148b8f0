/* Any bytes as a PROXY header. What is accepted and has addresses must come back from what we write of it. */
#include "proxy/pp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[PP_V2_MAX];
	struct pp p, again;
	enum parse rc = pp_parse(&p, data, size);
	size_t n;

	must((rc == PARSE_BAD) == (p.bad_reason != NULL));
	must(rc != PARSE_MORE || size < PP_READ_MAX);
	if (rc != PARSE_OK)
		return 0;
	must(p.len > 0 && p.len <= size && p.len <= PP_READ_MAX);
	must(pp_parse(&again, data, p.len) == PARSE_OK && pp_parse(&again, data, p.len - 1) == PARSE_MORE);
	if (p.local)
		return 0;
	n = pp_write_v2(out, &p.src, &p.dst);
	must(pp_parse(&again, out, n) == PARSE_OK && again.len == n && addr_same(&again.src, &p.src) && addr_same(&again.dst, &p.dst));
	return 0;
}
