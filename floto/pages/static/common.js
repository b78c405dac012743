// What floto's pages share: elements, times, the switches of the bar. Text of a run is only ever textContent.

/** Return an element: a name with classes ("td.number"), attributes if any, and children. */
export const el = (name, ...rest) => fill((tag) => document.createElement(tag), name, rest);
export const svg = (name, ...rest) => fill((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag), name, rest);

function fill(create, name, rest) {
	const [tag, ...classes] = name.split(".");
	const element = create(tag);
	if (classes.length) element.setAttribute("class", classes.join(" "));
	for (const [key, value] of Object.entries(rest[0]?.constructor === Object ? rest.shift() : {})) {
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else if (value !== null && value !== undefined) element.setAttribute(key, value);
	}
	element.append(...present(rest));
	return element;
}

const present = (children) => children.filter((child) => child || child === 0).map((child) => (child instanceof Node ? child : plain(child, 2000)));

/** Replace the children of an element; what had the focus has it again, if it has a `data-key` and is there. */
export function renew(parent, children) {
	const active = document.activeElement;
	const key = parent.contains(active) && active.dataset.key;
	parent.replaceChildren(...present(children));
	if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Return a value as text with escapes for control and direction characters, at most `most` characters of it. */
export function plain(value, most = 400) {
	const text = String(value);
	const cut = text.length > most ? `${text.slice(0, most)}…` : text;
	return cut.replace(HIDDEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const badge = (status, word = status) => el("span.status", { "data-status": status }, word);

/** Return seconds for people: "41 s", "3 min 12 s", "2 h 5 min". */
export function duration(seconds) {
	const s = Math.abs(seconds);
	if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
	if (s < 59.5) return `${s < 9.95 ? +s.toFixed(1) : Math.round(s)} s`;
	const [big, small, unit, part] = s < 3570 ? [60, 1, "min", "s"] : s < 86000 ? [3600, 60, "h", "min"] : [86400, 3600, "d", "h"];
	const all = Math.round(s / small);
	const rest = all % (big / small);
	return `${Math.floor((all * small) / big)} ${unit}${rest ? ` ${rest} ${part}` : ""}`;
}

/** Return a moment (ms) as date and time of day, in UTC or of this machine. */
export function clock(ms, local = false, date = true) {
	const at = new Date(local ? ms - new Date(ms).getTimezoneOffset() * 60000 : ms);
	if (Number.isNaN(at.getTime())) return "unknown time";
	return at.toISOString().slice(date ? 0 : 11, ms % 1000 ? 23 : 19).replace("T", " ");
}

/** Return how long ago a moment is, or in how long it comes. */
export const ago = (ms, now = Date.now()) => (ms > now ? `in ${duration((ms - now) / 1000)}` : `${duration((now - ms) / 1000)} ago`);

const chosen = { times: "utc", theme: "system" };

/** Return what the reader chose: times ("utc", "local", "relative") or theme ("system", "light", "dark"). */
export const choice = (name) => chosen[name];

/** Make the switches of the bar work; `changed(name)` is called after a choice. */
export function switches(changed = () => {}) {
	for (const group of document.querySelectorAll("[data-switch]")) {
		const name = group.dataset.switch;
		const buttons = [...group.querySelectorAll("button")];
		const choose = (value) => {
			if (!buttons.some((button) => button.value === value)) return;
			chosen[name] = value;
			for (const button of buttons) button.setAttribute("aria-pressed", button.value === value);
			if (name === "theme") document.documentElement.dataset.theme = value;
		};
		choose(stored(name));
		group.addEventListener("click", ({ target }) => {
			choose(target.value);
			stored(name, target.value);
			changed(name);
		});
	}
}

/** Return what is stored, after storing a value if there is one; to a file, storage may be refused. */
function stored(name, value) {
	try {
		if (value) localStorage.setItem(`floto.${name}`, value);
		return localStorage.getItem(`floto.${name}`);
	} catch {
		return value;
	}
}

/** Show every <time data-ms="..."> that the server wrote as the reader chose. */
export function times(root = document) {
	for (const element of root.querySelectorAll("time[data-ms]")) {
		const ms = Number(element.dataset.ms);
		element.textContent = chosen.times === "relative" ? ago(ms) : clock(ms, chosen.times === "local");
		element.title = `${clock(ms)} UTC`;
	}
}
