/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What works on this machine, what does not, what that costs, and what mends it. */
#ifndef LM_DOCTOR_H
#define LM_DOCTOR_H

#include <stdio.h>

/* Prints its findings on the stream. 0 where leakmon can work, 77 where it cannot. */
int lm_doctor_run(FILE *stream);

#endif
