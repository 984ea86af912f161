/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of the page, built into the program. */
#ifndef LM_WEB_ASSETS_H
#define LM_WEB_ASSETS_H

#include <stddef.h>

struct lm_asset {
	const char *path; /* as asked for: "/", "/assets/page.js" … */
	const char *content_type;
	const char *bytes;
	size_t len;
};

/* The page's Content-Security-Policy: nothing from anywhere else, nothing written in the page itself, and no text that
 * a script could turn into markup. */
#define LM_ASSET_SECURITY                                                                                              \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "          \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "            \
	"trusted-types 'none'"

/* NULL: there is no such file. */
const struct lm_asset *lm_asset_find(const char *path);

#endif
