#!/usr/bin/env bash
# The heap of programs that nobody wrote for a test, against what their allocators say of themselves: Debian's
# redis-server on jemalloc, python3 and sqlite3 on glibc. Requests are rounded by the allocator's own size
# classes (heapround), since it counts what it gave, not what it was asked for.
. tests/lib/lib.sh
. tests/integration/common.bash

if ! has_source bpf || [ "$("$RSPROF" doctor --json | jq -r '.sources[] | select(.source == "bpf") |
	.heap.answer')" != yes ]; then
	skip heap_real "no source counts the heap here"
	exit 0
fi
if ! is_root; then
	skip heap_real "only root may read maps of BPF programs"
	exit 0
fi

# The map of live blocks that a recording has open.
blocks_map() {
	local id

	for id in $(cat "/proc/$record_pid"/fdinfo/* 2>/dev/null | awk '$1 == "map_id:" { print $2 }' | sort -u); do
		if bpftool map show id "$id" | grep -q 'name heap_blocks'; then
			echo "$id"
			return
		fi
	done
}

# stops_changing COMMAND…: until it prints the same twice, 200 ms apart.
stops_changing() {
	local last

	last=$("$@")
	sleep 0.2
	[ "$("$@")" = "$last" ]
}

# cycles NAME PID PART COUNT: attaches and detaches; the code is the file's again each time.
cycles() {
	local name=$1 pid=$2 part=$3 count=$4 i said= failed=0

	for ((i = 0; i < count; i++)); do
		rm -f "$dir/cycle.db"
		timeout -k 5 20 "$RSPROF" -p "$pid" -q -d 100ms --heap exact -o "$dir/cycle.db" \
			>/dev/null 2>"$dir/cycle.err" || {
			failed=$((failed + 1))
			said=$(cat "$dir/cycle.err")
		}
	done
	check_equal "${name}_cycles" "$failed $said" "0 "
	check "${name}_text_is_the_files" is_unprobed "$pid" "$part"
	check "${name}_lives" kill -0 "$pid"
}

# judge NAME BLOCKS BYTES: growth by the allocator's own word against rsprof's; $rounded is heapround's
# line. A block from before that was freed meanwhile is missing in the one and not in the other, which
# rsprof tells as unknown frees.
judge() {
	local name=$1 blocks=$2 bytes=$3 got_blocks got_bytes unknown

	top_heap "$db"
	unknown=$(of .unknown_frees)
	got_blocks=$(awk '$1 == "blocks" { print $2 }' "$dir/rounded")
	got_bytes=$(awk -v key="$4" '$1 == key { print $2 }' "$dir/rounded")
	figure "$name" "rsprof $got_blocks blocks, $got_bytes bytes rounded ($(awk '$1 == "bytes" {
		print $2 }' "$dir/rounded") requested), $unknown unknown frees; allocator $blocks blocks," \
		"$bytes bytes; $(of .complete_stacks_pct) % complete"
	check_near "${name}_blocks" "$((got_blocks - unknown))" "$blocks" 0.1
	check_near "${name}_bytes" "$got_bytes" "$bytes" 2
	check_equal "${name}_live_is_the_map" "$(of .live_blocks)" "$got_blocks"
	check_between "${name}_complete" "$(of .complete_stacks_pct)" 99 100
	check_equal "${name}_losses" "$(of '.losses | to_entries | map(select(.key | startswith("heap_"))) |
		map("\(.key) \(.value)") | join(" ")')" ""
	check_equal "${name}_mode" "$(of '"\(.mode) \(.is_estimate)"')" "exact false"
}

# ---- redis on jemalloc

redis() {
	redis-cli -p "$port" "$@"
}

# Blocks that jemalloc has given: "blocks N bytes N". Columns are found by their headings.
redis_heap() {
	redis memory malloc-stats | awk '
		$1 == "bins:" || $1 == "large:" {
			for (i = 2; i <= NF; i++) {
				if ($i == "curregs" || $i == "curlextents")
					column = i - 1
				if ($i == "allocated")
					allocated = i - 1
			}
			next
		}
		$1 == "extents:" { column = 0 }
		column && $1 ~ /^[0-9]+$/ { blocks += $column; bytes += $allocated }
		END { print blocks, bytes }'
}

free_port() {
	local candidate

	for candidate in $(seq 21000 21200); do
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null; then
			echo "$candidate"
			return
		fi
	done
}

check_redis() {
	local before after

	port=$(free_port)
	# Without caches of threads: what is in them counts as given.
	start_target env MALLOC_CONF=tcache:false redis-server --port "$port" --bind 127.0.0.1 --save '' \
		--appendonly no --dir "$dir" >"$dir/redis.log" 2>&1
	if ! wait_for 10 redis ping; then
		not_ok redis_starts "$(cat "$dir/redis.log")"
		return
	fi
	redis set kept here >/dev/null
	db=$dir/redis.db
	record "$db" -p "$target_pid" --heap exact || not_ok redis_records "$(cat "$db.err")"
	wait_for 10 stops_changing redis_heap
	before=$(redis_heap)
	redis-benchmark -p "$port" -q -n 40000 -r 1000000 -t set,lpush,sadd >"$dir/redis.bench" 2>&1
	wait_for 10 stops_changing redis_heap
	after=$(redis_heap)
	LD_PRELOAD=$jemalloc "$TARGETS/heapround" "$(blocks_map)" >"$dir/rounded"
	kill -INT "$record_pid"
	record_end 30
	check_equal redis_exit_code "$record_status" 0
	judge redis $((${after% *} - ${before% *})) $((${after#* } - ${before#* })) usable
	cycles redis "$target_pid" libjemalloc "$1"
	check_equal redis_answers "$(redis get kept)" here
	check_between redis_keys "$(redis dbsize)" 35000 45000
	stop_target
}

jemalloc=$(ldconfig -p | awk '$1 == "libjemalloc.so.2" { print $NF; exit }')
if ! command -v redis-server >/dev/null || ! command -v redis-benchmark >/dev/null; then
	skip redis "redis-server and redis-benchmark are not here"
elif ! ldd "$(command -v redis-server)" | grep -q libjemalloc.so.2; then
	skip redis "this redis-server has another allocator than libjemalloc.so.2"
else
	check_redis 8
fi

# ---- python3 and sqlite3 on glibc

# What the target's libc says of itself, "blocks bytes".
heap_of_glibc() {
	rm -f "$dir/heapinfo"
	kill -USR2 "$target_pid"
	wait_for 10 grep -q '^end' "$dir/heapinfo"
	awk '$1 == "blocks" { blocks = $2 } $1 == "bytes" { bytes = $2 } END { print blocks, bytes }' "$dir/heapinfo"
}

# on_glibc NAME CYCLES ANSWER COMMAND…: the command says "ready", reads a line, works, says "done", reads a
# line and says ANSWER. So it is in read when libc is asked.
on_glibc() {
	local name=$1 count=$2 answer=$3 before after input

	shift 3
	db=$dir/$name.db truth=$dir/$name.truth
	mkfifo "$dir/$name.in"
	exec {input}<>"$dir/$name.in"
	# What runs in the background has no input but what it opens itself.
	start_target bash -c 'input=$1; shift; exec env "$@" <"$input"' - "$dir/$name.in" \
		LD_PRELOAD="$PWD/$TARGETS/heapinfo.so" HEAPINFO="$dir/heapinfo" \
		GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0 "$@" >"$truth" 2>&1
	wait_for 10 grep -q '^ready' "$truth" || not_ok "${name}_starts" "$(cat "$truth")"
	record "$db" -p "$target_pid" --heap exact || not_ok "${name}_records" "$(cat "$db.err")"
	before=$(heap_of_glibc)
	echo "${work:-go}" >&"$input"
	wait_for 60 grep -q '^done' "$truth" || not_ok "${name}_works" "$(cat "$truth")"
	after=$(heap_of_glibc)
	"$TARGETS/heapround" "$(blocks_map)" >"$dir/rounded"
	kill -INT "$record_pid"
	record_end 30
	check_equal "${name}_exit_code" "$record_status" 0
	judge "$name" $((${after% *} - ${before% *})) $((${after#* } - ${before#* })) chunks
	cycles "$name" "$target_pid" libc.so.6 "$count"
	echo "${ask:-go}" >&"$input"
	wait_for 10 grep -q "^$answer" "$truth"
	check_equal "${name}_is_correct" "$(tail -n 1 "$truth")" "$answer"
	exec {input}>&-
	stop_target
}

python=/usr/bin/python3
if [ -x "$python" ]; then
	cat >"$dir/dictionaries.py" <<-'EOF'
		import sys
		print("ready", flush=True)
		sys.stdin.readline()
		kept = [{f"key {i}": [i, str(i) * 3], "name": f"entry {i}"} for i in range(12000)]
		for i in range(0, 12000, 3):
		    kept[i] = None
		print("done", flush=True)
		sys.stdin.readline()
		print(sum(one[f"key {i}"][0] for i, one in enumerate(kept) if one), flush=True)
	EOF
	on_glibc python 6 "$(awk 'BEGIN { for (i = 0; i < 12000; i++) if (i % 3) sum += i; print sum }')" \
		PYTHONMALLOC=malloc "$python" -S "$dir/dictionaries.py"
else
	skip python "/usr/bin/python3 is not here"
fi

if command -v sqlite3 >/dev/null; then
	work="CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, place BLOB);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
		INSERT INTO t SELECT i, 'name ' || i, zeroblob(i % 300) FROM n;
		CREATE INDEX by_name ON t(name); DELETE FROM t WHERE id % 5 = 0; SELECT 'done';"
	ask="SELECT COUNT(*) || ' ' || SUM(id) FROM t;"
	printf '%s\n' "SELECT 'ready';" >"$dir/init.sql"
	on_glibc sqlite 6 "48000 1440000000" sqlite3 -batch -init "$dir/init.sql" :memory:
else
	skip sqlite "sqlite3 is not here"
fi
exit 0
