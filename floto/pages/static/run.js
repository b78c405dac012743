// One run at any moment: shows what holds at an event, as floto computed it.

import {$, badge, choice, clock, dropped, duration, each$, el, keeping, plain, region, renew, subscribe, svg, switches} from "./common.js"
import {at, attempts, BAD, counts, Graph, groupId, lookup, page, past, PENDING, RETRY, status, taskId, Timeline, when, words} from "./draw.js"

const FORMAT = "floto.view/1"
const TABS = ["graph", "timeline", "tasks", "events", "decisions", "data", "check"]
const MOST = {text: 20000, lines: 60}

// Intervals [from, value] of a list of differences
function intervals(flat) {
	let from = 0
	return Array.from({length: flat.length / 2}, (_, i) => [(from += flat[2 * i]), flat[2 * i + 1]])
}

function unpack(task, end) {
	const spans = Array.from({length: task.spans.length / 3}, (_, i) => {
		const start = end + task.spans[3 * i + 1]
		return [task.spans[3 * i], start, (end = start + task.spans[3 * i + 2])]
	})
	const attempts = task.attempts.map(([opened, started, ended, ...rest]) => [opened, started && opened + started, ended && opened + started + ended, ...rest])
	Object.assign(task, {spans, attempts, statuses: intervals(task.statuses), whys: intervals(task.whys)})
}

function load(doc) {
	if (doc.format !== FORMAT) throw new Error(`this page shows ${FORMAT}, not ${plain(doc.format)}`)
	let end = 0
	const moments = doc.events.at.map((delta) => (end += delta))
	Object.assign(page, {doc, times: moments, last: moments.length, event: moments.length, base: moments[0], end, task: -1, opened: new Set(), attributes: null, stops: doc.decisions.map((row) => row[0]), failures: new Set(doc.failures)})
	doc.tasks.forEach((task) => unpack(task, doc.run.started))
	for (const name in doc.shared) doc.shared[name] = intervals(doc.shared[name])
	doc.sentences = intervals(doc.sentences)
}

// Show why a task has its status; once more: what is pending
page.select = (task) => {
	page.task = page.task === task ? -1 : task
	show()
	view.drawing?.reveal?.(page.task)
}
page.toggle = (group) => {
	const id = groupId(group)
	if (!page.opened.delete(id)) page.opened.add(id)
	view.drawing.lay()
	show()
}

function go(event) {
	page.event = Math.min(Math.max(event, 1), page.last)
	show()
}

function step(events, way) {
	const found = way > 0 ? events.find((event) => event > page.event) : events.findLast((event) => event < page.event)
	if (found || events === page.stops) go(found ?? (way > 0 ? page.last : 1))
}
const move = (way) => (page.decisions ? step(page.stops, way) : go(page.event + way))
const all = () => [...page.doc.tasks.keys()]
const closed = () => page.doc.run.ended !== null && page.event === page.last
const type = (event) => (page.failures.has(event) ? "✕ " : "") + page.doc.events.types[page.doc.events.type[event - 1]]

function conditions(task) {
	const {tasks, whys, shared, derived} = page.doc
	const listed = ([from, number]) => {
		const found = whys[number] ?? []
		const named = new Set(found.map((each) => each.task))
		return found.flatMap((each) => {
			if (each.shared) return listed(lookup(shared[each.shared])).filter((other) => other.task === undefined || !named.has(other.task))
			if (!each.derived) return {task: each.task, text: words(each.text, from)}
			const left = tasks[task].requires.filter((other) => !derived.over.includes(lookup(tasks[other].statuses)[1] ?? -1))
			return left.map((other) => ({task: other, text: derived[tasks[other].expands ? "generator" : "requires"].join(tasks[other].id)}))
		})
	}
	return listed(lookup(tasks[task].whys))
}

