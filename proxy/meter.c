#include "proxy/meter.h"

#include <stddef.h>

const uint32_t meter_bounds_ms[METER_BOUNDS] = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 20000, 30000, 60000, 120000, 300000};

void meter_wait(struct meter *m, uint32_t ms)
{
	unsigned i = 0;

	while (i < METER_BOUNDS && ms > meter_bounds_ms[i])
		i++;
	m->waits[i]++;
	m->waited_ms += ms;
}

void meter_answer(struct meter *m, unsigned status)
{
	if (status >= METER_STATUS_LOW && status <= METER_STATUS_HIGH)
		m->answers[status - METER_STATUS_LOW]++;
}

void meter_add(struct meter *to, const struct meter *from)
{
	for (size_t i = 0; i <= METER_BOUNDS; i++)
		to->waits[i] += from->waits[i];
	to->waited_ms += from->waited_ms;
	to->held_too_long += from->held_too_long;
	to->too_many_held += from->too_many_held;
	to->connections += from->connections;
	for (size_t i = 0; i < sizeof to->answers / sizeof *to->answers; i++)
		to->answers[i] += from->answers[i];
}
