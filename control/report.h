#pragma once
/* report - what became of a move, for the customer: made of the lines of the trail alone (journal.h), so that it holds when the proxy is
 * away and the account gone, and so that the chain proves all of it. Pure.
 * The object: {"account","move","kind","from","to","state","by","began":T,"ended":T|null,"ms","reason"?,
 *   "visitors":{"hold-ms","exact":B,"waited","longest-wait-ms","median-wait-ms","drained","cut","refused","gave-up","reset-old"?,
 *               "held-at":T,"opened-at":T|null,"fenced-at":T,"last-byte-old":T|null,"first-byte-new":T|null,"restarted":B}|null,
 *   "steps":[{"step","undo":B,"began":T,"ended":T|null,"ms"|null,"result":"done"|"failed"|"interrupted"|"open","evidence"}..],
 *   "dns":[{"at":T,"what","text","evidence"}..],
 *   "price":{..}?,
 *   "trail":{"first","last","first-hash","last-hash"}}
 * state: done, undone, stuck, or moving (it is at work, or was interrupted). T is RFC 3339 UTC with milliseconds. hold-ms: for how long new
 * requests had to wait, as the proxy measured it; not exact: from the journal, which is a little more. visitors null: nobody had to.
 * price: of a rollback, what was agreed to (price.h). dns: what became of it within the move, and later until the account's next one.
 * Ownership: entries, of journal_log() for one account, are borrowed; what is returned is new. Units: ms. */
#include <jansson.h>
#include <stdint.h>

json_t *report_moves(const json_t *entries);            /* their numbers, newest first */
json_t *report_of(const json_t *entries, int64_t move); /* NULL: the account had no such move */
char *report_text(const json_t *report);                /* a page of 80 columns; free() */
