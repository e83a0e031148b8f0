#include "lib/acctdef.h"
#include "lib/index.h"
#include "lib/log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX     63
#define LOCALPART_MAX 64
#define TEXT_MAX      256 /* room for any canonical form: DOMAIN_MAX, LOGIN_MAX */

static const char *const side_names[] = {[SIDE_CLIENT] = "client", [SIDE_TRANSIT] = "transit"};
static const char *const gate_names[] = {[GATE_OPEN] = "open", [GATE_HELD] = "held", [GATE_FENCED] = "fenced"};
static const char name_expected[] = "1 to 64 letters, digits, dots, hyphens or underscores, the first a letter or digit";

const char *side_name(enum side s)
{
	return side_names[s];
}

const char *gate_name(enum gate g)
{
	return gate_names[g];
}

bool side_parse(enum side *s, const char *text)
{
	for (unsigned i = 0; i < sizeof side_names / sizeof *side_names; i++) {
		if (strcmp(text, side_names[i]) == 0) {
			*s = (enum side)i;
			return true;
		}
	}
	return false;
}

bool gate_parse(enum gate *g, const char *text)
{
	for (unsigned i = 0; i < sizeof gate_names / sizeof *gate_names; i++) {
		if (strcmp(text, gate_names[i]) == 0) {
			*g = (enum gate)i;
			return true;
		}
	}
	return false;
}

