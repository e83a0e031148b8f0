#pragma once
/* status - parts of what `shunt status` says that come from the state alone, into a->out: lines, and members of its object. */
#include "control/app.h"

void status_step(struct app *a); /* the step, its clocks, and what they warn of and forecast: "step", "clocks".. */
void status_moves(struct app *a,
		  const char *name); /* "moves": those that have not ended, of one account or (NULL) all; then also "in-all" */
