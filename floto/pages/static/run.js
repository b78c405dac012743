// One run at any moment. All that is shown was computed by floto and is in the document: this script looks up
// what holds at an event and draws it.

import { ago, badge, choice, clock, duration, el, plain, renew, Rows, svg, switches } from "./common.js";
import { Graph, symbol, Timeline, zoomButtons } from "./draw.js";

const $ = (id) => document.getElementById(id);
const FORMAT = "floto.view/1";
const TABS = ["graph", "timeline", "tasks", "events", "decisions", "data", "check"];
/** Statuses in the order in which they stand for a group: the worst first. */
const WORST = ["failed", "waiting for its retry", "running", "queued", "due", "waiting", "canceled", "skipped", "reserved for cleanup", "done"];
const OPEN = ["running", "queued", "waiting for its retry", "due"];
const BAD = ["failed", "canceled"];
const FAILURE = /(Failed|TimedOut|Terminated)$/;
/** Characters of a value that are shown at once, and conditions of a tree. */
const MOST = { text: 20000, conditions: 150, listed: 60 };

/** Return the value of the last interval [from, value] that began by an event, or undefined. */
function lookup(intervals, event) {
  let [low, high] = [0, intervals.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (intervals[middle][0] <= event) low = middle + 1;
    else high = middle;
  }
  return low ? intervals[low - 1][1] : undefined;
}

/** What is shown: a document, the event, and what the reader chose. */
const page = {
  doc: null, event: 1, task: null, tab: "graph", byDecisions: false, filter: "", folds: true, tables: false, flat: true, raw: false,
  opened: new Set(), run: 0,

  load(doc) {
    if (doc.format !== FORMAT) throw new Error(`this page shows documents of format ${FORMAT}, not of ${plain(doc.format)}`);
    const { at, types } = doc.events;
    let sum = 0;
    const times = at.map((delta) => (sum += delta));
    const stops = doc.decision_tasks.map((each) => each.ended || each.started || each.scheduled);
    const failures = doc.events.type.flatMap((type, i) => (FAILURE.test(types[type]) ? [i + 1] : []));
    const last = times.length;
    const days = times[last - 1] - times[0] > 72e6;
    Object.assign(this, { doc, times, stops, failures, last, days, base: times[0], end: times[last - 1], opened: new Set(), task: null, event: last });
    doc.groups.forEach((group) => (group.inner = new Set(group.tasks)));
    // From the last group to the first: the members of a group include those of the groups in it.
    for (let i = doc.groups.length - 1; i >= 0; i--) {
      const { parent, inner } = doc.groups[i];
      if (parent !== null && parent !== undefined) inner.forEach((task) => doc.groups[parent].inner.add(task));
    }
  },

  get now() {
    return this.times[this.event - 1];
  },
  get closed() {
    return this.doc.run.ended !== null && this.event === this.last;
  },

  status(task, event = this.event) {
    const found = lookup(this.doc.tasks[task].statuses, event);
    return found === undefined ? "not there yet" : this.doc.statuses[found];
  },
  counts(tasks) {
    const counts = new Map(WORST.map((status) => [status, 0]));
    for (const task of tasks) counts.set(this.status(task), (counts.get(this.status(task)) ?? 0) + 1);
    return new Map([...counts].filter(([, count]) => count));
  },
  tally(group) {
    return this.counts(this.doc.groups[group].inner);
  },
  worst(group) {
    return this.tally(group).keys().next().value ?? "waiting";
  },
  inside(task, group) {
    return this.doc.groups[group].inner.has(task);
  },
  idle(status) {
    return this.doc.statuses[status] !== "running" && !BAD.includes(this.doc.statuses[status]);
  },
  thin: (status) => OPEN.includes(status) && status !== "running",
  bad: (status) => BAD.includes(status),

  /** Return ", attempt 2" where a task is past its first attempt. */
  tries(task) {
    const count = this.attempts(task).length;
    return count > 1 ? `, attempt ${count}` : "";
  },
  attempts(task) {
    return this.doc.tasks[task].attempts.filter((each) => each.opened <= this.event);
  },
  conditions(task) {
    const { whys, derived, shared, tasks } = this.doc;
    let found = lookup(tasks[task].whys, this.event);
    if (found === -2) found = lookup(shared, this.event);
    if (found === undefined) return [];
    if (found !== -1) return whys[found];
    const [before, after] = derived.requires;
    const left = tasks[task].requires.filter((each) => this.status(each) !== "done");
    return left.map((each) => ({ text: [before, tasks[each].id, after], task: each }));
  },

  /** Return the rows of the timeline: [task or group, depth], members under their opened group. */
  rows() {
    const { groups, tasks } = this.doc;
    const rows = [];
    const start = (task) => tasks[task].spans[0]?.[1] ?? Infinity;
    const top = new Map();
    tasks.forEach((task, number) => {
      const group = this.outermost(task.group);
      if (group === null) top.set(`t${number}`, { task: number, depth: 0, start: start(number) });
      else if (!top.has(`g${group}`)) top.set(`g${group}`, { group, depth: 0, start: Math.min(...[...groups[group].inner].slice(0, 5000).map(start)) });
    });
    const add = (row) => {
      rows.push(row);
      if (row.group === undefined || !this.opened.has(row.group)) return;
      for (const cell of this.members(row.group)) add({ ...cell, depth: row.depth + 1 });
    };
    [...top.values()].sort((a, b) => a.start - b.start || 0).forEach(add);
    return rows;
  },
  outermost(group) {
    let found = group ?? null;
    while (found !== null && (this.doc.groups[found].parent ?? null) !== null) found = this.doc.groups[found].parent;
    return found;
  },
  members(group) {
    const inner = this.doc.groups.flatMap((each, number) => (each.parent === group ? [{ group: number }] : []));
    return [...this.doc.groups[group].tasks.map((task) => ({ task })), ...inner];
  },
  cells(group) {
    return this.members(group).flatMap((cell) => (this.opened.has(cell.group) ? [cell, ...this.cells(cell.group)] : [cell]));
  },
  spans(row) {
    const { groups, tasks, statuses } = this.doc;
    const all = row.task === undefined ? [...groups[row.group].inner].flatMap((task) => tasks[task].spans) : tasks[row.task].spans;
    const named = all.map(([status, start, end]) => [statuses[status] === "running" && end !== null && end <= this.now ? "done" : statuses[status], start, end ?? this.end]);
    return row.task === undefined ? joined(named) : named;
  },

  /** Return a moment as the reader chose; axis ticks are short. */
  when(ms, tick = false) {
    if (choice("times") === "relative") return ms === this.base ? "start" : `${ms < this.base ? "−" : "+"}${duration((ms - this.base) / 1000)}`;
    return clock(ms, choice("times") === "local", this.days && !tick);
  },
  /** Return a text of strings and moments; a moment to come says in how long. */
  words(text) {
    return [text].flat().map((part) => (typeof part === "number" ? this.when(part) + (part > this.now ? `, ${ago(part, this.now)}` : "") : plain(part, 2000))).join("");
  },
  type(event) {
    return this.doc.events.types[this.doc.events.type[event - 1]];
  },

  select(task) {
    this.task = this.task === task ? null : task;
    show();
    view.drawing?.reveal?.(task);
  },
  toggle(group) {
    if (!this.opened.delete(group)) this.opened.add(group);
    view.drawing?.lay?.();
    show();
    view.drawing?.refresh();
  },
  go(event) {
    this.event = Math.min(Math.max(event, 1), this.last);
    show();
  },
  /** Go to the next (1) or the previous (-1) of ascending events. */
  step(events, way) {
    const found = way > 0 ? events.find((event) => event > this.event) : events.findLast((event) => event < this.event);
    if (found !== undefined) this.go(found);
    else if (events === this.stops) this.go(way > 0 ? this.last : 1);
  },
  move(way) {
    if (this.byDecisions) this.step(this.stops, way);
    else this.go(this.event + way);
  },
};

