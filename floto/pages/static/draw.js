// The drawings of one run: the graph of its tasks and its timeline. Only what is in sight is in the page.

import { badge, duration, el, plain, renew, svg } from "./common.js";

const symbols = new Map();

/** Return the symbol of a status, which style.css defines. */
export function symbol(status) {
  if (!symbols.has(status)) {
    const probe = document.body.appendChild(badge(status));
    symbols.set(status, getComputedStyle(probe).getPropertyValue("--symbol").replace(/["\s]/g, ""));
    probe.remove();
  }
  return symbols.get(status);
}

/** Return a name that is at most so long, without its middle. */
export function short(text, most) {
  const all = plain(text, 1000);
  if (all.length <= most) return all;
  const end = Math.floor(most / 3);
  return `${all.slice(0, most - end - 1)}…${all.slice(-end)}`;
}

const rectangle = (x, y, w, h) => `M${x.toFixed(1)} ${y.toFixed(1)}h${w.toFixed(1)}v${h}h${(-w).toFixed(1)}z`;

/** An area that scrolls and zooms; `paint(view, svg)` returns the shapes in sight. */
class Surface {
  constructor(label, resize, paint) {
    this.zoom = 1;
    this.resize = resize;
    this.paint = paint;
    this.svg = svg("svg", { role: "group", "aria-label": label });
    this.sizer = el("div.sizer", {}, this.svg);
    this.element = el("div.surface", { tabindex: 0, role: "region", "aria-label": label }, this.sizer);
    this.element.addEventListener("scroll", () => this.draw());
    this.element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => this.grab(event));
    new ResizeObserver(() => this.refresh()).observe(this.element);
  }

  /** Draw anew, after a change of what there is to draw or of the area. */
  refresh() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width) return;
    const [w, h] = this.resize(width, height);
    this.sizer.style.width = `${Math.max(w, 10)}px`;
    this.sizer.style.height = `${Math.max(h, 10)}px`;
    this.draw();
  }

  draw() {
    const { clientWidth: w, clientHeight: h, scrollLeft: x, scrollTop: y } = this.element;
    if (!w) return;
    this.svg.setAttribute("width", w);
    this.svg.setAttribute("height", h);
    renew(this.svg, this.paint({ x, y, w, h }));
  }

  /** Change the zoom; the point (x, y) of the area stays where it is. */
  scale(zoom, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const next = Math.min(Math.max(zoom, this.least ?? 0.1), this.most ?? 2.5);
    const [left, top] = this.moved(next / this.zoom, x, y);
    this.zoom = next;
    this.refresh();
    this.element.scrollTo(left, top);
    this.draw();
  }

  moved(factor, x, y) {
    return [(this.element.scrollLeft + x) * factor - x, (this.element.scrollTop + y) * factor - y];
  }

  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = this.element.getBoundingClientRect();
    this.scale(this.zoom * 1.0015 ** -event.deltaY, event.clientX - box.left, event.clientY - box.top);
  }

  grab(event) {
    if (event.button || event.target.closest("[role=button]") || event.target === this.element) return;
    const move = (to) => this.element.scrollBy(-to.movementX, -to.movementY);
    const done = () => removeEventListener("pointermove", move);
    addEventListener("pointermove", move);
    addEventListener("pointerup", done, { once: true });
  }
}

/** Return the attributes of a shape that is pressed by mouse and by Enter. */
function pressed(key, label, act, more = {}) {
  const onkeydown = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    act();
  };
  return { role: "button", tabindex: 0, "data-key": key, "aria-label": label, onclick: act, onkeydown, ...more };
}

/** Return the buttons that zoom a drawing. */
export function zoomButtons(drawing) {
  const button = (text, label, act) => el("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  return el("div.group", { role: "group", "aria-label": "Zoom" },
    button("−", "Zoom out (-)", () => drawing.scale(drawing.zoom / 1.4)),
    button("Fit", "Fit (0)", () => drawing.fit()),
    button("+", "Zoom in (+)", () => drawing.scale(drawing.zoom * 1.4)));
}

// ---- the graph

const BOX = { w: 176, h: 46, across: 64, down: 60, edge: 20 };
const CELL = { w: 158, h: 26 };
/** Boxes that are drawn with their names; more of them in sight are drawn as one shape for each status. */
const MOST_BOXES = 180;

