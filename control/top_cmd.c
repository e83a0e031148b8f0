/* top: the accounts with traffic, again each second on a terminal; elsewhere one look. */
#include "control/app.h"
#include "control/top.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define EVERY_MS 1000
#define ASK_MS   3000
#define LIMIT    200 /* accounts of one look; on a terminal as many as have a line */
#define COLS_MAX 500 /* what a wider screen has beyond it stays empty */

static const char *step(struct app *a)
{
	static const struct {
		const char *clock, *text;
	} clocks[] = {{"finish", "over"},
		      {"return", "accounts move home"},
		      {"reinstall", "the client server is being reinstalled"},
		      {"start", "accounts move"}};
	for (size_t i = 0; a->db && i < sizeof(clocks) / sizeof(*clocks); i++) {
		int64_t at;
		if (journal_clock(a->db, clocks[i].clock, &at, NULL) == 0)
			return clocks[i].text;
	}
	return a->db ? "preparation" : "the state cannot be read";
}

/* ---- one look ---- */

struct look {
	json_t *status, *rates; /* owned; NULL: the proxy is away */
	json_t *moves;          /* owned: [{"account","kind","step","state"}..] */
};

static void look_done(struct look *l)
{
	json_decref(l->status);
	json_decref(l->rates);
	json_decref(l->moves);
	*l = (struct look){0};
}

static json_t *open_moves(struct app *a)
{
	json_t *list = json_array();
	struct move_rows open;
	if (!a->db || journal_moves_open(a->db, NULL, &open, NULL) < 0)
		return list;
	for (size_t i = 0; i < open.n; i++) {
		const struct move_row *m = &open.rows[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "account", m->account, "kind", m->kind, "step", m->step,
						      "state", move_state_name(m->state)));
	}
	move_rows_done(&open);
	return list;
}

