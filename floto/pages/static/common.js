// What floto's pages share: elements, times, the switches of the bar. Text of a run is only ever textContent.

export const $ = (id) => document.getElementById(id)
export const each$ = (selector, act) => document.querySelectorAll(selector).forEach(act)

// An element: name with classes ("td.number"), attributes if any, children
export const el = (name, ...rest) => fill((tag) => document.createElement(tag), name, rest)
export const svg = (name, ...rest) => fill((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag), name, rest)

function fill(create, name, rest) {
	const [tag, ...classes] = name.split(".")
	const element = create(tag)
	if (classes.length) element.setAttribute("class", classes.join(" "))
	for (const [key, value] of Object.entries(rest[0]?.constructor === Object ? rest.shift() : {})) {
		if (key.startsWith("on")) element[key] = value
		else if (value !== null && value !== undefined) element.setAttribute(key, value)
	}
	element.append(...present(rest))
	return element
}

export const region = (kind, label, ...children) => el(kind, {tabindex: 0, role: "region", "aria-label": label, "data-key": "area"}, ...children)

const present = (children) => children.filter(Boolean).map((child) => (child instanceof Node ? child : plain(child, 2000)))

// Replace the children
export const renew = (parent, children) => keeping(parent, () => parent.replaceChildren(...present(children)))
// What had the focus keeps it, by its data-key if it is replaced; if it is gone, the area around gets it
export function keeping(parent, act) {
	const active = document.activeElement
	const within = parent.contains(active)
	act()
	if (!within || active === document.activeElement) return
	const same = active.isConnected ? active : parent.querySelector(`[data-key="${CSS.escape(active.dataset.key)}"]`)
	;(same ?? parent.closest("[tabindex]")).focus({preventScroll: true})
}

const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

// Cut a text, and escape its control and direction characters
export function plain(value, most = 400) {
	const text = String(value)
	const cut = text.length > most ? `${text.slice(0, most)}…` : text
	return cut.replace(HIDDEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

export const badge = (status, word = status) => el("span.status", {"data-status": status}, word)

// Seconds for people: 41 s, 3 min 12 s
export function duration(seconds) {
	const s = Math.abs(seconds)
	if (s < 0.9995) return `${Math.round(s * 1000)} ms`
	if (s < 59.5) return `${s < 9.95 ? +s.toFixed(1) : Math.round(s)} s`
	const [big, small, unit, part] = s < 3570 ? [60, 1, "min", "s"] : s < 86000 ? [3600, 60, "h", "min"] : [86400, 3600, "d", "h"]
	const all = Math.round(s / small)
	const rest = all % (big / small)
	return `${Math.floor((all * small) / big)} ${unit}${rest ? ` ${rest} ${part}` : ""}`
}

export function clock(ms, local = false, date = true) {
	const at = new Date(local ? ms - new Date(ms).getTimezoneOffset() * 60000 : ms)
	if (Number.isNaN(at.getTime())) return "unknown time"
	return at.toISOString().slice(date ? 0 : 11, ms % 1000 ? 23 : 19).replace("T", " ")
}

export const ago = (ms, now = Date.now()) => (ms > now ? `in ${duration((ms - now) / 1000)}` : `${duration((now - ms) / 1000)} ago`)

const chosen = {times: "utc", theme: "system"}

export const choice = (name) => chosen[name]

// Begin, as all is ready: the switches work, and what needs the script is shown
export function switches(changed) {
	each$("[data-ready]", (each) => (each.hidden = false))
	each$(".skip", (each) => (each.onclick = () => $("main").focus() ?? false))
	each$("[data-switch]", (group) => {
		const name = group.dataset.switch
		const buttons = [...group.children]
		const choose = (value) => {
			if (!buttons.some((button) => button.value === value)) return
			chosen[name] = value
			for (const button of buttons) button.ariaPressed = button.value === value
			if (name === "theme") document.documentElement.dataset.theme = value
		}
		choose(stored(name))
		group.onclick = ({target}) => {
			choose(target.value)
			stored(name, target.value)
			changed(name)
		}
	})
}

// Call a function with the file that is dropped on an element
export function dropped(element, use) {
	element.addEventListener("dragover", (event) => event.preventDefault())
	element.addEventListener("drop", (event) => {
		event.preventDefault()
		const [file] = event.dataTransfer.files
		if (file) use(file)
	})
}

export function sayLive(text) {
	$("live").textContent = text
	$("live").classList.toggle("on", text === "live")
}

const SILENT = "the server of the page does not respond"

// Take the messages of a stream, opened again if lost, while the page is seen: connections are few.
// Returns what ends it
export function subscribe(url, take) {
	let [source, late, said] = []
	const say = (text) => text !== said && sayLive((said = text))
	const trouble = (why) => say(`not live: ${plain(why)}`)
	const close = () => {
		clearTimeout(late)
		source = source?.close()
	}
	const lost = (why) => {
		close()
		trouble(why)
		late = setTimeout(open, 3000)
	}
	// The server sends a message every 15 s at least
	const heard = () => {
		clearTimeout(late)
		late = setTimeout(lost, 45000, SILENT)
	}
	const open = () => {
		close()
		if (document.hidden) return
		heard()
		const stream = (source = new EventSource(url))
		const current = (act) => (found) => stream === source && act(found)
		for (const kind of ["message", "problem", "heartbeat"]) stream.addEventListener(kind, heard)
		stream.onmessage = ({data}) => take(JSON.parse(data)).then(current(() => say("live")), current((error) => lost(error.message)))
		stream.addEventListener("problem", ({data}) => trouble(JSON.parse(data)))
		// Only another request can tell why
		stream.onerror = () => (stream.readyState < 2 ? lost(SILENT) : fetch(url, {signal: AbortSignal.timeout(3000)}).then((answer) => answer.text()).catch(() => SILENT).then(current(lost)))
	}
	document.addEventListener("visibilitychange", open)
	open()
	return () => {
		document.removeEventListener("visibilitychange", open)
		close()
		say("")
	}
}

// Store a value if there is one; storage may be refused
function stored(name, value) {
	try {
		if (value) localStorage.setItem(`floto.${name}`, value)
		return localStorage.getItem(`floto.${name}`)
	} catch {
		return value
	}
}

// Show the times that the server wrote as the reader chose
export const times = () => each$("time[data-ms]", (element) => {
	const ms = +element.dataset.ms
	const said = chosen.times === "relative" ? ago(ms) : clock(ms, chosen.times === "local")
	if (element.textContent !== said) element.textContent = said
	element.title = `${clock(ms)} UTC`
})
