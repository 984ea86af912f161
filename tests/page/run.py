#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The page in headless Chromium: against golden reports, and with LEAKMON_URL against a daemon that runs.

run.py [NAME…]: tests whose names contain one of them. Screenshots go to build/page-shots/.
"""

import json
import os
import pathlib
import sys
import time
import traceback
import urllib.request

import browser as browsers
import reports
import server

SHOTS = pathlib.Path(__file__).resolve().parents[2] / "build" / "page-shots"
TESTS = []
LIVE = []
NOISE = "favicon"

VISIBLE = "document.querySelector('#content') && !document.querySelector('#content').hidden"
ROWS = "[...document.querySelectorAll('#sites tr.site')]"


def test(function):
    TESTS.append(function)
    return function


def live(function):
    LIVE.append(function)
    return function


def check(truth, what):
    if not truth:
        raise AssertionError(what)


def check_equal(got, expected, what):
    check(got == expected, f"{what}: expected {expected!r}, got {got!r}")


class Page:
    """One browser and one daemon for all tests; each begins with open()."""

    def __init__(self, browser, daemon):
        self.browser = browser
        self.daemon = daemon
        self.may_fail = ()  # what the console may say in this test

    def open(self, report, width=1280, height=900, scheme="light", history=True, path=""):
        self.daemon.history = history
        self.daemon.late_s = 0.2
        self.daemon.requests.clear()
        self.daemon.say(report)
        self.browser.size(width, height)
        self.browser.scheme(scheme)
        self.browser.go(self.daemon.url + path)
        self.browser.wait(VISIBLE, what="the page's content")

    def run(self, *arguments):
        return self.browser.run(*arguments)

    def wait(self, *arguments, **named):
        return self.browser.wait(*arguments, **named)

    def press(self, *keys):
        self.browser.press(*keys)

    def text(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText);", selector)

    def search(self, text):
        self.run("const box = document.querySelector('#search'); box.value = arguments[0];"
            "box.dispatchEvent(new Event('input')); return true;", text)


@test
def findings_stand_first_with_their_sentences(page):
    report = reports.golden("leaky")
    page.open(report)
    check_equal(page.text(".finding .summary"), [one["summary"] for one in report["findings"]], "the sentences, in order")
    check_equal([text.lower() for text in page.text(".finding .badge")], [one["level"] for one in report["findings"]], "the levels")
    order = page.run("[...document.querySelectorAll('section')].map((one) => one.id)")
    check_equal(order, ["findings", "sites", "processes", "flame", "health"], "the order of the parts")
    text = page.text("#findings")[0]
    for words in ("it is a fixed pool larger than 500", "pids.max (32,768) at 2026-12-06 13:36Z, in 13 d 1 h", "the process is young",
            "since 11:08:00Z (52 min)", "held by TID 1302"):
        check(words in text, f"{words!r} is not said")
    check("object" not in text.replace("objects", "").replace("an object of its own", ""), "an object was printed as text")


@test
def a_finding_shows_growth_stack_and_circle(page):
    page.open(reports.golden("leaky"))
    page.wait("document.querySelectorAll('.finding .u-wrap canvas').length === 3", what="the charts of three open findings")
    check(any("500" in text and "from" in text for text in page.run(
        "[...document.querySelectorAll('.finding .plot')].map((one) => one.getAttribute('aria-label'))")), "the chart in words")
    stacks = page.text(".finding .stack")
    check(any("wait_for_result leaky.c:7" in " ".join(text.split()) for text in stacks), "the stack with its line")
    check(any("×3" in text for text in stacks), "calls of itself are folded")
    circle = page.text(".cycle-list li p")
    check_equal(len(circle), 2, "members of the circle")
    check("TID 1301 pay\\x1b[31m holds 0x7f10c0de0080, waits for 0x7f10c0de00c0" in circle[0], f"what it holds: {circle[0]!r}")


@test
def the_history_is_asked_for_from_before_the_finding(page):
    page.open(reports.golden("leaky"))
    page.wait("document.querySelectorAll('.finding .u-wrap canvas').length === 3")
    asked = page.daemon.asked("/api/v1/history?site=9f2c41d07be1a3c5")
    check_equal(len(asked), 1, "questions for one site")
    check("from=2026-11-23T10%3A57" in asked[0], f"a fifth of the time before it: {asked[0]}")


@test
def without_a_history_the_page_shows_what_it_saw(page):
    page.may_fail = ("503",)
    page.open(reports.golden("leaky"), history=False)
    page.wait("document.querySelector('.finding .chart-note:not([hidden])')")
    check("Since this page was opened" in page.text(".finding .chart-note")[0], "where the points are from")
    page.wait("document.querySelectorAll('.finding .u-wrap canvas').length === 3", what="charts of the page's own points")


@test
def goroutines_show_channel_creator_and_labels(page):
    page.open(reports.golden("go"))
    page.run(f"{ROWS}[0].querySelector('button').click() ?? true")
    text = " ".join(page.text("#sites .detail")[0].split())
    for words in ("main.multiQuery at /srv/api/q.go:21, and 2 other go statements, by goroutine 1", "0 of 0 filled, 1 sender",
            "nobody receives", "handler=\\x1b[2J/query"):
        check(words in text, f"{words!r} is not in {text!r}")
    page.wait("document.querySelectorAll('.go-card canvas').length === 6", what="three charts for each of two Go programs")
    check("go1.24.4" in page.text(".go-card")[0], "the version")


@test
def the_search_filters_over_function_process_wait_and_site(page):
    page.open(reports.everything())
    everything = page.run(f"{ROWS}.length")
    check_equal(everything, len(reports.everything()["sites"]), "rows")
    for query, count in (("tree.c", 1), ("JAVA", 2), ("futex_mutex", 1), ("9f2c41d07", 1), ("chan_send multiquery", 1),
            ("4711", 2), ("nothing has this name", 0), ("", everything)):
        page.search(query)
        check_equal(page.run(f"{ROWS}.length"), count, f"rows for {query!r}")
        check_equal(page.run("document.querySelectorAll('.finding').length"), 5, f"findings stay, whatever is searched: {query!r}")
    page.search("pool_worker")
    check("1 of 10 sites match" in page.text("#sites .table-summary")[0], page.text("#sites .table-summary")[0])
    page.search("nothing has this name")
    check("No site matches" in page.text("#sites .none")[0], "what an empty table means")


@test
def columns_sort_both_ways_and_back(page):
    page.open(reports.golden("leaky"))
    counts = f"{ROWS}.map((row) => row.querySelector('.c-count').textContent)"
    check_equal(page.run(counts), ["500", "1,499", "1", "16"], "the report's order, idle pools last")
    head = "document.querySelector('#sites th.c-count')"
    for direction, expected in (("descending", ["1,499", "500", "1", "16"]), ("ascending", ["1", "500", "1,499", "16"]),
            ("none", ["500", "1,499", "1", "16"])):
        page.browser.click("#sites th.c-count button")
        check_equal(page.run(counts), expected, f"sorted: {direction}")
        check_equal(page.run(f"{head}.getAttribute('aria-sort')"), direction, "what a screen reader is told")
    page.browser.click("#sites th.c-median button")
    check_equal(page.run(counts)[2], "1", "what is not known comes last")
    check(page.run(f"{ROWS}[3].classList.contains('idle')"), "the idle pool is dimmed")


@test
def keys_move_open_search_and_close(page):
    page.open(reports.golden("leaky"))
    focused = "document.activeElement.closest('.finding, tr.site')?.innerText ?? document.activeElement.id"
    page.press("j")
    check("Store::update" in page.run(focused), "j goes to the first finding")
    page.press("j", "j", "j")
    check("waited in serve" in page.run(focused), "and on to the fourth")
    check_equal(page.run("document.activeElement.getAttribute('aria-expanded')"), "false", "which is closed")
    page.press("Enter")
    check_equal(page.run("document.activeElement.getAttribute('aria-expanded')"), "true", "Enter opens it")
    page.press("Escape")
    check_equal(page.run("document.activeElement.getAttribute('aria-expanded')"), "false", "Esc closes it")
    page.press("j")
    check("wait_for_result" in page.run(focused), "j goes on to the table")
    page.press("Enter")
    check(page.run("!document.querySelector('tr.site-detail').hidden"), "Enter opens the row")
    page.press("k")
    check("waited in serve" in page.run(focused), "k goes back")
    page.press("/")
    check_equal(page.run(focused), "search", "/ is the search")
    page.press("j", "g")
    check_equal(page.run("document.querySelector('#search').value"), "jg", "where letters are letters")
    page.press("Escape")
    check_equal(page.run("document.querySelector('#search').value"), "", "Esc clears it")
    page.run("document.activeElement.blur() ?? true")
    page.press("?")
    check(page.run("document.querySelector('#help').open"), "? is the help")
    page.press("Escape")
    check(page.run("!document.querySelector('#help').open"), "Esc closes it")
    page.press("g")
    check(page.run("document.activeElement.closest('.flame') !== null"), "g is the flame graph")


@test
def a_new_report_disturbs_nobody(page):
    report = reports.golden("leaky")
    page.open(report)
    page.run(f"{ROWS}[1].querySelector('button').click() ?? true")
    page.run(f"{ROWS}[1].querySelector('button').focus() ?? true")
    page.run("window.row = document.activeElement; return true;")
    report["time"] = "2026-11-23T12:00:01.123Z"
    report["sites"].reverse()
    report["sites"][2]["count"] = 1600
    page.daemon.say(report)
    page.wait(f"{ROWS}.some((row) => row.innerText.includes('1,600'))", what="the new count")
    check(page.run("window.row === document.activeElement"), "the focus stays where it was")
    check_equal(page.run("document.querySelectorAll('tr.site-detail:not([hidden])').length"), 1, "the open row stays open")
    unchanged = len(page.daemon.asked("/api/v1/snapshot"))
    deadline = time.monotonic() + 5
    while len(page.daemon.asked("/api/v1/snapshot")) < unchanged + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    check(page.daemon.unchanged >= 1, "an unchanged report is not sent again")


@test
def a_change_is_shown_and_said_at_once(page):
    report = reports.golden("leaky")
    report["interval_s"] = 60.0
    page.open(report)
    page.wait("document.readyState === 'complete'")
    deadline = time.monotonic() + 5
    while not page.daemon.streams and time.monotonic() < deadline:
        time.sleep(0.02)
    report["findings"].insert(0, {**report["findings"][0], "id": "abcdefabcdefabcd", "summary": "42 threads are new."})
    page.daemon.say(report)
    page.daemon.tell('event: found\nid: 1\ndata: {"id":"abcdefabcdefabcd"}\n\n')
    page.wait("document.querySelector('.finding .summary').textContent === '42 threads are new.'", )
    check_equal(page.text("#news p"), ["New: confirmed orphaned lock: 42 threads are new."], "what is said")
    check_equal(page.run("document.querySelector('#news').getAttribute('aria-live')"), "polite", "to screen readers too")


def flame_nodes(page):
    """[value, width, path] of every frame that is drawn."""
    return page.run("""return [...document.querySelectorAll('.flame g')].map((group) => {
        const path = [];
        for (let at = group.lmNode; at; at = at.parent)
            path.unshift(at.name);
        return [Number(group.dataset.value), Number(group.querySelector('rect').getAttribute('width')) + 1, path.join('|')];
    });""")


def check_flame(page, total):
    nodes = flame_nodes(page)
    values = {path: value for value, _, path in nodes}
    full = nodes[0][1]
    check_equal(nodes[0][0], total, "the root's value")
    below = {}
    for value, width, path in nodes:
        check(abs(width - full * value / total) < 1.01, f"{path} is {width} of {full} wide for {value} of {total}")
        parent = path.rpartition("|")[0]
        below[parent] = below.get(parent, 0) + value
    for path, value in below.items():
        check(path == "" or value <= values[path] + 1e-6, f"what is below {path} is more than it")
    return values


@test
def frames_are_as_wide_as_what_is_blocked_in_them(page):
    report = reports.everything()
    page.open(report)
    counts = {one["site"]: one["count"] for one in report["sites"] if not one["idle_pool"]}
    values = check_flame(page, sum(counts.values()))
    check_equal(values["all|api [4711]"], 1205, "a process")
    ends = "all|leaky [1234]|main|Store::update(std::string const&, int)|pthread_mutex_lock|__lll_lock_wait|futex_mutex"
    check_equal(values[ends], 1499, "the end of a stack")
    page.browser.click("#flame-threads")
    check_flame(page, 1205)
    page.browser.click("#flame-goroutines")
    check("Nothing of this kind" in page.text(".flame")[0], "neither threads nor goroutines")
    page.browser.click("#flame-threads")
    page.browser.click("#flame-idle")
    check_flame(page, sum(one["count"] for one in report["sites"] if one["kind"] == "thread"))


@test
def by_age_frames_are_as_wide_as_the_time_waited(page):
    report = reports.golden("leaky")
    for site, waited in zip(report["sites"], (780250.0, 22485.0, 57616.0, None)):
        site["sum_blocked_s"] = waited
    page.open(report)
    page.run("const by = document.querySelector('#flame-by'); by.value = 'age'; by.dispatchEvent(new Event('change')); return 1;")
    check_flame(page, 780250.0 + 22485.0)
    check("1 site of which this is not known is left out" in page.text(".flame-note")[0], "what is not known is said")


@test
def the_flame_graph_zooms_highlights_and_takes_keys(page):
    page.open(reports.golden("leaky"))
    full = flame_nodes(page)[0][1]
    page.run("[...document.querySelectorAll('.flame g')].find((one) => one.lmNode.name === 'clone3')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    widths = {path: width for _, width, path in flame_nodes(page)}
    check(abs(widths["all|leaky [1234]|clone3"] - full) < 0.1, "the frame takes all the width")
    check("all|leaky [1234]" in widths and not any("Store" in path for path in widths), "what is above stays, what is beside goes")
    check(not page.run("document.querySelector('.flame-reset').hidden"), "a button leads back")
    page.press("g")
    page.press("Escape")
    check(any("Store" in path for _, _, path in flame_nodes(page)), "Esc zooms out")
    page.press("ArrowDown", "ArrowDown", "ArrowRight")
    check_equal(page.run("document.activeElement.lmNode.name"), "clone3", "arrows move")
    check("501" in page.text(".flame-info")[0] or "500 blocked" in page.text(".flame-info")[0], page.text(".flame-info")[0])
    page.press("Enter")
    check(not any("Store" in path for _, _, path in flame_nodes(page)), "Enter zooms")
    page.run("document.activeElement.blur() ?? true")
    page.press("Escape")
    page.search("visit")
    check_equal(page.run("[...new Set([...document.querySelectorAll('.flame .match')].map((one) => one.lmNode.name))]"), ["visit"],
        "what is highlighted")
    check("25 %" in page.text(".flame-note")[0], f"how much that is: {page.text('.flame-note')[0]}")


@test
def names_are_text_and_nothing_else(page):
    page.open(reports.empty())
    count = "['img', 'script', 'svg', 'h1', 'iframe', 'object', 'style', 'link'].map((tag) => document.getElementsByTagName(tag).length)"
    before = page.run(count)
    page.open(reports.of_markup())
    page.run("document.querySelectorAll('[aria-expanded=false]').forEach((one) => one.click()) ?? true")
    for query in reports.MARKUP:
        page.search(query)
    page.search("")
    page.wait("document.querySelectorAll('tr.site-detail:not([hidden])').length >= 4")
    after = page.run(count)
    after[2] -= 1  # the flame graph
    check_equal(after, before, "elements that could run something")
    check(page.run("window.owned === undefined"), "a name was run")
    text = page.run("document.body.textContent")
    for name in reports.MARKUP:
        check(name in text, f"{name!r} does not stand in the page")
    check_equal(page.run("[...document.querySelectorAll('*')].filter((one) => [...one.attributes].some((attribute) => "
        "/^on/i.test(attribute.name) || /^\\s*javascript:/i.test(attribute.value) && attribute.name !== 'aria-label')).length"), 0,
        "attributes that could run something")
    check_equal(page.run("Object.keys({}.__proto__).length"), 0, "the prototype is as it was")


@test
def hostile_reports_are_shown(page):
    page.open(reports.golden("hostile"), width=360)
    check("\\x1b[31mroot\\x1b[0m entered evil\\u{202e}gpj.exe\\x0aLIKELY leak: forged" in page.text(".finding .summary")[0],
        "what the process called itself, escaped")
    check("ring_full" in page.text("#health")[0], "the loss")
    for report in ({"schema": "leakmon.snapshot/1"}, {"schema": "leakmon.snapshot/1", "sites": [{}, None, 3], "findings": [{}, "x"],
            "processes": [{}, None], "losses": None, "time": "never"}):
        page.open(report)
        check(page.run("document.querySelector('#health-title') !== null"), "the page stands")


@test
def an_empty_machine_is_said_to_be_well(page):
    page.open(reports.empty())
    check("No findings" in page.text("#findings .none")[0], "no findings")
    check("Nothing is blocked" in page.text("#sites .none")[0], "no sites")
    check("Nothing of this kind" in page.text(".flame")[0], "no flame graph")
    check("Complete: nothing was lost" in page.text("#health")[0], "complete")
    check_equal(page.run("document.title"), "node-7 – leakmon", "the title")


@test
def losses_and_reasons_and_costs_are_shown(page):
    page.open(reports.golden("nameless"))
    text = page.text("#health")[0]
    for words in ("ring_full", "12", "unwind_failed", "skipped_processes", "1,234", "its memory cannot be read", "java [80], java [81]",
            "0.5 % of one CPU", "22.0 MiB, and 1.3 MiB in the kernel", "4 ms"):
        check(words in text, f"{words!r} is not in {text!r}")
    check("incomplete" in page.text("#tiles")[0], "the numbers on top")
    check("not a Go program" not in text, "what hides nothing is not told")


@test
def a_lost_connection_is_said_and_mended(page):
    page.may_fail = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
    page.open(reports.golden("leaky"))
    check(page.run("document.querySelector('#banner').hidden"), "nothing is said while all is well")
    page.daemon.down()
    try:
        page.wait("document.documentElement.dataset.state === 'lost'")
        text = page.text("#banner")[0]
        check("connection to leakmon is lost" in text and "cannot be reached" in text and "2026-11-23 12:00Z" in text, text)
        check_equal(page.run("document.querySelector('#banner').getAttribute('role')"), "alert", "said aloud")
        check_equal(page.run("document.querySelectorAll('.finding').length"), 4, "what is known stays")
        page.browser.shot(SHOTS / "lost-light-wide.png")
    finally:
        page.daemon.up()
    page.wait("document.documentElement.dataset.state === 'live'", what="the connection again")
    check(page.run("document.querySelector('#banner').hidden"), "the notice goes")


@test
def an_old_report_is_said_to_be_old(page):
    page.open(reports.golden("leaky"))
    page.daemon.late_s = 330
    page.wait("document.documentElement.dataset.state === 'stale'")
    check("has made no report for 5 min " in page.text("#banner")[0], page.text("#banner")[0])
    page.daemon.late_s = 0
    page.wait("document.documentElement.dataset.state === 'live'")


@test
def before_the_first_report_the_page_waits(page):
    page.may_fail = ("503",)
    page.daemon.say(None)
    page.browser.go(page.daemon.url)
    page.wait("document.querySelector('#age').textContent.includes('waiting for the first report')")
    check(page.run("document.querySelector('#content').hidden"), "nothing is shown")
    page.daemon.say(reports.golden("leaky"))
    page.run("document.dispatchEvent(new Event('visibilitychange')) || true")
    page.wait(VISIBLE)


@test
def a_link_opens_its_site(page):
    page.open(reports.many(300), path="#site-1005:0000000000000101")
    page.open(reports.many(300), path="#site-0000000000000101")
    page.wait("document.querySelectorAll('tr.site-detail:not([hidden])').length === 1", what="the row of the link")
    check("0000000000000101" in page.daemon.asked("/api/v1/history?site=0000000000000101")[0], "its history")


@test
def two_thousand_sites_stay_usable(page):
    page.open(reports.many(2000))
    check_equal(page.run(f"{ROWS}.length"), 100, "rows at first")
    page.browser.click("#sites .more")
    page.wait(f"{ROWS}.length === 2000", what="all rows")
    check_equal(page.run(f"{ROWS}.slice(-200).every((row) => row.classList.contains('idle'))"), True, "idle pools last")
    before = page.browser.cpu_s()
    page.search("commit")
    page.run("document.body.offsetHeight")
    took_ms = 1000 * (page.browser.cpu_s() - before)
    check(took_ms < 1500, f"a search took {took_ms:.0f} ms of CPU")
    page.search("")
    check_flame(page, sum(one["count"] for one in page.daemon.report["sites"] if not one["idle_pool"]))
    print(f"      a search over 2,000 sites that are all shown took {took_ms:.0f} ms of CPU")


@test
def light_and_dark_follow_the_system_and_the_choice(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    page.open(reports.golden("leaky"), scheme="dark")
    dark = page.run(ground)
    page.browser.scheme("light")
    light = page.run(ground)
    check(dark != light, "the system decides")
    page.press("t", "t")
    check_equal([page.run("document.querySelector('#theme-name').textContent"), page.run(ground)], ["dark", dark], "the choice wins")
    page.browser.go(page.daemon.url)
    page.wait(VISIBLE)
    check_equal(page.run(ground), dark, "and is kept")
    page.press("t")
    page.run("localStorage.clear() ?? true")
    script = page.browser.cdp("Page.addScriptToEvaluateOnNewDocument",
        source="Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});")
    try:
        page.open(reports.golden("leaky"))
        page.press("t", "t")
        check_equal(page.run(ground), dark, "the choice holds where nothing can be kept")
    finally:
        page.browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


@test
def it_fits_on_360_pixels(page):
    for name in ("leaky", "go", "hostile", "nameless"):
        page.open(reports.golden(name), width=360, height=800)
        page.run("document.querySelectorAll('[aria-expanded=false]').forEach((one) => one.click()) ?? true")
        check(page.run("document.documentElement.scrollWidth <= 360"), f"{name} is wider than the window")


CONTRAST = r"""
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = (top, ground) => top.slice(0, 3).map((value, i) => value * top[3] + ground[i] * (1 - top[3]));
    const light = (rgb) => { const [r, g, b] = rgb.map((value) => { value /= 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const groundOf = (one) => { const layers = []; for (; one; one = one.parentElement)
        layers.unshift(parse(getComputedStyle(one).backgroundColor)); return layers.reduce((ground, layer) => over(layer, ground), [255, 255, 255]); };
    const bad = [];
    for (const one of document.querySelectorAll('body *')) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !one.checkVisibility() || one.closest('svg, .hidden-text, .skip, noscript'))
            continue;
        const ground = groundOf(one), text = over(parse(getComputedStyle(one).color), ground);
        const [a, b] = [light(ground), light(text)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5)
            bad.push(`${one.tagName}.${one.className} ${ratio.toFixed(2)}: ${one.textContent.trim().slice(0, 30)}`);
    }
    for (const group of document.querySelectorAll('.flame g')) {
        const text = group.querySelector('text');
        if (!text)
            continue;
        const [a, b] = [parse(getComputedStyle(group.querySelector('rect')).fill), parse(getComputedStyle(text).fill)]
            .map((colour) => light(colour.slice(0, 3))).sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5)
            bad.push(`frame ${group.getAttribute('class')} ${((a + 0.05) / (b + 0.05)).toFixed(2)}`);
    }
    return bad;
