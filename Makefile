# leakmon: `sudo make run` and `sudo make test` set up everything on a fresh Debian 12.
#
# V=1 shows the commands, SAN=1 builds with sanitizers (into build/san), DESTDIR and PREFIX say where install puts things.

VERSION := 0.1.0
PREFIX  ?= /usr/local
SAN     ?= 0
V       ?= 0

B := build$(if $(filter 1,$(SAN)),/san)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' '$(1)' '$(2)')

CC      ?= cc
CLANG   ?= clang
PROTOC_C ?= protoc-c
BPFTOOL ?= $(or $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool),bpftool)

LIBS    := libbpf libdw libelf jansson libseccomp libprotobuf-c zlib libmicrohttpd sqlite3 yaml-0.1 libcrypt gnutls
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings -Wformat=2 -Wundef
lm_cflags = -std=gnu11 $(WARN) $(CFLAGS) -fstack-protector-strong -D_GNU_SOURCE -DLM_VERSION='"$(VERSION)"' \
            -I. -Iinclude -I$(B) $(shell pkg-config --cflags $(LIBS) 2>/dev/null) $(san_flags)
lm_libs   = $(shell pkg-config --libs $(LIBS) 2>/dev/null) -liberty $(san_flags)
san_flags = $(if $(filter 1,$(SAN)),-fsanitize=address$(comma)undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
comma := ,

# bookworm's clang is 14; -mcpu=v3 keeps 32-bit operations small and runs on every kernel since 5.1.
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Iinclude -Ibpf \
              -D__TARGET_ARCH_x86

srcs       := $(sort $(wildcard user/*.c user/*/*.c))
protos     := $(sort $(wildcard user/*/*.proto))
objs       := $(srcs:%.c=$(B)/%.o) $(protos:%.proto=$(B)/%.pb-c.o)
lib_objs   := $(filter-out $(B)/user/main.o,$(objs))
bpf_srcs   := $(sort $(wildcard bpf/*.bpf.c))
bpf_objs   := $(bpf_srcs:bpf/%.bpf.c=$(B)/%.bpf.o)
unit_srcs  := $(sort $(wildcard tests/unit/test_*.c))
unit_tests := $(unit_srcs:tests/unit/%.c=$(B)/tests/unit/%)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all run test page-tests unit unit-tests integration golang goker goker-quick corpus corpus-quick sanitize check format bench vm soak soak-quick fuzz deploy deps deps-test install clean help

all: $(B)/leakmon

help:
	@echo 'sudo make run [ARGS="-p PID"]  install what is needed, build, watch this machine'
	@echo 'sudo make test                 the same, and run every test'
	@echo 'make                           build build/leakmon'
	@echo 'make unit | integration | vm | deploy | sanitize | fuzz   parts of the tests'
	@echo 'make page-tests                the page in headless Chromium; screenshots in build/page-shots'
	@echo 'make soak                      a day of the daemon in an emulated machine whose idle time is skipped (soak-quick: 4 hours)'
	@echo 'make golang                    goroutines of programs of Go 1.19 to 1.27 against their own dumps (make test: of three)'
	@echo 'make goker                     are the kernels of real Go bugs found? (from Go'"'"'s own sources; goker-quick: 11 of them, and the seeds)'
	@echo 'make corpus-quick              programs with known truth, 60 times as fast: how right are the verdicts?'
	@echo 'make corpus                    the same in real time, with real servers: takes five hours'
	@echo 'make check                     warnings as errors, formatting, header and layer checks'
	@echo 'make bench                     speed, side by side with offcputime and an empty program'
	@echo 'make deps | format | install | clean'
	@echo 'make UPLOT=DIR                 with a copy of uPlot (dist/, LICENSE) in place of the npm registry'"'"'s'
	@echo 'V=1 shows commands, SAN=1 builds with sanitizers; DESTDIR, PREFIX ($(PREFIX)) for install'

# The recursive make sees the headers and pkg-config files that deps has just installed.
run: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)./$(B)/leakmon $(ARGS)

test: deps-test
	$(Q)tests/run.sh

deps:
	$(Q)tests/deps.sh

deps-test:
	$(Q)tests/deps.sh test

$(B)/leakmon: $(objs)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(objs) $(lm_libs)

$(B)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(lm_cflags) -MMD -MP -c -o $@ $<

$(B)/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -c -o $@ $<

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst .,_,$(*F))_bpf > $@

$(B)/user/probe.o: $(B)/leakmon.skel.h

# The page's files are built in as they are: assets.c names them. Its charts are uPlot's, from the npm registry or from UPLOT.
web_files := $(sort $(wildcard user/web/*.html user/web/*.css user/web/*.js user/web/*.svg))
web_uplot := build/web/uPlot.js build/web/uPlot.css build/web/LICENSE-uPlot
UPLOT ?=

$(web_uplot) &: user/web/fetch.sh user/web/package-lock.json $(if $(filter-out $(shell cat build/web/from 2>/dev/null),$(UPLOT)),FORCE)
	$(call say,WEB,uPlot)
	$(Q)user/web/fetch.sh build/web "$(UPLOT)"

.PHONY: FORCE

$(B)/user/web/assets.o: $(web_files) $(web_uplot)

# Both files at once.
$(B)/%.pb-c.c $(B)/%.pb-c.h &: %.proto
	$(call say,PROTO,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(PROTOC_C) --c_out=$(B) $<

$(B)/%.pb-c.o: $(B)/%.pb-c.c
	$(call say,CC,$<)
	$(Q)$(CC) $(lm_cflags) -MMD -MP -c -o $@ $<

$(B)/user/render/pprof.o $(B)/user/render/pprof_tables.o: $(B)/user/render/profile.pb-c.h

$(B)/tests/unit/%: tests/unit/%.c $(lib_objs)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(lm_cflags) -MMD -MP -MF $@.d -o $@ $< $(lib_objs) $(lm_libs) -lcmocka

$(B)/bench/verdicts: tests/bench/verdicts.c $(lib_objs)
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(lm_cflags) -o $@ $< $(lib_objs) $(lm_libs)

# Prints the goroutines of a process: what the tests compare with Go's own dump.
$(B)/tests/go-dump: tests/golang/dump.c $(lib_objs)
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(lm_cflags) -o $@ $< $(lib_objs) $(lm_libs)

unit-tests: $(unit_tests)

unit: $(unit_tests)
	$(Q)set -e; for t in $(unit_tests); do echo "$$t"; ./$$t; done

page-tests: $(web_uplot)
	$(Q)tests/page/run.py

integration: all $(B)/tests/go-dump
	$(Q)tests/integration/run.py

# Toolchains that are not there are fetched: Debian has them in other suites.
golang: all $(B)/tests/go-dump
	$(Q)tests/golang/compare.py

goker: all
	$(Q)tests/golang/goker.py

goker-quick: all
	$(Q)tests/golang/goker.py --quick

corpus-quick: all
	$(Q)tests/corpus/test_scoring.py
	$(Q)tests/corpus/run.py --horizon 30s --again

corpus: deps-test
	$(Q)tests/deps.sh servers || true # what is missing is skipped
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/corpus/run.py --horizon 1800s --together --servers --only '^(?!stress/)'
	$(Q)tests/corpus/run.py --servers --only '^stress/'

# What deploy/ holds: opened, checked and tried with the tools that it is for.
deploy: all
	$(Q)tests/deploy/run.py

vm: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/vm/run.sh

soak: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/vm/soak.sh

soak-quick: all
	$(Q)tests/vm/soak.sh quick

sanitize:
	$(Q)$(MAKE) --no-print-directory SAN=1 all unit

bench: deps-test
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/bench/run.sh

fuzz: deps-test
	$(Q)tests/fuzz/run.sh

check: deps-test
	$(Q)tests/check.sh

format:
	$(Q)clang-format -i $(shell git ls-files '*.c' '*.h')

install: all
	install -D -m 0755 $(B)/leakmon $(DESTDIR)$(PREFIX)/bin/leakmon
	install -D -m 0644 leakmon.8 $(DESTDIR)$(PREFIX)/share/man/man8/leakmon.8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' deploy/systemd/leakmon.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/leakmon.service
	chmod 0644 $(DESTDIR)$(PREFIX)/lib/systemd/system/leakmon.service
	install -m 0644 deploy/systemd/leakmon.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/leakmon.socket
	test -e $(DESTDIR)/etc/leakmon/leakmon.yml || \
		install -D -m 0644 deploy/leakmon.yml $(DESTDIR)/etc/leakmon/leakmon.yml

clean:
	$(Q)rm -rf build

-include $(objs:.o=.d) $(bpf_objs:.o=.d) $(unit_tests:=.d)
