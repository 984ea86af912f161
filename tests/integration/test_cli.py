# SPDX-License-Identifier: GPL-2.0-or-later
"""What the caller sees: exit codes, messages, files, signals, the screen."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import harness
from harness import Skip, check, check_equal, children, find_program, is_alive, need, poll, test
from leakmon import BINARY, Watch, check_clean, check_snapshot, count_at, kernel_objects, parse_lines, run, wait_gone


def free_pid():
    """A PID that no process has."""
    return next(pid for pid in range(int(harness.read_text("/proc/sys/kernel/pid_max")) - 1, 1, -1)
                if not os.path.exists(f"/proc/{pid}"))


WRONG = [
    ("a PID that does not exist", lambda: ["snapshot", "-p", free_pid()], {2, 64}, lambda: [str(free_pid())]),
    ("one PID of two that does not exist", lambda: ["snapshot", "-p", f"{os.getpid()},{free_pid()}"], {2, 64},
     lambda: [str(free_pid())]),
    ("a PID that is a word", lambda: ["snapshot", "-p", "abc"], {64}, lambda: ["abc"]),
    ("a negative PID", lambda: ["snapshot", "-p", "-4"], {64}, lambda: ["-4"]),
    ("a PID that is too large", lambda: ["snapshot", "-p", "99999999999999999999"], {64}, lambda: ["99999999999999999999"]),
    ("a PID with a tail", lambda: ["snapshot", "-p", "1x"], {64}, lambda: ["1x"]),
    ("an empty list of PIDs", lambda: ["snapshot", "-p", ""], {64}, lambda: ["-p"]),
    ("an unknown option", lambda: ["--no-such-option"], {64}, lambda: ["no-such-option"]),
    ("an unknown mode", lambda: ["frobnicate"], {64}, lambda: ["frobnicate"]),
    ("a bad interval", lambda: ["1parsec"], {64}, lambda: ["1parsec"]),
    ("an interval of nothing", lambda: ["0"], {64}, lambda: ["0"]),
    ("a bad count", lambda: ["1s", "many"], {64}, lambda: ["many"]),
    ("an unknown format", lambda: ["snapshot", "--format", "xml"], {64}, lambda: ["xml"]),
    ("an unknown level", lambda: ["snapshot", "--fail-on", "perhaps"], {64}, lambda: ["perhaps"]),
    ("a file in no directory", lambda: ["snapshot", "-p", os.getpid(), "-o", "/nonexistent/x"], {2}, lambda: ["/nonexistent/x"]),
]


@test(*WRONG)
def one_message_names_what_is_wrong(t, name, arguments, codes, words):
    result = run(t, *arguments(), code=None)
    check(result.code in codes, f"exit code {result.code}, not {codes}")
    check_equal(result.out, b"", "stdout")
    check(result.messages().startswith("leakmon: "), "the message says who speaks", result.messages())
    for word in words():
        check(word in result.messages(), f"the message names {word}", result.messages())
    check(len(result.messages().splitlines()) <= 3, "one message", result.messages())


def unprivileged(t, *arguments, **options):
    """leakmon as nobody, from a place that nobody can read."""
    need("setpriv")
    directory = t.directory()
    directory.chmod(0o755)
    binary = directory / "leakmon"
    binary.write_bytes(open(BINARY, "rb").read())
    binary.chmod(0o755)
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, *map(str, arguments)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, cwd="/", **options)
    check_clean(done.stdout + done.stderr, "output")
    return done


@test("snapshot", "1")
def without_privilege_it_says_so(t, mode):
    done = unprivileged(t, mode)
    check_equal(done.returncode, 77, "exit code", done.stderr)
    check_equal(done.stdout, b"", "stdout")
    message = done.stderr.decode()
    check("root" in message or "sudo" in message or "CAP_" in message, "the message says what to do", message)
    check(len(message.splitlines()) <= 3, "one message", message)


@test(("--version",), ("--help",), ("snapshot --help",), ("doctor --help",))
def words_about_itself_need_no_privilege(t, arguments):
    done = unprivileged(t, *arguments.split())
    check_equal((done.returncode, done.stderr), (0, b""), "exit code and stderr")
    check(b"leakmon" in done.stdout, "it names itself", done.stdout)


@test(("--version",), ("--help",), ("snapshot --help",), ("doctor",), ("daemon --check-config",))
def words_that_cannot_be_written_are_a_failure_that_says_so(t, arguments):
    for redirection, why in ((">/dev/full", "No space left on device"), (">&-", "it is closed")):
        done = subprocess.run(["sh", "-c", f"exec {BINARY} {arguments} {redirection}"], stderr=subprocess.PIPE, text=True,
                              check=False)
        check_equal(done.returncode, 2, f"exit code with {redirection}", done.stderr)
        check(done.stderr.endswith(f" could not be written to standard output: {why}\n"), "it says why", done.stderr)


@test()
def doctor_says_that_this_machine_will_do(t):
    result = run(t, "doctor", code=0)
    check(len(result.text().splitlines()) >= 3, "it lists what works", result.text())
    check_equal(unprivileged(t, "doctor").returncode, 77, "exit code without privilege")


@test("snapshot", "snapshot --json", "100ms")
def a_reader_that_leaves_ends_it_quietly(t, mode):
    process = t.blocker("waits")
    child = subprocess.Popen([BINARY, *mode.split(), "-p", str(process.pid), "--min-blocked", "1ms"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    t.stack.callback(child.wait)
    t.stack.callback(lambda: child.poll() is None and child.kill())
    os.read(child.stdout.fileno(), 10)
    workers = children(child.pid)
    child.stdout.close()
    _, messages = child.communicate(timeout=20)
    check(child.returncode in (0, -signal.SIGPIPE), f"exit code {child.returncode}", messages)
    check_equal(messages, b"", "stderr")
    wait_gone(workers)


@test()
def a_report_replaces_a_file_at_once(t):
    process, directory = t.blocker("waits"), t.directory()
    path = directory / "report.json"
    path.write_text("before")
    kept = open(path)  # still reads the old file: it was renamed over, not written into
    result = run(t, "snapshot", "--json", "--min-blocked", "1ms", "-p", process.pid, "-o", path)
    check_equal(result.out, b"", "stdout")
    check_equal(kept.read(), "before", "the old file")
    check_snapshot(json.loads(path.read_text()))
    check_equal([entry.name for entry in directory.iterdir()], ["report.json"], "files beside it")


@test()
def a_link_stays_and_what_it_leads_to_is_written(t):
    process, directory = t.blocker("waits"), t.directory()
    (directory / "reports").mkdir()
    report, link, first = directory / "reports" / "report", directory / "reports" / "link", directory / "first"
    link.symlink_to("report")  # nothing is there yet
    first.symlink_to("reports/link")
    for before in (False, True):
        check_equal(report.exists(), before, "the target before")
        run(t, "snapshot", "--json", "-p", process.pid, "-o", first)
        check_snapshot(json.loads(report.read_text()))
        check(first.is_symlink() and link.is_symlink(), "the links are links still")
        report.write_text("before")
    loop = directory / "loop"
    loop.symlink_to("loop")
    run(t, "snapshot", "-p", process.pid, "-o", loop, code=2)
    os.chown(first, 65534, 65534, follow_symlinks=False)
    directory.chmod(0o1777)  # as /tmp: somebody else's link may lead anywhere
    result = run(t, "snapshot", "-p", process.pid, "-o", first, code=2)
    check("Permission denied" in result.messages(), "why it is not followed", result.messages())
    check_equal(report.read_text(), "before", "the target of another's link")


@test()
def a_failed_write_leaves_the_old_file_and_no_other(t):
    """On a file system that is too small, in a mount namespace of its own."""
    process, directory = t.blocker("scale", 700), t.directory()
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", str(directory)], capture_output=True, check=False)
    if probe.returncode:
        raise Skip("no mount namespace can be made here")
    script = f"""mount -t tmpfs -o size=8k none {directory} && echo before >{directory}/report &&
        {BINARY} snapshot --json --min-blocked 1ms --members 1000 -p {process.pid} -o {directory}/report
        echo "exit $?"; ls -A {directory}; cat {directory}/report"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    check_equal(done.stdout.split("\n"), ["exit 2", "report", "before", ""], "exit code, files, the old file", done.stderr)
    check("report" in done.stderr and "No space" in done.stderr, "the message names the file and the reason", done.stderr)


