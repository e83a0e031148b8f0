#!/usr/bin/env bash
# What somebody does who has just installed it: wrong words, no configuration, no proxy, everything twice, Ctrl-C. Each answer says what to do.
. "$(dirname "$0")/lib.sh"
net_up
web_up

# words that are wrong
fails_with 2 "$SHUNT" -c "$W/none.conf" frobnicate
like "an unknown command" "$OUT" 'frobnicate'
fails_with 2 "$SHUNT" migrat alice
like "a near miss" "$OUT" 'migrate'
fails_with 2 "$SHUNT" --nonsense
fails_with 2 "$SHUNT" migrate
fails_with 2 "$SHUNT" -c
for option in --help --version; do
	"$SHUNT" $option >"$W/o" || die "shunt $option"
	[ -s "$W/o" ] || die "shunt $option says nothing"
	"$PROXY" $option >"$W/o" || die "shunt-proxy $option"
	[ -s "$W/o" ] || die "shunt-proxy $option says nothing"
done
fails_with 2 "$SHUNT"
like "no command" "$OUT" 'help'

# no configuration
fails_with 2 "$SHUNT" -c "$W/none.conf" status
like "which file is missing" "$OUT" 'none.conf'
fails_with 2 "$PROXY" -c "$W/none.conf" --check
like "which file is missing" "$OUT" 'none.conf'
echo 'proxy { listener "web" { port = 80 protocol = "htp" } }' >"$W/bad.conf"
fails_with 2 "$PROXY" -c "$W/bad.conf" --check
like "file, line, found, expected" "$OUT" 'bad.conf:1.*htp.*http'
fails_with 2 "$SHUNT" -c "$W/bad.conf" status
echo 'server "x" {' >"$W/bad.conf"
fails_with 2 "$PROXY" -c "$W/bad.conf" --check
like "an open brace" "$OUT" 'bad.conf:'
head -c 3000 /dev/urandom >"$W/bad.conf"
fails_with 2 "$PROXY" -c "$W/bad.conf" --check
fails_with 2 "$PROXY" -c /etc --check

proxy_conf <<<'drain = 1'
# no proxy yet
rc=0
OUT=$(shunt account add alice --domain alice.example 2>&1) || rc=$?
[ $rc = 1 ] || die "adding without a proxy ended with $rc: $OUT"
like "the proxy is away: says so and where" "$OUT" 'proxy.sock'
shunt status >"$W/o" 2>&1 || :
like "status without a proxy says so" "$(cat "$W/o")" 'proxy'

proxy_start
# an empty table
shunt status >"$W/o"
same "no accounts yet" "$(shunt --json account list | python3 -c 'import json, sys; print(json.load(sys.stdin)["accounts"])')" '[]'
fails_with 1 shunt migrate alice
like "no such account" "$OUT" 'alice'
fails_with 1 shunt account show alice
fails_with 1 shunt account remove alice

# accounts: wrong ones are refused with the reason, twice is fine
fails_with 2 shunt account import "$W/none.json"
like "no such file" "$OUT" 'none.json'
echo '[{"name": "alice", "domains": ["alice.example"]}, {"name": "eve", "domains": ["ALICE.example."]}]' >"$W/a.json"
rc=0
OUT=$(shunt account import "$W/a.json" 2>&1) || rc=$?
case $rc in 1 | 2) ;; *) die "a clash ended with $rc: $OUT" ;; esac
like "both claimants" "$OUT" 'alice.*eve|eve.*alice'
like "what both claim" "$OUT" 'alice\.example'
for bad in '[{"name": "a/../b", "domains": ["x.example"]}]' '[{"name": "alice", "domains": ["-x..example"]}]' '[{"name": "alice", "domain": ["x.example"]}]' \
	'[{"name": "alice", "addresses": ["300.1.1.1"]}]' '[{"name": "alice", "ports": [70000]}]' '[{' '7' '[{"domains": ["x.example"]}]' '[{"name": "a\nb", "domains": ["x.example"]}]'; do
	echo "$bad" >"$W/a.json"
	rc=0
	OUT=$(shunt account import "$W/a.json" 2>&1) || rc=$?
	case $rc in 1 | 2) ;; *) die "import of $bad ended with $rc: $OUT" ;; esac
	like "import of $bad names the file" "$OUT" 'a.json'
