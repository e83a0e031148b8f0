#pragma once
/* exits - how every command of shunt ends (DESIGN 7). */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1, /* nothing changed; the message names the guard and what would satisfy it */
	EXIT_USAGE = 2,   /* or bad configuration, or a damaged state */
	EXIT_UNDONE = 3,  /* failed, and as it was before */
	EXIT_STUCK = 4    /* failed, and not as it was: a person must decide */
};