/** Join the spans of a group that touch, so that 5,000 of them are a few bars. */
function joined(spans) {
  const by = Map.groupBy(spans, ([status]) => status);
  return [...by].flatMap(([status, all]) => {
    const merged = [];
    for (const [, start, end] of all.sort((a, b) => a[1] - b[1])) {
      const last = merged[merged.length - 1];
      if (last && start <= last[2] && !page.bad(status)) last[2] = Math.max(last[2], end);
      else merged.push([status, start, end]);
    }
    return merged;
  });
}

// ---- what is around the views: head, slider, counts

const text = (id, value) => {
  if ($(id).textContent !== value) $(id).textContent = value;
};
const button = (label, act, more = {}) => el("button", { type: "button", onclick: act, ...more }, label);
const link = (label, act, key) => el("button.link", { type: "button", onclick: act, "data-key": key }, label);
const taskLink = (task, key = "") => link(plain(page.doc.tasks[task].id, 120), () => page.select(task), `${key}t${task}`);

function head() {
  const { run, sentences, related } = page.doc;
  text("name", plain(run.workflow_id));
  renew($("state"), [badge(page.closed ? run.status : "RUNNING")]);
  const ended = page.closed ? `, took ${duration((run.ended - run.started) / 1000)}` : "";
  const started = choice("times") === "relative" ? ago(run.started) : clock(run.started, choice("times") === "local");
  text("facts", [run.type, `run ${run.run_id}`, `started ${started}${ended}`, ...(run.tags.length ? [`tags ${run.tags.join(", ")}`] : [])].map((each) => plain(each)).join("  ·  "));
  text("sentence", page.words(lookup(sentences, page.event) ?? ""));
  const shown = related.slice(0, 4).map((each) => el("span", {}, `${each.role} `, runLink(each)));
  renew($("related"), related.length > 4 ? [...shown, link(`and ${related.length - 4} more`, () => tab("data"), "related")] : shown);
}

