#!/bin/bash
# What must hold of the sources without running them: warnings as errors, formatting, headers that stand alone, layers,
# scripts that parse, and nothing in them that belongs to one machine. Prints each check, and what breaks it.
set -u
cd "$(dirname "$0")/.." || exit 2

passed=0 failed=0
# check NAME COMMAND…: the command says on its output what is wrong.
check() {
	local name=$1 output status
	shift
	output=$("$@" 2>&1 </dev/null)
	status=$?
	if [ $status = 0 ]; then
		passed=$((passed + 1))
		echo "ok    $name"
	else
		failed=$((failed + 1))
		echo "FAIL  $name"
		printf '%s\n' "${output:-exit $status}" | sed 's/^/      /' | head -n 60
	fi
}

# Files that git has or would take. A file that is tracked but deleted is left out.
files() {
	git -c safe.directory="$PWD" ls-files -co --exclude-standard -- "$@" | while IFS= read -r file; do
		[ -f "$file" ] && printf '%s\n' "$file"
	done | sort -u
}

# probe.c includes the skeleton, pprof.c what is made of profile.proto, assets.c the page's charts. The flags are the Makefile's own, so that both cannot differ.
make -s --no-print-directory build/leakmon.skel.h build/user/render/profile.pb-c.h build/web/uPlot.js || exit 2
flags=$(make -s --no-print-directory -f - print-flags <<'MAKE'
include Makefile
$(info $(lm_cflags))
$(info $(BPF_CFLAGS))
print-flags: ;
MAKE
) || exit 2
eval "c_flags=($(sed -n 1p <<<"$flags"))"
eval "bpf_flags=($(sed -n 2p <<<"$flags"))"

mapfile -t c_all < <(files '*.c' '*.h' '*.cpp')
mapfile -t sources < <(files 'user/*.c' 'tests/unit/*.c' 'tests/fuzz/*.c')
mapfile -t programs < <(files 'tests/*.c' | grep -vE '^tests/(unit|fuzz)/|[.]bpf[.]c$')
mapfile -t headers < <(files 'user/*.h' 'include/*.h')
mapfile -t bpf_sources < <(files 'bpf/*.bpf.c')
mapfile -t bpf_headers < <(files 'bpf/*.h')
mapfile -t shells < <(files '*.sh' .ci/run; files | xargs -d '\n' grep -lE '^#!/bin/(ba)?sh' 2>/dev/null)
mapfile -t pythons < <(files '*.py')

