// SPDX-License-Identifier: GPL-2.0-or-later
// The table of sites: sorted, searched, each row opening to what is known of the site. Idle pools stand below, dimmed.
// Few rows are drawn until all are asked for; rows that stay are kept, so that a new report disturbs nobody's reading.
import {arrange, make, name, setText} from "./dom.js";
import {badge} from "./findings.js";
import {SiteDetail} from "./site_detail.js";
import * as words from "./words.js";

const SHOWN = 100;
const STEP = 400; // rows drawn at a time when all are shown, so that the page answers in between

const COLUMNS = [
	{id: "count", label: "Count", of: (site) => site.count, number: true},
	{id: "place", label: "Where", of: (site) => site.placeFrame ? words.frameName(site.placeFrame) : ""},
	{id: "kind", label: "Kind", of: (site) => site.kind},
	{id: "wait", label: "Wait", of: (site) => String(site.wait.class ?? "")},
	{id: "oldest", label: "Oldest", of: (site) => site.oldest, number: true},
	{id: "median", label: "Median", of: (site) => site.median, number: true},
	{id: "rate", label: "Rate", of: (site) => site.rate, number: true},
	{id: "process", label: "Process", of: (site) => `${site.comm ?? ""} ${site.pid ?? ""}`},
];

function compare(column, down) {
	const sign = down ? -1 : 1;

	return (a, b) => {
		const left = column.of(a), right = column.of(b);
		// what is not known comes last, however one sorts
		if (left === null || right === null)
			return (left === null) - (right === null);
		return column.number ? sign * (left - right) : sign * left.localeCompare(right);
	};
}

class Row {
	constructor(key) {
		const id = `site-row-${Row.made = (Row.made ?? 0) + 1}`;

		this.key = key;
		this.open = false;
		this.detail = null;
		this.cells = Object.fromEntries(COLUMNS.map((column) => [column.id, make("td", {class: `c-${column.id}`})]));
		this.place = make("span", {class: "mono place-name"});
		this.where = make("span", {class: "where mono"});
		this.marks = make("span", {class: "marks"});
		this.button = make("button", {type: "button", class: "row-toggle", "data-nav": "", "aria-expanded": "false",
			"aria-controls": id}, this.place);
		this.cells.place = make("th", {scope: "row", class: "c-place"}, this.button, this.where, this.marks);
		this.element = make("tr", {class: "site"}, COLUMNS.map((column) => this.cells[column.id]));
		this.holder = make("td", {colspan: COLUMNS.length});
		this.below = make("tr", {class: "site-detail", id, hidden: true}, this.holder);
		this.button.addEventListener("click", () => this.toggle());
		this.element.addEventListener("click", (event) => {
			if (!event.target.closest("button, a") && String(getSelection()) === "")
				this.toggle();
		});
	}

	toggle(open = !this.open) {
		this.open = open;
		this.button.setAttribute("aria-expanded", String(open));
		this.element.classList.toggle("open", open);
		this.below.hidden = !open;
		this.showDetail();
	}

	showDetail() {
		if (!this.open)
			return;
		if (!this.detail) {
			this.detail = new SiteDetail("h3");
			this.holder.append(this.detail.element);
		}
		this.detail.show(this.site, this.report, this.site.findings[0]?.since ?? null);
	}

	show(site, report) {
		this.site = site;
		this.report = report;
		this.element.classList.toggle("idle", site.idle);
		setText(this.cells.count, words.count(site.count));
		setText(this.place, site.placeFrame ? words.frameName(site.placeFrame) : "no stack");
		setText(this.where, site.placeFrame ? words.frameWhere(site.placeFrame) : "");
		setText(this.cells.kind, site.kind);
		setText(this.cells.wait, words.clip(site.wait.class, "?"));
		setText(this.cells.oldest, words.duration(site.oldest));
		setText(this.cells.median, words.duration(site.median));
		setText(this.cells.rate, words.rate(site.rate));
		this.cells.rate.title = `since the last report: ${words.count(site.arrived)} came, ${words.count(site.departed)} left`;
		this.showProcess(site);
		if (site.level !== this.level) {
			this.level = site.level;
			this.marks.replaceChildren(...(site.level >= 0 ? [badge(site.level)] : []));
		}
		this.showDetail();
	}

	showProcess(site) {
		const text = `${site.comm} ${site.pid}`;

		if (text === this.process)
			return;
		this.process = text;
		this.cells.process.replaceChildren(name(words.clip(site.comm), "comm"),
			make("span", {class: "pid"}, ` [${site.pid ?? "?"}]`));
	}

