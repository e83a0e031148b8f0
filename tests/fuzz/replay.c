/* replay - stands in for libFuzzer's main(): feeds every file of a corpus to the target, so that old crashes stay fixed.
 * The corpus is the directory named by the argument; without one it is $srcdir/tests/fuzz/corpus/NAME, where the program is
 * called fuzz_NAME. A missing or an empty corpus is a failure: a test that fed nothing has tested nothing. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size ? size : 1); /* of just this size: AddressSanitizer sees the first byte read past it */
	int rc = -1;
	if (f && data && fread(data, 1, size, f) == size) {
		fprintf(stderr, "%s\n", path); /* before the act: the last one named is the one that crashed */
		LLVMFuzzerTestOneInput(data, size);
		rc = 0;
	} else {
		perror(path);
	}
	free(data);
	if (f)
		fclose(f);
	return rc;
}

int main(int argc, char **argv)
{
	char dir[4096], path[8192];
	if (argc > 1) {
		snprintf(dir, sizeof(dir), "%s", argv[1]);
	} else {
		const char *src = getenv("srcdir"), *name = strrchr(argv[0], '/');
		name = name ? name + 1 : argv[0];
		name += strncmp(name, "fuzz_", 5) == 0 ? 5 : 0;
		snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", src ? src : ".", name);
	}
	DIR *d = opendir(dir);
	if (!d) {
		perror(dir);
		return 1;
	}
	unsigned fed = 0;
	int rc = 0;
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (feed(path, (size_t)st.st_size) < 0)
			rc = 1;
		fed++;
	}
	closedir(d);
	if (!fed) {
		fprintf(stderr, "%s: no file in it\n", dir);
		return 1;
	}
	printf("%s: %u files\n", dir, fed);
	return rc;
}