const button = (label, onclick, more) => el("button", {onclick, ...more}, label)
const link = (label, onclick, key) => el("button.link", {onclick, "data-key": key}, label)
const taskLink = (task, key) => (task >= 0 ? link(taskId(task), () => page.select(task), `${key}t${taskId(task)}`) : "")
const numbered = (id) => page.doc.tasks.findIndex((each) => each.id === id)
const more = (all, shown = MOST.lines) => `and ${all.length - shown} more`
const soft = (...children) => el("p.soft", ...children)
const classed = (event, now = event === page.event) => ({class: now ? "now" : event > page.event ? "later" : null, "aria-current": now || null})

const span = (from, to) => (from ? (at(to) - at(from)) / 1000 : 0)

// A cell of floto/pages/document/sections.py
function shown(cell) {
	if (typeof cell !== "object" || Array.isArray(cell)) return words(cell)
	const [[kind, found]] = Object.entries(cell)
	return {
		value: () => value(found), task: () => taskLink(found, "c"), run: () => runLink(found), seconds: () => el("span.number", duration(found)),
		event: () => link(cell.label ?? when(at(found)), () => go(found), `e${found}`),
	}[kind]()
}

function value(found) {
	const text = typeof found === "string" ? found : JSON.stringify(found, null, 2) ?? ""
	const element = el("pre", {tabindex: 0, role: "group", "aria-label": "Value"}, plain(text, MOST.text))
	const rest = button(`Show all ${text.length} characters`, () => {
		element.textContent = plain(text, Infinity)
		element.focus()
		rest.remove()
	})
	return text.length > MOST.text ? el("div", element, rest) : element
}

const cell = (found) => (/^T[HD]$/.test(found?.tagName) ? found : el("td", found))

function table(label, names, rows) {
	return el("table", {"aria-label": label}, el("thead", el("tr", ...names.map((name) => (name ? el("th", {scope: "col"}, name) : el("td"))))), el("tbody", ...rows.map((row) => el("tr", ...row.map(cell)))))
}

const sections = (found) => found.flatMap(({title, columns, rows}) => {
	const held = rows.filter(([from]) => from <= page.event)
	const cells = held.slice(0, 200).map(([, ...cells]) => cells.map(shown))
	return held.length ? [el("h2", title), ...(columns ? [table(title, columns, cells)] : cells.map((each) => el("div", ...each))), held.length > 200 && soft(more(held, 200))] : []
})

function runLink({workflow_id: id, run_id: run, status: now}) {
	const here = [...document.querySelectorAll("script[data-run]")].findIndex((each) => each.dataset.run === run && each.dataset.workflow === id)
	const href = here >= 0 ? `#run=${here}` : source && run ? `/runs/${encodeURIComponent(id)}/${encodeURIComponent(run)}` : null
	return el("span", href ? el("a", {href}, id) : id, " ", now && badge(now))
}

const ROW = 30

// A table; only the rows in sight are in the page
class Rows {
	// Columns are "name:pixels|name"; row(i) returns cells, and attributes if any
	constructor(label, columns, row, count = 0) {
		const names = columns.split("|").map((column) => column.split(":"))
		Object.assign(this, {row, count, width: names.length, table: table(label, names.map(([name]) => name), [])})
		this.table.prepend(el("colgroup", ...names.map(([, width]) => el("col", {width}))))
		this.element = region("div.rows", label, this.table)
		this.element.onscroll = () => this.draw()
		new ResizeObserver(() => this.draw()).observe(this.element)
	}

	draw(count = this.count) {
		const {scrollTop, clientHeight} = this.element
		const first = Math.max(0, Math.floor(scrollTop / ROW) - 3)
		const end = Math.min(count, first + Math.ceil(clientHeight / ROW) + 6)
		const space = (rows) => rows > 0 && el("tr.space", {"aria-hidden": true}, el("td", {colspan: this.width, height: rows * ROW}))
		const lines = []
		for (let i = first; i < end; i++) {
			const [cells, attributes] = this.row(i)
			lines.push(el("tr", {"aria-rowindex": i + 2, ...attributes}, ...cells.map(cell)))
		}
		this.count = count
		this.table.ariaRowCount = count + 1
		renew(this.table.tBodies[0], [space(first), ...lines, space(count - end)])
	}