function runLink({ workflow_id: id, run_id: run, status }) {
  const local = [...document.querySelectorAll("script[data-run]")].findIndex((each) => each.dataset.run === run && each.dataset.workflow === id);
  const href = local >= 0 ? `#run=${local}` : source && run ? `/runs/${encodeURIComponent(id)}/${encodeURIComponent(run)}` : null;
  const name = plain(id, 120);
  return el("span", {}, href ? el("a", { href }, name) : name, status ? " " : null, status ? badge(status) : null);
}

function moment() {
  const { event, last, stops, failures, doc } = page;
  const decisions = stops.filter((stop) => stop <= event).length;
  const task = doc.events.task[event - 1];
  const what = [page.type(event), ...(task >= 0 ? [plain(doc.tasks[task].id, 80)] : []), page.when(page.now)].join("  ·  ");
  const where = page.byDecisions ? `Decision ${decisions} of ${stops.length}, event ${event}` : `Event ${event} of ${last}`;
  const slider = $("slider");
  slider.min = page.byDecisions ? 0 : 1;
  slider.max = page.byDecisions ? stops.length : last;
  slider.value = page.byDecisions ? decisions : event;
  slider.setAttribute("aria-valuetext", `${where}: ${what}`);
  text("shown", `${where}  ·  ${what}`);
  $("previous").disabled = $("first").disabled = event <= 1;
  $("next").disabled = $("last").disabled = event >= last;
  $("failure-before").disabled = !failures.some((each) => each < event);
  $("failure-after").disabled = !failures.some((each) => each > event);
  $("by-events").setAttribute("aria-pressed", String(!page.byDecisions));
  $("by-decisions").setAttribute("aria-pressed", String(page.byDecisions));
  const counts = page.counts(doc.tasks.keys());
  counts.delete("not there yet");
  renew($("counts"), [...counts].map(([status, count]) =>
    el("button.chip", { type: "button", "data-key": status, title: `Show the tasks that are ${status}`, onclick: () => filtered(status) }, badge(status, `${count} ${status}`))));
}

function ticks() {
  const { failures, last } = page;
  const places = new Set(failures.map((event) => Math.round(((event - 1) / Math.max(last - 1, 1)) * 1000)));
  $("ticks").replaceChildren(svg("path", { d: [...places].map((x) => `M${x} 0v8`).join("") }));
}

// ---- what is beside the views: why a task stands where it stands, or what is pending

/** Return the tasks that failed with nothing before them that failed, of those that a task waits for. */
function roots(tasks) {
  const seen = new Set();
  const found = [];
  const walk = (task) => {
    if (seen.has(task) || seen.size > 20000) return false;
    seen.add(task);
    const before = page.conditions(task).filter((each) => each.task !== undefined && each.task !== task).map((each) => walk(each.task));
    const failed = page.bad(page.status(task));
    if (failed && !before.some(Boolean)) found.push(task);
    return failed || before.some(Boolean);
  };
  tasks.forEach(walk);
  return found;
}

function side() {
  const { task } = page;
  renew($("side-name"), task === null ? [page.closed ? "Failures and what was left" : "Pending at this moment"] : [badge(page.status(task)), el("span", {}, ` ${plain(page.doc.tasks[task].id)}`)]);
  renew($("why"), task === null ? pending() : why(task));
}

function pending() {
  const { doc } = page;
  const open = [];
  const failed = [];
  doc.tasks.forEach((_, task) => {
    const status = page.status(task);
    if (OPEN.includes(status)) open.push(task);
    else if (page.bad(status)) failed.push(task);
  });
  const first = roots(failed);
  const item = (task) => el("li", {}, badge(page.status(task)), " ", taskLink(task, "p"), el("div.soft", {}, reason(task)));
  const listed = (tasks) => el("ul.plain", {}, ...tasks.slice(0, MOST.listed).map(item), tasks.length > MOST.listed ? el("li.soft", {}, `and ${tasks.length - MOST.listed} more: see Tasks`) : null);
  return [
    first.length ? el("h3", {}, "Root failures") : null, first.length ? listed(first) : null,
    open.length && first.length ? el("h3", {}, "Pending") : null, open.length ? listed(open) : null,
    open.length || first.length ? null : el("p.soft", {}, page.closed ? "Nothing failed, and nothing was left." : "Nothing is pending."),
    el("p.soft", {}, "Choose a task to see why it stands where it stands."),
  ];
}

