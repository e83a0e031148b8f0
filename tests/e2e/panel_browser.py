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
SCREEN = (1200, 1100) if SHOTS else (1000, 600)  # each key draws it anew, and a processor does that here
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
const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
const poor = [];
for (const e of document.querySelectorAll("body *")) {
	if (e.closest(".sr, .skip") || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
	const s = getComputedStyle(e), chip = e.previousElementSibling?.matches("rect.chip") ? e.previousElementSibling : null;
	const r = e.closest("svg") ? ratio(rgb(s.fill), chip ? rgb(getComputedStyle(chip).fill) : back(e)) : ratio(rgb(s.color), back(e));
	if (r < 4.5) poor.push(e.getAttribute("class") + " " + e.textContent.trim().slice(0, 30) + " " + r.toFixed(2));
}
for (const e of document.querySelectorAll("rect.chip, circle, progress")) {
	const r = e.matches("rect") ? rgb(getComputedStyle(e).stroke) : e.matches("circle") ? rgb(getComputedStyle(e).fill) : rgb(getComputedStyle(e).accentColor);
	if (r.length > 2 && ratio(r, back(e)) < 3) poor.push("3:1 for " + e.outerHTML.slice(0, 60));
}
return poor;"""

STRUCTURE = """
const bad = [];
if (!document.documentElement.lang || !document.title) bad.push("lang or title");
for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) bad.push("an order of its own: " + e.outerHTML.slice(0, 80));
for (const e of document.querySelectorAll("button, a.button, nav a, input:not([type=hidden]), select, summary")) {
	const r = e.getBoundingClientRect();
	if (r.width && (r.width < 24 || r.height < 24)) bad.push("too small for a finger: " + e.outerHTML.slice(0, 80) + " " + r.height);
}
const ids = [...document.querySelectorAll("[id]")].map(e => e.id); if (new Set(ids).size !== ids.length) bad.push("id twice: " + ids);
return bad;"""

# Where the keyboard is, how it is seen, and whether something lies over it.
FOCUS = """
const e = document.activeElement, r = e.getBoundingClientRect(), s = getComputedStyle(e);
if (e === document.body) return null;
const x = Math.min(Math.max(r.left + Math.min(r.width, 30) / 2, 0), innerWidth - 1), y = r.top + r.height / 2;
const top = document.elementFromPoint(x, y);
return {text: (e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent).trim(), seen: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.top >= 0 && r.bottom <= innerHeight + 1,
	covered: !(top && (e === top || e.contains(top) || top.contains(e))), html: e.outerHTML.slice(0, 90)};"""


def call(method, path, body=None):
    data = None if method == "GET" else json.dumps(body or {}).encode()
    request = urllib.request.Request(DRIVER + path, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # a browser that begins takes its time
            return json.load(answer)["value"]
    except urllib.error.HTTPError as e:
        value = json.load(e)["value"]
        raise LookupError(value["error"] + ": " + value["message"].split("\n")[0]) from None


def s(method, path, body=None):
    with open(SESSION) as f:
        return call(method, "/session/" + f.read() + path, body)


def js(script, *args):
    return s("POST", "/execute/sync", {"script": script, "args": list(args)})


def cdp(cmd, params=None):
    return s("POST", "/goog/cdp/execute", {"cmd": cmd, "params": params or {}})


def go(path):
    s("POST", "/url", {"url": path if "://" in path else PANEL + path})


def find(css):
    return s("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]


def button(text):
    xpath = f"//*[self::button or self::a][normalize-space()='{text}']"
    return s("POST", "/element", {"using": "xpath", "value": xpath})[ELEMENT]


def click(element):
    s("POST", f"/element/{element}/click")


def use(text):
    """A button, which what has changed may replace just then."""
    wait(f"the button {text!r}", lambda: s("POST", f"/element/{button(text)}/click") is None, page_is=lambda: True)


def page():
    return js("return document.body.innerText")


def whole():
    return js("return document.readyState") == "complete"


def wait(what, fact, seconds=60, page_is=whole):
    """For a fact of a page that is there to its end, so that what comes next finds all of it."""
    end = time.monotonic() + seconds
    while True:
        try:
            if fact() and page_is():
                return
        except LookupError:
            pass  # between two pages
        if time.monotonic() > end:
            shot("failed")
            sys.exit(f"waited for {what}; the page says: {page()}\nat {js('return location.href')}")
        time.sleep(0.1)


def wait_text(text):
    wait(repr(text), lambda: text in page())


def arrive(path, text):
    """Where a key or a click leads: the page before it may have the same words."""
    wait(f"{text!r} at {path}", lambda: js("return location.pathname") == path and text in page())


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
    cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})


def theme(name):
    cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})


def tree():
    """The page as a screen reader has it: what Chromium computes of it, in order."""
    nodes = cdp("Accessibility.getFullAXTree")["nodes"]
    by_id = {n["nodeId"]: n for n in nodes}

    def plain(n):
        properties = {p["name"]: p["value"].get("value") for p in n.get("properties", [])}
        below = []
        for child in n.get("childIds", []):
            if child in by_id:
                c = plain(by_id[child])
                below += [c] if c["role"] else c["below"]
        return {"role": "" if n["ignored"] else n["role"]["value"], "name": n.get("name", {}).get("value", ""), "below": below, **properties}

    return plain(nodes[0])


def every(node, role=None):
    if role is None or node["role"] == role:
        yield node
    for child in node["below"]:
        yield from every(child, role)


def hears(name):
    """Landmarks, headings, a name for whatever can be used, tables with heads of rows and columns, and places where changes are told."""
    page_now = tree()
    bad = []
    for role in ("banner", "main", "contentinfo"):
        if len(list(every(page_now, role))) != 1:
            bad.append(f"{len(list(every(page_now, role)))} {role}")
    levels = [int(h["level"]) for h in every(page_now, "heading")]
    if levels.count(1) != 1 or any(b > a + 1 for a, b in zip(levels, levels[1:])):
        bad.append(f"headings {levels}")
    for n in every(page_now):
        used = n["role"] in ("button", "link", "checkbox", "textbox", "progressbar", "DisclosureTriangle", "figure", "table", "columnheader", "rowheader", "heading")
        if (used or (n.get("focusable") and n["role"] not in ("RootWebArea", "main"))) and not n["name"].strip():
            bad.append(f"no name: {n['role']}")
        if n["role"] == "region" and not n["name"].strip():
            bad.append("a region without a name")
    for table in every(page_now, "table"):
        rows = list(every(table, "row"))
        heads = len(list(every(rows[0], "columnheader"))) if rows else 0
        for row in rows[1:]:
            if len(list(every(row, "rowheader"))) != 1 or len(list(every(row, "cell"))) + 1 != heads:
                bad.append("a row without its heads: " + str([(n["role"], n["name"]) for n in row["below"]]))
        if heads < 2:
            bad.append("a table without heads")
    if len(list(every(page_now, "status"))) < 1:
        bad.append("nowhere to tell what changes")
    ensure("what a screen reader has of " + name, not bad, bad)


KEYS = {"tab": ("Tab", 9, ""), "enter": ("Enter", 13, "\r"), "space": (" ", 32, " "), "down": ("ArrowDown", 40, "")}


def keys(*pressed):
    """As a keyboard sends them; shift+ before a name is held."""
    for key in pressed:
        name, code, text = KEYS[key.removeprefix("shift+")]
        event = {"key": name, "code": name.strip() or "Space", "windowsVirtualKeyCode": code, "modifiers": 8 if key.startswith("shift+") else 0}
        cdp("Input.dispatchKeyEvent", {"type": "keyDown" if text else "rawKeyDown", "text": text, **event})
        if text:  # a tab does what it does at once
            cdp("Input.dispatchKeyEvent", {"type": "keyUp", **event})


def focus():
    """Role and name of where the keyboard is, as computed."""
    element = s("GET", "/element/active")[ELEMENT]
    return s("GET", f"/element/{element}/computedrole"), s("GET", f"/element/{element}/computedlabel")


def step(key="tab"):
    """To the next stop, which must be seen; None: the page is at its end."""
    keys(key)
    at = js(FOCUS)
    ensure("the focus can be seen", not at or (at["seen"] and not at["covered"]), at)
    return at


def tab_to(role, name, key="tab"):
    met = []
    for _ in range(60):
        at = step(key)
        met.append(at and at["text"])
        if at and at["text"] == name and focus() == (role, name):
            return
    sys.exit(f"the keyboard does not reach {role} {name!r}; it met {met}")


def press(role, name, key="enter"):
    tab_to(role, name)
    keys(key)


def from_here(css):
    """The way to it was walked before."""
    js("document.querySelector(arguments[0]).focus()", css)


def walk():
    """All stops of the tab key from the beginning of the page to its end."""
    js("document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)")
    met = []
    while len(met) < 80:
        if not step():
            return met
        met.append(focus())
    sys.exit(f"the keyboard is caught: {met}")


def said():
    return js("return document.querySelector('#said').textContent")


def looks(name):
    """As everybody sees it: large and small, light and dark, and by a screen reader."""
    ensure("structure of " + name, js(STRUCTURE) == [], js(STRUCTURE))
    hears(name)
    for scheme in ("light", "dark"):
        theme(scheme)
        ensure(f"contrast of {name} ({scheme})", js(CONTRAST) == [], js(CONTRAST))
        shot(f"{name}-{scheme}")
    size(360, 1400)
    ensure("fits a phone", js("return document.documentElement.scrollWidth") <= 360, js("return document.documentElement.scrollWidth"))
    if js("return document.querySelector('table') !== null"):  # which looks different there
        hears(name + " on a phone")
    shot(f"{name}-phone-dark")
    theme("light")
    size(*SCREEN)


def login(token):
    go("/")
    wait("the login", lambda: js("return location.pathname") == "/login")
    s("POST", f"/element/{find('#token')}/value", {"text": token})
    use("Log in")
    wait("being in", lambda: "Log out" in page())


def logout():
    use("Log out")
    wait("being out", lambda: js("return location.pathname") == "/login")


def listed():
    """The accounts in the table."""
    return js("return [...document.querySelectorAll('td.pick input')].map(e => e.value)")


def select(*names):
    for name in names:
        click(find(f"#a-{name}"))


def part_new():
    options = {"binary": "/usr/bin/chromium", "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                                       "--no-first-run", "--no-proxy-server", "--password-store=basic", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-background-networking",
                                                       f"--user-data-dir={W}/chromium", "--window-size=%d,%d" % SCREEN]}
    value = call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
    with open(SESSION, "w") as f:
        f.write(value["sessionId"])


def operator_begins(*names, action):
    """By keys: on the server's page, to the page that says what would happen."""
    for name in names:
        press("checkbox", name, "space")
    tab_to("button", action, "shift+tab")
    keys("space")


