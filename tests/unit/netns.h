#pragma once
/* netns - two network namespaces joined by a cable, for tests that need the real kernel: HERE with the interface "here", THERE with
 * "there". They have no name and end with the process. All of it fails the test where it does not work: a test that cannot run has not
 * passed. IPv4 192.0.2.10/24 here, .20/24 there; IPv6 2001:db8::10/64 and ::20/64; MAC 02:00:00:00:00:10 and :20. */
#include <stdbool.h>
#include <stddef.h>

enum netns { HERE, THERE };
#define HERE_MAC  "02:00:00:00:00:10"
#define THERE_MAC "02:00:00:00:00:20"

int netns_setup(void **state);    /* for cmocka: new ones, as group or test setup; enters HERE */
int netns_teardown(void **state); /* they end, if no child lives in them */

void netns_enter(enum netns n);                                                             /* this process, hence its children */
void netns_run(enum netns n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));   /* sh -c there; must succeed */
char *netns_read(enum netns n, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* what it prints; static buffer */

/* Waits for what must become true, 5 s at the most: while (!fact()) netns_wait(&tries, "the fact"); tries begins as 0. */
void netns_wait(int *tries, const char *what);