/** Draw the graph of a run: groups folded until they are pressed. */
export class Graph extends Surface {
  constructor(page) {
    super("Graph of the tasks", () => [this.width * this.zoom, this.height * this.zoom], (view) => this.shapes(view));
    this.page = page;
    this.lay();
  }

  /** Place the boxes: an open group takes more room, and what is right of it or below it moves away. */
  lay() {
    const { boxes, routes } = this.page.doc.graph;
    const wider = new Map();
    const higher = new Map();
    this.boxes = boxes.map((box) => ({ ...box, ...this.size(box) }));
    for (const box of this.boxes) {
      if (box.w > BOX.w) wider.set(box.x, Math.max(wider.get(box.x) ?? 0, box.w - BOX.w));
      if (box.h > BOX.h) higher.set(box.y, Math.max(higher.get(box.y) ?? 0, box.h - BOX.h));
    }
    const beyond = (map, value) => [...map].reduce((sum, [at, size]) => sum + (at < value ? size : 0), 0);
    const place = (x, y) => [
      BOX.edge + x * (BOX.w + BOX.across) + beyond(wider, x),
      BOX.edge + y * BOX.down + beyond(higher, y),
    ];
    const at = new Map(this.boxes.map((box) => [`${box.x} ${box.y}`, box]));
    const ends = (points) => [points[0], points[points.length - 1]].map(([x, y]) => at.get(`${x} ${y}`));
    for (const box of this.boxes) [box.left, box.top] = place(box.x, box.y);
    this.routes = routes.map((route) => {
      const [from, to] = ends(route.points);
      return { from, to, dashed: route.dashed, ...this.route(route.points, from, place, wider) };
    });
    this.width = BOX.edge + this.boxes.reduce((most, box) => Math.max(most, box.left + box.w), 0);
    this.height = BOX.edge + this.boxes.reduce((most, box) => Math.max(most, box.top + box.h), 0);
  }

  size(box) {
    if (!this.page.opened.has(box.group)) return { w: BOX.w, h: BOX.h };
    const cells = this.page.cells(box.group);
    const columns = Math.max(1, Math.ceil(Math.sqrt(cells.length / 5)));
    const rows = Math.ceil(cells.length / columns);
    return { cells, columns, w: Math.max(columns * CELL.w + 16, BOX.w), h: BOX.h + rows * CELL.h };
  }

  /** Return the path of an arrow, its head and its extent; it passes layers between its ends straight. */
  route(points, from, place, wider) {
    const half = BOX.h / 2;
    let [x, y] = place(...points[0]);
    const extent = { x1: x, y1: y, x2: x, y2: y };
    x += from?.w ?? BOX.w;
    y += half;
    let path = `M${x} ${y}`;
    points.slice(1).forEach(([layer, row], number) => {
      const [left, top] = place(layer, row);
      const end = top + half;
      const bend = (x + left) / 2;
      const last = number === points.length - 2;
      path += `C${bend} ${y} ${bend} ${end} ${last ? left - 5 : left} ${end}`;
      [x, y] = [left, end];
      if (!last) path += `H${(x += BOX.w + (wider.get(layer) ?? 0))}`;
      Object.assign(extent, { x2: Math.max(extent.x2, x), y1: Math.min(extent.y1, top), y2: Math.max(extent.y2, end) });
    });
    return { path, head: `M${x - 8} ${y - 4}l8 4l-8 4z`, ...extent };
  }

  fit() {
    const { clientWidth: w, clientHeight: h } = this.element;
    this.scale(Math.min(w / this.width, h / this.height, 1));
  }

  /** Scroll so that a task, or the group that it is folded into, is in sight. */
  reveal(task) {
    const box = this.boxes.find((each) => each.task === task || (each.group !== undefined && this.page.inside(task, each.group)));
    if (!box) return;
    const { clientWidth: w, clientHeight: h, scrollLeft: x, scrollTop: y } = this.element;
    const [left, top] = [box.left * this.zoom, box.top * this.zoom];
    if (left < x || top < y || left + BOX.w * this.zoom > x + w || top + BOX.h * this.zoom > y + h) {
      this.element.scrollTo(left - w / 3, top - h / 3);
    }
  }

