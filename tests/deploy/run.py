#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of deploy/: everything there is opened by the tool that it is for, and names only what leakmon has.

run.py [-k PATTERN]…
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/leakmon.rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
SIX = {"CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_SYSLOG", "CAP_DAC_READ_SEARCH", "CAP_CHECKPOINT_RESTORE"}
EXPOSURE_MAX = 3.1  # of systemd-analyze security, whose points for names of kernel functions we do not want
TESTS = []

sys.dont_write_bytecode = True
sys.path.append("/usr/lib/python3/dist-packages")  # of Debian, where another Python comes first in PATH


class Failure(Exception):
    """What is wrong, for a person."""


class Skip(Exception):
    """Why this cannot be tested here."""


def test(function):
    TESTS.append(function)
    return function


def check(truth, message):
    if not truth:
        raise Failure(message)


def run(*words, code=0, **options):
    """Runs a command to its end; returns what it printed."""
    if not shutil.which(str(words[0])):
        raise Skip(f"{words[0]} is not installed")
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False, cwd=ROOT, **options)
    check(code is None or done.returncode == code, f"{' '.join(map(str, words))} → {done.returncode}:\n{done.stdout}")
    return done.stdout


def load_yaml(text):
    try:
        import yaml
    except ImportError:
        raise Skip("python3-yaml is not installed") from None
    return list(yaml.safe_load_all(text))


# --- systemd ------------------------------------------------------------------------------------------------------------


def unit_settings(path):
    """[(name, value), …] in the order of the file."""
    return re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M)


def units_here(directory):
    """The units with a binary that is there."""
    for unit in (DEPLOY / "systemd").iterdir():
        (directory / unit.name).write_text(unit.read_text().replace("/usr/local/bin/leakmon", str(ROOT / "build/leakmon")))
    return directory / "leakmon.service", directory / "leakmon.socket"


@test
def systemd_takes_the_units_without_a_word(directory):
    said = run("systemd-analyze", "verify", "--man=no", *units_here(directory))
    check(not said.strip(), said)


@test
def the_unit_is_exposed_no_more_than_it_must_be(directory):
    service, _ = units_here(directory)
    said = run("systemd-analyze", "security", "--offline=true", "--no-pager", service, code=None)
    level = re.search(r"Overall exposure level for leakmon.service: ([\d.]+)", said)
    check(level, said)
    check(float(level[1]) <= EXPOSURE_MAX, said)


@test
def the_unit_has_six_capabilities_and_keeps_symbols(_):
    settings = unit_settings(DEPLOY / "systemd/leakmon.service")
    by_name = dict(settings)
    for name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        check(set(by_name[name].split()) == SIX, f"{name}={by_name[name]}")
    check(by_name["Type"] == "notify" and by_name["NotifyAccess"] == "main", "it tells when it is ready")
    check(by_name["StateDirectoryMode"] == "0700", "its history is for nobody else")
    hiding = {"ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectProc", "ProcSubset", "PrivateUsers",
              "PrivateNetwork", "User"} & set(by_name)
    check(not hiding, f"these would hide what is to be seen: {hiding}")


@test
def the_socket_listens_where_the_contract_says(_):
    settings = dict(unit_settings(DEPLOY / "systemd/leakmon.socket"))
    check(settings["ListenStream"] == "127.0.0.1:9469", settings["ListenStream"])
    check("FileDescriptorName" in settings, "its descriptor has a name")


@test
def install_puts_units_where_systemd_looks_and_keeps_a_configuration(directory):
    words = ["make", "--no-print-directory", "install", f"DESTDIR={directory}", "PREFIX=/opt/leakmon"]
    run(*words)
    service = (directory / "opt/leakmon/lib/systemd/system/leakmon.service").read_text()
    commands = re.findall(r"^Exec\w+=(\S+)", service, re.M)
    check(commands and set(commands) <= {"/opt/leakmon/bin/leakmon", "/bin/kill"}, f"commands: {commands}")
    for path in ("opt/leakmon/bin/leakmon", "opt/leakmon/lib/systemd/system/leakmon.socket",
                 "opt/leakmon/share/man/man8/leakmon.8", "etc/leakmon/leakmon.yml"):
        check((directory / path).is_file(), f"{path} is installed")
    config = directory / "etc/leakmon/leakmon.yml"
    check(config.read_text() == (DEPLOY / "leakmon.yml").read_text(), "the default configuration")
    config.write_text("interval: 5s\n")
    run(*words)
    check(config.read_text() == "interval: 5s\n", "a configuration that was there is kept")


