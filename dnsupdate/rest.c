#include "dnsupdate/rest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING_MAX 255 /* bytes of one character string */

int rest_show(struct backend *b, struct err *err)
{
	if (asprintf(&b->shown, "%s (%s)", b->conf->url, b->ops->name) >= 0)
		return 0;
	b->shown = NULL;
	return err_set(err, -ENOMEM, "out of memory");
}

enum outcome rest_outcome(const struct http_answer *a, struct err *err)
{
	if (a->end != HTTP_ANSWERED) {
		err_set(err, a->err.code, "%s", a->err.text);
		return a->end == HTTP_NOT_SENT ? OUTCOME_AWAY : OUTCOME_UNKNOWN;
	}
	if (a->status >= 200 && a->status < 300)
		return OUTCOME_DONE;
	if (a->status == 408 || a->status == 429 || a->status >= 500) {
		http_explain(err, -EAGAIN, a);
		return OUTCOME_BUSY;
	}
	http_explain(err, -EACCES, a);
	return OUTCOME_REFUSED;
}

enum outcome rest_outcome_of_read(const struct http_answer *a, struct err *err)
{
	enum outcome o = rest_outcome(a, err);

	return o == OUTCOME_UNKNOWN ? OUTCOME_AWAY : o;
}

json_t *rest_json(const struct http_answer *a, struct err *err)
{
	json_error_t where;
	json_t *o;

	if (rest_outcome_of_read(a, err) != OUTCOME_DONE)
		return NULL;
	o = json_loadb(a->body, a->len, JSON_REJECT_DUPLICATES, &where);
	if (!o)
		err_set(err, -EBADMSG, "%s: found no JSON in the answer: %s", a->target, where.text);
	return o;
}

enum outcome rest_compare(const struct change *c, const struct rrset *found, struct err *err)
{
	char type[16], expected[300], now[300];

	if (rrset_equal(&c->was, found))
		return OUTCOME_DONE;
	err_set(err, -ESTALE, "%.200s %s: found %s, expected %s", c->was.owner, rr_type_text(c->was.type, type),
		rrset_text(found, now, sizeof now), rrset_text(&c->was, expected, sizeof expected));
	return OUTCOME_DRIFT;
}

int rest_escape(char *out, size_t cap, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (n + 4 > cap)
			return -ENAMETOOLONG;
		if (isalnum(c) || strchr("-._~", c))
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, cap - n, "%%%02X", c);
	}
	out[n] = '\0';
	return 0;
}

/* ---- TXT ---- */

/* The characters of text that stand for one byte: \DDD, \X or X. */
static size_t one(const char *text)
{
	if (text[0] != '\\' || !text[1])
		return 1;
	return isdigit((unsigned char)text[1]) && text[2] && text[3] ? 4 : 2;
}

char *rest_txt_cut(const char *text)
{
	size_t len = strlen(text), n = 0, bytes = 0;
	char *out = malloc(len + len / STRING_MAX * 3 + 4); /* `" "` between two pieces */
	bool inside = false;

	if (!out)
		return NULL;
	while (*text) {
		size_t step = one(text);

		if (*text == '"') {
			inside = !inside;
			bytes = 0;
		} else if (inside && ++bytes > STRING_MAX) {
			memcpy(out + n, "\" \"", 3);
			n += 3;
			bytes = 1;
		}
		memcpy(out + n, text, step);
		n += step;
		text += step;
	}
	out[n] = '\0';
	return out;
}

int rest_txt_from_plain(const char *text, uint8_t **bytes, size_t *len)
{
	size_t left = strlen(text), n = 0;
	uint8_t *out;

	if (left + left / STRING_MAX + 1 > UINT16_MAX)
		return -EINVAL;
	out = malloc(left + left / STRING_MAX + 1);
	if (!out)
		return -ENOMEM;
	do {
		size_t piece = left < STRING_MAX ? left : STRING_MAX;

		out[n] = (uint8_t)piece;
		memcpy(out + n + 1, text, piece);
		n += 1 + piece;
		text += piece;
		left -= piece;
	} while (left);
	*bytes = out;
	*len = n;
	return 0;
}

static bool is_text(const char *text, size_t len)
{
	json_t *s = memchr(text, '\0', len) ? NULL : json_stringn(text, len); /* takes UTF-8 alone */

	json_decref(s);
	return s != NULL;
}

int rest_txt_to_plain(const uint8_t *bytes, size_t len, char **text)
{
	char *out = malloc(len + 1);
	size_t n = 0;

	if (!out)
		return -ENOMEM;
	for (size_t at = 0; at < len; at += 1u + bytes[at]) {
		size_t piece = bytes[at];

		if (at + 1 + piece > len || (piece < STRING_MAX && at + 1 + piece < len) || (piece == 0 && at > 0))
			goto bad;
		memcpy(out + n, bytes + at + 1, piece);
		n += piece;
	}
	out[n] = '\0';
	if (len == 0 || out[0] == '"' || !is_text(out, n))
		goto bad;
	*text = out;
	return 0;
bad:
	free(out);
	return -EINVAL;
}
