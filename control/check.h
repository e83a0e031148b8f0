#pragma once
/* check - `shunt check`: what moves how, before anything does. Each account is one question after the other of one link, as many accounts
 * side by side as there are links; a thread has a link to itself, and nothing of the state database.
 * Exit: 0 nothing stands in the way; 1 a move would be refused, or it cannot be told; the text names the first. */
#include "control/app.h"

#define CHECK_LINKS 8

/* Of the accounts named, or (n 0) of all. links: at least one, borrowed. */
enum exit_code check_dns(struct app *a, struct dnslink *const *links, size_t n_links, char **words, int n, struct err *err);