	reveal(i) {
		const {scrollTop, clientHeight} = this.element
		if (i >= 0 && (i * ROW < scrollTop || (i + 3) * ROW > scrollTop + clientHeight)) this.element.scrollTop = i * ROW - clientHeight / 3
	}
}

const text = (id, found) => $(id).textContent !== plain(found) && ($(id).textContent = plain(found))

const dotted = (...parts) => parts.filter(Boolean).join("  ·  ")

function heading() {
	const {run, sentences, related} = page.doc
	const started = clock(run.started, choice("times") === "local")
	const took = closed() && `took ${duration((run.ended - run.started) / 1000)}`
	const [from, said] = lookup(sentences)
	text("name", run.workflow_id)
	text("facts", dotted(run.type, `run ${run.run_id}`, `started ${started}`, took, ...run.tags))
	text("sentence", words(said ?? "", from))
	renew($("state"), [badge(closed() ? run.status : "RUNNING")])
	renew($("related"), [...related.slice(0, 4).map((each) => el("span", `${each.role} `, runLink(each))), related.length > 4 && link(more(related, 4), () => tab("data"), "related")])
}

function moment() {
	const {event, last, stops, doc, decisions} = page
	const done = stops.filter((stop) => stop <= event).length
	const task = doc.events.task[event - 1]
	Object.assign($("slider"), {min: decisions ? 0 : 1, max: decisions ? stops.length : last, value: decisions ? done : event})
	text("shown", dotted(decisions ? `Decision ${done} of ${stops.length}, event ${event}` : `Event ${event} of ${last}`, type(event), doc.tasks[task]?.id, when(at(event))))
	$("slider").ariaValueText = $("shown").textContent
	renew($("counts"), counts(all()).map(([name, count]) => el("button.chip", {"data-key": name, title: "Show these tasks", onclick: () => filtered(name)}, badge(name, `${count} ${name}`))))
}

// Failures that a task waits for, and all that waits for them
function failing(task) {
	const waits = new Map([[task, []]])
	for (const each of waits.keys()) {
		for (const {task: other} of conditions(each)) if (other >= 0) waits.has(other) ? waits.get(other).push(each) : waits.set(other, [each])
	}
	const failed = [...waits.keys()].filter((each) => each !== task && BAD.includes(status(each)))
	const leads = new Set(failed)
	for (const each of leads) waits.get(each).forEach((other) => leads.add(other))
	return [failed, leads]
}

// Its first condition, or how its last attempt ended
function reason(task) {
	const [first] = conditions(task)
	const ended = attempts(task).findLast((each) => past(each[2]))
	return first ? first.text : ended ? ended.slice(4, 6).filter(Boolean).join(": ") : ""
}

function listed(name, tasks) {
	if (!tasks.length) return []
	const items = tasks.slice(0, MOST.lines).map((task) => el("li", badge(status(task)), " ", taskLink(task, name), el("div.soft", reason(task))))
	return [el("h3", name), el("ul.plain", ...items, tasks.length > MOST.lines && el("li", more(tasks), ": see Tasks"))]
}

function side() {
	const {task, doc} = page
	renew($("side-name"), task < 0 ? [closed() ? "At the end" : "At this moment"] : [badge(status(task)), el("span", doc.tasks[task].id)])
	renew($("why"), task < 0 ? pending() : why(task))
}

function pending() {
	const now = all().map(status)
	const outside = (task) => now[task] === "waiting" && conditions(task).length && conditions(task).every((each) => each.task === undefined)
	const lists = [...listed("Root failures", all().filter((task) => BAD.includes(now[task]))), ...listed("Pending", all().filter((task) => PENDING.includes(now[task]) || outside(task)))]
	return [...lists, soft(lists.length ? "" : "Nothing failed, and nothing is pending. ", "Choose a task to see why it stands where it stands.")]
}

