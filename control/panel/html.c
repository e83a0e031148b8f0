#include "control/panel/html.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(struct html *h, const char *s, size_t len)
{
	if (h->lost)
		return;
	if (h->len + len + 1 > h->cap) {
		size_t cap = 2 * (h->len + len) + 4096;
		char *more = realloc(h->text, cap);
		if (!more) {
			h->lost = true;
			return;
		}
		h->text = more;
		h->cap = cap;
	}
	memcpy(h->text + h->len, s, len);
	h->len += len;
	h->text[h->len] = '\0';
}

static void put_str(struct html *h, const char *s)
{
	put(h, s, strlen(s));
}

/* Control characters are nothing that a page may hold. */
static void put_escaped(struct html *h, const char *s)
{
	for (; s && *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '&')
			put_str(h, "&amp;");
		else if (c == '<')
			put_str(h, "&lt;");
		else if (c == '>')
			put_str(h, "&gt;");
		else if (c == '"')
			put_str(h, "&quot;");
		else if (c == '\'')
			put_str(h, "&#39;");
		else if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			put_str(h, " ");
		else
			put(h, s, 1);
	}
}

/* One conversion, of which fmt is behind the %. Returns what follows it. */
static const char *convert(struct html *h, const char *fmt, va_list *ap)
{
	char number[64];
	if (*fmt == 's') {
		put_escaped(h, va_arg(*ap, const char *));
		return fmt + 1;
	}
	if (*fmt == '%') {
		put_str(h, "%");
		return fmt + 1;
	}
	if (*fmt == 'd') {
		snprintf(number, sizeof(number), "%d", va_arg(*ap, int));
		put_str(h, number);
		return fmt + 1;
	}
	if (strncmp(fmt, "lld", 3) == 0) {
		snprintf(number, sizeof(number), "%lld", va_arg(*ap, long long));
		put_str(h, number);
		return fmt + 3;
	}
	assert(strncmp(fmt, ".1f", 3) == 0);
	snprintf(number, sizeof(number), "%.1f", va_arg(*ap, double));
	put_str(h, number);
	return fmt + 3;
}

void html(struct html *h, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	while (*fmt) {
		size_t plain = strcspn(fmt, "%");
		put(h, fmt, plain);
		fmt += plain;
		if (*fmt)
			fmt = convert(h, fmt + 1, &ap);
	}
	va_end(ap);
}

void html_say(struct html *h, enum text t, ...)
{
	const char *fmt = text(t);
	va_list ap;
	va_start(ap, t);
	for (const char *p; (p = strstr(fmt, "%s")); fmt = p + 2) {
		char before[1024];
		snprintf(before, sizeof(before), "%.*s", (int)(p - fmt), fmt);
		put_escaped(h, before);
		put_escaped(h, va_arg(ap, const char *));
	}
	put_escaped(h, fmt);
	va_end(ap);
}

void html_done(struct html *h)
{
	free(h->text);
	*h = (struct html){0};
}
