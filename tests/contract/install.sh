# make install and uninstall: these files, nothing else, and nothing left.
. tests/lib/lib.sh

dir=$(folder)
# With the variables of the make that runs the tests, lest this one builds anew, but not its jobs.
unset MFLAGS MAKELEVEL
MAKEFLAGS=$(sed -E 's/(^| )(-j[0-9]*|--jobserver-[a-z]+=[^ ]*)//g' <<<"${MAKEFLAGS:-}")
export MAKEFLAGS

check make_install make -s MODE="$MODE" install DESTDIR="$dir" PREFIX=/opt/x
found=$(cd "$dir" && find . -type f -printf '%m %p\n' | sort -k 2)
check_equal install_puts_every_file "$found" "755 ./opt/x/bin/rsprof
644 ./opt/x/include/rsprof/rsprof.h
644 ./opt/x/lib/librsprof.a
755 ./opt/x/lib/librsprof_agent.so
644 ./opt/x/share/bash-completion/completions/rsprof
644 ./opt/x/share/fish/vendor_completions.d/rsprof.fish
644 ./opt/x/share/man/man1/rsprof.1
644 ./opt/x/share/zsh/site-functions/_rsprof"
check_equal installed_program_runs "$("$dir/opt/x/bin/rsprof" --version)" "rsprof $(cat VERSION)"
check installed_man_page_is_new cmp "$dir/opt/x/share/man/man1/rsprof.1" <("$RSPROF" man)
check installed_bash_is_new cmp "$dir/opt/x/share/bash-completion/completions/rsprof" \
	<("$RSPROF" completions bash)
check installed_zsh_is_new cmp "$dir/opt/x/share/zsh/site-functions/_rsprof" <("$RSPROF" completions zsh)
check installed_fish_is_new cmp "$dir/opt/x/share/fish/vendor_completions.d/rsprof.fish" \
	<("$RSPROF" completions fish)
touch "$dir/opt/x/bin/other"
check make_uninstall make -s MODE="$MODE" uninstall DESTDIR="$dir" PREFIX=/opt/x
check_equal uninstall_removes_its_own_alone "$(cd "$dir" && find . -type f)" ./opt/x/bin/other
