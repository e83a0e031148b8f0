#include "control/past.h"

#include "control/db.h"

#include <errno.h>
#include <stdlib.h>

#define S_PER_GB 60.0 /* the provider's rule: about one minute per GB of databases */

/* ---- from the journal ---- */

int past_add(struct past *p, int64_t took_ms, double gb)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		struct past_move *more = realloc(p->moves, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->moves = more;
		p->cap = cap;
	}
	p->moves[p->n++] = (struct past_move){took_ms > 0 ? took_ms : 0, gb > 0 ? gb : 0};
	return 0;
}

int past_read(struct journal *j, const char *kind, int64_t since, struct past *out, struct err *err)
{
	sqlite3_stmt *st = NULL;
	*out = (struct past){0};
	int rc = db_query(
		j->db, &st, err,
		"SELECT changed - started, databases_gb FROM moves WHERE state = 'done' AND kind = ?1 AND started >= ?2 ORDER BY id", "si",
		kind, since);
	while (rc == 0 && (rc = db_next(j->db, st, err)) == 1)
		rc = past_add(out, sqlite3_column_int64(st, 0), sqlite3_column_double(st, 1));
	if (rc == -ENOMEM)
		err_set(err, rc, "out of memory");
	sqlite3_finalize(st);
	if (rc < 0)
		past_done(out);
	return rc;
}

int past_migrated(struct journal *j, void (*fn)(void *arg, const char *name, int64_t started), void *arg, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc =
		db_query(j->db, &st, err,
			 "SELECT a.name, (SELECT started FROM moves m WHERE m.account = a.name AND m.state = 'done' AND m.kind = 'migrate' "
			 "ORDER BY m.id DESC LIMIT 1) AS began FROM accounts a WHERE a.side = 'transit' AND began IS NOT NULL "
			 "ORDER BY began, a.name",
			 "");
	if (rc < 0)
		return rc;
	while ((rc = db_next(j->db, st, err)) == 1)
		fn(arg, db_text(st, 0), sqlite3_column_int64(st, 1));
	sqlite3_finalize(st);
	return rc;
}

void past_done(struct past *p)
{
	free(p->moves);
	*p = (struct past){0};
}

/* ---- what it says ---- */

static double own_s(const struct past *p)
{
	double least = 0;
	for (size_t i = 0; i < p->n; i++) {
		double s = (double)p->moves[i].took_ms / 1000;
		least = i == 0 || s < least ? s : least;
	}
	return least;
}

static double per_gb_s(const struct past *p)
{
	double own = own_s(p), s = S_PER_GB, gb = 1;
	for (size_t i = 0; i < p->n; i++) {
		if (p->moves[i].gb <= 0)
			continue;
		s += (double)p->moves[i].took_ms / 1000 - own;
		gb += p->moves[i].gb;
	}
	return s / gb;
}

double past_move_s(const struct past *p, double gb)
{
	return own_s(p) + (gb > 0 ? gb * per_gb_s(p) : 0);
}

double past_gb_per_min(const struct past *p)
{
	return 60 / per_gb_s(p);
}

double past_left_s(const struct past *p, const double *gbs, size_t n, int parallel)
{
	double sum = 0, longest = 0, own = own_s(p), per_gb = per_gb_s(p);
	for (size_t i = 0; i < n; i++) {
		double s = own + (gbs[i] > 0 ? gbs[i] * per_gb : 0);
		sum += s;
		longest = s > longest ? s : longest;
	}
	sum /= parallel > 0 ? parallel : 1;
	return sum > longest ? sum : longest;
}