# each COMMAND… -- FILE…: runs the command on every file, as many at a time as there are CPUs.
each() {
	local command=()
	while [ "$1" != -- ]; do
		command+=("$1")
		shift
	done
	shift
	[ $# = 0 ] || printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" "${command[@]}"
}

compile_gcc() {
	each "${CC:-gcc}" "${c_flags[@]}" -Werror -c -o /dev/null -- "${sources[@]}"
}

compile_clang() {
	each clang "${c_flags[@]}" -Wall -Wextra -Werror -fsyntax-only -- "${sources[@]}"
}

compile_programs() {
	each "${CC:-gcc}" -O2 -Wall -Wextra -Wno-missing-field-initializers -Werror -I. -Iinclude -D_GNU_SOURCE \
		-c -o /dev/null -- "${programs[@]}"
}

compile_bpf() {
	each clang "${bpf_flags[@]}" -Werror -c -o /dev/null -- "${bpf_sources[@]}"
}

headers_alone() {
	each "${CC:-gcc}" "${c_flags[@]}" -Werror -fsyntax-only -x c -- "${headers[@]}" || return 1
	# there the kernel's types come from kernel.h alone
	each clang "${bpf_flags[@]}" -Werror -Wno-unused-function -include bpf/kernel.h -fsyntax-only -x c -- \
		"${bpf_headers[@]}" include/leakmon_abi.h
}

# "FILE INCLUDED" for every include of the files, as written.
includes() {
	[ $# = 0 ] || grep -HE '^[[:space:]]*#[[:space:]]*include' -- "$@" |
		sed -E 's/^([^:]*):[^"<]*(["<])([^">]*)[">].*/\1 \2\3/; s/ "/ /'
}

# layer NAME FILES-PATTERN INCLUDE-PATTERN allow|deny: the files (extended regular expression) may include only (allow), or not at
# all (deny), what matches; system headers are written "<name".
layer() {
	local want=$1 what=$2 pattern=$3 bad
	bad=$(includes "${c_all[@]}" | awk -v want="$want" -v what="$what" -v pattern="$pattern" \
		'$1 ~ what && (($2 ~ pattern) != (want == "allow")) { print $1 " includes " $2 }')
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

# Modules of user space, lowest first: each includes only its own rank and those below.
ranks=(
	'lines|prefixes|golang/record|yaml|web/assets'
	'log|command|loop|stacks|snapshot|changes|budget|notify|privileges|capabilities|load|stays|exhaustion|limits|sockets|ksyms|proc|proc_files|proc_maps|kernel|output|live'
	'opts|opts_[a-z]+|waits|wait_names|wait_python|java_stacks|go_stacks|verdicts|owners|probe|resolver/[a-z_]+|golang/[a-z_]+|render/[a-z_]+'
	'history[a-z_]*|formats'
	'api[a-z_]*'
	'http[a-z_]*|web_config'
	'places'
	'groups'
	'lockgraph'
	'recall|monitor|monitor_place|monitor_judge|monitor_locks|monitor_go[a-z_]*'
	'report_[a-z]+'
	'report'
	'session_locks|session_sockets|session_golang|session_memory'
	'session'
	'daemon_[a-z]+'
	'kept'
	'watch|check|doctor|daemon'
	'main'
)

layers() {
	local status=0 i higher= all unranked
	# libbpf: the probe and what asks the kernel for it; the skeleton: the probe
	layer deny '^user/(.*/|.*[.]h$|[^pk]|p[^r]|pro[^b]|k[^e])' '^<bpf/|[.]skel[.]h$' || status=1
	layer deny '^user/kernel' '[.]skel[.]h$' || status=1
	# the kernel side sees the one contract, its own files and libbpf's helpers
	layer allow '^bpf/' '^leakmon_abi[.]h$|^[a-z]+[.]h$|^<bpf/' || status=1
	layer deny '^(user|include|tests/unit)/' '^bpf/|^kernel[.]h$' || status=1
	layer allow '^include/' '^<' || status=1
	# renderers see plain data
	layer allow '^user/render/' '^<|^user/snapshot[.]h$|^user/render/' || status=1
	# pure modules know neither /proc nor the kernel
	layer deny '^user/(monitor[a-z_]*|groups|places|verdicts|owners|lockgraph|exhaustion|load|stays|waits|java_stacks|go_stacks|stacks|opts|opts_table|snapshot|report)[.]' \
		'^user/(proc|limits|sockets|probe|kernel|ksyms|output|live|resolver/.*)[.]h$' || status=1
	# the unprivileged worker knows nothing of what is done with its answers
	layer allow '^user/resolver/([^c]|c[^l])' '^<|^leakmon_abi[.]h$|^user/((resolver|golang)/[a-z_]+|stacks|log)[.]h$' || status=1
	layer allow '^user/golang/' '^<|^leakmon_abi[.]h$|^user/(resolver|golang)/[a-z_]+[.]h$' || status=1
	for ((i = ${#ranks[@]} - 1; i >= 0; i--)); do
		[ -z "$higher" ] || layer deny "^user/(${ranks[i]})[.][ch]$" "^user/($higher)[.]h$" || status=1
		higher+="${higher:+|}${ranks[i]}"
	done
	unranked=$(printf '%s\n' "${c_all[@]}" | grep '^user/' | grep -vE "^user/($higher)[.][ch]$")
	[ -z "$unranked" ] || { echo "has no rank in tests/check.sh: $unranked"; status=1; }
	return $status
}

format() {
	each sh -c 'clang-format --dry-run --Werror -- "$0" 2>&1 | grep -m 1 error:' -- "${c_all[@]}" | grep .
	[ "${PIPESTATUS[1]}" = 1 ]
}

shells_parse() {
	each bash -n -- $(printf '%s\n' "${shells[@]}" | sort -u)
}

pythons_parse() {
	each python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' -- "${pythons[@]}"
}

# absent PATTERN PATHSPEC…: no file has a line that matches; says where.
absent() {
	local pattern=$1 found
	shift
	found=$(files "$@" | xargs -d '\n' -r grep -nIE -- "$pattern")
	[ -z "$found" ] || { echo "$found"; return 1; }
}

# What would make markup, code or style of text, or ask another host; the page's policy forbids it, too.
page_is_safe() {
	absent '(inner|outer)HTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\(|new Function|cssText|setHTML' \
		'user/web/*.js' 'user/web/*.html' || return 1
	absent 'createElement|setAttribute\([^"]' 'user/web/*.js' ':!user/web/dom.js' || return 1
	absent '<[^>]*[[:space:]](style|on[a-z]+)=|<style|<script>|<script [^>]*>[^<]' 'user/web/*.html' || return 1
	absent '(https?:)?//[a-z0-9.-]+[.][a-z]' 'user/web/*.html' 'user/web/*.css' || return 1
	absent 'https?://' 'user/web/*.js' ':!user/web/dom.js'
}

no_notes_to_self() {
	absent '\b(TO''DO|FIX''ME|XX''X)\b' ':!*.md'
}

# The checkout's own path and home, and the hosts that apt and the language registries are told to use here.
no_machine_names() {
	local words host
	words=$(printf '%s\n' "$PWD" | sed 's/[.[\*^$+?(){}|]/\\&/g')
	# at the start of a path only: in the middle it is a folder of our own
	words+=$'\n'"(^|[[:space:]'=:])$HOME/"

	for host in $({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/apt.conf.d/*; env; } 2>/dev/null |
		grep -oE 'https?://[^/ "'\'']+' | sed -E 's,^https?://([^@]*@)?,,; s/:[0-9]+$//' | sort -u); do
		case $host in *.debian.org | debian.org | localhost | 127.* | github.com) ;; *) words+=$'\n'${host//./\\.} ;; esac
	done
	absent "$(paste -sd'|' <<<"$words")|snapshot\.debian\.org|deb\.debian\.org|/home/[a-z]+/"
}

check "${#sources[@]} C files: gcc, warnings are errors" compile_gcc
check "${#sources[@]} C files: clang, warnings are errors" compile_clang
check "${#programs[@]} programs of the tests: gcc, warnings are errors" compile_programs
check "${#bpf_sources[@]} BPF files: clang, warnings are errors" compile_bpf
check "$((${#headers[@]} + ${#bpf_headers[@]})) headers compile alone" headers_alone
check "layers: who includes whom" layers
check "${#c_all[@]} C files: formatting (mend with make format)" format
check "${#shells[@]} shell scripts parse" shells_parse
check "${#pythons[@]} Python files parse" pythons_parse
check "the page makes no markup of text, and needs nothing from elsewhere" page_is_safe
check "no notes to self" no_notes_to_self
check "no path or host of one machine" no_machine_names
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
