#include "control/progress.h"

#include "lib/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_MS 100

void progress_init(struct progress *p, bool wanted, bool many)
{
	*p = (struct progress){.on = wanted && isatty(STDERR_FILENO), .many = many};
}

const char *progress_duration(int64_t s, char out[32])
{
	if (s < 90)
		snprintf(out, 32, "%d s", (int)s);
	else if (s < 5400)
		snprintf(out, 32, "%d min", (int)((s + 30) / 60));
	else
		snprintf(out, 32, "%lld h %d min", (long long)(s / 3600), (int)(s % 3600 / 60));
	return out;
}

int64_t progress_left(double percent, int64_t elapsed_ms)
{
	if (percent <= 0 || elapsed_ms < 500)
		return percent >= 100 ? 0 : -1;
	return (int64_t)((double)elapsed_ms / 1000 * (100 - percent) / percent + 0.999);
}

void progress_show(struct progress *p, const char *account, const char *step, double percent, int64_t left_s)
{
	char text[200], took[32];

	if (!p->on)
		return;
	bool new_step = strcmp(step, p->step) != 0;
	snprintf(p->step, sizeof(p->step), "%s", step);
	int64_t now = mono_ms();
	if (!new_step && (p->many || now - p->last < REDRAW_MS))
		return;
	p->last = now;
	int n = snprintf(text, sizeof(text), "%s: %s", account, step);
	if (percent >= 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %.0f %%", percent);
	if (left_s >= 0)
		snprintf(text + n, sizeof(text) - (size_t)n, ", about %s left", progress_duration(left_s, took));
	fprintf(stderr, p->many ? "%s\n" : "\r\033[K%s", text);
	p->drawn = !p->many;
}

void progress_clear(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
