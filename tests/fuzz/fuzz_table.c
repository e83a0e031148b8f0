/* What a table is read from. The first byte chooses: 'r' a table on disk as it is; 's' one whose lines still lack their check sums, so that
 * the fuzzer gets past these; anything else an import file. What is taken must survive being written and read again. */
#include "proxy/crc32c.h"
#include "proxy/store.h"
#include "proxy/table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static const struct store_ops ops = {.write = write, .fsync = no_sync, .fdatasync = no_sync, .ftruncate = ftruncate, .rename = rename};

static void need(bool fact, const char *what)
{
	if (!fact) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void put_sums(FILE *f, const char *p, size_t len)
{
	uint32_t crc = 0;

	while (len) {
		const char *end = memchr(p, '\n', len);
		size_t line = end ? (size_t)(end - p) : len;

		crc = crc32c_more(crc, p, line);
		fprintf(f, "%08x ", crc);
		fwrite(p, 1, line + (end != NULL), f);
		p += line + (end != NULL);
		len -= line + (end != NULL);
	}
}

/* As the proxy does at its start, and at its next one. */
static void load_twice(const char *path)
{
	struct store *s;
	struct acctset set, again;
	struct table *t;

	need(store_open_with(&s, path, &ops, NULL) == 0, "the store does not open");
	if (store_load(s, &set, NULL) == 0) {
		need(store_load(s, &again, NULL) == 0, "what was loaded does not load again");
		need(set.n == again.n, "another count of accounts");
		for (size_t i = 0; i < set.n; i++)
			need(set.defs[i].side == again.defs[i].side && set.defs[i].gate == again.defs[i].gate, "another side or gate");
		acctset_done(&again);
		if (table_new(&t, &set, NULL, 1, NULL) == 0)
			table_free(t);
	}
	store_close(s);
}

static void import(const char *file, const char *path)
{
	struct acctset set;
	struct store *s;

	if (acctset_from_file(&set, file, NULL) < 0)
		return;
	if (acctset_check(&set, NULL) == 0) {
		need(store_open_with(&s, path, &ops, NULL) == 0, "the store does not open");
		need(store_save(s, &set, NULL) == 0, "a good set cannot be saved");
		store_close(s);
		load_twice(path);
	}
	acctset_done(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ends[] = {"", ".in", ".lock", ".new"};
	char dir[] = "/tmp/shunt-fuzz.XXXXXX", path[64], file[80];
	char mode = size ? (char)data[0] : 'i';
	FILE *f;

	need(mkdtemp(dir) != NULL, "no directory");
	snprintf(path, sizeof path, "%s/table", dir);
	snprintf(file, sizeof file, "%s%s", path, mode == 'r' || mode == 's' ? "" : ".in");
	f = fopen(file, "w");
	need(f != NULL, "no file");
	if (mode == 's')
		put_sums(f, (const char *)data + 1, size - 1);
	else if (mode == 'r')
		fwrite(data + 1, 1, size - 1, f);
	else
		fwrite(data, 1, size, f);
	fclose(f);
	chmod(file, 0600); /* whatever the umask is */
	if (mode == 'r' || mode == 's')
		load_twice(path);
	else
		import(file, path);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	rmdir(dir);
	return 0;
}
