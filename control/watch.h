#pragma once
/* watch - `shunt status --watch`: the status again each second until Ctrl-C, from anywhere, while others work. It reads only: no lock is
 * taken, and a daemon that is away is said to be, and looked for again.
 * On a terminal it redraws; elsewhere each line is printed when it is new, with the time; with --json there is one object per line, with
 * "at". EXIT_DONE at Ctrl-C, and when nobody reads any more. */
#include "control/app.h"

typedef enum exit_code watch_fn(struct app *a, char **words, int n, struct err *err);
enum exit_code watch(struct app *a, watch_fn *status, char **words, int n, struct err *err);
