/* The answers of both sides to the same question: would a visitor notice the move? What changes with each request has no part in it: the
 * proxy sends outlines (proxy/outline.h), and in titles and redirect targets here, numbers and long tokens count as one sign. */
#include "control/preflight_parts.h"
#include "lib/member.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TAGS_APART  10 /* of 64 bits: more, and the pages are built differently */
#define WORDS_APART 14 /* more, and they say something different */
#define FEW_WORDS   12 /* below it a similarity hash says nothing but equal */
#define FEW_APART   3
#define SIZE_SHARE  10  /* percent that sizes may differ */
#define SIZE_LEAST  512 /* bytes that they may differ all the same */
#define TOKEN_LEAST 8

/* Long runs of hexadecimal digits, and words with a digit, become '#': ids, times, nonces. */
static void without_noise(const char *text, char *out, size_t cap)
{
	size_t at = 0;
	while (*text && at + 1 < cap) {
		size_t len = 0, digits = 0, hex = 0;
		while (isalnum((unsigned char)text[len]) || text[len] == '_') {
			digits += isdigit((unsigned char)text[len]) != 0;
			hex += isxdigit((unsigned char)text[len]) != 0;
			len++;
		}
		if (len == 0) {
			out[at++] = *text++;
		} else if (digits == len || (digits && len >= TOKEN_LEAST) || (hex == len && len >= TOKEN_LEAST)) {
			out[at++] = '#';
			text += len;
		} else {
			for (; len && at + 1 < cap; len--)
				out[at++] = *text++;
			text += len;
		}
	}
	out[at] = '\0';
}

static bool same_text(const char *a, const char *b)
{
	char x[1100], y[1100];
	without_noise(a, x, sizeof(x));
	without_noise(b, y, sizeof(y));
	return strcmp(x, y) == 0;
}

/* Where a Location leads: scheme, host without a default port, and the rest; relative ones stay on the host that was asked. */
struct target {
	char scheme[8], host[256];
	const char *rest;
};

static void read_target(struct target *t, const char *location, const json_t *answer)
{
	const char *host = strstr(location, "://");
	snprintf(t->scheme, sizeof(t->scheme), "%s", member_text(answer, "scheme"));
	snprintf(t->host, sizeof(t->host), "%.255s", member_text(answer, "domain"));
	t->rest = location;
	if (strncasecmp(location, "http://", 7) != 0 && strncasecmp(location, "https://", 8) != 0 && strncmp(location, "//", 2) != 0)
		return;
	if (location[0] != '/')
		snprintf(t->scheme, sizeof(t->scheme), "%s", strncasecmp(location, "https", 5) == 0 ? "https" : "http");
	host = location[0] == '/' ? location + 2 : host + 3;
	size_t n = strcspn(host, "/?#");
	snprintf(t->host, sizeof(t->host), "%.*s", (int)(n < 255 ? n : 255), host);
	char *port = strrchr(t->host, ':');
	if (port && strcmp(port, strcmp(t->scheme, "https") == 0 ? ":443" : ":80") == 0)
		*port = '\0';
	t->rest = host[n] ? host + n : "/";
}

static bool owns(const struct acctdef *d, const char *host)
{
	for (size_t i = 0; i < d->n_domains; i++) {
		const char *own = d->domains[i];
		size_t len = strlen(own) - (*own == '*'), n = strlen(host);
		if (strcasecmp(own, host) == 0 || (*own == '*' && n > len && strcasecmp(host + n - len, own + 1) == 0))
			return true;
	}
	return false;
}

/* ---- what is compared ---- */

/* What a side does, where one of them redirects. */
static void deed(const json_t *answer, enum side side, char *out, size_t cap)
{
	const char *to = member_text(answer, "location");
	if (*to)
		snprintf(out, cap, "%s redirects to %.500s", side_name(side), to);
	else
		snprintf(out, cap, "%s answers %lld", side_name(side), (long long)member_int(answer, "status"));
}

static void redirects(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh, const char *url)
{
	char was[600], will[600], todo[400];
	struct target a, b;
	read_target(&a, member_text(old, "location"), old);
	read_target(&b, member_text(fresh, "location"), fresh);
	if (member_int(old, "status") == member_int(fresh, "status") && strcmp(a.scheme, b.scheme) == 0 &&
	    strcasecmp(a.host, b.host) == 0 && same_text(a.rest, b.rest))
		return;
	bool away = strcasecmp(a.host, b.host) != 0 && !owns(v->def, b.host);
	if (away)
		snprintf(todo, sizeof(todo), "visitors would be sent to %.255s: set the site's own address on %s", b.host,
			 side_name(v->to));
	deed(old, v->from, was, sizeof(was));
	deed(fresh, v->to, will, sizeof(will));
	FIND(findings, away ? GRADE_STOP : GRADE_WARN, "twin-redirect", url, away ? todo : "is that meant?", "%s, %s", was, will);
}

/* A server that does not have the account yet refuses it, if hooks see to that; the move opens it, and asks it before the switch. */
static bool sealed(const struct preflight_view *v, json_int_t status)
{
	return status == 503 && v->conf && v->conf->control.hook_seal;
}

