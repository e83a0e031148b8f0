/* Names and RDATA, between bytes and text. What a type is made of comes from ldns' descriptors; RDATA of types that are not in RFC 3597's
 * list of those with compressible names is opaque: it is carried byte for byte, whatever it holds. */
#include "dnsupdate/wire_parts.h"
#include "lib/hex.h"

#include <ctype.h>
#include <errno.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JUMPS_MAX 127 /* labels that a name can have (RFC 1035 2.3.4): more pointers than that lead nowhere */

const char *wire_name_read(struct wire_name *out, const uint8_t *m, size_t len, size_t *pos)
{
	size_t at = *pos, behind = 0, jumps = 0;

	out->len = 0;
	for (;;) {
		if (at >= len)
			return "a name that is cut";
		size_t label = m[at];

		if (label >= 0xc0) {
			if (at + 2 > len)
				return "a name that is cut";
			size_t to = get16(m + at) & 0x3fff;

			if (!behind)
				behind = at + 2;
			if (to >= at || to < WIRE_HEADER)
				return "a compression pointer that does not lead back to a name";
			if (++jumps > JUMPS_MAX)
				return "a chain of compression pointers";
			at = to;
			continue;
		}
		if (label > 63)
			return "a label of unknown kind";
		if (at + 1 + label > len)
			return "a name that is cut";
		if (out->len + 1 + label > WIRE_NAME - (label ? 1u : 0u))
			return "a name of more than 255 bytes";
		memcpy(out->bytes + out->len, m + at, 1 + label);
		out->len += 1 + label;
		at += 1 + label;
		if (label == 0)
			break;
	}
	*pos = behind ? behind : at;
	return NULL;
}

char *wire_name_text(const struct wire_name *n)
{
	ldns_rdf *rdf = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, n->len, n->bytes);
	char *text = rdf ? ldns_rdf2str(rdf) : NULL;

	ldns_rdf_deep_free(rdf);
	return text;
}

int wire_name_parse(struct wire_name *out, const char *text)
{
	ldns_rdf *rdf = NULL;

	if (*text == '\0' || strlen(text) >= RR_NAME_MAX || ldns_str2rdf_dname(&rdf, text) != LDNS_STATUS_OK)
		return -EINVAL;
	out->len = ldns_rdf_size(rdf);
	if (out->len <= WIRE_NAME)
		memcpy(out->bytes, ldns_rdf_data(rdf), out->len);
	ldns_rdf_deep_free(rdf);
	return out->len <= WIRE_NAME ? 0 : -EINVAL;
}

/* ---- types ---- */

const char *rr_type_text(uint16_t type, char out[16])
{
	char *text = type == RR_ALIAS ? strdup("ALIAS") : ldns_rr_type2str(type);

	if (text && strlen(text) < 16)
		memcpy(out, text, strlen(text) + 1);
	else
		snprintf(out, 16, "TYPE%u", type);
	free(text);
	return out;
}

bool rr_type_parse(uint16_t *type, const char *text)
{
	if (strcasecmp(text, "ALIAS") == 0) {
		*type = RR_ALIAS;
		return true;
	}
	if (strncasecmp(text, "TYPE", 4) == 0 && isdigit((unsigned char)text[4])) {
		char *end;
		unsigned long n = strtoul(text + 4, &end, 10);

		*type = (uint16_t)n;
		return *end == '\0' && n > 0 && n <= UINT16_MAX;
	}
	*type = (uint16_t)ldns_get_rr_type_by_name(text);
	return *type != 0;
}

/* ---- RDATA ---- */

