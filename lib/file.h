#pragma once
/* file - what all who keep something on disk need. Threads: any. */
#include "lib/err.h"

#include <stddef.h>
#include <sys/types.h>

typedef ssize_t file_write_fn(int fd, const void *bytes, size_t len);
/* All of it, by write(2) or what stands in for it. 0 or -errno: some of it may be written. */
int file_write_all(file_write_fn *how, int fd, const void *bytes, size_t len);
/* Opens a journal's directory, which is this user's alone; where there is none it is made (0700), with the one above, where there is none
 * either: a host that was not set up by `make install` and its hints. refused: the bits that it may not have; wrong: what is said of one
 * that has them, or is another user's (-EPERM). A descriptor, or -errno. */
int file_private_dir(const char *dir, mode_t refused, const char *wrong, struct err *err);