function why(task) {
	const {kind, name, role, requires, parent, group, result} = page.doc.tasks[task]
	const [failed, leads] = failing(task)
	const named = (label, tasks) => tasks.length && soft(label, ...tasks.slice(0, 12).flatMap((each) => [" ", taskLink(each, label)]), tasks.length > 12 && ` ${more(tasks, 12)}`)
	return [
		soft(dotted(kind, name, role), " ", button("Close", () => page.select(task), {"data-key": "close"})),
		...listed("Root failures", failed),
		el("h3", "Why"), conditions(task).length ? tree(task, new Set([task]), leads) : soft(reason(task)),
		named("Requires", requires), named("Returned by", [parent ?? []].flat()), page.doc.groups[group] && soft(`In the group: ${page.doc.groups[group].label}`),
		...tried(task), ...(result !== undefined && status(task) === "done" ? [el("h3", "Result"), value(result)] : []),
	]
}

// Failures first; each task is explained once
function tree(task, above, leads) {
	const lines = conditions(task).toSorted((a, b) => leads.has(b.task) - leads.has(a.task))
	const items = lines.slice(0, MOST.lines).map((each) => {
		const other = each.task ?? task
		const again = above.has(other) || above.size > 3 * MOST.lines || !conditions(other).length
		above.add(other)
		return el("li", each.text, ...(other === task ? [] : [" ", badge(status(other)), " ", taskLink(other, `w${taskId(task)}`)]), !again && tree(other, above, leads))
	})
	return el("ul.tree", ...items, lines.length > MOST.lines && el("li", more(lines)))
}

// Attempts side by side
function tried(task) {
	const found = attempts(task)
	if (!found.length) return []
	const columns = found.slice(-20)
	const event = (found) => ({event: found})
	const facts = {
		scheduled: [0, (each) => event(each[0])], started: [1, (each) => event(each[1])], ended: [2, (each) => event(each[2])],
		queued: [1, (each) => ({seconds: span(each[0], each[1])})], ran: [2, (each) => ({seconds: span(each[1], each[2])})], by: [1, (each) => each[3]],
		outcome: [2, (each) => each[4]], reason: [2, (each) => each[5] && {value: each[5]}], details: [2, (each) => each[6] && {value: each[6]}],
	}
	const cells = ([when, fact]) => columns.map((each) => past(each[when]) && fact(each) && shown(fact(each)))
	const rows = Object.entries(facts).map(([name, fact]) => [el("th", {scope: "row"}, name), ...cells(fact)]).filter(([, ...row]) => row.some(Boolean))
	return [el("h3", "Attempts"), region("div.wide", "Attempts", table("Attempts, side by side", ["", ...columns.map((_, i) => `attempt ${found.length - columns.length + i + 1}`)], rows))]
}

let view = {}

