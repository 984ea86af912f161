// SPDX-License-Identifier: GPL-2.0-or-later
// Puts the page together: what a report changes, what the person types, and whether what is shown still holds.
import {redrawAll} from "./charts.js";
import {make, setText} from "./dom.js";
import {Findings} from "./findings.js";
import {Flame} from "./flame.js";
import {Health} from "./health.js";
import * as history from "./history.js";
import {LEVELS, modelOf} from "./model.js";
import {Processes} from "./processes.js";
import {Reports} from "./reports.js";
import {Sites} from "./sites.js";
import * as words from "./words.js";

const byId = (id) => document.getElementById(id);
const search = byId("search");
const help = byId("help");
const news = byId("news");

const findings = new Findings(byId("findings"), announce);
const sites = new Sites(byId("sites"));
const processes = new Processes(byId("processes"));
const flame = new Flame(byId("flame"));
const health = new Health(byId("health"));
let report = null;

function announce(text) {
	const item = make("p", {}, text);

	news.append(item);
	while (news.childElementCount > 3)
		news.firstElementChild.remove();
	setTimeout(() => item.remove(), 20000);
}

function tile(value, label, kind = "") {
	return make("div", {class: `tile ${kind}`}, make("dt", {}, label), make("dd", {}, value));
}

function findingsTile(current) {
	const parts = [...LEVELS.keys()].reverse().map((level) => [level, current.findings.filter((one) => one.level === level).length])
		.filter(([, count]) => count > 0);
	const worst = parts.length ? LEVELS[parts[0][0]] : null;

	return tile(make("a", {href: "#findings"}, words.count(current.findings.length),
		parts.length ? make("span", {class: "tile-parts"}, parts.map(([level, count]) => `${count} ${LEVELS[level]}`).join(", ")) : ""),
	current.findings.length === 1 ? "finding" : "findings", worst ? `edge-${worst}` : "");
}

function showTiles(current) {
	const {totals} = current;
	const losses = current.losses.length;

	byId("tiles").replaceChildren(
		findingsTile(current),
		tile([words.count(totals.blocked_threads), make("span", {class: "tile-parts"}, `of ${words.count(totals.threads)}`)],
			"threads blocked"),
		...(totals.goroutines === null || totals.goroutines === undefined ? [] : [tile(words.count(totals.goroutines), "goroutines")]),
		tile(make("a", {href: "#sites"}, words.count(totals.sites)), totals.sites === 1 ? "site" : "sites"),
		tile(make("a", {href: "#processes"}, words.count(totals.processes)), totals.processes === 1 ? "process" : "processes"),
		tile(words.duration(current.raw.watching_s), "watching"),
		current.complete ? tile(make("a", {href: "#health"}, "complete"), "report") :
			tile(make("a", {href: "#health"}, "incomplete",
				losses ? make("span", {class: "tile-parts"}, words.plural(losses, "kind of loss", "kinds of loss")) : ""), "report", "edge-suspect"));
}

function showReport(raw) {
	const first = report === null;

	report = modelOf(raw);
	history.look(report);
	setText(byId("host"), words.clip(raw.host, "host not known"));
	document.title = `${report.findings.length ? `(${report.findings.length}) ` : ""}${words.clip(raw.host, "leakmon")} – leakmon`;
	byId("content").hidden = false;
	byId("waiting").hidden = true;
	showTiles(report);
	findings.show(report);
	sites.show(report);
	processes.show(report);
	flame.show(report);
	health.show(report);
	if (first)
		goToSite();
}

const STATES = {
	waiting: () => ["waiting for the first report", null],
	live: (state) => [words.ago(state.ageS), null],
	stale: (state) => [words.ago(state.ageS), `leakmon answers, but has made no report for ${words.duration(state.ageS)}. ` +
		`What is shown is of ${words.time(state.at, Date.now())}.`],
	lost: (state) => ["connection lost", `The connection to leakmon is lost since ${words.time(state.since, Date.now())}: ${state.why}. ` +
		`${state.at === null ? "" : `What is shown is of ${words.time(state.at, state.since)}. `}It is tried again and again.`],
};