/* The ctype functions ask the locale; names must not. */
static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool account_name_ok(const char *name)
{
	size_t len = strnlen(name, ACCOUNT_NAME_MAX + 1);

	if (len == 0 || len > ACCOUNT_NAME_MAX || !is_alnum(name[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_alnum(name[i]) && !strchr("._-", name[i]))
			return false;
	}
	return !strstr(name, ".."); /* not needed while no name starts with a dot; cheap, and paths stay paths */
}

static bool label_ok(const char *p, size_t len)
{
	if (len == 0 || len > LABEL_MAX || p[0] == '-' || p[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alnum(p[i]) && p[i] != '-' && p[i] != '_')
			return false;
	}
	return true;
}

/* What browsers and inet_aton(3) take for an IPv4 address: a last label that is a number, decimal or hexadecimal. */
static bool label_is_number(const char *p, size_t len)
{
	size_t i = 0;

	if (len >= 2 && p[0] == '0' && lower(p[1]) == 'x') {
		for (i = 2; i < len && isxdigit((unsigned char)p[i]);)
			i++;
		return i == len;
	}
	while (i < len && p[i] >= '0' && p[i] <= '9')
		i++;
	return i == len;
}

bool domain_canon(char *out, const char *text, bool wildcard_ok, const char **expected)
{
	size_t len = strnlen(text, DOMAIN_MAX + 2);
	const char *p = text, *end;
	struct addr ip;

	if (len > 1 && text[len - 1] == '.')
		len--;
	*expected = "a domain of 1 to 253 bytes";
	if (len == 0 || len > DOMAIN_MAX)
		return false;
	*expected = "a domain in ASCII: write the A-label (xn--...) of an internationalised name";
	for (size_t i = 0; i < len; i++) {
		if (text[i] & 0x80)
			return false;
	}
	end = text + len;
	*expected = "a domain, not an address (addresses go into \"addresses\")";
	if (addr_parse(&ip, text) || addr_parse_port(&ip, text))
		return false;
	*expected = wildcard_ok ? "a domain such as www.alice.example, or *.alice.example with the asterisk as the whole first label"
				: "a domain such as www.alice.example, without an asterisk";
	if (wildcard_ok && len > 2 && p[0] == '*' && p[1] == '.')
		p += 2;
	for (const char *dot; p <= end; p = dot + 1) {
		dot = memchr(p, '.', (size_t)(end - p));
		if (!dot)
			dot = end;
		if (!label_ok(p, (size_t)(dot - p))) {
			if (dot - p > LABEL_MAX)
				*expected = "labels of at most 63 bytes";
			return false;
		}
		if (dot == end && label_is_number(p, (size_t)(dot - p))) {
			*expected = "a domain, not an address: the last label must not be a number";
			return false;
		}
	}
	for (size_t i = 0; i < len; i++)
		out[i] = lower(text[i]);
	out[len] = '\0';
	return true;
}

bool login_canon(char *out, const char *text, const char **expected)
{
	size_t len = strnlen(text, LOGIN_MAX + 1);
	const char *at = memchr(text, '@', len);
	size_t local = at ? (size_t)(at - text) : len;

	*expected = "a login of 1 to 254 bytes, at most 64 of them before the @";
	if (len == 0 || len > LOGIN_MAX || local > LOCALPART_MAX)
		return false;
	*expected = "a login such as alice, alice@alice.example or *@alice.example, in printable ASCII";
	if (local == 0)
		return false;
	for (size_t i = 0; i < local; i++) {
		if (text[i] <= ' ' || text[i] > '~' || strchr("\"\\,;:<>()[]*", text[i]))
			if (!(at && local == 1 && text[0] == '*'))
				return false;
		out[i] = lower(text[i]);
	}
	out[local] = '\0';
	if (!at)
		return true;
	out[local] = '@';
	return domain_canon(out + local + 1, at + 1, false, expected);
}

/* ---- one account from JSON */

static int bad_item(struct err *err, const char *field, size_t i, const json_t *found, const char *expected)
{
	char quoted[160];

	if (json_is_string(found))
		log_quote(quoted, sizeof quoted, json_string_value(found), json_string_length(found));
	else if (json_is_integer(found))
		snprintf(quoted, sizeof quoted, "%" JSON_INTEGER_FORMAT, json_integer_value(found));
	else
		snprintf(quoted, sizeof quoted, "%s",
			 json_is_object(found)    ? "an object"
			 : json_is_array(found)   ? "a list"
			 : json_is_real(found)    ? "a fraction"
			 : json_is_boolean(found) ? "a truth value"
						  : "null");
	if (i == SIZE_MAX)
		return err_set(err, -EINVAL, "%s: found %s, expected %s", field, quoted, expected);
	return err_set(err, -EINVAL, "%s[%zu]: found %s, expected %s", field, i, quoted, expected);
}

/* The text of a JSON string without NUL bytes; NULL for anything else. */
static const char *text_of(const json_t *v)
{
	const char *text = json_string_value(v);
	return text && strlen(text) == json_string_length(v) ? text : NULL;
}

/* Room for the members of a list. */
static int list_room(const json_t *list, const char *field, size_t size, void *out, struct err *err)
{
	void *room;

	if (!json_is_array(list))
		return bad_item(err, field, SIZE_MAX, list, "a list");
	if (json_array_size(list) == 0)
		return 0;
	room = calloc(json_array_size(list), size);
	if (!room)
		return err_errno(err, -ENOMEM, "%s", field);
	memcpy(out, &room, sizeof room);
	return 0;
}

static bool domain_item(char *out, const char *text, const char **expected)
{
	return domain_canon(out, text, true, expected);
}

static int read_texts(const json_t *list, const char *field, bool (*canon)(char *, const char *, const char **), char ***out, size_t *n,
		      struct err *err)
{
	int rc = list_room(list, field, sizeof **out, out, err);

	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		const char *text = text_of(v), *expected = "a text";
		char form[TEXT_MAX];

		if (!text || !canon(form, text, &expected))
			return bad_item(err, field, i, v, expected);
		(*out)[i] = strdup(form);
		if (!(*out)[i])
			return err_errno(err, -ENOMEM, "%s", field);
		*n = i + 1;
	}
	return rc;
}

static int read_name(struct acctdef *d, const json_t *v, struct err *err)
{
	const char *text = text_of(v);

	if (!text || !account_name_ok(text))
		return bad_item(err, "name", SIZE_MAX, v, name_expected);
	d->name = strdup(text);
	return d->name ? 0 : err_errno(err, -ENOMEM, "name");
}

