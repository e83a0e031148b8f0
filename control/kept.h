#pragma once
/* kept - the findings of a check on their way to disk: added up, and written down some accounts at a time, so that others who write need
 * not wait for all. Where they cannot be written that is said once, and the check goes on. Zeroed is the start. */
#include "control/app.h"
#include "control/finding.h"

struct kept {
	size_t counts[GRADES], stopped; /* findings; accounts with a stop */
	char first[600];                /* the first stop */
	json_t *waiting;                /* name -> findings; owned */
	bool lost;                      /* it was said */
};
void kept_take(struct kept *k, struct app *a, const char *account, json_t *findings); /* borrowed */
void kept_flush(struct kept *k, struct app *a);                                       /* all is on disk, or was said not to be */