// The banner is said aloud, so it changes only when there is something else to say.
function showState(state) {
	const [short, long] = STATES[state.kind](state);
	const banner = byId("banner");

	document.documentElement.dataset.state = state.kind;
	setText(byId("time"), state.at === null || state.kind === "lost" ? "" : words.time(state.at, Date.now()));
	setText(byId("age"), short);
	byId("age").title = state.at === null ? "" : `last report: ${words.localTime(state.at)}`;
	banner.hidden = long === null;
	banner.className = `banner ${state.kind}`;
	if (banner.dataset.kind !== `${state.kind} ${state.why}` || state.kind === "stale") {
		banner.dataset.kind = `${state.kind} ${state.why}`;
		setText(banner, long ?? "");
	}
	if (state.kind === "lost" && report === null)
		setText(byId("waiting"), "No report could be fetched yet.");
}

function showSearch() {
	sites.search(search.value);
	processes.search(search.value);
	flame.search(search.value);
}

function goToSite() {
	const key = /^#site-(\d+:)?([0-9a-f]{16})$/.exec(location.hash);

	if (!key || !report)
		return;
	if (search.value) {
		search.value = "";
		showSearch();
	}
	sites.reveal(`${key[1] ?? ""}${key[2]}`);
}

// The findings and the rows, in the order of the page.
function move(by) {
	const items = [...document.querySelectorAll("[data-nav]")].filter((item) => item.offsetParent !== null);
	const at = items.indexOf(document.activeElement);
	const to = items[at < 0 ? (by > 0 ? 0 : items.length - 1) : Math.min(Math.max(at + by, 0), items.length - 1)];

	if (to) {
		to.focus({preventScroll: true});
		to.scrollIntoView({block: "nearest"});
	}
}

// One step back: the open row that has the focus, the zoom, the search.
function escape() {
	const here = document.activeElement;
	const toggle = here?.closest?.(".finding")?.querySelector(".finding-toggle") ?? here?.closest?.("tr.site-detail")
		?.previousElementSibling?.querySelector(".row-toggle") ?? (here?.matches?.("[data-nav]") ? here : null);

	if (toggle?.getAttribute("aria-expanded") === "true") {
		toggle.click();
		toggle.focus();
	} else if (here?.closest?.(".flame") && flame.unzoom()) {
		return;
	} else if (search.value) {
		search.value = "";
		showSearch();
	} else if (!flame.unzoom()) {
		here?.blur?.();
	}
}

const KEYS = {
	"/": () => {
		search.focus();
		search.select();
	},
	j: () => move(1),
	k: () => move(-1),
	g: () => flame.focusFirst(),
	t: () => nextTheme(),
	"?": () => help.showModal(),
	Escape: escape,
};

function onKey(event) {
	const typing = event.target.matches?.("input:not([type=checkbox]), select, textarea");

	if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open)
		return;
	if (typing && event.key !== "Escape") {
		if (event.key === "Enter" && event.target === search)
			document.querySelector("#sites tbody [data-nav]")?.focus();
		return;
	}
	if (Object.hasOwn(KEYS, event.key)) {
		event.preventDefault();
		KEYS[event.key]();
	}
}

// The theme is the system's until somebody chooses. A browser that keeps nothing for us forgets the choice.
const THEMES = ["auto", "light", "dark"];

function keptTheme() {
	try {
		return localStorage.getItem("leakmon-theme");
	} catch {
		return null;
	}
}

function setTheme(theme) {
	document.documentElement.dataset.theme = theme;
	setText(byId("theme-name"), theme);
	redrawAll();
	try {
		localStorage.setItem("leakmon-theme", theme);
	} catch {
		// then it holds for this visit
	}
}

function nextTheme() {
	setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
}

setTheme(THEMES.includes(keptTheme()) ? keptTheme() : "auto");
byId("theme").addEventListener("click", nextTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
byId("help-open").addEventListener("click", () => help.showModal());
byId("help-close").addEventListener("click", () => help.close());
search.addEventListener("input", showSearch);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", goToSite);
new Reports({report: showReport, state: showState}).start();
