/* Why one end refuses the other, in words that say what to mend. OpenSSL only says "certificate verify failed" and a reason of three
 * words; whose certificate it is, from whom and until when is taken from the chain, which it leaves behind also where it failed. */
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/tls_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SOON_S        (30 * 86400) /* as `shunt pki renew` has it */
#define NAME_MAX_TEXT 100
#define NAMES_SHOWN   4

const char *tls_words(unsigned long e)
{
	const char *reason = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);
	return reason ? reason : "unknown error";
}

/* ---- what a certificate says ---- */

static const char *common_name(const X509_NAME *name, char *out, size_t cap)
{
	int at = name ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
	unsigned char *text = NULL;
	int len = at < 0 ? -1 : ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	log_quote(out, cap, len > 0 ? (const char *)text : "", len > 0 ? (size_t)len : 0);
	OPENSSL_free(text);
	return out;
}

const char *tls_subject(struct bufferevent *bev, char out[TLS_TEXT_MAX])
{
	const X509 *cert = SSL_get0_peer_certificate(tls_of(bev));
	return common_name(cert ? X509_get_subject_name(cert) : NULL, out, TLS_TEXT_MAX);
}

static time_t time_of(const ASN1_TIME *t)
{
	struct tm tm;
	return ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static const char *when(const ASN1_TIME *t, char out[TIME_TEXT_MAX])
{
	return time_text((int64_t)time_of(t) * 1000, out);
}

/* "a.example, 192.0.2.1": the first few, as far as they are printable. */
static void names_of(const X509 *x, char *out, size_t cap)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	size_t len = 0;
	snprintf(out, cap, "nothing");
	for (int i = 0; i < sk_GENERAL_NAME_num(list) && i < NAMES_SHOWN; i++) {
		int type, n = 0;
		char text[INET6_ADDRSTRLEN] = "?";
		const ASN1_STRING *v = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list, i), &type);
		if (type == GEN_IPADD) {
			int bytes = ASN1_STRING_length(v);
			if (bytes == 4 || bytes == 16)
				inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(v), text, sizeof(text));
			n = snprintf(out + len, cap - len, "%s%s", len ? ", " : "", text);
		} else if (type == GEN_DNS) {
			n = snprintf(out + len, cap - len, "%s%s", len ? ", " : "",
				     LOG_QUOTED(ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v)));
		}
		len += n > 0 ? (size_t)n : 0;
		if (len >= cap)
			break;
	}
	GENERAL_NAMES_free(list);
}

/* ---- why it is refused ---- */

/* Of a chain that did not hold, the certificate that has ended, or has not begun. */
static const X509 *out_of_time(STACK_OF(X509) * chain, bool ended)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		const X509 *x = sk_X509_value(chain, i);
		if (X509_cmp_current_time(ended ? X509_get0_notAfter(x) : X509_get0_notBefore(x)) == (ended ? -1 : 1))
			return x;
	}
	return sk_X509_value(chain, 0);
}

static void explain(const SSL *ssl, long result, const char *host, char *out, size_t cap)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	const X509 *leaf = sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL, *x = leaf;
	char name[NAME_MAX_TEXT], issuer[NAME_MAX_TEXT], at[TIME_TEXT_MAX], names[200];
	*out = '\0';
	if (!leaf)
		return;
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		x = out_of_time(chain, true);
		snprintf(out, cap, ": %s ended %s", common_name(X509_get_subject_name(x), name, sizeof(name)),
			 when(X509_get0_notAfter(x), at));
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		x = out_of_time(chain, false);
		snprintf(out, cap, ": %s begins %s; are the clocks right?", common_name(X509_get_subject_name(x), name, sizeof(name)),
			 when(X509_get0_notBefore(x), at));
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		snprintf(out, cap, ": %s is from %s, which is not our ca", common_name(X509_get_subject_name(x), name, sizeof(name)),
			 common_name(X509_get_issuer_name(x), issuer, sizeof(issuer)));
		break;
	case X509_V_ERR_INVALID_PURPOSE:
		snprintf(out, cap, ": %s is not for %s (extended key usage)", common_name(X509_get_subject_name(x), name, sizeof(name)),
			 SSL_is_server(ssl) ? "clients" : "servers");
		break;
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
	case X509_V_ERR_HOSTNAME_MISMATCH:
		names_of(x, names, sizeof(names));
		snprintf(out, cap, ": it is not one for %s but for %s", host ? host : "this host", names);
		break;
	default:
		snprintf(out, cap, ": %s", common_name(X509_get_subject_name(x), name, sizeof(name)));
	}
}

