#include "lib/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t us_of(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t now_ms(void)
{
	return us_of(CLOCK_REALTIME) / 1000;
}

int64_t mono_ms(void)
{
	return us_of(CLOCK_MONOTONIC) / 1000;
}

int64_t mono_us(void)
{
	return us_of(CLOCK_MONOTONIC);
}

int64_t mono_coarse_ms(void)
{
	return us_of(CLOCK_MONOTONIC_COARSE) / 1000;
}

char *time_text(int64_t ms, char out[TIME_TEXT_MAX])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	if (!gmtime_r(&t, &tm) || !strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(out, TIME_TEXT_MAX, "@%lld", (long long)(ms / 1000));
	return out;
}