@test("snapshot", "200ms 3")
def a_full_disk_behind_stdout_is_a_failure(t, mode):
    process = t.blocker("waits")
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, *mode.split(), "--json", "-p", str(process.pid)], stdout=full, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=30, check=False)
    check_equal(done.returncode, 2, "exit code", done.stderr)
    check(b"No space" in done.stderr, "the message says why", done.stderr)


@test("SIGINT", "SIGTERM")
def a_signal_brings_a_last_whole_report(t, name):
    process = t.blocker("waits")
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "1h")
    first = watch.next()
    check_equal(count_at(first, "cond_start"), 5, "threads at first", first)
    process.ask("add cond 2")
    workers = children(watch.pid)
    reports = watch.end(getattr(signal, name))
    check(reports, "a last report")
    check_equal(count_at(reports[-1], "cond_start"), 7, "threads in the last report", reports[-1])
    wait_gone(workers)


@test()
def a_fifo_that_nobody_reads_is_named(t):
    fifo = t.directory() / "fifo"
    os.mkfifo(fifo)
    for mode in (["snapshot"], ["1s"], ["check"]):
        command = ["--", "true"] if mode == ["check"] else []
        result = run(t, *mode, "-o", fifo, *command, code=2)
        check(f"{fifo}: nobody reads it" in result.messages(), "why", result.messages())
    with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        run(t, "snapshot", "--json", "-p", os.getpid(), "-o", fifo)
        check_snapshot(json.loads(reader.read()))


