// SPDX-License-Identifier: GPL-2.0-or-later
// A report (leakmon.snapshot/1) as the page looks at it: looked up by key, each site with the place that it is known
// by and the findings about it. Whatever is missing in it is taken as not known.
import {parseTime} from "./words.js";

export const LEVELS = ["suspect", "likely", "confirmed"];

const WAITING_MODULES = ["libc.so", "libc-2", "libpthread", "ld-musl", "libc.musl", "[vdso]"];
const WAITING_FUNCTIONS = ["std::", "core::", "pthread_", "__pthread_", "___pthread_", "__futex_", "futex_", "__lll_",
	"__GI_", "runtime."];

function list(value) {
	return Array.isArray(value) ? value.filter((item) => item !== null && item !== undefined) : [];
}

// Frames that only wait on behalf of their caller.
export function onlyWaits(frame) {
	return WAITING_MODULES.some((begin) => String(frame.module ?? "").startsWith(begin)) ||
		WAITING_FUNCTIONS.some((begin) => String(frame.function ?? "").startsWith(begin));
}

function placeOf(site) {
	if (Number.isInteger(site.place) && site.stack[site.place])
		return site.stack[site.place];
	return site.stack.find((frame) => !onlyWaits(frame)) ?? site.stack[0] ?? site.kernelStack[0] ?? null;
}

function searchText(site) {
	const frames = [...site.stack, ...site.kernelStack];
	const words = [site.id, site.kind, site.comm, site.pid, site.wait.class, site.wait.detail, site.created?.function,
		...frames.flatMap((frame) => [frame.function, frame.module, frame.file])];

	return words.filter((word) => word !== null && word !== undefined).join("\n").toLowerCase();
}

function siteOf(raw, report, commOf) {
	const site = {
		raw,
		id: String(raw.site ?? "?"),
		pid: raw.pid ?? null,
		comm: raw.comm ?? commOf.get(raw.pid) ?? null,
		kind: raw.kind === "goroutine" ? "goroutine" : "thread",
		wait: raw.wait ?? {},
		count: raw.count ?? null,
		arrived: raw.arrived ?? null,
		departed: raw.departed ?? null,
		median: raw.median_blocked_s ?? null,
		rate: raw.rate_per_h ?? null,
		waited: raw.sum_blocked_s ?? null,
		since: parseTime(raw.oldest_blocked_since),
		stack: list(raw.stack),
		kernelStack: list(raw.kernel_stack),
		created: raw.created_by ?? null,
		members: list(raw.members),
		place: Number.isInteger(raw.place) ? raw.place : null,
		idle: raw.idle_pool === true,
		findings: [],
		level: -1,
	};
	site.key = `${site.pid}:${site.id}`;
	site.oldest = site.since !== null && report.at !== null ? (report.at - site.since) / 1000 : null;
	site.placeFrame = placeOf(site);
	site.search = searchText(site);
	return site;
}

// What a finding is known by from one report to the next. One that has no id of its own is known by what it says.
function keyOf(raw, index, report) {
	const key = raw.id ? `id ${raw.id}` : `says ${raw.type} ${raw.pid} ${raw.summary}`;

	if (report.keys.has(key))
		return `${key} ${index}`;
	report.keys.add(key);
	return key;
}

function findingOf(raw, report, commOf, index) {
	const level = LEVELS.indexOf(raw.level);
	const since = parseTime(raw.since);
	const site = raw.site ? report.siteByKey.get(`${raw.pid}:${raw.site}`) ?? null : null;
	const finding = {
		raw, level, since, site, pid: raw.pid ?? null, comm: commOf.get(raw.pid) ?? site?.comm ?? null,
		key: keyOf(raw, index, report),
		type: String(raw.type ?? "finding").replaceAll("_", " "),
		age: since !== null && report.at !== null && report.at >= since ? (report.at - since) / 1000 : null,
		cycle: list(raw.cycle),
	};
	if (site) {
		site.findings.push(finding);
		site.level = Math.max(site.level, level);
	}
	return finding;
}

export function modelOf(raw) {
	const report = {raw, at: parseTime(raw.time), siteByKey: new Map(), keys: new Set(), processes: list(raw.processes)};
	const commOf = new Map(report.processes.map((process) => [process.pid, process.comm]));

	report.intervalS = Number.isFinite(raw.interval_s) && raw.interval_s > 0 ? raw.interval_s : 10;
	report.sites = list(raw.sites).map((site) => siteOf(site, report, commOf));
	for (const site of report.sites)
		report.siteByKey.set(site.key, site);
	report.findings = list(raw.findings).map((finding, index) => findingOf(finding, report, commOf, index));
	report.losses = Object.entries(raw.losses ?? {}).filter(([, lost]) => lost !== 0);
	report.complete = raw.complete === true;
	report.withdrawn = list(raw.withdrawn);
	report.notes = list(raw.notes);
	report.totals = raw.totals ?? {};
	report.self = raw.self ?? {};
	return report;
}
