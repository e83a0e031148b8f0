#!/usr/bin/env python3
"""The panel in Chromium, by the WebDriver protocol. Each call does one part of the story, with the browser that `new` has begun.
Usage: panel_browser.py PART [ARGUMENTS..]; screenshots of all pages go to $PANEL_SHOTS, if that is set (they take half of the time); one of what
failed to $E2E_W."""
import base64
import ctypes
import http.server
import json
import os
import socket
import sys
import threading
import time
import urllib.request

W = os.environ["E2E_W"]
SHOTS = os.environ.get("PANEL_SHOTS")
PANEL = "http://127.0.0.1:7480"
DRIVER = "http://127.0.0.1:9515"
SESSION = W + "/browser-session"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

CONTRAST = """
const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
const light = c => { const f = c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
	return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
const back = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; }
	return rgb(getComputedStyle(document.body).backgroundColor); };
const poor = [];
for (const e of document.querySelectorAll("body *")) {
	if (e.closest("svg, .sr, .skip") || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
	const a = light(rgb(getComputedStyle(e).color)), b = light(back(e)), r = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
	if (r < 4.5) poor.push(e.className + " " + e.textContent.trim().slice(0, 30) + " " + r.toFixed(2));
}
return poor;"""

STRUCTURE = """
const bad = [];
if (document.querySelectorAll("h1").length !== 1) bad.push("h1");
for (const t of ["main", "header", "footer"]) if (document.querySelectorAll(t).length !== 1) bad.push(t);
if (!document.documentElement.lang || !document.title) bad.push("lang or title");
for (const e of document.querySelectorAll("input:not([type=hidden]), progress"))
	if (!e.labels?.length && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby")) bad.push("label of " + e.outerHTML.slice(0, 80));
for (const t of document.querySelectorAll("table")) if (!t.caption) bad.push("caption");
for (const b of document.querySelectorAll("button, a")) if (!b.textContent.trim()) bad.push("name of " + b.outerHTML.slice(0, 80));
if (!document.querySelector("[aria-live]")) bad.push("aria-live");
let h = 1; for (const e of document.querySelectorAll("h1, h2, h3")) { const n = +e.tagName[1]; if (n > h + 1) bad.push("heading " + e.textContent); h = n; }
const ids = [...document.querySelectorAll("[id]")].map(e => e.id); if (new Set(ids).size !== ids.length) bad.push("id twice: " + ids);
return bad;"""


def call(method, path, body=None):
    data = None if method == "GET" else json.dumps(body or {}).encode()
    request = urllib.request.Request(DRIVER + path, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as e:
        value = json.load(e)["value"]
        raise LookupError(value["error"] + ": " + value["message"].split("\n")[0]) from None


def s(method, path, body=None):
    with open(SESSION) as f:
        return call(method, "/session/" + f.read() + path, body)


def js(script, *args):
    return s("POST", "/execute/sync", {"script": script, "args": list(args)})


def go(path):
    s("POST", "/url", {"url": path if "://" in path else PANEL + path})


def find(css):
    return s("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]


def button(text):
    xpath = f"//*[self::button or self::a][normalize-space()='{text}']"
    return s("POST", "/element", {"using": "xpath", "value": xpath})[ELEMENT]


def click(element):
    s("POST", f"/element/{element}/click")


def page():
    return js("return document.body.innerText")


def wait(what, fact, seconds=15):
    end = time.monotonic() + seconds
    while True:
        try:
            if fact():
                return
        except LookupError:
            pass  # between two pages
        if time.monotonic() > end:
            shot("failed")
            sys.exit(f"waited for {what}; the page says: {page()}\nat {js('return location.href')}")
        time.sleep(0.1)


def wait_text(text, seconds=15):
    wait(repr(text), lambda: text in page(), seconds)


def ensure(what, good, found=""):
    if not good:
        shot("failed")
        sys.exit(f"{what}: {found}\n{page()}")


def shot(name):
    if not SHOTS and name != "failed":
        return
    os.makedirs(SHOTS or W, exist_ok=True)
    with open(f"{SHOTS or W}/{name}.png", "wb") as f:
        f.write(base64.b64decode(s("GET", "/screenshot")))


def size(width, height):
    s("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride",
                                     "params": {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}})


def theme(name):
    s("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia",
                                     "params": {"features": [{"name": "prefers-color-scheme", "value": name}]}})


