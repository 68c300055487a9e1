# Completions: they parse, and offer every option of every command.
. tests/lib/lib.sh

dir=$(folder)
for shell in bash zsh fish; do
	"$RSPROF" completions $shell >"$dir/$shell" || not_ok "completions_$shell" "exit $?"
	if command -v $shell >/dev/null; then
		check "${shell}_parses" $shell -n "$dir/$shell"
	else
		skip "${shell}_parses" "there is no $shell"
	fi
done

verbs=$("$RSPROF" --help | sed -n '/^Commands:/,/^$/p' | awk '/^  / && $1 != "help" { print $1 }')

# options VERB: "-n" and "--top" of its help, one a line.
options() {
	"$RSPROF" "$1" --help | sed -n '/^Options:/,$p' |
		sed -n -E 's/^  (-[A-Za-z0-9]), (--[a-z0-9-]+).*/\1\n\2/p; s/^      (--[a-z0-9-]+).*/\1/p'
}

# The others are read as text: each option where its command is told.
for shell in zsh fish; do
	missing='' count=0
	for verb in $verbs; do
		case $shell in
		zsh) part=$(awk -v from="	$verb)" '$0 == from { on = 1 } /;;/ { on = 0 } on' "$dir/zsh") ;;
		fish) part=$(grep -F "'__rsprof_is $verb'" "$dir/fish") ;;
		esac
		for option in $(options "$verb"); do
			count=$((count + 1))
			case $shell:$option in
			zsh:*) pattern="[{',*]${option}[[+=,}]" ;;
			fish:--*) pattern=" -l ${option#--} " ;;
			fish:-*) pattern=" -s ${option#-} " ;;
			esac
			grep -q -e "$pattern" <<<"$part" || missing="$missing $verb:$option"
		done
	done
	check_equal "${shell}_has_every_option" "$missing" ""
	# Seven commands with --help at least: the loop was not empty.
	check_between "${shell}_was_really_asked" "$count" 14 10000
done

# bash is asked as it asks itself.
# shellcheck disable=SC1090,SC1091
. "$dir/bash"
compopt() {
	:
}

# offers WORD…: what Tab gives for the last word of the command line.
offers() {
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	_rsprof
	printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
}

missing=
for verb in $verbs; do
	offered=$(offers rsprof "$verb" -)
	for option in $(options "$verb"); do
		grep -q -x -e "$option" <<<"$offered" || missing="$missing $verb:$option"
	done
done
check_equal bash_completes_every_option "$missing" ""

check_equal bash_completes_commands "$(offers rsprof '' | grep -v '^help$' | sort)" "$(sort <<<"$verbs")"
check_equal bash_completes_a_command "$(offers rsprof comp)" completions
check_equal bash_completes_help "$(offers rsprof help to)" top
check_equal bash_completes_an_option "$(offers rsprof attach --dur)" --duration
check_equal bash_completes_attach_without_its_name "$(offers rsprof -p 1 --dur)" --duration
check_equal bash_completes_version "$(offers rsprof --ver)" --version
check_equal bash_completes_operands "$(offers rsprof completions z)" zsh
check_contains bash_completes_choices "$(offers rsprof attach --source '')" perf
check_equal bash_completes_choices_behind_equals "$(offers rsprof attach --source = per)" perf
check_equal bash_completes_pids "$(offers rsprof attach --pid $$ | grep -x $$)" $$
touch "$dir/some.db"
check_equal bash_completes_files "$(offers rsprof attach --output "$dir/some")" "$dir/some.db"
