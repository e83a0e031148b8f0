/* The form of a file, before libconfuse sees it. It is looked at here because libconfuse's lexer expands ${VARIABLES}, counts a
 * line too many for each comment between slashes, skips bytes that it does not know, cuts a value at \0, lets a key be given
 * twice, does not tell where a section began, and after an unfinished string starts the next file in the middle of one. */
#include "lib/conf_parts.h"

#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8
#define KEYS_MAX  64 /* no section has as many: those behind them are unknown keys */

struct word {
	const char *p;
	size_t len;
	int line;
};

enum want { WANT_KEY, WANT_EQUALS, WANT_BRACE, WANT_VALUE, WANT_ITEM, WANT_COMMA };

struct frame { /* an open section */
	struct word name, keys[KEYS_MAX];
	size_t n_keys;
};

struct scanner {
	struct conf_scan *out;
	const char *file;
	struct err *err;
	char *p;
	int line;
	enum want want;
	struct word key, title; /* the last key or section's name, and what stood behind it as a title */
	struct frame frames[DEPTH_MAX + 1];
	size_t depth;
};

#define QUOTED(w) LOG_QUOTED((w).p, (w).len)

static int bad(struct scanner *s, int line, const char *found, const char *expected, const char *advice)
{
	return err_set(s->err, -EINVAL, "%s:%d: found %s, expected %s, %s", s->file, line, found, expected, advice);
}

/* found does not fit what was read before it. Where a key lacks what belongs to it, that key's line is the one to mend. */
static int out_of_place(struct scanner *s, const char *found, int line)
{
	static const char how[] = "write KEY = VALUE or SECTION { ... }";
	char text[700];
	const char *key = QUOTED(s->key);
	switch (s->want) {
	case WANT_KEY:
		return bad(s, line, found, "a key or a section", how);
	case WANT_EQUALS:
		snprintf(text, sizeof(text), "%s with %.80s behind it", key, found);
		return bad(s, s->key.line, text, "\"=\" or \"{\" there", how);
	case WANT_BRACE:
		snprintf(text, sizeof(text), "%s behind %s", QUOTED(s->title), key);
		return bad(s, s->title.line, text, "\"=\" and a value, or a title and \"{\"", how);
	case WANT_VALUE:
		snprintf(text, sizeof(text), "%s = with %.80s behind it", key, found);
		return bad(s, s->key.line, text, "a value", "write the value or remove the key");
	case WANT_ITEM:
	case WANT_COMMA:
		snprintf(text, sizeof(text), "%s in the list %s", found, key);
		return bad(s, line, text, "values with commas between them, then \"}\"", "write KEY = { VALUE, VALUE }");
	}
	return -EINVAL;
}

/* A word or a string has been read. */
static int on_word(struct scanner *s, struct word w)
{
	switch (s->want) {
	case WANT_KEY:
		s->key = w;
		s->want = WANT_EQUALS;
		return 0;
	case WANT_EQUALS:
		s->title = w;
		s->want = WANT_BRACE;
		return 0;
	case WANT_VALUE:
		s->want = WANT_KEY;
		return 0;
	case WANT_ITEM:
		s->want = WANT_COMMA;
		return 0;
	case WANT_BRACE:
	case WANT_COMMA:
		break;
	}
	return out_of_place(s, QUOTED(w), w.line);
}

static int on_equals(struct scanner *s)
{
	struct frame *f = &s->frames[s->depth];
	if (s->want != WANT_EQUALS)
		return out_of_place(s, "\"=\"", s->line);
	for (size_t i = 0; i < f->n_keys; i++)
		if (f->keys[i].len == s->key.len && memcmp(f->keys[i].p, s->key.p, s->key.len) == 0)
			return err_set(s->err, -EINVAL,
				       "%s:%d: found %s a second time in its section, expected it once (it is in line %d), remove one",
				       s->file, s->key.line, QUOTED(s->key), f->keys[i].line);
	if (f->n_keys < KEYS_MAX)
		f->keys[f->n_keys++] = s->key;
	s->want = WANT_VALUE;
	return 0;
}

static int on_open(struct scanner *s)
{
	if (s->want == WANT_VALUE) {
		s->want = WANT_ITEM;
		return 0;
	}
	if (s->want != WANT_EQUALS && s->want != WANT_BRACE)
		return out_of_place(s, "\"{\"", s->line);
	if (s->depth == DEPTH_MAX)
		return bad(s, s->line, "\"{\"", "no more sections within each other", "close some of them before it");
	struct frame *f = &s->frames[++s->depth];
	f->name = s->key;
	f->n_keys = 0;
	s->want = WANT_KEY;
	return 0;
}

