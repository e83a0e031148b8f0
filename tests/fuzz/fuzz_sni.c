/* Any bytes as the start of a TLS connection. An answer may not change by what arrives later, and a name is a name. */
#include "proxy/sni.h"

#include "proxy/name.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELLO_MAX 32768

static void must(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cuts[] = {1, 5, 9, 44, size / 2, size - 1};
	struct sni s, part;
	enum parse rc = sni_parse(&s, data, size, HELLO_MAX);
	char name[NAME_BYTES];

	must((rc == PARSE_BAD) == (s.bad_reason != NULL));
	must(rc == PARSE_OK || s.name_len == 0);
	if (s.name_len > 0)
		must(name_canon(name, s.name, s.name_len) == s.name_len && strcmp(name, s.name) == 0);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		if (cuts[i] >= size)
			continue;
		switch (sni_parse(&part, data, cuts[i], HELLO_MAX)) {
		case PARSE_OK:
			must(rc == PARSE_OK && strcmp(part.name, s.name) == 0);
			break;
		case PARSE_BAD:
			must(rc == PARSE_BAD);
			break;
		case PARSE_MORE:
			break;
		}
	}
	return 0;
}