const VIEWS = {
	graph() {
		const {too_large: large, note} = page.doc.graph
		if (!large) return drawn(new Graph(), note && soft(note))
		const table = VIEWS.tasks()
		return {...table, elements: [soft(large), ...table.elements]}
	},
	timeline() {
		if (!page.table) return drawn(new Timeline())
		const found = page.doc.tasks.flatMap(({spans}, task) => spans.map((each) => [task, ...each])).sort((a, b) => a[2] - b[2])
		return tabled(new Rows("Intervals of the timeline", "Task|Was:190|From:170|To:170|Took:110", (i) => {
			const [task, kind, start, end] = found[i]
			return [[taskLink(task, `i${i}`), badge(page.doc.statuses[kind]), when(start), when(end), duration((end - start) / 1000)], {class: start > at(page.event) ? "later" : null}]
		}, found.length))
	},
	tasks() {
		let found = []
		const rows = new Rows("Tasks", "Task|Status:190|Kind:160|Attempts:80|Ran:70|Why|Requires:110", (i) => {
			const task = found[i]
			const {kind, name, role, requires} = page.doc.tasks[task]
			const tries = attempts(task)
			const [, started, ended] = tries.at(-1) ?? []
			return [[taskLink(task, "k"), badge(status(task)), dotted(`${kind} ${name}`, role), tries.length || "", past(ended) ? duration(span(started, ended)) : "", reason(task), requires.slice(0, 9).map((each) => page.doc.tasks[each].id).join(", ")], {class: task === page.task ? "chosen" : null}]
		})
		const draw = () => {
			found = all().filter(matcher(page.filter))
			$("matches").textContent = `${found.length} of ${page.doc.tasks.length} tasks`
			rows.draw(found.length)
		}
		return {elements: [rows.element], draw, drawing: {reveal: (task) => rows.reveal(found.indexOf(task))}}
	},
	events() {
		const {task: tasks, text: notes} = page.doc.events
		const events = page.times.map((_, i) => i + 1)
		const lines = page.grouped ? [...Map.groupBy(events, (event) => tasks[event - 1])].flatMap(([task, found]) => [{task, count: found.length}, ...found]) : events
		const rows = new Rows("Events", `#:60|Time:170|Event:270|Task:150|${page.raw ? "Attributes" : "About"}`, (i) => {
			const event = lines[i]
			if (event.count) return [[el("td.divider", {colspan: 5}, taskLink(event.task, "d") || "The run", `, ${event.count} events`)]]
			const note = page.raw ? JSON.stringify(page.attributes?.[event - 1] ?? "") : notes[event - 1]
			return [[shown({event, label: event}), when(at(event)), el(page.failures.has(event) ? "td.bad" : "td", type(event)), taskLink(tasks[event - 1], `e${event}`), el(page.raw ? "td.mono" : "td", plain(note, 300))], classed(event)]
		}, lines.length)
		const detail = el("section", {"aria-label": "The event shown"})
		const draw = async () => {
			const {event} = page
			rows.draw()
			rows.reveal(lines.indexOf(event))
			if (!page.attributes) {
				page.attributes = page.doc.raw ?? (await packed(`raw-${page.run}`))
				rows.draw()
			}
			if (event === page.event) renew(detail, [el("h2", `${event}  ${type(event)}`), value(page.attributes[event - 1])])
		}
		return {elements: [rows.element, detail], draw}
	},
	decisions() {
		const rows = page.doc.decisions
		return tabled(new Rows("Decision tasks", "#:60|Completed:170|Took:80|Outcome:110|By:150|Replay:100|Decisions", (i) => {
			const [event, ...cells] = rows[i]
			return [[shown({event, label: i + 1}), when(at(event)), ...cells.map(shown)], classed(event)]
		}, rows.length))
	},
	data: () => sectioned("The run", page.doc.data),
	check: () => sectioned("Check", page.doc.check),
}

const tabled = (rows) => ({elements: [rows.element], draw: () => rows.draw()})
const drawn = (drawing, note) => ({elements: [note, drawing.element], drawing, draw: () => drawing.refresh()})

function sectioned(label, found) {
	const box = region("div.scroll", label)
	return {elements: [box], draw: () => renew(box, sections(found))}
}

// failed type:charge attempt>1 text
function matcher(filter) {
	const tests = [...filter.toLowerCase().matchAll(/"([^"]*)"|\S+/g)].map(([whole, quoted]) => {
		const token = (quoted ?? whole).replace(/^status:/, "").replace(/^retrying$/, RETRY)
		const tries = token.match(/^attempts?([<>=])(\d+)$/)
		if (tries) return (task) => Math.sign(attempts(task).length - tries[2]) === "<=>".indexOf(tries[1]) - 1
		if (page.doc.statuses.includes(token)) return (task) => status(task) === token
		return (task) => {
			const {id, kind, name, role} = page.doc.tasks[task]
			return `task:${id} kind:${kind} type:${name} ${role} ${reason(task)}`.toLowerCase().includes(token)
		}
	})
	return (task) => tests.every((test) => test(task))
}

