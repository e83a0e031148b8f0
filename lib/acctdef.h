#pragma once
/* acctdef - what an account is: its name and everything by which its traffic is recognised.
 * The provider's panel hands these over as JSON objects (DESIGN 6):
 *   {"name": "alice", "domains": ["alice.example", "*.alice.example"], "addresses": ["192.0.2.11"],
 *    "logins": ["alice", "*@alice.example"], "ports": [8300], "databases_gb": 3.2}
 * Names become lower case, a trailing dot of a domain goes. Domains are A-labels, digits, hyphens and underscores; a wildcard is
 * a first label "*" alone. A login is NAME, NAME@DOMAIN or *@DOMAIN. What is not so is refused with the account, the field and
 * what was expected. What one account claims twice is kept once.
 * Ownership: acctdef_done() frees what a struct holds; an acctset owns its members. */
#include "lib/addr.h"
#include "lib/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ACCOUNT_NAME_MAX 64           /* letters, digits, and . _ - after the first: safe as a path's component and in a log */
#define DOMAIN_MAX       253          /* RFC 1035 2.3.4 */
#define LOGIN_MAX        254          /* RFC 5321 4.5.3.1.3, without the angle brackets */
#define IMPORT_MAX       (512u << 20) /* bytes of an import file: some ten million domains */

enum side { SIDE_CLIENT, SIDE_TRANSIT };
enum gate {
	GATE_OPEN,  /* traffic flows to the side */
	GATE_HELD,  /* new requests wait; those in flight may finish */
	GATE_FENCED /* as held, and nothing of the account is in flight any more */
};
const char *side_name(enum side s); /* "client", "transit" */
bool side_parse(enum side *s, const char *text);
const char *gate_name(enum gate g); /* "open", "held", "fenced" */
bool gate_parse(enum gate *g, const char *text);

struct acctdef {
	char *name;
	char **domains;
	struct addr *addresses;
	char **logins;
	uint16_t *ports;
	size_t n_domains, n_addresses, n_logins, n_ports;
	double databases_gb;
	enum side side; /* JSON "side" and "gate", only in messages and on our disk; client and open where absent */
	enum gate gate;
};

bool account_name_ok(const char *name);
/* The form in which names are kept and looked up; out has room for DOMAIN_MAX + 1. False: *expected says what a domain looks like. */
bool domain_canon(char *out, const char *text, bool wildcard_ok, const char **expected);
bool login_canon(char *out, const char *text, const char **expected);              /* the same for logins; room for LOGIN_MAX + 1 */
int acctdef_from_json(struct acctdef *out, const json_t *object, struct err *err); /* unknown fields are refused */
json_t *acctdef_to_json(const struct acctdef *d, bool with_state);                 /* returns new; NULL when memory is out */
int acctdef_copy(struct acctdef *out, const struct acctdef *from);                 /* -ENOMEM */
void acctdef_done(struct acctdef *d);
#define DIGEST_TEXT_MAX 17
/* Says whether two definitions recognise the same traffic: 16 hexadecimal digits over all but databases_gb, side and gate. The order
 * counts. Against slips, not against somebody who looks for two with one digest. Returns out. */
char *acctdef_digest(const struct acctdef *d, char out[DIGEST_TEXT_MAX]);

struct acctset {
	struct acctdef *defs;
	size_t n, cap;
};
int acctset_add(struct acctset *s, struct acctdef *d); /* takes d's contents, also on failure; -ENOMEM */
void acctset_done(struct acctset *s);
/* Two accounts of one name, or claiming one domain, address, login or port: -EEXIST, err names both and what they share.
 * The time is linear: a million domains are checked in about a second. */
int acctset_check(const struct acctset *s, struct err *err);
/* A whole import file: a JSON array, or JSON objects one after the other (JSON lines). err says file, line, what, expected. */
int acctset_from_file(struct acctset *out, const char *path, struct err *err);
