// SPDX-License-Identifier: GPL-2.0-or-later
// A quantity over time, drawn by uPlot in the colours of the page's style. The last value, or the one under the
// pointer, stands beside its name; what the picture shows is said in words too.
import {make, setText} from "./dom.js";
import * as words from "./words.js";

const BINARY = Array.from({length: 50}, (_, i) => 2 ** i);

const charts = new Set();

// A colour of the style as the canvas wants it: variables there may depend on the theme.
function colour(variable) {
	const probe = make("span", {class: "probe", hidden: true});

	probe.style.color = `var(${variable})`;
	document.body.append(probe);
	const value = getComputedStyle(probe).color;
	probe.remove();
	return value;
}

export class Chart {
	// format(value, onAxis): the value as text; binary: the axis steps in powers of two.
	constructor(label, format, {height = 130, binary = false} = {}) {
		this.label = label;
		this.format = format;
		this.height = height;
		this.binary = binary;
		this.value = make("span", {class: "chart-value"});
		this.plot = make("div", {class: "plot"});
		this.note = make("p", {class: "chart-note", hidden: true});
		this.element = make("figure", {class: "chart"},
			make("figcaption", {}, make("span", {class: "chart-label"}, label), this.value), this.plot, this.note);
		this.data = [[], []];
		this.uplot = null;
		this.drawn = 0;
		new ResizeObserver(() => this.resize()).observe(this.plot);
		charts.add(this);
	}

	// points: [{t, …}] in the order of time, t in seconds; note: what is to be said of them, or null.
	show(points, name, note = null) {
		const key = `${points.length} ${points[0]?.t} ${points[points.length - 1]?.t} ${points[points.length - 1]?.[name]}`;

		this.note.hidden = !note;
		setText(this.note, note ?? "");
		if (key === this.key)
			return;
		this.key = key;
		this.data = [points.map((point) => point.t), points.map((point) => point[name] ?? null)];
		this.describe();
		if (this.uplot)
			this.uplot.setData(this.data);
		else
			this.draw();
	}

	describe() {
		const known = this.data[1].filter((value) => value !== null);
		const [times] = this.data;

		this.last = known.length ? this.format(known[known.length - 1]) : "?";
		setText(this.value, this.last);
		this.plot.setAttribute("role", "img");
		this.plot.setAttribute("aria-label", known.length ?
			`${this.label}: from ${this.format(known[0])} at ${words.time(times[0] * 1000)} to ${this.last} at ` +
				`${words.time(times[times.length - 1] * 1000)}, at most ${this.format(Math.max(...known))}` :
			`${this.label}: nothing known yet`);
	}

	resize() {
		const width = Math.floor(this.plot.clientWidth);

		if (width < 40 || width === this.drawn)
			return;
		if (this.uplot)
			this.uplot.setSize({width, height: this.height});
		else
			this.draw();
		this.drawn = width;
	}

	redraw() {
		this.uplot?.destroy();
		this.uplot = null;
		this.draw();
	}

	draw() {
		const width = Math.floor(this.plot.clientWidth);

		if (width < 40 || this.data[0].length === 0 || typeof uPlot === "undefined")
			return;
		this.drawn = width;
		this.uplot = new uPlot(this.options(width), this.data, this.plot);
	}

	options(width) {
		const axis = {stroke: colour("--text-2"), font: "11px system-ui, sans-serif", ticks: {show: false},
			grid: {stroke: colour("--line"), width: 1}};

		return {
			width, height: this.height, legend: {show: false}, padding: [8, 18, 0, 0],
			tzDate: (t) => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
			cursor: {y: false, drag: {x: false, y: false}, points: {size: 7}},
			scales: {x: {time: true}, y: {range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.08 : 1]}},
			axes: [
				{...axis, size: 26, space: 70, grid: {show: false}, values: (_, splits) => timeLabels(splits)},
				{...axis, size: 58, space: 26, ...(this.binary ? {incrs: BINARY} : {}), values: (_, splits) => splits.map((value) => this.format(value, true))},
			],
			series: [{}, {stroke: colour("--accent"), fill: colour("--accent-soft"), width: 1.5,
				paths: uPlot.paths.stepped({align: 1}), points: {show: this.data[0].length < 3, size: 6}}],
			hooks: {setCursor: [(u) => this.point(u.cursor.idx)]},
		};
	}

	point(index) {
		const value = index === null || index === undefined ? null : this.data[1][index];

		setText(this.value, value === null || value === undefined ? this.last :
			`${this.format(value)} at ${words.time(this.data[0][index] * 1000, Date.now())}`);
	}

	end() {
		charts.delete(this);
		this.uplot?.destroy();
		this.uplot = null;
	}
}

// "11:20", the date where a day begins, or days alone when the steps are days; seconds only where steps are shorter.
function timeLabels(splits) {
	const step = splits.length > 1 ? splits[1] - splits[0] : 60;
	let day = null;

	return splits.map((t) => {
		const text = new Date(t * 1000).toISOString();
		const date = `${text.slice(8, 10)}.${text.slice(5, 7)}.`;
		if (step >= 86400)
			return text.slice(5, 10);
		const isNew = day !== null && day !== date;
		day = date;
		return isNew ? text.slice(5, 10) : step < 60 ? text.slice(11, 19) : text.slice(11, 16);
	});
}

export function redrawAll() {
	for (const chart of charts)
		chart.redraw();
}