function filtered(name) {
	page.filter = name.includes(" ") ? `"${name}"` : name
	tab("tasks")
}

function tab(name) {
	page.tab = name
	open()
}

function open() {
	each$("[role=tab]", (each) => {
		const chosen = each.id === `tab-${page.tab}`
		each.ariaSelected = chosen
		each.tabIndex = chosen ? 0 : -1
	})
	each$("[data-views]", (each) => (each.hidden = !each.dataset.views.includes(page.tab)))
	each$("[data-toggle]", (each) => (each.ariaPressed = !!page[each.dataset.toggle]))
	$("panel").setAttribute("aria-labelledby", `tab-${page.tab}`)
	$("filter").value = page.filter
	view = VIEWS[page.tab]()
	renew($("view"), view.elements)
	view.drawing?.fit?.(0.75)
	show()
}

// Show everything at the moment that is chosen
function show() {
	heading()
	moment()
	side()
	view.draw()
	clearTimeout(page.late)
	page.late = setTimeout(() => history.replaceState(null, "", `#${new URLSearchParams(state())}`), 200)
}

const state = () => Object.entries({run: Math.max(page.run, 0), event: page.event < page.last ? page.event : "", task: taskId(page.task), tab: page.tab, mode: page.decisions ? "decisions" : "", filter: page.filter}).filter(([, found]) => found)

async function recall() {
	const kept = new URLSearchParams(location.hash.slice(1))
	const named = +kept.get("run")
	const run = $(`document-${named}`) ? named : 0
	if (run !== page.run && $(`document-${run}`)) {
		page.run = run
		load(await packed(`document-${run}`))
	}
	const event = Math.min(Math.max(Math.trunc(kept.get("event")) || page.last, 1), page.last)
	const name = TABS.includes(kept.get("tab")) ? kept.get("tab") : page.tab
	opened({event, tab: name, task: numbered(kept.get("task")), decisions: kept.get("mode") === "decisions", filter: kept.get("filter") ?? ""})
}

function opened(more) {
	Object.assign(page, more)
	say("")
	$("run").hidden = false
	each$(".others a", (each, i) => (each.ariaCurrent = i === page.run))
	const places = new Set(page.doc.failures.map((event) => Math.round(((event - 1) / Math.max(page.last - 1, 1)) * 1000)))
	$("ticks").replaceChildren(svg("path", {d: [...places].map((x) => `M${x} 0v8`).join("")}))
	open()
}

const source = $("source")

async function packed(id) {
	const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0))
	return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json()
}

const say = (message) => Object.assign($("message"), {hidden: !message, textContent: message})

async function fetched(url, options) {
	const answer = await fetch(url, options)
	if (!answer.ok) throw Object.assign(new Error((await answer.text()) || answer.statusText), {status: answer.status})
	return answer.json()
}

const attempt = (what, act) => act().catch((error) => say(`${what} cannot be shown: ${plain(error.message)}`))

const openFile = (file) => file && attempt(plain(file.name, 100), async () => {
	const said = await file.text()
	let doc = said.slice(0, 100).includes(FORMAT) && JSON.parse(said)
	if (!doc && !source?.dataset.open) throw new Error(`a report opens documents; make a page of a history by: floto report ${plain(file.name, 100)} -o run.html`)
	doc ||= await fetched(source.dataset.open, {method: "POST", body: file, headers: {"content-type": "application/octet-stream", "X-Floto-Token": source.dataset.token}})
	load(doc)
	opened({run: -1})
	if ($("helps")) helped([])
	page.unfollow?.()
})

// Show the run of the server, which is asked again while it fails
async function begin() {
	const doc = await fetched(source.dataset.document).catch((error) => {
		if (!error.status || error.status === 503) setTimeout(() => page.doc || attempt("This run", begin), 3000)
		throw error
	})
	page.run = 0
	load(doc)
	if (source.dataset.changes) follow(source.dataset)
	await recall()
}

