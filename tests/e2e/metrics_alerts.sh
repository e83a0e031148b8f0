#!/usr/bin/env bash
# What goes with `shunt metrics`: promtool takes the alert rules and their tests, each alert has a page and a test, and neither rules nor
# dashboard name a metric that is not told.
. "$(dirname "$0")/lib.sh"
MONITORING=$TOP/conf/monitoring
command -v promtool >/dev/null || cannot_run "promtool is not installed (Debian package prometheus)"

promtool check rules "$MONITORING/shunt.rules.yml" >"$W/log/check" 2>&1 || die "the rules are refused"
promtool test rules "$MONITORING/shunt.rules.test.yml" >"$W/log/test" 2>&1 || die "the rules do not do what they should"

alerts=$(sed -n 's/^ *- alert: //p' "$MONITORING/shunt.rules.yml")
[ "$(wc -w <<<"$alerts")" -ge 9 ] || die "found few alerts: $alerts"
same "the pages" "$(sed -n 's/^\.SH \(Shunt[A-Za-z]*\)$/\1/p' "$MONITORING/shunt-alerts.7")" "$alerts"
same "the tests" "$(sed -n 's/^ *- name: //p' "$MONITORING/shunt.rules.test.yml" | sort)" "$(sort <<<"$alerts")"
for alert in $alerts; do
	sed -n "/- alert: $alert\$/,/runbook:/p" "$MONITORING/shunt.rules.yml" | grep -qx " *runbook: man 7 shunt-alerts, $alert" || die "$alert names no page"
	sed -n "/^\.SH $alert\$/,/^\.SH /p" "$MONITORING/shunt-alerts.7" >"$W/page"
	for part in Means 'Look at' Do Ends; do
		grep -A1 -x ".B $part" "$W/page" | tail -n 1 | grep -q '..........' || die "the page of $alert does not say: $part"
	done
	awk -v a="$alert" '$0 ~ "name: " a "$" { on = 1; next } /- name: / { on = 0 } on' "$MONITORING/shunt.rules.test.yml" >"$W/test"
	grep -q 'exp_labels' "$W/test" || die "no test sees $alert fire"
done
groff -man -ww -z "$MONITORING/shunt-alerts.7" >"$W/log/groff" 2>&1 || cannot_run "groff is not installed"
[ ! -s "$W/log/groff" ] || die "the manual page: $(cat "$W/log/groff")"

python3 - "$TOP" <<'END'
import json, pathlib, re, sys
top = pathlib.Path(sys.argv[1])
told = {}
for f in sorted(top.glob("control/metrics_*.c")):
    text = f.read_text()
    for name, kind in re.findall(r'expo_(?:one|family)\(e, "(shunt_\w+)",\s*EXPO_(\w+)', text):
        assert name not in told, f"{name} is told twice"
        told[name] = kind
    told.update(dict.fromkeys(re.findall(r'"(shunt_proxy_limit_\w+)"', text), "GAUGE"))
assert len(told) > 50, told
for kind in "HISTOGRAM",:
    for name in [n for n, k in told.items() if k == kind]:
        told.update({name + end: "COUNTER" for end in ("_bucket", "_sum", "_count")})

def check(where, expr):
    bare = re.sub(r'"[^"]*"', '""', expr)
    for name in re.findall(r"\bshunt_\w+", bare):
        assert name in told, f"{where}: {name} is not told"
    for name in re.findall(r"\b(?:rate|increase)\((shunt_\w+)", bare):
        assert told[name] == "COUNTER", f"{where}: {name} only grows?"
    return set(re.findall(r"\bshunt_\w+", bare))

used = set()
board = json.loads((top / "conf/monitoring/shunt-dashboard.json").read_text())
ids = [p["id"] for p in board["panels"]]
assert len(ids) == len(set(ids))
for panel in board["panels"]:
    for target in panel.get("targets", []):
        used |= check(f'dashboard, {panel["title"]}', target["expr"])
rules = (top / "conf/monitoring/shunt.rules.yml").read_text()
used |= check("rules", re.sub(r"#.*", "", rules))
print(f"{len(told)} names are told, {len(used)} are used")
END
say "each alert has its page, and nothing is asked for that is not told"
