#pragma once
/* accounts - the state database of a test, and accounts in it. Whatever goes wrong ends the test. */
#include "control/journal.h"

struct journal *accounts_open(const char *path, const struct who *who);
void accounts_put(struct journal *j, json_t *account);                        /* as acctdef_from_json() reads it; takes it */
void accounts_put_named(struct journal *j, const char *name, enum side side); /* with the domain NAME.example */
