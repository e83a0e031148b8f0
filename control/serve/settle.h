#pragma once
/* settle - what became of an operation whose process left no answer (it was killed, could not be made, or serve ended just before it was):
 * told from the trail, which is written before anything is done. It is never run a second time to find out.
 * Moves: each "KIND begins" of the operation's token since the operation began is one of its moves; what the last line of that move says is
 * its end. Commands on accounts write their line together with the account. Of other commands it is not known: EXIT_STUCK.
 * Errors: none; what cannot be told is EXIT_STUCK. */
#include "control/journal.h"
#include "control/serve/operation.h"

/* state NULL, or the operation's trail -1: it cannot be read, or not where to begin. Returns an exit code (lib/exits.h); *answer: new, as
 * the command's own with "from-trail": true. */
int settle(struct journal *state, const struct operation *o, json_t **answer);