@test("SIGINT", "SIGTERM", "SIGHUP")
def a_signal_ends_a_watch_whose_reader_takes_no_more(t, name):
    process = t.blocker("waits")
    for mode, code in ((["100ms"], 0), (["snapshot", "--members", "1000"], 2)):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        child = subprocess.Popen([BINARY, *mode, "--json", "--min-blocked", "1ms", "-p", str(process.pid)], stdout=writer,
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        t.stack.callback(os.close, reader)
        t.stack.callback(lambda child=child: child.poll() is None and child.kill())
        poll(20, "the pipe is full", lambda reader=reader: struct.unpack("i", fcntl.ioctl(
            reader, termios.FIONREAD, b"\0" * 4))[0] >= 4096)
        check_equal(fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK, 0, "O_NONBLOCK on a pipe that others have, too")
        os.close(writer)
        child.send_signal(getattr(signal, name))
        begun = time.monotonic()
        _, messages = child.communicate(timeout=10)
        check(time.monotonic() - begun < 5, "it ends soon")
        check_equal(child.returncode, code, f"exit code of {mode}", messages)
        check(b"its reader takes no more" in messages, "it says that the report is cut", messages)


@test("100ms", "1h")
def nothing_is_left_behind_by_one_that_is_killed(t, interval):
    need("bpftool")
    process = t.blocker("waits")
    watch = Watch(t, "-p", process.pid, interval)
    watch.next()
    held, workers = kernel_objects(watch.pid), children(watch.pid)
    check({kind for kind, _ in held} == {"prog", "map", "link"}, "it holds programs, maps and links", held)
    watch.send(signal.SIGKILL)
    watch.child.wait()
    wait_gone(workers)

    def left():
        ids = set()
        for kind in ("prog", "map", "link"):
            text = subprocess.run([find_program("bpftool"), "-j", kind, "show"], capture_output=True, check=True).stdout
            ids.update((kind, entry["id"]) for entry in json.loads(text or "[]"))
        return ids & held

    poll(20, "its BPF objects are gone", lambda: not left())


@test()
def reports_come_in_their_interval(t):
    process = t.blocker("waits")
    result = run(t, "--json", "-p", process.pid, "300ms", 4)
    reports = parse_lines(result.out)
    check_equal(len(reports), 4, "reports")
    for report in reports[1:]:
        check(0.25 <= report["interval_s"] <= 1, f"an interval of {report['interval_s']} s", report)
    once = parse_lines(run(t, "snapshot", "--json", "-p", process.pid).out)[0]
    check_equal(once["interval_s"], None, "the interval of a single report", once)
    check(0.9 <= reports[-1]["watching_s"] <= 4, f"it watched for {reports[-1]['watching_s']} s", reports[-1])


@test()
def members_and_sites_are_as_many_as_asked(t):
    process = t.blocker("waits")
    arguments = ["snapshot", "--json", "--min-blocked", "1ms", "-p", process.pid]
    for options, members in (((), 5), (("--members", 2), 2), (("--members", 0), 0)):
        report = parse_lines(run(t, *arguments, *options).out)[0]
        check_equal({min(site["count"], members) - len(site["members"]) for site in report["sites"]}, {0},
                    f"members listed with {options}", report)
    report = parse_lines(run(t, *arguments, "--top", 3).out, all_sites=False)[0]
    check_equal(len(report["sites"]), 3, "sites with --top 3", report)
    check_equal(report["totals"]["sites"], 15, "all sites", report)


@test()
def fail_on_turns_a_finding_into_an_exit_code(t):
    from test_verdicts import FAST

    process = t.blocker("leak", 100, settled=False)
    poll(20, "it leaked for a while", lambda: len(harness.tids(process.pid)) > 80)
    for arguments, code in ((("--fail-on", "suspect"), 1), (("--fail-on", "confirmed"), 0), ((), 0)):
        run(t, "snapshot", *FAST, "-p", process.pid, *arguments, code=code)


# --- the live view ----------------------------------------------------------------------------------------------------


class Screen:
    """A terminal of so many columns and rows, as far as leakmon may use one; fails where it would not fit."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.row = self.column = self.redraws = 0
        self.lines = {}
        self.wrong, self.colors = [], 0
        self.pending = ""

    def feed(self, data):
        text = self.pending + data.decode(errors="replace")
        at = 0
        while at < len(text):
            if text[at] == "\033":
                length = self.escape(text[at:])
                if not length:
                    break
                at += length
                continue
            self.put(text[at])
            at += 1
        self.pending = text[at:]

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row, self.column = self.row + 1, 0  # the terminal's own line discipline returns the carriage
            if self.row >= self.rows:
                self.wrong.append(f"scrolls after {self.lines.get(self.rows - 1, '')!r}")
                self.row = self.rows - 1
        elif character < " " or character == "\x7f" or "\x80" <= character <= "\x9f":
            self.wrong.append(f"control character {character!r}")
        else:
            if self.column >= self.columns:
                self.wrong.append(f"line {self.row} is wider than {self.columns}: {self.lines.get(self.row)!r}")
            line = self.lines.get(self.row, "").ljust(self.column)
            self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
            self.column += 1

    def escape(self, text):
        """Obeys a sequence; its length, 0 if it is not whole yet."""
        if len(text) < 2:
            return 0
        if text[1] != "[":
            if text[1] not in "78=>":
                self.wrong.append(f"escape sequence {text[:6]!r}")
            return 2
        end = next((index for index in range(2, len(text)) if "@" <= text[index] <= "~"), None)
        if end is None:
            return 0
        parameters, final = text[2:end], text[end]
        numbers = [int(number) if number.isdigit() else 0 for number in parameters.split(";")]
        if final == "H":
            self.row, self.column = max(numbers[0] - 1, 0), max((numbers + [0])[1] - 1, 0)
            self.redraws += (self.row, self.column) == (0, 0)
        elif final == "J":
            self.lines = {row: line for row, line in self.lines.items() if numbers[0] == 0 and row < self.row}
        elif final == "K":
            self.lines[self.row] = self.lines.get(self.row, "")[:self.column if numbers[0] == 0 else 0]
        elif final == "A":
            self.row = max(0, self.row - max(1, numbers[0]))
            self.redraws += 1
        elif final == "m":
            self.colors += parameters not in ("", "0")
        elif final not in "hl":
            self.wrong.append(f"escape sequence {text[:end + 1]!r}")
        return end + 1

    def text(self):
        return "\n".join(self.lines.get(row, "").rstrip() for row in range(self.rows))


class Terminal:
    """leakmon on a terminal of its own."""

    def __init__(self, t, columns, rows, *arguments, environment=None):
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.child = subprocess.Popen([BINARY, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave,
                                      start_new_session=True, env={**variables, "TERM": "xterm-256color", **(environment or {})})
        os.close(slave)
        self.pid = self.child.pid
        t.stack.callback(os.close, self.master)
        t.stack.callback(self.child.wait)
        t.stack.callback(lambda: self.child.poll() is None and self.child.kill())

    def resize(self, columns, rows):
        self.screen = Screen(columns, rows)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, timeout_s=0.1):
        """What came; b"" at the end."""
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        try:
            return os.read(self.master, 65536) if ready else None
        except OSError:
            return b""

    def show(self, what, until, deadline_s=20):
        end = time.monotonic() + deadline_s
        while not until(self.screen):
            check(time.monotonic() < end, f"not within {deadline_s} s: {what}", self.screen.text())
            self.screen.feed(self.read() or b"")
        check(not self.screen.wrong, f"the screen: {self.screen.wrong[:3]}", self.screen.text())

    def end(self, number=signal.SIGINT):
        """Ends leakmon; what it still wrote."""
        self.child.send_signal(number)
        data, end = b"", time.monotonic() + 10
        while (more := self.read()) != b"" and time.monotonic() < end:
            data += more or b""
        check_equal(self.child.wait(5), 0, "exit code", data[-500:])
        return data.decode(errors="replace")


@test((80, 24), (40, 10), (200, 60), (20, 4))
def the_live_view_redraws_in_place_and_fits_the_window(t, columns, rows):
    process = t.blocker("waits")
    terminal = Terminal(t, columns, rows, "-p", process.pid, "--min-blocked", "1ms")
    terminal.show("three redraws", lambda screen: screen.redraws >= 3)
    if columns >= 80:
        check("barrier" in terminal.screen.text() or "poll" in terminal.screen.text(), "the worst sites", terminal.screen.text())
        check(terminal.screen.colors > 0, "colors on a terminal")
    last = terminal.end()
    if columns >= 80:
        check("poll" in last, "a last report", last)


@test()
def the_live_view_follows_the_window(t):
    process = t.blocker("waits")
    terminal = Terminal(t, 100, 40, "-p", process.pid, "--min-blocked", "1ms")
    terminal.show("two redraws", lambda screen: screen.redraws >= 2)
    terminal.resize(50, 12)
    end = time.monotonic() + 10
    while not terminal.screen.redraws >= 2 and time.monotonic() < end:  # what was drawn before the change is another's
        terminal.screen.feed(terminal.read() or b"")
        if terminal.screen.redraws == 1:
            terminal.screen.wrong.clear()
    terminal.show("redraws", lambda screen: screen.redraws >= 4)
    terminal.end(signal.SIGTERM)


class Job:
    """leakmon in a process group of its own on a terminal of its own, as a shell's jobs are."""

    def __init__(self, t, *arguments):
        self.shell, self.master = pty.fork()
        if not self.shell:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            child = os.fork()
            if not child:
                os.setpgid(0, 0)
                os.tcsetpgrp(0, os.getpid())
                signal.signal(signal.SIGTTOU, signal.SIG_DFL)
                os.execv(BINARY, [BINARY, *map(str, arguments)])
            os.waitpid(child, 0)
            os._exit(0)
        t.stack.callback(os.close, self.master)
        self.pid = poll(10, "leakmon is started", lambda: children(self.shell))[0]
        t.stack.callback(os.waitpid, self.shell, 0)
        t.stack.callback(lambda: is_alive(self.pid) and os.kill(self.pid, signal.SIGKILL))

    def until(self, text, deadline_s=20):
        """Reads until the text comes."""
        data, end = b"", time.monotonic() + deadline_s
        while text not in data:
            check(time.monotonic() < end, f"not within {deadline_s} s: {text!r}", data[-1000:])
            if select.select([self.master], [], [], 0.1)[0]:
                data += os.read(self.master, 65536)

    def modes(self):
        return termios.tcgetattr(self.master)[3] & (termios.ICANON | termios.ECHO)


@test("stopped by Ctrl-Z", "stopped by another")
def the_live_view_gives_the_terminal_back_while_it_is_stopped(t, how):
    process = t.blocker("waits")
    job = Job(t, "-p", process.pid, "--min-blocked", "1ms")
    job.until(b"\033[H")
    check_equal(job.modes(), 0, "single keys, without echo")
    if how == "stopped by Ctrl-Z":
        os.write(job.master, b"\x1a")
        job.until(b"\033[?25h\033[?1049l")
        check_equal(job.modes(), termios.ICANON | termios.ECHO, "the terminal as it was")
    else:
        os.kill(job.pid, signal.SIGSTOP)
    poll(10, "it is stopped", lambda: harness.status(job.pid).get("State", "")[:1] == "T")
    os.kill(job.pid, signal.SIGCONT)
    job.until(b"\033[?1049h\033[?25l")
    job.until(b"\033[H")
    check_equal(job.modes(), 0, "single keys again")
    os.write(job.master, b"q")
    job.until(b"\033[?1049l")
    poll(10, "q ends it", lambda: not is_alive(job.pid))


@test()
def a_terminal_that_is_held_does_not_hold_the_end(t):
    process = t.blocker("waits")
    job = Job(t, "-p", process.pid, "--min-blocked", "1ms")
    job.until(b"\033[J")
    os.write(job.master, b"\x13")  # Ctrl-S
    poll(20, "it waits for the terminal", lambda: not select.select([job.master], [], [], 3)[0] or not os.read(job.master, 65536))
    os.kill(job.pid, signal.SIGTERM)
    job.until(b"\033[?1049l")
    poll(10, "it ends", lambda: not is_alive(job.pid))


@test()
def nothing_stops_the_live_view_where_nothing_could_continue_it(t):
    process = t.blocker("waits")
    terminal = Terminal(t, 100, 30, "-p", process.pid, "--min-blocked", "1ms")
    terminal.show("a redraw", lambda screen: screen.redraws >= 1)
    terminal.child.send_signal(signal.SIGTSTP)
    redraws = terminal.screen.redraws
    terminal.show("more redraws", lambda screen: screen.redraws >= redraws + 3)
    terminal.end()


@test()
def no_color_is_honoured(t):
    process = t.blocker("waits")
    terminal = Terminal(t, 100, 30, "-p", process.pid, "--min-blocked", "1ms", environment={"NO_COLOR": "1"})
    terminal.show("redraws", lambda screen: screen.redraws >= 2)
    check_equal(terminal.screen.colors, 0, "colors")
    terminal.end()
    terminal = Terminal(t, 100, 30, "-p", process.pid, "--min-blocked", "1ms", environment={"NO_COLOR": ""})
    terminal.show("redraws", lambda screen: screen.redraws >= 2)
    check(terminal.screen.colors > 0, "colors where NO_COLOR is empty")
    terminal.end()
    always = run(t, "snapshot", "--color", "always", "--min-blocked", "1ms", "-p", process.pid, clean=False)
    check(b"\033[" in always.out, "--color always", always.out[:500])
    for output in ("json", "collapsed"):
        plain = run(t, "snapshot", "--color", "always", "--format", output, "--min-blocked", "1ms", "-p", process.pid)
        check(b"\033" not in plain.out, f"no color in {output}")


@test()
def hostile_names_do_not_reach_the_terminal(t):
    process = t.blocker("hostile")
    terminal = Terminal(t, 120, 50, "-p", process.pid, "--min-blocked", "1ms")
    terminal.show("redraws", lambda screen: screen.redraws >= 2)
    check(is_alive(terminal.pid), "leakmon lives")
    terminal.end()
