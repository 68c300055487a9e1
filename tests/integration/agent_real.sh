#!/usr/bin/env bash
# Programs that nobody wrote for a test, under the agent: the same output and exit code as without, and counts
# that are those of a library behind it, which counts what reaches malloc.
. tests/lib/lib.sh
. tests/integration/common.bash
. tests/integration/agent.bash

if [ "$(uname -m)" != x86_64 ]; then
	skip agent_real "the agent is for x86-64"
	exit 0
fi
export LC_ALL=C PERL_HASH_SEED=0 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

# said COMMAND…: what it writes, and its status. On the other descriptor rsprof has something to say of its own.
said() {
	timeout -k 5 60 "$@" 2>"$dir/errors" </dev/null
	echo "status $?"
}

# numbers of agentcount's file.
behind() {
	od -An -v -t u8 -w32 "$dir/behind" | awk -v n="$1" '{ print $n }'
}

# same NAME COMMAND…: as without the agent: preloaded; and by rsprof, which then has a heap of it.
same() {
	local name=$1 plain

	shift
	plain=$(said "$@")
	check_equal "${name}_ends_well" "$(tail -n 1 <<<"$plain")" "status 0"
	check_between "${name}_says_something" "$(wc -c <<<"$plain")" 20 100000000
	mv "$dir/errors" "$dir/plain_errors"
	check_equal "${name}_preloaded" "$(diff <(echo "$plain") <(said env LD_PRELOAD="$agent" "$@"))" ""
	check_equal "${name}_preloaded_errors" "$(diff "$dir/plain_errors" "$dir/errors")" ""
	db=$dir/$name.db
	check_equal "${name}_run" "$(diff <(echo "$plain") <(said "$RSPROF" run -q --heap exact -o "$db" -- "$@"))" ""
	top_heap "$db"
	check_equal "${name}_by" "$(meta_of "$db" heap_source) $(of '"\(.mode) \(.is_estimate)"')" \
		"agent exact false"
	check_between "${name}_complete" "$(of .complete_stacks_pct)" 99 100
	figure "$name" "$(of .total_allocs) allocations, $(of '.entries | length') places," \
		"complete $(of .complete_stacks_pct) %"
}

# calls_of NAME COMMAND…: "allocations bytes frees reallocs" as the agent counts them, in $ours, and as they reach
# malloc, in $theirs.
calls_of() {
	local name=$1

	shift
	rm -f "$dir/behind"
	timeout -k 5 60 "$TARGETS/agentlook" / -- env LD_PRELOAD="$agent:$PWD/$TARGETS/agentcount.so" \
		AGENTCOUNT="$dir/behind" "$@" >"$dir/$name.truth" 2>"$dir/$name.errors" </dev/null
	looked=$dir/$name.looked
	sed -n '/^status /,$p' "$dir/$name.truth" >"$looked"
	ours=$(for key in total_allocs total_alloc_bytes total_frees reallocs; do looked_at $key; done | xargs)
	theirs="$(behind 1) $(behind 2) $(behind 3) $(behind 4)"
}

minus() {
	paste -d ' ' <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '{ printf "%s%d", (NR > 1 ? " " : ""), $1 - $2 }'
}

# counted NAME COMMAND…: of one process: each call that reaches malloc is in what the agent counts, and no other,
# but for those that the agent has libc make when it begins, in any program.
counted() {
	calls_of "$@"
	check_equal "$1_counts" "$ours" "$(minus "$theirs" "$at_beginning")"
	check_equal "$1_unknown_frees" "$(looked_at unknown_frees)" 0
	check_looked "$1"
	check_between "$1_many" "$(looked_at total_allocs)" "$least" 100000000
}

calls_of beginning /bin/true
at_beginning=$(minus "$theirs" "$ours")
check_between beginning_calls "${at_beginning%% *}" 0 16

cat >"$dir/script.sql" <<'EOF2'
CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n REAL, place BLOB);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
	INSERT INTO t SELECT i, 'name ' || (i * 7919 % 20011), i / 3.0, zeroblob(i % 200) FROM c;
