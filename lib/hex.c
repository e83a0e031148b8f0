#include "lib/hex.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

void hex_text(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = bytes;
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * len] = '\0';
}

void hex_sha256(const void *bytes, size_t len, char out[HEX_SHA256_MAX])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256(bytes, len, digest);
	hex_text(digest, sizeof(digest), out);
}

int hex_random(char *out, size_t digits, struct err *err)
{
	unsigned char bits[64];
	size_t len = digits / 2;
	assert(digits % 2 == 0 && len <= sizeof(bits));
	ssize_t got = getrandom(bits, len, 0); /* up to 256 bytes come whole (getrandom(2)) */
	if (got != (ssize_t)len)
		return err_errno(err, got < 0 ? -errno : -EIO, "no random bits");
	hex_text(bits, len, out);
	OPENSSL_cleanse(bits, sizeof(bits));
	return 0;
}
