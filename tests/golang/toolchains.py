# SPDX-License-Identifier: GPL-2.0-or-later
"""Go toolchains of Debian, and the programs that they build from programs/ and from sources that tests make."""

import fcntl
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "programs"
ROOT = HERE.parents[1]
TOOLCHAINS = ROOT / "build" / "go"
BUILT = ROOT / "build" / "tests" / "golang"
ALL = ["1.19", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"]
IN_CI = ["1.19", "1.24", "1.27"]
FETCH_DEADLINE_S, BUILD_DEADLINE_S = 600, 600

# name: (arguments of go build, environment)
VARIANTS = {
    "plain": ([], {"CGO_ENABLED": "0"}),
    "bare": (["-ldflags=-s -w"], {"CGO_ENABLED": "0"}),
    "pie": (["-buildmode=pie"], {"CGO_ENABLED": "0"}),
    "external": (["-ldflags=-linkmode=external"], {"CGO_ENABLED": "1"}),
    "stripped": ([], {"CGO_ENABLED": "0"}),
    # of a version that nobody knows: its debug information tells how it is laid out
    "unversioned": ([], {"CGO_ENABLED": "0"}),
}


class Missing(Exception):
    """Why there is no such toolchain, or no such program."""


class _Lock:
    """Of another run beside this one."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def goroot(version):
    """The toolchain's folder; fetches it."""
    folder = TOOLCHAINS / version
    with _Lock(TOOLCHAINS / ".lock"):
        if not (folder / "bin" / "go").exists():
            try:
                done = subprocess.run([HERE / "toolchain.sh", version, folder], capture_output=True, text=True,
                                      stdin=subprocess.DEVNULL, timeout=FETCH_DEADLINE_S, check=False)
            except subprocess.TimeoutExpired:
                raise Missing(f"Go {version} was not fetched within {FETCH_DEADLINE_S} s") from None
            if done.returncode:
                raise Missing(f"Go {version}: {done.stderr.strip()[-300:]}")
    return folder.resolve()


def environment(version, root):
    cache = TOOLCHAINS / "cache" / version
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(cache), "GOROOT": str(root), "GOCACHE": str(cache),
            "GOPATH": str(cache / "path"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOPROXY": "off", "GO111MODULE": "on"}


def run(version, arguments, folder, more=()):
    """go, of that version, in the folder."""
    root = goroot(version)
    words = [str(root / "bin" / "go"), *map(str, arguments)]
    done = subprocess.run(words, cwd=folder, env={**environment(version, root), **dict(more)}, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=BUILD_DEADLINE_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-3000:]}")
    return done.stdout


def minor(version):
    return int(version.split(".")[1])


def forget_version(path):
    """Makes the version in the program's build information (from 1.18 on) one that says nothing."""
    text = path.read_bytes()
    at = text.index(b"\xff Go buildinf:") + 33
    if text[at:at + 4] != b"go1.":
        raise RuntimeError(f"{path}: no version where it should be: {text[at - 1:at + 8]}")
    path.write_bytes(text[:at] + b"gox." + text[at + 4:])


def write_changed(path, text):
    """Writes only what differs: the time of the file says when it changed."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def build_files(name, files, version, variant="plain"):
    """Builds a program from {file: text} unless what is there is newer; returns its path."""
    folder, out = BUILT / version / "src" / name, BUILT / version / f"{name}-{variant}"
    flags, more = VARIANTS[variant]
    if more["CGO_ENABLED"] == "1" and not shutil.which("gcc"):
        raise Missing("gcc is not installed")
    with _Lock(BUILT / version / f".lock-{name}"):
        module = f"module {name}\n\ngo {version}\n"
        for file, text in {**files, "go.mod": module}.items():
            write_changed(folder / file, text)
        for path in folder.iterdir():
            if path.name not in files and path.name != "go.mod":
                path.unlink()
        newest = max(path.stat().st_mtime for path in folder.iterdir())
        if not out.exists() or out.stat().st_mtime < newest:
            new = out.with_name(out.name + ".new")
            run(version, ["build", *flags, "-o", new, "."], folder, more)
            if variant == "stripped":
                subprocess.run(["strip", str(new)], check=True)
            if variant == "unversioned":
                forget_version(new)
            new.rename(out)
    return out


def build(program, version, variant="plain"):
    """Builds programs/PROGRAM.go; returns its path."""
    names = [f"{program}.go", "truth.go"]
    if program == "states":
        names.append("generic.go" if minor(version) >= 18 else "plain.go")
    return build_files(program, {name: (SOURCES / name).read_text() for name in names}, version, variant)


def line_of(program, mark):
    """The line of a source that is marked so: "WAIT:round"."""
    lines = (SOURCES / f"{program}.go").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.rstrip().endswith("// " + mark))
