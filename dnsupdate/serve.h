#pragma once
/* serve - shunt-dnsupdate as the controller asks it, over its control socket (lib/ctl.h). Any number of commands run side by side; of one
 * zone one at a time. A command whose asker has gone goes on to its end: what it did is in the journal.
 * Each answer has "exit", the exit code of DESIGN 7, and with another than 0 "error". Requests that name no account, domain or side as
 * expected are refused as usage.
 *
 *   hello    {}                                            -> {"backends":[..], "nameservers":[..]}
 *   classify {"account":A or "domains":[..]}
 *       -> {"domains":[{"domain","zone","verdict","why","backend","names":[..]}], "counts"}
 *   plan     {"account":A, "verb":"push","to":"transit"}   -> as push; outcome "would-change" where it would
 *   push     {"account":A, "to":"transit"|"client", "wait":S, "leave-drift":bool}
 *       -> {"zones":[{"zone","backend","verdict","why","outcome","error","changes":[..],"drift":[..],"notes":[..],"eta":S,
 *           "servers":[{"name","address","seen","of","after-ms","trouble"}]}], "changed":N, "published":bool, "lagging":[..], "clean-at"}
 *   undo, verify, prepare, finalise {"account":A, "wait":S} -> as push
 *   records  {"domains":[..]} -> {"domains":[{"domain","A":[..],"AAAA":[..],"HTTPS":[..],"CAA":[..],"caa-at"}]}   records.h; at most 200
 *   status   {"account":NAME or absent}
 *       -> {"entries":[{"account","zone","backend","state","side","busy","records",..}]}
 *
 * An answer about very many zones tells less of each ("shortened"; report.h), for it must fit into a line.
 * "zones" also has each domain that no zone-server holds, with the verdict external, the outcome skipped, and no backend.
 * A is {"name", "domains":[..], "others":[..]}: others are domains of other accounts at or below those. push to the client is the
 * relocation: what the journal knows is restored, and what else names the transit server's addresses is rewritten back. */
#include "lib/conf.h"

int serve_main(const struct conf *conf); /* until SIGTERM or SIGINT; an exit code */
