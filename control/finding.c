#include "control/finding.h"

#include "control/db.h"
#include "lib/member.h"
#include "lib/out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const grades[GRADES] = {[GRADE_STOP] = "stop", [GRADE_WARN] = "warn", [GRADE_INFORM] = "inform"};

const char *grade_name(enum grade g)
{
	return grades[g];
}

enum grade grade_of(const json_t *finding)
{
	for (int g = 0; g < GRADES; g++) {
		if (strcmp(member_text(finding, "grade"), grades[g]) == 0)
			return (enum grade)g;
	}
	return GRADE_WARN; /* of a later shunt */
}

void finding_add(json_t *list, const struct finding_text *t, const char *fmt, ...)
{
	char *what = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&what, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", t->kind, "grade", grades[t->grade], "name", t->name,
					      "found", what, "do", t->todo ? t->todo : ""));
	free(what);
}

void findings_sort(json_t *list)
{
	json_t *sorted = json_array(), *f;
	size_t i;
	for (int g = 0; g < GRADES; g++) {
		json_array_foreach (list, i, f) {
			if (grade_of(f) == (enum grade)g)
				json_array_append(sorted, f);
		}
	}
	json_array_clear(list);
	json_array_extend(list, sorted);
	json_decref(sorted);
}

void findings_count(const json_t *list, size_t counts[GRADES])
{
	const json_t *f;
	size_t i;
	memset(counts, 0, GRADES * sizeof(*counts));
	json_array_foreach (list, i, f)
		counts[grade_of(f)]++;
}

void findings_show(struct out *out, const json_t *list, const char *without)
{
	static const char *const words[GRADES] = {[GRADE_STOP] = "STOP", [GRADE_WARN] = "warning", [GRADE_INFORM] = "note"};
	const json_t *f;
	size_t i;
	json_array_foreach (list, i, f) {
		if (without && strcmp(member_text(f, "kind"), without) == 0)
			continue;
		out_line(out, "  %-8s %s: %s", words[grade_of(f)], member_text(f, "name"), member_text(f, "found"));
		if (*member_text(f, "do"))
			out_line(out, "           -> %s", member_text(f, "do"));
	}
}

/* ---- on disk ---- */

int findings_put(struct journal *j, const char *account, int64_t at, const json_t *list, struct err *err)
{
	char *text = json_dumps(list, JSON_COMPACT);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = db_run(j->db, err,
			"INSERT OR REPLACE INTO findings(account_id, at, who, list) SELECT id, ?2, ?3, ?4 FROM accounts WHERE name = ?1",
			"siss", account, at, j->who->user, text);
	free(text);
	if (rc == 0 && sqlite3_changes(j->db) == 0)
		return err_set(err, -ENOENT, "there is no account \"%s\"", account);
	return rc;
}

int findings_since(struct journal *j, int64_t at)
{
	sqlite3_stmt *st = NULL;
	int rc = db_query(j->db, &st, NULL, "SELECT count(*) FROM findings WHERE at >= ?", "i", at);
	if (rc < 0)
		return rc;
	rc = db_next(j->db, st, NULL);
	int n = rc == 1 ? sqlite3_column_int(st, 0) : 0;
	sqlite3_finalize(st);
	return rc < 0 ? rc : n;
}

int findings_get(struct journal *j, const char *account, int64_t *at, json_t **list, struct err *err)
{
	sqlite3_stmt *st = NULL;
	*list = NULL;
	int rc = db_query(j->db, &st, err, "SELECT at, list FROM findings f JOIN accounts a ON a.id = f.account_id WHERE a.name = ?", "s",
			  account);
	if (rc < 0)
		return rc;
	rc = db_next(j->db, st, err);
	if (rc == 1) {
		*at = sqlite3_column_int64(st, 0);
		*list = json_loads(db_text(st, 1), 0, NULL);
	}
	sqlite3_finalize(st);
	if (rc == 0)
		return err_set(err, -ENOENT, "%s was never checked (shunt check %s)", account, account);
	if (rc == 1 && !json_is_array(*list)) {
		json_decref(*list);
		*list = NULL;
		return err_set(err, -EBADMSG, "what the last check found of %s cannot be read", account);
	}
	return rc < 0 ? rc : 0;
}
