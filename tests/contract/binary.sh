# The program as a file: what it is linked with, and how it is hardened.
. tests/lib/lib.sh

if [ "$MODE" = rel ]; then
	# One binary that runs on machines without our libraries.
	needed=$(ldd "$RSPROF" | sed 's/^[[:space:]]*//; s/ .*//; s/.*\///' | sort | tr '\n' ' ')
	check_equal only_libc_libm_and_loader_are_shared "$needed" \
		"ld-linux-x86-64.so.2 libc.so.6 libm.so.6 linux-vdso.so.1 "
fi

header=$(readelf -h "$RSPROF")
segments=$(readelf -lW "$RSPROF")
dynamic=$(readelf -dW "$RSPROF")
check_contains is_position_independent "$header" "DYN (Position-Independent Executable file)"
check_contains relocations_become_read_only "$segments" GNU_RELRO
check_contains binds_at_start "$dynamic" NOW
case $(grep GNU_STACK <<<"$segments") in
*RWE*) not_ok stack_is_not_executable "$(grep GNU_STACK <<<"$segments")" ;;
*RW*) ok stack_is_not_executable ;;
*) not_ok stack_is_not_executable "there is no GNU_STACK" ;;
esac
case $(grep LOAD <<<"$segments") in
*RWE*) not_ok nothing_is_writable_and_executable "$segments" ;;
*) ok nothing_is_writable_and_executable ;;
esac
check_equal version_is_of_the_file "$("$RSPROF" --version)" "rsprof $(cat VERSION)"
