#pragma once
/* diag - the TCP connections this network namespace has, and the end of chosen ones: NETLINK_SOCK_DIAG, sock_diag(7).
 * It is for connections that were there before interception began: they go on past the proxy, straight to the local service, and must end
 * before an account can be said to be held. The kernel tells apart (all of this is seen, on 6.18):
 *  - what the proxy accepted through TPROXY: the option IP_TRANSPARENT, inherited from its listener (IPv4 and IPv6 alike);
 *  - what the proxy opened to a local service with the visitor's address: IP_TRANSPARENT and the proxy's mark on the proxy's socket, the
 *    same mark on the service's (tcp_fwmark_accept). Should the mark be missing there, its other end is on this host: diag_find();
 *  - all else: strangers straight at a local service. Neither their port nor their age says so: a stranger may well use a port below 1024.
 * A connection that is half open (SYN received, our SYN-ACK not answered) has no options to look at: see diag_reset().
 * Not told of at all: listeners, closed ones, and those only the kernel still remembers (TIME-WAIT, or FIN-WAIT-2 without a process).
 * An IPv4 connection of a socket for both families (::ffff:192.0.2.1) is an IPv4 connection here.
 * Errors: 0 or a count, or -errno: -EOPNOTSUPP where the kernel cannot list or reset, or does not show IP_TRANSPARENT (before Linux 5.15),
 * -EPERM without CAP_NET_ADMIN, which resetting needs and seeing marks as well. Threads: any; nothing is shared. */
#include "lib/addr.h"
#include "lib/err.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct diag_sock {
	struct addr local, remote; /* with ports */
	uint32_t uid, inode;       /* of the process; before accept() and when half open inode is 0, and uid may be */
	uint32_t mark;
	bool half_open;
	bool transparent; /* IP_TRANSPARENT; where half_open, false says nothing */
	/* how to name it to the kernel; diag.c's own */
	uint8_t family;
	struct inet_diag_sockid id;
};

/* Which connections: those with a local address of `local` (ports aside) and a local port of `ports`. Borrowed. */
struct diag_want {
	const struct addr *local;
	size_t n_local;
	const uint16_t *ports; /* host order */
	size_t n_ports;
};

/* Returns how many there are; on_sock, if any, is told of each, after the last was read from the kernel. */
int diag_list(const struct diag_want *want, void (*on_sock)(const struct diag_sock *s, void *arg), void *arg, struct err *err);

/* The one connection local <-> remote, as its end with the address `local` sees it. -ENOENT (err untouched) where there is none. */
int diag_find(const struct addr *local, const struct addr *remote, struct diag_sock *out, struct err *err);

/* Resets: the process gets ECONNABORTED, the other end an RST. Which ones, `judge` says; that one is gone by itself is fine.
 * DIAG_WAIT is for half-open ones: they are judged again as they complete, every 20 ms; after half_open_ms those that stood at the first
 * look and still do not say what they are, are reset. Half-open ones that came later are judged no more: they came after interception
 * began. Returns how many were reset, or the first error: those before it are reset then. */
enum diag_verdict { DIAG_SPARE, DIAG_RESET, DIAG_WAIT };
typedef int diag_judge(const struct diag_sock *s, void *arg, struct err *err); /* enum diag_verdict, or -errno, which ends it all */
int diag_reset(const struct diag_want *want, diag_judge *judge, void *arg, unsigned half_open_ms, struct err *err);

/* The judge for a host with the proxy: all but what is the proxy's. arg: uint32_t *, the proxy's mark, one or more bits; 0 for none. */
diag_judge diag_not_the_proxys;
diag_judge diag_the_proxys; /* the other way round; nothing is half-open to it */

/* Without doing anything: 0, or -EOPNOTSUPP as diag_reset() would say. A missing privilege shows only where there is something to reset. */
int diag_can_reset(struct err *err);

/* For tests: what the kernel's error (0 or -errno) to a reset means: 1 done, 0 was gone, or -errno with err. */
int diag_reset_answer(int answer, struct err *err);
