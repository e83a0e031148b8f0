#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(struct err *e, int want)
{
	if (want >= ERR_TEXT_MAX)
		memcpy(e->text + ERR_TEXT_MAX - 4, "...", 4);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;
	va_list ap;
	va_start(ap, fmt);
	e->code = code;
	mark_cut(e, vsnprintf(e->text, sizeof(e->text), fmt, ap));
	va_end(ap);
	return code;
}

int err_errno(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;
	va_list ap;
	va_start(ap, fmt);
	e->code = code;
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if (n < ERR_TEXT_MAX) {
		char words[128]; /* the GNU strerror_r: safe in threads, and free to answer with static text */
		n += snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror_r(code < 0 ? -code : code, words, sizeof(words)));
	}
	mark_cut(e, n);
	return code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -EIO; /* nobody kept the code; still an error */
	char old[ERR_TEXT_MAX];
	memcpy(old, e->text, sizeof(old));
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if (n < ERR_TEXT_MAX)
		n += snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", old);
	mark_cut(e, n);
	return e->code;
}
