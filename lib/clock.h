#pragma once
/* clock - the time of day, as it is kept and shown. For waits there is the monotonic clock (lib/loop.h). */
#include <stdint.h>

int64_t now_ms(void); /* since 1970 UTC */
#define TIME_TEXT_MAX 32
char *time_text(int64_t ms, char out[TIME_TEXT_MAX]); /* RFC 3339, UTC, seconds; returns out */
