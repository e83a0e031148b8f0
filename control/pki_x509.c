/* Certificates as RFC 5280 has them. Keys are on the curve P-256 and signatures ECDSA with SHA-256, which every TLS 1.3 stack must know
 * (RFC 8446 9.1); Ed25519 is only recommended there. */
#include "control/pki_parts.h"
#include "lib/hex.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERIAL_BYTES ((PKI_SERIAL_MAX - 1) / 2)

struct pki_ca {
	X509 *cert;
	EVP_PKEY *key;
};

static int failed(struct err *err, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_error());
	ERR_clear_error();
	return err_set(err, -EINVAL, "%s: %s", what, why ? why : "OpenSSL does not say why");
}

void pki_pair_done(struct pki_pair *p)
{
	if (p->key)
		OPENSSL_cleanse(p->key, strlen(p->key));
	free(p->key);
	free(p->cert);
	*p = (struct pki_pair){0};
}

/* ---- serial numbers ---- */

int pki_serial(char out[PKI_SERIAL_MAX], struct err *err)
{
	unsigned char bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return failed(err, "no random numbers");
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* so that all have one length, also in DER, where the top bit is the sign */
	hex_text(bytes, sizeof(bytes), out);
	return 0;
}

static bool set_serial(X509 *x, const char *hex)
{
	BIGNUM *n = NULL;
	bool good = BN_hex2bn(&n, hex) && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return good;
}

static X509 *read_cert(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	return x;
}

int pki_cert_serial(const char *cert, char out[PKI_SERIAL_MAX], struct err *err)
{
	ERR_clear_error();
	X509 *x = read_cert(cert);
	BIGNUM *n = x ? ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL) : NULL;
	unsigned char bytes[SERIAL_BYTES];
	int rc = n && BN_bn2binpad(n, bytes, sizeof(bytes)) == (int)sizeof(bytes) ? 0 : failed(err, "not a certificate of ours");
	if (rc == 0)
		hex_text(bytes, sizeof(bytes), out);
	BN_free(n);
	X509_free(x);
	return rc;
}

/* ---- making ---- */

static bool add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool good = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

/* "DNS:web42.example,IP:192.0.2.10"; returns new. A name has no character that this syntax knows: the caller has seen to it. */
static char *alternatives(const struct pki_wish *w)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	for (size_t i = 0; i < w->n_hosts; i++) {
		ASN1_OCTET_STRING *ip = a2i_IPADDRESS(w->hosts[i]);
		fprintf(f, "%s%s:%s", i ? "," : "", ip ? "IP" : "DNS", w->hosts[i]);
		ASN1_OCTET_STRING_free(ip);
	}
	ERR_clear_error(); /* a name is no address */
	fclose(f);
	return text;
}

static bool add_ca_exts(X509 *x)
{
	return add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add_ext(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") && add_ext(x, x, NID_subject_key_identifier, "hash");
}

static bool add_host_exts(X509 *x, X509 *ca, const struct pki_wish *w)
{
	char *names = alternatives(w);
	bool good = names && add_ext(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
		    add_ext(x, ca, NID_key_usage, "critical,digitalSignature") &&
		    add_ext(x, ca, NID_ext_key_usage, "serverAuth,clientAuth") && add_ext(x, ca, NID_subject_alt_name, names) &&
		    add_ext(x, ca, NID_subject_key_identifier, "hash") && add_ext(x, ca, NID_authority_key_identifier, "keyid:always");
	free(names);
	return good;
}

/* Signed by ca, or by itself where that is NULL. */
static bool fill(X509 *x, EVP_PKEY *key, const struct pki_ca *ca, const struct pki_wish *w)
{
	X509_NAME *name = X509_get_subject_name(x);
	return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x, w->serial) &&
	       ASN1_TIME_set(X509_getm_notBefore(x), (time_t)w->begins) && ASN1_TIME_set(X509_getm_notAfter(x), (time_t)w->ends) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)w->name, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, ca ? X509_get_subject_name(ca->cert) : name) == 1 && X509_set_pubkey(x, key) == 1 &&
	       (ca ? add_host_exts(x, ca->cert, w) : add_ca_exts(x)) && X509_sign(x, ca ? ca->key : key, EVP_sha256()) > 0;
}

