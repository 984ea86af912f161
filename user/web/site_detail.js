// SPDX-License-Identifier: GPL-2.0-or-later
// All that is known of one site: its growth, its stack, who created its members, and some of them. Shown below a row of
// the table and in a finding.
import {Chart} from "./charts.js";
import {make, name} from "./dom.js";
import * as history from "./history.js";
import {onlyWaits} from "./model.js";
import * as words from "./words.js";

function frameItem(frame, times, isPlace) {
	const where = words.frameWhere(frame);
	const kind = isPlace ? "frame place" : onlyWaits(frame) ? "frame waits" : "frame";

	return make("li", {class: kind},
		name(words.frameName(frame), "mono function"),
		frame.inlined ? [" ", make("span", {class: "tag"}, "inlined")] : null,
		times > 1 ? [" ", make("span", {class: "tag"}, `×${times}`)] : null,
		where ? [" ", name(where, "mono where")] : null);
}

function sameFrame(a, b) {
	return a.function === b.function && a.module === b.module && a.offset === b.offset && a.line === b.line;
}

// Innermost first, calls of itself folded.
export function stackList(frames, place = null) {
	const items = [];

	for (let i = 0; i < frames.length;) {
		let end = i + 1;
		while (end < frames.length && sameFrame(frames[i], frames[end]))
			end++;
		items.push(frameItem(frames[i], end - i, frames.slice(i, end).includes(place)));
		i = end;
	}
	return make("ol", {class: "stack"}, items);
}

function fact(term, ...what) {
	return [make("dt", {}, term), make("dd", {}, ...what)];
}

function objectsWords(site) {
	const {object, objects} = site.wait;

	if (objects === 1 && site.count > 1)
		return `, all on one${object ? `: ${words.clip(object)}` : ""}`;
	if (words.isNumber(objects) && objects > 1)
		return objects === site.count ? ", each on an object of its own" : `, on ${words.count(objects)} objects`;
	return object ? `, on ${words.clip(object)}` : "";
}

function channelWords(channel) {
	return `${words.clip(channel.address)}: ${words.count(channel.len)} of ${words.count(channel.cap)} filled` +
		`${channel.closed ? ", closed" : ""}, ${words.plural(channel.senders, "sender")} and ` +
		`${words.plural(channel.receivers, "receiver")} wait`;
}

function creatorText(created) {
	const where = created.file ? ` at ${words.clip(created.file)}${created.line ? `:${created.line}` : ""}` : "";

	return [name(words.clip(created.function), "mono function"), make("span", {class: "where mono"}, where),
		words.isNumber(created.creators) && created.creators > 1 ?
			`, and ${words.plural(created.creators - 1, "other go statement")}` : "",
		words.isNumber(created.parent) && created.parent > 0 ? `, by goroutine ${created.parent}` : ""];
}

function facts(site) {
	return make("dl", {class: "facts"},
		site.raw.shape ? fact("Shape", name(words.clip(site.raw.shape))) : null,
		fact("Waits in", make("span", {class: "mono"}, words.clip(site.wait.class, "?")),
			site.wait.detail ? [" (", name(words.clip(site.wait.detail)), ")"] : null, objectsWords(site)),
		site.raw.channel ? fact("Channel", channelWords(site.raw.channel)) : null,
		site.created ? fact("Created by", creatorText(site.created)) : null,
		words.isNumber(site.raw.stack_bytes) && site.raw.stack_bytes > 0 ?
			fact("Stacks hold", words.bytes(site.raw.stack_bytes)) : null);
}

function stackPart(site, heading) {
	const kernel = site.kernelStack.map((frame) => words.clip(frame.function)).join(" ← ");

	return make("div", {class: "stack-part"},
		make(heading, {}, "Stack", make("span", {class: "hint"}, " innermost first")),
		site.stack.length ? stackList(site.stack, site.placeFrame) : null,
		site.raw.stack_why ? make("p", {class: "why"}, site.stack.length ? "The stack ends here: " : "No stack: ",
			name(words.clip(site.raw.stack_why))) : site.stack.length ? null : make("p", {class: "why"}, "No stack is known."),
		kernel ? make("p", {class: "kernel"}, make("span", {class: "hint"}, "in the kernel: "), name(kernel, "mono")) : null);
}

function memberRow(member, report, withStacks) {
	const started = words.parseTime(member.started);
	const since = words.parseTime(member.blocked_since);
	const age = since !== null && report.at !== null ? (report.at - since) / 1000 : null;

	return make("tr", {},
		make("th", {scope: "row", class: "mono"}, words.isNumber(member.id) ? String(member.id) : "?"),
		make("td", {}, name(words.clip(withStacks ? member.labels : member.comm, "–"))),
		make("td", {}, words.time(started ?? null, report.at)),
		make("td", {}, `${words.time(since, report.at)}${age !== null ? ` (${words.duration(age)})` : ""}`));
}

function membersPart(site, report) {
	const isGo = site.kind === "goroutine";
	const shown = site.members.slice(0, 20);

	if (!shown.length)
		return null;
	return make("div", {class: "members scroll", tabindex: "0", role: "group", "aria-label": "Members of the site"},
		make("table", {},
			make("caption", {}, isGo ? "Goroutines" : "Threads", make("span", {class: "hint"},
				words.isNumber(site.count) && site.count > shown.length ? ` ${shown.length} of ${words.count(site.count)}` : "")),
			make("thead", {}, make("tr", {}, ["Id", isGo ? "Labels" : "Name", "Started", "Blocked since"].map(
				(head) => make("th", {scope: "col"}, head)))),
			make("tbody", {}, shown.map((member) => memberRow(member, report, isGo)))));
}

export class SiteDetail {
	// heading: "h3" or "h4", by what stands above it.
	constructor(heading) {
		this.heading = heading;
		this.chart = new Chart("Blocked here", (value, onAxis) => onAxis ? words.shortCount(value) : words.count(value));
		this.left = make("div", {class: "detail-left"});
		this.right = make("div", {class: "detail-right"});
		this.element = make("div", {class: "detail"}, this.left, this.right);
	}

	// since: when the growth that is of interest began, milliseconds, or null.
	show(site, report, since = null) {
		const text = JSON.stringify(site.raw);

		history.watch(site);
		this.drawGrowth(site, report, since);
		if (text === this.text)
			return;
		this.text = text;
		this.left.replaceChildren(...[this.chart.element, facts(site), membersPart(site, report)].filter(Boolean));
		this.right.replaceChildren(stackPart(site, this.heading));
	}

	async drawGrowth(site, report, since) {
		const begin = since ?? site.since;
		const answer = await history.ofSite(site, begin !== null && begin < report.at ? begin : null, report.at);

		this.chart.show(answer.points, "count", answer.kept ? null :
			`Since this page was opened${answer.why ? `; of the time before: ${answer.why}` : ""}.`);
	}

	end() {
		this.chart.end();
	}
}
