#pragma once
/* place - a directory of a test's own below /tmp, and files in it. Whatever goes wrong ends the test. */
#include <stddef.h>

#define PLACE_MAX 40
void place_make(char dir[PLACE_MAX], const char *name); /* /tmp/NAME.XXXXXX */
void place_remove(const char *dir);                     /* and what is in it */
void place_put(const char *dir, const char *file, const void *bytes, size_t len);
size_t place_get(const char *dir, const char *file, char *text, size_t cap); /* there must be something, and it must fit; its bytes */