CREATE INDEX by_name ON t(name);
BEGIN;
UPDATE t SET name = upper(name), n = n * 2 WHERE id % 3 = 0;
DELETE FROM t WHERE id % 5 = 0;
COMMIT;
SELECT COUNT(*), SUM(id), round(SUM(n), 3), MIN(name), MAX(name) FROM t;
SELECT substr(name, 1, 7) AS p, COUNT(*), group_concat(id % 10, '') FROM t GROUP BY p ORDER BY 2 DESC, 1 LIMIT 20;
SELECT a.id, b.id FROM t a JOIN t b ON b.id = a.id + 3 WHERE a.name LIKE '%99' ORDER BY a.name LIMIT 50;
SELECT id, row_number() OVER (PARTITION BY id % 7 ORDER BY name) AS r FROM t ORDER BY r DESC, id LIMIT 10;
CREATE TRIGGER copies AFTER INSERT ON t BEGIN UPDATE t SET n = n + 1 WHERE id = new.id - 1; END;
INSERT INTO t(name, n) SELECT hex(name), n FROM t WHERE id % 11 = 0;
SELECT SUM(length(name)), json_group_array(id % 3) LIKE '[%' FROM t;
SAVEPOINT one; DELETE FROM t; ROLLBACK TO one;
SELECT no_such_column FROM t;
SELECT COUNT(*) FROM t; VACUUM; PRAGMA integrity_check;
EOF2
if command -v sqlite3 >/dev/null; then
	sed -i '/no_such_column/d' "$dir/script.sql"
	same sqlite sqlite3 -batch -init "$dir/script.sql" :memory: "SELECT 'over';"
	least=100000 counted sqlite_calls sqlite3 -batch -init "$dir/script.sql" :memory: "SELECT 'over';"
else
	skip sqlite "sqlite3 is not here"
fi

cat >"$dir/script.pl" <<'EOF2'
use strict; use warnings;
my (%seen, @list);
for my $i (1 .. 20000) {
	my $key = join '-', map { ($i * $_) % 97 } 1 .. 4;
	push @{ $seen{$key} }, sprintf('%05d', $i);
	push @list, { id => $i, text => 'x' x ($i % 50) } if $i % 3;
}
my $bad = 0;
for (1 .. 2000) { eval { die { number => $_ } if $_ % 2; 1 } or $bad += $@->{number} }
my $text = join ' ', map { scalar @{ $seen{$_} } } sort keys %seen;
(my $other = $text) =~ s/(\d+)/<$1>/g;
print length($other), ' ', scalar(@list), " $bad ", substr($other, 0, 200), "\n";
print join(',', (sort { length $a->{text} <=> length $b->{text} || $a->{id} <=> $b->{id} } @list)[0]->{id}), "\n";
exit 0;
EOF2
if [ -x /usr/bin/perl ]; then
	same perl /usr/bin/perl "$dir/script.pl"
	least=50000 counted perl_calls /usr/bin/perl "$dir/script.pl"
else
	skip perl "/usr/bin/perl is not here"
fi

cat >"$dir/script.py" <<'EOF2'
import hashlib, json, re
kept = [{f"key {i}": [i, str(i) * 3], "name": f"entry {i}"} for i in range(8000)]
text = json.dumps(kept, sort_keys=True)
back = json.loads(text)
for i in range(0, 8000, 3):
    back[i] = None
words = sorted(set(re.findall(r"[a-z]+ \d+", text)), key=lambda word: (len(word), word))
def generate(n):
    try:
        yield from (str(i) for i in range(n))
    finally:
        words.append("end")
total = sum(map(len, generate(20000)))
print(hashlib.sha256(text.encode()).hexdigest(), len(words), total, sum(one is not None for one in back))
EOF2
python=/usr/bin/python3
if [ -x $python ]; then
	export PYTHONMALLOC=malloc
	same python $python -S "$dir/script.py"
	least=100000 counted python_calls $python -S "$dir/script.py"
	# Python's own tests.
	if $python -c 'import test.test_dict, test.test_list, test.test_json' 2>/dev/null; then
		# Without times.
		results=$(cd "$dir" && LD_PRELOAD="$agent" timeout -k 5 120 $python -m test -v test_dict test_list \
			test_json 2>&1)
		status=$?
		check_equal python_tests_status "$status" 0
		check_equal python_tests "$(grep -c '^Tests result: SUCCESS' <<<"$results")" 1
		check_between python_tests_count "$(awk '/^Ran [0-9]+ tests? in/ { sum += $2 } END { print sum }' \
			<<<"$results")" 200 10000
	else
		skip python_tests "python3's own tests are not here (Debian: libpython3.11-testsuite)"
	fi
	unset PYTHONMALLOC
else
	skip python "$python is not here"
fi

# A compiler's pass, and all of the compiler with its children.
cc1=$(gcc -print-prog-name=cc1 2>/dev/null)
if [ -x "$cc1" ]; then
	gcc -E -I. -D_GNU_SOURCE -DRSPROF_VERSION='"0"' shm/ehframe_parse.c >"$dir/source.i" 2>/dev/null
	same cc1 "$cc1" -quiet -O1 "$dir/source.i" -o -
	least=50000 counted cc1_calls "$cc1" -quiet -O1 "$dir/source.i" -o -
	same gcc bash -c 'gcc -O1 -o "$1/program" -x c - <<<"int main() { return __LINE__ + 5; }"
		"$1/program"; echo "$?: $(sha256sum <"$1/program")"' - "$dir"
