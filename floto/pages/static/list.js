// The list of runs, live; and the bar, and what files are dropped on, of every page that the server draws.
import {$, badge, choice, clock, dropped, duration, each$, el, keeping, plain, renew, sayLive, subscribe, switches, times} from "./common.js"

const table = $("runs")

const cells = (run) => [
	el("td", el("a", {href: run.url, "data-key": run.id}, run.workflow), " ", el("span.soft.mono", run.run)),
	el("td", run.type),
	el("td", badge(run.status), " ", el("span.note", run.note)),
	el("td", el("time", {"data-ms": run.started}, clock(run.started))),
	el("td.number", el("span", {"data-since": run.took === null && run.started, "data-took": run.took})),
	el("td.tags", ...run.tags.flatMap((tag) => [el("span.tag", tag), " "])),
]

// Put the rows in the order of the server; those that did not change stay as they are
function show({order, rows, counts, summary, page, pages}) {
	const body = table.tBodies[0]
	const known = new Map([...body.rows].map((row) => [row.dataset.run, row]))
	keeping(body, () => {
		known.forEach((row, id) => order.includes(id) || row.remove())
		order.forEach((id, place) => {
			const row = known.get(id) ?? el("tr", {"data-run": id})
			const text = JSON.stringify(rows[id])
			if (text && row.dataset.shown !== text) {
				renew(row, cells(rows[id]))
				row.dataset.shown = text
			}
			if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null)
		})
	})
	for (const [status, count] of Object.entries(counts)) {
		const place = document.querySelector(`[data-count="${status}"]`)
		const link = place.closest("a")
		place.textContent = count.toLocaleString("en")
		link.hidden = !count && status !== "all" && !link.hasAttribute("aria-current")
	}
	$("summary").textContent = summary
	$("previous").hidden = page <= 1
	$("next").hidden = page >= pages
	$("empty").hidden = order.length > 0
	times()
	ages()
}

// Write how long runs took, or have taken until now
function ages() {
	for (const each of table.querySelectorAll("[data-took], [data-since]")) {
		const {took, since} = each.dataset
		each.textContent = duration((took ?? Math.max(Date.now() - since, 0)) / 1000)
	}
}

// Open a saved history that was dropped on the list
async function opened(file) {
	sayLive(`opening ${plain(file.name, 100)}…`)
	const headers = {"x-floto-token": table.dataset.token}
	const answer = await fetch("/open", {method: "POST", body: file, headers}).catch(() => null)
	if (answer?.ok) location.assign(answer.headers.get("location"))
	else sayLive(`${plain(file.name, 100)} cannot be opened: ${answer ? plain(await answer.text()) : "no answer"}`)
}

each$("[data-drop]", (area) => dropped(area, async (file) => (area.value = await file.text())))
if (table) {
	ages()
	setInterval(ages, 1000)
	if (table.dataset.events) subscribe(table.dataset.events, async (list) => show(list))
	dropped(document, opened)
	addEventListener("keydown", (event) => {
		if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select")) return
		event.preventDefault()
		$("filter").select()
	})
}
switches((name) => name === "times" && times())
times()
setInterval(() => choice("times") === "relative" && times(), 1000)
