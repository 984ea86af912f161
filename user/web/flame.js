// SPDX-License-Identifier: GPL-2.0-or-later
// What is blocked now as a flame graph hanging from its root: processes, then calls from the outermost inwards, and last
// what they wait for. A frame is as wide as what is blocked below it: threads and goroutines, or the time they have waited.
import {make, makeSvg, setText} from "./dom.js";
import {LEVELS, onlyWaits} from "./model.js";
import * as words from "./words.js";

const ROW = 20;         // pixels
const PADDING = 8;      // of the element around it, in page.css
const CHARACTER = 6.7;  // pixels of the font in page.css, on the safe side
const NARROWEST = 2.5;  // frames narrower than this are not drawn

// Pure: the tree of the sites. A node: {name, where, value, marked, level, children, depth, kind}.
export function treeOf(sites, {by, kinds, idle}) {
	const root = node("all", "root", null, "");
	let left = 0;

	for (const site of sites) {
		if (!kinds.has(site.kind) || (site.idle && !idle))
			continue;
		const value = by === "age" ? site.waited : site.count;
		if (!words.isNumber(value) || value <= 0) {
			left++;
			continue;
		}
		add(root, site, value);
	}
	finish(root, 0);
	return {root, left};
}

function node(text, kind, parent, where) {
	return {name: text, kind, parent, where, value: 0, found: 0, level: -1, sites: 0, byKey: new Map(), children: []};
}

function pathOf(site) {
	const frames = [...site.stack].reverse();

	return [
		{key: `p${site.pid}`, name: `${words.clip(site.comm)} [${site.pid ?? "?"}]`, kind: "process", where: ""},
		...frames.map((frame) => ({key: `f${frame.module} ${words.frameName(frame)}`, name: words.frameName(frame),
			kind: onlyWaits(frame) ? "waits" : "frame", where: words.frameWhere(frame)})),
		{key: `w${site.kind} ${site.wait.class}`, name: words.clip(site.wait.class), kind: "wait",
			where: site.kind === "goroutine" ? "goroutines wait here" : "threads wait here"},
	];
}

function count(one, site, value) {
	one.value += value;
	one.sites++;
	if (site.level >= 0)
		one.found += value;
	one.level = Math.max(one.level, site.level);
}

function add(root, site, value) {
	let at = root;

	count(root, site, value);
	for (const step of pathOf(site)) {
		let next = at.byKey.get(step.key);
		if (!next)
			at.byKey.set(step.key, next = node(step.name, step.kind, at, step.where));
		at = next;
		count(at, site, value);
	}
}

function finish(one, depth) {
	one.depth = depth;
	one.children = [...one.byKey.values()].sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
	one.children.forEach((child) => finish(child, depth + 1));
}

// Which nodes of two trees are the same: so a zoom holds from one report to the next.
function pathText(one) {
	return one.parent ? `${pathText(one.parent)}\n${one.name}` : one.name;
}

function find(root, path) {
	let at = root;

	for (const step of path.split("\n").slice(1)) {
		at = at.children.find((child) => child.name === step);
		if (!at)
			return null;
	}
	return at;
}

function hue(text) {
	let hash = 0;

	for (let i = 0; i < text.length; i++)
		hash = (hash * 31 + text.charCodeAt(i)) | 0;
	return Math.abs(hash) % 4;
}

export class Flame {
	constructor(section) {
		this.section = section;
		this.holder = section.querySelector(".flame");
		this.info = section.querySelector(".flame-info");
		this.note = section.querySelector(".flame-note");
		this.reset = section.querySelector(".flame-reset");
		this.by = section.querySelector("#flame-by");
		this.boxes = {thread: section.querySelector("#flame-threads"),
			goroutine: section.querySelector("#flame-goroutines"), idle: section.querySelector("#flame-idle")};
		this.query = "";
		this.zoomed = "all";
		this.by.addEventListener("change", () => this.rebuild());
		for (const box of Object.values(this.boxes))
			box.addEventListener("change", () => this.rebuild());
		this.reset.addEventListener("click", () => this.zoom(this.root));
		// one listener for all frames: there may be thousands
		for (const [event, what] of [["click", "zoom"], ["pointerover", "describe"], ["focusin", "describe"]])
			this.holder.addEventListener(event, ({target}) => this.at(target, what));
		this.holder.addEventListener("keydown", (event) => this.key(event));
		new ResizeObserver(() => this.resize()).observe(this.holder);
	}

	show(report) {
		const text = JSON.stringify(report.raw.sites);

		this.report = report;
		if (text === this.text)
			return;
		this.text = text;
		this.rebuild();
	}

	at(target, what) {
		const one = target.closest("g")?.lmNode;

		if (one)
			this[what](one);
	}

	search(query) {
		const words = query.trim().toLowerCase();

		if (words === this.query || !this.drawn)
			return;
		this.query = words;
		for (const [one, group] of this.drawn)
			group.classList.toggle("match", this.isMatch(one));
		this.sayWhat();
	}

	rebuild() {
		if (!this.report)
			return;
		const kinds = new Set(["thread", "goroutine"].filter((kind) => this.boxes[kind].checked));
		const built = treeOf(this.report.sites, {by: this.by.value, kinds, idle: this.boxes.idle.checked});

		this.root = built.root;
		this.left = built.left;
		if (!find(this.root, this.zoomed))
			this.zoomed = "all";
		this.draw();
	}

	resize() {
		if (this.room() !== this.width)
			this.draw();
	}

	room() {
		return Math.max(this.holder.clientWidth - 2 * PADDING, 100);
	}

