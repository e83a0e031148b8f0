#include "proxy/outline.h"

#include "lib/utf8.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TAG_MAX  24 /* of its name; longer ones are cut */
#define WORD_MAX 24
#define MOST     20000 /* tags, and words, that are looked at: more say nothing new */

/* ---- similarity ---- */

struct blend {
	int32_t bits[64];
	unsigned n;
};

static uint64_t hash_of(const char *bytes, size_t len)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a; then mixed, since every bit has to count */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)bytes[i]) * 1099511628211u;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

static void blend_in(struct blend *b, uint64_t hash)
{
	if (b->n >= MOST)
		return;
	b->n++;
	for (int i = 0; i < 64; i++)
		b->bits[i] += hash >> i & 1 ? 1 : -1;
}

static uint64_t blend_of(const struct blend *b)
{
	uint64_t h = 0;

	for (int i = 0; i < 64; i++)
		h |= (uint64_t)(b->bits[i] > 0) << i;
	return h;
}

unsigned outline_distance(uint64_t a, uint64_t b)
{
	return (unsigned)__builtin_popcountll(a ^ b);
}

/* ---- text of strangers ---- */

char *outline_text(char *out, size_t cap, const char *bytes, size_t len)
{
	size_t at = 0;
	bool blank = true; /* none at the beginning */

	for (size_t i = 0; i < len && at + 1 < cap;) {
		const unsigned char *p = (const unsigned char *)bytes + i;
		size_t n = utf8_len(p, len - i);

		if (isspace(*p)) {
			if (!blank)
				out[at++] = ' ';
			blank = true;
			i++;
			continue;
		}
		blank = false;
		if (n == 0 || utf8_control(p, n) >= 0) {
			out[at++] = '?';
			i++;
			continue;
		}
		if (at + n >= cap)
			break;
		memcpy(out + at, p, n);
		at += n;
		i += n;
	}
	while (at && out[at - 1] == ' ')
		at--;
	out[at] = '\0';
	return out;
}

/* ---- words ---- */

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool is_date(const char *word, size_t len)
{
	static const char *const names[] = {
		"mon",   "tue",    "wed",     "thu",       "fri",       "sat",     "sun",      "jan",     "feb",     "mar",      "apr",
		"may",   "jun",    "jul",     "aug",       "sep",       "oct",     "nov",      "dec",     "gmt",     "utc",      "am",
		"pm",    "monday", "tuesday", "wednesday", "thursday",  "friday",  "saturday", "sunday",  "january", "february", "march",
		"april", "june",   "july",    "august",    "september", "october", "november", "december"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == len && memcmp(names[i], word, len) == 0)
			return true;
	return false;
}

static void take_word(struct blend *b, const char *word, size_t len)
{
	char lower[WORD_MAX];
	bool was_lower = false;

	if (len < 2 || len > WORD_MAX)
		return;
	for (size_t i = 0; i < len; i++) {
		bool upper = isupper((unsigned char)word[i]) != 0;

		if (isdigit((unsigned char)word[i]) || (upper && was_lower))
			return;
		was_lower = islower((unsigned char)word[i]) != 0;
		lower[i] = (char)tolower((unsigned char)word[i]);
	}
	if (!is_date(lower, len))
		blend_in(b, hash_of(lower, len));
}

static void take_words(struct blend *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t from = i;

		while (i < len && in_word(text[i]))
			i++;
		take_word(b, text + from, i - from);
		i += i == from;
	}
}

/* ---- markup ---- */

struct reader {
	const char *p, *end;
	struct outline *out;
	struct blend tags, words;
	uint64_t last[2]; /* the two tags before */
};

/* Past the '>' that ends the tag, quoted ones in attributes left out. */
static void skip_tag(struct reader *r)
{
	char quote = '\0';

	for (; r->p < r->end; r->p++) {
		if (quote)
			quote = *r->p == quote ? '\0' : quote;
		else if (*r->p == '"' || *r->p == '\'')
			quote = *r->p;
		else if (*r->p == '>') {
			r->p++;
			return;
		}
	}
}

/* To where "</name" begins, or the end: no markup counts before. */
static const char *raw_end(const struct reader *r, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = r->p; r->end - p >= (ptrdiff_t)len + 2; p++) {
		p = memchr(p, '<', (size_t)(r->end - p));
		if (!p || r->end - p < (ptrdiff_t)len + 2)
			break;
		if (p[1] == '/' && strncasecmp(p + 2, name, len) == 0)
			return p;
	}
	return r->end;
}

static void take_tag(struct reader *r, const char *name, size_t len)
{
	uint64_t three[3] = {r->last[0], r->last[1], hash_of(name, len)};

	blend_in(&r->tags, hash_of((const char *)three, sizeof three));
	r->last[0] = r->last[1];
	r->last[1] = three[2];
}

static bool is_noise(const char *name)
{
	static const char *const names[] = {"script", "style", "meta", "link", "noscript", "template"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* p is behind the '<'. */
static void read_tag(struct reader *r)
{
	bool closes = r->p < r->end && *r->p == '/';
	char name[TAG_MAX + 1];
	size_t len = 0;

	r->p += closes;
	for (; r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '-'); r->p++)
		if (len < TAG_MAX)
			name[len++] = (char)tolower((unsigned char)*r->p);
	name[len] = '\0';
	skip_tag(r);
	if (closes || len == 0)
		return;
	if (!is_noise(name))
		take_tag(r, name, len);
	if (strcmp(name, "script") == 0 || strcmp(name, "style") == 0) {
		r->p = raw_end(r, name);
	} else if (strcmp(name, "title") == 0 && !*r->out->title) {
		const char *end = raw_end(r, name);

		outline_text(r->out->title, sizeof r->out->title, r->p, (size_t)(end - r->p));
		take_words(&r->words, r->p, (size_t)(end - r->p));
		r->p = end;
	}
}

static void skip_comment(struct reader *r)
{
	const char *end = memmem(r->p, (size_t)(r->end - r->p), "-->", 3);

	r->p = end ? end + 3 : r->end;
}

static void read_markup(struct reader *r)
{
	while (r->p < r->end) {
		const char *tag = memchr(r->p, '<', (size_t)(r->end - r->p));

		take_words(&r->words, r->p, (size_t)((tag ? tag : r->end) - r->p));
		r->p = tag ? tag + 1 : r->end;
		if (r->end - r->p >= 3 && memcmp(r->p, "!--", 3) == 0)
			skip_comment(r);
		else if (r->p < r->end && (isalpha((unsigned char)*r->p) || *r->p == '/'))
			read_tag(r);
		else if (r->p < r->end && (*r->p == '!' || *r->p == '?'))
			skip_tag(r);
	}
}

void outline_of(struct outline *out, const char *page, size_t len, bool markup)
{
	struct reader r = {.p = page, .end = page + len, .out = out};

	*out = (struct outline){0};
	if (markup)
		read_markup(&r);
	else
		take_words(&r.words, page, len);
	out->tags = blend_of(&r.tags);
	out->words = blend_of(&r.words);
	out->n_tags = r.tags.n;
	out->n_words = r.words.n;
}
