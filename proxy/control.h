#pragma once
/* clang-format off */
/* control - what the controller may ask of the proxy (lib/ctl.h has the envelope).
 * A command answers when its effect is true in every worker and on disk. All are idempotent: asked twice, they answer the same.
 *
 * hello                            -> {"program":"shunt-proxy","version":S,"pid":N,"table":"ok"|"empty"|"damaged","accounts":N,"domains":N}
 * import-begin                        starts a set of this connection's own, forgotten when it closes
 * import-add    {"accounts":[ACCOUNT..]}   ACCOUNT as in DESIGN 6, with "side" and "gate" for those the proxy does not know
 * import-commit                    -> {"accounts":N,"domains":N,"added":N,"removed":N}   swaps the table whole; refused: a clash, or an
 *                                     account that would vanish while it is held. Sides and gates of known accounts stay as they are.
 * account-put   {"account":ACCOUNT}   one account, added or with new names; its side and gate stay if it is known
 * account-remove {"name":S}           refused while it is held or fenced
 * account {"name":S}               -> {"account":ACCOUNT with side and gate,"flows":N,"parked":N,"stats":{"client":{..},"transit":{..}},
 *                                     "since-switch":SINCE|null}
 *                                     each side as in status, with "first-byte":T|null that went there since the last hold began, and
 *                                     "last-byte":T|null
 *                                     SINCE, what its side has accepted since it was switched there (accepted.h): {"side","counted-since":T,
 *                                     "whole":B,"missing":M|null,"writes":{"accepted":W,"refused":W,"unanswered":W},"connections":[{"listener":S|null,
 *                                     "protocol":"http"|"tls"|"tcp","count":N,"bytes":N,"first":T|null,"last":T|null}..]}, with W
 *                                     {"POST":N,"PUT":N,"PATCH":N,"DELETE":N,"other":N,"requests":N,"bytes":N,"first":T|null,
 *                                     "last":T|null}: requests that write, by what became of them (2xx and 3xx; 4xx and 5xx; no answer came
 *                                     back), and bytes of their bodies. Connections may have written; "http" are those that were upgraded;
 *                                     "listener" null: of more listeners than are told apart. "whole" false: no record goes back to its
 *                                     switch, or memory was short, and what was before "counted-since" is unknown. M, what is missing since
 *                                     (counts.h): {"times":N,"from":T,"until":T}, so many times a proxy was killed and had not written the
 *                                     last seconds; from and until are the last one's. null: it is where it has been all the time that is
 *                                     known, the client server, and nothing is counted.
 * list    {"from":S,"max":N}       -> {"accounts":[{"name","side","gate","digest"}..],"next":S|null}   in order of name, from S on, at most
 *                                     1000; digest as acctdef_digest() makes it
 * hold    {"name":S,"eta":SECONDS?,"max-wait":S?} -> {"gate":"held","in-flight":N,"parked":N}   new requests and connections wait from here
 *                                     on. A hold that is not fenced in time (drain + 60 s, each drain extends it) ends by itself on the old
 *                                     side and is logged.
 * drain   {"name":S,"seconds":N}   -> {"gate":"held","drained":N,"cut":N,"parked":N,"ms":N}   returns when nothing is in flight, cutting at
 *                                     the end; a release in between ends it as refused and cuts nothing
 * fence   {"name":S,"watch":B?}    -> {"gate":"fenced","evidence":{"held-at":T,"fenced-at":T,"parked":N,"drained":N,"cut":N,"refused":N,
 *                                     "released":N,"gave-up":N,"longest-wait-ms":N,"median-wait-ms":N,"opened-at":T|null,
 *                                     "hold-ms":N|null,"last-byte-old":T|null,"first-byte-new":T|null,"restored":B,"failed-open":B}}   refused unless
 *                                     drained; T is RFC 3339 UTC with milliseconds. On disk before the answer. parked: began to wait;
 *                                     they were released, refused (also at once, when too many wait), or gave up. median: of those who do
 *                                     not wait any more, within an eighth. hold-ms: from held-at to opened-at. last-byte-old: when the
 *                                     kernel last took a byte for the side on which the hold began; first-byte-new: likewise its first for
 *                                     the other. restored: the proxy was restarted since the hold began: held-at is when it came back,
 *                                     and so is fenced-at if it came back fenced; it counts from there, and does not tell of bytes here
 *                                     (account has those). failed-open: since the hold began, or since a fence with "watch", the kernel has,
 *                                     or may have, led visitors to the local services, because the proxy was away or hung (alive.h).
 * switch  {"name":S,"side":SIDE}   -> {"side":SIDE,"gate":G}   refused unless fenced. On disk before the answer.
 * release {"name":S,"spread-ms":N?} -> {"side":SIDE,"gate":"open","evidence":{as fence, with "released-at":T}}   opens the gate; what waited
 *                                     follows over spread-ms (default 1000). On disk before it opens.
 * eta     {"name":S,"seconds":N}      for Retry-After and the page that refused visitors see
 * route   {"host":S?,"port":N?,"to":IP?,"login":S?} -> {"account":S|null,"side":S,"gate":S,"target":"ADDR:PORT"|null,"listener":S|null,
 *                                     "matched":DOMAIN|null,"why":S}
 * status                           -> {"pid","uptime-s","table":{...},"listeners":[...],"workers":N,"connections":{"now","max","parked"},
 *                                     "limits":{...},"sides":{"client":{"requests","bytes-up","bytes-down","errors"},"transit":{...}},
 *                                     "held":[{"name","side","gate","evidence"}..],"notice":{"age-ms":N,"said":OBJECT}|null,
 *                                     "access-lines-lost":N}
 * notice  {"said":OBJECT}             what the controller at work wants others to know who ask for status; in memory, until the next one
 * traffic {"name":S}               -> {"stats":{as of account},"flows":N,"parked":N,"refused":N}
 * stragglers {"account":S?,"limit":N?} -> {"since":T,"missing":M|null,"total":N,"count":N,"left-out":N,"evicted":N,"names":[{"account","name",
 *                                     "kind":"http"|"tls"|"tcp"|"address","count","share","quiet-ms","last-seen":T,"first-seen":T,
 *                                     "addresses":[IP..]}..]}   what of accounts on the transit side still comes to this host's addresses,
 *                                     by name (straggler.h), counted in requests (http) or connections since the proxy's first start or the
 *                                     move; the heaviest first, at most limit (100; 1000). total: so many names; count: their requests and
 *                                     connections; left-out: names beyond limit; evicted: names that had to go for others. share: percent
 *                                     of what is counted of that account. addresses: where the name was last wanted, one per family.
 * probe   {"name":S,"side":SIDE}   -> {"side":SIDE,"answers":B,"left-out":N,"probes":[{"listener":S,"protocol":"http"|"tls"|"tcp",
 *                                     "name":DOMAIN|null,"spoken":S|null,"came-to":ADDR,"at":"ADDR:PORT"|null,"ok":B,"ms":N,"said":S}..]}   does that side really answer
 *                                     for it? Asked of its back ends as probe.h says, past the gate: nothing of the table changes. Takes
 *                                     4 s for each eight of them at most. came-to: where a visitor would come, who is led to at. answers: every one of the probes is ok (also where there is none).
 *                                     Refused for the side on which it is held or fenced, and ended when a hold begins there.
 * seen    {"name":S}               -> {"side","since":T,"uncounted":SECONDS,"days":N,"seen":[{"port":N,"protocol":S,"count":N,
 *                                     "per-day":[N..],"first-seen":T,"last-seen":T}..],"more":B,"listeners":[{"listener":S,"port":N,
 *                                     "protocol":S,"came-to":IP,"source-transit":S}..]}   by what visitors came in the last `days` days,
 *                                     today's (UTC) first (seen.h): requests of http, else connections; and where visitors of this account
 *                                     come to. since: counted from there on; uncounted: of these days so long no proxy ran, or what it
 *                                     counted was lost with it (seenfile.h); more: by further ports, too, which are not counted.
 * fetch   {"name":S,"side":SIDE,"requests":[{"domain":D,"scheme":"http"|"https","path":P?}..]} -> {"side","answers":[{"domain","scheme",
 *                                     "path","listener","came-to","at","ok":B,"ms":N,"said":S,"tls":{"version":S,"h2":B,"certificate":
 *                                     {"fingerprint","issuer","from":SECONDS,"until":SECONDS,"names":[..],"left-out":N,"self-signed":B,
 *                                     "matches":B}?}|null, and where it is ok: "status":N,"location":S|null,"type":S|null,"title":S|null,
 *                                     "size":N,"whole":B,"encoded":B,"tags":HEX|null,"n-tags":N,"words":HEX|null,"n-words":N}..]}   what
 *                                     that side answers to GET, told by facts that can be compared (fetch.h). At most 64 requests, four at
 *                                     a time, 5 s each; refused as probe is, and while 32 such questions are under way.
 * prove   {"listener":S,"came-to":IP,"echo":"ADDR:PORT"} -> {"sent-as":IP,"seen":IP|null,"proved":B,"said":S}   whom does the transit server
 *                                     see for what comes to that listener and address? echo: of shunt-netctl there, at the partner of
 *                                     came-to (prove.h).
 * greet   {"listener":S,"came-to":IP} -> {"with":S|null,"without":S|null,"trouble":S|null}   what the transit server's service says first
 *                                     to a connection of ours with the listener's PROXY header, and without (greet.h)
 * metrics                          -> {"connections":N,"waits":{"bounds-ms":[N..],"counts":[N..],"sum-ms":N},"refused":{"held-too-long":N,
 *                                     "too-many-held":N,"source":N},"answers":{"503":N,..},"held":{"held":N,"fenced":N,
 *                                     "oldest":[{"name":S,"gate":G,"since":SECONDS}..]}}   what status does not count, since the start
 *                                     (meter.h). connections: accepted. waits: of those who waited behind a hold and do not any more, one
 *                                     count more than bounds. answers: our own, by status. held: accounts whose gate is closed, of which the
 *                                     longest (100) are named; since: as a time of 1970.
 * top     {"by":"requests"|"bytes"|"errors"|"waiting"|"flows"?,"limit":N?} -> {"interval-ms":N,"active":N,"left-out":N,"total":COUNTS,
 *                                     "accounts":[{"name":S|null,"side","gate",COUNTS}..]}   COUNTS: "requests","bytes-up","bytes-down",
 *                                     "errors","refused" in the interval, and "flows","parked" now: of accounts that had traffic, the
 *                                     heaviest first, at most limit (100; 500). The interval reaches back to a look before (busy.h); 0: there
 *                                     was none, and the next one will tell. name null: names of no account.
 * reload                           -> {"listeners":N}   as SIGHUP; refused with the file's error, nothing changed
 *
 * With table "damaged" (the file on disk was not as written) everything is refused until an import of the whole set has come: nobody's
 * side is guessed; the sides and gates that the controller gives are taken. */
/* clang-format on */
#include "lib/err.h"

struct conf;
struct proxy;
struct tls;
/* The certificates for `listen`; NULL where there is none. What is wrong with ours before long is logged. */
int control_tls_new(struct tls **out, const struct conf *c, struct err *err);
void control_use_tls(struct proxy *p, struct tls *tls); /* takes tls: who comes from now on sees these */
int control_open(struct proxy *p, struct err *err);
void control_close(struct proxy *p);
void control_second(struct proxy *p); /* a few times a second: ends holds that nobody fenced in time */
