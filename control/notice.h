#pragma once
/* notice - what a controller at work leaves with the proxy, so that `shunt status` follows it from any host that may ask the proxy: the
 * step with its clocks, and the moves under way with their percent and ETA. On the host of the state the state itself is read.
 * It is told at most once a second while something moves, and when a command that changes the state ends. One that is lost costs nothing:
 * the next one tells; how old it is the proxy knows. Units: ms. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct app;

struct notice {
	json_t *step;       /* {"step","clocks",..,"lines":[S..]}; owned; NULL: to be read */
	int64_t step_at;    /* monotonic: when it was read */
	int64_t next;       /* monotonic: not before */
	bool told;          /* something moves: its end is to be told, too */
	bool told_by_other; /* we are one move of several: the process that began them tells of all */
};

void notice_tick(struct app *a, const char *all);  /* all: of several moves, in words; or NULL */
void notice_rest(struct notice *n, int64_t began); /* the next one not soon: telling took from began (mono_ms()) until now */
void notice_end(struct app *a);                    /* the state as it is now, whenever the last one was told */
void notice_done(struct notice *n);

/* Of an answer to `status`: lines, and member "controller". false: nothing was left there. */
bool notice_show(struct app *a, const json_t *status);
/* Likewise of one account: lines, and "moves" of o. */
void notice_show_moves(struct app *a, const json_t *status, const char *account, json_t *o);
