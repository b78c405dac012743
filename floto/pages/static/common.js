// What all of floto's pages share: elements, times, and the switches of the bar.
// Strings of a run reach the page by textContent alone.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element: a name with classes ("td.number"), attributes, and children (elements or strings). */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElement(tag), classes, attributes, children);
}

/** Return an element of SVG, likewise. */
export function svg(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElementNS(SVG, tag), classes, attributes, children);
}

function fill(element, classes, attributes, children) {
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Return a string with its control and direction characters as escapes, at most `most` characters of it. */
export function plain(value, most = 400) {
  const text = String(value);
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  return cut.replace(HIDDEN, (c) => (c === "\t" ? "    " : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`));
}

/** Return a badge: the symbol (from the style), the word and the colour of a status. */
export const badge = (status, word = status) => el("span.status", { "data-status": status }, word);

/** Return a number of seconds for people: "41 s", "3 min 12 s", "2 h 5 min". */
export function duration(seconds) {
  const s = Math.abs(seconds);
  if (s < 0.9995) return `${Math.round(s * 1000)} ms`;
  if (s < 9.95) return `${+s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const [big, small, unit, part] =
    s < 3570 ? [60, 1, "min", "s"] : s < 86000 ? [3600, 60, "h", "min"] : [86400, 3600, "d", "h"];
  const all = Math.round(s / small);
  const rest = all % (big / small);
  return `${Math.floor((all * small) / big)} ${unit}${rest ? ` ${rest} ${part}` : ""}`;
}

const two = (n) => String(n).padStart(2, "0");

/** Return a moment (ms) as a date and a time of day, in UTC or of this machine. */
export function clock(ms, local = false, date = true) {
  const at = new Date(local ? ms - new Date(ms).getTimezoneOffset() * 60000 : ms);
  if (Number.isNaN(at.getTime())) return "unknown time";
  const text = at.toISOString();
  const rest = text.slice(11, 19) + (ms % 1000 ? text.slice(19, 23) : "");
  return (date ? `${text.slice(0, 10)} ` : "") + rest;
}

/** Return how long ago a moment is, or in how long it comes. */
export function ago(ms, now = Date.now()) {
  return ms > now ? `in ${duration((ms - now) / 1000)}` : `${duration((now - ms) / 1000)} ago`;
}

const chosen = { times: "utc", theme: "system" };

/** Return what the reader chose: times ("utc", "local", "relative") or theme ("system", "light", "dark"). */
export const choice = (name) => chosen[name];

/** Make the switches of the bar work; `changed(name)` is called after a choice, and not at the start. */
export function switches(changed = () => {}) {
  for (const group of document.querySelectorAll("[data-switch]")) {
    const name = group.dataset.switch;
    const choose = (value) => {
      const buttons = [...group.querySelectorAll("button")];
      if (!buttons.some((button) => button.value === value)) return;
      chosen[name] = value;
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === value));
      if (name === "theme") document.documentElement.dataset.theme = value;
    };
    choose(stored(name));
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      choose(button.value);
      store(name, button.value);
      changed(name);
    });
  }
}

// Storage may be refused, for example to a file; the choice then lasts as long as the page.
function stored(name) {
  try {
    return localStorage.getItem(`floto.${name}`);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(`floto.${name}`, value);
  } catch {
    // as above
  }
}

/** Show every <time data-ms="..."> of a page that was drawn by the server as the reader chose. */
export function times(root = document) {
  for (const element of root.querySelectorAll("time[data-ms]")) {
    const ms = Number(element.dataset.ms);
    element.textContent = chosen.times === "relative" ? ago(ms) : clock(ms, chosen.times === "local");
    element.title = `${clock(ms)} UTC`;
  }
}

/** Replace the children of an element; what had the focus has it again, if it has a `data-key` and is there. */
export function renew(parent, children) {
  const active = document.activeElement;
  const key = parent.contains(active) && active.dataset.key;
  parent.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** A table of any length, of which only the rows in sight are in the page. */
export class Rows {
  /** `columns` are [name, width in px or null]; `row(i)` returns the cells of a row and the attributes of it. */
  constructor(label, columns, row, height = 30) {
    Object.assign(this, { row, height, count: 0 });
    const heads = columns.map(([name]) => el("th", { scope: "col" }, name));
    const sizes = columns.map(([, width]) => {
      const col = el("col");
      if (width) col.style.width = `${width}px`;
      return col;
    });
    this.body = el("tbody");
    this.table = el("table", { "aria-label": label }, el("colgroup", {}, ...sizes), el("thead", {}, el("tr", { "aria-rowindex": 1 }, ...heads)), this.body);
    this.element = el("div.rows", { tabindex: 0, role: "region", "aria-label": label }, this.table);
    this.element.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Show so many rows, or the same ones anew. */
  refresh(count = this.count) {
    this.count = count;
    this.table.setAttribute("aria-rowcount", count + 1);
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - 3);
    const end = Math.min(this.count, first + Math.ceil((clientHeight || 400) / this.height) + 6);
    const space = (rows) => {
      const cell = el("td", { colspan: 20 });
      cell.style.height = `${rows * this.height}px`;
      return rows > 0 ? el("tr.space", { "aria-hidden": "true" }, cell) : null;
    };
    const rows = [];
    for (let i = first; i < end; i++) {
      const [cells, attributes = {}] = this.row(i);
      rows.push(el("tr", { "aria-rowindex": i + 2, ...attributes }, ...cells.map((cell) => (cell instanceof Element && cell.tagName === "TD" ? cell : el("td", {}, cell ?? "")))));
    }
    renew(this.body, [space(first), ...rows, space(this.count - end)]);
  }

  /** Scroll so that a row is in sight. */
  reveal(i) {
    const { scrollTop, clientHeight } = this.element;
    const top = i * this.height;
    if (i >= 0 && (top < scrollTop || top + 3 * this.height > scrollTop + clientHeight)) this.element.scrollTop = top - clientHeight / 3;
  }
}
