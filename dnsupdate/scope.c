/* Whose a name is: of all claims that hold it, that of the account which says it most closely. An exact claim comes first; else the longest
 * base, and of two claims with one base the wildcard, which speaks of nothing but what is below. Where two are equally close (no import
 * lets two accounts claim the same) the name is not ours: nothing is changed then. */
#include "dnsupdate/plan.h"

#include <string.h>
#include <strings.h>

/* Names of domains have neither escapes nor an end in a dot; an owner's last label border is a dot that is not escaped. */
static bool ends_at_label(const char *owner, size_t at)
{
	size_t slashes = 0;

	if (at == 0)
		return true;
	if (owner[at - 1] != '.')
		return false;
	while (slashes + 1 < at && owner[at - 2 - slashes] == '\\')
		slashes++;
	return slashes % 2 == 0;
}

/* 0: it does not hold the name; else the greater the closer. len: of the owner without its final dot. */
static size_t closeness(const char *domain, const char *owner, size_t len)
{
	bool wildcard = name_is_wildcard(domain);
	const char *base = domain + (wildcard ? 2 : 0);
	size_t base_len = strlen(base), at;

	if (base_len == 0 || base_len > len)
		return 0;
	at = len - base_len;
	if (strncasecmp(owner + at, base, base_len) != 0 || !ends_at_label(owner, at))
		return 0;
	if (at == 0)
		return wildcard ? 0 : 2 * RR_NAME_MAX + 2;
	return 2 * base_len + wildcard;
}

static size_t closest(char *const *domains, size_t n, const char *owner, size_t len)
{
	size_t best = 0;

	for (size_t i = 0; i < n; i++) {
		size_t c = closeness(domains[i], owner, len);

		if (c > best)
			best = c;
	}
	return best;
}

bool scope_has(const struct scope *s, const char *name)
{
	size_t len = strlen(name), ours;

	if (len && name[len - 1] == '.')
		len--;
	ours = closest(s->domains, s->n_domains, name, len);
	return ours > 0 && ours > closest(s->others, s->n_others, name, len);
}
