#include "dnsupdate/accounts.h"

#include "dnsupdate/rr.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define STATE_DEFAULT "/var/lib/shunt/shunt.db"
#define BUSY_MS       5000

static int add_row(struct acctset *s, const char *text, const char *path, struct err *err)
{
	json_t *object = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	struct acctdef d;
	int rc = object ? acctdef_from_json(&d, object, err) : err_set(err, -EBADMSG, "found no JSON in the row of an account");

	json_decref(object);
	if (rc < 0)
		return err_wrap(err, "%s", path);
	return acctset_add(s, &d) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int read_state(struct acctset *s, const char *path, struct err *err)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int rc = 0, step;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK ||
	    (sqlite3_busy_timeout(db, BUSY_MS), sqlite3_prepare_v2(db, "SELECT def FROM accounts ORDER BY name", -1, &st, NULL)) !=
		    SQLITE_OK) {
		rc = err_set(err, sqlite3_errcode(db) == SQLITE_CANTOPEN ? -ENOENT : -EIO,
			     "%s: %s; accounts come from there, or from the panel's file with --accounts FILE", path, sqlite3_errmsg(db));
		goto out;
	}
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		if (step == SQLITE_ROW)
			rc = add_row(s, (const char *)sqlite3_column_text(st, 0), path, err);
		else
			rc = err_set(err, -EIO, "%s: %s", path, sqlite3_errmsg(db));
	}
out:
	sqlite3_finalize(st);
	sqlite3_close(db);
	return rc;
}

int accounts_load(struct acctset *out, const char *file, const struct conf *conf, struct err *err)
{
	int rc;

	*out = (struct acctset){0};
	if (file)
		return acctset_from_file(out, file, err);
	rc = read_state(out, conf->control.state ? conf->control.state : STATE_DEFAULT, err);
	if (rc < 0)
		acctset_done(out);
	return rc;
}

const struct acctdef *accounts_find(const struct acctset *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->defs[i].name, name) == 0)
			return &s->defs[i];
	return NULL;
}

static const char *base_of(const char *domain)
{
	return strncmp(domain, "*.", 2) == 0 ? domain + 2 : domain;
}

static bool touches(const struct acctdef *d, const char *domain)
{
	for (size_t i = 0; i < d->n_domains; i++)
		if (name_within(base_of(domain), base_of(d->domains[i])))
			return true;
	return false;
}

int accounts_others(const struct acctset *s, const struct acctdef *d, char ***out, size_t *n)
{
	*out = NULL;
	*n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct acctdef *other = &s->defs[i];

		for (size_t k = 0; other != d && k < other->n_domains; k++) {
			char **grown;

			if (!touches(d, other->domains[k]))
				continue;
			grown = reallocarray(*out, *n + 1, sizeof(*grown));
			if (!grown) {
				free(*out);
				return -ENOMEM;
			}
			*out = grown;
			grown[(*n)++] = other->domains[k];
		}
	}
	return 0;
}
