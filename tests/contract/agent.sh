# The agent as a file that comes into other people's processes: what it needs of them, what it shows them.
. tests/lib/lib.sh

agent=$BUILD/librsprof_agent.so

# Of libc.so.6 and the dynamic linker. Nothing in here allocates, locks, prints or ends the process on the
# paths that are used: pthread_key_create and pthread_setspecific before the fourth page of keys, dlsym
# behind the boot arena.
allowed='
__errno_location __environ environ getauxval gnu_get_libc_version
dlsym dladdr dladdr1 dl_iterate_phdr _dl_find_object __libc_stack_end __register_atfork
pthread_key_create pthread_setspecific pthread_self
pthread_attr_init pthread_attr_destroy pthread_attr_getstack pthread_attr_getstacksize
clock_gettime getpid
sigaddset sigemptyset sigismember sigprocmask
memchr memcmp memcpy memmove memrchr memset
strchr strcmp strlen strncmp strnlen
__cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable
'
imports=$(nm -D --undefined-only "$agent" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u)
check_equal imports_are_allowed "$(comm -23 <(printf '%s\n' "$imports") \
	<(printf '%s\n' $allowed | sort -u) | tr '\n' ' ')" ""
for symbol in malloc calloc realloc free printf abort exit _exit pthread_mutex_lock; do
	! grep -qx "$symbol" <<<"$imports" || not_ok imports_nothing_forbidden "$symbol"
done
check_contains imports_are_seen "$imports" dlsym

# Defined names are what exports.map lists, each of them, and rsprof_*.
exports=$(nm -D --defined-only "$agent" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u)
listed=$(sed -n '/global:/,/local:/p' agent/exports.map | tr -d '\t\n' |
	sed 's/global://; s/local://; s/;/\n/g' | tr -d ' ' | grep . | sort -u)
check_equal exports_are_listed "$(comm -23 <(printf '%s\n' "$exports" | grep -v '^rsprof_') \
	<(printf '%s\n' "$listed") | tr '\n' ' ')" ""
check_equal listed_names_exist "$(comm -13 <(printf '%s\n' "$exports") \
	<(printf '%s\n' "$listed" | grep -v '\*') | tr '\n' ' ')" ""
for hook in malloc calloc realloc reallocarray free cfree posix_memalign aligned_alloc memalign \
	valloc pvalloc pthread_create sigaction signal dlclose; do
	grep -qx "$hook" <<<"$exports" || not_ok hooks_are_exported "$hook is not"
done
ok hooks_are_exported

segments=$(readelf -lW "$agent")
dynamic=$(readelf -dW "$agent")
relocations=$(readelf -rW "$agent")
tls=$(awk '$1 == "TLS" { print $6 }' <<<"$segments")
check_between thread_local_storage_is_small "$((${tls:-0x0}))" 8 96
check_contains is_never_unloaded "$dynamic" NODELETE
check_contains binds_at_start "$dynamic" BIND_NOW
check_contains relocations_become_read_only "$segments" GNU_RELRO
check_equal needs_libc_alone "$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic" | tr '\n' ' ')" \
	"libc.so.6 "
case $dynamic in
*TEXTREL*) not_ok code_is_not_relocated TEXTREL ;;
*) ok code_is_not_relocated ;;
esac
# Initial-exec: offsets from the thread pointer, and no call that might allocate.
check_contains thread_local_storage_is_initial_exec "$relocations" R_X86_64_TPOFF64
case $relocations in
*DTPMOD* | *TLSDESC*) not_ok thread_local_storage_is_not_dynamic "$relocations" ;;
*) ok thread_local_storage_is_not_dynamic ;;
esac
# Calls go past the PLT: only libc's own static part has a slot.
check_equal no_slots_of_its_own "$(awk '/JUMP_SLOT/ && $5 !~ /^__register_atfork/ { print $5 }' \
	<<<"$relocations" | tr '\n' ' ')" ""
case $(grep GNU_STACK <<<"$segments") in
*RWE*) not_ok stack_is_not_executable "$(grep GNU_STACK <<<"$segments")" ;;
*RW*) ok stack_is_not_executable ;;
*) not_ok stack_is_not_executable "there is no GNU_STACK" ;;
esac
case $(grep LOAD <<<"$segments") in
*RWE*) not_ok nothing_is_writable_and_executable "$segments" ;;
*) ok nothing_is_writable_and_executable ;;
esac

# Objects of the library that is linked in need nothing else, either.
linked=$(nm --undefined-only "$BUILD/librsprof.a" 2>/dev/null | awk 'NF == 2 { print $2 }' | sort -u)
defined=$(nm --defined-only "$BUILD/librsprof.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
check_equal linked_library_needs_the_same "$(comm -23 <(comm -23 <(printf '%s\n' "$linked") \
	<(printf '%s\n' "$defined")) <(printf '%s\n' $allowed _GLOBAL_OFFSET_TABLE_ \
	__start_rsprof_hooks __stop_rsprof_hooks \
	pthread_atfork | sort -u) | tr '\n' ' ')" ""
