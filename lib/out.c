#include "lib/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool out_wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

void out_init(struct out *o, bool json)
{
	*o = (struct out){.json = json, .object = json_object()};
}

void out_line(struct out *o, const char *fmt, ...)
{
	if (o->json)
		return;
	va_list ap;
	va_start(ap, fmt);
	vfprintf(o->to ? o->to : stdout, fmt, ap);
	va_end(ap);
	fputc('\n', o->to ? o->to : stdout);
}

void out_set(struct out *o, const char *key, json_t *value)
{
	json_object_set_new(o->object, key, value);
}

int out_finish(struct out *o, enum exit_code x, const struct err *err)
{
	const char *text = err && *err->text ? err->text : x ? "failed" : NULL;
	if (o->json) {
		json_object_set_new(o->object, "ok", json_boolean(x == EXIT_DONE));
		json_object_set_new(o->object, "exit", json_integer(x));
		if (x && text) {
			json_t *s = json_string(text);
			json_object_set_new(o->object, "error", s ? s : json_string("the error's text is not UTF-8"));
		}
		json_dumpf(o->object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15)); /* 0.1, not 0.10000000000000001 */
		putchar('\n');
	} else if (x && text) {
		fflush(stdout);
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
	}
	json_decref(o->object);
	o->object = NULL;
	if (fflush(stdout) != 0 || ferror(stdout))
		fprintf(stderr, "%s: the output could not be written\n", program_invocation_short_name);
	return (int)x;
}