/* Those whose names may be compressed (RFC 3597 4), and those that are rewritten here and so must be well-formed. */
static bool is_checked(uint16_t type)
{
	switch ((ldns_rr_type)type) {
	case LDNS_RR_TYPE_A:
	case LDNS_RR_TYPE_AAAA:
	case LDNS_RR_TYPE_TXT:
	case LDNS_RR_TYPE_SPF:
	case LDNS_RR_TYPE_NS:
	case LDNS_RR_TYPE_MD:
	case LDNS_RR_TYPE_MF:
	case LDNS_RR_TYPE_CNAME:
	case LDNS_RR_TYPE_SOA:
	case LDNS_RR_TYPE_MB:
	case LDNS_RR_TYPE_MG:
	case LDNS_RR_TYPE_MR:
	case LDNS_RR_TYPE_PTR:
	case LDNS_RR_TYPE_MINFO:
	case LDNS_RR_TYPE_MX:
	case LDNS_RR_TYPE_RP:
	case LDNS_RR_TYPE_AFSDB:
	case LDNS_RR_TYPE_RT:
	case LDNS_RR_TYPE_SIG:
	case LDNS_RR_TYPE_PX:
	case LDNS_RR_TYPE_NXT:
	case LDNS_RR_TYPE_NAPTR:
	case LDNS_RR_TYPE_KX:
	case LDNS_RR_TYPE_SRV:
	case LDNS_RR_TYPE_DNAME:
	case LDNS_RR_TYPE_RRSIG:
	case LDNS_RR_TYPE_NSEC:
		return true;
	default: /* opaque */
		return type == RR_ALIAS;
	}
}

/* Those that are shown as people write them. The rest is shown as \#, for the RDATA is its owner's, who may be anybody: ldns aborts at some
 * SVCB and HTTPS, reads /etc/services for every port of a WKS, follows any number of pointers from HIP, and leaks at some CERT. */
static bool has_text(uint16_t type)
{
	switch ((ldns_rr_type)type) {
	case LDNS_RR_TYPE_CAA:
	case LDNS_RR_TYPE_CDNSKEY:
	case LDNS_RR_TYPE_CDS:
	case LDNS_RR_TYPE_DNSKEY:
	case LDNS_RR_TYPE_DS:
	case LDNS_RR_TYPE_NSEC3:
	case LDNS_RR_TYPE_NSEC3PARAM:
	case LDNS_RR_TYPE_SMIMEA:
	case LDNS_RR_TYPE_SSHFP:
	case LDNS_RR_TYPE_TLSA:
		return true;
	default:
		return is_checked(type);
	}
}

static const ldns_rr_descriptor *describe(uint16_t type)
{
	return ldns_rr_descript(type == RR_ALIAS ? RR_CNAME : type);
}

/* The bytes of one field that is no name; SIZE_MAX: all that is left. */
static size_t field_size(ldns_rdf_type kind, const uint8_t *at, size_t left)
{
	switch (kind) {
	case LDNS_RDF_TYPE_INT8:
	case LDNS_RDF_TYPE_ALG:
		return 1;
	case LDNS_RDF_TYPE_INT16:
	case LDNS_RDF_TYPE_TYPE:
	case LDNS_RDF_TYPE_CLASS:
	case LDNS_RDF_TYPE_CERT_ALG:
		return 2;
	case LDNS_RDF_TYPE_A:
	case LDNS_RDF_TYPE_INT32:
	case LDNS_RDF_TYPE_TIME:
	case LDNS_RDF_TYPE_PERIOD:
		return 4;
	case LDNS_RDF_TYPE_AAAA:
		return 16;
	case LDNS_RDF_TYPE_STR:
		return left ? 1u + at[0] : 1;
	default:
		return SIZE_MAX;
	}
}

const char *wire_rdata_read(uint16_t type, const uint8_t *m, size_t pos, size_t end, bool pointers, uint8_t *out, size_t *out_len)
{
	const ldns_rr_descriptor *d = describe(type);
	size_t n = 0, field = 0, least = ldns_rr_descriptor_minimum(d), most = ldns_rr_descriptor_maximum(d);

	for (; is_checked(type) && field < most && (pos < end || field < least); field++) {
		ldns_rdf_type kind = ldns_rr_descriptor_field_type(d, field);
		struct wire_name name;
		const char *bad;
		size_t size;

		if (kind == LDNS_RDF_TYPE_DNAME) {
			size_t start = pos;

			bad = wire_name_read(&name, m, end, &pos);
			if (bad)
				return bad;
			if (!pointers && pos - start != name.len)
				return "a compressed name";
			if (n + name.len > UINT16_MAX)
				return "too much";
			memcpy(out + n, name.bytes, name.len);
			n += name.len;
			continue;
		}
		size = field_size(kind, m + pos, end - pos);
		if (size == SIZE_MAX)
			break;
		if (size > end - pos)
			return "too few bytes";
		if (n + size > UINT16_MAX)
			return "too much";
		memcpy(out + n, m + pos, size);
		n += size;
		pos += size;
	}
	if (is_checked(type) && pos < end && field == most)
		return "more bytes than it has room for";
	if (n + (end - pos) > UINT16_MAX)
		return "too much";
	memcpy(out + n, m + pos, end - pos);
	*out_len = n + (end - pos);
	return NULL;
}

