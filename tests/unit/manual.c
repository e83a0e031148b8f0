#include "tests/unit/manual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *rest_of(FILE *f)
{
	char *text = NULL;
	size_t n = 0;

	rewind(f);
	if (getdelim(&text, &n, '\0', f) < 0)
		fail_msg("nothing to read");
	fclose(f);
	return text;
}

char *manual_file(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", srcdir ? srcdir : ".", name);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s", path);
	return rest_of(f);
}

char *manual_says(const char *const *words, int (*cmd_main)(int, char **))
{
	char *argv[8] = {NULL};
	int n = 0;
	FILE *f = tmpfile();
	int before = dup(STDOUT_FILENO);

	assert_non_null(f);
	for (; words[n]; n++)
		argv[n] = (char *)(uintptr_t)words[n];
	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	assert_int_equal(cmd_main(n, argv), 0);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	return rest_of(f);
}

char *manual_help(const char *program, int (*cmd_main)(int, char **))
{
	return manual_says((const char *const[]){program, "--help", NULL}, cmd_main);
}

bool manual_has_entry(const char *text, const char *name)
{
	char begin[100];
	size_t n = (size_t)snprintf(begin, sizeof begin, "\n.It Ic %s", name);

	for (const char *p = text; (p = strstr(p, begin)); p += n)
		if (p[n] == ' ' || p[n] == '\n')
			return true;
	return false;
}

void assert_completes(const char *known, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = known; (p = strstr(p, word)); p += n)
		if (strchr(" \"", p[-1]) && strchr(" \"", p[n]))
			return;
	fail_msg("the completion does not have %s", word);
}

int assert_options(const char *line, const char *text, const char *known)
{
	char name[40], option[60];
	int n = 0;

	for (const char *word = line; (word = strstr(word, "--")); word += 2) {
		if (sscanf(word, "--%39[a-z-]", name) != 1)
			continue;
		n++;
		snprintf(option, sizeof option, " -%s", name);
		if (!strstr(text, option))
			fail_msg("the manual does not have the option --%s", name);
		snprintf(option, sizeof option, "--%s", name);
		assert_completes(known, option);
	}
	return n;
}