done
same "nothing of it was taken" "$(shunt --json account list | python3 -c 'import json, sys; print(json.load(sys.stdin)["accounts"])')" '[]'
fails_with 2 shunt account add '../x' --domain x.example
fails_with 2 shunt account add 'x; rm -rf' --domain x.example
shunt account add alice --domain alice.example --domain '*.alice.example'
shunt account add bob --domain bob.example
rc=0
OUT=$(shunt account add eve --domain bob.example 2>&1) || rc=$?
same "a domain twice" $rc 1
like "a domain twice: by whom" "$OUT" 'bob'
import
import
same "three of them" "$(shunt --json account list | python3 -c 'import json, sys; print(*[a["name"] for a in json.load(sys.stdin)["accounts"]])')" 'alice bob carol'
shunt account show alice >"$W/o"
like "show" "$(cat "$W/o")" 'alice\.example'

# a table that knows other domains of an account than the database is corrected by the next command
ask account-put '{"account":{"name":"bob","domains":["mistake.example"]}}' >"$W/o"
like "the mistake" "$(shunt route bob.example)" 'account none'
shunt resume >"$W/o"
like "no mistake any more" "$(shunt route bob.example | head -n 1) $(shunt route mistake.example | head -n 1)" 'account bob.*account none'

# the job, and everything twice
same "at first" "$(side_of http://alice.example/)" client
shunt migrate alice >"$W/o"
same "moved" "$(side_of http://alice.example/)" transit
rc=0
OUT=$(shunt migrate alice 2>&1) || rc=$?
case $rc in 0 | 1) like "moved already" "$OUT" 'already|transit' ;; *) die "the second migrate ended with $rc: $OUT" ;; esac
same "still" "$(side_of http://alice.example/)" transit
shunt resume >"$W/o"
shunt resume >"$W/o"
like "route with a port" "$(shunt route alice.example:443)" transit
like "route of nobody" "$(shunt route nobody.example)" 'client'
like "route to an address" "$(shunt route --to 192.0.2.11 x.example)" 'carol|client'
shunt rollback alice >"$W/o"
shunt --json status >"$W/o"
python3 -m json.tool "$W/o" >"$W/o2"
shunt --json log >"$W/o"
python3 -m json.tool "$W/o" >"$W/o2"
fails_with 1 shunt --json migrate nobody
python3 -c 'import json, sys; json.loads(sys.argv[1])' "$OUT" || die "--json must answer an error as JSON too: $OUT"

# --json: one object for whatever is asked, also for help, refusals and what a dry run would refuse
for words in help --help 'help migrate' 'migrate --help' 'help account' --version status 'status alice' 'account list' 'account show alice' log 'log alice' \
	'route alice.example' resume reload start check 'check --stragglers' 'check --stragglers alice' reinstall return finish serve 'relocate alice' 'migrate nobody' 'migrate nobody nix' \
	'migrate --dry-run --all' 'migrate --dry-run alice nobody' frobnicate --nonsense migrate; do
	# shellcheck disable=SC2086 # words
	shunt --json $words >"$W/o" 2>"$W/o2" </dev/null || :
	python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
assert o["ok"] == (o["exit"] == 0) and (o["ok"] or o["error"]), o' "$W/o" || die "shunt --json $words: $(cat "$W/o")"
	same "shunt --json $words says the rest nowhere else" "$(cat "$W/o2")" ""
