#pragma once
/* nft - runs the program nft(8): tables of nftables, read and written. (libnftables is GPL-2-only and cannot be linked with OpenSSL 3.)
 * No shell: /usr/sbin/nft, else the first nft of PATH, with an environment of PATH and LC_ALL=C alone. A ruleset goes in on standard input
 * and is one transaction: all of it holds or nothing. What nft says on standard error is the text of the error. Nothing waits longer than
 * NFT_DEADLINE_MS; then nft is killed. Up to then the caller waits: this is not for an event loop that serves. Errors: -ENOENT no such
 * program (the text names Debian's package), -ETIMEDOUT, -EPERM needs root, -EOPNOTSUPP the kernel lacks what a rule needs, -EINVAL else:
 * nft refused it. Threads: any. */
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>

#define NFT_DEADLINE_MS 10000
#define NFT_OUTPUT_MAX  (64 << 20) /* bytes of a listing */
#define NFT_PREFIX      "shunt_"   /* the names of our tables */

int nft_apply(const char *ruleset, struct err *err); /* nft -f - */
/* What stands between the table's braces, as nft writes and reads it; *rules is the caller's to free(), NULL where there is no such table.
 */
int nft_rules(const char *family, const char *name, char **rules, struct err *err);
int nft_table_json(const char *family, const char *name, json_t **out, struct err *err); /* nft -j list table; returns new, NULL: none */
/* Appends {"op":"nft-table","family":..,"name":..} for every table named shunt_*. */
int nft_ours(json_t *names, struct err *err);
