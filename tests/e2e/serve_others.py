"""Asks for everything that is for owners, by the table that shunt serve publishes, and looks for what must not be in any answer: its body, its
headers, its events. The operator's answers to the same questions must have some of it, or nothing was looked for."""
import http.client
import json
import re
import socket
import sys
import urllib.parse

base, owner, operator, theirs, forbidden = sys.argv[1:]
forbidden = re.compile(forbidden + r"|\bpid\b", re.I)
where = urllib.parse.urlsplit(base)
told = {"owner": 0, "operator": 0}
asked = 0


def ask(token, method, path, body=None, headers=()):
    """Status and all that comes: headers, and the body or as much of it as comes before a pause."""
    global asked
    asked += 1
    c = http.client.HTTPConnection(where.hostname, where.port, timeout=90)
    head = {"Authorization": f"Bearer {token}", "Prefer": "wait=60", **dict(headers)}
    if body is not None:
        head["Content-Type"] = "application/json"
    c.request(method, path, None if body is None else json.dumps(body), head)
    r = c.getresponse()
    text = str(r.headers)
    if r.headers["Content-Type"] == "text/event-stream":
        c.sock.settimeout(0.6)
        while True:
            try:
                line = r.readline()
            except (socket.timeout, TimeoutError):
                break
            if not line:
                break
            text += line.decode()
    else:
        text += r.read().decode()
    c.close()
    return r.status, text


def look(role, token, method, path, body=None, headers=()):
    status, text = ask(token, method, path, body, headers)
    found = forbidden.search(text)
    if found:
        told[role] += 1
        if role == "owner":
            sys.exit(f"{method} {path} {body} tells: ..{text[max(0, found.start() - 300):found.end() + 200]}..")
    return status, text


def fields(op, doc):
    """One after the other: what the call may say, in values that mean something."""
    if "requestBody" in op:
        names = op["requestBody"]["content"]["application/json"]["schema"]["properties"]
    else:
        names = {p["name"]: p["schema"] for p in op["parameters"] if p.get("in") == "query"}
    for name, schema in names.items():
        kind = schema["type"]
        yield name, True if kind == "boolean" else 1 if kind == "integer" else ["zq1shop"] if kind == "array" else "9d"


doc = json.loads(ask(owner, "GET", "/v1/openapi.json")[1].split("\n\n", 1)[1])
operations = [o["operation"] for o in json.loads(ask(owner, "GET", "/v1/operations")[1].split("\n\n", 1)[1])["operations"]]
assert len(operations) > 2, operations
operations = operations[:1] + operations[-1:]
for_owners = [(path, method.upper(), op) for path, item in doc["paths"].items() for method, op in item.items() if "owners" in op["description"]]
assert len(for_owners) > 12, for_owners
routes = set()
for path, method, op in for_owners:
    routes.add(path)
    body = {} if "requestBody" in op else None
    changes = method != "GET"
    ways = [({}, ())]
    ways += [({name: value}, ()) for name, value in fields(op, doc) if not (changes and name in ("yes", "force", "no_dns"))]
    if any("last-event-id" in p.get("$ref", "") for p in op["parameters"]):
        ways.append(({}, (("Last-Event-ID", "0"),)))
    for more, headers in ways:
        said = dict(more, dry_run=True) if changes and body is not None else more
        query = "" if changes or not more else "?" + urllib.parse.urlencode({k: str(v).lower() if v is True else v for k, v in more.items()}, doseq=True)
        for id in operations + [theirs, "0" * 32] if "{id}" in path else [""]:
            here = path.replace("{account}", "alice").replace("{id}", id)
            status, _ = look("owner", owner, method, here + query, said if changes and body is not None else None, headers)
            assert status != 404 or id in (theirs, "0" * 32), (here, status)
            if not changes and not here.endswith("/events") and id not in (theirs, "0" * 32):
                look("operator", operator, method, here + query, None, headers)
        # another's and nobody's: not one byte differs
        if "{account}" in path:
            answers = [look("owner", owner, method, path.replace("{account}", name) + query, said if changes and body is not None else None, headers)
                       for name in ("nobody", "zq1shop", "zq9shop")]
            answers = [(status, re.sub(r"Date: .*\n", "", text)) for status, text in answers]
            assert answers[0][0] == 404 and answers[0] == answers[1] == answers[2], (path, answers)
    if "{id}" in path:
        two = [ask(owner, method, path.replace("{id}", id)) for id in (theirs, "0" * 32)]
        two = [(status, re.sub(r"Date: .*\n", "", text)) for status, text in two]
        assert two[0] == two[1] and two[0][0] == 404, (path, two)

# what only operators may ask: the same refusal, whatever it is about
for path, method, op in [(p, m.upper(), o) for p, item in doc["paths"].items() for m, o in item.items() if o["description"].endswith("For operators.")]:
    for name in ("zq1shop", "nobody"):
        status, _ = look("owner", owner, method, path.replace("{account}", name), {} if "requestBody" in op else None)
        assert status == 403, (path, status)

for page in ["/", "/accounts/alice", "/accounts/alice/report", "/accounts/zq1shop", "/accounts/zq1shop/report", "/accounts/nobody", "/events"] + [
        f"/operations/{id}{end}" for id in operations + [theirs] for end in ("", "/events")]:
    look("owner", owner, "GET", page)
    if "alice" in page:
        look("operator", operator, "GET", page)

assert told["operator"] >= 5, told
print(f"{asked} questions about {len(routes)} paths for owners; {told['operator']} answers to the operator had what none to the owner has")
