// What holds at the moment shown, and the drawings of it: the graph of the tasks and the timeline.

import {ago, badge, choice, clock, duration, el, plain, region, renew, svg} from "./common.js"

export const RETRY = "waiting for its retry"
export const PENDING = ["running", RETRY, "queued", "due"]
export const BAD = ["failed", "canceled"]
// The first of them stands for a group
const ORDER = ["failed", ...PENDING, "waiting", "canceled", "skipped", "reserved for cleanup", "done"]

export const page = {event: 1, task: -1, tab: "graph", filter: "", run: -1, folds: true}

// The last interval [from, value] that has begun
export function lookup(intervals) {
	let [low, high] = [0, intervals.length]
	while (low < high) {
		const middle = (low + high) >> 1
		if (intervals[middle][0] <= page.event) low = middle + 1
		else high = middle
	}
	return intervals[low - 1] ?? []
}

// The ids of a task and of a group: in the document of a later event, they have other numbers
export const taskId = (task) => page.doc.tasks[task]?.id
export const groupId = (number) => taskId(page.doc.groups[number]?.tasks[0])
const isOpen = (number) => page.opened.has(groupId(number))

export const at = (event) => page.times[event - 1]
export const past = (event) => event > 0 && event <= page.event
export const status = (task) => page.doc.statuses[lookup(page.doc.tasks[task].statuses)[1]] ?? "not there"
export const attempts = (task) => page.doc.tasks[task].attempts.filter((each) => past(each[0]))
const relative = () => choice("times") === "relative"

// [status, count] of tasks at the moment shown
export function counts(tasks) {
	const found = Object.fromEntries(ORDER.map((each) => [each, 0]))
	for (const task of tasks) found[status(task)]++
	return Object.entries(found).filter(([, count]) => count)
}

const group = (row) => page.doc.groups[row.group]
const worst = (row) => (row.task < 0 ? (counts(group(row).inner)[0]?.[0] ?? "waiting") : status(row.task))
const holds = (row, task) => task >= 0 && (row.task === task || (row.task < 0 && group(row).inner.includes(task)))

export function when(ms, short = false) {
	if (relative()) return ms > page.base ? `+${duration((ms - page.base) / 1000)}` : "start"
	return clock(ms, choice("times") === "local", !short && page.end - page.base > 72e6)
}

// A text of strings and moments; negative ones count from an event
export const words = (text, from) => [text].flat().map((part) => {
	if (typeof part !== "number") return part
	const ms = part < 0 ? at(from) - part - 1 : part
	return when(ms) + (ms > at(page.event) ? `, ${ago(ms, at(page.event))}` : "")
}).join("")

// The rows of lanes without those below a folded group
function rows(lanes) {
	let hidden = Infinity
	return lanes.flatMap(([depth, task, number]) => {
		if (depth > hidden) return []
		hidden = number >= 0 && !isOpen(number) ? depth : Infinity
		return {depth, task, group: number}
	})
}

// What a drawing shows of a task or a group
function item(row) {
	const folded = row.task < 0
	const open = isOpen(row.group)
	const now = worst(row)
	const tries = folded ? 0 : attempts(row.task).length
	const name = folded ? `${plain(group(row).label)} ×${group(row).inner.length}` : plain(page.doc.tasks[row.task].id)
	const role = folded ? "" : page.doc.tasks[row.task].role
	const note = folded ? counts(group(row).inner).map(([each, count]) => `${symbol(each)} ${count} ${each}`).join(" ") : `${now}${tries > 1 ? `, attempt ${tries}` : ""}${role && `, ${role}`}`
	const attributes = {
		role: "button", tabindex: 0, "data-key": folded ? `g${groupId(row.group)}` : `t${taskId(row.task)}`, "data-status": now, "aria-label": `${name}: ${note}`,
		"aria-expanded": folded ? open : null, onclick: () => (folded ? page.toggle(row.group) : page.select(row.task)),
	}
	const chosen = folded ? !open && holds(row, page.task) : row.task === page.task
	return {name, note, mark: folded ? (open ? "▾" : "▸") : symbol(now), open, attributes, chosen: chosen ? ".chosen" : ""}
}

const symbols = {}

