#include "dnsupdate/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, -errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EPERM, "%s: found something that is no regular file, expected a file with the key", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, -EPERM, "%s: found a key of user %u, expected one of root or of user %u (chown %u %s)", path, st.st_uid,
			       geteuid(), geteuid(), path);
	if (st.st_mode & 07777 & ~0600)
		return err_set(err, -EPERM, "%s: found mode %04o, expected 0600 or 0400: others could read the key (chmod 0600 %s)", path,
			       st.st_mode & 07777u, path);
	return 0;
}

static int read_all(int fd, char *out, size_t *len, const char *path, struct err *err)
{
	*len = 0;
	while (*len <= SECRET_FILE_MAX) {
		ssize_t n = read(fd, out + *len, SECRET_FILE_MAX + 1 - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, -errno, "%s", path);
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	if (*len > SECRET_FILE_MAX)
		return err_set(err, -EINVAL, "%s: found more than %d bytes, expected a key", path, SECRET_FILE_MAX);
	if (*len == 0)
		return err_set(err, -EINVAL, "%s: found nothing, expected a key", path);
	if (memchr(out, '\0', *len))
		return err_set(err, -EINVAL, "%s: found a NUL byte, expected text", path);
	return 0;
}

int secret_file_load(char **out, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc; /* a pipe must not make us wait for its writer */
	char *text = NULL;
	size_t len = 0;

	*out = NULL;
	if (fd < 0)
		return err_errno(err, -errno, "%s", path);
	rc = check(fd, path, err);
	if (rc == 0) {
		text = calloc(1, SECRET_FILE_MAX + 2);
		rc = text ? read_all(fd, text, &len, path, err) : err_set(err, -ENOMEM, "out of memory");
	}
	close(fd);
	if (rc < 0) {
		if (text)
			OPENSSL_cleanse(text, len);
		free(text);
		return rc;
	}
	*out = text;
	return 0;
}

int secret_line_load(char **out, const char *path, struct err *err)
{
	char *text, *start, *end;
	int rc = secret_file_load(&text, path, err);

	*out = NULL;
	if (rc < 0)
		return rc;
	start = text + strspn(text, " \t\r\n");
	end = start + strcspn(start, "\r\n");
	if (end == start) {
		rc = err_set(err, -EINVAL, "%s: found only empty lines, expected the key", path);
	} else if (end[strspn(end, " \t\r\n")]) {
		rc = err_set(err, -EINVAL, "%s: found more than one line, expected the key alone", path);
	} else {
		while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		*out = strndup(start, (size_t)(end - start));
		rc = *out ? 0 : err_set(err, -ENOMEM, "out of memory");
	}
	secret_free(text);
	return rc;
}

void secret_free(char *secret)
{
	if (secret)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}
