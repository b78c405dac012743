// The list of runs: live rows, and the switches of the bar on every page that the server draws.
import { badge, clock, duration, el, plain, switches, times } from "./common.js";

const table = document.getElementById("runs");
const $ = (id) => document.getElementById(id);

function cells(run) {
  const took =
    run.took === null ? el("span", { "data-since": run.started }) : el("span", { "data-took": run.took });
  return [
    el("td", {}, el("a", { href: run.url }, run.workflow), " ", el("span.soft.mono", {}, run.run)),
    el("td", {}, run.type),
    el("td", {}, badge(run.status), ...(run.note ? [" ", el("span.note", {}, run.note)] : [])),
    el("td", {}, el("time", { "data-ms": run.started }, clock(run.started))),
    el("td.number", {}, took),
    el("td.tags", {}, ...run.tags.flatMap((tag) => [el("span.tag", {}, tag), " "])),
  ];
}

/** Put the rows in the order of the server; rows that did not change stay as they are, with the focus. */
function show({ order, rows, counts, summary, page, pages }) {
  const body = table.tBodies[0];
  const known = new Map([...body.rows].map((row) => [row.dataset.run, row]));
  const wanted = order.map((id) => {
    const row = known.get(id) ?? el("tr", { "data-run": id });
    if (rows[id]) update(row, rows[id]);
    return row;
  });
  for (const row of body.rows) if (!order.includes(row.dataset.run)) queueMicrotask(() => row.remove());
  wanted.forEach((row, place) => {
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
  });
  let all = 0;
  for (const [status, count] of Object.entries(counts)) {
    all += count;
    numbered(status, count);
  }
  numbered("all", all);
  $("summary").textContent = summary;
  $("previous").hidden = page <= 1;
  $("next").hidden = page >= pages;
  $("empty").hidden = order.length > 0;
  times(table);
  ages();
}

function update(row, run) {
  const text = JSON.stringify(run);
  if (row.dataset.shown === text) return;
  const isNew = row.dataset.shown !== undefined || !row.cells.length;
  const focused = row.contains(document.activeElement);
  row.dataset.shown = text;
  row.replaceChildren(...cells(run));
  if (focused) row.querySelector("a").focus();
  row.classList.toggle("changed", isNew);
}

function numbered(status, count) {
  const place = document.querySelector(`[data-count="${CSS.escape(status)}"]`);
  if (!place) return;
  place.textContent = count.toLocaleString("en");
  const link = place.closest("a");
  link.hidden = !count && status !== "all" && !link.hasAttribute("aria-current");
}

/** Write how long runs took, or have taken until now. */
function ages() {
  for (const each of document.querySelectorAll("[data-took]")) each.textContent = duration(each.dataset.took / 1000);
  for (const each of document.querySelectorAll("[data-since]")) {
    each.textContent = duration(Math.max(Date.now() - each.dataset.since, 0) / 1000);
  }
}

let source = null;

/** Follow the list while the page is seen: a browser has few connections for each server. */
function follow() {
  source?.close();
  source = null;
  if (document.hidden || !table.dataset.events) return;
  source = new EventSource(table.dataset.events);
  source.addEventListener("open", () => state("live"));
  source.addEventListener("message", (event) => show(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    state(source.readyState === EventSource.CLOSED ? "not live: load the page again" : "connecting…");
  });
}

function state(text) {
  $("live").textContent = text;
  $("live").classList.toggle("on", text === "live");
}

/** Open a saved history that is dragged onto the page. */
function dropping() {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    const file = event.dataTransfer.files[0];
    if (file) await opened(file);
  });
}

async function opened(file) {
  state(`opening ${plain(file.name, 100)}…`);
  const headers = { "x-floto-token": table.dataset.token };
  const answer = await fetch("/open", { method: "POST", body: file, headers }).catch(() => null);
  const place = answer?.ok ? answer.headers.get("location") : null;
  if (place) location.assign(place);
  else state(`${plain(file.name, 100)} cannot be opened: ${answer ? plain(await answer.text()) : "no answer"}`);
}

// A text area that a file is dropped on gets its text.
for (const area of document.querySelectorAll("textarea[data-drop]")) {
  area.addEventListener("dragover", (event) => event.preventDefault());
  area.addEventListener("drop", async (event) => {
    event.preventDefault();
    area.value = (await event.dataTransfer.files[0]?.text()) ?? event.dataTransfer.getData("text");
  });
}

switches((name) => name === "times" && times());
times();
if (table) {
  ages();
  setInterval(ages, 1000);
  follow();
  document.addEventListener("visibilitychange", follow);
  dropping();
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    $("filter").select();
  });
}
