#pragma once
/* pipes - a worker's pool of pipes for splice(2).
 * A pipe has PIPES_SIZE bytes, or at least PIPES_SIZE_MIN where the kernel grants no more; a smaller one (an unprivileged user who has
 * used up his pages silently gets 8 KiB) is not worth its descriptors: it is closed and the pool hands out only what it has for a second.
 * Nothing here is fatal: without a pipe the caller copies.
 * Ownership: pipes_get() lends, pipes_put() takes back. A pipe that still holds bytes is closed, never lent again: they would reach
 * another customer. All pipes must be back before pipes_free().  Threads: a pool never leaves its worker. */
#include <stddef.h>

#define PIPES_SIZE     (1024u * 1024)
#define PIPES_SIZE_MIN (64u * 1024)
#define PIPES_KEEP     32   /* idle ones kept open */
#define PIPES_PAUSE_MS 1000 /* after a refusal of the kernel */

struct pipes;
struct pipe {
	int rd, wr;        /* both nonblocking and closed on exec */
	unsigned size;     /* bytes it can hold */
	unsigned held;     /* bytes in it; kept by whoever borrows the pipe */
	struct pipe *next; /* the pool's; the borrower may use it too */
};

struct pipes *pipes_new(unsigned cap);              /* at most cap pipes, lent and idle together; NULL: no memory */
void pipes_free(struct pipes *p);                   /* NULL is fine */
struct pipe *pipes_get(struct pipes *p);            /* NULL: the cap is reached or the kernel refuses */
void pipes_put(struct pipes *p, struct pipe *pipe); /* NULL is fine */
unsigned pipes_lent(const struct pipes *p);         /* for status */
unsigned pipes_idle(const struct pipes *p);
