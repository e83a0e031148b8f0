#pragma once
/* meter - what a worker counts for `metrics` alone: a few numbers, whatever comes. Threads: its worker's. Units: ms. */
#include <stdint.h>

#define METER_BOUNDS      13
#define METER_STATUS_LOW  400
#define METER_STATUS_HIGH 599

extern const uint32_t meter_bounds_ms[METER_BOUNDS]; /* upper ends of the classes below, each included; the last class has none */

struct meter {
	uint64_t waits[METER_BOUNDS + 1]; /* those that waited behind a hold, and do not any more, by how long; however it ended */
	uint64_t waited_ms;               /* all of them together */
	uint64_t held_too_long, too_many_held;
	uint64_t connections;                                       /* accepted */
	uint64_t answers[METER_STATUS_HIGH - METER_STATUS_LOW + 1]; /* our own, in a back end's place, by status */
};
void meter_wait(struct meter *m, uint32_t ms);
void meter_answer(struct meter *m, unsigned status);
void meter_add(struct meter *to, const struct meter *from);