	end() {
		this.detail?.end();
	}
}

export class Sites {
	constructor(section) {
		this.body = section.querySelector("tbody");
		this.head = section.querySelector("thead tr");
		this.summary = section.querySelector(".table-summary");
		this.none = section.querySelector(".none");
		this.more = section.querySelector(".more");
		this.idleRow = make("tr", {class: "group"}, make("th", {colspan: COLUMNS.length, scope: "rowgroup"},
			"Idle pools", make("span", {class: "hint"}, " threads that wait for work")));
		this.rows = new Map();
		this.query = "";
		this.limit = SHOWN;
		this.sort = null; // {column, down}; null: as the report has them, worst first
		this.makeHead();
		this.more.addEventListener("click", () => this.showAll());
	}

	makeHead() {
		for (const column of COLUMNS) {
			const button = make("button", {type: "button"}, column.label);
			column.head = make("th", {scope: "col", class: `c-${column.id}`, "aria-sort": "none"}, button);
			button.addEventListener("click", () => this.sortBy(column));
			this.head.append(column.head);
		}
	}

	// Numbers begin with the largest, words with "a"; the third time the report's order is back.
	sortBy(column) {
		const first = Boolean(column.number);

		if (this.sort?.column !== column)
			this.sort = {column, down: first};
		else
			this.sort = this.sort.down === first ? {column, down: !first} : null;
		for (const each of COLUMNS)
			each.head.setAttribute("aria-sort", this.sort?.column !== each ? "none" : this.sort.down ? "descending" : "ascending");
		this.draw();
	}

	search(query) {
		this.query = query.trim().toLowerCase();
		this.draw();
	}

	matches(site) {
		return this.query.split(/\s+/).every((word) => site.search.includes(word));
	}

	show(report) {
		this.report = report;
		this.draw();
	}

	showAll() {
		this.limit = Math.min(this.limit + STEP, this.report.sites.length);
		this.draw();
		if (this.limit < this.report.sites.length)
			requestAnimationFrame(() => setTimeout(() => this.showAll()));
		else
			this.limit = Infinity;
	}

	rowOf(site) {
		let row = this.rows.get(site.key);

		if (!row)
			this.rows.set(site.key, row = new Row(site.key));
		return row;
	}

	draw() {
		if (!this.report)
			return;
		const {sites} = this.report;
		let found = this.query ? sites.filter((site) => this.matches(site)) : sites;
		if (this.sort)
			found = [...found].sort(compare(this.sort.column, this.sort.down));
		const ordered = [...found.filter((site) => !site.idle), ...found.filter((site) => site.idle)];
		const shown = ordered.slice(0, this.limit);
		const elements = [];
		let idleBegun = false;

		for (const site of shown) {
			const row = this.rowOf(site);
			row.show(site, this.report);
			if (site.idle && !idleBegun)
				elements.push(this.idleRow);
			idleBegun ||= site.idle;
			elements.push(row.element, row.below);
		}
		this.forget(new Set(sites.map((site) => site.key)));
		arrange(this.body, elements);
		this.sayWhat(found.length, shown.length);
	}

	forget(present) {
		for (const [key, row] of this.rows) {
			if (!present.has(key)) {
				row.end();
				this.rows.delete(key);
			}
		}
	}

	sayWhat(found, shown) {
		const all = this.report.sites.length;

		setText(this.summary, this.query ? `${words.count(found)} of ${words.plural(all, "site")} match “${this.query}”` :
			words.plural(all, "site"));
		this.none.hidden = found > 0;
		setText(this.none, all ? "No site matches the search." : "Nothing is blocked for as long as --min-blocked asks.");
		this.more.hidden = shown >= found;
		setText(this.more, `Show all ${words.count(found)} sites`);
	}

	// Opens the row of a site ("PID:SITE", or a site's id alone) and brings it into view.
	reveal(key) {
		const site = this.report?.siteByKey.get(key) ?? this.report?.sites.find((one) => one.id === key);

		if (!site)
			return false;
		const index = this.report.sites.indexOf(site);
		if (index >= this.limit)
			this.limit = Infinity;
		this.draw();
		const row = this.rowOf(site);
		row.toggle(true);
		row.element.scrollIntoView({block: "center"});
		row.button.focus({preventScroll: true});
		return true;
	}
}
