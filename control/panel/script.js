// The panel with a script: what changes is shown as it comes, and a lost connection is told. Without it every page works by being loaded.
"use strict";
(function () {
	const body = document.body, line = document.getElementById("connection");
	let lost = false, waiting = false, again = false, pressed = null, later = false;

	function say(text) {
		if (line && line.textContent !== text) line.textContent = text;
	}

	// What a part says, when that has changed: told to a screen reader in a place that stays, and told once.
	function words(part) {
		return part.querySelector("[data-say]")?.textContent;
	}
	function tell(part, before) {
		const text = words(part), place = document.getElementById("said");
		if (text && text !== before && place) place.textContent = text;
	}

	// Parts of the page as the server has them now; what is selected, and where the keyboard is, stays.
	function put(part, fresh) {
		const active = document.activeElement, id = part.contains(active) ? active.id : "";
		const open = [...part.querySelectorAll("details[open]")].length > 0;
		const picked = new Set([...part.querySelectorAll("input:checked")].map((e) => e.value));
		if (part.innerHTML === fresh.innerHTML || (part.contains(active) && !id)) return;
		if (pressed && part.contains(pressed)) {
			later = true;
			return;
		}
		const before = words(part);
		part.replaceChildren(...fresh.childNodes);
		tell(part, before);
		for (const e of part.querySelectorAll("input[type=checkbox]")) e.checked = picked.has(e.value);
		if (open) for (const e of part.querySelectorAll("details")) e.open = true;
		if (id) (document.getElementById(id) || document.getElementById("main")).focus();
	}

	async function refresh() {
		if (waiting) {
			again = true;
			return;
		}
		waiting = true;
		const began = performance.now();
		try {
			const answer = await fetch(location.pathname + location.search, {credentials: "same-origin", headers: {Accept: "text/html"}});
			if (answer.redirected && new URL(answer.url).pathname === "/login") {
				say(body.dataset.login);
				source?.close();
			} else if (answer.ok) {
				const page = new DOMParser().parseFromString(await answer.text(), "text/html");
				for (const part of document.querySelectorAll("[data-live]")) {
					const fresh = page.querySelector('[data-live="' + part.dataset.live + '"]');
					if (fresh) put(part, fresh);
				}
				document.title = page.title;
				if (!page.body.dataset.events) {
					delete body.dataset.events;
					source?.close();
					found();
				}
			}
		} catch (e) {
			// The events tell that the connection is lost.
		}
		setTimeout(() => {
			waiting = false;
			if (again) {
				again = false;
				refresh();
			}
		}, Math.max(700, 4 * (performance.now() - began))); // a page of ten thousand accounts takes the server a while
	}

	// A stream that ends because its operation does is no connection lost: the page tells so, in less time than it takes to worry.
	function found() {
		clearTimeout(worry);
		if (lost) say("");
		lost = false;
	}

	let source = null, worry = 0, broken = false;
	function listen() {
		if (!body.dataset.events) return;
		source = new EventSource(body.dataset.events);
		source.onopen = () => {
			if (lost) {
				found();
				say(body.dataset.back);
				setTimeout(() => say(""), 4000);
			}
			found();
			if (broken) refresh();
			broken = false;
		};
		source.onerror = () => {
			if (source.readyState === EventSource.CLOSED && !document.querySelector("[data-live]")) return;
			broken = true;
			clearTimeout(worry);
			worry = setTimeout(() => {
				lost = true;
				say(body.dataset.lost);
			}, lost ? 0 : 1500);
			// An answer that is no stream ends it: whether that is a login that is over, the page tells.
			if (source.readyState === EventSource.CLOSED) {
				refresh();
				setTimeout(listen, 3000);
			}
		};
		for (const what of ["log", "progress", "operation"]) source.addEventListener(what, refresh);
	}
	listen();

	// A button that is replaced between a finger's coming down and going up would not be clicked.
	addEventListener("pointerdown", (e) => (pressed = e.target));
	for (const up of ["pointerup", "pointercancel"])
		addEventListener(up, () => setTimeout(() => {
			pressed = null;
			if (later) refresh();
			later = false;
		}));

	const all = document.getElementById("all");
	if (all) {
		all.parentElement.hidden = false;
		all.addEventListener("change", () => {
			for (const e of document.querySelectorAll("td.pick input")) e.checked = all.checked;
		});
	}

	// What is looked for is shown while it is typed, below the field that keeps the keyboard; the form's button loads the page, as without a script.
	const form = document.querySelector("form.find");
	if (form) {
		let typed = 0;
		form.addEventListener("input", () => {
			clearTimeout(typed);
			typed = setTimeout(() => {
				const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value.trim())).toString();
				history.replaceState(null, "", location.pathname + (query && "?" + query) + location.hash);
				all.checked = false;
				refresh();
			}, 250);
		});
	}
})();