/* Takes what was written into b; returns new. */
static char *text_of(BIO *b)
{
	char *bytes;
	long len = BIO_get_mem_data(b, &bytes);
	char *text = len > 0 ? strndup(bytes, (size_t)len) : NULL;
	if (len > 0)
		OPENSSL_cleanse(bytes, (size_t)len);
	return text;
}

static int to_pem(struct pki_pair *out, X509 *x, EVP_PKEY *key, struct err *err)
{
	BIO *k = BIO_new(BIO_s_mem()), *c = BIO_new(BIO_s_mem());
	int rc = 0;
	if (!k || !c || PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) != 1 || PEM_write_bio_X509(c, x) != 1)
		rc = failed(err, "a certificate cannot be written");
	if (rc == 0) {
		out->key = text_of(k);
		out->cert = text_of(c);
		if (!out->key || !out->cert)
			rc = err_set(err, -ENOMEM, "out of memory");
	}
	BIO_free(k);
	BIO_free(c);
	if (rc < 0)
		pki_pair_done(out);
	return rc;
}

static int make(struct pki_pair *out, const struct pki_ca *ca, const struct pki_wish *wish, struct err *err)
{
	*out = (struct pki_pair){0};
	ERR_clear_error();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	int rc = key && x && fill(x, key, ca, wish) ? 0 : failed(err, "a certificate cannot be made");
	if (rc == 0)
		rc = to_pem(out, x, key, err);
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}

int pki_make_ca(struct pki_pair *out, const struct pki_wish *wish, struct err *err)
{
	return make(out, NULL, wish, err);
}

int pki_make_host(struct pki_pair *out, const struct pki_ca *ca, const struct pki_wish *wish, struct err *err)
{
	return make(out, ca, wish, err);
}

/* ---- the authority ---- */

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1; /* the default asks at the terminal */
}

int pki_ca_load(struct pki_ca **out, const char *cert, const char *key, struct err *err)
{
	struct pki_ca *ca = calloc(1, sizeof(*ca));
	int rc = 0;
	*out = NULL;
	if (!ca)
		return err_set(err, -ENOMEM, "out of memory");
	ERR_clear_error();
	BIO *b = BIO_new_mem_buf(key, -1);
	ca->key = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	ca->cert = read_cert(cert);
	BIO_free(b);
	if (!ca->cert)
		rc = failed(err, "ca.pem is no certificate");
	else if (!ca->key)
		rc = failed(err, "ca.key is no private key without a passphrase");
	else if (X509_check_private_key(ca->cert, ca->key) != 1)
		rc = failed(err, "ca.key does not belong to ca.pem");
	else if (X509_check_ca(ca->cert) != 1)
		rc = err_set(err, -EINVAL, "ca.pem is no authority's certificate");
	if (rc == 0)
		*out = ca;
	else
		pki_ca_free(ca);
	return rc;
}

void pki_ca_free(struct pki_ca *ca)
{
	if (!ca)
		return;
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	free(ca);
}

static int64_t ends_of(const X509 *x)
{
	struct tm tm;
	return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t pki_ca_ends(const struct pki_ca *ca)
{
	return ends_of(ca->cert);
}

int pki_cert_ends(const char *cert, int64_t *out, struct err *err)
{
	ERR_clear_error();
	X509 *x = read_cert(cert);
	int rc = x ? 0 : failed(err, "not a certificate");
	*out = x ? ends_of(x) : 0;
	X509_free(x);
	return rc;
}

int pki_certs_end(const char *pem, int64_t *out, struct err *err)
{
	ERR_clear_error();
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x;
	size_t n = 0;
	*out = 0;
	while (b && (x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		int64_t ends = ends_of(x);
		*out = n++ == 0 || ends < *out ? ends : *out;
		X509_free(x);
	}
	BIO_free(b);
	if (n == 0)
		return failed(err, "not a certificate");
	ERR_clear_error(); /* that there are no more of them is how it ends */
	return 0;
}
