#pragma once
/* check - `shunt check`: what moves how, before anything does. How it asks is check_ask.h; a thread of it has its links to itself, and
 * nothing of the state database. What is found is told in order of the accounts.
 * Exit: 0 nothing stands in the way; 1 a move would be refused, or break something, or it cannot be told; the text names the first. */
#include "control/app.h"
#include "control/dnslink.h"

#define CHECK_LINKS 16

struct check_links {
	struct dnslink *const *dns;     /* n of them; NULL: DNS is not looked at */
	struct proxylink *const *proxy; /* likewise; with them goes the preflight (preflight.h), and what it finds is kept */
	size_t n;                       /* at least one */
};
/* Of the accounts named, or (n 0) of all. */
enum exit_code check_run(struct app *a, const struct check_links *links, char **words, int n, struct err *err);
enum exit_code check_dns(struct app *a, struct dnslink *const *links, size_t n_links, char **words, int n, struct err *err); /* alone */
int check_load(struct app *a, char **words, int n, struct acctset *set, struct err *err); /* the accounts named, or all */
enum exit_code check_last(struct app *a, char **words, int n, struct err *err);           /* what was found when they were checked last */