static int on_close(struct scanner *s)
{
	struct conf_scan *o = s->out;
	if (s->want == WANT_ITEM || s->want == WANT_COMMA) {
		s->want = WANT_KEY;
		return 0;
	}
	if (s->want != WANT_KEY)
		return out_of_place(s, "\"}\"", s->line);
	if (s->depth == 0)
		return bad(s, s->line, "\"}\"", "a section that it could close", "remove it");
	if (o->n == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 16;
		int *more = realloc(o->lines, cap * sizeof(*more));
		if (!more)
			return err_set(s->err, -ENOMEM, "%s: out of memory", s->file);
		o->lines = more;
		o->cap = cap;
	}
	o->lines[o->n++] = s->frames[s->depth--].name.line;
	return 0;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static int stray(struct scanner *s)
{
	return bad(s, s->line, LOG_QUOTED(s->p, 1), "a key, a section or a value",
		   "remove it, or write it in quotes if it belongs to a value");
}

static int no_variables(struct scanner *s)
{
	return bad(s, s->line, "\"${\"", "plain text (variables are not replaced here)",
		   "write the value itself, or in 'single quotes' what is meant as it stands");
}

static int read_quoted(struct scanner *s)
{
	char quote = *s->p++;
	struct word w = {s->p, 0, s->line};
	for (; *s->p != quote; s->p++) {
		if (*s->p == '\n' || *s->p == '\0')
			return bad(s, s->line, "the end of the line within a string", quote == '"' ? "a closing \"" : "a closing '",
				   "close the string in its line");
		if (is_control(*s->p))
			return bad(s, s->line, LOG_QUOTED(s->p, 1), "printable text in a string", "remove the control character");
		if (quote == '"' && s->p[0] == '$' && s->p[1] == '{')
			return no_variables(s);
		if (*s->p != '\\')
			continue;
		bool letter = (s->p[1] >= '0' && s->p[1] <= '9') || ((s->p[1] | 0x20) >= 'a' && (s->p[1] | 0x20) <= 'z');
		if (quote == '"' && letter)
			return bad(s, s->line, LOG_QUOTED(s->p, 2), "\\\\ for a backslash or \\\" for a quote",
				   "double the backslash or use 'single quotes'");
		if (s->p[1] != '\n' && s->p[1] != '\0' && !is_control(s->p[1]))
			s->p++;
	}
	w.len = (size_t)(s->p++ - w.p);
	return on_word(s, w);
}

static int read_word(struct scanner *s)
{
	struct word w = {s->p, 0, s->line};
	for (; *s->p && !strchr(" #\"'\t\n\r={}()+,*", *s->p); s->p++) {
		if (is_control(*s->p))
			return stray(s);
		if (s->p[0] == '$' && s->p[1] == '{')
			return no_variables(s);
	}
	w.len = (size_t)(s->p - w.p);
	return on_word(s, w);
}

static int blank_comment(struct scanner *s)
{
	int start = s->line;
	if (s->p[0] == '#' || s->p[1] == '/') {
		while (*s->p && *s->p != '\n')
			*s->p++ = ' ';
		return 0;
	}
	for (char *end = strstr(s->p + 2, "*/"); end; s->p++) {
		if (s->p == end + 2)
			return 0;
		if (*s->p == '\n')
			s->line++;
		else
			*s->p = ' ';
	}
	return bad(s, start, "a comment without an end", "*/ behind it", "close the comment");
}

static int step(struct scanner *s)
{
	switch (*s->p) {
	case '\n':
		s->line++;
		s->p++;
		return 0;
	case ' ':
	case '\t':
	case '\r':
		*s->p++ = ' ';
		return 0;
	case '#':
		return blank_comment(s);
	case '/':
		return s->p[1] == '/' || s->p[1] == '*' ? blank_comment(s) : read_word(s);
	case '"':
	case '\'':
		return read_quoted(s);
	case '=':
		s->p++;
		return on_equals(s);
	case '{':
		s->p++;
		return on_open(s);
	case '}':
		s->p++;
		return on_close(s);
	case ',':
		if (s->want != WANT_COMMA)
			return out_of_place(s, "\",\"", s->line);
		s->p++;
		s->want = WANT_ITEM;
		return 0;
	case '+':
	case '(':
	case ')':
	case '*':
		return stray(s);
	default:
		return read_word(s);
	}
}

int conf_scan(struct conf_scan *out, const char *file, char *text, struct err *err)
{
	struct scanner s = {.out = out, .file = file, .err = err, .p = text, .line = 1};
	int rc = 0;
	while (rc == 0 && *s.p)
		rc = step(&s);
	if (rc < 0)
		return rc;
	int last = s.line > 1 ? s.line - 1 : 1; /* the text ends with a newline */
	if (s.want != WANT_KEY)
		return out_of_place(&s, "the end of the file", last);
	if (s.depth == 0)
		return 0;
	const struct word *open = &s.frames[s.depth].name;
	return err_set(err, -EINVAL, "%s:%d: found the end of the file, expected \"}\" for the section %s of line %d, close it", file, last,
		       QUOTED(*open), open->line);
}