"""


@test
def text_can_be_told_from_its_ground(page):
    for scheme in ("light", "dark"):
        page.open(reports.everything(), scheme=scheme)
        page.run("document.querySelectorAll('[aria-expanded=false]').forEach((one) => one.click()) ?? true")
        page.search("visit")
        check_equal(page.run(CONTRAST), [], f"contrast below 4.5, {scheme}")


ACCESS = r"""
    const bad = [];
    const say = (one, what) => bad.push(`${what}: ${one.outerHTML.slice(0, 90)}`);
    const nameOf = (one) => (one.getAttribute('aria-label') || (one.getAttribute('aria-labelledby') ?? '').split(' ').map((id) =>
        document.getElementById(id)?.textContent ?? '').join(' ') || [...(one.labels ?? [])].map((label) => label.textContent).join(' ')
        || one.textContent).trim();
    for (const one of document.querySelectorAll('button, a[href], input, select, summary, figure .plot, [role=group], [role=tree], section, dialog'))
        if (one.checkVisibility() && !nameOf(one))
            say(one, 'has no name');
    for (const one of document.querySelectorAll('img'))
        if (!one.hasAttribute('alt'))
            say(one, 'has no alt');
    for (const one of document.querySelectorAll('table')) {
        if (!one.caption)
            say(one, 'has no caption');
        if ([...one.querySelectorAll('th')].some((head) => !head.scope))
            say(one, 'has a head without scope');
    }
    let level = 0;
    for (const one of document.querySelectorAll('h1, h2, h3, h4, h5, h6')) {
        if (!one.checkVisibility())
            continue;
        const now = Number(one.tagName[1]);
        if (now > level + 1)
            say(one, `a heading of level ${now} after ${level}`);
        level = now;
    }
    if (document.querySelectorAll('h1').length !== 1 || document.querySelectorAll('main').length !== 1)
        bad.push('one h1 and one main');
    if (!document.documentElement.lang)
        bad.push('no language');
    const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
    bad.push(...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `id ${id} twice`));
    for (const one of document.querySelectorAll('[aria-controls]'))
        if (!document.getElementById(one.getAttribute('aria-controls')))
            say(one, 'controls nothing');
    for (const one of document.querySelectorAll('[tabindex]'))
        if (one.tabIndex > 0)
            say(one, 'has an order of its own');
    for (const one of document.querySelectorAll('dl'))
        if ([...one.children].some((child) => !['DT', 'DD', 'DIV'].includes(child.tagName)))
            say(one, 'is no list of terms');
    return bad;
