"""Whether the time of an answer tells an owner that another account exists: asks shunt serve about one that does and one that does not, one
after the other in a random order, on one kept connection, and compares. See serve_others.sh."""
import http.client
import json
import random
import statistics
import sys
import time

port, token, rounds, operation, output = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
QUESTIONS = {
    "account": ("GET", "/v1/accounts/%s", "exists", "nobody"),
    "account's status": ("GET", "/v1/accounts/%s/status", "exists", "nobody"),
    "account's events": ("GET", "/v1/accounts/%s/events", "exists", "nobody"),
    "migrate": ("POST", "/v1/accounts/%s/migrate", "exists", "nobody"),
    "operation": ("GET", "/v1/operations/%s", operation, "0" * 32),
    "cancel": ("POST", "/v1/operations/%s/cancel", operation, "0" * 32),
}


def ask(c, method, path):
    began = time.perf_counter_ns()
    c.request(method, path, "{}" if method == "POST" else None,
              {"Authorization": f"Bearer {token}", **({"Content-Type": "application/json"} if method == "POST" else {})})
    answer = c.getresponse()
    text = answer.read()
    took = time.perf_counter_ns() - began
    if answer.status != 404:
        sys.exit(f"{method} {path}: {answer.status} {text}")
    return took / 1000, text


def difference(a, b):
    return statistics.median(a) - statistics.median(b)


def by_chance(times, tries=400):
    """The difference of medians that 95 of 100 random divisions of these times into two halves stay below."""
    found = []
    for _ in range(tries):
        random.shuffle(times)
        half = len(times) // 2
        found.append(abs(difference(times[:half], times[half:])))
    return sorted(found)[int(tries * 0.95)]


def measure(c, method, path, there, nobodys):
    times = {there: [], nobodys: []}
    texts = set()
    for _ in range(rounds):
        for name in random.sample((there, nobodys), 2):
            took, text = ask(c, method, path % name)
            times[name].append(took)
            texts.add(text)
    if len(texts) != 1:
        sys.exit(f"{method} {path}: the answers differ: {texts}")
    a, b = times[there], times[nobodys]
    d = difference(a, b)
    return {"exists_us": round(statistics.median(a), 1), "nobody_us": round(statistics.median(b), 1), "difference_us": round(d, 2),
            "chance_us": round(by_chance(a + b), 2), "rounds": rounds}


connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
for _ in range(200):
    ask(connection, "GET", "/v1/accounts/nobody")
result = {}
print(f"{'question':<18} {'exists':>10} {'nobody':>10} {'difference':>11} {'by chance':>11}   medians of {rounds}, microseconds")
for name, question in QUESTIONS.items():
    r = result[name] = measure(connection, *question)
    print(f"{name:<18} {r['exists_us']:>10.1f} {r['nobody_us']:>10.1f} {r['difference_us']:>+11.2f} {r['chance_us']:>11.2f}")
with open(output, "w") as f:
    json.dump(result, f, indent=1)
