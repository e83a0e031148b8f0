#pragma once
/* status - parts of what `shunt status` says that come from the state alone, into a->out: lines, and members of its object. */
#include "control/app.h"

/* The step, its clocks, what they warn of and forecast: "step", "clocks".. */
void status_step(struct app *a);
/* Moves that have not ended, of one account or (NULL) of all: "moves", and of all also "in-all", how far they are. */
void status_moves(struct app *a, const char *name);
/* Of all, the first 100 alone: cheap enough for again and again. */
void status_moving(struct app *a);
