#include "dnsupdate/key.h"

#include "dnsupdate/rr.h"
#include "dnsupdate/secret.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET_LEAST 16 /* bytes: half of what tsig-keygen makes; less can be guessed from one captured message */

static const struct {
	const char *name, *absolute, *digest; /* digest NULL: too weak */
	size_t mac_len;
} algorithms[] = {
	{"hmac-sha256", "hmac-sha256.", "SHA256", 32},
	{"hmac-sha384", "hmac-sha384.", "SHA384", 48},
	{"hmac-sha512", "hmac-sha512.", "SHA512", 64},
	{"hmac-sha1", NULL, NULL, 0},
	{"hmac-md5", NULL, NULL, 0},
	{"hmac-md5.sig-alg.reg.int", NULL, NULL, 0},
};

/* ---- words ---- */

struct scan {
	const char *path, *p;
	int line;
	char word[1024];
	bool end, quoted;
	struct err *err;
};

static int bad(struct scan *s, const char *expected)
{
	char shown[24] = "";
	size_t len = strlen(s->word);

	/* A word that stands at the wrong place may be the secret: only what is plainly none is shown. */
	if (!s->quoted && len < sizeof shown - 3 && strspn(s->word, "abcdefghijklmnopqrstuvwxyz0123456789-{};:") == len)
		snprintf(shown, sizeof shown, "\"%.20s\"", s->word);
	return err_set(s->err, -EINVAL, "%s:%d: found %s, expected %s", s->path, s->line,
		       s->end     ? "the end of the file"
		       : shown[0] ? shown
				  : "something else",
		       expected);
}

static int skip(struct scan *s)
{
	for (;;) {
		if (*s->p == '#' || strncmp(s->p, "//", 2) == 0) {
			s->p += strcspn(s->p, "\n");
		} else if (strncmp(s->p, "/*", 2) == 0) {
			const char *end = strstr(s->p + 2, "*/");

			if (!end)
				return err_set(s->err, -EINVAL, "%s:%d: found a comment that does not end, expected */", s->path, s->line);
			for (; s->p < end + 2; s->p++)
				s->line += *s->p == '\n';
		} else if (*s->p && isspace((unsigned char)*s->p)) {
			s->line += *s->p++ == '\n';
		} else {
			return 0;
		}
	}
}

static int next(struct scan *s)
{
	int rc = skip(s);
	size_t len;

	if (rc < 0)
		return rc;
	OPENSSL_cleanse(s->word, sizeof s->word);
	s->end = *s->p == '\0';
	s->quoted = *s->p == '"';
	if (s->quoted) {
		len = strcspn(++s->p, "\"\n");
		if (s->p[len] != '"')
			return err_set(s->err, -EINVAL, "%s:%d: found a quote that does not end, expected \" on the same line", s->path,
				       s->line);
	} else {
		len = *s->p && strchr("{};", *s->p) ? 1 : strcspn(s->p, " \t\r\n{};\"#");
	}
	if (len >= sizeof s->word)
		return err_set(s->err, -EINVAL, "%s:%d: found a word of %zu bytes, expected less than %zu", s->path, s->line, len,
			       sizeof s->word);
	memcpy(s->word, s->p, len);
	s->p += len + s->quoted;
	return 0;
}

static bool is(const struct scan *s, const char *word)
{
	return !s->end && !s->quoted && strcasecmp(s->word, word) == 0;
}

static int want(struct scan *s, const char *word, const char *expected)
{
	int rc = next(s);

	return rc < 0 ? rc : is(s, word) ? 0 : bad(s, expected);
}

/* ---- the statement ---- */

static int take_algorithm(struct scan *s, struct tsig_key *k)
{
	size_t len = strlen(s->word);

	if (len && s->word[len - 1] == '.')
		s->word[len - 1] = '\0';
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
		if (strcasecmp(s->word, algorithms[i].name) != 0)
			continue;
		if (!algorithms[i].digest)
			return err_set(s->err, -EINVAL,
				       "%s:%d: found algorithm %s, which is too weak, expected hmac-sha256: make a new key "
				       "(tsig-keygen -a hmac-sha256) and give it to the server",
				       s->path, s->line, algorithms[i].name);
		k->algorithm = algorithms[i].absolute;
		k->digest = algorithms[i].digest;
		k->mac_len = algorithms[i].mac_len;
		return 0;
	}
	return bad(s, "an algorithm: hmac-sha256, hmac-sha384 or hmac-sha512");
}

