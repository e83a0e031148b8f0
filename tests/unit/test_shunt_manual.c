/* shunt(1) and the completion have every command that shunt lists, and every option of each. */
#include "control/cmd.h"

#include "tests/unit/manual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_words(char *name, const char *known)
{
	for (char *word = strtok(name, " "); word; word = strtok(NULL, " "))
		assert_completes(known, word);
}

static void the_manual_has_it_all(void **state)
{
	char *text = manual_file("control/shunt.1"), *known = manual_file("conf/shunt.bash-completion"),
	     *said = manual_says((const char *const[]){"shunt", "--help", NULL}, cmd_main), *line, *rest, name[40];
	int commands = 0, options = 0;

	(void)state;
	for (line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *summary = strncmp(line, "  ", 2) == 0 ? strstr(line + 2, "  ") : NULL;

		if (!summary || line[2] == '-' || line[2] == ' ')
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(summary - line - 2), line + 2);
		char *own = manual_says((const char *const[]){"shunt", "help", name, NULL}, cmd_main);
		commands++;
		if (strcmp(name, "serve") != 0 && strcmp(name, "help") != 0 && !manual_has_entry(text, name))
			fail_msg("the manual does not have the command %s", name);
		options += assert_options(own, text, known);
		check_words(name, known);
		free(own);
	}
	assert_true(commands >= 25 && options >= 100);
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
