#pragma once
/* progress - one line on the terminal while a move runs: account, step, percent, time left. Nothing at all where stderr is no terminal
 * or with --json. Several moves side by side print a line per step instead of redrawing one. */
#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool on, many;
	bool drawn; /* a line without its newline is on the screen */
	int64_t last;
	char step[20];
};
void progress_init(struct progress *p, bool wanted, bool many);
/* percent < 0: unknown; left_s < 0: unknown. */
void progress_show(struct progress *p, const char *account, const char *step, double percent, int64_t left_s);
void progress_clear(struct progress *p); /* before other text */

/* Seconds left of what took elapsed_ms to get to percent; -1: cannot tell. */
int64_t progress_left(double percent, int64_t elapsed_ms);
const char *progress_duration(int64_t s, char out[32]); /* "40 s", "3 min", "2 h 5 min" */
