/* shunt-dnsupdate(8) and the completion have every command and option that the program lists, and the manual every word that answers use.
 */
#include "dnsupdate/cmd.h"

#include "dnsupdate/authority.h"
#include "dnsupdate/task.h"

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
	char *text = manual_file("dnsupdate/shunt-dnsupdate.8"), *known = manual_file("conf/shunt-dnsupdate.bash-completion"),
	     *said = manual_help("shunt-dnsupdate", cmd_main), *line, *rest, name[40];
	int commands = 0, options = 0;

	(void)state;
	for (line = strtok_r(said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "  ", 2) == 0 && sscanf(line + 2, "%39[a-z]", name) == 1) {
			commands++;
			if (!manual_has_entry(text, name))
				fail_msg("the manual does not have the command %s", name);
			assert_completes(known, name);
		}
		options += assert_options(line, text, known);
	}
	assert_true(commands >= 9 && options >= 9);
	free(text);
	free(known);
	free(said);
}

static void assert_word(const char *text, const char *before, const char *word)
{
	char with[100];
	size_t n = (size_t)snprintf(with, sizeof with, "%s%s", before, word);

	for (const char *p = text; (p = strstr(p, with)); p += n)
		if (strchr(" ,.\n", p[n]) && (*before || strchr(" \n", p[-1])))
			return;
	fail_msg("the manual does not have %s", word);
}

static void the_manual_has_the_words_of_answers(void **state)
{
	char *text = manual_file("dnsupdate/shunt-dnsupdate.8");

	(void)state;
	for (int v = VERDICT_MANAGED; v <= VERDICT_UNKNOWN; v++)
		assert_word(text, "\n.It ", verdict_text((enum verdict)v));
	for (int f = FATE_CHANGES; f <= FATE_DONE; f++)
		assert_word(text, "\n.It ", fate_text((enum fate)f));
	for (int o = TASK_NOTHING; o <= TASK_UNKNOWN; o++)
		assert_word(text, "", task_outcome_text((enum task_outcome)o));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_has_it_all),
		cmocka_unit_test(the_manual_has_the_words_of_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