/* \# LENGTH HEX (RFC 3597 5) */
static char *opaque_text(const uint8_t *bytes, size_t len)
{
	size_t cap = len * 2 + 16;
	char *text = malloc(cap);
	int n;

	if (!text)
		return NULL;
	n = snprintf(text, cap, "\\# %zu%s", len, len ? " " : "");
	hex_text(bytes, len, text + n);
	return text;
}

static int opaque_parse(const char *text, uint8_t **bytes, size_t *len)
{
	char *p;
	unsigned long want = strtoul(text, &p, 10), n = 0;
	uint8_t *out;
	int high = -1;

	if (p == text || want > UINT16_MAX)
		return -EINVAL;
	out = malloc(want + 1);
	if (!out)
		return -ENOMEM;
	for (; *p; p++) {
		const char *digits = "0123456789abcdef", *d = strchr(digits, tolower((unsigned char)*p));

		if (*p == ' ' || *p == '\t')
			continue;
		if (!d || n == want)
			break;
		if (high < 0) {
			high = (int)(d - digits);
			continue;
		}
		out[n++] = (uint8_t)(high << 4 | (int)(d - digits));
		high = -1;
	}
	if (*p || n != want || high >= 0) {
		free(out);
		return -EINVAL;
	}
	*bytes = out;
	*len = n;
	return 0;
}

/* A record of the root around the RDATA, as ldns reads records. */
static ldns_rr *dress(uint16_t type, const uint8_t *bytes, size_t len)
{
	uint8_t *m = malloc(11 + len);
	ldns_rr *rr = NULL;
	size_t pos = 0;

	if (!m)
		return NULL;
	memset(m, 0, 11);
	put16(m + 1, type == RR_ALIAS ? RR_CNAME : type);
	put16(m + 3, LDNS_RR_CLASS_IN);
	put16(m + 9, (unsigned)len);
	memcpy(m + 11, bytes, len);
	if (ldns_wire2rr(&rr, m, 11 + len, &pos, LDNS_SECTION_ANSWER) != LDNS_STATUS_OK || pos != 11 + len) {
		ldns_rr_free(rr);
		rr = NULL;
	}
	free(m);
	return rr;
}

static char *fields_text(const ldns_rr *rr)
{
	ldns_buffer *b = ldns_buffer_new(512);
	char *text = NULL;
	ldns_status st = b ? LDNS_STATUS_OK : LDNS_STATUS_MEM_ERR;

	for (size_t i = 0; st == LDNS_STATUS_OK && i < ldns_rr_rd_count(rr); i++) {
		if (i && ldns_buffer_printf(b, " ") < 0)
			st = LDNS_STATUS_MEM_ERR;
		else
			st = ldns_rdf2buffer_str(b, ldns_rr_rdf(rr, i));
	}
	if (st == LDNS_STATUS_OK)
		text = ldns_buffer_export2str(b);
	ldns_buffer_free(b);
	return text;
}

/* ldns' text where it leads back to the same bytes: for a type that ldns knows badly, or RDATA that is not what the type says, it does not.
 */