/** Return the first line on a task: its first condition, or how its last attempt ended. */
function reason(task) {
  const [first] = page.conditions(task);
  if (first) return page.words(first.text);
  const ended = page.attempts(task).findLast((each) => each.ended && each.ended <= page.event);
  return ended ? [ended.outcome, ended.reason].filter(Boolean).map((each) => plain(each)).join(": ") : "";
}

function why(task) {
  const { kind, name, role, requires, parent, group } = page.doc.tasks[task];
  const first = roots([task]).filter((each) => each !== task);
  const facts = [kind, name, role].filter(Boolean).map((each) => plain(each)).join("  ·  ");
  const lines = page.conditions(task);
  const needed = (label, tasks) => (tasks.length ? el("p.soft", {}, `${label} `, ...tasks.slice(0, 12).flatMap((each, i) => [i ? ", " : "", taskLink(each, "r")]), tasks.length > 12 ? ` and ${tasks.length - 12} more` : "") : null);
  return [
    el("p.soft", {}, facts, "  ", button("Close", () => page.select(task), { "data-key": "close", title: "Close (Esc)" })),
    first.length ? el("h3", {}, "Root failures") : null,
    first.length ? el("ul.plain", {}, ...first.slice(0, 20).map((each) => el("li", {}, badge(page.status(each)), " ", taskLink(each, "f"), el("div.soft", {}, reason(each))))) : null,
    el("h3", {}, "Why"),
    lines.length ? tree(task, new Set([task]), { left: MOST.conditions }) : el("p.soft", {}, page.status(task) === "not there yet" ? "Its generator has not returned it yet." : "It waits for nothing."),
    needed("Requires", requires), parent === null ? null : needed("Returned by", [parent]),
    ...attempts(task), ...result(task),
    group === null || group === undefined ? null : el("p.soft", {}, `In the group ${plain(page.doc.groups[group].label)}`),
  ];
}

/** Return the tree of the conditions of a task, those with a failure in them first. */
function tree(task, above, budget) {
  const rank = ({ task: other }) => (other === undefined ? 1 : page.bad(page.status(other)) ? 0 : 2);
  const lines = page.conditions(task).toSorted((a, b) => rank(a) - rank(b));
  const shown = lines.slice(0, Math.max(0, Math.min(lines.length, budget.left)));
  budget.left -= shown.length;
  const items = shown.map(({ text: words, task: other }) => {
    if (other === undefined || other === task) return el("li", {}, page.words(words));
    const key = `w${task}-`;
    const line = el("li", {}, page.words(words), " ", badge(page.status(other)), " ", taskLink(other, key));
    if (above.has(other)) return line;
    above.add(other);
    if (budget.left > 0 && page.conditions(other).length) line.append(tree(other, above, budget));
    return line;
  });
  if (shown.length < lines.length) items.push(el("li.soft", {}, `and ${lines.length - shown.length} more`));
  return el("ul.tree", {}, ...items);
}

function attempts(task) {
  const all = page.attempts(task);
  if (!all.length) return [];
  const shown = all.slice(-20);
  const at = (event) => (event && event <= page.event ? page.when(page.times[event - 1]) : "");
  const ended = (each, value) => (each.ended && each.ended <= page.event ? value : null);
  const span = (from, to) => (from && to && to <= page.event ? duration((page.times[to - 1] - page.times[from - 1]) / 1000) : "");
  const lines = [
    ["scheduled", (each) => at(each.opened)], ["started", (each) => at(each.started)], ["ended", (each) => at(each.ended)],
    ["in queue", (each) => span(each.opened, each.started)], ["ran", (each) => span(each.started, each.ended)],
    ["by", (each) => (each.started && each.started <= page.event ? plain(each.worker ?? "") : "")],
    ["outcome", (each) => ended(each, plain(each.outcome ?? "")) ?? "open"],
    ["reason", (each) => ended(each, value(each.reason))], ["details", (each) => ended(each, value(each.details))],
  ];
  const filled = lines.map(([name, cell]) => [name, shown.map(cell)]).filter(([, cells]) => cells.some((cell) => cell));
  const heads = shown.map((each, i) => el("th", { scope: "col" }, link(`attempt ${all.length - shown.length + i + 1}`, () => page.go(each.opened), `a${each.opened}`)));
  const rows = filled.map(([name, cells]) => el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((cell) => el("td", {}, cell ?? ""))));
  const label = "Attempts, side by side";
  return [el("h3", {}, all.length > 20 ? `The last 20 of ${all.length} attempts` : "Attempts"),
    el("div.wide", { tabindex: 0, role: "region", "aria-label": label }, el("table.attempts", { "aria-label": label }, el("thead", {}, el("tr", {}, el("td"), ...heads)), el("tbody", {}, ...rows)))];
}

function result(task) {
  const { result: found } = page.doc.tasks[task];
  return found === undefined || page.status(task) !== "done" ? [] : [el("h3", {}, "Result"), value(found)];
}

