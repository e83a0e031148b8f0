#include "control/panel/form.h"

#include "control/serve/web.h"
#include "lib/hex.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int form_read(struct form *f, struct evhttp_request *req, struct err *err)
{
	static const char type[] = "application/x-www-form-urlencoded";
	const char *said = web_header(req, "Content-Type");
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t len = evbuffer_get_length(in);
	char *text = said && strncasecmp(said, type, strlen(type)) == 0 ? calloc(1, len + 1) : NULL;
	f->read = false;
	if (!text)
		return err_set(err, -EINVAL, "expected a form");
	evbuffer_copyout(in, text, len);
	int rc = len == 0 || strlen(text) != len ? -1 : evhttp_parse_query_str(text, &f->fields);
	free(text);
	if (rc < 0)
		return err_set(err, -EINVAL, "the form cannot be read");
	f->read = true;
	return 0;
}

void form_done(struct form *f)
{
	if (f->read)
		evhttp_clear_headers(&f->fields);
	f->read = false;
}

const char *form_get(const struct form *f, const char *name)
{
	const struct evkeyval *p;
	if (!f->read)
		return "";
	TAILQ_FOREACH(p, &f->fields, next)
	{
		if (strcmp(p->key, name) == 0)
			return p->value;
	}
	return "";
}

void form_seal(const char *secret, char out[FORM_SEAL_MAX])
{
	static const char what[] = "a form of the panel";
	unsigned char mac[32];
	unsigned len = sizeof(mac);
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)what, sizeof(what) - 1, mac, &len);
	hex_text(mac, sizeof(mac), out);
}

bool form_is_sealed(const struct form *f, const char *seal)
{
	const char *said = form_get(f, "seal");
	return strlen(seal) == FORM_SEAL_MAX - 1 && strlen(said) == strlen(seal) && CRYPTO_memcmp(said, seal, strlen(seal)) == 0;
}

bool form_is_from_here(const char *fetch_site, const char *origin, const char *host)
{
	if (fetch_site && strcmp(fetch_site, "same-origin") != 0)
		return false;
	if (!origin)
		return true;
	const char *at = strstr(origin, "://");
	return at && host && strcasecmp(at + 3, host) == 0;
}
