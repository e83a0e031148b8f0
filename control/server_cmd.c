/* The commands about what was interrupted, and about the daemons. */
#include "control/app.h"
#include "control/dnsdebt.h"
#include "control/network.h"
#include "control/sync.h"

#include <errno.h>

enum exit_code cmd_resume(struct app *a, char **words, int n, struct err *err)
{
	enum exit_code x = EXIT_DONE;
	struct move_rows open;
	for (int i = 0; i < n; i++) {
		struct account_row row;
		int rc = journal_account(a->db, words[i], &row, err);
		account_row_done(&row);
		if (rc < 0)
			return exit_of(rc);
	}
	/* What had merely lost its owner was brought to an end on the way here. */
	if (n == 0)
		x = network_resume(a, true, err);
	if (n == 0)
		x = worse(x, sync_resume(a, NULL, true, err));
	if (n == 0)
		x = worse(x, dnsdebt_settle(a, NULL, false, err));
	for (int i = 0; i < n; i++) {
		x = worse(x, sync_resume(a, words[i], true, err));
		x = worse(x, dnsdebt_settle(a, words[i], false, err));
	}
	if (x == EXIT_DONE && !json_object_get(a->out.object, "resumed") && !json_object_get(a->out.object, "network-resumed") &&
	    !json_object_get(a->out.object, "dns-settled"))
		out_line(&a->out, "nothing was interrupted");
	if (x == EXIT_DONE && journal_moves_open(a->db, NULL, &open, err) == 0) {
		for (size_t i = 0; i < open.n; i++) {
			char who[256];
			who_text(&open.rows[i], who, sizeof(who));
			out_line(&a->out, "%s: being moved by %s", open.rows[i].account, who);
		}
		move_rows_done(&open);
	}
	return x;
}

enum exit_code cmd_reload(struct app *a, char **words, int n, struct err *err)
{
	json_t *answer = NULL;
	(void)words;
	(void)n;
	int rc = proxylink_ask(a->proxy, "reload", NULL, 0, &answer, err);
	if (rc < 0) {
		err_wrap(err, "nothing changed");
		return EXIT_REFUSED;
	}
	out_line(&a->out, "the proxy has read its configuration again");
	out_set(&a->out, "listeners", json_incref(json_object_get(answer, "listeners")));
	json_decref(answer);
	return EXIT_DONE;
}