  shapes({ x, y, w, h }) {
    const z = this.zoom;
    const seen = { x1: x / z, y1: y / z, x2: (x + w) / z, y2: (y + h) / z };
    const boxes = this.boxes.filter((b) => b.left < seen.x2 && b.left + b.w > seen.x1 && b.top < seen.y2 && b.top + b.h > seen.y1);
    const routes = this.routes.filter((r) => r.x1 < seen.x2 && r.x2 > seen.x1 && r.y1 < seen.y2 && r.y2 > seen.y1);
    const coarse = boxes.length > MOST_BOXES || z < 0.4;
    const inner = boxes.flatMap((box) => (coarse ? [] : [box.task === undefined ? this.group(box, seen) : this.box(box)]));
    if (coarse) inner.push(...this.coarse(boxes));
    return [svg("g", { transform: `translate(${-x} ${-y}) scale(${z})` }, ...this.arrows(routes), ...inner)];
  }

  arrows(routes) {
    const { task } = this.page;
    const lit = (route) => task !== null && route.to && (route.to.task === task || (route.to.group !== undefined && this.page.inside(task, route.to.group)));
    const groups = [["arrow", (r) => !lit(r) && !r.dashed], ["arrow.dashed", (r) => !lit(r) && r.dashed], ["arrow.lit", lit]];
    return groups.flatMap(([name, which]) => {
      const chosen = routes.filter(which);
      if (!chosen.length) return [];
      return [
        svg(`path.${name}`, { d: chosen.map((r) => r.path).join("") }),
        svg(`path.${name.replace("arrow", "tip")}`, { d: chosen.map((r) => r.head).join("") }),
      ];
    });
  }

  coarse(boxes) {
    const paths = new Map();
    for (const box of boxes) {
      const status = box.task === undefined ? this.page.worst(box.group) : this.page.status(box.task);
      paths.set(status, (paths.get(status) ?? "") + rectangle(box.left, box.top, box.w, box.h));
    }
    return [...paths].map(([status, d]) => svg("path.box", { d, "data-status": status }, svg("title", {}, status)));
  }

  box({ task, left, top, w, h }) {
    const { page } = this;
    const status = page.status(task);
    const { id, kind } = page.doc.tasks[task];
    const note = `${symbol(status)} ${status}${page.tries(task)}`;
    const label = `${plain(id)}: ${status}${page.tries(task)}`;
    const chosen = task === page.task ? ".chosen" : "";
    return svg(`g.node${chosen}`, pressed(`t${task}`, label, () => page.select(task), { "data-status": status }),
      svg("rect.box", { x: left, y: top, width: w, height: h, rx: 7 }),
      svg("text.name", { x: left + 11, y: top + 19 }, short(id, 23)),
      svg("text.note", { x: left + 11, y: top + 36 }, note),
      svg("title", {}, `${label} (${kind})`));
  }

  group(box, seen) {
    const { page } = this;
    const { group, left, top, w, h } = box;
    const open = page.opened.has(group);
    const { label } = page.doc.groups[group];
    const counts = [...page.tally(group)];
    const total = counts.reduce((sum, [, count]) => sum + count, 0);
    const words = counts.map(([status, count]) => `${count} ${status}`).join(", ");
    const note = short(counts.map(([status, count]) => `${symbol(status)} ${count}`).join("   "), open ? 60 : 26);
    const chosen = page.task !== null && page.inside(page.task, group) ? ".chosen" : "";
    const head = svg("g.node", pressed(`g${group}`, `${plain(label)}, ${total} tasks: ${words}`, () => page.toggle(group), { "aria-expanded": String(open) }),
      svg("rect.hit", { x: left, y: top, width: w, height: BOX.h }),
      svg("text.name", { x: left + 11, y: top + 19 }, `${open ? "▾" : "▸"} ${short(label, 16)} ×${total}`),
      svg("text.note", { x: left + 11, y: top + 36 }, note),
      svg("title", {}, `${plain(label)}: ${words}`));
    return svg(`g.fold${chosen}`, { "data-status": page.worst(group) },
      open ? null : svg("rect.box.behind", { x: left + 4, y: top + 4, width: w, height: h, rx: 7 }),
      svg(`rect.box${open ? ".open" : ""}`, { x: left, y: top, width: w, height: h, rx: 7 }),
      head, ...(open ? this.members(box, seen) : []));
  }

