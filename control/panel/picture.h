#pragma once
/* picture - the two servers, and on each the accounts that live there, as a figure: drawn for eyes, and told in its caption for everybody.
 * Above NAMED accounts on a side they are dots. */
#include "control/panel/visit.h"

#define PICTURE_NAMED 16
#define PICTURE_DOTS  420 /* whole rows */

/* accounts: objects with name and side; moves: those in progress. only: an owner's picture, in which nothing is counted. */
void put_picture(struct visit *v, const json_t *accounts, const json_t *moves, bool only);
