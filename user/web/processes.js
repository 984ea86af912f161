// SPDX-License-Identifier: GPL-2.0-or-later
// The watched processes; of Go programs also goroutines, collections and the live heap over time.
import {arrange, make, name, setText} from "./dom.js";
import {Chart} from "./charts.js";
import * as history from "./history.js";
import * as words from "./words.js";

const SHOWN = 25;
const CARDS = 6;

function keyOf(process) {
	return `${process.pid} ${process.start_time}`;
}

function sizeOf(process) {
	return Math.max(process.blocked_threads ?? 0, process.goroutines ?? 0);
}

class GoCard {
	constructor() {
		const counts = (value, onAxis) => onAxis ? words.shortCount(value) : words.count(value);

		this.heading = make("h3", {});
		this.meta = make("p", {class: "meta"});
		this.charts = {
			goroutines: new Chart("Goroutines", counts, {height: 96}),
			heap_live_bytes: new Chart("Live heap", (value) => words.bytes(value), {height: 96, binary: true}),
			gc_count: new Chart("Collections", counts, {height: 96}),
		};
		this.element = make("article", {class: "go-card"}, this.heading, this.meta,
			make("div", {class: "go-charts"}, Object.values(this.charts).map((chart) => chart.element)));
	}

	async show(process) {
		const {go} = process;

		this.heading.replaceChildren(name(words.clip(process.comm), "comm"), make("span", {class: "pid"}, ` [${process.pid}]`));
		setText(this.meta, [words.clip(go.version, "Go of a version that is not known"),
			words.isNumber(go.gc_per_min) ? `${Number(go.gc_per_min.toFixed(1))} collections a minute` : "",
			words.isNumber(go.heap_bytes_per_h) && go.heap_bytes_per_h !== 0 ?
				`live heap ${go.heap_bytes_per_h < 0 ? "−" : "+"}${words.bytes(Math.abs(go.heap_bytes_per_h))}/h` : "",
		].filter(Boolean).join(" · "));
		const answer = await history.ofProcess(process);
		for (const [what, chart] of Object.entries(this.charts))
			chart.show(answer.points, what);
	}

	end() {
		Object.values(this.charts).forEach((chart) => chart.end());
	}
}

function cell(text, attributes = {}) {
	return make("td", attributes, text);
}

function processRow(process) {
	const {go} = process;
	const runtime = go ? words.clip(go.version ?? process.go_version, "go") : words.clip(process.runtime, "?");
	const heap = go && words.isNumber(go.heap_live_bytes) ? words.bytes(go.heap_live_bytes) : "–";

	return make("tr", {},
		make("th", {scope: "row", class: "c-process"}, name(words.clip(process.comm), "comm"),
			make("span", {class: "pid"}, ` [${process.pid ?? "?"}]`),
			process.exe ? make("span", {class: "where mono"}, name(words.clip(process.exe))) : null),
		cell(runtime, {class: "c-wait"}),
		cell(words.count(process.blocked_threads), {class: "c-count"}),
		cell(words.count(process.threads), {class: "c-count"}),
		cell(process.goroutines === null && !go ? "–" : words.count(process.goroutines), {class: "c-count"}),
		cell(go ? words.count(go.gc_count) : "–", {class: "c-count"}),
		cell(heap, {class: "c-count"}),
		cell(words.isNumber(process.rss_bytes) ? words.bytes(process.rss_bytes) : "?", {class: "c-count"}));
}

export class Processes {
	constructor(section) {
		this.body = section.querySelector("tbody");
		this.cardList = section.querySelector(".go-cards");
		this.more = section.querySelector(".more");
		this.none = section.querySelector(".none");
		this.summary = section.querySelector(".table-summary");
		this.rows = new Map();
		this.cards = new Map();
		this.query = "";
		this.all = false;
		this.more.addEventListener("click", () => {
			this.all = true;
			this.draw();
		});
	}

	show(report) {
		this.processes = [...report.processes].sort((a, b) => sizeOf(b) - sizeOf(a));
		this.draw();
	}

	search(query) {
		this.query = query.trim().toLowerCase();
		this.draw();
	}

	matches(process) {
		const text = [process.comm, process.pid, process.exe, process.runtime, process.go_version, process.container_id]
			.filter((word) => word !== null && word !== undefined).join("\n").toLowerCase();

		return this.query.split(/\s+/).every((word) => text.includes(word));
	}

	draw() {
		if (!this.processes)
			return;
		const found = this.query ? this.processes.filter((process) => this.matches(process)) : this.processes;
		const shown = this.all ? found : found.slice(0, SHOWN);

		arrange(this.body, shown.map((process) => this.rowOf(process)));
		setText(this.summary, this.query ? `${words.count(found.length)} of ${words.plural(this.processes.length, "process", "processes")}` :
			words.plural(this.processes.length, "process", "processes"));
		this.none.hidden = found.length > 0;
		setText(this.none, this.processes.length ? "No process matches the search." : "No process has blocked threads.");
		this.more.hidden = shown.length === found.length;
		setText(this.more, `Show all ${words.count(found.length)} processes`);
		this.drawCards(found);
		this.forget();
	}

	rowOf(process) {
		const key = keyOf(process), text = JSON.stringify(process);
		const known = this.rows.get(key);

		if (known?.text === text)
			return known.element;
		const element = processRow(process);
		this.rows.set(key, {text, element});
		return element;
	}

	drawCards(found) {
		const known = found.filter((process) => process.go && words.isNumber(process.go.goroutines)).slice(0, CARDS);
		const keys = new Set(known.map(keyOf));

		for (const [key, card] of this.cards) {
			if (!keys.has(key)) {
				card.end();
				this.cards.delete(key);
			}
		}
		for (const key of keys) {
			if (!this.cards.has(key))
				this.cards.set(key, new GoCard());
		}
		arrange(this.cardList, [...keys].map((key) => this.cards.get(key).element));
		known.forEach((process) => this.cards.get(keyOf(process)).show(process));
	}

	forget() {
		const present = new Set(this.processes.map(keyOf));

		for (const key of this.rows.keys()) {
			if (!present.has(key))
				this.rows.delete(key);
		}
	}
}
