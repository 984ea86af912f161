// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers and times as people read them, as leakmon's text report writes them. What is not known is "?".

const LONGEST = 400; // characters of a name: more is no name

export function isNumber(value) {
	return typeof value === "number" && Number.isFinite(value);
}

export function count(value) {
	if (!isNumber(value))
		return "?";
	if (Math.abs(value) >= 1e15)
		return value.toExponential(1).replace("e+", "e");
	return Math.round(value).toLocaleString("en-US");
}

// For axes and tiles: "1.2k".
export function shortCount(value) {
	if (!isNumber(value))
		return "?";
	if (Math.abs(value) >= 1e15)
		return value.toExponential(1).replace("e+", "e");
	for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
		if (Math.abs(value) >= size)
			return `${Number((value / size).toPrecision(3))}${unit}`;
	}
	return String(Number(value.toPrecision(3)));
}

export function plural(value, one, many = `${one}s`) {
	return `${count(value)} ${value === 1 ? one : many}`;
}

export function duration(seconds) {
	if (!isNumber(seconds) || seconds < 0)
		return "?";
	if (seconds < 1)
		return `${Math.round(seconds * 1000)} ms`;
	if (seconds < 60)
		return `${seconds < 10 ? Number(seconds.toFixed(1)) : Math.floor(seconds)} s`;
	if (seconds < 600) {
		const rest = Math.floor(seconds % 60);
		return `${Math.floor(seconds / 60)} min${rest ? ` ${rest} s` : ""}`;
	}
	if (seconds < 3600)
		return `${Math.floor(seconds / 60)} min`;
	if (seconds < 86400) {
		const rest = Math.floor(seconds / 60) % 60;
		return `${Math.floor(seconds / 3600)} h${rest ? ` ${rest} min` : ""}`;
	}
	if (seconds < 100 * 86400) {
		const rest = Math.floor(seconds / 3600) % 24;
		return `${Math.floor(seconds / 86400)} d${rest ? ` ${rest} h` : ""}`;
	}
	if (seconds < 1e12)
		return `${count(seconds / 86400)} d`;
	return "?";
}

export function ago(seconds) {
	return seconds < 1 ? "now" : `${duration(Math.floor(seconds))} ago`;
}

export function rate(perHour) {
	if (!isNumber(perHour))
		return "?";
	if (Math.abs(perHour) >= 1e15)
		return `${perHour.toExponential(1).replace("e+", "e")}/h`;
	const digits = Math.abs(perHour) >= 1000 || perHour === 0 ? 0 : Math.abs(perHour) < 0.1 ? 2 : 1;
	return `${perHour.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits})}/h`;
}

export function bytes(value) {
	if (!isNumber(value))
		return "?";
	let unit = "B";
	for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
		if (Math.abs(value) < 1024)
			break;
		value /= 1024;
		unit = next;
	}
	return `${unit === "B" || Math.abs(value) >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

export function percent(part, whole) {
	if (!isNumber(part) || !isNumber(whole) || whole <= 0)
		return "?";
	const value = (100 * part) / whole;
	return `${value >= 9.95 || value === 0 ? Math.round(value) : value >= 0.1 ? value.toFixed(1) : value.toFixed(2)} %`;
}

// Milliseconds since the epoch, or null.
export function parseTime(text) {
	const at = typeof text === "string" ? Date.parse(text) : NaN;

	return Number.isFinite(at) ? at : null;
}

// "11:08:00Z", with the date when it is another day than that of the report.
export function time(at, reportAt = null) {
	if (at === null)
		return "?";
	const text = new Date(at).toISOString();
	const sameDay = reportAt !== null && text.slice(0, 10) === new Date(reportAt).toISOString().slice(0, 10);
	return sameDay ? `${text.slice(11, 19)}Z` : `${text.slice(0, 10)} ${text.slice(11, 16)}Z`;
}

export function localTime(at) {
	return at === null ? "" : new Date(at).toLocaleString();
}

// A text of a process, or what stands for one that is not known.
export function clip(text, unknown = "?") {
	if (typeof text !== "string" || text === "")
		return unknown;
	return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

export function frameName(frame) {
	if (frame.function)
		return clip(frame.function);
	const offset = isNumber(frame.offset) ? `+0x${frame.offset.toString(16)}` : "";
	return `${clip(frame.module, "[unknown]")}${offset}`;
}

// "leaky.c:7", or the module where the line is not known.
export function frameWhere(frame) {
	if (frame.file)
		return `${clip(frame.file)}${frame.line ? `:${frame.line}` : ""}`;
	return frame.function && frame.module ? clip(frame.module) : "";
}