static int read_domains(struct acctdef *d, const json_t *v, struct err *err)
{
	return read_texts(v, "domains", domain_item, &d->domains, &d->n_domains, err);
}

static int read_logins(struct acctdef *d, const json_t *v, struct err *err)
{
	return read_texts(v, "logins", login_canon, &d->logins, &d->n_logins, err);
}

/* An address that visitors can connect to from elsewhere or from this host; scopes would not survive being written down. */
static bool address_usable(const struct addr *a)
{
	if (addr_is_any(a))
		return false;
	if (addr_family(a) == AF_INET6)
		return !IN6_IS_ADDR_LINKLOCAL(&a->v6.sin6_addr) && !IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr);
	return !IN_MULTICAST(ntohl(a->v4.sin_addr.s_addr)) && a->v4.sin_addr.s_addr != INADDR_BROADCAST;
}

static int read_addresses(struct acctdef *d, const json_t *v, struct err *err)
{
	int rc = list_room(v, "addresses", sizeof *d->addresses, &d->addresses, err);

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		const char *text = text_of(json_array_get(v, i));

		if (!text || !addr_parse(&d->addresses[i], text) || !address_usable(&d->addresses[i]))
			return bad_item(err, "addresses", i, json_array_get(v, i),
					"an IPv4 or IPv6 address of a server, such as 192.0.2.11 or 2001:db8::11");
		d->n_addresses = i + 1;
	}
	return rc;
}

static int read_ports(struct acctdef *d, const json_t *v, struct err *err)
{
	int rc = list_room(v, "ports", sizeof *d->ports, &d->ports, err);

	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++) {
		const json_t *item = json_array_get(v, i);
		json_int_t port = json_integer_value(item); /* 0 for what is no integer */

		if (port < 1 || port > 65535)
			return bad_item(err, "ports", i, item, "a port from 1 to 65535");
		d->ports[i] = (uint16_t)port;
		d->n_ports = i + 1;
	}
	return rc;
}

static int read_databases(struct acctdef *d, const json_t *v, struct err *err)
{
	double gb = json_number_value(v);

	if (!json_is_number(v) || !isfinite(gb) || gb < 0 || gb > 1e6)
		return bad_item(err, "databases_gb", SIZE_MAX, v, "a number of gigabytes from 0 to 1000000");
	d->databases_gb = gb;
	return 0;
}

static int read_side(struct acctdef *d, const json_t *v, struct err *err)
{
	if (!text_of(v) || !side_parse(&d->side, text_of(v)))
		return bad_item(err, "side", SIZE_MAX, v, "\"client\" or \"transit\"");
	return 0;
}

static int read_gate(struct acctdef *d, const json_t *v, struct err *err)
{
	if (!text_of(v) || !gate_parse(&d->gate, text_of(v)))
		return bad_item(err, "gate", SIZE_MAX, v, "\"open\", \"held\" or \"fenced\"");
	return 0;
}

static const struct field {
	const char *name;
	int (*read)(struct acctdef *d, const json_t *v, struct err *err);
} fields[] = {
	{"name", read_name},   {"domains", read_domains},        {"addresses", read_addresses}, {"logins", read_logins},
	{"ports", read_ports}, {"databases_gb", read_databases}, {"side", read_side},           {"gate", read_gate},
};

static int read_field(struct acctdef *d, const char *name, const json_t *v, struct err *err)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].read == read_name ? 0 : fields[i].read(d, v, err); /* the name was first */
	}
	return err_set(err, -EINVAL, "unknown field %s, expected name, domains, addresses, logins, ports or databases_gb",
		       LOG_QUOTED(name, strlen(name)));
}

/* ---- what accounts claim, as keys of an index */

enum claim { CLAIM_NAME, CLAIM_DOMAIN, CLAIM_ADDRESS, CLAIM_LOGIN, CLAIM_PORT, CLAIMS };
static const char *const claim_words[] = {"name", "domain", "address", "login", "port"};