  /** Return the members of an open group that are in sight. */
  members({ cells, columns, left, top }, seen) {
    const rows = [Math.max(0, Math.floor((seen.y1 - top - BOX.h) / CELL.h)), Math.ceil((seen.y2 - top - BOX.h) / CELL.h)];
    const across = [Math.max(0, Math.floor((seen.x1 - left) / CELL.w)), Math.min(columns, Math.ceil((seen.x2 - left) / CELL.w))];
    const shapes = [];
    for (let row = rows[0]; row < rows[1]; row++) {
      for (let column = across[0]; column < across[1] && shapes.length < 2 * MOST_BOXES; column++) {
        const cell = cells[row * columns + column];
        if (cell) shapes.push(this.cell(cell, left + 8 + column * CELL.w, top + BOX.h + row * CELL.h));
      }
    }
    return shapes;
  }

  cell({ task, group }, x, y) {
    const { page } = this;
    const folded = task === undefined;
    const status = folded ? page.worst(group) : page.status(task);
    const name = folded ? page.doc.groups[group].label : page.doc.tasks[task].id;
    const label = folded ? `${plain(name)}, a group` : `${plain(name)}: ${status}`;
    const act = () => (folded ? page.toggle(group) : page.select(task));
    const mark = folded ? (page.opened.has(group) ? "▾" : "▸") : symbol(status);
    return svg(`g.node.cell${task === page.task ? ".chosen" : ""}`, pressed(folded ? `g${group}` : `t${task}`, label, act, { "data-status": status }),
      svg("rect.box", { x, y, width: CELL.w - 6, height: CELL.h - 4, rx: 5 }),
      svg("text.note", { x: x + 8, y: y + 15 }, `${mark} ${short(name, 19)}`));
  }
}

// ---- the timeline

const PLAN = { label: 210, top: 50, line: 26, edge: 24 };
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 2592e6, 31536e6];
/** The part of the width that a folded gap takes. */
const FOLDED = 0.035;

/** Return the pieces of the axis: [start, end] in ms, their place and size as parts of the width, and if folded. */
function pieces(moments, busy, folds) {
  const gaps = [];
  let next = 0;
  for (let i = 1; folds && i < moments.length; i++) {
    const [start, end] = [moments[i - 1], moments[i]];
    while (next < busy.length && busy[next][1] <= start) next++;
    if (end - start > 1000 && !(next < busy.length && busy[next][0] < end)) gaps.push([start, end]);
  }
  const [first, last] = [moments[0], Math.max(moments[moments.length - 1], moments[0] + 1)];
  const active = last - first - gaps.reduce((sum, [start, end]) => sum + end - start, 0);
  const folded = gaps.filter(([start, end]) => end - start > active / 8).sort((a, b) => b[1] - b[0] - a[1] + a[0]).slice(0, 14);
  folded.sort((a, b) => a[0] - b[0]);
  const open = last - first - folded.reduce((sum, [start, end]) => sum + end - start, 0);
  const scale = (1 - FOLDED * folded.length) / Math.max(open, 1);
  const result = [];
  let [at, place] = [first, 0];
  const add = (end, size, fold) => {
    result.push({ start: at, end, place, size, fold });
    place += size;
    at = end;
  };
  for (const [start, end] of folded) {
    if (start > at) add(start, (start - at) * scale, false);
    add(end, FOLDED, true);
  }
  if (last > at) add(last, (last - at) * scale, false);
  return result;
}

/** Draw when the tasks of a run waited, ran and ended. */
export class Timeline extends Surface {
  constructor(page) {
    super("Timeline", (width) => this.extent(width), (view) => this.shapes(view));
    Object.assign(this, { page, least: 1, most: 4000, folds: page.folds });
    this.lay();
  }

  lay() {
    const { page } = this;
    this.rows = page.rows();
    const busy = [];
    const runs = page.doc.tasks.flatMap((task) => task.spans.filter(([status]) => !page.idle(status)));
    for (const [, start, end] of runs.sort((a, b) => a[1] - b[1])) {
      const last = busy[busy.length - 1];
      if (last && start <= last[1]) last[1] = Math.max(last[1], end ?? page.end);
      else busy.push([start, end ?? page.end]);
    }
    this.pieces = pieces(page.times, busy, this.folds);
  }