/** Return a value as text with its lines; of a long one its beginning, and a button for the rest. */
function value(found) {
  if (found === null || found === undefined || found === "") return null;
  const all = typeof found === "string" ? found : JSON.stringify(found, null, 2);
  const shown = el("pre", { tabindex: 0, role: "region", "aria-label": "Value" }, plain(all, MOST.text));
  if (all.length <= MOST.text) return shown;
  const rest = button(`Show all ${all.length.toLocaleString("en")} characters`, () => {
    shown.textContent = plain(all, Infinity);
    rest.remove();
  });
  return el("div", {}, shown, rest);
}

// ---- the views

/** The view that is shown: its elements, how it is drawn anew, and its drawing, if it has one. */
let view = {};

const VIEWS = {
  graph() {
    if (page.doc.graph.too_large) return plainly(el("p", {}, plain(page.doc.graph.too_large)), requirements());
    if (page.tables) return tabled(requirements());
    return drawn(new Graph(page));
  },
  timeline() {
    if (page.tables) return tabled(intervals());
    const lanes = new Timeline(page);
    const idle = button("Fold idle time", () => {
      page.folds = !page.folds;
      open();
    }, { "aria-pressed": String(page.folds), "data-key": "idle" });
    return drawn(lanes, idle);
  },
  tasks() {
    const box = el("input", { type: "search", id: "filter", "aria-label": "Filter of the tasks", placeholder: "task, type or text, failed, attempt>1", value: page.filter, "aria-describedby": "matches" });
    const said = el("span.soft", { id: "matches", role: "status" });
    let found = [];
    const rows = new Rows("Tasks", [["Task", null], ["Status", 190], ["Kind", 250], ["Attempts", 80], ["Ran", 90], ["Why", null]], (i) => {
      const task = found[i];
      const { kind, name } = page.doc.tasks[task];
      const tries = page.attempts(task);
      const last = tries[tries.length - 1];
      const ran = last?.started && last.ended && last.ended <= page.event ? duration((page.times[last.ended - 1] - page.times[last.started - 1]) / 1000) : "";
      return [[taskLink(task, "k"), badge(page.status(task)), plain(name ? `${kind} ${name}` : kind, 90), el("td.number", {}, String(tries.length || "")), el("td.number", {}, ran), reason(task)], { class: task === page.task ? "chosen" : null }];
    });
    const draw = () => {
      const matches = matcher(page.filter);
      found = [...page.doc.tasks.keys()].filter(matches);
      said.textContent = `${found.length.toLocaleString("en")} of ${page.doc.tasks.length.toLocaleString("en")} tasks`;
      rows.refresh(found.length);
    };
    box.addEventListener("input", () => {
      page.filter = box.value;
      show();
    });
    return { elements: [el("div.tools.row", {}, box, said), rows.element], draw, drawing: { reveal: (task) => rows.reveal(found.indexOf(task)) } };
  },
  events() {
    let shown = [];
    const { doc } = page;
    const rows = new Rows("Events", [["#", 70], ["Time", 170], ["Event", 290], ["Task", 200], ["", null]], (i) => {
      const event = shown[i];
      if (typeof event !== "number") return [[el("td.divider", { colspan: 5 }, event.task < 0 ? "The run" : taskLink(event.task, "d"), ` ${event.count} events`)]];
      const task = doc.events.task[event - 1];
      const note = page.raw ? JSON.stringify(raw?.[event - 1] ?? "…") : doc.events.text[event - 1];
      const classes = [event === page.event ? "now" : event > page.event ? "later" : "", FAILURE.test(page.type(event)) ? "bad" : ""].join(" ");
      return [[link(String(event), () => page.go(event), `e${event}`), page.when(page.times[event - 1]), (FAILURE.test(page.type(event)) ? "✕ " : "") + page.type(event), task >= 0 ? taskLink(task, `e${event}`) : "", el(page.raw ? "td.mono" : "td", {}, plain(note, 300))], { class: classes, "aria-current": event === page.event ? "true" : null }];
    });
    const list = () => {
      const all = page.times.map((_, i) => i + 1);
      const by = Map.groupBy(all, (event) => doc.events.task[event - 1]);
      shown = page.flat ? all : [...by].flatMap(([task, events]) => [{ task, count: events.length }, ...events]);
    };
    const switched = (name, key) => button(name, () => {
      page[key] = !page[key];
      open();
    }, { "aria-pressed": String(key === "flat" ? !page.flat : page[key]), "data-key": key });
    const detail = el("section.detail", { "aria-label": "The event shown" });
    let latest = null;
    const draw = async () => {
      rows.refresh(shown.length);
      if (latest !== page.event) rows.reveal(shown.indexOf(page.event));
      latest = page.event;
      const found = (await attributes())?.[latest - 1];
      if (latest === page.event) renew(detail, [el("h3", {}, `${latest}  ${page.type(latest)}`), value(found)]);
    };
    list();
    return { elements: [el("div.tools.row", {}, switched("Group by task", "flat"), switched("Raw", "raw")), rows.element, detail], draw };
  },
  decisions() {
    const { decision_tasks: all } = page.doc;
    const rows = new Rows("Decision tasks", [["#", 60], ["Completed", 180], ["Took", 80], ["Outcome", 110], ["By", 160], ["As the spec decides", 150], ["Decisions", null]], (i) => {
      const each = all[i];
      const stop = page.stops[i];
      const same = each.same === null || each.same === undefined ? "" : each.same ? "✓ same" : "✕ differs";
      const took = each.started && each.ended ? duration((page.times[each.ended - 1] - page.times[each.started - 1]) / 1000) : "";
      return [[link(String(i + 1), () => page.go(stop), `n${i}`), page.when(page.times[stop - 1]), el("td.number", {}, took), plain(each.outcome), plain(each.decider ?? "", 90), same, each.decisions.slice(0, 20).map((line) => plain(line, 120)).join("; ")], { class: stop === page.event ? "now" : stop > page.event ? "later" : null }];
    });
    return { elements: [rows.element], draw: () => rows.refresh(all.length), drawing: { reveal: () => {} } };
  },
  data() {
    const { run, signals, timers, markers, related } = page.doc;
    const facts = [["Workflow id", run.workflow_id], ["Run id", run.run_id], ["Type", run.type], ["Domain", run.domain], ["Task list", run.task_list], ["Tags", run.tags.join(", ")]];
    const part = (name, rows, columns, cells) => (rows.length ? [el("h3", {}, `${name} (${rows.length})`), listing(name, columns, rows, cells)] : []);
    const at = (event) => (event ? link(page.when(page.times[event - 1]), () => page.go(event), `${event}`) : "");
    const box = el("div.scroll", { tabindex: 0, role: "region", "aria-label": "The run" });
    const draw = () => {
      const past = (rows) => rows.filter((each) => each.event <= page.event);
      renew(box, [
        el("dl", {}, ...facts.filter(([, found]) => found).flatMap(([name, found]) => [el("dt", {}, name), el("dd", {}, plain(found))])),
        el("h3", {}, "Input"), value(run.input) ?? el("p.soft", {}, "none"),
        ...(page.closed ? [el("h3", {}, run.reason || run.details ? "Failure" : "Result"), value(run.reason), value(run.details), value(run.result) ?? (run.reason ? null : el("p.soft", {}, "none"))] : []),
        ...part("Signals", past(signals), ["Name", "When", "Input"], (each) => [plain(each.name), at(each.event), value(each.input)]),
        ...part("Timers", past(timers), ["Name", "Started", "Delay", "Ended"], (each) => [plain(each.name), at(each.event), duration(each.seconds), each.ended && each.ended <= page.event ? el("span", {}, at(each.ended), ` ${plain(each.outcome ?? "")}`) : "open"]),
        ...part("Markers", past(markers), ["Name", "When", "Details"], (each) => [plain(each.name), at(each.event), value(each.details)]),
        ...part("Related runs", related, ["Role", "Run", "Task"], (each) => [each.role, runLink(each), each.task === null || each.task === undefined ? "" : taskLink(each.task, "l")]),
      ]);
    };
    return { elements: [box], draw };
  },
  check() {
    const { verdict, difference, lints, has_spec: known } = page.doc.check;
    const shown = Object.entries(difference ?? {}).filter(([name]) => name !== "text");
    const place = (each) => (each.task !== undefined && each.task !== null ? taskLink(each.task, "c") : each.event ? link(`event ${each.event}`, () => page.go(each.event), `c${each.event}`) : "");
    return plainly(
      el("h2", {}, "Does the spec decide what was decided?"), el("p", {}, page.words(verdict)),
      known ? null : el("p.soft", {}, "The run carries no spec: tasks that have not begun are unknown."),
      shown.length ? listing("First difference", ["Field", "Value"], shown, ([name, found]) => [name, name === "event" ? link(`event ${found}`, () => page.go(found), "first") : value(found)]) : null,
      el("h2", {}, "Warnings and notes"),
      lints.length ? listing("Warnings and notes", ["Level", "What", "Where"], lints.slice(0, 200), (each) => [el("span", { class: `level ${each.level}` }, each.level === "warning" ? "! warning" : "i note"), page.words(each.text), place(each)]) : el("p.soft", {}, "None."));
  },
};

