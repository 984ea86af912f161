// SPDX-License-Identifier: GPL-2.0-only
/* One object of all programs, so that they share their maps: see the file of each concern. */
#include "futex.h"
#include "life.h"
#include "scan.h"
#include "switch.h"

char LICENSE[] SEC("license") = "GPL";