static size_t claim_count(const struct acctdef *d, enum claim c)
{
	switch (c) {
	case CLAIM_NAME:
		return 1;
	case CLAIM_DOMAIN:
		return d->n_domains;
	case CLAIM_ADDRESS:
		return d->n_addresses;
	case CLAIM_LOGIN:
		return d->n_logins;
	case CLAIM_PORT:
		return d->n_ports;
	case CLAIMS:
		break;
	}
	return 0;
}

static const void *claim_key(const struct acctdef *d, enum claim c, size_t i, size_t *len)
{
	const char *text = c == CLAIM_NAME ? d->name : c == CLAIM_DOMAIN ? d->domains[i] : c == CLAIM_LOGIN ? d->logins[i] : NULL;

	if (text) {
		*len = strlen(text);
		return text;
	}
	if (c == CLAIM_PORT) {
		*len = sizeof d->ports[i];
		return &d->ports[i];
	}
	if (addr_family(&d->addresses[i]) == AF_INET) {
		*len = sizeof d->addresses[i].v4.sin_addr;
		return &d->addresses[i].v4.sin_addr;
	}
	*len = sizeof d->addresses[i].v6.sin6_addr;
	return &d->addresses[i].v6.sin6_addr;
}

/* Puts claim i into place k of its list, or frees it where k is SIZE_MAX. */
static void claim_place(struct acctdef *d, enum claim c, size_t i, size_t k)
{
	char **texts = c == CLAIM_DOMAIN ? d->domains : c == CLAIM_LOGIN ? d->logins : NULL;

	if (k == SIZE_MAX) {
		if (texts)
			free(texts[i]);
	} else if (texts) {
		texts[k] = texts[i];
	} else if (c == CLAIM_ADDRESS) {
		d->addresses[k] = d->addresses[i];
	} else if (c == CLAIM_PORT) {
		d->ports[k] = d->ports[i];
	}
}

static size_t drop_repeats_of(struct acctdef *d, enum claim c, struct index *seen)
{
	size_t kept = 0, len;

	for (size_t i = 0, n = claim_count(d, c); i < n; i++) {
		const void *key = claim_key(d, c, i, &len);
		uint32_t other;

		if (index_get(seen, key, len, &other, NULL)) {
			claim_place(d, c, i, SIZE_MAX);
			continue;
		}
		claim_place(d, c, i, kept);
		key = claim_key(d, c, kept, &len); /* where it stays from now on */
		index_put(seen, key, len, 0, NULL);
		kept++;
	}
	return kept;
}

static int drop_repeats(struct acctdef *d)
{
	for (enum claim c = CLAIM_DOMAIN; c < CLAIMS; c++) {
		struct index seen;
		size_t kept;
		int rc;

		if (claim_count(d, c) < 2)
			continue;
		rc = index_init(&seen, claim_count(d, c));
		if (rc < 0)
			return rc;
		kept = drop_repeats_of(d, c, &seen);
		index_done(&seen);
		*(c == CLAIM_DOMAIN    ? &d->n_domains
		  : c == CLAIM_ADDRESS ? &d->n_addresses
		  : c == CLAIM_LOGIN   ? &d->n_logins
				       : &d->n_ports) = kept;
	}
	return 0;
}

static int read_account(struct acctdef *d, const json_t *object, struct err *err)
{
	const json_t *name = json_object_get(object, "name"), *v;
	const char *key;
	int rc;

	if (!json_is_object(object))
		return bad_item(err, "account", SIZE_MAX, object,
				"an object such as {\"name\": \"alice\", \"domains\": [\"alice.example\"]}");
	if (!name)
		return err_set(err, -EINVAL, "account: \"name\" is missing, expected %s", name_expected);
	rc = read_name(d, name, err);
	if (rc < 0) {
		err_wrap(err, "account");
		return rc;
	}
	/* json_object_foreach() wants a json_t it may change; nothing is changed here */
	json_object_foreach ((json_t *)object, key, v) {
		rc = read_field(d, key, v, err);
		if (rc < 0) {
			err_wrap(err, "account %s", d->name);
			return rc;
		}
	}
	rc = drop_repeats(d);
	return rc < 0 ? err_errno(err, rc, "account %s", d->name) : 0;
}

