#pragma once
/* show - what the command line prints for people, from the answers of act.h. */
#include "lib/out.h"

void show_plan(struct out *out);
void show_applied(struct out *out);
void show_list(struct out *out, const char *member, const char *when_empty);
void show_status(struct out *out);
