#pragma once
/* preflight_names - which names of different accounts a browser would ask for over one connection (RFC 9113 9.1.1: one certificate, one
 * address, HTTP/2). While these accounts are on different sides, such a request reaches the side of the account for whose name the
 * connection was made. Accounts without an address of their own share the server's.
 * Each certificate is looked at once: its names against an index of all domains. Time and memory are linear in domains, and in names of
 * different certificates; of one certificate NAMES_ACCOUNTS_MAX accounts are told.
 * Ownership: the index borrows the set. Threads: one. */
#include "lib/acctdef.h"

#include <jansson.h>

#define NAMES_ACCOUNTS_MAX 1000

struct preflight_names;
struct preflight_names *preflight_names_new(const struct acctset *all); /* NULL: no memory */
void preflight_names_free(struct preflight_names *n);
/* What the account's own side answered over HTTPS (fetch of proxy/control.h): adds a finding where a certificate covers others too. */
void preflight_names_judge(struct preflight_names *n, json_t *findings, const struct acctdef *def, const json_t *https);