int acctdef_from_json(struct acctdef *out, const json_t *object, struct err *err)
{
	int rc;

	memset(out, 0, sizeof *out);
	rc = read_account(out, object, err);
	if (rc < 0)
		acctdef_done(out);
	return rc;
}

/* ---- and back */

static bool put_texts(json_t *object, const char *field, char *const *texts, size_t n)
{
	json_t *list = n ? json_array() : NULL;

	for (size_t i = 0; list && i < n; i++) {
		if (json_array_append_new(list, json_string(texts[i])) < 0) {
			json_decref(list);
			return false;
		}
	}
	return n == 0 || json_object_set_new(object, field, list) == 0; /* a NULL value fails there */
}

static bool put_addresses(json_t *object, const struct acctdef *d)
{
	char text[ADDR_TEXT_MAX];
	json_t *list = d->n_addresses ? json_array() : NULL;

	for (size_t i = 0; list && i < d->n_addresses; i++) {
		if (json_array_append_new(list, json_string(addr_text(&d->addresses[i], text))) < 0) {
			json_decref(list);
			return false;
		}
	}
	return d->n_addresses == 0 || json_object_set_new(object, "addresses", list) == 0;
}

static bool put_ports(json_t *object, const struct acctdef *d)
{
	json_t *list = d->n_ports ? json_array() : NULL;

	for (size_t i = 0; list && i < d->n_ports; i++) {
		if (json_array_append_new(list, json_integer(d->ports[i])) < 0) {
			json_decref(list);
			return false;
		}
	}
	return d->n_ports == 0 || json_object_set_new(object, "ports", list) == 0;
}

static bool put_databases(json_t *object, double gb)
{
	if (gb == 0)
		return true;
	return json_object_set_new(object, "databases_gb", gb == floor(gb) ? json_integer((json_int_t)gb) : json_real(gb)) == 0;
}

json_t *acctdef_to_json(const struct acctdef *d, bool with_state)
{
	json_t *o = json_object();

	if (o && json_object_set_new(o, "name", json_string(d->name)) == 0 && put_texts(o, "domains", d->domains, d->n_domains) &&
	    put_addresses(o, d) && put_texts(o, "logins", d->logins, d->n_logins) && put_ports(o, d) && put_databases(o, d->databases_gb) &&
	    (!with_state || (json_object_set_new(o, "side", json_string(side_name(d->side))) == 0 &&
			     json_object_set_new(o, "gate", json_string(gate_name(d->gate))) == 0)))
		return o;
	json_decref(o);
	return NULL;
}

/* ---- ownership */

static bool copy_texts(char ***out, size_t *n, char *const *from, size_t count)
{
	if (count == 0)
		return true;
	*out = calloc(count, sizeof **out);
	for (; *out && *n < count; ++*n) {
		(*out)[*n] = strdup(from[*n]);
		if (!(*out)[*n])
			return false;
	}
	return *out != NULL;
}

static bool copy_bytes(void *out, size_t *n, const void *from, size_t count, size_t size)
{
	void *copy = count ? malloc(count * size) : NULL;

	if (count == 0)
		return true;
	if (!copy)
		return false;
	memcpy(copy, from, count * size);
	memcpy(out, &copy, sizeof copy);
	*n = count;
	return true;
}

/* Each part with its length, so that no two lists of parts run into each other. */
static void digest(uint64_t h[2], const void *bytes, size_t len)
{
	uint64_t next = siphash13(h, bytes, len);

	h[1] = h[0] + len;
	h[0] = next;
}

char *acctdef_digest(const struct acctdef *d, char out[DIGEST_TEXT_MAX])
{
	uint64_t h[2] = {d->n_domains, d->n_addresses};
	char text[ADDR_TEXT_MAX];

	digest(h, d->name, strlen(d->name));
	for (size_t i = 0; i < d->n_domains; i++)
		digest(h, d->domains[i], strlen(d->domains[i]));
	for (size_t i = 0; i < d->n_addresses; i++)
		digest(h, text, strlen(addr_text(&d->addresses[i], text)));
	for (size_t i = 0; i < d->n_logins; i++)
		digest(h, d->logins[i], strlen(d->logins[i]));
	digest(h, d->ports, d->n_ports * sizeof(*d->ports));
	snprintf(out, DIGEST_TEXT_MAX, "%016" PRIx64, h[0]);
	return out;
}

