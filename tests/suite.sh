# Packages of another Debian suite, without touching the system: a private apt directory whose sources are the
# machine's with that suite; the signatures are checked with the keys of debian-archive-keyring. To be sourced.

# suite_open SUITE WORK: from here on apt-get and apt-cache mean that suite. WORK is made anew and is the caller's to
# remove; WORK/log has what apt said.
suite_open() {
	local suite=$1 work=$2 codename file key
	rm -rf "$work"
	mkdir -p "$work"/{sources,keys,lists/partial,cache/archives/partial,tree}
	work=$(cd "$work" && pwd)
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
		[ -f "$file" ] && grep -qw "$codename" "$file" || continue
		sed -E "/^Signed-By:/d; s/signed-by=[^] ]*//; s/\b$codename\b/$suite/g" "$file" >"$work/sources/${file##*/}"
	done
	for key in /usr/share/keyrings/debian-archive-*.gpg; do
		case $key in *removed-keys*) ;; *) cp "$key" "$work/keys/" ;; esac
	done
	cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/sources";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "$work/keys";
Dir::State::lists "$work/lists";
Dir::State::status "/dev/null";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
	export APT_CONFIG=$work/apt.conf
	# Not every suite of the machine exists for the other release: the download tells.
	apt-get -q ${APT_OPTIONS:-} update >"$work/log" 2>&1 </dev/null || true
}

# suite_unpack WORK PACKAGE…: into WORK/tree; false if one cannot be downloaded.
suite_unpack() {
	local work=$1 package
	shift
	(cd "$work" && apt-get -q ${APT_OPTIONS:-} download "$@" >>log 2>&1 </dev/null) || return 1
	for package in "$work"/*.deb; do
		dpkg -x "$package" "$work/tree" || return 1
		rm "$package"
	done
}

# suite_failure WORK: what apt last complained of.
suite_failure() {
	grep -E '^(E|W|Err)[: ]' "$1/log" | tail -n 1
}
