#pragma once
/* request - the messages that are sent: queries, transfers, updates. Made by ldns, unsigned; tsig.h signs them.
 * An update compares and swaps (RFC 2136): for each change the whole RRset must be as `was` says (2.4.2; of no values: none of that name
 * and type, 2.4.3), then the RRset is deleted and `next` is added. One message is applied whole or not at all.
 * Units: bytes. Ownership: message_done() frees. Errors: -ENOMEM, -EINVAL (no such name), -EMSGSIZE. */
#include "dnsupdate/backend.h"

#define UPDATE_MAX  32768 /* of one update: half of what a message may have, and what all three servers take in a moment */
#define MESSAGE_MAX 65535

struct message {
	uint8_t *bytes;
	size_t len;
	uint16_t id;
};
void message_done(struct message *m);
uint16_t message_random_id(void);

/* Class IN, RD=0. RR_AXFR as type asks for a transfer. */
int request_query(struct message *out, uint16_t id, const char *name, uint16_t type, struct err *err);
int request_update(struct message *out, uint16_t id, const char *zone, const struct change *changes, size_t n, struct err *err);
/* How many of the first changes go into one update of at most UPDATE_MAX, TSIG included; 0: not even the first, -EMSGSIZE in err. */
size_t request_update_fits(const char *zone, const struct change *changes, size_t n, struct err *err);