done
same "help as JSON" "$(shunt --json help migrate | python3 -c 'import json, sys; print("--drain" in json.load(sys.stdin)["help"])')" True
rc=0
shunt --json migrate --dry-run alice nobody bob nix >"$W/o" || rc=$?
same "a dry run that would be refused" $rc 1
same "each of them is told" "$(python3 -c 'import json, sys; print(*[a["account"] + ("!" if a.get("error") else "") for a in json.load(open(sys.argv[1]))["dry-run"]])' "$W/o")" \
	"alice nobody! bob nix!"
like "numbers for people" "$(shunt --json account show alice)" '"databases_gb":0.1[,}]'
like "the limits in force" "$(shunt status)" 'http-head-max 32768.*http-fields 100'

# bytes that are no text, wherever they stand
bad=$'a\xff'
for words in "migrate $bad" "migrate --dry-run $bad" "status $bad" "account show $bad" "account add eve --domain $bad.example" "log $bad" "route $bad" "$bad"; do
	# shellcheck disable=SC2086 # words
	fails_with 2 shunt $words
	like "no text: says so" "$OUT" 'UTF-8'
	# shellcheck disable=SC2086
	fails_with 2 shunt --json $words
	python3 -c 'import json, sys; json.loads(sys.argv[1])' "$OUT" || die "--json with bytes that are no text: $OUT"
done

# route: what is no host is not routed, and a port where nobody listens is said
for bad in 'a b' alice..example http://alice.example/ münchen.example alice.example:0 '[::1' -x.example; do fails_with 2 shunt route -- "$bad"; done
like "nobody listens there" "$(shunt route alice.example:9999)" 'no listener'
unlike "somebody listens here" "$(shunt route alice.example:443)" 'no listener'
shunt account add zoe --login 'zoe@alice.example' >"$W/o"
shunt account add amy --login '*@alice.example' >"$W/o"
like "a login wins over a wildcard" "$(shunt route alice.example --login zoe@Alice.Example)" 'account zoe'
like "a wildcard login" "$(shunt route alice.example --login joe@alice.example)" 'account amy'
fails_with 2 shunt route alice.example --login 'a@b@c'
shunt account remove zoe >"$W/o"
shunt account remove amy >"$W/o"

# the rollback window and the old state
shunt migrate bob
sqlite3 "$W/shunt.db" "UPDATE moves SET changed = changed - 8 * 86400000, started = started - 8 * 86400000; UPDATE accounts SET since = since - 8 * 86400000" 2>"$W/o" || die "the schema has changed: $(cat "$W/o")"
fails_with 1 shunt rollback bob
like "past seven days" "$OUT" '7|seven|--force'
like "status says so before" "$(shunt status bob)" 'was possible until'
shunt rollback --force bob
same "forced" "$(side_of http://bob.example/)" client

# full standard output, closed standard output
shunt account list >/dev/full 2>"$W/o" || :
like "output that is lost is said" "$(cat "$W/o")" 'could not be written'
shunt account list >&- 2>"$W/o" || :

# the proxy dies: commands say so, change nothing, and go on when it is back
stop proxy
rc=0
OUT=$(timeout 60 "$SHUNT" -c "$W/shunt.conf" migrate alice 2>&1) || rc=$?
same "without a proxy" $rc 1
like "without a proxy: says which" "$OUT" 'proxy'
proxy_start
same "as before" "$(side_of http://alice.example/)" client
shunt migrate alice
same "and on" "$(side_of http://alice.example/)" transit
# a damaged state is not taken for an empty one
shunt rollback alice
cp "$W/shunt.db" "$W/good.db"
head -c 4096 /dev/urandom | dd of="$W/shunt.db" bs=1 conv=notrunc status=none
rc=0
OUT=$(shunt migrate alice 2>&1) || rc=$?
same "a damaged state" $rc 2
like "a damaged state: which file" "$OUT" 'shunt.db'
same "served all the same" "$(side_of http://alice.example/)" client
cp "$W/good.db" "$W/shunt.db"
shunt migrate alice
same "with the state back" "$(side_of http://alice.example/)" transit