// The symbol of a status in style.css
function symbol(name) {
	if (!symbols[name]) {
		const probe = document.body.appendChild(badge(name))
		symbols[name] = getComputedStyle(probe).getPropertyValue("--symbol").replace(/["\s]/g, "")
		probe.remove()
	}
	return symbols[name]
}

function short(text, most) {
	const end = Math.floor(most / 3)
	return text.length > most ? `${text.slice(0, most - end - 1)}…${text.slice(-end)}` : text
}

const rectangle = (x, y, w, h) => `M${x.toFixed(1)} ${y.toFixed(1)}h${w.toFixed(1)}v${h}h${(-w).toFixed(1)}z`

// An area that scrolls and zooms; only what is in sight is in the page
class Surface {
	zoom = 1

	constructor(label, least, most) {
		Object.assign(this, {least, most, svg: svg("svg", {role: "group", "aria-label": label})})
		this.sizer = el("div.sizer", this.svg)
		this.element = region("div.surface", label, this.sizer)
		this.element.onscroll = () => this.draw()
		this.element.onwheel = (event) => {
			if (!event.ctrlKey) return
			event.preventDefault()
			this.scale(this.zoom * 1.002 ** -event.deltaY, ...this.place(event))
		}
		new ResizeObserver(() => this.refresh()).observe(this.element)
		this.lay()
	}

	refresh() {
		if (!this.element.clientWidth) return
		const [w, h] = this.extent(this.element.clientWidth)
		Object.assign(this.sizer.style, {width: `${w}px`, height: `${h}px`})
		this.draw()
	}

	draw() {
		const {clientWidth: w, clientHeight: h, scrollLeft: x, scrollTop: y} = this.element
		this.svg.setAttribute("width", w)
		this.svg.setAttribute("height", h)
		this.left = x
		renew(this.svg, this.shapes(x, y, w, h))
	}

	// The place of the pointer in what is in sight
	place({clientX, clientY}) {
		const {left, top} = this.element.getBoundingClientRect()
		return [clientX - left, clientY - top]
	}

	// Zoom around a place that is in sight
	scale(zoom, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
		const {scrollLeft, scrollTop} = this.element
		const next = Math.min(Math.max(zoom, this.least), this.most)
		const to = this.moved(next / this.zoom, scrollLeft + x, scrollTop + y)
		this.zoom = next
		this.refresh()
		this.element.scrollTo(to[0] - x, to[1] - y)
	}

	seek(x, y) {
		const {clientWidth: w, clientHeight: h, scrollLeft, scrollTop} = this.element
		if (x < scrollLeft || x > scrollLeft + w - 60) this.element.scrollLeft = x - w / 3
		if (y < scrollTop || y > scrollTop + h - 90) this.element.scrollTop = y - h / 3
	}
}

const [BOX, CELL] = [{w: 176, h: 46}, {w: 158, h: 26}]
// More boxes are drawn as one shape for each status
const MOST_BOXES = 180

export class Graph extends Surface {
	constructor() {
		super("Graph of the tasks", 0.05, 2.5)
	}

	extent() {
		return [this.width * this.zoom, this.height * this.zoom]
	}
	moved(factor, x, y) {
		return [x * factor, y * factor]
	}
	fit(least = 0) {
		const {clientWidth: w, clientHeight: h} = this.element
		this.scale(Math.max(least, Math.min(w / this.width, h / this.height, 1)))
	}
	reveal(task) {
		const box = this.boxes.findLast((each) => holds(each, task))
		if (box) this.seek(box.left * this.zoom, box.top * this.zoom)
	}

	// Place the members of open groups over what is below
	lay() {
		const {boxes, width, height} = page.doc.graph
		const cells = boxes.flatMap((box) => {
			if (!isOpen(box.group)) return []
			const below = rows(page.doc.lanes.slice(...group(box).below))
			const columns = Math.ceil(Math.sqrt(below.length / 5))
			const [left, top] = [box.left + 12, box.top + BOX.h + 6]
			const placed = below.map((row, i) => ({...row, cell: true, left: left + (i % columns) * CELL.w, top: top + Math.floor(i / columns) * CELL.h, w: CELL.w - 6, h: CELL.h - 4}))
			return [{under: true, left: left - 8, top: top - 6, w: columns * CELL.w + 10, h: Math.ceil(below.length / columns) * CELL.h + 10}, ...placed]
		})
		this.boxes = [...boxes.map((box) => ({...box, ...BOX})), ...cells]
		this.width = Math.max(width, ...cells.map((each) => each.left + each.w + 20))
		this.height = Math.max(height, ...cells.map((each) => each.top + each.h + 20))
	}

	shapes(x, y, w, h) {
		const z = this.zoom
		const seen = (each) => each.left < (x + w) / z && each.left + each.w > x / z && each.top < (y + h) / z && each.top + each.h > y / z
		const boxes = this.boxes.filter(seen)
		const drawn = boxes.length > MOST_BOXES || z < 0.4 ? this.coarse(boxes) : boxes.map((box) => this.box(box))
		return [svg("g", {transform: `translate(${-x} ${-y}) scale(${z})`}, ...this.arrows(page.doc.graph.routes.filter(seen)), ...drawn)]
	}

	arrows(routes) {
		const kind = ({to, dashed}) => (to >= 0 && holds(this.boxes[to], page.task) ? ".lit" : dashed ? ".dashed" : "")
		return [...Map.groupBy(routes, kind)].flatMap(([name, all]) => [
			svg(`path.arrow${name}`, {d: all.map((route) => route.path).join("")}), svg(`path.tip${name}`, {d: all.map((route) => route.head).join("")}),
		])
	}

	coarse(boxes) {
		return [...Map.groupBy(boxes.filter((box) => !box.under), worst)].map(([name, all]) => svg("path.box", {"data-status": name, d: all.map((box) => rectangle(box.left, box.top, box.w, box.h)).join("")}))
	}

	box({left: x, top: y, w: width, h: height, cell, under, ...row}) {
		const frame = (kind, by = 0) => svg(`rect.box${kind}`, {x: x + by, y: y + by, width, height, rx: 6})
		if (under) return frame(".open")
		const {name, note, mark, attributes, chosen, open} = item(row)
		const folded = row.task < 0
		const lines = cell ? [svg("text.note", {x: x + 8, y: y + 15}, `${mark} ${short(name, 19)}`)] : [
			svg("text", {x: x + 11, y: y + 19}, short(folded ? `${mark} ${name}` : name, 22)),
			svg("text.note", {x: x + 11, y: y + 36}, folded ? note.length > 25 ? note.replace(/ [a-z ]+/g, "  ") : note : short(`${mark} ${note}`, 28)),
		]
		return svg(`g.node${chosen}`, attributes, folded && !open && !cell && frame("", 4), frame(""), ...lines, svg("title", attributes["aria-label"]))
	}
}

const PLAN = {label: 210, top: 50, line: 26, edge: 24}
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 864e5, 6048e5, 2592e6, 31536e6]

export class Timeline extends Surface {
	constructor() {
		super("Timeline", 1, 4000)
		const {element} = this
		element.onpointerdown = (event) => (this.from = event.button || event.pointerType === "touch" ? 0 : this.place(event)[0])
		element.onpointermove = (event) => event.buttons && this.drag(event)
		element.onpointerup = () => this.brush && this.dragged()
	}

	// Zoom to the span that is dragged over
	drag(event) {
		const [from, to] = [this.from, Math.max(this.place(event)[0], PLAN.label)]
		const width = Math.abs(to - from)
		if (from < PLAN.label || (!this.brush && width < 4)) return
		this.brush = {x: Math.min(from, to), width}
		this.element.setPointerCapture(event.pointerId)
		this.draw()
	}

	dragged() {
		const {x, width} = this.brush
		this.brush = null
		const [start, zoom] = [this.element.scrollLeft + x - PLAN.label, this.zoom]
		this.scale(this.plot / width)
		this.element.scrollLeft = (start * this.zoom) / zoom
	}

	lay() {
		this.rows = rows(page.doc.lanes)
		this.pieces = page.doc.axes[page.folds ? 0 : 1]
	}

	extent(width) {
		this.plot = Math.max(width - PLAN.label - PLAN.edge, 100) * this.zoom
		return [this.zoom > 1 ? PLAN.label + this.plot + PLAN.edge : 10, PLAN.top + this.rows.length * PLAN.line + 8]
	}
	moved(factor, x, y) {
		return [(x - PLAN.label) * factor + PLAN.label, y]
	}
	fit() {
		this.scale(1)
	}
	reveal(task) {
		this.seek(this.element.scrollLeft, this.rows.findLastIndex((row) => holds(row, task)) * PLAN.line)
	}

	x(ms) {
		const [start, end, place, size] = this.pieces.findLast((piece) => piece[0] <= ms) ?? this.pieces[0]
		const part = Math.min(Math.max((ms - start) / Math.max(end - start, 1), 0), 1)
		return PLAN.label + (place + part * size) * this.plot - this.left
	}

	shapes(_, y, w, h) {
		const now = this.x(at(page.event))
		const first = Math.floor(y / PLAN.line)
		const shown = this.rows.slice(first, first + Math.ceil((h - PLAN.top) / PLAN.line) + 1)
		const top = (number) => PLAN.top + (first + number) * PLAN.line - y
		const folds = this.pieces.filter(([start, end, , , fold]) => fold && this.x(end) > PLAN.label && this.x(start) < w)
		const ticks = this.ticks(w)
		return [
			svg("path.gap", {d: folds.map(([start, , , size]) => rectangle(this.x(start), 0, size * this.plot, h)).join("")}),
			svg("path.grid", {d: ticks.map(([x]) => `M${x} ${PLAN.top - 8}V${h}`).join("")}),
			...shown.map((row, i) => svg("g", ...this.bars(row, top(i), w))),
			svg("path.now", {d: `M${now} ${PLAN.top - 6}V${h}`}),
			svg("rect.cover", {width: PLAN.label, height: h}),
			...shown.map((row, i) => this.name(row, top(i), w)),
			svg("rect.cover", {width: w, height: PLAN.top}),
			svg("path.grid", {d: `M0 ${PLAN.top - 4}H${w}`}),
			...ticks.map(([x, ms]) => svg("text.small", {x: Math.min(x + 3, w - 78), y: 14}, when(ms, true))),
			...folds.map(([start, end, , size]) => svg("text.small.folded", {x: this.x(start) + (size * this.plot) / 2, y: 28}, duration((end - start) / 1000))),
			...this.marks(w),
			svg("path.now", {d: `M${now - 5} ${PLAN.top - 12}h10l-5 8z`}),
			this.brush && svg("rect.brush", {...this.brush, height: h}),
		]
	}

	// Ticks [x, moment], round in the times that the reader chose
	ticks(w) {
		const found = []
		const base = relative() ? page.base : 0
		let last = PLAN.label - 75
		for (const [start, end, , size, fold] of this.pieces) {
			const [x1, x2] = [Math.max(PLAN.label, this.x(start)), Math.min(w, this.x(end))]
			if (fold || x2 < x1) continue
			const pixel = (end - start) / (size * this.plot)
			const step = STEPS.find((each) => each >= pixel * 110) ?? STEPS.at(-1)
			const from = start + (x1 - this.x(start)) * pixel
			for (let ms = base + Math.ceil((from - base) / step) * step; ms <= end && this.x(ms) <= x2; ms += step) {
				if (this.x(ms) - last > 78) found.push([(last = this.x(ms)), ms])
			}
		}
		return found
	}

	marks(w) {
		const seen = (events) => [...new Set(events.map((event) => Math.round(this.x(at(event)))))].filter((x) => x >= PLAN.label && x <= w)
		return [
			svg("text.small", {x: 10, y: 43}, "╷ decisions  ▾ signals"),
			svg("path.decision", {d: seen(page.stops).map((x) => `M${x} 36v8`).join("")}),
			svg("path.signal", {d: seen(page.doc.signals).map((x) => `M${x - 5} 36h10l-5 8z`).join("")}),
		]
	}

	name(row, top, w) {
		const {name, mark, attributes, chosen} = item(row)
		return svg(`g.lane${chosen}`, attributes,
			svg("rect.hit", {y: top, width: w, height: PLAN.line}),
			svg("text.mark", {x: 10 + row.depth * 14, y: top + 17}, mark),
			svg("text", {x: 28 + row.depth * 14, y: top + 17}, short(name, 26 - 2 * row.depth)),
			svg("title", attributes["aria-label"]))
	}

	// Waits are thin, failures end in a symbol, what is to come is pale
	bars(row, top, w) {
		const [paths, ends] = [{}, []]
		let last = -40
		const now = at(page.event)
		const add = (name, start, end, later) => {
			const [x1, x2] = [Math.max(this.x(start), PLAN.label - 4), Math.min(this.x(end), w + 4)]
			if (start > end || x2 < PLAN.label || x1 > w) return
			const thin = name !== "running" && PENDING.includes(name)
			const kind = `path.span${thin ? ".thin" : ""}${later}|${name === "running" && end < now ? "done" : name}`
			paths[kind] = (paths[kind] ?? "") + rectangle(x1, top + (thin ? 11 : 6), Math.max(x2 - x1, 1.5), thin ? 4 : 14)
			if (BAD.includes(name) && !later && x2 - last > 40) ends.push(svg("text.end", {x: Math.min((last = x2) + 2, w - 10), y: top + 18, "data-status": name}, symbol(name)))
		}
		for (const [kind, start, end] of (row.task < 0 ? group(row) : page.doc.tasks[row.task]).spans) {
			add(page.doc.statuses[kind], start, Math.min(end, now), "")
			if (end > now) add(page.doc.statuses[kind], Math.max(start, now), end, ".later")
		}
		return [...Object.entries(paths).map(([kind, d]) => svg(kind.split("|")[0], {d, "data-status": kind.split("|")[1]})), ...ends]
	}
}
