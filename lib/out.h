#pragma once
/* out - what a command says: text for people on standard output, or with --json one object for machines, also for errors.
 * Text lines and object members are both given by the command; only the kind that was asked for is printed. */
#include "lib/err.h"
#include "lib/exits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct out {
	bool json;
	FILE *to;       /* of the lines; borrowed; NULL: standard output */
	json_t *object; /* owned; grows until out_finish() */
};
bool out_wants_json(int argc, char **argv); /* --json holds for usage errors too, wherever it stands before a "--" */
void out_init(struct out *o, bool json);
void out_line(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* without its newline */
void out_set(struct out *o, const char *key, json_t *value);                              /* takes value */
/* Prints the object, or the error's text to standard error; frees. Returns the exit code: that of the deed, also when the words were lost.
 */
int out_finish(struct out *o, enum exit_code x, const struct err *err);
