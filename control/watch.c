#include "control/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVERY_MS 1000

/* ---- one round ---- */

/* The status as text, or (text empty) as the object of o. Returns new; NULL: no memory. */
static char *round_text(struct app *a, watch_fn *status, char **words, int n, struct out *o)
{
	struct out ours = a->out;
	struct err err = {0};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	out_init(o, ours.json);
	o->to = f;
	a->out = *o;
	enum exit_code x = a->db ? status(a, words, n, &err) : EXIT_REFUSED;
	*o = a->out;
	a->out = ours;
	if (x)
		fprintf(f, "%s\n", *err.text ? err.text : "the state cannot be read now");
	json_object_set_new(o->object, "ok", json_boolean(x == EXIT_DONE));
	if (x)
		json_object_set_new(o->object, "error", json_string(err.text));
	fclose(f);
	return text;
}

/* The state may be made, or replaced, while we look. */
static void open_again(struct app *a, ino_t *seen)
{
	struct stat st = {0};
	struct err err = {0};
	if (stat(app_state_path(a), &st) < 0)
		st.st_ino = 0;
	if (a->db && st.st_ino == *seen)
		return;
	app_close(a);
	if (app_read(a, &err) != EXIT_DONE)
		app_close(a);
	else if (a->proxy)
		a->proxy->cancel_fd = a->sigfd;
	*seen = st.st_ino;
}

/* ---- three ways to show it ---- */

static void redraw(const char *text)
{
	struct winsize w = {0};
	size_t rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 1 ? w.ws_row - 1u : 1000;
	fputs("\033[H", stdout);
	for (size_t i = 0; *text && i < rows; i++) {
		size_t len = strcspn(text, "\n");
		printf("%.*s\033[K\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	fputs("\033[J", stdout);
}

static bool has_line(const char *text, const char *line, size_t len)
{
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		if (n == len && memcmp(text, line, len) == 0)
			return true;
		text += n + (text[n] == '\n');
	}
	return false;
}

static void print_news(const char *text, const char *before)
{
	char at[TIME_TEXT_MAX];
	time_text(now_ms(), at);
	while (*text) {
		size_t len = strcspn(text, "\n");
		if (!has_line(before, text, len))
			printf("%s  %.*s\n", at, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void print_object(json_t *o)
{
	char at[TIME_TEXT_MAX];
	json_object_set_new(o, "at", json_string(time_text(now_ms(), at)));
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
	putchar('\n');
}

/* ---- */

static bool ended(const struct app *a)
{
	struct pollfd p[] = {{a->sigfd, POLLIN, 0}, {STDOUT_FILENO, 0, 0}}; /* the latter tells that its reader has gone */
	return poll(p, 2, EVERY_MS) > 0;
}

enum exit_code watch(struct app *a, watch_fn *status, char **words, int n, struct err *err)
{
	bool screen = !a->out.json && isatty(STDOUT_FILENO);
	char *before = NULL;
	ino_t seen = 0;
	int rc = app_signals(a, err);
	if (rc < 0)
		return exit_of(rc);
	if (screen)
		fputs("\033[?7l\033[2J", stdout); /* lines that are too long are cut, not wrapped */
	do {
		struct out o;
		open_again(a, &seen);
		char *text = round_text(a, status, words, n, &o);
		if (!text)
			continue;
		if (a->out.json)
			print_object(o.object);
		else if (screen)
			redraw(text);
		else
			print_news(text, before);
		json_decref(o.object);
		free(before);
		before = text;
	} while (fflush(stdout) == 0 && !ferror(stdout) && !ended(a));
	free(before);
	if (screen)
		fputs("\033[?7h", stdout);
	a->out.json = false; /* each object was printed by itself */
	return EXIT_DONE;
}
