#pragma once
/* guards - what must be true before a step that concerns the server as a whole, each looked at and each told with what would satisfy it;
 * and what such a step would do, for --dry-run. A guard's row is {"guard":S,"ok":B,"said":S,"forced":B?}.
 *
 *   accounts    every account is where it must be, and none is being moved; --force does not pass it
 *   answers     the transit server answers for each account (probe.h)
 *   dns         nothing is owed, no name server lags
 *   stragglers  how many names still come to the client server's addresses: never a refusal, their traffic follows the addresses
 *
 * Exit: EXIT_REFUSED with the first text in err, and the number of further ones. */
#include "control/app.h"

enum exit_code guards_reinstall(struct app *a, struct err *err);
enum exit_code guards_start(struct app *a, struct err *err);
enum exit_code guards_return(struct app *a, struct err *err);
enum exit_code guards_finish(struct app *a, struct err *err);

/* Prints the steps of "start", "reinstall", "return" or "finish": lines, and a list as that key. */
void guards_plan(struct app *a, const char *command, const char *key);