# --- the configuration ----------------------------------------------------------------------------------------------------

FLAGS = {"interval", "horizon", "min-blocked", "listen", "web-config", "state-dir", "retention", "metrics-max-series"}


@test
def the_default_configuration_holds_defaults_alone(_):
    text = (DEPLOY / "leakmon.yml").read_text()
    check(load_yaml(text) in ([], [None]), "as it is, it sets nothing")
    options = load_yaml("\n".join(line[1:] for line in text.splitlines() if re.match(r"#(\S|  -)", line)))[0]
    check(set(options) == FLAGS, f"its keys are flags: {set(options) ^ FLAGS}")
    check(options["listen"] == ["127.0.0.1:9469"], "listen")


@test
def leakmon_takes_the_default_configuration(_):
    binary = ROOT / "build/leakmon"
    if "--check-config" not in run(binary, "daemon", "--help", code=None):
        raise Skip("this leakmon has no daemon")
    run(binary, "daemon", "--config", DEPLOY / "leakmon.yml", "--check-config")


# --- Prometheus and Alertmanager ----------------------------------------------------------------------------------------------


@test
def promtool_takes_the_rules(_):
    run("promtool", "check", "rules", RULES)


@test
def promtool_takes_the_scrape_configuration(_):
    run("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")


@test
def alerts_fire_on_what_leaks_and_keep_quiet_on_what_is_healthy(_):
    run("promtool", "test", "rules", DEPLOY / "prometheus/leakmon.rules.test.yml")


def never_firing(rules):
    rules = re.sub(r"(- alert: .*\n +expr: )(?!\|)(.*)", r"\1vector(1) < 0 and on () (\2)", rules)
    return re.sub(r"(- alert: .*\n +expr: \|\n)((?: {10}.*\n)+)", r"\1          vector(1) < 0 and on () (\n\2          )\n", rules)


@test
def the_tests_of_the_rules_notice_when_a_rule_is_broken(directory):
    shutil.copy(DEPLOY / "prometheus/leakmon.rules.test.yml", directory)
    text = RULES.read_text()
    alerts = set(re.findall(r"- alert: (\w+)", text))
    for what, broken in (("never fires", never_firing(text)), ("has other words", re.sub(r"(summary: '?)", r"\1So ", text))):
        (directory / "leakmon.rules.yml").write_text(broken)
        said = run("promtool", "test", "rules", directory / "leakmon.rules.test.yml", code=1)
        noticed = set(re.findall(r"alertname: ?(\w+)", said))
        check(noticed == alerts, f"{what}, and nobody notices: {alerts - noticed}\n{said[:2000]}")


@test
def every_alert_says_what_to_do_and_is_tested(_):
    tested = set(re.findall(r"alertname: (\w+)", (DEPLOY / "prometheus/leakmon.rules.test.yml").read_text()))
    alerts = [rule for group in load_yaml(RULES.read_text())[0]["groups"] for rule in group["rules"] if "alert" in rule]
    for rule in alerts:
        name, notes = rule["alert"], rule["annotations"]
        check(name in tested, f"{name} has no test")
        check(rule["labels"]["severity"] in ("page", "ticket"), f"{name}: severity")
        check("for" in rule, f"{name} has no for")
        check(set(notes) == {"summary", "description", "command"}, f"{name}: annotations")
        check(notes["summary"].endswith(".") and notes["description"].strip().endswith("."), f"{name}: sentences")
        # what a program calls itself is not to be pasted into a shell
        used = set(re.findall(r"\$labels\.(\w+)", notes["command"]))
        check(used <= {"instance", "site"}, f"{name}: the command has {used}")
    check(len(alerts) >= 8, "there are alerts")


@test
def alertmanager_takes_its_configuration(_):
    config = DEPLOY / "prometheus/alertmanager.yml"
    run("amtool", "check-config", config)
    for severity, receiver in (("page", "pager"), ("ticket", "tickets")):
        said = run("amtool", "config", "routes", "test", f"--config.file={config}", f"severity={severity}", "alertname=X")
        check(said.split()[-1] == receiver, f"{severity} goes to {said}")


# --- names of metrics ------------------------------------------------------------------------------------------------------------