const listing = (label, columns, rows, cells) => el("table", { "aria-label": label }, el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name)))),
  el("tbody", {}, ...rows.slice(0, 100).map((row) => el("tr", {}, ...cells(row).map((cell) => el("td", {}, cell ?? ""))))));

const asTable = () => button("Table", () => {
  page.tables = !page.tables;
  open();
}, { "aria-pressed": String(page.tables), "data-key": "table" });
const tabled = (rows) => ({ elements: [el("div.tools.row", {}, asTable()), rows.element], draw: () => rows.refresh() });
const plainly = (...elements) => ({ elements: [el("div.scroll", { tabindex: 0, role: "region", "aria-label": "Details" }, ...elements.map((each) => each?.element ?? each).filter(Boolean))], draw: () => elements.forEach((each) => each?.refresh?.()) });

function drawn(drawing, ...more) {
  const tools = el("div.tools.row", {}, zoomButtons(drawing), ...more, asTable());
  return { elements: [tools, drawing.element], drawing, draw: () => drawing.refresh() };
}

function requirements() {
  const { tasks } = page.doc;
  const rows = new Rows("Tasks and what they require", [["Task", null], ["Status", 190], ["Requires", null]], (i) => [[taskLink(i, "q"), badge(page.status(i)), plain(tasks[i].requires.slice(0, 30).map((each) => tasks[each].id).join(", "))]]);
  rows.count = tasks.length;
  return rows;
}

