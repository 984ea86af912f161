// SPDX-License-Identifier: GPL-2.0-or-later
// Where reports come from: asked for once an interval with the tag of the last one, and at once when the daemon says that
// a finding has changed. Knows how old the report is, by the daemon's clock, and whether the daemon still answers.

const ANSWER_MS = 20000;
const HIDDEN_MS = 60000; // in a tab that nobody sees
const AGAIN_MS = 15000;  // after the stream of events ended for good

export class Reports {
	// on: {report(raw), state(state)}; a state: {kind: "waiting"|"live"|"stale"|"lost", why, since, ageS}
	constructor(on) {
		this.on = on;
		this.tag = null;
		this.intervalMs = 10000;
		this.answeredAt = null; // the last answer, by this machine's monotonic clock
		this.ageThen = null;    // how old the report was at that moment, seconds
		this.lostSince = null;
		this.why = null;
		this.timer = null;
		this.asking = false;
		this.events = null;
	}

	start() {
		this.ask();
		this.listen();
		document.addEventListener("visibilitychange", () => document.hidden ? this.leave() : this.comeBack());
		window.addEventListener("pagehide", () => this.leave());
		window.addEventListener("pageshow", (event) => event.persisted && this.comeBack());
		setInterval(() => this.say(), 1000);
	}

	// A browser has six connections for one server in all its tabs together: those that nobody sees give theirs back.
	leave() {
		this.events?.close();
		this.events = null;
	}

	comeBack() {
		this.listen();
		this.ask();
	}

	listen() {
		if (this.events || document.hidden)
			return;
		const events = this.events = new EventSource("api/v1/events");
		for (const kind of ["found", "level", "withdrawn", "ended"])
			events.addEventListener(kind, () => this.ask());
		events.addEventListener("error", () => {
			if (events.readyState !== EventSource.CLOSED || this.events !== events)
				return;
			this.events = null;
			setTimeout(() => this.listen(), AGAIN_MS);
		});
	}

	async ask() {
		if (this.asking) {
			this.again = true;
			return;
		}
		this.asking = true;
		clearTimeout(this.timer);
		try {
			await this.fetch();
			this.lostSince = null;
		} catch (error) {
			this.lostSince ??= Date.now();
			this.why = error.message;
		}
		this.asking = false;
		this.say();
		const again = this.again;
		this.again = false;
		this.timer = setTimeout(() => this.ask(), again ? 100 : document.hidden ? Math.max(this.intervalMs, HIDDEN_MS) : this.intervalMs);
	}

	async fetch() {
		const headers = {Accept: "application/json"};

		if (this.tag)
			headers["If-None-Match"] = this.tag;
		let response;
		try {
			response = await fetch("api/v1/snapshot", {headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS)});
		} catch (error) {
			throw new Error(error.name === "TimeoutError" ? "it does not answer" : "it cannot be reached");
		}
		if (response.status === 304) {
			this.age(response);
			return;
		}
		if (response.status === 503 && !this.at) {
			this.answeredAt = performance.now();
			return;
		}
		if (!response.ok)
			throw new Error(`it answers ${response.status}`);
		const raw = await response.json().catch(() => null);
		if (typeof raw !== "object" || raw === null || !String(raw.schema).startsWith("leakmon.snapshot/1"))
			throw new Error("what it sent is no report");
		this.tag = response.headers.get("ETag");
		this.at = Date.parse(raw.time);
		if (Number.isFinite(raw.interval_s) && raw.interval_s > 0)
			this.intervalMs = Math.min(Math.max(raw.interval_s * 1000, 1000), 60000);
		this.age(response);
		this.on.report(raw);
	}

	// The daemon's own clock says how old its report is: this machine's may be wrong.
	age(response) {
		const now = Date.parse(response.headers.get("Date") ?? "");

		this.answeredAt = performance.now();
		this.ageThen = Number.isFinite(now) && Number.isFinite(this.at) ? Math.max(0, (now - this.at) / 1000) : 0;
	}

	say() {
		const since = this.answeredAt === null ? 0 : (performance.now() - this.answeredAt) / 1000;
		const ageS = this.ageThen === null ? null : this.ageThen + since;
		const tooOld = (3 * this.intervalMs) / 1000 + 10;
		const kind = this.lostSince !== null ? "lost" : this.at === undefined ? "waiting" : ageS > tooOld ? "stale" : "live";

		this.on.state({kind, why: this.why, since: this.lostSince, ageS, at: this.at ?? null});
	}
}
