#pragma once
/* stream - one TLS or TCP connection of a visitor and the connection to the back end that it is joined to.
 * TLS: the ClientHello is read until its server name is known, the account decides the side, and everything the visitor said goes there
 * unchanged from byte 0. TCP: the port and address it came to decide, before a byte is read. Ownership: a stream owns both ends and its
 * flow; it ends itself. The end is logged once, with its reason. Units: ms, bytes. Threads: its worker's. */
struct addr;
struct listener;
struct worker;

int stream_accept(struct worker *w, struct listener *l, int fd, const struct addr *peer); /* takes fd, also on failure; -ENOMEM */