function intervals() {
  const all = page.doc.tasks.flatMap(({ spans }, task) => spans.map((span) => [task, ...span])).sort((a, b) => a[2] - b[2]);
  const rows = new Rows("Intervals of the timeline", [["Task", null], ["Was", 190], ["From", 170], ["To", 170], ["Seconds", 110]], (i) => {
    const [task, status, start, end] = all[i];
    return [[taskLink(task, `i${i}`), badge(page.doc.statuses[status]), page.when(start), end === null ? "" : page.when(end), el("td.number", {}, (((end ?? page.end) - start) / 1000).toFixed(3))], { class: start > page.now ? "later" : null }];
  });
  rows.count = all.length;
  return rows;
}

/** Return a function that says if a task fits a filter, for example `failed type:charge attempt>1 text`. */
function matcher(filter) {
  const tests = [...filter.matchAll(/"([^"]*)"|\S+/g)].map(([whole, quoted]) => {
    const token = (quoted ?? whole).toLowerCase();
    const more = token.match(/^attempts?([<>=])(\d+)$/);
    if (more) return (task) => ({ "<": (n) => n < more[2], ">": (n) => n > more[2], "=": (n) => n === Number(more[2]) })[more[1]](page.attempts(task).length);
    const [, key, rest] = token.match(/^(task|type|status):(.*)$/) ?? [null, "", token];
    const named = page.doc.statuses.some((each) => each === rest) || rest === "retrying";
    if (key === "status" || (!key && named)) return (task) => page.status(task) === (rest === "retrying" ? "waiting for its retry" : rest);
    return (task) => {
      const { id, kind, name } = page.doc.tasks[task];
      const where = { task: id, type: `${kind} ${name}`, "": `${id} ${kind} ${name} ${reason(task)}` }[key];
      return where.toLowerCase().includes(rest);
    };
  });
  return (task) => tests.every((test) => test(task));
}

function filtered(status) {
  page.filter = status.includes(" ") ? `"${status}"` : status;
  tab("tasks");
}

function tab(name) {
  page.tab = name;
  open();
}

/** Open the view that is chosen, and show everything anew. */
function open() {
  for (const id of TABS) {
    $(`tab-${id}`).setAttribute("aria-selected", String(id === page.tab));
    $(`tab-${id}`).tabIndex = id === page.tab ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${page.tab}`);
  view = VIEWS[page.tab]();
  renew($("panel"), view.elements);
  show();
}

/** Show everything at the moment that is chosen. */
function show() {
  head();
  moment();
  side();
  view.draw?.();
  remember();
}

// ---- the state of the page in its address

let late = null;
function remember() {
  clearTimeout(late);
  late = setTimeout(() => history.replaceState(null, "", `#${address()}`), 200);
}

function address() {
  const state = { run: page.run || null, event: page.event === page.last ? null : page.event, task: page.task === null ? null : page.doc.tasks[page.task].id, tab: page.tab, mode: page.byDecisions ? "decisions" : null, filter: page.filter || null };
  return new URLSearchParams(Object.entries(state).filter(([, found]) => found !== null));
}

async function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  const run = Number(state.get("run") ?? 0);
  if (run !== page.run && $(`document-${run}`)) {
    page.run = run;
    page.load(await packed(`document-${run}`));
    raw = null;
    $("run").hidden = false;
  }
  const task = state.get("task");
  const number = page.doc.tasks.findIndex((each) => each.id === task);
  page.task = number < 0 ? null : number;
  page.event = Math.min(Math.max(Number(state.get("event")) || page.last, 1), page.last);
  page.tab = TABS.includes(state.get("tab")) ? state.get("tab") : page.tab;
  page.byDecisions = state.get("mode") === "decisions";
  page.filter = state.get("filter") ?? "";
  ticks();
  open();
}

// ---- where documents come from

