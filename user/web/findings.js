// SPDX-License-Identifier: GPL-2.0-or-later
// The findings, worst first: each its level, its sentence, and below it what would make it wrong, what it will exhaust,
// how it grew and where it is.
import {arrange, make, name} from "./dom.js";
import {LEVELS} from "./model.js";
import {SiteDetail, stackList} from "./site_detail.js";
import * as words from "./words.js";

const OPEN_AT_FIRST = 3;
const SHOWN = 50;

export function badge(level) {
	const known = LEVELS[level];

	return make("span", {class: `badge level-${known ?? "none"}`}, known ?? "unknown");
}

function capital(text) {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

function fact(term, ...what) {
	return [make("dt", {}, term), make("dd", {}, ...what)];
}

function exhaustionWords(exhaustion, report) {
	const at = words.parseTime(exhaustion.at);
	const left = at !== null && report.at !== null ? (at - report.at) / 1000 : null;

	return [name(words.clip(exhaustion.resource), "mono"), ` (${words.count(exhaustion.limit)}) at `,
		make("strong", {}, words.time(at, report.at)), left !== null && left >= 0 ? `, in ${words.duration(left)}` : "",
		", if it goes on like this"];
}

function lockWords(lock) {
	return [make("span", {class: "mono"}, words.clip(lock.object)),
		lock.owner ? [", held by TID ", make("span", {class: "mono"}, String(lock.owner))] : ", its owner is not known",
		`; ${words.plural(lock.waiters, "thread waits", "threads wait")} for it`];
}

function evidenceWords(evidence) {
	const parts = [];

	if (words.isNumber(evidence.survivors))
		parts.push(`${words.count(evidence.survivors)} stayed`);
	if (words.isNumber(evidence.departures))
		parts.push(`${words.count(evidence.departures)} left`);
	if (words.isNumber(evidence.cohorts) && evidence.cohorts > 0)
		parts.push(`arrivals in ${words.count(evidence.cohorts_filled)} of ${words.count(evidence.cohorts)} time slices`);
	if (words.isNumber(evidence.window_s))
		parts.push(`over ${words.duration(evidence.window_s)}`);
	if (words.isNumber(evidence.longest_completed_s))
		parts.push(`the longest wait that ended took ${words.duration(evidence.longest_completed_s)}`);
	if (evidence.retrospective)
		parts.push("judged by what was there at the first look");
	return parts.join(", ");
}

function facts(finding, report) {
	const {raw} = finding;
	const evidence = evidenceWords(raw.evidence ?? {});

	return make("dl", {class: "facts"},
		raw.wrong_if ? fact("Wrong if", name(words.clip(raw.wrong_if))) : null,
		raw.exhaustion ? fact("Exhausts", exhaustionWords(raw.exhaustion, report)) : null,
		raw.held_back ? fact("No surer, as", name(words.clip(raw.held_back))) : null,
		evidence ? fact("Evidence", evidence) : null,
		raw.lock ? fact("Lock", lockWords(raw.lock)) : null);
}

function cyclePart(finding) {
	if (!finding.cycle.length)
		return null;
	return make("div", {class: "cycle"},
		make("h4", {}, "The circle", make("span", {class: "hint"}, " each waits for what the next holds")),
		make("ol", {class: "cycle-list"}, finding.cycle.map((member) => make("li", {},
			make("p", {class: "cycle-member"}, make("span", {class: "mono"}, `TID ${member.id ?? "?"}`), " ",
				name(words.clip(member.comm), "comm"),
				member.holds ? [" holds ", make("span", {class: "mono lock"}, words.clip(member.holds)), ","] : null,
				" waits for ", make("span", {class: "mono lock"}, words.clip(member.waits_for))),
			stackList(Array.isArray(member.stack) ? member.stack : [])))));
}

class Card {
	constructor(key, open) {
		const id = `finding-${Card.made = (Card.made ?? 0) + 1}`;

		this.key = key;
		this.open = open;
		this.detail = null;
		this.headline = make("span", {class: "summary"});
		this.badgeSlot = make("span", {class: "badge-slot"});
		this.button = make("button", {type: "button", class: "finding-toggle", "data-nav": "", "aria-controls": id,
			"aria-expanded": String(open)}, this.badgeSlot, this.headline);
		this.meta = make("p", {class: "meta"});
		this.brief = make("div", {class: "brief"});
		this.body = make("div", {class: "finding-body", id});
		this.element = make("article", {class: "finding"}, make("h3", {}, this.button), this.meta, this.brief, this.body);
		this.button.addEventListener("click", () => this.toggle());
	}

	toggle(open = !this.open) {
		this.open = open;
		this.show(this.finding, this.report);
	}

	show(finding, report) {
		this.finding = finding;
		this.report = report;
		this.element.className = `finding edge-${LEVELS[finding.level] ?? "none"}`;
		this.badgeSlot.replaceChildren(badge(finding.level), make("span", {class: "type"}, words.clip(finding.type)));
		this.headline.textContent = words.clip(finding.raw.summary, "No sentence was given.");
		this.button.setAttribute("aria-expanded", String(this.open));
		this.showMeta();
		this.brief.replaceChildren(facts(finding, report));
		this.body.hidden = !this.open;
		if (this.open)
			this.showBody();
	}

	showMeta() {
		const {finding, report} = this;
		const parts = [make("span", {}, name(words.clip(finding.comm), "comm"),
			make("span", {class: "pid"}, ` [${finding.pid ?? "?"}]`))];

		if (finding.since !== null)
			parts.push(make("span", {title: words.localTime(finding.since)}, `since ${words.time(finding.since, report.at)}`,
				finding.age !== null ? ` (${words.duration(finding.age)})` : ""));
		if (finding.site)
			parts.push(make("span", {}, "site ", make("a", {class: "mono", href: `#site-${finding.site.key}`}, finding.site.id)));
		else if (finding.raw.site)
			parts.push(make("span", {}, "site ", make("span", {class: "mono"}, words.clip(finding.raw.site)), ", no longer blocked"));
		this.meta.replaceChildren(...parts);
	}

	showBody() {
		const {finding, report} = this;
		const cycle = JSON.stringify(finding.cycle);

		if (finding.site && !this.detail)
			this.detail = new SiteDetail("h4");
		if (finding.site)
			this.detail.show(finding.site, report, finding.since);
		if (cycle !== this.cycle || !this.body.firstChild || this.hadSite !== Boolean(finding.site)) {
			this.cycle = cycle;
			this.hadSite = Boolean(finding.site);
			this.body.replaceChildren(...[cyclePart(finding), finding.site ? this.detail.element :
				finding.cycle.length ? null : make("p", {class: "why"}, "Nothing more is known of where it is.")].filter(Boolean));
		}
	}

	end() {
		this.detail?.end();
	}
}

function withdrawnList(report) {
	if (!report.withdrawn.length)
		return [];
	return [make("details", {class: "withdrawn"},
		make("summary", {}, `${words.plural(report.withdrawn.length, "finding")} withdrawn lately`),
		make("ul", {}, report.withdrawn.slice(0, 20).map((one) => make("li", {},
			make("span", {class: "hint"}, `${words.time(words.parseTime(one.withdrawn), report.at)} `),
			`${words.clip(one.level)} ${words.clip(one.type).replaceAll("_", " ")}: `, name(words.clip(one.summary))))))];
}

export class Findings {
	constructor(section, announce) {
		this.list = section.querySelector(".finding-list");
		this.none = section.querySelector(".none");
		this.more = section.querySelector(".more");
		this.before = section.querySelector(".before");
		this.announce = announce;
		this.cards = new Map();
		this.known = null;
		this.all = false;
		this.more.addEventListener("click", () => {
			this.all = true;
			this.show(this.report);
		});
	}

	show(report) {
		const shown = this.all ? report.findings : report.findings.slice(0, SHOWN);
		const keys = new Set(shown.map((finding) => finding.key));

		this.report = report;
		this.tell(report);
		for (const [key, card] of this.cards) {
			if (!keys.has(key)) {
				card.end();
				this.cards.delete(key);
			}
		}
		shown.forEach((finding, index) => {
			if (!this.cards.has(finding.key))
				this.cards.set(finding.key, new Card(finding.key, index < OPEN_AT_FIRST));
		});
		// in the page before they are filled: charts need their width
		arrange(this.list, [...keys].map((key) => this.cards.get(key).element));
		for (const finding of shown)
			this.cards.get(finding.key).show(finding, report);
		this.none.hidden = report.findings.length > 0;
		this.more.hidden = shown.length === report.findings.length;
		this.more.textContent = `Show all ${words.count(report.findings.length)} findings`;
		const withdrawn = JSON.stringify(report.withdrawn);
		if (withdrawn !== this.withdrawn) {
			this.withdrawn = withdrawn;
			this.before.replaceChildren(...withdrawnList(report));
		}
	}

	// Says what is new since the last report; nothing of the first one, which the person has just opened.
	tell(report) {
		const now = new Map(report.findings.map((finding) => [finding.key, finding]));

		if (this.known) {
			for (const [key, finding] of now) {
				const before = this.known.get(key);
				if (!before)
					this.announce(`New: ${LEVELS[finding.level] ?? ""} ${finding.type}: ${words.clip(finding.raw.summary)}`);
				else if (before.level < finding.level)
					this.announce(`${capital(LEVELS[finding.level] ?? "")} now: ${words.clip(finding.raw.summary)}`);
			}
		}
		this.known = now;
	}
}
