#pragma once
/* serve - shunt-netctl as a daemon: other programs of this host ask over a Unix socket, other hosts over mutual TLS (`listen`), with the
 * deeds of act.h as messages of lib/ctl.h: hello, plan, apply, confirm, revert, settle, status, recover, reset-old. "plan" names the plan;
 * "confirm" the seconds. "echo" {"at":IP,"seconds":N} -> {"port":N} listens for a moment at the transit address of a pair and tells whom it
 * sees (echo.h); it changes nothing. Deeds run one after the other in the loop's thread; each is bounded (its lock 20 s, each host that it
 * asks 60 s, a probe 30 s). Every second it does what is overdue, should a guard have been killed. */
#include "lib/conf.h"

int serve_main(const struct conf *conf); /* until SIGTERM; the exit code */