static void statuses(json_t *findings, const struct preflight_view *v, json_int_t was, json_int_t will, const char *url)
{
	bool worse = (was < 400 && will >= 400) || (was < 500 && will >= 500) || will == 421;
	const char *todo = sealed(v, will) ? "nothing if it is sealed until the move, which looks again before the switch; else mend it"
			   : worse         ? "has its content been copied ahead (hook-prepare), and does the site find its database there?"
					   : "is that meant?";
	FIND(findings, worse && !sealed(v, will) ? GRADE_STOP : GRADE_WARN, "twin-status", url, todo, "%s answers %lld, %s %lld",
	     side_name(v->from), (long long)was, side_name(v->to), (long long)will);
}

static unsigned apart(const json_t *a, const json_t *b, const char *key)
{
	uint64_t x = strtoull(member_text(a, key), NULL, 16), y = strtoull(member_text(b, key), NULL, 16);
	return (unsigned)__builtin_popcountll(x ^ y);
}

static bool differs_in(const json_t *a, const json_t *b, const char *hash, const char *count, unsigned most, unsigned few)
{
	json_int_t n = member_int(a, count), m = member_int(b, count);
	unsigned bits = apart(a, b, hash);
	if (n == 0 || m == 0)
		return n != m;
	return bits > (n < few || m < few ? FEW_APART : most);
}

static void type_of(const json_t *answer, char out[100])
{
	const char *t = member_text(answer, "type");
	size_t n = strcspn(t, "; ");
	snprintf(out, 100, "%.*s", (int)(n < 99 ? n : 99), t);
	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

static bool sizes_differ(const json_t *old, const json_t *fresh)
{
	json_int_t a = member_int(old, "size"), b = member_int(fresh, "size"), most = a > b ? a : b;
	json_int_t may = most * SIZE_SHARE / 100 > SIZE_LEAST ? most * SIZE_SHARE / 100 : SIZE_LEAST;
	bool whole = json_is_true(json_object_get(old, "whole")) && json_is_true(json_object_get(fresh, "whole"));
	return whole && (a > b ? a - b : b - a) > may;
}

static void pages(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh, const char *url)
{
	const char *from = side_name(v->from), *to = side_name(v->to), *was = member_text(old, "title"),
		   *will = member_text(fresh, "title");
	char a[100], b[100];
	type_of(old, a);
	type_of(fresh, b);
	bool title = !same_text(was, will), type = strcmp(a, b) != 0;
	if (type)
		FIND(findings, GRADE_WARN, "twin-type", url, "is it served as it should be?", "%s sends %s, %s %s", from,
		     *a ? a : "no type", to, *b ? b : "no type");
	if (title)
		FIND(findings, GRADE_WARN, "twin-title", url, "look at both: is it the same site?",
		     "its title is \"%s\" on %s, \"%s\" on %s", was, from, will, to);
	if (title || type)
		return; /* that it is another page is said */
	bool tags = differs_in(old, fresh, "tags", "n-tags", TAGS_APART, FEW_WORDS),
	     words = differs_in(old, fresh, "words", "n-words", WORDS_APART, FEW_WORDS);
	if (tags || words)
		FIND(findings, GRADE_WARN, "twin-page", url, "look at both: is the content up to date, and is it no error page?",
		     "the pages %s (%lld bytes on %s, %lld on %s)",
		     tags && words ? "differ"
		     : tags        ? "are built differently"
				   : "do not say the same",
		     (long long)member_int(old, "size"), from, (long long)member_int(fresh, "size"), to);
	else if (sizes_differ(old, fresh))
		FIND(findings, GRADE_INFORM, "twin-size", url, NULL, "alike, but %lld bytes on %s and %lld on %s",
		     (long long)member_int(old, "size"), from, (long long)member_int(fresh, "size"), to);
}

static void silent(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh, const char *url)
{
	bool did = json_is_true(json_object_get(old, "ok")), will = json_is_true(json_object_get(fresh, "ok"));
	if (did)
		FIND(findings, GRADE_STOP, "twin-away", url, "start the service there, or let it take connections from this host",
		     "%s does not answer (%s), while %s does", side_name(v->to), member_text(fresh, "said"), side_name(v->from));
	else if (will)
		FIND(findings, GRADE_INFORM, "twin-away", url, NULL, "%s does not answer today (%s); %s does", side_name(v->from),
		     member_text(old, "said"), side_name(v->to));
	else
		FIND(findings, GRADE_INFORM, "twin-away", url, NULL, "neither side answers (%s: %s; %s: %s)", side_name(v->from),
		     member_text(old, "said"), side_name(v->to), member_text(fresh, "said"));
}

static bool is_redirect(json_int_t status)
{
	return status >= 300 && status < 400 && status != 304;
}

void preflight_twin(json_t *findings, const struct preflight_view *v, const json_t *old, const json_t *fresh)
{
	json_int_t was = member_int(old, "status"), will = member_int(fresh, "status");
	char url[600];
	preflight_url(old, url);
	if (!json_is_string(json_object_get(old, "listener")) || !fresh)
		return; /* nobody asks for it by us, or the other side is not asked */
	if (!json_is_true(json_object_get(old, "ok")) || !json_is_true(json_object_get(fresh, "ok"))) {
		bool tls = strcmp(member_text(old, "scheme"), "https") == 0;
		/* who shakes no hands is told by preflight_tls() */
		if (!tls || json_is_object(json_object_get(fresh, "tls")) || !json_is_object(json_object_get(old, "tls")))
			silent(findings, v, old, fresh, url);
		return;
	}
	if (is_redirect(will) || (is_redirect(was) && will < 400))
		redirects(findings, v, old, fresh, url);
	else if (was != will)
		statuses(findings, v, was, will, url);
	else
		pages(findings, v, old, fresh, url);
}
