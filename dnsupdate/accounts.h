#pragma once
/* accounts - whose domains a command line means: the panel's file (lib/acctdef.h), else what the controller's state knows.
 * Read once, before privileges are given up; nothing is written. Ownership: accounts_done(). */
#include "lib/acctdef.h"
#include "lib/conf.h"

/* file NULL: the state of the configuration's control section, opened for reading alone. -ENOENT: neither is there. */
int accounts_load(struct acctset *out, const char *file, const struct conf *conf, struct err *err);
const struct acctdef *accounts_find(const struct acctset *s, const char *name); /* NULL: there is none */

/* Domains of other accounts at or below those of d; pointers into the set. *out is new, to be freed. -ENOMEM. */
int accounts_others(const struct acctset *s, const struct acctdef *d, char ***out, size_t *n);
