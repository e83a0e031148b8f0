#pragma once
/* judge - what answers say about who serves a domain: pure, so that every answer a hostile server can think of can be tried on it.
 * Ownership: said_done() and delegation_done() free. Errors: -ENOMEM. */
#include "dnsupdate/authority.h"

#define JUDGE_NS_MAX 32 /* names of one delegation that are looked at; RFC 1035 messages hold few more */

/* What a recursive server's answer to SOA says about the zone that holds a name. */
enum cut_hint {
	CUT_FOUND,  /* cut is the apex of its zone */
	CUT_ABSENT, /* the name does not exist; cut is the apex of the zone that says so */
	CUT_ALIAS,  /* the name is an alias (CNAME): the SOA is another zone's; the name above is to be asked */
	CUT_FAILED  /* SERVFAIL and the like: the name above is to be asked */
};
enum cut_hint judge_cut(char cut[RR_NAME_MAX], const struct answer *a, const char *name);

/* What one server of the zone `parent` says when asked for NS of `name`, without recursion. */
enum saying {
	SAYS_DELEGATED, /* cut (at or above name, below parent) is delegated to ns */
	SAYS_NOTHING,   /* name lies in parent itself */
	SAYS_ABSENT,    /* there is no such name */
	SAYS_USELESS    /* it knows nothing; text says what it answered */
};
struct said {
	enum saying saying;
	char *cut;
	char **ns; /* absolute, lower case, ordered */
	size_t n;
	char text[80];
};
int judge_parent(struct said *out, const struct answer *a, const char *parent, const char *name);
void said_done(struct said *s);
bool said_same(const struct said *a, const struct said *b);
int said_join(struct said *into, const struct said *from); /* takes from's names in, too */

/* Whether a server answers for a zone: asked for its SOA, without recursion. */
enum standing { STANDING_GOOD, STANDING_WRONG, STANDING_SILENT };
enum standing judge_server(char text[80], const struct answer *a, const char *zone);

struct testimony { /* of one of the provider's servers in the delegation */
	const char *name;
	enum standing standing;
	const char *text; /* "answers REFUSED"; of those that are not good */
};
struct evidence {
	const char *parent, *hosted; /* hosted may be NULL */
	const struct said *said;     /* SAYS_DELEGATED */
	char *const *nameservers;
	size_t n_nameservers;
	const struct testimony *ours;
	size_t n_ours;    /* 0: none of the provider's is in the delegation */
	const char *note; /* what people should know besides; "" */
};
int judge(struct delegation *out, const struct evidence *e);
/* A verdict for which there is no delegation to show. */
void judge_without(struct delegation *out, enum verdict verdict, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool judge_is_listed(char *const *names, size_t n, const char *name); /* without regard to case and final dots */
