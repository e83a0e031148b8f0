#pragma once
/* hook - runs the operator's program that tells whether addresses answer from outside: no shell, SHUNT_ADDRESSES in its environment
 * (separated by spaces), no standard input, killed with its process group after timeout_s. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define HOOK_PROBE_S 30 /* how long it may take */

/* The exit code (0: it works), or -errno. words: the first line of what it said. */
int hook_run(const char *program, json_t *addresses, int timeout_s, char *words, size_t cap, struct err *err);
