#!/usr/bin/env bash
# tests/lib/lint.sh [layers|headers] [ROOT]: checks of the source tree; all of them without a word.
#
# layers   every #include "…" is a path from the root and allowed by the table below
# headers  every header compiles alone: ours as gnu11, those of BPF programs (*.bpf.h) as such, the
#          public ones as strict C11 and as C++17
set -u
cc=${CC:-gcc}
cxx=${CXX:-g++}
bpf_cc=${BPF_CC:-clang}
what=all
case ${1:-} in
layers | headers)
	what=$1
	shift
	;;
esac
cd "${1:-.}" || exit 2
problems=0

# The room, and the rooms (or single files) it may include. "reader" are the files directly in
# reader/: they join rooms, and only they include each other.
layers='
include include
shm     include shm
agent   include shm agent
bpf     bpf shm
util    util
core    util core
target  util core target unwind shm
symbol  util core symbol
unwind  util core shm unwind
source  util core target unwind shm include source bpf/shared.h bpf/profile.skel.h
store   util core store
view    util core view
export  util core export
tui     util view tui
record  util core target symbol unwind source store view export shm record bpf/shared.h
reader  util core target symbol unwind source store view export tui record shm include reader bpf/shared.h
'

complain() {
	printf '%s\n' "$*"
	problems=$((problems + 1))
}

# room PATH: the row of the table that a file belongs to.
room() {
	case $1 in
	include/* | shm/* | agent/* | bpf/*) echo "${1%%/*}" ;;
	reader/*/*)
		local inner=${1#reader/}
		echo "${inner%%/*}"
		;;
	reader/*) echo reader ;;
	*) echo none ;;
	esac
}

files() {
	local folders=() folder

	for folder in include shm agent bpf reader; do
		[ ! -d "$folder" ] || folders+=("$folder")
	done
	[ ${#folders[@]} -eq 0 ] || find "${folders[@]}" -type f -name "$1" | sort
}

check_layers() {
	local path line included from to allowed

	while IFS=: read -r path line included; do
		included=${included#*\"}
		included=${included%%\"*}
		# The public headers are found below include/ by those who use them.
		case $included in
		rsprof/*) included=include/$included ;;
		esac
		from=$(room "$path")
		to=$(room "$included")
		allowed=$(awk -v room="$from" '$1 == room { $1 = ""; print $0 " " }' <<<"$layers")
		if [ -z "$allowed" ]; then
			complain "$path:$line: the layer table has no room \"$from\""
		elif [ "$to" = none ]; then
			complain "$path:$line: \"$included\" is no path from the root into a room"
		elif [[ $allowed != *" $to "* && $allowed != *" $included "* ]]; then
			complain "$path:$line: $from may not include \"$included\" ($to)"
		elif [ ! -e "$included" ] && [ ! -e "${included%.inc}.sql" ] &&
			[ ! -e "${included%.skel.h}.bpf.c" ]; then
			complain "$path:$line: \"$included\" does not exist"
		fi
	done < <(files '*.[ch]' | xargs -r grep -n -H -E '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')
}

# compiles HEADER COMPILER…: as the whole of a translation unit.
compiles() {
	local header=$1 said

	shift
	said=$("$@" -I. -Iinclude -Wall -Wextra -Wno-unused-parameter -Werror -fsyntax-only \
		-include "$header" -x "$language" /dev/null 2>&1) ||
		complain "$header does not compile alone ($*): $said"
}

check_headers() {
	local header language

	for header in $(files '*.h'); do
		language=c
		case $header in
		include/*)
			compiles "$header" "$cc" -std=c11 -pedantic-errors
			language=c++
			compiles "$header" "$cxx" -std=c++17 -pedantic-errors
			;;
		*.bpf.h)
			compiles "$header" "$bpf_cc" -target bpf -ffreestanding \
				-idirafter "/usr/include/$("$cc" -print-multiarch)"
			;;
		*) compiles "$header" "$cc" -std=gnu11 -D_GNU_SOURCE ;;
		esac
	done
}

[ "$what" = headers ] || check_layers
[ "$what" = layers ] || check_headers
[ "$problems" -eq 0 ]