else
	skip cc1 "gcc's cc1 is not here"
fi

# What is built and how many processes it takes is the same; the children's agents sleep, or are none.
cat >"$dir/cargo.sh" <<'EOF2'
set -e
cd "$1/crate"
rm -rf target Cargo.lock
cargo build --offline --color never 2>&1 | sed 's/ in [0-9.]*s$//'
./target/debug/small
echo 'fn main() { let n: u32 = "none"; }' >src/bin/wrong.rs
cargo build --offline --color never 2>/dev/null || echo "refused: $?"
rm src/bin/wrong.rs
EOF2
mkdir -p "$dir/crate/src/bin"
printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2018"\n' >"$dir/crate/Cargo.toml"
echo 'fn main() { println!("cargo:rustc-env=SAID=by the build script"); }' >"$dir/crate/build.rs"
cat >"$dir/crate/src/main.rs" <<'EOF2'
fn main() {
    let all: Vec<String> = (0..1000).map(|i| format!("{} {}", env!("SAID"), i)).collect();
    println!("{} {}", all.len(), all[999]);
}
EOF2
if command -v cargo >/dev/null && command -v rustc >/dev/null; then
	same cargo env CARGO_NET_OFFLINE=true bash "$dir/cargo.sh" "$dir"
else
	skip cargo "cargo is not here"
fi

cat >"$dir/git.sh" <<'EOF2'
set -e
rm -rf "$1/repository"
mkdir "$1/repository"
cd "$1/repository"
export HOME=$1 GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a \
	GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
git init -q -b main .
for round in 1 2 3; do
	for i in $(seq 40); do seq $((i * round)) $((i * 50)) >file$i; done
	git add -A
	git commit -q -m "round $round"
done
git log --stat | sha256sum
git gc -q --prune=now
git fsck --full 2>&1
git checkout -q -b other HEAD~1
git merge -q main
git blame file7 | tail -n 2
git rev-parse HEAD
git diff --shortstat HEAD~2
EOF2
if command -v git >/dev/null; then
	same git bash "$dir/git.sh" "$dir"
else
	skip git "git is not here"
fi

# A server, told by its client; with its own allocator, threads, and a child that writes its memory down.
serve() {
	local pid input

	"$@" redis-server --port 0 --unixsocket "$dir/socket" --save '' --appendonly no --dir "$dir" --io-threads 2 \
		>"$dir/redis.log" 2>&1 &
	pid=$!
	wait_for 10 redis-cli -s "$dir/socket" ping || cat "$dir/redis.log"
	for input in "SET kept here" "LPUSH list a b c" "BGSAVE" "DBSIZE" \
		"EVAL for~i=1,20000~do~redis.call('set','key:'..i,string.rep('x',i%100))~end~return~i 0" \
		"EVAL local~s=0~for~i=1,10000~do~s=s+i*i~end~return~s 0" "DEL key:1 key:2" "GET kept" "GET key:777" \
		"EVAL return~#redis.call('keys','*') 0" "DBSIZE"; do
		# shellcheck disable=SC2086
		(
			set -f
			IFS=' '
			# shellcheck disable=SC2206
			words=($input)
			redis-cli -s "$dir/socket" "${words[@]//\~/ }"
		) 2>&1
	done
	wait_for 20 is_saved || echo "not saved"
	redis-cli -s "$dir/socket" shutdown nosave
	wait "$pid"
	echo "status $?"
	[ -s "$dir/dump.rdb" ] && echo saved
	rm -f "$dir/dump.rdb"
}

# shellcheck disable=SC2317
is_saved() {
	redis-cli -s "$dir/socket" info persistence | tr -d '\r' | grep -q '^rdb_bgsave_in_progress:0' &&
		redis-cli -s "$dir/socket" info persistence | tr -d '\r' | grep -q '^rdb_last_bgsave_status:ok'
}

if command -v redis-server >/dev/null && command -v redis-cli >/dev/null; then
	plain=$(serve env)
	check_contains redis_ends_well "$plain" "status 0"
	check_contains redis_saves "$plain" saved
	check_equal redis_preloaded "$(diff <(echo "$plain") <(serve env LD_PRELOAD="$agent"))" ""
	check_equal redis_run "$(diff <(echo "$plain") <(serve "$RSPROF" run -q --heap exact -o "$dir/redis.db" --))" ""
	top_heap "$dir/redis.db"
	check_between redis_allocs "$(of .total_allocs)" 40000 100000000
	check_equal redis_by "$(meta_of "$dir/redis.db" heap_source)" agent
else
	skip redis "redis-server is not here"
fi
exit 0
