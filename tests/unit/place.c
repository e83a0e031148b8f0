#include "tests/unit/place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

void place_make(char dir[PLACE_MAX], const char *name)
{
	snprintf(dir, PLACE_MAX, "/tmp/%s.XXXXXX", name);
	assert_non_null(mkdtemp(dir));
}

void place_remove(const char *dir)
{
	char cmd[PLACE_MAX + 10];

	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
}

static int open_in(const char *dir, const char *file, int flags)
{
	char path[400];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, file);
	fd = open(path, flags, 0600);
	assert_true(fd >= 0);
	return fd;
}

void place_put(const char *dir, const char *file, const void *bytes, size_t len)
{
	int fd = open_in(dir, file, O_WRONLY | O_CREAT | O_TRUNC);

	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

size_t place_get(const char *dir, const char *file, char *text, size_t cap)
{
	int fd = open_in(dir, file, O_RDONLY);
	ssize_t n = read(fd, text, cap);

	assert_true(n > 0 && (size_t)n < cap);
	close(fd);
	return (size_t)n;
}
