// SPDX-License-Identifier: GPL-2.0-or-later
// How counts grew: what the daemon kept, and what this page saw since it was opened. Where the daemon keeps no history
// the second is all there is, and the chart says so.
import {isNumber, parseTime} from "./words.js";

const KEPT = 1000;          // points that the page itself keeps of one thing
const THINGS = 500;         // and of how many
const AGAIN_MS = 5 * 60000; // when the daemon is asked again; the page's own points fill the time between

const seen = new Map();  // key → [{t, …values}]
const asked = new Map(); // key and begin → {at, answer: a promise of {points, why}}

function remember(key, t, values) {
	let points = seen.get(key);

	if (!points) {
		if (seen.size >= THINGS)
			return;
		seen.set(key, points = []);
	}
	if (points.length && points[points.length - 1].t >= t)
		return;
	points.push({t, ...values});
	if (points.length > KEPT)
		points.shift();
}

// Remembers of a report what charts may be asked for.
export function look(report) {
	if (report.at === null)
		return;
	for (const site of report.sites) {
		if ((site.level >= 0 || seen.has(siteKey(site))) && isNumber(site.count))
			remember(siteKey(site), report.at / 1000, {count: site.count});
	}
	for (const process of report.processes) {
		if (process.go)
			remember(processKey(process), report.at / 1000, {
				goroutines: process.go.goroutines ?? null,
				gc_count: process.go.gc_count ?? null,
				heap_live_bytes: process.go.heap_live_bytes ?? null,
			});
	}
}

export function watch(site) {
	if (!seen.has(siteKey(site)) && seen.size < THINGS)
		seen.set(siteKey(site), []);
}

function siteKey(site) {
	return `site ${site.key}`;
}

function processKey(process) {
	return `process ${process.pid} ${process.start_time}`;
}

function pointsOf(answer, pid, names) {
	const rows = [answer.points, answer.go, answer.goroutines].filter(Array.isArray).flat();
	const points = [];

	for (const row of rows) {
		const at = parseTime(row?.time ?? row?.at);
		if (at === null || (row.pid !== null && row.pid !== undefined && row.pid !== pid))
			continue;
		if (!names.some((name) => isNumber(row[name])))
			continue;
		points.push({t: at / 1000, step: row.step_s ?? null,
			...Object.fromEntries(names.map((name) => [name, isNumber(row[name]) ? row[name] : null]))});
	}
	return points.sort((a, b) => a.t - b.t);
}

function ask(key, address, pid, names) {
	const known = asked.get(key);

	if (known && Date.now() - known.at < AGAIN_MS)
		return known.answer;
	const answer = fetchPoints(address, pid, names);
	asked.set(key, {at: Date.now(), answer});
	return answer;
}

async function fetchPoints(address, pid, names) {
	const answer = {points: [], why: null};

	try {
		const response = await fetch(address, {headers: {Accept: "application/json"}, signal: AbortSignal.timeout(20000)});
		if (!response.ok)
			throw new Error(response.status === 404 ? "none is kept of it yet" : `the daemon said ${response.status}`);
		answer.points = pointsOf(await response.json(), pid, names);
	} catch (error) {
		answer.why = error.message || "it could not be fetched";
	}
	return answer;
}

// Gaps are gaps: a null where nothing was seen for much longer than usual.
function withGaps(points, names) {
	const out = [];

	points.forEach((point, i) => {
		const before = points[i - 1];
		const usual = Math.max(point.step ?? 0, before?.step ?? 0, 10);
		if (before && point.t - before.t > 3 * usual + 60)
			out.push({t: before.t + usual, ...Object.fromEntries(names.map((name) => [name, null]))});
		out.push(point);
	});
	return out;
}

async function joined(key, begin, address, pid, names) {
	const answer = await ask(`${key} ${begin}`, address, pid, names);
	const last = answer.points.length ? answer.points[answer.points.length - 1].t : -Infinity;
	const own = (seen.get(key) ?? []).filter((point) => point.t > last);

	return {points: withGaps([...answer.points, ...own], names), kept: answer.points.length > 0, why: answer.why};
}

// What came of a site since begin, and some time before; begin and now in milliseconds since the epoch, null: all of it.
export function ofSite(site, begin, now) {
	const from = begin === null ? null : begin - Math.max(600000, (now - begin) / 5);
	const since = from === null ? "" : `&from=${encodeURIComponent(new Date(from).toISOString())}`;

	return joined(siteKey(site), begin, `api/v1/history?site=${encodeURIComponent(site.id)}${since}`, site.pid, ["count"]);
}

export function ofProcess(process) {
	return joined(processKey(process), null, `api/v1/history?pid=${encodeURIComponent(process.pid)}`, process.pid,
		["goroutines", "gc_count", "heap_live_bytes"]);
}
