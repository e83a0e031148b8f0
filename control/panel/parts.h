#pragma once
/* parts - pieces that several pages have. Each writes where the page is; answers are borrowed. */
#include "control/panel/visit.h"

enum action { ACT_CHECK, ACT_MIGRATE, ACT_ROLLBACK, ACT_RELOCATE, N_ACTIONS };
const char *action_word(enum action a); /* the command: "migrate" */
int action_of(const char *word);        /* -1: none */
enum text action_text(enum action a);

enum text side_text(const char *side);
void put_side(struct visit *v, const char *side);           /* where it lives, as a badge */
void put_gb(struct visit *v, const json_t *account);        /* "1.5 GB" */
void put_pause(struct visit *v, const json_t *account);     /* how long a move would take, by its size */
void put_duration(struct visit *v, double s);               /* "about 2 minutes" */
void put_seconds(struct visit *v, double s);                /* "0.36 s", exactly */
void put_time(struct visit *v, const char *rfc3339);        /* "2026-11-26 09:16 UTC", for machines, too */
void put_moment(struct visit *v, const char *rfc3339);      /* the same with seconds and what is below, as it came */
enum text step_text(const char *step);                      /* of a move, in plain words */
void put_moves(struct visit *v, const json_t *moves);       /* those in progress; nothing where there are none */
void put_findings(struct visit *v, const json_t *findings); /* of one account */
void put_operations(struct visit *v, const json_t *operations, size_t max);
void put_refusal(struct visit *v, const char *why);
void put_price(struct visit *v, const json_t *price); /* of a rollback, with its heading; nothing where there is none */
void put_begun(struct visit *v, const char *rfc3339, const char *by);
/* One button in a form of its own, for one account; main: the one that is wanted most. */
void put_action(struct visit *v, enum action a, const char *account, bool main);
const json_t *of_account(const json_t *list, const char *key, const char *account); /* the entry whose key is account; NULL */
/* For many look-ups: an object of these entries by that key, the first of each. New; NULL: out of memory, and nothing is found in it. */
json_t *by_account(const json_t *list, const char *key);
