#include "control/batch.h"

#include "control/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int batch_init(struct batch *b, size_t n, int parallel, struct past *past)
{
	*b = (struct batch){.n = n, .parallel = parallel > 0 ? parallel : 1, .past = *past, .items = calloc(n + 1, sizeof(*b->items))};
	*past = (struct past){0};
	return b->items ? 0 : -ENOMEM;
}

void batch_done(struct batch *b)
{
	past_done(&b->past);
	free(b->items);
	*b = (struct batch){0};
}

void batch_began(struct batch *b, size_t i, int64_t now)
{
	b->items[i].began = now;
}

void batch_over(struct batch *b, size_t i, int64_t now, bool good)
{
	struct batch_item *it = &b->items[i];
	it->over = true;
	if (good)
		b->good++;
	else
		b->bad++;
	if (good && it->began)
		past_add(&b->past, now - it->began, it->gb); /* without memory the estimate is that of before */
}

int64_t batch_left_s(const struct batch *b, int64_t now)
{
	double sum = 0, longest = 0;
	for (size_t i = 0; i < b->n; i++) {
		const struct batch_item *it = &b->items[i];
		if (it->over)
			continue;
		double s = past_move_s(&b->past, it->gb);
		if (it->began)
			s -= (double)(now - it->began) / 1000;
		s = s < 1 ? 1 : s;
		sum += s;
		longest = s > longest ? s : longest;
	}
	sum /= b->parallel;
	return (int64_t)((sum > longest ? sum : longest) + 0.999);
}

void batch_text(const struct batch *b, int64_t now, char *out, size_t cap)
{
	size_t going = 0;
	char left[32];
	for (size_t i = 0; i < b->n; i++)
		going += b->items[i].began && !b->items[i].over;
	int n = snprintf(out, cap, "%zu of %zu done", b->good, b->n);
	if (b->bad)
		n += snprintf(out + n, cap - (size_t)n, ", %zu failed", b->bad);
	if (going)
		n += snprintf(out + n, cap - (size_t)n, ", %zu under way", going);
	if (b->good + b->bad < b->n)
		snprintf(out + n, cap - (size_t)n, ", about %s left (%.1f GB/min%s)", progress_duration(batch_left_s(b, now), left),
			 past_gb_per_min(&b->past), b->past.n ? "" : ", not measured yet");
}