// Show what helps the run now
function helped(found) {
	$("helps").hidden = !found.length
	renew($("helps").lastElementChild, found.map(([text, commands]) => el("li", text, ...commands.map((each) => el("pre.command", each)))))
}

// Load the document again when the run has other events than are shown; stay at the last one
function follow({document: url, changes}) {
	page.unfollow = subscribe(changes, async (news) => {
		helped(news.help)
		// A service restored from a backup has fewer events, or others
		const doc = (news.event !== page.last || news.at !== page.times.at(-1)) && (await fetched(url))
		if (page.run) return
		if (doc) keeping($("view"), () => renewed(doc))
		if (news.closed) page.unfollow()
	})
}

// Show another document of the same run, and the same place of the view; who sees the last event still does
function renewed(doc) {
	const {event, last, opened: groups} = page
	const [id, zoom] = [taskId(page.task), view.drawing?.zoom]
	const area = () => $("view").querySelector("[role=region]")
	const {scrollLeft, scrollTop, scrollHeight, clientHeight} = area()
	load(doc)
	opened({task: numbered(id), opened: groups, event: event === last ? page.last : Math.min(event, page.last)})
	view.drawing?.scale?.(zoom)
	if (page.tab === "events" && event === last && scrollTop + clientHeight > scrollHeight - ROW) return
	area().scrollTo(scrollLeft, scrollTop)
	area().onscroll?.()
}

const scale = (by) => view.drawing?.scale?.(view.drawing.zoom * by)
const KEYS = {
	ArrowLeft: () => move(-1), ArrowRight: () => move(1), ArrowUp: () => step(page.stops, -1), ArrowDown: () => step(page.stops, 1),
	f: () => step(page.doc.failures, 1), F: () => step(page.doc.failures, -1), "?": () => $("keys").showModal(),
	"+": () => scale(1.4), "-": () => scale(1 / 1.4), 0: () => view.drawing?.fit?.(),
	Home: () => go(1), End: () => go(page.last), file: () => $("file").click(),
	Escape: () => page.task >= 0 && page.select(page.task),
	"/": () => {
		tab("tasks")
		$("filter").focus()
	},
}
Object.assign(KEYS, {k: KEYS.ArrowUp, j: KEYS.ArrowDown}, ...TABS.map((name, i) => ({[i + 1]: () => tab(name)})))

addEventListener("keydown", (event) => {
	const {target, key} = event
	if (event.ctrlKey || event.metaKey || event.altKey || !page.doc || $("keys").open || target.matches("input[type=search]")) return
	if (target.matches("[role=tab]") && ["ArrowLeft", "ArrowRight"].includes(key)) {
		tab(TABS.at((TABS.indexOf(page.tab) + (key === "ArrowLeft" ? -1 : 1)) % TABS.length))
		$(`tab-${page.tab}`).focus()
	} else if (target.matches("g[role=button]") && ["Enter", " "].includes(key)) target.dispatchEvent(new MouseEvent("click"))
	else if (KEYS[key]) KEYS[key]()
	else return
	event.preventDefault()
})
$("slider").oninput = ({target}) => go(page.decisions ? (page.stops[target.value - 1] ?? 1) : target.value)
each$("[data-press]", (each) => (each.onclick = () => KEYS[each.dataset.press]()))
each$("[data-toggle]", (each) => (each.onclick = () => {
	page[each.dataset.toggle] = !page[each.dataset.toggle]
	open()
}))
$("filter").oninput = ({target}) => {
	page.filter = target.value
	show()
}
$("file").onchange = ({target}) => openFile(target.files[0])
dropped(document, openFile)
addEventListener("hashchange", recall)

switches(() => page.doc && open())
attempt("This run", async () => (source ? source.dataset.document && begin() : recall()))