def known_metrics():
    """{name: its labels}, of what leakmon writes in the golden files, of what rules record, and of Prometheus itself."""
    known = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
    for path in (ROOT / "tests/golden").glob("*.prom"):
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", path.read_text(), re.M):
            known.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    for name in ("process_virtual_memory_bytes", "process_open_fds", "process_max_fds"):
        check(f'"{name}"' in (ROOT / "user/render/metrics.c").read_text(), f"{name} is a metric")
        known.setdefault(name, set())
    for name in re.findall(r"- record: (\S+)", RULES.read_text()):
        known[name] = set(name.split(":")[0].split("_"))
    for labels in known.values():
        labels.update({"job", "instance"})
    return known


WORDS = set("""by on or and unless group_left group_right without ignoring bool offset sum count min max avg group topk rate
    increase changes deriv time vector absent histogram_quantile label_values""".split())


def wrong_names(expression, known):
    """What an expression names that is not there."""
    wrong = []
    for name, matchers in re.findall(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}", expression):
        if name in known:
            wrong += [f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', matchers))
                      if label not in known[name] and label != "__name__"]
    bare = re.sub(r'"(\\.|[^"])*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    labels = {label for group in re.findall(r"\b(?:by|on|group_left|without|ignoring)\s*\(([^)]*)\)", bare)
              for label in re.findall(r"\w+", group)}
    all_labels = set().union(*known.values())
    wrong += [f"label {label}" for label in labels - all_labels]
    bare = re.sub(r"\b(by|on|group_left|without|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\b\d[\d.]*[smhdw]?\b", "", bare)
    wrong += [word for word in re.findall(r"[a-zA-Z_:][\w:]*", bare) if word not in known and word not in WORDS]
    return wrong


@test
def rules_name_only_what_there_is(_):
    known = known_metrics()
    text = RULES.read_text()
    expressions = [rule["expr"] for group in load_yaml(text)[0]["groups"] for rule in group["rules"]]
    expressions += [query.replace("%q", '"x"') for query in re.findall(r'printf "(\w+\(?[^"]*\)?)" \$labels', text)]
    for expression in expressions:
        wrong = wrong_names(expression, known)
        check(not wrong, f"{wrong} in {expression}")
    check(wrong_names("leakmon_sites_count", known) and wrong_names('leakmon_findings{kind="x"}', known)
          and wrong_names("sum by (pod) (up)", known), "wrong names are noticed")


# --- Grafana ----------------------------------------------------------------------------------------------------------------------


def without_variables(expression):
    expression = re.sub(r"\$__(rate_)?interval", "5m", expression)
    return re.sub(r"\$\{?(instance|process|site)\}?", "x", expression)


def panels_of(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def expressions_of(board):
    for panel in panels_of(board):
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], annotation["expr"]


@test
def dashboards_ask_for_what_there_is_in_words_that_prometheus_knows(directory):
    known, rules = known_metrics(), []
    for path in DASHBOARDS:
        for title, expression in expressions_of(json.loads(path.read_text())):
            plain = without_variables(expression)
            check("$" not in plain, f"{path.name}, {title}: an unknown variable in {expression}")
            wrong = wrong_names(plain, known)
            check(not wrong, f"{path.name}, {title}: {wrong} in {expression}")
            rules.append({"record": f"panel:{len(rules)}", "expr": plain})
    file = directory / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    said = run("promtool", "check", "rules", file)
    check(f"{len(rules)} rules found" in said and len(rules) > 40, said)


def datasources_in(value):
    if isinstance(value, dict):
        if "datasource" in value:
            yield value["datasource"]
        for each in value.values():
            yield from datasources_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from datasources_in(each)


@test
def dashboards_can_be_imported_anywhere(_):
    check(len(DASHBOARDS) == 2, "there are two")
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    check(len({board["uid"] for board in boards}) == 2, "each has a uid of its own")
    for path, board in zip(DASHBOARDS, boards):
        check(board["id"] is None and board["schemaVersion"] >= 38, f"{path.name}: id, schema")
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        check(variables["datasource"]["type"] == "datasource", f"{path.name}: the data source is a variable")
        check(next(iter(variables)) == "datasource", f"{path.name}: which the others need")
        for source in datasources_in(board):
            check(source in ({"type": "prometheus", "uid": "${datasource}"}, {"type": "grafana", "uid": "-- Grafana --"}),
                  f"{path.name}: a data source of one machine: {source}")
        ids = [panel["id"] for panel in panels_of(board)]
        check(len(ids) == len(set(ids)), f"{path.name}: ids of panels")
        check("://" not in path.read_text(), f"{path.name}: addresses")