const source = $("source");
let raw = null;

async function unzip(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function packed(id) {
  return JSON.parse(await unzip(Uint8Array.from(atob($(id).textContent.trim()), (c) => c.charCodeAt(0))));
}

/** Return the attributes of all events; a report unpacks them when they are first looked at. */
async function attributes() {
  raw ??= page.doc.raw ?? (await packed(`raw-${page.run}`));
  return raw;
}

function say(message) {
  $("message").hidden = !message;
  $("message").textContent = message;
}

async function fetched(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error((await answer.text()).slice(0, 500) || `${answer.status} ${answer.statusText}`);
  return answer.json();
}

async function start() {
  switches((name) => (name === "times" ? open() : view.drawing?.draw?.()));
  page.run = -1;
  try {
    if (source) page.load(await fetched(source.dataset.document));
    else page.load(await packed("document-0"));
    page.run = 0;
    $("run").hidden = false;
    await recall();
    if (source?.dataset.changes) follow(source.dataset);
  } catch (error) {
    say(`This run cannot be shown: ${plain(error.message)}`);
  }
}

/** Load the document again when the run has changed; who looks at the last event goes on to the new one. */
function follow({ document: url, changes }) {
  new EventSource(changes).addEventListener("message", async () => {
    const { event, last, task, opened } = page;
    const doc = await fetched(url).catch(() => null);
    if (!doc) return;
    page.load(doc);
    raw = null;
    Object.assign(page, { task, opened, event: event === last ? page.last : event });
    ticks();
    open();
  });
}

/** Open a file: a document, or on the server a saved history. */
async function openFile(file) {
  try {
    const bytes = await file.arrayBuffer();
    const zipped = new Uint8Array(bytes.slice(0, 2)).join() === "31,139";
    const doc = parsed(zipped ? await unzip(bytes) : await new Response(bytes).text());
    if (doc?.format === FORMAT) page.load(doc);
    else if (source?.dataset.open) page.load(await fetched(source.dataset.open, { method: "POST", body: bytes, headers: { "X-Floto-Token": source.dataset.token ?? "" } }));
    else throw new Error(`a report opens documents; for a saved history run: floto report ${plain(file.name, 100)} -o run.html`);
    page.run = 0;
    raw = null;
    say("");
    $("run").hidden = false;
    ticks();
    open();
  } catch (error) {
    say(`${plain(file.name, 100)} cannot be opened: ${plain(error.message)}`);
  }
}

function parsed(words) {
  try {
    return JSON.parse(words);
  } catch {
    return null;
  }
}

// ---- the reader's hands

const KEYS = {
  ArrowLeft: () => page.move(-1), ArrowRight: () => page.move(1),
  ArrowUp: () => page.step(page.stops, -1), ArrowDown: () => page.step(page.stops, 1),
  k: () => page.step(page.stops, -1), j: () => page.step(page.stops, 1),
  f: () => page.step(page.failures, 1), F: () => page.step(page.failures, -1),
  "?": () => $("keys").showModal(),
  "/": () => {
    tab("tasks");
    $("filter").focus();
  },
  "+": () => view.drawing?.scale?.(view.drawing.zoom * 1.4), "-": () => view.drawing?.scale?.(view.drawing.zoom / 1.4), 0: () => view.drawing?.fit?.(),
  Escape: () => page.task !== null && page.select(page.task),
};
TABS.forEach((name, i) => (KEYS[i + 1] = () => tab(name)));

addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !page.doc || $("keys").open) return;
  const typing = target.matches("input[type=search], input[type=text], textarea, select");
  if (target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(key)) {
    const next = TABS[(TABS.indexOf(page.tab) + (key === "ArrowLeft" ? -1 : 1) + TABS.length) % TABS.length];
    tab(next);
    $(`tab-${next}`).focus();
  } else if (!typing && KEYS[key]) KEYS[key]();
  else return;
  event.preventDefault();
});

$("tabs").addEventListener("click", (event) => event.target.id.startsWith("tab-") && tab(event.target.id.slice(4)));
$("slider").addEventListener("input", () => {
  const place = Number($("slider").value);
  page.go(page.byDecisions ? (place ? page.stops[place - 1] : 1) : place);
});
const BUTTONS = {
  first: () => page.go(1), last: () => page.go(page.last), previous: () => page.move(-1), next: () => page.move(1),
  "failure-before": KEYS.F, "failure-after": KEYS.f, help: KEYS["?"], open: () => $("file").click(),
  "by-events": () => Object.assign(page, { byDecisions: false }) && show(), "by-decisions": () => Object.assign(page, { byDecisions: true }) && show(),
};
for (const [id, act] of Object.entries(BUTTONS)) $(id).addEventListener("click", act);
$("file").addEventListener("change", () => $("file").files[0] && openFile($("file").files[0]));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});
addEventListener("hashchange", recall);
start();
