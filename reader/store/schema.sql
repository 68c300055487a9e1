-- The database of rsprof, version 1 (meta.version and PRAGMA user_version; application_id tells the
-- file from other programs'). Every change here raises STORE_VERSION and adds a step to migrate.c.
--
-- Stable for users, with any sqlite3 and no function of ours: meta, checkpoints (id, timestamp_ms),
-- cpu_samples, wait_samples, symbols, heap_samples. The other tables may change with the version.
--
-- Time. A file holds one recording or several appended ones. Recorded time starts at 0 with the first
-- and goes on with the next: gaps between recordings do not count. recordings.offset_ns is where one
-- begins; checkpoints.timestamp_ms is the end of a checkpoint in recorded time, rounded down.
--
-- Ids are positive and ascending in the order of insertion, so parent_id < id in nodes. Module 0 is
-- the unknown module. 64-bit addresses are stored as SQLite's signed integers, bit for bit.
--
-- addr, the key between cpu_samples, wait_samples, heap_samples and symbols, is a positive number that stays the
-- same for the life of the file:
--   frame     module_id << 48 | vaddr, where module_id < 16384 and vaddr < 2^48 and the two are not
--             both 0; else 3 << 61 | frame id
--   location  the addr of the frame that it was first seen as the innermost line of; else, first seen
--             as the caller within an inline chain, 1 << 62 | location id
--   0         samples without any user frame
-- No two of these rules give the same number. stacks.addr is the charged location's; until a stack is
-- charged (a frame is not resolved yet), the leaf's.

-- Of the heap, where the last recording counted it and ended cleanly: heap_live_bytes, heap_peak_bytes
-- and heap_peak_ms (when, as checkpoints.timestamp_ms), peak_resolution_ms (the longest time between
-- two looks), heap_unknown_frees.
CREATE TABLE meta(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- cpu_event_id: the event that cpu_samples shows, NULL where none stands for CPU time. duration_ns
-- grows with each checkpoint; is_finished is set at a clean end.
CREATE TABLE recordings(
	id INTEGER PRIMARY KEY,
	pid INTEGER NOT NULL,
	process_name TEXT NOT NULL,
	exe_path TEXT NOT NULL,
	exe_build_id TEXT NOT NULL,
	command_line TEXT NOT NULL,
	start_unix_ns INTEGER NOT NULL,
	start_monotonic_ns INTEGER NOT NULL,
	checkpoint_interval_ns INTEGER NOT NULL,
	offset_ns INTEGER NOT NULL,
	duration_ns INTEGER NOT NULL,
	is_finished INTEGER NOT NULL,
	cpu_event_id INTEGER);

CREATE TABLE events(
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	unit TEXT NOT NULL,
	is_cpu INTEGER NOT NULL);

-- user_ms and system_ms: CPU time of the target since its recording began.
CREATE TABLE checkpoints(
	id INTEGER PRIMARY KEY,
	timestamp_ms INTEGER NOT NULL,
	recording_id INTEGER NOT NULL,
	user_ms INTEGER NOT NULL,
	system_ms INTEGER NOT NULL,
	rss_bytes INTEGER NOT NULL,
	rss_anonymous_bytes INTEGER NOT NULL);

-- One row a (thread, name): a thread that is renamed gets a second one.
CREATE TABLE threads(
	id INTEGER PRIMARY KEY,
	recording_id INTEGER NOT NULL,
	pid INTEGER NOT NULL,
	tid INTEGER NOT NULL,
	comm TEXT NOT NULL);

-- kind: 0 unknown, 1 file, 2 vDSO, 3 anonymous. missing: why the file could not be opened.
CREATE TABLE modules(
	id INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL,
	path TEXT NOT NULL,
	name TEXT NOT NULL,
	build_id TEXT NOT NULL,
	inode INTEGER NOT NULL,
	device_major INTEGER NOT NULL,
	device_minor INTEGER NOT NULL,
	missing TEXT);

-- Names of functions and files, each once.
CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT NOT NULL);

-- One line of one function, each once. line 0: not known.
CREATE TABLE locations(
	id INTEGER PRIMARY KEY,
	addr INTEGER NOT NULL UNIQUE,
	module_id INTEGER NOT NULL,
	function_id INTEGER NOT NULL,
	file_id INTEGER NOT NULL,
	path_id INTEGER,
	line INTEGER NOT NULL);

-- quality: 0 module+offset, 1 ELF symbol, 2 DWARF. base: how the caller is found, 0 no unwind table,
-- 1 frame pointer, 2 stack pointer.
CREATE TABLE frames(
	id INTEGER PRIMARY KEY,
	module_id INTEGER NOT NULL,
	vaddr INTEGER NOT NULL,
	is_resolved INTEGER NOT NULL,
	quality INTEGER NOT NULL,
	base INTEGER NOT NULL);

-- The inline chain of a resolved frame: depth 0 is the innermost call.
CREATE TABLE frame_lines(
	frame_id INTEGER NOT NULL,
	depth INTEGER NOT NULL,
	location_id INTEGER NOT NULL,
	PRIMARY KEY(frame_id, depth)) WITHOUT ROWID;

-- The tree of stacks; parent_id is NULL at a thread's root.
CREATE TABLE nodes(
	id INTEGER PRIMARY KEY,
	parent_id INTEGER,
	frame_id INTEGER NOT NULL);

-- node_id: the leaf, NULL without any user frame. walk_status: as the source saw it; status: after
-- resolution. Both: 0 complete, 1 frame pointers (not judged), 2 broken, 3 truncated, 4 no mapping,
-- 5 no unwind table, 6 unreadable, 7 hidden caller, 8 empty, 9 used frame pointers, 10 not walked.
CREATE TABLE stacks(
	id INTEGER PRIMARY KEY,
	node_id INTEGER,
	walk_status INTEGER NOT NULL,
	status INTEGER NOT NULL,
	charged_frame_id INTEGER,
	charged_location_id INTEGER,
	addr INTEGER NOT NULL);
CREATE INDEX stacks_uncharged ON stacks(id) WHERE charged_location_id IS NULL;

-- count: samples, waits where the event is wait-time; kernel_count: of these in the kernel; value:
-- their sum in the event's unit. kind: why a thread waited, 0 no wait, 1 other, 2 run queue, 3 lock,
-- 4 sleep, 5 io, 6 poll, 7 fault, 8 child; run_ns: how long the thread ran before these waits. Both
-- are 0 for every other event. A wait that goes on has a value and no count yet; a thread that ran,
-- ended and did not wait has neither, of kind 0.
CREATE TABLE samples(
	checkpoint_id INTEGER NOT NULL,
	event_id INTEGER NOT NULL,
	thread_id INTEGER NOT NULL,
	stack_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	count INTEGER NOT NULL,
	kernel_count INTEGER NOT NULL,
	value INTEGER NOT NULL,
	run_ns INTEGER NOT NULL,
	PRIMARY KEY(checkpoint_id, event_id, thread_id, stack_id, kind)) WITHOUT ROWID;

-- samples without the checkpoint: of the whole file, and of each full run of 60 checkpoints.
CREATE TABLE totals(
	event_id INTEGER NOT NULL,
	thread_id INTEGER NOT NULL,
	stack_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	count INTEGER NOT NULL,
	kernel_count INTEGER NOT NULL,
	value INTEGER NOT NULL,
	run_ns INTEGER NOT NULL,
	PRIMARY KEY(event_id, thread_id, stack_id, kind)) WITHOUT ROWID;
CREATE TABLE rollup_spans(
	id INTEGER PRIMARY KEY,
	first_checkpoint_id INTEGER NOT NULL,
	last_checkpoint_id INTEGER NOT NULL);
CREATE TABLE rollups(
	span_id INTEGER NOT NULL,
	event_id INTEGER NOT NULL,
	thread_id INTEGER NOT NULL,
	stack_id INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	count INTEGER NOT NULL,
	kernel_count INTEGER NOT NULL,
	value INTEGER NOT NULL,
	run_ns INTEGER NOT NULL,
	PRIMARY KEY(span_id, event_id, thread_id, stack_id, kind)) WITHOUT ROWID;

-- What is missing, by cause.
CREATE TABLE losses(
	recording_id INTEGER NOT NULL,
	cause TEXT NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY(recording_id, cause)) WITHOUT ROWID;

-- From when on a signal (cpu, heap, wait) came from which source, and why. The first of a recording
-- names the source (of the heap also what it counts), those that follow how it went on.
CREATE TABLE steps(
	recording_id INTEGER NOT NULL,
	timestamp_ms INTEGER NOT NULL,
	signal TEXT NOT NULL,
	mode TEXT NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY(recording_id, signal, timestamp_ms)) WITHOUT ROWID;

-- What was allocated during a checkpoint, by the stack that did, and what was freed of all that this
-- stack ever allocated: calls, and bytes as they were asked for. Rows only where something was.
-- untracked: of allocs, those whose free will not be seen; they are not live. No room to track them,
-- frees were not watched, or the program was replaced by exec (then it counts what was live).
-- temporary: of frees, before the same thread allocated again. reallocs: of allocs, by realloc;
-- growth_bytes: how much larger those blocks became. estimated: of allocs, not counted but estimated
-- from a sample. No number here goes beyond 2^63 - 1: what would stays there.
CREATE TABLE heap_changes(
	checkpoint_id INTEGER NOT NULL,
	stack_id INTEGER NOT NULL,
	allocs INTEGER NOT NULL,
	alloc_bytes INTEGER NOT NULL,
	frees INTEGER NOT NULL,
	free_bytes INTEGER NOT NULL,
	untracked INTEGER NOT NULL,
	untracked_bytes INTEGER NOT NULL,
	temporary INTEGER NOT NULL,
	reallocs INTEGER NOT NULL,
	growth_bytes INTEGER NOT NULL,
	estimated INTEGER NOT NULL,
	PRIMARY KEY(checkpoint_id, stack_id)) WITHOUT ROWID;

-- Of a trace: the most that a stack held at any time during a checkpoint, where that is more than at
-- its end.
CREATE TABLE heap_peaks(
	checkpoint_id INTEGER NOT NULL,
	stack_id INTEGER NOT NULL,
	peak_bytes INTEGER NOT NULL,
	PRIMARY KEY(checkpoint_id, stack_id)) WITHOUT ROWID;

-- heap_changes without the checkpoint, of each of rollup_spans.
CREATE TABLE heap_rollups(
	span_id INTEGER NOT NULL,
	stack_id INTEGER NOT NULL,
	allocs INTEGER NOT NULL,
	alloc_bytes INTEGER NOT NULL,
	frees INTEGER NOT NULL,
	free_bytes INTEGER NOT NULL,
	untracked INTEGER NOT NULL,
	untracked_bytes INTEGER NOT NULL,
	temporary INTEGER NOT NULL,
	reallocs INTEGER NOT NULL,
	growth_bytes INTEGER NOT NULL,
	estimated INTEGER NOT NULL,
	PRIMARY KEY(span_id, stack_id)) WITHOUT ROWID;

-- heap_changes summed over the whole file, and what is live. Totals are of all recordings, live_bytes
-- and live_blocks of the last one alone, at its end or at its last checkpoint so far: what an earlier
-- one left alive went with its process. So within one recording
--   live_bytes = total_alloc_bytes - total_free_bytes - untracked_bytes
-- and in an appended file this difference is what all recordings together did not see freed.
-- peak_bytes: the highest live_bytes at a checkpoint, or of heap_peaks, of any recording.
CREATE TABLE heap_stacks(
	stack_id INTEGER PRIMARY KEY,
	live_bytes INTEGER NOT NULL,
	live_blocks INTEGER NOT NULL,
	peak_bytes INTEGER NOT NULL,
	total_allocs INTEGER NOT NULL,
	total_alloc_bytes INTEGER NOT NULL,
	total_frees INTEGER NOT NULL,
	total_free_bytes INTEGER NOT NULL,
	untracked INTEGER NOT NULL,
	untracked_bytes INTEGER NOT NULL,
	temporary INTEGER NOT NULL,
	reallocs INTEGER NOT NULL,
	growth_bytes INTEGER NOT NULL,
	estimated INTEGER NOT NULL);

-- The heap as a whole at the last look within a checkpoint, about one a second and one at the end; no
-- row where there was none. Counts are since the recording began. unknown_frees: of blocks from before
-- that, or that were not tracked; mmap, munmap: of anonymous memory; brk_bytes: may be negative; hits: of probes, cost_ns: what they cost the
-- target, an estimate.
CREATE TABLE heap_checkpoints(
	checkpoint_id INTEGER PRIMARY KEY,
	live_bytes INTEGER NOT NULL,
	live_blocks INTEGER NOT NULL,
	unknown_frees INTEGER NOT NULL,
	mmap_count INTEGER NOT NULL,
	mmap_bytes INTEGER NOT NULL,
	munmap_count INTEGER NOT NULL,
	munmap_bytes INTEGER NOT NULL,
	brk_count INTEGER NOT NULL,
	brk_bytes INTEGER NOT NULL,
	hits INTEGER NOT NULL,
	cost_ns INTEGER NOT NULL);

-- thread_id is threads.id. One row a (checkpoint, thread, addr).
CREATE VIEW cpu_samples(checkpoint_id, thread_id, addr, count) AS
SELECT s.checkpoint_id, s.thread_id, k.addr, SUM(s.count)
FROM recordings r
JOIN checkpoints c ON c.recording_id = r.id
JOIN samples s ON s.checkpoint_id = c.id AND s.event_id = r.cpu_event_id
JOIN stacks k ON k.id = s.stack_id
GROUP BY s.checkpoint_id, s.thread_id, k.addr;

-- One row a (checkpoint, thread, addr, kind). kind is the name of it: '' where a thread ran until it
-- ended, which is no wait.
CREATE VIEW wait_samples(checkpoint_id, thread_id, addr, kind, waits, wait_ns, run_ns) AS
SELECT s.checkpoint_id, s.thread_id, k.addr,
	CASE s.kind WHEN 0 THEN '' WHEN 1 THEN 'other' WHEN 2 THEN 'run queue' WHEN 3 THEN 'lock'
		WHEN 4 THEN 'sleep' WHEN 5 THEN 'io' WHEN 6 THEN 'poll' WHEN 7 THEN 'fault'
		WHEN 8 THEN 'child' END,
	SUM(s.count), SUM(s.value), SUM(s.run_ns)
FROM events e
JOIN checkpoints c
JOIN samples s ON s.checkpoint_id = c.id AND s.event_id = e.id
JOIN stacks k ON k.id = s.stack_id
WHERE e.name = 'wait-time'
GROUP BY s.checkpoint_id, s.thread_id, k.addr, s.kind;

-- Exactly one row an addr: the locations; the frames that uncharged stacks stand on, by what is known
-- of them; and the stack that has no frame.
CREATE VIEW symbols(addr, file, line, function) AS
SELECT l.addr, file.text, l.line, function.text
FROM locations l
JOIN texts file ON file.id = l.file_id
JOIN texts function ON function.id = l.function_id
UNION ALL
SELECT u.addr,
	COALESCE(file.text,
		CASE WHEN m.name LIKE '[%' THEN m.name ELSE '[' || m.name || ']' END),
	COALESCE(l.line, 0),
	COALESCE(function.text, m.name || '+0x' || printf('%x', f.vaddr))
FROM (SELECT k.addr AS addr, MIN(COALESCE(k.charged_frame_id, n.frame_id)) AS frame_id
	FROM stacks k JOIN nodes n ON n.id = k.node_id
	WHERE k.charged_location_id IS NULL
	GROUP BY k.addr) u
JOIN frames f ON f.id = u.frame_id
JOIN modules m ON m.id = f.module_id
LEFT JOIN frame_lines x ON x.frame_id = f.id AND x.depth = 0
LEFT JOIN locations l ON l.id = x.location_id
LEFT JOIN texts file ON file.id = l.file_id
LEFT JOIN texts function ON function.id = l.function_id
WHERE NOT EXISTS (SELECT 1 FROM locations known WHERE known.addr = u.addr)
UNION ALL
SELECT 0, '[no user stack]', 0, '[no user stack]';

-- One row a charged addr, whole file; see heap_stacks. total_alloc_bytes - total_free_bytes is what was
-- not seen freed: leaks, and with them the untracked_bytes, of which nobody knows. There is no peak: that
-- of an addr is not the sum of its stacks' peaks. is_estimate: some of it was sampled, or was not, while
-- others were. TOTAL, since SUM fails beyond 2^63 - 1; it is exact up to 2^53.
CREATE VIEW heap_samples(addr, function, file, line, live_bytes, total_alloc_bytes,
	total_free_bytes, total_allocs, total_frees, live_blocks, temporary, reallocs, growth_bytes,
	untracked_bytes, is_estimate) AS
SELECT h.addr, s.function, s.file, s.line, h.live_bytes, h.total_alloc_bytes, h.total_free_bytes,
	h.total_allocs, h.total_frees, h.live_blocks, h.temporary, h.reallocs, h.growth_bytes,
	h.untracked_bytes, h.is_estimate
FROM (SELECT k.addr AS addr,
		CAST(TOTAL(x.live_bytes) AS INTEGER) AS live_bytes,
		CAST(TOTAL(x.total_alloc_bytes) AS INTEGER) AS total_alloc_bytes,
		CAST(TOTAL(x.total_free_bytes) AS INTEGER) AS total_free_bytes,
		CAST(TOTAL(x.total_allocs) AS INTEGER) AS total_allocs,
		CAST(TOTAL(x.total_frees) AS INTEGER) AS total_frees,
		CAST(TOTAL(x.live_blocks) AS INTEGER) AS live_blocks,
		CAST(TOTAL(x.temporary) AS INTEGER) AS temporary,
		CAST(TOTAL(x.reallocs) AS INTEGER) AS reallocs,
		CAST(TOTAL(x.growth_bytes) AS INTEGER) AS growth_bytes,
		CAST(TOTAL(x.untracked_bytes) AS INTEGER) AS untracked_bytes,
		MAX(x.estimated > 0) OR EXISTS (SELECT 1 FROM steps WHERE signal = 'heap' AND
			(mode LIKE '%, sampled' OR mode LIKE '%, allocations only')) AS is_estimate
	FROM heap_stacks x
	JOIN stacks k ON k.id = x.stack_id
	GROUP BY k.addr) h
JOIN symbols s ON s.addr = h.addr;
