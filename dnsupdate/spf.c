#include "dnsupdate/spf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STRING_MAX 255 /* RFC 1035 3.3 */

/* ---- a record as one text, and where its strings end ---- */

struct text {
	char *bytes;
	size_t len;
	size_t *ends; /* of each string, in bytes from the start of all */
	size_t n;
};

static void text_done(struct text *t)
{
	free(t->bytes);
	free(t->ends);
	*t = (struct text){0};
}

/* False: it is no sequence of strings, or memory is out; none of that is an SPF record. */
static bool text_read(struct text *t, const struct rdata *record)
{
	size_t at = 0;

	*t = (struct text){.bytes = malloc(record->len + 1u), .ends = calloc(record->len + 1u, sizeof *t->ends)};
	while (t->bytes && t->ends && at < record->len) {
		size_t len = record->bytes[at++];

		if (len > record->len - at)
			break;
		memcpy(t->bytes + t->len, record->bytes + at, len);
		at += len;
		t->len += len;
		t->ends[t->n++] = t->len;
	}
	if (!t->bytes || !t->ends || at < record->len) {
		text_done(t);
		return false;
	}
	t->bytes[t->len] = '\0';
	return true;
}

static int text_write(const struct text *t, struct rdata *out)
{
	size_t start = 0, at = 0;
	uint8_t *bytes;

	if (t->len + t->n > UINT16_MAX)
		return -EMSGSIZE;
	bytes = malloc(t->len + t->n + 1);
	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		size_t len = t->ends[i] - start;

		bytes[at++] = (uint8_t)len;
		memcpy(bytes + at, t->bytes + start, len);
		at += len;
		start = t->ends[i];
	}
	*out = (struct rdata){bytes, (uint16_t)at};
	return 0;
}

static void text_delete(struct text *t, size_t at, size_t len)
{
	memmove(t->bytes + at, t->bytes + at + len, t->len - at - len + 1);
	t->len -= len;
	for (size_t i = 0; i < t->n; i++)
		if (t->ends[i] > at)
			t->ends[i] -= t->ends[i] - at < len ? t->ends[i] - at : len;
}

static void add_end(struct text *t, size_t i, size_t end)
{
	memmove(&t->ends[i + 1], &t->ends[i], (t->n - i) * sizeof *t->ends);
	t->ends[i] = end;
	t->n++;
}

/* Behind the byte before `at`, in its string where that has room; else a new string begins there. */
static int text_insert(struct text *t, size_t at, const char *what)
{
	size_t len = strlen(what), i = 0, start, *ends = reallocarray(t->ends, t->n + 3, sizeof *ends);
	char *bytes;

	if (!ends)
		return -ENOMEM;
	t->ends = ends;
	bytes = realloc(t->bytes, t->len + len + 1);
	if (!bytes)
		return -ENOMEM;
	t->bytes = bytes;
	memmove(bytes + at + len, bytes + at, t->len - at + 1);
	memcpy(bytes + at, what, len);
	t->len += len;
	while (i + 1 < t->n && ends[i] < at)
		i++;
	start = i ? ends[i - 1] : 0;
	for (size_t k = i; k < t->n; k++)
		ends[k] += len;
	if (ends[i] - start <= STRING_MAX)
		return 0;
	if (ends[i] - at > STRING_MAX) /* nor is there room for the rest of the old string behind it */
		add_end(t, i, at + len);
	add_end(t, i, at);
	return 0;
}

/* ---- mechanisms ---- */

struct mechanism {
	size_t start, end; /* in the text */
	size_t address;    /* where its address begins */
	struct addr_net net;
	bool exact; /* of one address */
};

static bool parse_mechanism(const struct text *t, struct mechanism *m)
{
	const char *p = t->bytes + m->start;
	size_t skip = strchr("+-~?", *p) ? 1 : 0;
	bool four = strncasecmp(p + skip, "ip4:", 4) == 0;
	char address[ADDR_TEXT_MAX], *slash, *end;
	size_t len;

	m->address = m->start + skip + 4;
	if ((!four && strncasecmp(p + skip, "ip6:", 4) != 0) || m->address >= m->end || (len = m->end - m->address) >= sizeof address)
		return false;
	memcpy(address, t->bytes + m->address, len);
	address[len] = '\0';
	m->net.bits = four ? 32 : 128;
	slash = strchr(address, '/');
	if (slash) {
		unsigned long bits = strtoul(slash + 1, &end, 10);

		if (slash[1] < '0' || slash[1] > '9' || *end || bits > m->net.bits)
			return false;
		m->net.bits = (unsigned)bits;
		*slash = '\0';
	}
	m->exact = m->net.bits == (four ? 32 : 128);
	return addr_parse(&m->net.base, address) && addr_family(&m->net.base) == (four ? AF_INET : AF_INET6);
}