def looks(name):
    """As everybody sees it: large and small, light and dark, and by a screen reader."""
    ensure("structure of " + name, js(STRUCTURE) == [], js(STRUCTURE))
    for scheme in ("light", "dark"):
        theme(scheme)
        ensure(f"contrast of {name} ({scheme})", js(CONTRAST) == [], js(CONTRAST))
        shot(f"{name}-{scheme}")
    size(360, 1400)
    ensure("fits a phone", js("return document.documentElement.scrollWidth") <= 360, js("return document.documentElement.scrollWidth"))
    shot(f"{name}-phone-dark")
    theme("light")
    size(1200, 1100)


def login(token):
    go("/")
    wait("the login", lambda: js("return location.pathname") == "/login")
    s("POST", f"/element/{find('#token')}/value", {"text": token})
    click(button("Log in"))
    wait("being in", lambda: "Log out" in page())


def logout():
    click(button("Log out"))
    wait("being out", lambda: js("return location.pathname") == "/login")


def select(*names):
    for name in names:
        click(find(f"#a-{name}"))


def part_new():
    options = {"binary": "/usr/bin/chromium", "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                                       "--no-first-run", "--no-proxy-server", "--password-store=basic", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-background-networking",
                                                       f"--user-data-dir={W}/chromium", "--window-size=1200,1100"]}
    value = call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
    with open(SESSION, "w") as f:
        f.write(value["sessionId"])