  extent(width) {
    this.plot = Math.max(width - PLAN.label - PLAN.edge, 100) * this.zoom;
    return [PLAN.label + this.plot + (this.zoom > 1 ? PLAN.edge : 0), PLAN.top + this.rows.length * PLAN.line + 8];
  }

  fit() {
    this.scale(1);
  }

  moved(factor, x) {
    return [(this.element.scrollLeft + x - PLAN.label) * factor - x + PLAN.label, this.element.scrollTop];
  }

  reveal(task) {
    const number = this.rows.findIndex((row) => row.task === task || (row.group !== undefined && !this.page.opened.has(row.group) && this.page.inside(task, row.group)));
    const { clientHeight: h, scrollTop: y } = this.element;
    const top = number * PLAN.line;
    if (number >= 0 && (top < y || top + PLAN.line > y + h - PLAN.top)) this.element.scrollTop = top - h / 3;
  }

  /** Return the x of a moment in the area. */
  x(ms) {
    const { pieces: all } = this;
    let [low, high] = [0, all.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (all[middle].start <= ms) low = middle;
      else high = middle - 1;
    }
    const { start, end, place, size } = all[low];
    const part = Math.min(Math.max((ms - start) / (end - start), 0), 1);
    return PLAN.label + (place + part * size) * this.plot - this.element.scrollLeft;
  }

  shapes({ y, w, h }) {
    const { page } = this;
    const now = this.x(page.now);
    const from = Math.floor(y / PLAN.line);
    const rows = this.rows.slice(from, from + Math.ceil((h - PLAN.top) / PLAN.line) + 1);
    const top = (number) => PLAN.top + (from + number) * PLAN.line - y;
    const bars = rows.map((row, number) => this.bars(row, top(number), w));
    return [
      ...this.folds_(w, h),
      ...this.grid(w, h),
      ...bars,
      svg("path.now", { d: `M${now} ${PLAN.top - 6}V${h}` }),
      svg("rect.cover", { x: 0, y: 0, width: PLAN.label, height: h }),
      ...rows.map((row, number) => this.name(row, top(number), w)),
      svg("rect.cover", { x: 0, y: 0, width: w, height: PLAN.top }),
      ...this.axis(w, now),
    ];
  }

  sight(w) {
    return this.pieces.filter((p) => this.x(p.end) > PLAN.label && this.x(p.start) < w);
  }

  folds_(w, h) {
    const d = this.sight(w).filter((p) => p.fold).map((p) => rectangle(this.x(p.start), 0, FOLDED * this.plot, h));
    return d.length ? [svg("path.gap", { d: d.join("") })] : [];
  }

  ticks(w) {
    const found = [];
    let last = -Infinity;
    for (const piece of this.sight(w)) {
      if (piece.fold) continue;
      const pixel = (piece.end - piece.start) / (piece.size * this.plot);
      const step = STEPS.find((each) => each >= pixel * 110) ?? STEPS[STEPS.length - 1];
      const base = this.page.base;
      const [x1, x2] = [Math.max(PLAN.label, this.x(piece.start)), Math.min(w, this.x(piece.end))];
      const start = piece.start + (x1 - this.x(piece.start)) * pixel;
      for (let at = base + Math.ceil((start - base) / step) * step; at <= piece.end; at += step) {
        const x = this.x(at);
        if (x > x2) break;
        if (x - last < 78 || x < PLAN.label + 2) continue;
        found.push([x, at]);
        last = x;
      }
    }
    return found;
  }

  grid(w, h) {
    return [svg("path.grid", { d: this.ticks(w).map(([x]) => `M${x.toFixed(1)} ${PLAN.top - 8}V${h}`).join("") })];
  }

