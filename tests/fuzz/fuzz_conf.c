/* Any text: read or refused with a reason; what was read prints as a file that reads to the same. */
#include "lib/conf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const struct conf *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		abort();
	conf_print(c, f);
	fclose(f);
	return text;
}

static void expect(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = NULL, *again = NULL;
	struct err err = {0};
	char *text = strndup((const char *)data, size);
	int rc = conf_parse(&c, "fuzz.conf", text, &err);
	free(text);
	if (rc < 0) {
		expect(!c && strncmp(err.text, "fuzz.conf:", 10) == 0, err.text);
		return 0;
	}
	char *first = printed(c);
	expect(conf_parse(&again, "fuzz.conf", first, &err) == 0, err.text);
	char *second = printed(again);
	expect(strcmp(first, second) == 0, "it reads back to something else");
	free(first);
	free(second);
	conf_free(c);
	conf_free(again);
	return 0;
}