@test
def panels_have_units_and_do_not_overlap(_):
    for path in DASHBOARDS:
        taken = {}
        for panel in json.loads(path.read_text())["panels"]:
            place, title = panel["gridPos"], f"{path.name}, {panel['title']}"
            check(place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= 24, f"{title}: its place")
            for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"])
                         for y in range(place["y"], place["y"] + place["h"])):
                check(cell not in taken, f"{title}: lies over {taken.get(cell)}")
                taken[cell] = title
            if panel["type"] == "row":
                continue
            check(panel["fieldConfig"]["defaults"].get("unit"), f"{title}: no unit")
            check(panel["targets"] and panel["title"], f"{title}: nothing to show")
            letters = [target["refId"] for target in panel["targets"]]
            check(len(letters) == len(set(letters)), f"{title}: {letters}")
            unit = panel["fieldConfig"]["defaults"]["unit"]
            for target in panel["targets"]:
                if re.match(r"(topk\(10, )?process_\w+_bytes", target["expr"]):
                    check(unit == "bytes", f"{title}: bytes")
                if target["expr"].startswith(("histogram_quantile", "time()")):
                    check(unit == "s", f"{title}: seconds")


# --- Kubernetes -----------------------------------------------------------------------------------------------------------------------


def manifests():
    return [each for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for each in load_yaml(path.read_text())]


@test
def manifests_are_whole(_):
    objects = manifests()
    for each in objects:
        check({"apiVersion", "kind", "metadata"} <= set(each) and each["metadata"]["name"], f"an object: {each}")
    check({each["kind"] for each in objects} == {"Namespace", "ConfigMap", "DaemonSet", "Service", "NetworkPolicy", "ServiceMonitor"},
          "kinds")
    labels = {"app.kubernetes.io/name": "leakmon"}
    by_kind = {each["kind"]: each for each in objects}
    check(by_kind["DaemonSet"]["spec"]["template"]["metadata"]["labels"] == labels
          == by_kind["DaemonSet"]["spec"]["selector"]["matchLabels"] == by_kind["Service"]["spec"]["selector"]
          == by_kind["ServiceMonitor"]["spec"]["selector"]["matchLabels"], "labels and selectors agree")
    names = {port["name"] for port in by_kind["Service"]["spec"]["ports"]}
    check({end["port"] for end in by_kind["ServiceMonitor"]["spec"]["endpoints"]} <= names, "names of ports")
    for text in by_kind["ConfigMap"]["data"].values():
        check(set(load_yaml(text)[0]) <= FLAGS, "its configuration has known keys")


@test
def the_pod_has_six_capabilities_and_little_else(_):
    pod = next(each for each in manifests() if each["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    context = container["securityContext"]
    check(context["capabilities"]["drop"] == ["ALL"], "all others are dropped")
    check({f"CAP_{name}" for name in context["capabilities"]["add"]} == SIX, "six are added")
    check(context["readOnlyRootFilesystem"] and not context["privileged"] and not context["allowPrivilegeEscalation"], "closed")
    check(pod["hostPID"] and not pod["automountServiceAccountToken"], "the node's processes, no account")
    volumes = {volume["name"] for volume in pod["volumes"]}
    check(volumes == {mount["name"] for mount in container["volumeMounts"]}, "volumes and mounts agree")
    for probe, path in (("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")):
        check(container[probe]["httpGet"] == {"path": path, "port": "http"}, probe)


# --- all of them ------------------------------------------------------------------------------------------------------------------------


def run_test(function):
    with tempfile.TemporaryDirectory(prefix="leakmon-deploy-") as directory:
        os.chmod(directory, 0o755)
        try:
            function(pathlib.Path(directory))
            return "ok", ""
        except Skip as skip:
            return "skip", str(skip)
        except Failure as failure:
            return "FAIL", str(failure)
        except Exception:
            return "FAIL", traceback.format_exc().rstrip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("-k", dest="patterns", metavar="PATTERN", action="append", help="only tests whose name holds it")
    patterns = parser.parse_args().patterns
    results = []
    for function in TESTS:
        if patterns and not any(pattern in function.__name__ for pattern in patterns):
            continue
        result, reason = run_test(function)
        results.append(result)
        print(f"{result:4}  {function.__name__}{': ' if reason else ''}{reason[:4000]}", flush=True)
    print(", ".join(f"{results.count(result)} {word}"
                    for result, word in (("ok", "passed"), ("FAIL", "failed"), ("skip", "skipped"))))
    return 1 if "FAIL" in results else 0


if __name__ == "__main__":
    sys.exit(main())