/* The next one at or behind *at that names addresses. */
static bool next_mechanism(const struct text *t, size_t *at, struct mechanism *m)
{
	while (*at < t->len) {
		m->start = *at + strspn(t->bytes + *at, " ");
		m->end = m->start + strcspn(t->bytes + m->start, " ");
		*at = m->end;
		if (m->start == m->end)
			return false;
		if (parse_mechanism(t, m))
			return true;
	}
	return false;
}

static bool names(const struct text *t, const struct addr *a, bool exact)
{
	struct mechanism m;

	for (size_t at = 0; next_mechanism(t, &at, &m);)
		if (m.exact == exact && addr_net_has(&m.net, a))
			return true;
	return false;
}

/* ---- rewriting ---- */

/* Both leave *at behind what they wrote: an address to come may be one to go of another pair. */

static int add_partner(struct text *t, size_t *at, const struct mechanism *m, const struct addr *partner)
{
	char what[ADDR_TEXT_MAX + 8], text[ADDR_TEXT_MAX];

	snprintf(what, sizeof what, " %.*s%s", (int)(m->address - m->start), t->bytes + m->start, addr_text(partner, text));
	*at = m->end + strlen(what);
	return text_insert(t, m->end, what);
}

static int go_home(struct text *t, size_t *at, const struct mechanism *m, const struct addr *client)
{
	char text[ADDR_TEXT_MAX];

	if (!names(t, client, true)) {
		text_delete(t, m->address, m->end - m->address);
		*at = m->address + strlen(addr_text(client, text));
		return text_insert(t, m->address, text);
	}
	/* with the blank before it: "v=spf1" always stands in front */
	*at = m->start - 1;
	text_delete(t, *at, m->end - *at);
	return 0;
}

static const struct swap *swap_of(const struct addr *a, const struct swap *swaps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (swaps[i].has_to && addr_same_ip(a, &swaps[i].from))
			return &swaps[i];
	return NULL;
}

static int rewrite(struct text *t, const struct swap *swaps, size_t n, bool home, bool *changed)
{
	struct mechanism m;
	int rc = 0;

	for (size_t at = 0; rc == 0 && next_mechanism(t, &at, &m);) {
		const struct swap *s = m.exact ? swap_of(&m.net.base, swaps, n) : NULL;

		if (!s || (!home && names(t, &s->to, true)))
			continue;
		rc = home ? go_home(t, &at, &m, &s->to) : add_partner(t, &at, &m, &s->to);
		*changed = true;
	}
	return rc;
}

static void find_wide(const struct text *t, const struct swap *swaps, size_t n, char wide[64])
{
	struct mechanism m;

	for (size_t i = 0; i < n; i++) {
		if (!swaps[i].has_to || names(t, &swaps[i].to, true) || names(t, &swaps[i].to, false))
			continue;
		for (size_t at = 0; next_mechanism(t, &at, &m);) {
			if (!m.exact && addr_net_has(&m.net, &swaps[i].from)) {
				snprintf(wide, 64, "%.*s", (int)(m.end - m.start), t->bytes + m.start);
				return;
			}
		}
	}
}

static bool names_partner(const struct text *t, const struct swap *swaps, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (swaps[i].has_to && names(t, &swaps[i].to, true))
			return true;
	return false;
}

static bool is_spf(const struct text *t)
{
	return strncasecmp(t->bytes, "v=spf1", 6) == 0 && (t->bytes[6] == ' ' || t->bytes[6] == '\0') && strlen(t->bytes) == t->len;
}

bool spf_is(const struct rdata *record)
{
	struct text t;
	bool is = text_read(&t, record) && is_spf(&t);

	text_done(&t);
	return is;
}

size_t spf_length(const struct rdata *record)
{
	struct text t;
	size_t len = text_read(&t, record) ? t.len : 0;

	text_done(&t);
	return len;
}

int spf_rewrite(const struct rdata *record, const struct swap *swaps, size_t n, bool home, struct rdata *out, char wide[64])
{
	bool changed = false;
	struct text t;
	int rc;

	*out = (struct rdata){0};
	wide[0] = '\0';
	if (!text_read(&t, record) || !is_spf(&t)) {
		text_done(&t);
		return SPF_NONE;
	}
	rc = rewrite(&t, swaps, n, home, &changed);
	if (rc == 0 && !(home && changed))
		find_wide(&t, swaps, n, wide);
	if (rc == 0 && changed)
		rc = text_write(&t, out);
	if (rc == 0 && changed)
		rc = SPF_OTHER;
	else if (rc == 0)
		rc = *wide ? SPF_WIDE : names_partner(&t, swaps, n) ? SPF_SAME : SPF_NONE;
	text_done(&t);
	return rc;
}