	zoom(one) {
		const hadFocus = this.holder.contains(document.activeElement);

		this.zoomed = pathText(one);
		this.draw();
		if (hadFocus)
			this.focus(one);
	}

	unzoom() {
		if (this.zoomed === "all" || !this.root)
			return false;
		this.zoom(this.root);
		return true;
	}

	valueWords(value) {
		return this.by.value === "age" ? `${words.duration(value)} of waiting` : `${words.count(value)} blocked`;
	}

	draw() {
		if (!this.root)
			return;
		const focused = document.activeElement?.closest?.(".flame g")?.lmNode;
		const zoomed = find(this.root, this.zoomed) ?? this.root;
		const above = [];
		for (let at = zoomed.parent; at; at = at.parent)
			above.unshift(at);
		this.width = this.room();
		this.drawn = new Map();
		this.deepest = 0;
		const svg = makeSvg("svg", {width: this.width, role: "tree", "aria-label": "Flame graph of what is blocked now"});
		for (const one of above)
			this.frame(svg, one, 0, this.width, true);
		this.place(svg, zoomed, 0, this.width);
		svg.setAttribute("height", (this.deepest + 1) * ROW);
		this.holder.replaceChildren(...(this.root.value ? [svg] :
			[make("p", {class: "none"}, "Nothing of this kind is blocked now.")]));
		this.reset.hidden = zoomed === this.root;
		this.sayWhat();
		this.tabStop(focused ? find(this.root, pathText(focused)) ?? zoomed : zoomed);
		if (focused)
			this.focus(find(this.root, pathText(focused)) ?? zoomed);
	}

	sayWhat() {
		setText(this.note, [
			this.left ? `${words.plural(this.left, "site")} of which this is not known ${this.left === 1 ? "is" : "are"} left out.` : "",
			this.query ? `“${this.query}” is in ${words.percent(this.matching(this.root), this.root.value)} of it.` : "",
		].filter(Boolean).join(" "));
		this.describe(find(this.root, this.zoomed) ?? this.root);
	}

	isMatch(one) {
		return this.query !== "" && this.query.split(/\s+/).every((word) => `${one.name}\n${one.where}`.toLowerCase().includes(word));
	}

	// What is below frames that match, each counted once.
	matching(one) {
		if (this.isMatch(one))
			return one.value;
		return one.children.reduce((sum, child) => sum + this.matching(child), 0);
	}

	place(svg, one, x, width) {
		this.frame(svg, one, x, width, false);
		let at = x;
		for (const child of one.children) {
			const share = (width * child.value) / one.value;
			if (share >= NARROWEST)
				this.place(svg, child, at, share);
			at += share;
		}
	}

	frame(svg, one, x, width, isAbove) {
		const kind = one.kind === "frame" && one.found * 2 >= one.value ? `found found-${hue(one.name)} level-${LEVELS[one.level]}` :
			one.kind === "frame" ? `calm-${hue(one.name)}` : one.kind;
		const room = Math.floor((width - 8) / CHARACTER);
		const label = one.name.length <= room ? one.name : room >= 4 ? `${one.name.slice(0, room - 1)}…` : "";
		const share = words.percent(one.value, this.root.value);
		const group = makeSvg("g", {class: `node ${kind}${isAbove ? " above" : ""}${this.isMatch(one) ? " match" : ""}`,
			role: "treeitem", tabindex: "-1", "aria-level": one.depth + 1, "data-value": one.value,
			"aria-label": `${one.name}: ${this.valueWords(one.value)}, ${share}`},
		makeSvg("rect", {x: x.toFixed(2), y: one.depth * ROW, width: Math.max(width - 1, 0.5).toFixed(2), height: ROW - 1, rx: 2}),
		label ? makeSvg("text", {x: (x + 4).toFixed(2), y: one.depth * ROW + 14}, label) : null);

		group.lmNode = one;
		this.drawn.set(one, group);
		this.deepest = Math.max(this.deepest, one.depth);
		svg.append(group);
	}

	describe(one) {
		const parts = [make("bdi", {class: "mono strong"}, one.name)];

		if (one.where)
			parts.push(make("bdi", {class: "where mono"}, one.where));
		parts.push(make("span", {}, `${this.valueWords(one.value)}, ${words.percent(one.value, this.root.value)} of all`));
		if (one.level >= 0 && one.kind !== "root")
			parts.push(make("span", {}, `${words.percent(one.found, one.value)} of it in findings`));
		this.info.replaceChildren(...parts);
	}

	tabStop(one) {
		this.drawn.get(one)?.setAttribute("tabindex", "0");
	}

	focus(one) {
		const group = this.drawn.get(one) ?? this.drawn.values().next().value;

		for (const other of this.drawn.values())
			other.setAttribute("tabindex", "-1");
		group?.setAttribute("tabindex", "0");
		group?.focus({preventScroll: true});
	}

	focusFirst() {
		this.section.scrollIntoView({block: "start"});
		if (this.root?.value)
			this.focus(find(this.root, this.zoomed) ?? this.root);
		else
			this.section.querySelector("h2").focus();
	}

	key(event) {
		const one = event.target.lmNode;
		const siblings = one?.parent?.children.filter((child) => this.drawn.has(child)) ?? [];
		const at = siblings.indexOf(one);
		const to = {ArrowDown: one?.children[0], ArrowUp: one?.parent, ArrowLeft: siblings[at - 1],
			ArrowRight: siblings[at + 1]}[event.key];

		if (!one)
			return;
		if (event.key === "Enter" || event.key === " ")
			this.zoom(one);
		else if (to && this.drawn.has(to))
			this.focus(to);
		else if (!event.key.startsWith("Arrow"))
			return;
		event.preventDefault();
		event.stopPropagation();
	}
}
