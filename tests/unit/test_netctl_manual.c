/* shunt-netctl(8) and the completion have every command, plan and option that the program lists. */
#include "netctl/cmd.h"

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

static char *file(const char *name)
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

static char *help(void)
{
	char *argv[] = {"shunt-netctl", "--help", NULL};
	FILE *f = tmpfile();
	int before = dup(STDOUT_FILENO);

	assert_non_null(f);
	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	assert_int_equal(cmd_main(2, argv), 0);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	return rest_of(f);
}

/* "\n.It Ic NAME" begins its entry, whatever follows the name. */
static bool has_entry(const char *text, const char *name)
{
	char begin[100];
	size_t n = (size_t)snprintf(begin, sizeof begin, "\n.It Ic %s", name);

	for (const char *p = text; (p = strstr(p, begin)); p += n)
		if (p[n] == ' ' || p[n] == '\n')
			return true;
	return false;
}

/* Among the words between blanks and quotes. */
static void assert_completes(const char *known, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = known; (p = strstr(p, word)); p += n)
		if (strchr(" \"", p[-1]) && strchr(" \"", p[n]))
			return;
	fail_msg("the completion does not have %s", word);
}

static void the_manual_has_it_all(void **state)
{
	char *text = file("netctl/shunt-netctl.8"), *known = file("conf/shunt-netctl.bash-completion"), *said = help(), *line, *rest,
	     name[40], *word;
	int commands = 0, plans = 0, options = 0;

	(void)state;
	for (line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "Plans:", 6) == 0) {
			for (word = strtok(line + 6, " "); word; word = strtok(NULL, " "), plans++) {
				if (snprintf(name, sizeof name, "%s Ta", word) < 0 || !has_entry(text, name))
					fail_msg("the manual does not have the plan %s", word);
				assert_completes(known, word);
			}
		} else if (strncmp(line, "  ", 2) == 0 && sscanf(line + 2, "%39[a-z]", name) == 1) {
			commands++;
			if (!has_entry(text, name))
				fail_msg("the manual does not have the command %s", name);
			assert_completes(known, name);
		}
		for (word = line; (word = strstr(word, "--")); word += 2) {
			char option[60];

			if (sscanf(word, "--%39[a-z-]", name) != 1)
				continue;
			options++;
			snprintf(option, sizeof option, " -%s", name);
			if (!strstr(text, option))
				fail_msg("the manual does not have the option --%s", name);
			snprintf(option, sizeof option, "--%s", name);
			assert_completes(known, option);
		}
	}
	assert_true(commands >= 10 && plans >= 9 && options >= 8);
	free(text);
	free(known);
	free(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_it_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
