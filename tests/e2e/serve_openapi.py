"""The description that shunt serve gives of itself: well-formed (OpenAPI 3.1), each path in it is there, and answers are what it says."""
import json
import re
import sys
import urllib.error
import urllib.request

import jsonschema


token, base = sys.argv[1:]


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {token}"}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(base + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            stream = answer.headers["Content-Type"] == "text/event-stream"
            return answer.status, answer.headers["Content-Type"], b"" if stream else answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers["Content-Type"], e.read()


status, _, text = call("GET", "/v1/openapi.json")
doc = json.loads(text)
assert status == 200 and doc["openapi"] == "3.1.0" and doc["info"]["title"] and doc["info"]["version"]


def resolve(o):
    while "$ref" in o:
        at = doc
        for part in o["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        o = at
    return o


def check_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


def validate(value, schema):
    whole = dict(schema, components=doc["components"])
    jsonschema.Draft202012Validator(whole).validate(value)


ids = set()
for path, item in doc["paths"].items():
    assert path.startswith("/") and set(item) <= {"get", "post", "put", "delete"}, path
    for method, op in item.items():
        where = f"{method} {path}"
        assert op["operationId"] not in ids, where
        ids.add(op["operationId"])
        parameters = [resolve(p) for p in op["parameters"]]
        for p in parameters:
            assert p["in"] in ("path", "query", "header") and p["name"], where
            assert p["in"] != "path" or p["required"], where
            check_schema(p["schema"])
        assert {p["name"] for p in parameters if p["in"] == "path"} == set(re.findall(r"{(\w+)}", path)), where
        assert op["summary"] and set(op["responses"]) & {"200", "202"}, where
        for code, response in op["responses"].items():
            response = resolve(response)
            assert re.fullmatch(r"[1-5]\d\d", code) and response["description"], where
            for content in response.get("content", {}).values():
                check_schema(content["schema"])
        if "requestBody" in op:
            check_schema(op["requestBody"]["content"]["application/json"]["schema"])
for schema in doc["components"]["schemas"].values():
    check_schema(schema)

# What is described is there: whatever is wrong with a call, it is not that nobody knows it.
dry = {"dry_run": True}
for path, item in doc["paths"].items():
    real = path.replace("{account}", "bob").replace("{id}", "0" * 32)
    for method, op in item.items():
        if path == "/metrics":
            continue
        body = op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        send = None
        if method in ("post", "put"):  # one field that is not described changes nothing, and tells that the call is known
            status, kind, text = call(method.upper(), real, {"never heard of": 1})
            assert status == 400 and b"never heard of" in text, (method, path, status, text)
            if "dry_run" not in body["properties"]:
                continue
            send = dict(dry, accounts=["bob"]) if "accounts" in body["properties"] else dry
            validate(send, body)
        elif method == "delete":
            continue
        elif any(p["required"] for p in map(resolve, op["parameters"]) if p["in"] == "query"):
            real += "?host=bob.example&to=192.0.2.10"
        status, kind, text = call(method.upper(), real, send)
        response = op["responses"].get(str(status))
        assert response, (method, path, status, text)
        content = resolve(response)["content"]
        assert kind in content, (method, path, kind)
        if "json" in kind:
            validate(json.loads(text), content[kind]["schema"])

# And the other way round: each field that is described is taken, with a value of its schema.
for path, item in doc["paths"].items():
    for method, op in item.items():
        for p in map(resolve, op["parameters"]):
            if p["in"] != "query":
                continue
            kind = p["schema"]["type"]
            value = {"boolean": "true", "integer": "1", "string": "x", "array": "bob"}[kind]
            status, _, text = call(method.upper(), f"{path.replace('{account}', 'bob')}?{p['name']}={value}") if method == "get" else (0, 0, b"")
            assert b"there is no field" not in text and b": expected" not in text[:200], (path, p["name"], text)
print(len(ids), "operations")
