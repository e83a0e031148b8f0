#pragma once
/* probe_door - what a service says when one comes in, so that a probe can tell one that answers from one that only accepts connections.
 * Which protocol it is tells the port that visitors come to; a port that is not known here says nothing, and then a connection, or a TLS
 * handshake, is all that can be asked.
 *   http, smtp, ftp, pop3, imap, sieve, ssh, mysql: the answer to GET /, or the greeting (RFC 9110, 5321, 959, 1939, 3501, 5804, 4253;
 *   MySQL's protocol version 10). postgresql: the answer to an SSLRequest. amqp: the answer to its header (0-9-1).
 * Leaving is polite, since servers count those who just hang up, and some then refuse their address: QUIT, LOGOUT, and to MySQL a login.
 * Pure. */
#include "lib/conf.h"
#include "proxy/probe_tls.h"

#include <stddef.h>
#include <stdint.h>

enum door { DOOR_NONE, DOOR_HTTP, DOOR_SMTP, DOOR_FTP, DOOR_POP3, DOOR_IMAP, DOOR_SIEVE, DOOR_SSH, DOOR_MYSQL, DOOR_POSTGRESQL, DOOR_AMQP };
const char *door_name(enum door d); /* NULL: DOOR_NONE */
/* Of a listener of that protocol, at that port. *tls: behind a TLS handshake. */
enum door door_of(enum protocol protocol, uint16_t port, bool *tls);

#define DOOR_SAY_MAX 512
/* What is said first; 0: nothing, the other side begins. name: for Host. */
size_t door_opening(enum door d, const char *name, char out[DOOR_SAY_MAX]);
/* What has come so far: 1: it is the answer that was wanted, 0: more must come, -1: it is not. said: in words for people, printable
 * ASCII. end: no more will come. Not for DOOR_NONE; DOOR_HTTP as probe.h says. */
int door_judge(enum door d, const char *bytes, size_t len, size_t cap, bool end, char said[PROBE_SAID_MAX]);
size_t door_leaving(enum door d, char out[DOOR_SAY_MAX]); /* 0: one just goes */
