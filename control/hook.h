#pragma once
/* hook - a program of the operator's, run at one point of a move.
 * The configured path is executed directly: no shell, no arguments, standard input /dev/null, and an environment of PATH and the SHUNT_
 * variables below alone. Between us and it stands a keeper, a small process of ours, which kills the hook's whole process group
 * when the hook has ended, when we tell it to, and when we die, even by SIGKILL: a copy never goes on behind an undone move.
 * Standard output is read line by line: "progress 40%" moves the display, other lines are kept (bounded) for the trail. The last lines of
 * standard error are the text of a failure.
 * Errors: -EIO it failed (exit, signal), -ETIMEDOUT, -EINTR cancelled, -ENOENT and others: it could not be run. Units: seconds, percent. */
#include "lib/err.h"

#include <stddef.h>

#define HOOK_LINE_MAX   4096  /* of a line, the rest is dropped */
#define HOOK_OUTPUT_MAX 65536 /* of all lines kept */
#define HOOK_ENV_MAX    12

struct hook {
	const char *name; /* SHUNT_HOOK: prepare, copy, seal, verify */
	const char *path;
	const char *env[HOOK_ENV_MAX]; /* "SHUNT_ACCOUNT=alice", ...; NULL at the end; borrowed */
	int timeout_s;                 /* 0: none */
	int cancel_fd;                 /* readable: kill it; -1: none */
	void (*on_progress)(void *arg, double percent);
	void (*on_tick)(void *arg); /* about every second while it runs; or NULL */
	void *arg;
};

struct hook_output {
	char *text; /* owned; NULL when it said nothing */
	size_t len;
	size_t dropped; /* bytes past HOOK_OUTPUT_MAX and HOOK_LINE_MAX */
	long ms;
};
void hook_output_done(struct hook_output *o);

int hook_run(const struct hook *h, struct hook_output *out, struct err *err);
