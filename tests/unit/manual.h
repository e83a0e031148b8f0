#pragma once
/* manual - what tests of a program's manual and completion have in common. Texts are returned new; what is missing fails the test. */
#include <stdbool.h>

char *manual_file(const char *name); /* of the source tree */
/* What a program prints that ends with 0; cmd_main is its own. */
char *manual_says(const char *const *argv, int (*cmd_main)(int argc, char **argv));
/* What `program --help` prints. */
char *manual_help(const char *program, int (*cmd_main)(int argc, char **argv));
/* "\n.It Ic NAME" begins its entry, whatever follows the name. */
bool manual_has_entry(const char *text, const char *name);
/* Among the words between blanks and quotes. */
void assert_completes(const char *known, const char *word);
/* Every --option of the line is in the manual and completed; how many there are. */
int assert_options(const char *line, const char *text, const char *known);
