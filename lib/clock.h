#pragma once
/* clock - the time of day, as it is kept and shown, and the monotonic clock for waits and durations: since some moment of the past, another
 * one after a reboot; it never jumps, whatever is done to the time of day. Threads: any. */
#include <stdint.h>

int64_t now_ms(void); /* since 1970 UTC */
int64_t mono_ms(void);
int64_t mono_us(void);
int64_t mono_coarse_ms(void); /* the same as mono_ms(), but up to a few ms behind; cheap */
#define TIME_TEXT_MAX 32
char *time_text(int64_t ms, char out[TIME_TEXT_MAX]); /* RFC 3339, UTC, seconds; returns out */
