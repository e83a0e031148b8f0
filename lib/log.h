#pragma once
/* log - one line per event to standard error, as key=value pairs: conn=7 account=bob reason="peek timeout".
 * Under systemd (JOURNAL_STREAM names our stderr) a line starts with its syslog priority, "<3>" to "<7>", and carries no
 * time stamp; elsewhere it starts with an RFC 3339 time and the level's word.
 * Threads: any. A line is one write(2), so lines of several threads do not mix. A line is cut at 4 KiB.
 * A write that would block or fails is dropped and counted: a full disk or a dead reader never stops traffic. */
#include <stddef.h>
#include <stdint.h>

enum level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

void log_open(const char *program); /* borrows static text; call once, before threads start */
void log_level(enum level most);    /* what is below this is not written; the default is LEVEL_INFO */
uint64_t log_lost(void);            /* lines dropped since the start */

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* someone must act */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* we coped */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* one line per life event */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* each state change */

/* Foreign bytes as a double-quoted string with \xHH for what is not printable ASCII (and for " and \). Writes at most cap
 * bytes with the final NUL, ends in ..." when cut, and returns out. LOG_QUOTED makes the buffer in the caller's block. */
const char *log_quote(char *out, size_t cap, const void *bytes, size_t len);
#define LOG_QUOTED(bytes, len) log_quote((char[260]){0}, 260, (bytes), (len))