"""


@test
def everything_has_a_name_and_headings_are_in_order(page):
    page.open(reports.everything())
    page.run("document.querySelectorAll('[aria-expanded=false]').forEach((one) => one.click()) ?? true")
    page.wait("document.querySelectorAll('.finding .plot canvas').length >= 4")
    check_equal(page.run(ACCESS), [], "what helps nobody who cannot see")
    page.press("Tab")
    page.press("j")
    check(page.run("getComputedStyle(document.activeElement).outlineStyle") != "none", "where the focus is can be seen")


@test
def all_files_are_there_and_nothing_else_is_asked_for(page):
    page.open(reports.golden("go"))
    files = page.daemon.files
    asked = {path.partition("?")[0] for path in page.daemon.requests}
    check_equal({path for path in asked if path == "/" or path.startswith("/assets/")} - set(files), set(), "files that are not built in")
    unused = set(files) - asked - {"/assets/LICENSE-uPlot"}
    check_equal(unused, set(), "files that nobody asks for")
    on_disk = {path.name for path in (server.ROOT / "user/web").iterdir() if path.suffix in (".js", ".css", ".svg", ".html")}
    check_equal(on_disk - {file.name for _, file in files.values()}, set(), "files that are not built in")
    for content_type, file in files.values():
        check(file.stat().st_size > 0, f"{file} is empty")


@test
def pictures_for_people(page):
    for name, report, width, scheme in (
            ("findings-light-wide", reports.everything(), 1440, "light"), ("findings-dark-wide", reports.everything(), 1440, "dark"),
            ("findings-light-narrow", reports.golden("leaky"), 360, "light"), ("findings-dark-narrow", reports.golden("leaky"), 360, "dark"),
            ("hostile-dark-wide", reports.golden("hostile"), 1280, "dark"), ("hostile-light-narrow", reports.golden("hostile"), 360, "light"),
            ("markup-light-wide", reports.of_markup(), 1280, "light"), ("empty-light-wide", reports.empty(), 1280, "light"),
            ("empty-dark-narrow", reports.empty(), 360, "dark"), ("many-light-wide", reports.many(2000), 1440, "light"),
            ("many-dark-wide", reports.many(2000), 1440, "dark"), ("go-dark-wide", reports.golden("go"), 1280, "dark")):
        page.open(report, width=width, height=900, scheme=scheme)
        page.wait("[...document.querySelectorAll('.finding .plot')].filter((one) => one.checkVisibility())"
            ".every((one) => one.querySelector('canvas'))", what="all charts")
        page.browser.shot(SHOTS / f"{name}.png", whole=True)
        check((SHOTS / f"{name}.png").stat().st_size > 5000, f"{name} is a picture")


@live
def a_running_daemon_serves_its_page(page):
    url = os.environ["LEAKMON_URL"]
    with urllib.request.urlopen(url, timeout=10) as answer:
        check_equal(answer.headers["Content-Type"], "text/html; charset=utf-8", "the type of the page")
        check_equal(answer.headers["Content-Security-Policy"], server.policy(), "its policy")
    page.browser.size(1280, 900)
    page.browser.go(url)
    page.wait(VISIBLE, deadline_s=30, what="the first report")
    check_equal(page.run("document.documentElement.dataset.state"), "live", "the state")
    with urllib.request.urlopen(url.rstrip("/") + "/api/v1/snapshot", timeout=10) as answer:
        report = json.load(answer)
    check(report["host"] in page.run("document.title"), "the host is in the title")
    page.wait("document.querySelectorAll('#sites tr.site').length > 0 || !document.querySelector('#sites .none').hidden")
    page.browser.shot(SHOTS / "live.png", whole=True)


@live
def a_running_daemon_shows_its_findings_and_their_history(page):
    url = os.environ["LEAKMON_URL"]
    with urllib.request.urlopen(url.rstrip("/") + "/api/v1/snapshot", timeout=10) as answer:
        findings = json.load(answer)["findings"]
    page.browser.go(url)
    page.wait(VISIBLE, deadline_s=30)
    page.wait("document.querySelectorAll('.finding').length >= arguments[0]", min(len(findings), 50))
    if findings:
        page.wait("[...document.querySelectorAll('.finding .finding-body')].filter((one) => one.checkVisibility()).every((one) => "
            "one.querySelector('canvas, .why, .cycle'))", what="charts of open findings")


@live
def a_running_daemon_sends_new_reports(page):
    page.browser.go(os.environ["LEAKMON_URL"])
    page.wait(VISIBLE, deadline_s=30)
    before = page.run("document.querySelector('#time').textContent")
    page.wait("document.querySelector('#time').textContent !== arguments[0]", before, deadline_s=40, what="the next report")


def check_what_was_logged(page, origin):
    for entry in page.browser.console():
        if entry["level"] == "SEVERE" or "Content Security Policy" in entry["message"]:
            check(any(text in entry["message"] for text in page.may_fail), f"the console says: {entry['message']}")
    for address in page.browser.network():
        check(address.startswith((origin, "data:", "about:")), f"asked for {address}")


def run_one(function, page, origin):
    page.may_fail = ()
    page.browser.console()
    page.browser.network()
    begun = time.monotonic()
    try:
        function(page)
        check_what_was_logged(page, origin)
    except (AssertionError, browsers.BrowserError, OSError, KeyError, IndexError, TypeError) as error:
        print(f"FAIL  {function.__name__}: {error}")
        if not isinstance(error, AssertionError):
            traceback.print_exc(file=sys.stdout)
        try:
            page.browser.shot(SHOTS / f"failed-{function.__name__}.png")
        except (browsers.BrowserError, OSError):
            pass
        return False
    print(f"ok    {function.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
    return True


def main():
    chosen = [one for one in TESTS + LIVE if not sys.argv[1:] or any(name in one.__name__ for name in sys.argv[1:])]
    live_url = os.environ.get("LEAKMON_URL")
    if live_url:
        chosen = [one for one in chosen if one in LIVE or sys.argv[1:]]
    why = browsers.missing()
    if why:
        print(f"skip  the page: {why}")
        print(f"0 passed, 0 failed, {len(chosen)} skipped")
        return 0
    passed = failed = skipped = 0
    daemon = server.Daemon()
    browser = browsers.Browser()
    try:
        page = Page(browser, daemon)
        browser.go("about:blank")
        for function in chosen:
            if function in LIVE and not live_url:
                print(f"skip  {function.__name__}: LEAKMON_URL names no daemon")
                skipped += 1
                continue
            origin = live_url if function in LIVE else daemon.url
            if run_one(function, page, origin):
                passed += 1
            else:
                failed += 1
    finally:
        browser.close()
    print(f"screenshots: {SHOTS.relative_to(pathlib.Path.cwd()) if SHOTS.is_relative_to(pathlib.Path.cwd()) else SHOTS}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