int acctdef_copy(struct acctdef *out, const struct acctdef *from)
{
	*out = (struct acctdef){.databases_gb = from->databases_gb, .side = from->side, .gate = from->gate};
	out->name = strdup(from->name);
	if (out->name && copy_texts(&out->domains, &out->n_domains, from->domains, from->n_domains) &&
	    copy_texts(&out->logins, &out->n_logins, from->logins, from->n_logins) &&
	    copy_bytes(&out->addresses, &out->n_addresses, from->addresses, from->n_addresses, sizeof *from->addresses) &&
	    copy_bytes(&out->ports, &out->n_ports, from->ports, from->n_ports, sizeof *from->ports))
		return 0;
	acctdef_done(out);
	return -ENOMEM;
}

void acctdef_done(struct acctdef *d)
{
	for (size_t i = 0; i < d->n_domains; i++)
		free(d->domains[i]);
	for (size_t i = 0; i < d->n_logins; i++)
		free(d->logins[i]);
	free(d->name);
	free(d->domains);
	free(d->addresses);
	free(d->logins);
	free(d->ports);
	memset(d, 0, sizeof *d);
}

int acctset_add(struct acctset *s, struct acctdef *d)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		struct acctdef *more = realloc(s->defs, cap * sizeof *more);

		if (!more) {
			acctdef_done(d);
			return -ENOMEM;
		}
		s->defs = more;
		s->cap = cap;
	}
	s->defs[s->n++] = *d;
	memset(d, 0, sizeof *d);
	return 0;
}

void acctset_done(struct acctset *s)
{
	for (size_t i = 0; i < s->n; i++)
		acctdef_done(&s->defs[i]);
	free(s->defs);
	memset(s, 0, sizeof *s);
}

/* ---- a set */

static int clash(const struct acctset *s, enum claim c, size_t a, size_t b, size_t item, struct err *err)
{
	const struct acctdef *d = &s->defs[b];
	char text[ADDR_TEXT_MAX];

	if (c == CLAIM_NAME)
		return err_set(err, -EEXIST, "two accounts have the name %s", d->name);
	if (c == CLAIM_PORT)
		snprintf(text, sizeof text, "%u", (unsigned)d->ports[item]);
	return err_set(err, -EEXIST, "%s %s is claimed by account %s and by account %s", claim_words[c],
		       c == CLAIM_DOMAIN  ? d->domains[item]
		       : c == CLAIM_LOGIN ? d->logins[item]
		       : c == CLAIM_PORT  ? text
					  : addr_text(&d->addresses[item], text),
		       s->defs[a].name, d->name);
}

static int check_claims(const struct acctset *s, enum claim c, struct index *seen, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0, n = claim_count(&s->defs[i], c); k < n; k++) {
			size_t len;
			uint32_t other;
			const void *key = claim_key(&s->defs[i], c, k, &len);

			if (index_put(seen, key, len, (uint32_t)i, &other) < 0 && (other != i || c == CLAIM_NAME))
				return clash(s, c, other, i, k, err);
		}
	}
	return 0;
}

int acctset_check(const struct acctset *s, struct err *err)
{
	for (enum claim c = CLAIM_NAME; c < CLAIMS; c++) {
		struct index seen;
		size_t total = 0;
		int rc;

		for (size_t i = 0; i < s->n; i++)
			total += claim_count(&s->defs[i], c);
		rc = index_init(&seen, total);
		if (rc < 0)
			return err_errno(err, rc, "checking %zu %ss", total, claim_words[c]);
		rc = check_claims(s, c, &seen, err);
		index_done(&seen);
		if (rc < 0)
			return rc;
	}
	return 0;
}
