#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command under the restrictions of leakmon.service that need no systemd: confine.py UNIT COMMAND [ARG…].

SystemCallFilter, RestrictAddressFamilies, NoNewPrivileges and MemoryDenyWriteExecute, as the unit has them.
"""

import ctypes
import os
import re
import subprocess
import sys

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM)
EQUAL = 4  # SCMP_CMP_EQ
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def settings(unit):
    """{name: value of its last line} of a unit file."""
    with open(unit) as file:
        return dict(re.findall(r"^(\w+)=(.*)$", file.read(), re.M))


def expand(name):
    """The system calls of a set, as this machine's systemd has it."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = set()
    for word in re.findall(r"^ +([@\w]\S*)$", text, re.M):
        found |= expand(word)
    return found


def load_filter(calls, families):
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(REFUSE))
    for call in sorted(calls):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number < 0 or call == "socket":  # of another architecture, or unknown to this library
            continue
        if library.seccomp_rule_add(context, ALLOW, number, 0):
            raise OSError(f"seccomp: {call}")
    for family in families:
        rule = Comparison(0, EQUAL, FAMILIES[family], 0)
        library.seccomp_rule_add_array(
            context, ALLOW, library.seccomp_syscall_resolve_name(b"socket"), 1, ctypes.byref(rule))
    if library.seccomp_load(context):
        raise OSError("the filter was not loaded")


def main():
    unit, command = settings(sys.argv[1]), sys.argv[2:]
    calls = set().union(*(expand(word) for word in unit["SystemCallFilter"].split()))
    libc = ctypes.CDLL(None)
    if unit.get("MemoryDenyWriteExecute") == "yes":
        libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # since Linux 6.3
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    load_filter(calls, unit["RestrictAddressFamilies"].split())
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
