#pragma once
/* farewell - what a visitor of a TCP listener hears who cannot wait any longer, in the words of the protocol that lives at the port: that
 * it is temporary, and when to try again. Servers of other domains keep mail and come again, clients show the text. Pure.
 *
 *   21 FTP          421                             RFC 959 5.4
 *   25, 587 SMTP    421, as greeting                RFC 5321 3.1, 4.2.3; without an enhanced code, which greetings must not have (RFC 2034
 * 3) 110 POP3        -ERR [SYS/TEMP]                 RFC 3206 4 143 IMAP        * BYE [UNAVAILABLE]             RFC 3501 7.1.5, RFC 5530 3
 *   4190 Sieve      BYE (TRYLATER)                  RFC 5804 1.3
 *   3306 MySQL      1053 ER_SERVER_SHUTDOWN         an ERR packet in place of the handshake, hence without SQLSTATE
 *   5432 PostgreSQL 57P03 cannot_connect_now        an ErrorResponse; who asks for encryption first is told no before, with one byte, for
 *                                                   clients show no error from before that (Frontend/Backend Protocol, 55.2.10)
 *
 * At all other ports nothing is said, for who speaks there is not known, nor where TLS comes first: the connection is closed. */
#include "lib/addr.h"

#include <stdbool.h>
#include <stdint.h>

#define FAREWELL_MAX 384 /* bytes */

/* Is a further message of the visitor to be awaited after out was sent? said: his first words so far, or the next. Then out has what
 * answers them, and the farewell comes after that. */
bool farewell_not_yet(char out[FAREWELL_MAX], size_t *len, uint16_t port, const void *said, size_t n);
/* port: the one that visitors connect to. here: the address, told where the protocol wants a server's name. again_s: when to come again, in
 * seconds. Returns how many bytes; 0: nothing is to be said. */
size_t farewell_write(char out[FAREWELL_MAX], uint16_t port, const struct addr *here, unsigned again_s);
