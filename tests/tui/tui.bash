# What the tests of the terminal share: rsprof in a tmux of their own, asked again until the screen is as
# it should be.
#     tui_start WIDTH HEIGHT COMMAND…   starts it; TUI_ENV="NAME=VALUE …" goes to it alone
#     tui_keys KEY…                     as tmux send-keys has them
#     tui_shows NAME TEXT               a test: the text comes to be on the screen
#     tui_lacks NAME TEXT               a test: it comes not to be
#     golden NAME                       a test: the screen comes to be tests/tui/screens/NAME.txt
#     tui_end NAME STATUS               a test: the program has ended with that exit code
# UPDATE=1 writes the golden screens anew instead: look at what git says then.
tui_folder=$(folder)
tui_socket=$tui_folder/0 # of the newest server: one that ends may still be there when the next begins
tui_servers=0
tui_seconds=20
screens=tests/tui/screens
made=${OBJ:-build/.obj/$MODE}/tests/tui/made_profile

# made_folder: a new folder with the profiles, and the source text of one file, older than they are.
made_folder() {
	local folder kind

	folder=$(folder)
	for kind in demo hostile empty cpu; do
		"$made" "$kind" "$folder/$kind.db" || return 1
	done
	cp -r tests/tui/source/src "$folder/src"
	touch -d 2025-01-01 "$folder/src/parser.rs"
	echo "$folder"
}

tui() {
	tmux -S "$tui_socket" -f /dev/null "$@"
}

tui_stop() {
	tui kill-server 2>/dev/null
	lib_end
}
trap tui_stop EXIT

tui_start() {
	local width=$1 height=$2

	shift 2
	tui kill-server 2>/dev/null
	tui_servers=$((tui_servers + 1))
	tui_socket=$tui_folder/$tui_servers
	# shellcheck disable=SC2086
	tui new-session -d -x "$width" -y "$height" \
		env -u NO_COLOR -u COLORTERM LC_ALL=C.UTF-8 ${TUI_ENV:-} \
		sh -c '"$@"; echo $? >"$0"; cat' "$tui_socket.status" "$@" \; \
		set -g status off \; set -g remain-on-exit on \; set -s escape-time 0
}

tui_keys() {
	tui send-keys "$@"
}

# Without the spaces at the ends of lines, and the empty lines at its end.
tui_screen() {
	tui capture-pane -p 2>/dev/null | sed 's/[[:space:]]*$//' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

tui_has() {
	tui_screen | grep -q -F -e "$1"
}

tui_has_not() {
	! tui_has "$1"
}

tui_shows() {
	if wait_for "$tui_seconds" tui_has "$2"; then
		ok "$1"
	else
		not_ok "$1" "\"$2\" is not on the screen"
		tui_screen
		return 1
	fi
}

tui_lacks() {
	if wait_for "$tui_seconds" tui_has_not "$2"; then
		ok "$1"
	else
		not_ok "$1" "\"$2\" is still on the screen"
		tui_screen
		return 1
	fi
}

tui_is_golden() {
	tui_screen | cmp -s - "$screens/$1.txt"
}

golden() {
	if [ -n "${UPDATE:-}" ]; then
		# Nothing to wait for: what is there when it has stood still for a while.
		local before=

		until [ -n "$before" ] && [ "$before" = "$(tui_screen)" ]; do
			before=$(tui_screen)
			sleep 0.5
		done
		tui_screen >"$screens/$1.txt"
	fi
	if wait_for "$tui_seconds" tui_is_golden "$1"; then
		ok "screen_$1"
	else
		not_ok "screen_$1" "is not as in $screens/$1.txt"
		tui_screen | diff "$screens/$1.txt" - | head -n 40
		return 1
	fi
}

tui_has_ended() {
	[ -s "$tui_socket.status" ]
}

tui_end() {
	wait_for "$tui_seconds" tui_has_ended
	check_equal "$1" "$(cat "$tui_socket.status" 2>/dev/null)" "$2"
}