def part_operator(token):
    """With the keyboard alone."""
    go("/login")
    looks("login")
    ensure("the keyboard is where it is needed", js("return document.activeElement.id") == "token")
    cdp("Input.insertText", {"text": token})
    keys("enter")
    wait("being in", lambda: "Log out" in page())
    wait_text("Migrations of web42")
    looks("server")
    met = walk()
    names = [name for _, name in met]
    ensure("the way through the page", names == ["Skip to the content", "Migrations", "Log out", "Name or domain", "Lives on", "Find", "Check", "Migrate", "Roll back", "Select all"]
           + [n for a in ("alice", "bob", "carol") for n in (a, a)], names)
    ensure("by what it is", [role for role, _ in met][3:12] == ["searchbox", "combobox"] + ["button"] * 4 + ["checkbox", "checkbox", "link"], met)
    step()
    ensure("the way past the head of the page", focus() == ("link", "Skip to the content"), focus())
    shot("skip")
    keys("enter", "tab")
    ensure("skips it", focus() == ("searchbox", "Name or domain"), focus())
    operator_begins("bob", "carol", action="Check")
    wait_text("What the check found")
    heads = js("return [...document.querySelectorAll('h3')].map(e => e.textContent)")
    ensure("both are checked", heads == ["bob", "carol"], heads)
    looks("check")
    press("link", "Back to the overview")
    arrive("/", "Migrations of web42")
    from_here("#all")
    operator_begins("bob", "carol", action="Migrate")
    wait_text("Migrate 2 accounts?")
    ensure("what is not known is said", "cannot be told" in page() and "Yes, migrate now" in page(), page())
    press("DisclosureTriangle", "What will happen, step by step", "space")
    ensure("what will happen", "Copying the databases" in page())
    looks("confirm")
    press("button", "Yes, migrate now", "space")
    wait("its page", lambda: "/operations/" in js("return location.pathname"))
    js("window.stayed = true")
    wait_text("Done")
    ensure("without loading the page again", js("return window.stayed === true || !document.querySelector('[data-events]')"))
    shot("done")
    press("link", "Back to the overview")
    arrive("/", "Transit server")
    ensure("both are there", js("return document.querySelectorAll('td .side.transit').length") == 2)
    shot("server-after")
    from_here("#l-bob")
    operator_begins("carol", action="Roll back")
    wait_text("Roll back carol?")
    press("button", "Yes, roll back now")
    wait_text("Done")
    press("link", "Back to the overview")
    wait("carol is back", lambda: js("return document.querySelectorAll('td .side.transit').length") == 1)
    js("window.stayed = true")
    from_here("#find")
    cdp("Input.insertText", {"text": "<b>"})
    wait("nothing is found", lambda: said() == "No account matches.")
    ensure("a text is a text, and all is a click away", js("return document.querySelectorAll('b, #accounts ~ form table').length") == 0
           and js("return document.querySelector('#whole').getAttribute('href')") == "/#accounts")
    js("document.querySelector('#find').select()")
    cdp("Input.insertText", {"text": " EXAMPLE"})
    tab_to("combobox", "Lives on")
    keys("down")
    wait("what is looked for, while it is typed", lambda: listed() == ["alice", "carol"])
    ensure("a screen reader is told how many", said() == "Accounts 1–2 of 2", said())
    ensure("the keyboard stays where it is", focus() == ("combobox", "Lives on"), focus())
    ensure("the address says it", js("return location.search") == "?find=+EXAMPLE&side=client", js("return location.href"))
    press("checkbox", "alice", "space")
    back = urllib.request.Request(PANEL + "/v1/accounts/carol/migrate", data=b'{"yes":true}', method="POST",
                                  headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
    urllib.request.urlopen(back, timeout=120).close()
    wait("what another does is seen, of what is looked for", lambda: listed() == ["alice"])
    ensure("on the same page, and what is selected stays", js("return window.stayed === true && document.querySelector('#a-alice').checked"))
    ensure("and where the keyboard is", focus() == ("checkbox", "alice"), focus())
    tab_to("button", "Log out", "shift+tab")
    keys("enter")
    wait("being out", lambda: js("return location.pathname") == "/login")


def part_owner(token):
    login(token)
    wait_text("This account lives on the client server")
    ensure("nobody else", "bob" not in page() and "carol" not in page(), page())
    looks("account")
    use("Migrate")
    wait_text("Migrate alice?")
    shot("account-confirm")
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
    # what the line about the connection says, for some of it is gone after four seconds
    js("window.told = []; const line = document.querySelector('#connection'); "
       "new MutationObserver(() => told.push(line.textContent)).observe(line, {childList: true})")
    looks("progress")


def part_lost():
    wait_text("The connection to the server is lost")
    shot("lost")


def part_back():
    wait("the connection", lambda: "Connected again." in js("return window.told"))
    ensure("after it was lost", "is lost" in js("return window.told")[0], js("return window.told"))


def part_done():
    wait_text("Done")
    ensure("the page was never loaded again", js("return window.stayed") is True)
    ensure("a screen reader is told, in a place that stayed", said() == "Done", said())
    looks("account-done")


def part_rollback():
    go("/")
    wait_text("This account lives on the transit server")
    ensure("the price", "1 request that writes (1 POST)" in page())
    ensure("what of it comes back", "brings back what the operator has set up to be copied" in page() and "hook" not in page())
    looks("account-there")
    use("Roll back")
    wait_text("Roll back alice?")
    ensure("the price again", "1 request that writes (1 POST)" in page() and "agree to the price" in page())
    use("Yes, roll back now")
    wait("its page", lambda: "/operations/" in js("return location.pathname"))
    wait_text("Done")
    use("Evidence")
    wait_text("Evidence for alice")
    looks("evidence")


def part_refused():
    go("/")
    use("Migrate")
    wait_text("This is not possible now")
    ensure("in plain words", "being moved just now" in page() and "by the operator" not in page() and "Nothing changed" in page())
    click(find("summary"))
    ensure("and in full, for who wants it", "by the operator" in page())
    ensure("no button to go on", "Yes, migrate now" not in page())
    looks("refused")


def part_theirs():
    """What the operator has begun."""
    go("/")
    use("Migrate alice")
    wait_text("The operator of the server has begun this")
    ensure("nothing to cancel it with", js("return document.querySelector('#cancel') === null"))


def part_cancel():
    """The owner stops what he has begun himself."""
    go("/")
    use("Migrate")
    use("Yes, migrate now")
    wait_text("Copying the databases")
    js("window.stayed = true")
    use("Cancel")
    wait_text("It was cancelled: everything is as it was")
    shot("cancelled")


def part_home():
    go("/")
    wait_text("When the client server is ready again")
    shot("account-home")
    use("Bring home")
    wait_text("Bring alice home?")
    shot("home-confirm")
    use("Yes, bring it home now")
    wait_text("Bringing alice home")
    wait_text("Done")
    go("/")
    wait_text("This account lives on the client server")


def part_plain():
    """Without scripts, as the browser has them: from the click until it is done."""
    cdp("Emulation.setScriptExecutionDisabled", {"value": True})
    go("/")

    def body():
        return s("GET", f"/element/{find('body')}/text")

    def wait_body(text):
        wait(repr(text), lambda: text in body(), page_is=lambda: True)  # which only a script could tell
    ensure("no script runs", "Select all" not in body())
    use("Migrate")
    wait_body("Migrate alice?")
    use("Yes, migrate now")
    wait_body("Migrating alice")
    shot("plain")
    wait_body("Done")
    use("Back to the overview")
    wait_body("This account lives on the transit server")
    cdp("Emulation.setScriptExecutionDisabled", {"value": False})


def part_behind():
    """Behind nginx, with the provider's own login: the cookie is the provider's."""
    front = "http://127.0.0.1:7481"
    go(front + "/")
    ensure("nobody yet", "401" in page())
    s("POST", "/cookie", {"cookie": {"name": "provider", "value": "alice-has-logged-in"}})
    go(front + "/")
    wait_text("This account lives on the client server")
    ensure("no second login to leave", "Log out" not in page())
    use("Check")
    wait_text("What the check found")
    use("Migrate")
    wait_text("Migrate alice?")
    js("window.stayed = true")
    use("Yes, migrate now")
    wait_text("Migrating alice")
    wait_text("Copying the databases")
    js("window.stayed = true")
    open(W + "/go-on", "w").close()
    wait_text("Done")
    ensure("progress has come as it was", js("return window.stayed") is True)


def part_many(token):
    """More accounts than have names in the picture, and more than have dots."""
    go("/")
    logout()
    login(token)
    shot("many")
    ensure("one dot each, up to a limit", js("return document.querySelectorAll('.server.client circle.chip').length") == 420)
    ensure("no names", js("return document.querySelectorAll('.server.client rect.chip').length") == 0)
    told = js("return document.querySelector('figcaption').textContent")
    ensure("all are counted", "Client server: 451 accounts." in told and "and 31 more" in page(), told)
    ensure("the few on the other side have names", "Transit server: 2 accounts: bob, carol." in told, told)
    first = listed()
    ensure("the first page", len(first) == 200 and "Accounts 1–200 of 453\n" in page() and "Select all on this page" in page(), page())
    ensure("it can be turned above and below", js("return [...document.querySelectorAll('nav')].map(e => e.ariaLabel + e.querySelectorAll('a').length)") ==
           ["Pages of accounts1", "Pages of accounts, below the table1"])
    use("Next page")
    wait("the next", lambda: js("return location.search + location.hash") == "?page=2#accounts" and not set(listed()) & set(first))
    js("const e = document.querySelector('#a-' + arguments[0]); e.focus(); e.scrollIntoView()", listed()[150])
    keys("space")
    for _ in range(5):  # upwards, below what stays at the top
        step("shift+tab")
    shot("many-selected")
    ensure("the buttons stay in sight", js("const r = document.querySelector('.actions.stays').getBoundingClientRect(); return r.top >= 0 && r.bottom < 300"))
    go("/?find=+X&side=client&page=9")
    last = listed()
    ensure("the last there is", len(last) == 3 and "Accounts 401–403 of 403" in page() and "Page 3 of 3" in page(), page())
    ensure("and what is looked for", js("const f = document.querySelector('form.find'); return f.find.value + f.side.value") == "Xclient")
    looks("many-found")
    click(find("#a-" + last[1]))
    from_here("#before")
    js("window.stayed = true")
    added = urllib.request.Request(PANEL + "/v1/accounts/zoe", data=b'{"domains":["zoe.example"]}', method="PUT",
                                   headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
    urllib.request.urlopen(added, timeout=120).close()
    last.append("zoe")
    wait("what another does is seen, on the same page of the same search", lambda: listed() == last and js("return window.stayed"))
    checked = "return [...document.querySelectorAll('td.pick input:checked')].map(e => e.value)"
    ensure("what is selected stays", js(checked) == [last[1]], js(checked))
    ensure("and where the keyboard is", focus() == ("link", "Previous page"), focus())
    click(find("#all"))
    ensure("all of the page", js(checked) == last, js(checked))
    logout()


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
    wait("the refusal", lambda: "log in again" in page() or "not accepted" in page())
    ensure("it was sent here", js("return location.href").startswith(PANEL), js("return location.href"))
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

    def serve(near, port):
        libc.setns(panel, 0x40000000)  # of this thread alone
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:
            near.close()
            return
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
        pump(near, far)

    def listen(port):
        listener = socket.create_server(("127.0.0.1", port), backlog=64)
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], port), daemon=True).start()
    threading.Thread(target=listen, args=(7481,), daemon=True).start()
    listen(7480)


def part_end():
    s("DELETE", "")


if __name__ == "__main__":
    globals()["part_" + sys.argv[1]](*sys.argv[2:])