/* The peer has seen our certificate and says no in one word: what it saw may tell why. */
static void explain_ours(const SSL *ssl, int alert, char *out, size_t cap)
{
	const X509 *x = SSL_get_certificate(ssl);
	char name[NAME_MAX_TEXT], issuer[NAME_MAX_TEXT], from[TIME_TEXT_MAX], until[TIME_TEXT_MAX];
	*out = '\0';
	if (x && ((alert >= SSL_AD_BAD_CERTIFICATE && alert <= SSL_AD_CERTIFICATE_UNKNOWN) || alert == SSL_AD_UNKNOWN_CA))
		snprintf(out, cap, "; we showed %s of %s, good from %s until %s", common_name(X509_get_subject_name(x), name, sizeof(name)),
			 common_name(X509_get_issuer_name(x), issuer, sizeof(issuer)), when(X509_get0_notBefore(x), from),
			 when(X509_get0_notAfter(x), until));
}

int tls_describe(const SSL *ssl, unsigned long e, const char *host, char out[TLS_TEXT_MAX])
{
	static const struct {
		int reason, code;
		const char *text;
	} rows[] = {
		{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, -EACCES, "it shows no certificate"},
		{SSL_R_UNEXPECTED_EOF_WHILE_READING, -ECONNRESET, "it ended the connection without a word"},
		{SSL_R_UNSUPPORTED_PROTOCOL, -EPROTO, "it does not speak TLS 1.3"},
		{SSL_R_WRONG_VERSION_NUMBER, -EPROTO, "it does not speak TLS"},
		{SSL_R_HTTP_REQUEST, -EPROTO, "it speaks HTTP, not TLS"},
		{SSL_R_CALLBACK_FAILED, -EPROTO, "it does not ask for the protocol shunt/1"},
		{SSL_R_NO_APPLICATION_PROTOCOL, -EPROTO, "it asks for another protocol than shunt/1"},
	};
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	char more[TLS_TEXT_MAX - 120];
	if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		long result = SSL_get_verify_result(ssl);
		explain(ssl, result, host, more, sizeof(more));
		snprintf(out, TLS_TEXT_MAX, "its certificate is refused: %.80s%s", X509_verify_cert_error_string(result), more);
		return -EACCES;
	}
	if (reason > SSL_AD_REASON_OFFSET) { /* an alert that came in: "tlsv1 alert unknown ca" */
		const char *words = tls_words(e), *alert = strstr(words, " alert ");
		explain_ours(ssl, reason - SSL_AD_REASON_OFFSET, more, sizeof(more));
		snprintf(out, TLS_TEXT_MAX, "it refused us: %.60s%s", alert ? alert + strlen(" alert ") : words, more);
		return -EACCES;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (reason == rows[i].reason) {
			snprintf(out, TLS_TEXT_MAX, "%s", rows[i].text);
			return rows[i].code;
		}
	snprintf(out, TLS_TEXT_MAX, "TLS failed: %s", tls_words(e));
	return -EPROTO;
}

/* ---- before anybody refuses it ---- */

/* Does it come from the authority that we ask others to come from? Times are looked at apart. */
static bool is_of(X509 *x, X509_STORE *store)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool good = ctx && X509_STORE_CTX_init(ctx, store, x, NULL) == 1;
	if (good)
		X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
	good = good && X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

bool tls_warning(const struct tls *t, char out[TLS_TEXT_MAX])
{
	SSL_CTX *ctx = tls_context(t);
	X509 *x = SSL_CTX_get0_certificate(ctx);
	char name[NAME_MAX_TEXT], issuer[NAME_MAX_TEXT], at[TIME_TEXT_MAX];
	time_t now = time(NULL), begins = time_of(X509_get0_notBefore(x)), ends = time_of(X509_get0_notAfter(x));
	common_name(X509_get_subject_name(x), name, sizeof(name));
	if (!is_of(x, SSL_CTX_get_cert_store(ctx)))
		snprintf(out, TLS_TEXT_MAX, "our certificate %s is from %s, which is not our ca: others refuse it, or we them", name,
			 common_name(X509_get_issuer_name(x), issuer, sizeof(issuer)));
	else if (ends <= now)
		snprintf(out, TLS_TEXT_MAX, "our certificate %s ended %s: every peer refuses it until shunt pki renew has made another",
			 name, when(X509_get0_notAfter(x), at));
	else if (begins > now)
		snprintf(out, TLS_TEXT_MAX, "our certificate %s begins %s: is the clock right?", name, when(X509_get0_notBefore(x), at));
	else if (ends - now <= SOON_S)
		snprintf(out, TLS_TEXT_MAX, "our certificate %s ends %s, in %ld days: shunt pki renew makes another", name,
			 when(X509_get0_notAfter(x), at), (long)((ends - now) / 86400));
	else
		return false;
	return true;
}