def part_operator(token):
    go("/login")
    looks("login")
    login(token)
    wait_text("Migrations of web42")
    looks("server")
    select("bob", "carol")
    click(button("Check"))
    wait_text("What the check found")
    heads = js("return [...document.querySelectorAll('h3')].map(e => e.textContent)")
    ensure("both are checked", heads == ["bob", "carol"], heads)
    looks("check")
    click(button("Back to the overview"))
    wait_text("Migrations of web42")
    select("bob", "carol")
    click(button("Migrate"))
    wait_text("Migrate 2 accounts?")
    ensure("what will happen", "Visitors will have to wait for" in page() and "Yes, migrate now" in page())
    looks("confirm")
    click(button("Yes, migrate now"))
    wait("its page", lambda: "/operations/" in js("return location.pathname"))
    js("window.stayed = true")
    wait_text("Done")
    ensure("without loading the page again", js("return window.stayed === true || !document.querySelector('[data-events]')"))
    looks("done")
    click(button("Back to the overview"))
    wait_text("Transit server")
    ensure("both are there", js("return document.querySelectorAll('td .side.transit').length") == 2)
    shot("server-after")
    js("window.stayed = true")
    click(find("#a-alice"))
    back = urllib.request.Request(PANEL + "/v1/accounts/carol/rollback", data=b'{"yes":true}', method="POST",
                                  headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
    urllib.request.urlopen(back, timeout=30).close()
    wait("what another does is seen", lambda: js("return document.querySelectorAll('td .side.transit').length") == 1)
    ensure("on the same page, and what is selected stays", js("return window.stayed === true && document.querySelector('#a-alice').checked"))
    logout()


def part_owner(token):
    login(token)
    wait_text("This account lives on the client server")
    ensure("nobody else", "bob" not in page() and "carol" not in page(), page())
    looks("account")
    click(button("Migrate"))
    wait_text("Migrate alice?")
    looks("account-confirm")
    key = js("return document.querySelector('form.consent input[name=key]').value")
    seal = js("return document.querySelector('form.consent input[name=seal]').value")
    # A double click: the same form twice at once.
    where = js("""const f = document.querySelector('form.consent'), send = () => fetch(f.getAttribute('action'), {method: 'POST', redirect: 'follow',
        body: new URLSearchParams(new FormData(f))}).then(a => new URL(a.url).pathname);
        return Promise.all([send(), send()]);""")
    ensure("one operation for a double click", where[0] == where[1] and "/operations/" in where[0], (where, key, seal))
    go(where[0])
    wait_text("Copying the databases")
    wait("its progress", lambda: js("return document.querySelector('#bar').value") == 40)
    js("window.stayed = true")
    looks("progress")


def part_lost():
    wait_text("The connection to the server is lost")
    shot("lost")


def part_back():
    wait_text("Connected again")


def part_done():
    wait_text("Done")
    ensure("the page was never loaded again", js("return window.stayed") is True)
    looks("account-done")


def part_rollback():
    go("/")
    wait_text("This account lives on the transit server")
    ensure("the price", "1 request that writes (1 POST)" in page())
    looks("account-there")
    click(button("Roll back"))
    wait_text("Roll back alice?")
    ensure("the price again", "1 request that writes (1 POST)" in page() and "agree to the price" in page())
    click(button("Yes, roll back now"))
    wait("its page", lambda: "/operations/" in js("return location.pathname"))
    wait_text("Done")
    click(button("Evidence"))
    wait_text("Evidence for alice")
    looks("evidence")


def part_refused():
    go("/")
    click(button("Migrate"))
    wait_text("This is not possible now")
    ensure("in plain words", "being moved just now" in page() and "by the operator" in page() and "Nothing changed" in page())
    ensure("no button to go on", "Yes, migrate now" not in page())
    looks("refused")


def part_open(path):
    go(path)


def part_inert(path):
    go(path)
    wait_text("<script>")
    ensure("nothing ran", js("return document.title").find("owned") < 0 and js("return document.querySelectorAll('main script, main img').length") == 0)
    ensure("the policy would have stopped it, too",
           js("""const e = document.createElement('script'); e.textContent = 'window.owned = 1'; document.body.append(e); return !window.owned"""))
    shot("inert")


def part_attack(victim_path):
    """Another site: it frames a page, and sends forms with what cookies the browser has."""
    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            form = f"<form method=post action='{PANEL}/act'><input name=action value=migrate><input name=account value=alice><input name=key value=evil>" \
                "<input name=seal value=x></form><script>document.forms[0].submit()</script>"
            self.wfile.write((form if self.path == "/form" else f"<iframe src='{PANEL}{victim_path}'></iframe>").encode())

        def log_message(self, *args):
            pass
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 7999), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    go("http://localhost:7999/frame")
    s("POST", "/frame", {"id": 0})
    wait("the frame", lambda: js("return document.readyState") == "complete")
    ensure("no page of ours in a frame", js("return !document.querySelector('#main')"))
    s("POST", "/frame", {"id": None})
    go("http://localhost:7999/form")
    wait_text("log in again" if "log in again" in page() else "not accepted")
    ensure("it was sent here", js("return location.href").startswith(PANEL))
    go("/")
    wait_text("This account lives on the client server")


def part_relay():
    """From the browser's namespace, which has nothing but loopback, to the panel's: with a network around it that leads nowhere, Chromium
    waits 15 seconds for it first."""
    libc = ctypes.CDLL(None, use_errno=True)
    panel = os.open(f"/run/netns/{os.environ['E2E_NS']}c", os.O_RDONLY)

    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve(near):
        libc.setns(panel, 0x40000000)  # of this thread alone
        try:
            far = socket.create_connection(("127.0.0.1", 7480))
        except OSError:
            near.close()
            return
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
        pump(near, far)
    listener = socket.create_server(("127.0.0.1", 7480), backlog=64)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def part_end():
    s("DELETE", "")


if __name__ == "__main__":
    globals()["part_" + sys.argv[1]](*sys.argv[2:])
