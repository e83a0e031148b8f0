#include "control/claims.h"

#include "control/db.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {
	[CLAIM_OF_NAME] = "name",   [CLAIM_OF_DOMAIN] = "domain", [CLAIM_OF_ADDRESS] = "address",
	[CLAIM_OF_LOGIN] = "login", [CLAIM_OF_PORT] = "port",
};

/* Two accounts may have one claim for a moment, while a set is exchanged; hence no UNIQUE. Nothing reads a claim of a removed account as
 * somebody else's: ids are never used twice. */
const char claims_schema[] =
	"CREATE TABLE claims ("
	"  word TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('name', 'domain', 'address', 'login', 'port')),"
	"  account_id INTEGER NOT NULL, PRIMARY KEY (word, kind, account_id)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX claims_account ON claims(account_id);"
	"CREATE VIEW claims_now AS"
	"  SELECT id AS account_id, 'name' AS kind, lower(name) AS word FROM accounts"
	"  UNION ALL SELECT a.id, 'domain', lower(c.value) FROM accounts a, json_each(a.def, '$.domains') c"
	"  UNION ALL SELECT a.id, 'address', lower(c.value) FROM accounts a, json_each(a.def, '$.addresses') c"
	"  UNION ALL SELECT a.id, 'login', lower(c.value) FROM accounts a, json_each(a.def, '$.logins') c"
	"  UNION ALL SELECT a.id, 'port', CAST(c.value AS TEXT) FROM accounts a, json_each(a.def, '$.ports') c;"
	"CREATE TRIGGER claims_added AFTER INSERT ON accounts BEGIN"
	"  INSERT OR IGNORE INTO claims(word, kind, account_id) SELECT word, kind, account_id FROM claims_now WHERE account_id = NEW.id;"
	"END;"
	"CREATE TRIGGER claims_changed AFTER UPDATE OF id, name, def ON accounts"
	"  WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name OR NEW.def IS NOT OLD.def BEGIN"
	"  DELETE FROM claims WHERE account_id IN (OLD.id, NEW.id);"
	"  INSERT OR IGNORE INTO claims(word, kind, account_id) SELECT word, kind, account_id FROM claims_now WHERE account_id = NEW.id;"
	"END;"
	"CREATE TRIGGER claims_removed AFTER DELETE ON accounts BEGIN DELETE FROM claims WHERE account_id = OLD.id; END;"
	"INSERT OR IGNORE INTO claims(word, kind, account_id) SELECT word, kind, account_id FROM claims_now;";

int claims_whose(struct journal *j, enum claim_kind kind, const char *word, int64_t own, enum claim_whose *out, struct err *err)
{
	*out = CLAIM_NOBODYS;
	int rc = db_query_kept(j->db, &j->claim, err, "SELECT max(account_id = ?) FROM claims WHERE word = ? AND kind = ?", "iss", own,
			       word, kinds[kind]);
	if (rc == 0 && (rc = db_next(j->db, j->claim, err)) == 1) {
		if (sqlite3_column_type(j->claim, 0) != SQLITE_NULL)
			*out = sqlite3_column_int(j->claim, 0) ? CLAIM_OWN : CLAIM_ANOTHERS;
		rc = 0;
	}
	sqlite3_reset(j->claim); /* or the file could not be written meanwhile */
	return rc;
}

static int whose_below(struct journal *j, const char *name, int64_t own, enum claim_whose *out, struct err *err)
{
	char star[DOMAIN_MAX + 3];
	*out = CLAIM_NOBODYS;
	if (snprintf(star, sizeof(star), "*.%s", name) >= (int)sizeof(star))
		return 0;
	return claims_whose(j, CLAIM_OF_DOMAIN, star, own, out, err);
}

int claims_whose_domain(struct journal *j, const char *name, int64_t own, enum claim_whose *out, struct err *err)
{
	int rc = claims_whose(j, CLAIM_OF_DOMAIN, name, own, out, err);
	if (rc == 0 && *out == CLAIM_NOBODYS)
		rc = whose_below(j, name, own, out, err); /* alice.example tells of who has *.alice.example, too */
	while (rc == 0 && *out == CLAIM_NOBODYS && (name = strchr(name, '.'))) {
		rc = whose_below(j, ++name, own, out, err);
		if (rc == 0 && *out == CLAIM_NOBODYS) /* and ns1.alice.example of who has alice.example alone */
			rc = claims_whose(j, CLAIM_OF_DOMAIN, name, own, out, err);
	}
	return rc;
}
