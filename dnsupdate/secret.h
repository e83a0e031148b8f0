#pragma once
/* secret - files whose content nobody else may see: TSIG keys and the keys of HTTP APIs.
 * Read only where the file is a regular one of mode 0600 or 0400 that belongs to root or to us; otherwise -EPERM with what to do.
 * A link to such a file is fine: what it leads to is checked. Secrets never show in messages; whoever has one frees it by
 * secret_free(), which wipes it. Units: bytes. */
#include "lib/err.h"

#include <stddef.h>

#define SECRET_FILE_MAX 16384

/* The whole file, with a NUL behind it. Returned new in *out. -EPERM, -EINVAL (a NUL in it, too long, empty), -errno. */
int secret_file_load(char **out, const char *path, struct err *err);
/* Its one line, without spaces around it: for API keys. Lines after it that are empty are fine. */
int secret_line_load(char **out, const char *path, struct err *err);
void secret_free(char *secret); /* wipes; NULL is fine */
