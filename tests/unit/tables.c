#include "tests/unit/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct acctset accounts_of(const char *json)
{
	struct acctset set = {0};
	json_t *list = json_loads(json, 0, NULL), *one;
	size_t i;

	assert_non_null(list);
	json_array_foreach (list, i, one) {
		struct acctdef d;

		assert_int_equal(acctdef_from_json(&d, one, NULL), 0);
		assert_int_equal(acctset_add(&set, &d), 0);
	}
	json_decref(list);
	return set;
}

struct table *table_of(const char *json, const struct table *old)
{
	struct acctset set = accounts_of(json);
	struct table *t;

	assert_int_equal(table_new(&t, &set, old, 2, NULL), 0);
	return t;
}