/* false: interrupted, or a key is there. */
static bool pause_ms(const struct app *a, int ms, bool keys)
{
	struct pollfd p[] = {{a->sigfd, POLLIN, 0}, {keys ? STDIN_FILENO : -1, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
	return poll(p, 3, ms) == 0;
}

/* The proxy tells what has come since a look before; without one of just now, it is asked again a second later. */
static int look(struct app *a, const struct top_order *by, size_t limit, struct look *out, struct err *err)
{
	json_t *answer = NULL;
	*out = (struct look){.moves = open_moves(a)};
	int rc = proxylink_ask(a->proxy, "status", NULL, ASK_MS, &out->status, err);
	for (int tries = 0; rc == 0 && tries < 2; tries++) {
		rc = proxylink_ask(a->proxy, "top", json_pack("{s:s, s:i}", "by", by->word, "limit", (int)limit), ASK_MS, &answer, err);
		json_int_t ms = json_integer_value(json_object_get(answer, "interval-ms"));
		if (rc < 0 || (ms >= TOP_INTERVAL_MIN_MS && ms <= TOP_INTERVAL_MAX_MS) || tries)
			break;
		json_decref(answer);
		answer = NULL;
		if (!pause_ms(a, EVERY_MS, false))
			rc = err_set(err, -EINTR, "interrupted");
	}
	if (rc == 0)
		out->rates = top_rates(answer);
	json_decref(answer);
	return rc;
}

static void header(struct app *a, const struct look *l, FILE *to)
{
	const json_t *conns = json_object_get(l->status, "connections"), *limits = json_object_get(l->status, "limits");
	size_t i;
	json_t *m;
	fprintf(to, "%s: %s; %lld of %lld connections, %lld of %lld waiting\n", a->conf->server ? a->conf->server : "shunt", step(a),
		(long long)json_integer_value(json_object_get(conns, "now")), (long long)json_integer_value(json_object_get(conns, "max")),
		(long long)json_integer_value(json_object_get(conns, "parked")),
		(long long)json_integer_value(json_object_get(limits, "hold-max-connections")));
	if (json_array_size(l->moves) == 0)
		return;
	fputs("moves:", to);
	json_array_foreach (l->moves, i, m) {
		if (i == 4) {
			fprintf(to, " and %zu more", json_array_size(l->moves) - i);
			break;
		}
		fprintf(to, "%s %s %s at %s%s", i ? "," : "", json_string_value(json_object_get(m, "kind")),
			json_string_value(json_object_get(m, "account")), json_string_value(json_object_get(m, "step")),
			strcmp(json_string_value(json_object_get(m, "state")), "stuck") == 0 ? " STUCK" : "");
	}
	fputc('\n', to);
}

static void show(struct app *a, const struct look *l, const struct top_order *by, size_t most, FILE *to)
{
	header(a, l, to);
	top_table(l->rates, by, most, to);
}

/* ---- once ---- */

static enum exit_code once(struct app *a, struct err *err)
{
	const struct top_order *by = top_order('\0');
	char at[TIME_TEXT_MAX];
	struct look l;
	int rc = look(a, by, LIMIT, &l, err);
	if (rc == 0) {
		if (!a->out.json)
			show(a, &l, by, LIMIT + 2, stdout);
		out_set(&a->out, "at", json_string(time_text(now_ms(), at)));
		out_set(&a->out, "step", json_string(step(a)));
		out_set(&a->out, "connections", json_incref(json_object_get(l.status, "connections")));
		out_set(&a->out, "limits", json_incref(json_object_get(l.status, "limits")));
		out_set(&a->out, "moves", json_incref(l.moves));
		const char *key;
		json_t *v;
		json_object_foreach (l.rates, key, v)
			out_set(&a->out, key, json_incref(v));
	}
	look_done(&l);
	return rc < 0 ? EXIT_REFUSED : EXIT_DONE;
}

/* ---- on a terminal ---- */

struct screen {
	size_t rows, cols;
};

/* Asked for each time: it may have another size by now. */
static struct screen screen_now(void)
{
	struct winsize w = {0};
	struct screen s = {24, 80};
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 4 && w.ws_col > 0)
		s = (struct screen){w.ws_row, w.ws_col};
	s.rows = s.rows > LIMIT ? LIMIT : s.rows;
	s.cols = s.cols > COLS_MAX ? COLS_MAX : s.cols;
	return s;
}

/* At most rows times cols bytes, whatever there is to tell; it is all ASCII. */
static void redraw(const char *text, const struct screen *s)
{
	static const char keys[] = " q quit   sort: r requests  b bytes  e errors  w waiting  f in flight ";
	fputs("\033[H", stdout);
	for (size_t i = 0; *text && i + 1 < s->rows; i++) {
		size_t len = strcspn(text, "\n");
		printf("%.*s\033[K\n", (int)(len < s->cols ? len : s->cols), text);
		text += len + (text[len] == '\n');
	}
	printf("\033[J\033[7m%.*s\033[0m", (int)s->cols, keys);
	fflush(stdout);
}

static void round_of(struct app *a, const struct top_order *by)
{
	struct screen s = screen_now();
	size_t len;
	char *text = NULL;
	struct err err = {0};
	struct look l;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		return;
	if (look(a, by, s.rows, &l, &err) == 0)
		show(a, &l, by, s.rows - 2 - (json_array_size(l.moves) > 0), f);
	else
		fprintf(f, "%s: %s\nproxy AWAY: %s\n", a->conf->server ? a->conf->server : "shunt", step(a), err.text);
	look_done(&l);
	fclose(f);
	redraw(text, &s);
	free(text);
}

/* False: it is to end. */
static bool take_keys(const struct top_order **by)
{
	char keys[16];
	ssize_t n = read(STDIN_FILENO, keys, sizeof(keys));
	for (ssize_t i = 0; i < n; i++) {
		const struct top_order *o = keys[i] ? top_order(keys[i]) : NULL;
		if (keys[i] == 'q' || keys[i] == 4)
			return false;
		if (o)
			*by = o;
	}
	return n > 0;
}

static enum exit_code live(struct app *a, bool keys)
{
	const struct top_order *by = top_order('\0');
	struct termios was, raw;
	keys = keys && tcgetattr(STDIN_FILENO, &was) == 0;
	if (keys) {
		raw = was;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell would find the terminal like this */
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs("\033[?7l\033[2J", stdout); /* lines that are too long are cut, not wrapped */
	for (;;) {
		struct pollfd p[] = {{a->sigfd, POLLIN, 0}, {keys ? STDIN_FILENO : -1, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
		round_of(a, by);
		if (ferror(stdout) || poll(p, 3, EVERY_MS) < 0 || p[0].revents || p[2].revents || (p[1].revents && !take_keys(&by)))
			break;
	}
	fputs("\033[?7h\n", stdout);
	fflush(stdout);
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &was);
	return EXIT_DONE;
}

enum exit_code cmd_top(struct app *a, char **words, int n, struct err *err)
{
	struct err state = {0};
	(void)words;
	(void)n;
	enum exit_code x = app_look(a, &state, err);
	if (x)
		return x;
	int rc = app_signals(a, err);
	if (rc < 0)
		return exit_of(rc);
	a->proxy->cancel_fd = a->sigfd;
	if (!a->out.json && isatty(STDOUT_FILENO))
		return live(a, isatty(STDIN_FILENO));
	return once(a, err);
}
