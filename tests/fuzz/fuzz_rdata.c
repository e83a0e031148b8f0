/* Any text as the value of a record, as an HTTP API may send it. The first byte says of which type. What is read has a text that leads back
 * to the same bytes. */
#include "dnsupdate/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static const uint16_t types[] = {RR_A, RR_AAAA, RR_CNAME, RR_MX,  RR_TXT, RR_SRV,    RR_SOA, RR_NS,  RR_PTR,     RR_HTTPS, 64,       257,
				 35,   44,      52,       RR_DS,  29,     RR_DNSKEY, RR_SPF, 256,    RR_RRSIG,   RR_NSEC,  RR_NSEC3, 61,
				 53,   RR_SPF,  55,       RR_PTR, 11,     RR_DNAME,  17,     RR_CDS, RR_CDNSKEY, 65280,    RR_ALIAS};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes, *back;
	size_t len, back_len;
	struct err err = {0};
	char *value, *text;
	uint16_t type;

	if (size < 1 || size > 4096)
		return 0;
	type = types[data[0] % (sizeof types / sizeof types[0])];
	value = strndup((const char *)data + 1, size - 1);
	if (wire_rdata_parse(type, value, &bytes, &len, &err) == 0) {
		text = wire_rdata_text(type, bytes, len);
		must(text && !strpbrk(text, "\r\n"));
		if (strncmp(text, "\\#", 2) != 0) {
			must(wire_rdata_parse(type, text, &back, &back_len, NULL) == 0);
			must(back_len == len && memcmp(back, bytes, len) == 0);
			free(back);
		}
		free(text);
		free(bytes);
	} else {
		must(err.code < 0 && err.text[0]);
	}
	free(value);
	return 0;
}
