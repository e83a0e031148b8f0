/* shunt.conf(5) has every section and key as the program knows them: its list is conf_document()'s output, word for word. */
#include "lib/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t n = 0;

	if (!f)
		fail_msg("cannot open %s", path);
	if (getdelim(&text, &n, '\0', f) < 0)
		fail_msg("%s is empty", path);
	fclose(f);
	return text;
}

static void the_manual_has_every_key(void **state)
{
	const char *srcdir = getenv("srcdir");
	char path[4096], *manual, *wanted = NULL, *line, *rest;
	size_t n;
	FILE *f = open_memstream(&wanted, &n);

	(void)state;
	snprintf(path, sizeof(path), "%s/conf/shunt.conf.5", srcdir ? srcdir : ".");
	manual = read_all(path);
	conf_document(f);
	fclose(f);
	if (!strstr(manual, wanted)) {
		/* say the first line that is not there, else it is the order */
		for (line = strtok_r(wanted, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			if (!strstr(manual, line))
				fail_msg("%s does not have: %s", path, line);
		fail_msg("%s has the keys in another order than the program", path);
	}
	free(manual);
	free(wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
