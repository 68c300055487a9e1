# make deps, with package managers that only write down what they are asked.
. tests/lib/lib.sh

dir=$(folder)
sh=$(command -v sh)
log=$dir/log

# fake NAME LINE…: a command of the pretended system.
fake() {
	local name=$1

	shift
	printf '%s\n' "#!$sh" "$@" >"$dir/bin/$name"
	chmod +x "$dir/bin/$name"
}

# machine: a system with nothing but a Rust compiler, and root.
machine() {
	rm -rf "${dir:?}/bin"
	mkdir "$dir/bin"
	: >"$log"
	fake rustc
	fake id 'echo 0'
	ln -s "$(command -v env)" "$dir/bin/env"
}

deps() {
	run env PATH="$dir/bin" "$sh" .ci/deps
}

# debian MISSING…: apt-get, and a dpkg-query that knows all packages but these.
debian() {
	machine
	fake apt-get "echo \"apt-get \$*\" >>$log"
	fake dpkg-query 'for package in "$@"; do case $package in' \
		"-* | none${*/#/ | }) ;;" '*) printf "%s=installed " "$package" ;;' 'esac; done'
}

debian
deps
check_equal nothing_missing_is_silent "$status:$out:$errors:$(cat "$log")" "0:::"

debian jq tmux
deps
check_equal missing_packages_are_installed "$status:$(cat "$log")" "0:apt-get update -q
apt-get install -q -y --no-install-recommends jq tmux"

debian
rm "$dir/bin/rustc"
fake dpkg-query 'for package in "$@"; do case $package in' \
	'-* | rustc) ;;' '*) printf "%s=installed " "$package" ;;' 'esac; done'
deps
check_contains rust_is_missing_without_a_compiler "$(cat "$log")" "--no-install-recommends rustc"

# Known, but removed.
debian
fake dpkg-query 'for package in "$@"; do case $package in -*) ;; jq) printf "jq=config-files " ;;' \
	'*) printf "%s=installed " "$package" ;; esac; done'
deps
check_contains removed_package_is_missing "$(cat "$log")" "--no-install-recommends jq"

debian jq
fake id 'echo 1000'
deps
check_equal no_root_fails "$status:$(cat "$log")" "1:"
check_contains no_root_tells_the_command "$errors" "apt-get install -y jq"

debian jq
fake id 'echo 1000'
fake sudo "echo sudo >>$log" '"$@"'
deps
check_equal sudo_is_used "$status:$(head -n 2 "$log" | tr '\n' ' ')" "0:sudo apt-get update -q "

debian jq
fake apt-get 'exit 100'
deps
check_equal failed_installation_fails "$status" 100

machine
fake dnf
fake rpm 'for package in "$@"; do :; done' 'case $package in xz-devel | jq) exit 1 ;; esac'
deps
check_equal fedora_is_told "$status:$errors" "1:Packages are missing. Type this as root:
  dnf install xz-devel jq
Not all of these libraries have static archives here: build with \`make STATIC=0\`."
fake rpm
deps
check_equal fedora_with_everything_is_silent "$status:$out:$errors" "0::"

machine
fake pacman 'case $2 in libelf) exit 1 ;; esac'
deps
check_contains arch_is_told "$status:$errors" "pacman -S --needed libelf"

machine
deps
check_equal unknown_system_fails "$status" 1
check_contains unknown_system_is_told "$errors" libdw-dev