static int take_secret(struct scan *s, struct tsig_key *k)
{
	size_t len = strlen(s->word), pad = 0;
	int n = -1;

	while (pad < 2 && pad < len && s->word[len - 1 - pad] == '=')
		pad++;
	k->secret = malloc(len + 3);
	if (!k->secret)
		return err_set(s->err, -ENOMEM, "out of memory");
	k->secret_len = len + 3; /* all of it is wiped, whatever comes */
	if (len && len % 4 == 0 && strcspn(s->word, "=") == len - pad)
		n = EVP_DecodeBlock(k->secret, (const unsigned char *)s->word, (int)len);
	if (n < 0)
		return err_set(s->err, -EINVAL, "%s:%d: found a secret that is not base64, expected one as tsig-keygen writes it", s->path,
			       s->line);
	k->secret_len = (size_t)n - pad;
	if (k->secret_len < SECRET_LEAST)
		return err_set(s->err, -EINVAL, "%s:%d: found a secret of %zu bytes, expected at least %d (tsig-keygen makes 32)", s->path,
			       s->line, k->secret_len, SECRET_LEAST);
	return 0;
}

static int read_option(struct scan *s, struct tsig_key *k)
{
	bool algorithm = is(s, "algorithm");
	int rc;

	if (!algorithm && !is(s, "secret"))
		return bad(s, "algorithm, secret or }");
	if (algorithm ? k->algorithm != NULL : k->secret != NULL)
		return err_set(s->err, -EINVAL, "%s:%d: found %s twice, expected it once", s->path, s->line,
			       algorithm ? "algorithm" : "secret");
	rc = next(s);
	if (rc == 0)
		rc = algorithm ? take_algorithm(s, k) : take_secret(s, k);
	return rc < 0 ? rc : want(s, ";", "; behind the value");
}

static int read_key(struct scan *s, struct tsig_key *k)
{
	char name[RR_NAME_MAX];
	int rc = want(s, "key", "key \"NAME\" { algorithm hmac-sha256; secret \"BASE64\"; }; (tsig-keygen writes it so)");

	if (rc < 0 || (rc = next(s)) < 0)
		return rc;
	if (s->end || s->word[0] == '\0' || (!s->quoted && strchr("{};", s->word[0])))
		return bad(s, "the key's name");
	if (name_absolute(name, s->word) < 0)
		return bad(s, "a name of at most 255 bytes");
	k->name = strdup(name);
	if (!k->name)
		return err_set(s->err, -ENOMEM, "out of memory");
	rc = want(s, "{", "{ behind the key's name");
	while (rc == 0 && (rc = next(s)) == 0 && !is(s, "}"))
		rc = read_option(s, k);
	if (rc == 0 && !k->algorithm)
		rc = bad(s, "algorithm hmac-sha256; before it");
	if (rc == 0 && !k->secret)
		rc = bad(s, "secret \"BASE64\"; before it");
	if (rc == 0)
		rc = want(s, ";", "; behind }");
	if (rc == 0 && (rc = next(s)) == 0 && !s->end)
		rc = bad(s, "the end of the file: one key per file");
	return rc;
}

int tsig_key_load(struct tsig_key **out, const char *path, struct err *err)
{
	struct scan s = {.path = path, .line = 1, .err = err};
	struct tsig_key *k;
	char *text;
	int rc = secret_file_load(&text, path, err);

	*out = NULL;
	if (rc < 0)
		return rc;
	s.p = text;
	k = calloc(1, sizeof *k);
	rc = k ? read_key(&s, k) : err_set(err, -ENOMEM, "out of memory");
	OPENSSL_cleanse(s.word, sizeof s.word);
	secret_free(text);
	if (rc < 0) {
		tsig_key_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void tsig_key_free(struct tsig_key *k)
{
	if (!k)
		return;
	if (k->secret)
		OPENSSL_cleanse(k->secret, k->secret_len);
	free(k->secret);
	free(k->name);
	free(k);
}
