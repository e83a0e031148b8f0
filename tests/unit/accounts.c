#include "tests/unit/accounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct journal *accounts_open(const char *path, const struct who *who)
{
	struct journal *j = NULL;
	struct err err = {0};
	if (journal_open(&j, path, 0, who, &err) < 0)
		fail_msg("%s", err.text);
	return j;
}

void accounts_put(struct journal *j, json_t *account)
{
	struct acctdef d;
	struct err err = {0};
	assert_non_null(account);
	if (acctdef_from_json(&d, account, &err) < 0 || journal_account_put(j, &d, &err) < 0)
		fail_msg("%s", err.text);
	acctdef_done(&d);
	json_decref(account);
}

void accounts_put_named(struct journal *j, const char *name, enum side side)
{
	accounts_put(j, json_pack("{s:s, s:[o], s:s}", "name", name, "domains", json_sprintf("%s.example", name), "side", side_name(side)));
}
