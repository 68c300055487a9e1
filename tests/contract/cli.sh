# The command line around the verbs: help, suggestions, exit codes, output that cannot be written.
. tests/lib/lib.sh

run "$RSPROF"
check_equal no_arguments_exit_2 "$status" 2
check_equal no_arguments_print_nothing "$out" ""
check_contains no_arguments_tell_usage "$errors" "Usage: rsprof -p PID"

run "$RSPROF" --help
check_equal help_exits_0 "$status" 0
check_equal help_is_no_error "$errors" ""
verbs=$(sed -n '/^Commands:/,/^$/p' <<<"$out" | awk '/^  / { print $1 }' | tr '\n' ' ')
check_equal help_lists_the_commands "$verbs" "attach run top annotate view list query doctor completions help "
run "$RSPROF" help
check_contains help_is_a_command "$out" "Commands:"

wrong=
for verb in ${verbs% help }; do
	run "$RSPROF" "$verb" --help
	by_option=$out
	[ "$status" -eq 0 ] && [ -z "$errors" ] || wrong="$wrong $verb: exit $status $errors"
	run "$RSPROF" help "$verb"
	[ "$status" -eq 0 ] && [ "$out" = "$by_option" ] || wrong="$wrong $verb: help differs"
	[[ $out == "Usage: rsprof $verb "* ]] || wrong="$wrong $verb: no usage"
	[[ $out == *"-h, --help "* ]] || wrong="$wrong $verb: no --help"
done
check_equal every_command_explains_itself "$wrong" ""

wrong=
for verb in ${verbs% help }; do
	run "$RSPROF" "$verb" --no-such-option-here
	# run keeps 2 for its command.
	expected=2
	[ "$verb" != run ] || expected=125
	[ "$status" -eq $expected ] || wrong="$wrong $verb: exit $status"
	[ "$errors" = "rsprof: There is no option \"--no-such-option-here\".
Type \`rsprof $verb --help\`." ] || wrong="$wrong $verb: $errors"
	[ -z "$out" ] || wrong="$wrong $verb: $out"
done
check_equal every_command_refuses_unknown_options "$wrong" ""

run "$RSPROF" --no-such-option-here
check_contains options_first_are_those_of_attach "$errors" 'Type `rsprof attach --help`.'

run "$RSPROF" tpo
check_equal unknown_command_exits_2 "$status" 2
check_equal unknown_command_is_corrected "$errors" 'rsprof: There is no command "tpo".
Did you mean `rsprof top`?'
run "$RSPROF" help tpo
check_equal unknown_help_exits_2 "$status" 2
run "$RSPROF" frobnicate
check_equal far_command_is_not_corrected "$errors" 'rsprof: There is no command "frobnicate".
Type `rsprof --help`.'
run "$RSPROF" 4321
check_contains bare_pid_is_understood "$errors" 'type `rsprof -p 4321`'
run "$RSPROF" $'\e[31m'
check_contains names_are_scrubbed "$errors" '"?[31m"'
run "$RSPROF" ''
check_equal empty_command_exits_2 "$status" 2

run "$RSPROF" completions
check_equal completions_need_a_shell "$status" 2
run "$RSPROF" completions tcsh
check_contains completions_name_the_shells "$errors" 'bash, zsh and fish, not for "tcsh"'

# A reader that leaves: no message, no signal.
wrong=
for command in --help 'completions bash' man; do
	# shellcheck disable=SC2086 # words on purpose
	{
		"$RSPROF" $command 2>"$lib_root/pipe_errors"
		echo $? >"$lib_root/pipe_status"
	} | true
	said="$(cat "$lib_root/pipe_status" "$lib_root/pipe_errors")"
	[ "$said" = 0 ] || wrong="$wrong $command: $said"
done
check_equal closed_pipe_is_quiet "$wrong" ""

if [ -c /dev/full ]; then
	"$RSPROF" --help >/dev/full 2>"$lib_root/full_errors"
	check_equal full_output_exits_1 "$?" 1
	check_equal full_output_is_told "$(cat "$lib_root/full_errors")" \
		"rsprof: Standard output could not be written."
else
	skip full_output_exits_1 "there is no /dev/full"
fi

# Descriptors 0 to 2 that are not open must not become those of a database.
"$RSPROF" --help >&- 2>&- <&-
check_equal closed_descriptors_are_no_matter "$?" 0
