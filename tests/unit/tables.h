#pragma once
/* tables - the proxy's table of accounts, out of a JSON list of them. Whatever goes wrong ends the test. */
#include "proxy/table.h"

struct acctset accounts_of(const char *json);                      /* returned new */
struct table *table_of(const char *json, const struct table *old); /* for two workers; returned new */
