// SPDX-License-Identifier: GPL-2.0-or-later
// How far the report can be relied on: what was lost, what could not be seen and why, and what leakmon itself costs.
import {make, name} from "./dom.js";
import * as words from "./words.js";

const MEANING = {
	ring_full: "records that found no room on their way from the kernel; the next look makes up for them",
	storage_failed: "threads for which the kernel had no memory to keep times in",
	program_missed: "runs of leakmon's programs that the kernel skipped",
	scan_truncated: "looks that ended before every thread was seen",
	torn_reads: "stacks that changed while they were read",
	unwind_failed: "stacks that could not be followed to their end",
	symbol_failed: "programs whose functions could not be named",
	skipped_processes: "processes that could not be looked into",
};
const SHOWN = 8; // processes named with each reason

function lossesPart(report) {
	if (report.complete)
		return [make("p", {class: "good"}, "Complete: nothing was lost, nothing skipped.")];
	if (!report.losses.length)
		return [make("p", {class: "why"}, "Incomplete; what was lost is not known.")];
	return [make("table", {class: "losses"},
		make("caption", {class: "hidden-text"}, "Losses"),
		make("thead", {}, make("tr", {}, make("th", {scope: "col"}, "Lost"), make("th", {scope: "col", class: "c-count"}, "Times"),
			make("th", {scope: "col"}, "What it means"))),
		make("tbody", {}, report.losses.map(([cause, lost]) => make("tr", {},
			make("th", {scope: "row", class: "mono"}, words.clip(cause)),
			make("td", {class: "c-count"}, words.count(lost)),
			make("td", {}, MEANING[cause] ?? "")))))];
}

// One line for each reason, not one for each process.
function unavailablePart(report) {
	const reasons = new Map();

	for (const process of report.processes) {
		for (const one of Array.isArray(process.unavailable) ? process.unavailable : []) {
			// that a program is no Go program hides nothing from anybody
			if (one?.why === "not a Go program")
				continue;
			const key = `${one?.what}\n${one?.why}`;
			const reason = reasons.get(key) ?? {what: one?.what, why: one?.why, processes: []};
			reason.processes.push(process);
			reasons.set(key, reason);
		}
	}
	if (!reasons.size)
		return [];
	return [make("h3", {}, "Not seen"), make("ul", {class: "reasons"}, [...reasons.values()].slice(0, 50).map((reason) =>
		make("li", {}, make("strong", {}, name(words.clip(reason.what))), ": ", name(words.clip(reason.why)), " ",
			make("span", {class: "hint"}, reason.processes.slice(0, SHOWN).map((process, i) => [i ? ", " : "",
				name(words.clip(process.comm)), ` [${process.pid ?? "?"}]`]).flat(),
			reason.processes.length > SHOWN ? ` and ${words.count(reason.processes.length - SHOWN)} more` : ""))))];
}

function costPart(report) {
	const {self} = report, watching = report.raw.watching_s;
	const share = words.isNumber(self.cpu_s) && words.isNumber(watching) && watching >= 1 ?
		` (${words.percent(self.cpu_s, watching)} of one CPU)` : "";

	return [make("h3", {}, "What leakmon costs"), make("dl", {class: "facts"},
		make("dt", {}, "CPU"), make("dd", {}, `${words.duration(self.cpu_s)} in ${words.duration(watching)}${share}`),
		make("dt", {}, "Memory"), make("dd", {}, `${words.bytes(self.rss_bytes)}, and ${words.bytes(self.bpf_bytes)} in the kernel`),
		make("dt", {}, "A look takes"), make("dd", {}, words.duration(self.scan_s)),
		make("dt", {}, "Version"), make("dd", {}, words.clip(report.raw.version)))];
}

function notesPart(report) {
	if (!report.notes.length)
		return [];
	return [make("h3", {}, "Since the report before"), make("ul", {class: "reasons"},
		report.notes.slice(0, 50).map((note) => make("li", {}, name(words.clip(note)))))];
}

export class Health {
	constructor(section) {
		this.lost = section.querySelector(".health-lost");
		this.cost = section.querySelector(".health-cost");
	}

	show(report) {
		this.lost.replaceChildren(...lossesPart(report), ...unavailablePart(report));
		this.cost.replaceChildren(...costPart(report), ...notesPart(report));
	}
}
