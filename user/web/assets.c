// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page's files, as they are, in the program's read-only data. The assembler reads them from where make is run; the
 * Makefile says that this file depends on them, and where uPlot's come from.
 */
#include "user/web/assets.h"

#include <stdint.h>
#include <string.h>

#define HTML "text/html; charset=utf-8"
#define SCRIPT "text/javascript; charset=utf-8"
#define STYLE "text/css; charset=utf-8"
#define TEXT "text/plain; charset=utf-8"
#define SVG "image/svg+xml"

/* Path, type, file. */
#define FILES(X)                                                                                                       \
	X("/", HTML, "user/web/index.html")                                                                            \
	X("/assets/page.css", STYLE, "user/web/page.css")                                                              \
	X("/assets/icon.svg", SVG, "user/web/icon.svg")                                                                \
	X("/assets/page.js", SCRIPT, "user/web/page.js")                                                               \
	X("/assets/charts.js", SCRIPT, "user/web/charts.js")                                                           \
	X("/assets/dom.js", SCRIPT, "user/web/dom.js")                                                                 \
	X("/assets/findings.js", SCRIPT, "user/web/findings.js")                                                       \
	X("/assets/flame.js", SCRIPT, "user/web/flame.js")                                                             \
	X("/assets/health.js", SCRIPT, "user/web/health.js")                                                           \
	X("/assets/history.js", SCRIPT, "user/web/history.js")                                                         \
	X("/assets/model.js", SCRIPT, "user/web/model.js")                                                             \
	X("/assets/processes.js", SCRIPT, "user/web/processes.js")                                                     \
	X("/assets/reports.js", SCRIPT, "user/web/reports.js")                                                         \
	X("/assets/site_detail.js", SCRIPT, "user/web/site_detail.js")                                                 \
	X("/assets/sites.js", SCRIPT, "user/web/sites.js")                                                             \
	X("/assets/words.js", SCRIPT, "user/web/words.js")                                                             \
	X("/assets/uPlot.js", SCRIPT, "build/web/uPlot.js")                                                            \
	X("/assets/uPlot.css", STYLE, "build/web/uPlot.css")                                                           \
	X("/assets/LICENSE-uPlot", TEXT, "build/web/LICENSE-uPlot")

/* The lengths are known to the assembler alone, so it makes the table, too: a struct lm_asset for each file. */
#define ASSET(path, type, file)                                                                                        \
	".pushsection .rodata\n"                                                                                       \
	"1: .asciz \"" path "\"\n"                                                                                     \
	"2: .asciz \"" type "\"\n"                                                                                     \
	"3: .incbin \"" file "\"\n"                                                                                    \
	"4: .byte 0\n"                                                                                                 \
	".popsection\n"                                                                                                \
	".quad 1b, 2b, 3b, 4b - 3b\n"

__asm__(".pushsection .data.rel.ro.local, \"aw\"\n"
	".balign 8\n"
	"lm_web_assets:\n" FILES(ASSET) "lm_web_assets_end:\n"
					".popsection\n");

_Static_assert(sizeof(struct lm_asset) == 4 * sizeof(uint64_t), "as the assembler lays it out");
_Static_assert(offsetof(struct lm_asset, bytes) == 2 * sizeof(uint64_t), "as the assembler lays it out");

extern const struct lm_asset lm_web_assets[], lm_web_assets_end[];

const struct lm_asset *lm_asset_find(const char *path)
{
	for (const struct lm_asset *asset = lm_web_assets; asset < lm_web_assets_end; asset++) {
		if (strcmp(asset->path, path) == 0)
			return asset;
	}
	return NULL;
}
