#pragma once
/* homeward - what a move home (rollback, relocate) does about DNS before it holds anybody. Visitors whom DNS leads to the transit server
 * pass by the proxy: there they could not be made to wait, and what they wrote during the copy would be lost. So DNS leads them to the
 * client server first, whose proxy forwards them as long as the account is away; and the move goes on when no resolver remembers the other
 * address any more, or after `home-wait`. A move that is undone leads them back.
 * A mark in the journal, set before DNS is asked, says that they may have been led home; it goes when DNS leads to where the account is, by
 * this move or by whoever settles what it owes (publish.c). Units: seconds. Ownership: as move.h. */
#include "control/move.h"

#define MARK_HOME "home " /* and the account */

/* 0: done, or nothing to do, or somebody else's edit stands in the way of an undo (the step `published` then owes it). -EPERM: DNS will
 * not, and the move is refused; -EINTR by the mover's cancel_fd. Sets m->dns_home. */
int homeward_lead(struct move *m, struct err *err);
int homeward_wait(struct move *m, struct err *err);              /* until resolvers have forgotten; -EINTR */
int homeward_lead_back(struct move *m, struct err *err);         /* where the mark is set; what DNS refuses then is owed: 0 */
void homeward_text(const struct move *m, char *out, size_t cap); /* what would be done, "; " at its end; "" is nothing */
