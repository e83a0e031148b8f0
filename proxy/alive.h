#pragma once
/* alive - the proof that this proxy works, given by the loops that accept: to the kernel, which intercepts only while it is fresh, and to
 * the service manager, which restarts a process that has stopped giving it. Every worker beats in its own loop, each ALIVE_BEAT_MS. The one
 * that finds that all have beaten within ALIVE_FRESH_MS speaks for them:
 *   - where all of them accept, it renews the elements ipv4 and ipv6 of the set `alive` of the nft table inet shunt_intercept for
 *     ALIVE_TIMEOUT_MS (one nfnetlink batch, at most one per beat). When they run out, because the process is gone, hangs, or has stopped
 *     accepting, the kernel's rules let visitors through to the local services as if we were not there;
 *   - in any case it sends WATCHDOG=1 (sd_notify(3)).
 * No such table is no error: interception is then off. What the kernel says is logged when it changes.
 * Ownership: struct proxy's. Threads: alive_beat() each worker for itself, alive_state() any, the rest the main one. Units: ms of
 * loop_now().
 */
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALIVE_TABLE      "shunt_intercept"
#define ALIVE_SET        "alive"
#define ALIVE_BEAT_MS    200
#define ALIVE_FRESH_MS   400
#define ALIVE_TIMEOUT_MS 800
#define ALIVE_NOTIFY_MS  500

struct alive;

/* intercept: the kernel is told too; then netlink must be there. */
int alive_new(struct alive **out, unsigned n_workers, bool intercept, uint64_t now, struct err *err);
void alive_free(struct alive *a);
void alive_beat(struct alive *a, unsigned worker, bool accepts, uint64_t now);
void alive_withdraw(struct alive *a, uint64_t now); /* at the end: the elements go at once and are not renewed; NULL is fine */

struct alive_state {
	bool on, alive;   /* on: the kernel is told; alive: and has it */
	int64_t since_ms; /* when alive became what it is, ms since 1970 */
	uint64_t since;   /* the same, of loop_now() */
	uint64_t renewed, failed;
	int error; /* of the last renewal; 0 or -errno */
};
struct alive_state alive_state(struct alive *a, uint64_t now);

/* The batch as it goes to the kernel: adds both elements, deletes them and, with renew, adds them anew: adding alone does not prolong one
 * that is there, and deleting alone fails where there is none. Pure. Returns its length. */
#define ALIVE_MESSAGE_MAX 512
size_t alive_message(uint8_t out[ALIVE_MESSAGE_MAX], bool renew);
