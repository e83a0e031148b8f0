#pragma once
/* finding - one thing that `shunt check` has found of an account, as a JSON object: {"kind","grade":"stop"|"warn"|"inform","name","found",
 * "do"}. kind is a short word for programs, name what it is about (a domain, a URL, "port 25", or the account), found says what was,
 * do what a person may do about it ("" : nothing has to be).
 *   stop    a move would break something for visitors, or be refused
 *   warn    it may, or something will be different; a person should look
 *   inform  how it will be
 * The findings of an account are kept in the state database with the time of the check, replaced by the next one, and go with the account.
 * Ownership: lists are the caller's. */
#include "control/journal.h"

enum grade { GRADE_STOP, GRADE_WARN, GRADE_INFORM, GRADES };
const char *grade_name(enum grade g);
enum grade grade_of(const json_t *finding);

struct finding_text {
	enum grade grade;
	const char *kind, *name, *todo; /* borrowed */
};
void finding_add(json_t *list, const struct finding_text *t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define FIND(list, g, k, n, d, ...) \
	finding_add(list, &(const struct finding_text){.grade = (g), .kind = (k), .name = (n), .todo = (d)}, __VA_ARGS__)

void findings_sort(json_t *list); /* stops first; the order within a grade stays */
void findings_count(const json_t *list, size_t counts[GRADES]);
struct out;
/* Lines for people; without those of a kind (NULL: all). */
void findings_show(struct out *out, const json_t *list, const char *without);

/* On disk. put: replaces what was kept of that account; -ENOENT: there is no such account (any more). */
int findings_put(struct journal *j, const char *account, int64_t at, const json_t *list, struct err *err);
int findings_since(struct journal *j, int64_t at); /* of so many accounts something was kept since then; or -errno */
int findings_get(struct journal *j, const char *account, int64_t *at, json_t **list, struct err *err); /* new; -ENOENT: never checked */
