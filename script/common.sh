# SPDX-License-Identifier: MIT
# Sourced by the scripts: works from any directory, with a cleared environment and no input.
# shellcheck shell=bash
set -euo pipefail
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
export HOME="${HOME:-/tmp}" LC_ALL=C.UTF-8
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

say() {
	printf '\n== %s\n' "$*"
}

die() {
	printf '%s: %s\n' "$0" "$*" >&2
	exit 1
}

# configure DIR [MESON OPTION...]: make or keep a build directory.
configure() {
	local dir=$1
	shift
	[ -f "$dir/build.ninja" ] || meson setup "$dir" "$@"
}

compile() {
	meson compile -C "$1"
}

# suite NAME COMMAND...: run a suite that appends to $results; a suite that ends badly without
# having said why is a failure of its own.
suite() {
	local name=$1 before results=$results
	shift
	say "$name"
	before=$(grep -c "^not ok $name/" "$results" || true)
	if ! "$@" && [ "$(grep -c "^not ok $name/" "$results" || true)" = "$before" ]; then
		echo "not ok $name/suite" >>"$results"
	fi
}
