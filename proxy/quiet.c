#include "proxy/quiet.h"

#include <stddef.h>

static struct quiet_one *find(const struct quiet *q, const struct addr *at)
{
	for (unsigned i = 0; i < q->n; i++) {
		const struct quiet_one *o = &q->of[i];

		if (addr_same_ip(&o->at, at) && addr_port(&o->at) == addr_port(at))
			return (struct quiet_one *)o;
	}
	return NULL;
}

bool quiet_is(const struct quiet *q, const struct addr *at, uint64_t now_ms)
{
	const struct quiet_one *o = find(q, at);

	return o && now_ms < o->until_ms;
}

static struct quiet_one *make(struct quiet *q, const struct addr *at)
{
	struct quiet_one *o = &q->of[q->n < QUIET_MAX ? q->n++ : q->next++ % QUIET_MAX];

	*o = (struct quiet_one){.at = *at};
	return o;
}

void quiet_late(struct quiet *q, const struct addr *at, const struct account *a, bool connecting, uint64_t now_ms)
{
	struct quiet_one *o = find(q, at);

	if (!o)
		o = make(q, at);
	if (connecting)
		o->late += QUIET_AFTER / 4;
	else if (o->last != a)
		o->late++;
	o->last = a;
	if (o->late < QUIET_AFTER)
		return;
	o->until_ms = now_ms + QUIET_MS;
	o->late = QUIET_AFTER / 2; /* the next time it takes fewer */
}

void quiet_answered(struct quiet *q, const struct addr *at)
{
	struct quiet_one *o = find(q, at);

	if (!o)
		return;
	o->late = 0;
	o->until_ms = 0;
	o->last = NULL;
}