char *wire_rdata_text(uint16_t type, const uint8_t *bytes, size_t len)
{
	uint8_t *back = NULL, *checked = malloc(UINT16_MAX + 1);
	size_t back_len = 0;
	ldns_rr *rr = NULL;
	char *text = NULL;

	if (!checked)
		return NULL;
	if (len && has_text(type) && !wire_rdata_read(type, bytes, 0, len, false, checked, &back_len))
		rr = dress(type, bytes, len);
	if (rr)
		text = fields_text(rr);
	if (text && (wire_rdata_parse(type, text, &back, &back_len, NULL) < 0 || back_len != len || memcmp(back, bytes, len) != 0)) {
		free(text);
		text = NULL;
	}
	ldns_rr_free(rr);
	free(back);
	free(checked);
	return text ? text : opaque_text(bytes, len);
}

static int bad_text(uint16_t type, const char *text, struct err *err)
{
	char name[16];

	return err_set(err, -EINVAL, "found \"%.200s\", expected the value of a record of type %s", text, rr_type_text(type, name));
}

/* Words, of which each may be "in quotes": for ldns reads as many as it needs and says nothing about the rest. 0: none, or an open quote.
 */
static size_t count_words(const char *p)
{
	bool inside = false, quoted = false;
	size_t n = 0;

	for (; *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (!quoted && (*p == ' ' || *p == '\t')) {
			inside = false;
			continue;
		}
		if (!inside)
			n++;
		inside = true;
		if (*p == '\\' && p[1])
			p++;
	}
	return quoted ? 0 : n;
}

static bool has_words_of(uint16_t type, const char *text)
{
	const ldns_rr_descriptor *d = describe(type);
	size_t n = count_words(text), least = ldns_rr_descriptor_minimum(d);

	if (n == 0 || strpbrk(text, "\r\n"))
		return false;
	return !is_checked(type) || least != ldns_rr_descriptor_maximum(d) || n == least;
}

/* RDATA of a record that ldns has read, as it goes over the wire; names keep their case. */
static int undress(const ldns_rr *rr, uint8_t **bytes, size_t *len)
{
	ldns_buffer *b = ldns_buffer_new(512);
	int rc = -ENOMEM;

	if (b && ldns_rr_rdata2buffer_wire(b, rr) == LDNS_STATUS_OK) {
		*len = ldns_buffer_position(b);
		*bytes = malloc(*len + 1);
		if (*bytes) {
			memcpy(*bytes, ldns_buffer_begin(b), *len);
			rc = 0;
		}
	}
	ldns_buffer_free(b);
	return rc;
}

int wire_rdata_parse(uint16_t type, const char *text, uint8_t **bytes, size_t *len, struct err *err)
{
	ldns_rr *rr = NULL;
	char *line, name[16];
	int rc;

	*bytes = NULL;
	text += strspn(text, " \t");
	if (strncmp(text, "\\#", 2) == 0) {
		uint8_t *checked = malloc(UINT16_MAX + 1);

		rc = checked ? opaque_parse(text + 2, bytes, len) : -ENOMEM;
		if (rc == 0 && wire_rdata_read(type, *bytes, 0, *len, false, checked, len)) {
			free(*bytes);
			*bytes = NULL;
			rc = -EINVAL;
		}
		free(checked);
	} else if (!has_words_of(type, text)) {
		rc = -EINVAL;
	} else {
		if (asprintf(&line, ". 0 IN %s %s", type == RR_ALIAS ? "CNAME" : rr_type_text(type, name), text) < 0)
			return err_set(err, -ENOMEM, "out of memory");
		rc = ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL) == LDNS_STATUS_OK ? undress(rr, bytes, len) : -EINVAL;
		ldns_rr_free(rr);
		free(line);
	}
	if (rc == -EINVAL)
		return bad_text(type, text, err);
	return rc < 0 ? err_set(err, rc, "out of memory") : 0;
}

char *wire_rdata_target(uint16_t type, const uint8_t *bytes, size_t len)
{
	size_t pos = type == RR_MX ? 2 : type == RR_SRV ? 6 : 0;
	struct wire_name name;

	switch (type) {
	case RR_NS:
	case RR_CNAME:
	case RR_PTR:
	case RR_DNAME:
	case RR_MX:
	case RR_SRV:
	case RR_ALIAS:
		return wire_name_read(&name, bytes, len, &pos) ? NULL : wire_name_text(&name);
	default:
		return NULL;
	}
}
