#pragma once
/* conf_parts - what the files of conf share among themselves; nobody else includes it.
 * The way of a file: conf_scan() checks the form and notes where sections start, libconfuse makes a tree of texts with lines,
 * conf.c fills a struct conf from the tree by the tables of conf_table.c, conf_check() looks at what keys say together. */
#include "lib/conf.h"

#define CONF_TEXT_MAX 256 /* of what a message or a page says about a key */

/* ---- conf_scan.c ---- */
struct conf_scan {
	int *lines; /* where each section starts, in the order in which they end */
	size_t n, cap;
};
/* Blanks comments in text, which must end with a newline. On failure too out->lines is the caller's to free. */
int conf_scan(struct conf_scan *out, const char *file, char *text, struct err *err);

/* ---- conf_table.c ---- */
enum conf_kind {                 /* what a key holds, and the field's type */
		 KIND_INT,       /* int */
		 KIND_MARK,      /* int: a power of two, whose double and fourfold fit as well */
		 KIND_PORT,      /* uint16_t */
		 KIND_BOOL,      /* bool */
		 KIND_ENUM,      /* an enum; .words by value, NULL where a value has no word */
		 KIND_FILE,      /* char *: an absolute path */
		 KIND_LOG,       /* char *: none, stderr, or an absolute path */
		 KIND_NAME,      /* char *: an interface */
		 KIND_URL,       /* char *: http or https, host and port */
		 KIND_SOCKET,    /* char *: unix:/path */
		 KIND_PEER,      /* char *: unix:/path or tls://host:port */
		 KIND_LISTEN,    /* char *: tls://address:port */
		 KIND_SERVE,     /* char *: unix:/path, loopback address:port, or tls://address:port */
		 KIND_ADDRESS,   /* char *: an address, without a port */
		 KIND_HOST,      /* struct conf_host without a port */
		 KIND_HOST_PORT, /* struct conf_host with a port */
		 KIND_HOSTS,     /* char **, and its count: names or addresses */
		 KIND_NETS       /* struct addr_net *, and its count */
};

struct conf_key {
	const char *name;
	enum conf_kind kind;
	size_t at, count_at; /* offsets in the section's struct */
	const char *dflt;    /* NULL: not set */
	long min, max;
	const char *const *words;
	const char *hint; /* what to do about a bad value; NULL: the usual */
	bool required;    /* in a section that is there */
	const char *help;
};

#define CONF_NOWHERE ((size_t)-1)
struct conf_section {
	const char *name, *help;
	bool titled, many;
	size_t at;                            /* of the struct in the one of the parent; where many, of the pointer to them */
	size_t count_at, size;                /* where many */
	size_t present_at, title_at, line_at; /* in the section's own struct, or CONF_NOWHERE */
	const struct conf_key *keys;          /* up to one without a name */
	const struct conf_section *subs;      /* NULL, or up to one without a name */
};
extern const struct conf_section conf_sections[]; /* at offsets of struct conf, up to one without a name */

bool conf_is_list(const struct conf_key *k);
/* Sets the field of k in base, or adds to it where it is a list. -EINVAL, -ENOMEM. */
int conf_set(const struct conf_key *k, void *base, const char *text, int line);
void conf_unset(const struct conf_key *k, void *base);                        /* frees what the field holds */
const char *conf_expected(const struct conf_key *k, char out[CONF_TEXT_MAX]); /* "a whole number from 0 to 9" */

static inline void *conf_field(void *base, size_t at)
{
	return (char *)base + at;
}

/* ---- conf_check.c ---- */
int conf_check(struct conf *c, struct err *err); /* also settles what depends on other keys */
