/* shunt-netctl(8) and the completion have every command, plan and option that the program lists. */
#include "netctl/cmd.h"

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

static void the_manual_has_it_all(void **state)
{
	char *text = manual_file("netctl/shunt-netctl.8"), *known = manual_file("conf/shunt-netctl.bash-completion"),
	     *said = manual_help("shunt-netctl", cmd_main), *line, *rest, name[40], *word;
	int commands = 0, plans = 0, options = 0;

	(void)state;
	for (line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "Plans:", 6) == 0) {
			for (word = strtok(line + 6, " "); word; word = strtok(NULL, " "), plans++) {
				if (snprintf(name, sizeof name, "%s Ta", word) < 0 || !manual_has_entry(text, name))
					fail_msg("the manual does not have the plan %s", word);
				assert_completes(known, word);
			}
		} else if (strncmp(line, "  ", 2) == 0 && sscanf(line + 2, "%39[a-z]", name) == 1) {
			commands++;
			if (!manual_has_entry(text, name))
				fail_msg("the manual does not have the command %s", name);
			assert_completes(known, name);
		}
		options += assert_options(line, text, known);
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
