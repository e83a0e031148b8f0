/* report: what became of one move. From the database alone: the proxy may be away. */
#include "control/app.h"
#include "control/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int which_move(const char *word, int64_t *move, struct err *err)
{
	char *end;
	errno = 0;
	*move = strtoll(word, &end, 10);
	if (errno || *end || *move < 1)
		return err_set(err, -EINVAL, "report: found \"%.60s\", expected the number of a move", word);
	return 0;
}

static void show(struct app *a, const json_t *report, bool first)
{
	char *text = a->out.json ? NULL : report_text(report);
	if (text)
		out_line(&a->out, "%s%.*s", first ? "" : "\n----\n\n", (int)(strlen(text) - 1), text);
	free(text);
}

/* Newest first; only: one of them, 0: all. Returns how many. */
static size_t show_all(struct app *a, const json_t *log, int64_t only)
{
	json_t *moves = report_moves(log), *reports = json_array(), *m;
	size_t i, n;
	json_array_foreach (moves, i, m) {
		if (only && json_integer_value(m) != only)
			continue;
		json_t *r = report_of(log, json_integer_value(m));
		show(a, r, json_array_size(reports) == 0);
		json_array_append_new(reports, r);
	}
	n = json_array_size(reports);
	json_decref(moves);
	out_set(&a->out, "reports", reports);
	return n;
}

enum exit_code cmd_report(struct app *a, char **words, int n, struct err *err)
{
	int64_t move = 0;
	json_t *log;
	if (n > 1 && which_move(words[1], &move, err) < 0)
		return EXIT_USAGE;
	int rc = journal_log(a->db, words[0], 0, &log, err);
	if (rc < 0)
		return exit_of(rc);
	size_t shown = show_all(a, log, move);
	json_decref(log);
	if (shown == 0 && move) {
		err_set(err, -ENOENT, "%s has no move %lld; shunt report %s shows those it has", words[0], (long long)move, words[0]);
		return EXIT_REFUSED;
	}
	if (shown == 0) {
		err_set(err, -ENOENT, "no move of %s is recorded", words[0]);
		return EXIT_REFUSED;
	}
	/* Who shows it to a customer should know that it holds. */
	struct trail_head h;
	struct err e = {0};
	rc = journal_verify(a->db, NULL, &h, &e);
	out_set(&a->out, "unbroken", json_boolean(rc == 0));
	trail_out(a, &h);
	if (rc == 0) {
		out_line(&a->out, "The trail was verified for this page: %" PRId64 " lines, unbroken.", h.lines);
		return EXIT_DONE;
	}
	err_set(err, rc, "the trail is BROKEN, and the report proves nothing: %s", e.text);
	return trail_exit(rc);
}