  axis(w, now) {
    const { page } = this;
    const shapes = [svg("path.grid", { d: `M0 ${PLAN.top - 4}H${w}` })];
    for (const [x, at] of this.ticks(w)) shapes.push(svg("text.tick", { x: Math.min(x + 3, w - 60), y: 14 }, page.when(at, true)));
    for (const piece of this.sight(w)) {
      if (!piece.fold) continue;
      const x = this.x(piece.start);
      const label = duration((piece.end - piece.start) / 1000);
      shapes.push(svg("text.folded", { x: x + (FOLDED * this.plot) / 2, y: 28 }, this.plot * FOLDED > 26 ? label : "⋯", svg("title", {}, `${label} without activity`)));
    }
    return [...shapes, ...this.marks(w), svg("path.now", { d: `M${now - 5} ${PLAN.top - 12}h10l-5 8z` })];
  }

  /** Return the marks of decisions (lines) and signals (triangles) over the rows. */
  marks(w) {
    const { doc, times } = this.page;
    let [d, last] = ["", -9];
    for (const { ended } of doc.decision_tasks) {
      const x = ended ? this.x(times[ended - 1]) : -1;
      if (x < PLAN.label || x > w || x - last < 1.5) continue;
      d += `M${x.toFixed(1)} 36v8`;
      last = x;
    }
    const shapes = [svg("text.tick", { x: 10, y: 43 }, "╷ decision   ▾ signal"), svg("path.decision", { d })];
    for (const { name, event } of doc.signals.slice(0, 100)) {
      const x = this.x(times[event - 1]);
      if (x >= PLAN.label && x <= w) shapes.push(svg("text.signal", { x, y: 44 }, "▾", svg("title", {}, `signal ${plain(name)}`)));
    }
    return shapes;
  }

  name(row, top, w) {
    const { page } = this;
    const folded = row.task === undefined;
    const status = folded ? page.worst(row.group) : page.status(row.task);
    const act = () => (folded ? page.toggle(row.group) : page.select(row.task));
    const name = folded ? page.doc.groups[row.group].label : page.doc.tasks[row.task].id;
    const mark = folded ? (page.opened.has(row.group) ? "▾" : "▸") : symbol(status);
    const rest = folded ? ` ×${page.doc.groups[row.group].tasks.length}` : "";
    const label = folded ? `${plain(name)}, ${rest} tasks` : `${plain(name)}: ${status}${page.tries(row.task)}`;
    const more = { "data-status": status, ...(folded ? { "aria-expanded": String(page.opened.has(row.group)) } : {}) };
    const chosen = !folded && row.task === page.task ? ".chosen" : "";
    return svg(`g.lane${chosen}`, pressed(`${folded ? "g" : "t"}${row.task ?? row.group}`, label, act, more),
      svg("rect.hit", { x: 0, y: top, width: w, height: PLAN.line }),
      svg("text.mark", { x: 10 + row.depth * 14, y: top + 17 }, mark),
      svg("text.name", { x: 28 + row.depth * 14, y: top + 17 }, short(name, 24 - 2 * row.depth) + rest),
      svg("title", {}, label));
  }

  /** Return the bars of a row: queues and waits are thin, and what comes after the moment shown is pale. */
  bars(row, top, w) {
    const { page } = this;
    const paths = new Map();
    const ends = [];
    const add = (status, start, end, later) => {
      const [x1, x2] = [Math.max(this.x(start), PLAN.label - 4), Math.min(this.x(end), w + 4)];
      if (x2 < PLAN.label || x1 > w) return;
      const key = `${later ? "later" : ""}|${status}`;
      const thin = page.thin(status);
      paths.set(key, (paths.get(key) ?? "") + rectangle(x1, top + (thin ? 11 : 6), Math.max(x2 - x1, 1.5), thin ? 4 : 14));
      if (page.bad(status) && !later && ends.length < 8) ends.push(svg("text.end", { x: Math.min(x2 + 2, w - 10), y: top + 18, "data-status": status }, symbol(status)));
    };
    for (const [status, start, end] of page.spans(row)) {
      if (start <= page.now) add(status, start, Math.min(end, page.now), false);
      if (end > page.now) add(status, Math.max(start, page.now), end, true);
    }
    const shapes = [...paths].map(([key, d]) => {
      const [later, status] = key.split("|");
      return svg(`path.bar${later ? ".later" : ""}${page.thin(status) ? ".thin" : ""}`, { d, "data-status": status });
    });
    return svg("g", {}, ...shapes, ...ends);
  }
}
