/* Records as the kernel writes them, and as it never would. */
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "reader/source/perf_record.h"
#include "tests/lib/kit.h"

enum { PID = 1000, TID = 1001, LATE_TID = 1002, ID_CPU = 7, ID_CYCLES = 8, ID_OTHER_THREAD = 9 };

struct record {
	struct perf_event_header header;
	_Alignas(8) unsigned char bytes[8192];
	size_t size; /* of bytes */
};

static void add(struct record *record, const void *bytes, size_t size)
{
	memcpy(record->bytes + record->size, bytes, size);
	record->size += size;
}

static void add_u32(struct record *record, uint32_t value)
{
	add(record, &value, sizeof(value));
}

static void add_u64(struct record *record, uint64_t value)
{
	add(record, &value, sizeof(value));
}

/* As the kernel does: with its NUL, padded to 8 bytes. */
static void add_text(struct record *record, const char *text)
{
	size_t length = strlen(text) + 1;

	add(record, text, length);
	while (record->size % 8)
		add(record, "", 1);
}

static void add_trailer(struct record *record)
{
	add_u32(record, PID);
	add_u32(record, TID);
	add_u64(record, 5000);
	add_u64(record, ID_CPU);
}

struct seen {
	uint32_t count;
	struct event last;
	uint64_t pcs[600];
	char text[EVENT_PATH_MAX];
	uint64_t lost[LOSS_CAUSES];
};

static void see(void *context, const struct event *event)
{
	struct seen *seen = context;

	seen->count++;
	seen->last = *event;
	switch (event->type) {
	case EVENT_SAMPLE:
		CHECK(event->sample.pc_count <= 511);
		for (uint32_t i = 0; i < event->sample.pc_count; i++)
			seen->pcs[i] = event->sample.pcs[i];
		break;
	case EVENT_MMAP:
		snprintf(seen->text, sizeof(seen->text), "%s", event->mmap.path);
		break;
	case EVENT_COMM:
		snprintf(seen->text, sizeof(seen->text), "%s", event->comm.comm);
		break;
	case EVENT_LOST:
		seen->lost[event->lost.cause] += event->lost.count;
		break;
	default:
		break;
	}
}

static struct perf_decoder new_decoder(struct seen *seen)
{
	struct perf_decoder decoder = {
		.target_pid = PID,
		.threads_only = true,
		.frames_kept = 4,
		.frames_cut = 5,
		.value_is_period = {false, true},
		.sink = see,
		.context = seen,
	};

	perf_decoder_add_stream(&decoder, ID_CPU, TID, 0);
	perf_decoder_add_stream(&decoder, ID_CYCLES, TID, 1);
	perf_decoder_add_stream(&decoder, ID_OTHER_THREAD, LATE_TID, 0);
	return decoder;
}

/* From memory of just this size, so that the sanitizer sees each byte too far. */
static void decode_bytes(struct perf_decoder *decoder, const void *bytes, size_t size)
{
	void *exact = malloc(size ? size : 1);

	memcpy(exact, bytes, size);
	perf_record_decode(decoder, exact, size);
	free(exact);
}

static void decode(struct perf_decoder *decoder, struct record *record)
{
	unsigned char bytes[sizeof(record->header) + sizeof(record->bytes)];

	record->header.size = (uint16_t)(sizeof(record->header) + record->size);
	memcpy(bytes, &record->header, sizeof(record->header));
	memcpy(bytes + sizeof(record->header), record->bytes, record->size);
	decode_bytes(decoder, bytes, record->header.size);
}

/* The record alone, by a new decoder. */
static struct seen decode_one(struct record *record)
{
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);

	decode(&decoder, record);
	perf_decoder_done(&decoder);
	return seen;
}

static struct record new_sample(uint16_t mode, uint64_t id, uint32_t pid, uint32_t tid,
				const uint64_t *chain, size_t length)
{
	struct record record = {.header = {.type = PERF_RECORD_SAMPLE, .misc = mode}};

	add_u64(&record, id);
	add_u64(&record, 0x1111);
	add_u32(&record, pid);
	add_u32(&record, tid);
	add_u64(&record, 6000);
	add_u64(&record, 12345);
	add_u64(&record, length);
	if (length)
		add(&record, chain, length * sizeof(*chain));
	return record;
}

#define CHAIN(...) (const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8
#define USER_MARK (uint64_t) PERF_CONTEXT_USER
#define KERNEL_MARK (uint64_t) PERF_CONTEXT_KERNEL

TEST(a_user_sample)
{
	struct record record = new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID,
					  CHAIN(USER_MARK, 0x1111, 0x2222, 0x3333));
	struct seen seen = decode_one(&record);

	CHECK_EQ_U64(seen.count, 1);
	CHECK_EQ_U64(seen.last.type, EVENT_SAMPLE);
	CHECK_EQ_U64(seen.last.time_ns, 6000);
	CHECK_EQ_U64(seen.last.pid, PID);
	CHECK_EQ_U64(seen.last.tid, TID);
	CHECK_EQ_U64(seen.last.sample.pc_count, 3);
	CHECK_EQ_U64(seen.pcs[0], 0x1111);
	CHECK_EQ_U64(seen.pcs[2], 0x3333);
	CHECK_EQ_U64(seen.last.sample.event_index, 0);
	CHECK_EQ_U64(seen.last.sample.value, 1);
	CHECK_EQ_U64(seen.last.sample.status, STACK_FRAME_POINTERS);
	CHECK(!seen.last.sample.in_kernel);
}

TEST(a_kernel_sample_keeps_the_user_part_only)
{
	struct record record = new_sample(PERF_RECORD_MISC_KERNEL, ID_CYCLES, PID, TID,
					  CHAIN(KERNEL_MARK, 0xffffffff81000000, 0xffffffff81000010,
						USER_MARK, 0x2222, 0x3333));
	struct seen seen = decode_one(&record);

	CHECK_EQ_U64(seen.last.sample.pc_count, 2);
	CHECK_EQ_U64(seen.pcs[0], 0x2222);
	CHECK(seen.last.sample.in_kernel);
	CHECK_EQ_U64(seen.last.sample.event_index, 1);
	CHECK_EQ_U64(seen.last.sample.value, 12345);
}

TEST(a_marker_after_the_user_part_ends_it)
{
	struct record record = new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID,
					  CHAIN(USER_MARK, 0x1111, 0x2222, (uint64_t)-640, 0x4444));
	struct seen seen = decode_one(&record);

	CHECK_EQ_U64(seen.last.sample.pc_count, 2);
}

TEST(a_sample_without_user_frames_is_empty)
{
	struct record record = new_sample(PERF_RECORD_MISC_KERNEL, ID_CPU, PID, TID, NULL, 0);
	struct record broken = new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID, NULL, 0);
	struct seen seen = decode_one(&record);

	CHECK_EQ_U64(seen.last.sample.pc_count, 0);
	CHECK_EQ_U64(seen.last.sample.status, STACK_EMPTY);
	/* In user mode the leaf is known without a chain. */
	seen = decode_one(&broken);
	CHECK_EQ_U64(seen.last.sample.pc_count, 1);
	CHECK_EQ_U64(seen.pcs[0], 0x1111);
	CHECK_EQ_U64(seen.last.sample.status, STACK_BROKEN);
}

TEST(a_stack_deeper_than_kept_is_cut_at_the_outer_end)
{
	struct record fits =
		new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID, CHAIN(USER_MARK, 1, 2, 3, 4));
	struct record cut = new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID,
				       CHAIN(USER_MARK, 1, 2, 3, 4, 5));
	struct seen seen = decode_one(&fits);

	CHECK_EQ_U64(seen.last.sample.pc_count, 4);
	CHECK_EQ_U64(seen.last.sample.status, STACK_FRAME_POINTERS);
	seen = decode_one(&cut);
	CHECK_EQ_U64(seen.last.sample.pc_count, 4);
	CHECK_EQ_U64(seen.pcs[0], 1);
	CHECK_EQ_U64(seen.pcs[3], 4);
	CHECK_EQ_U64(seen.last.sample.status, STACK_TRUNCATED);
}

TEST(another_process_is_left_out_but_balanced)
{
	struct record record = new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID + 5, PID + 5,
					  CHAIN(USER_MARK, 0x1111));
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);

	decode(&decoder, &record);
	CHECK_EQ_U64(seen.count, 0);
	CHECK_EQ_U64(decoder.sampled[0], 1);
	perf_decoder_done(&decoder);
}

TEST(a_sample_without_a_thread_is_counted_only_where_it_is_ours)
{
	struct record record = new_sample(PERF_RECORD_MISC_USER, ID_CPU, UINT32_MAX, UINT32_MAX,
					  CHAIN(USER_MARK, 0x1111));
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);

	decode(&decoder, &record);
	CHECK_EQ_U64(seen.lost[LOSS_BAD_RECORD], 1);
	decoder.threads_only = false;
	decode(&decoder, &record);
	CHECK_EQ_U64(seen.count, 1);
	perf_decoder_done(&decoder);
}

TEST(doubles_of_a_late_thread_are_left_out_until_it_ends)
{
	struct record own = new_sample(PERF_RECORD_MISC_USER, ID_OTHER_THREAD, PID, LATE_TID,
				       CHAIN(USER_MARK, 0x1111));
	struct record inherited =
		new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, LATE_TID, CHAIN(USER_MARK, 0x1111));
	struct record other =
		new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID + 50, CHAIN(USER_MARK, 0x1111));
	struct record exit = {.header = {.type = PERF_RECORD_EXIT}};
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);

	perf_decoder_add_late_thread(&decoder, LATE_TID);
	decode(&decoder, &own);
	CHECK_EQ_U64(seen.count, 1);
	decode(&decoder, &inherited);
	CHECK_EQ_U64(seen.count, 1);
	decode(&decoder, &other);
	CHECK_EQ_U64(seen.count, 2);
	/* A later thread with that number has inherited events only. */
	add_u32(&exit, PID);
	add_u32(&exit, PID);
	add_u32(&exit, LATE_TID);
	add_u32(&exit, LATE_TID);
	add_u64(&exit, 7000);
	add_trailer(&exit);
	decode(&decoder, &exit);
	CHECK_EQ_U64(seen.last.type, EVENT_EXIT);
	CHECK_EQ_U64(seen.last.tid, LATE_TID);
	CHECK_EQ_U64(seen.last.time_ns, 7000);
	decode(&decoder, &inherited);
	CHECK_EQ_U64(seen.count, 4);
	perf_decoder_done(&decoder);
}

static struct record new_mmap2(uint32_t pid, uint32_t protection, const char *path)
{
	struct record record = {.header = {.type = PERF_RECORD_MMAP2}};

	add_u32(&record, pid);
	add_u32(&record, TID);
	add_u64(&record, 0x400000);
	add_u64(&record, 0x2000);
	add_u64(&record, 0x1000);
	add_u32(&record, 8);
	add_u32(&record, 1);
	add_u64(&record, 424242);
	add_u64(&record, 1);
	add_u32(&record, protection);
	add_u32(&record, MAP_PRIVATE);
	add_text(&record, path);
	add_trailer(&record);
	return record;
}

TEST(mappings)
{
	struct record record = new_mmap2(PID, PROT_READ | PROT_EXEC, "/usr/lib/libfoo.so");
	struct record data = new_mmap2(PID, PROT_READ, "/usr/lib/libfoo.so");
	struct record foreign = new_mmap2(PID + 1, PROT_READ | PROT_EXEC, "/usr/lib/libfoo.so");
	struct record old = {.header = {.type = PERF_RECORD_MMAP}};
	struct seen seen = decode_one(&record);

	CHECK_EQ_U64(seen.last.type, EVENT_MMAP);
	CHECK_EQ_U64(seen.last.time_ns, 5000);
	CHECK_EQ_U64(seen.last.mmap.start, 0x400000);
	CHECK_EQ_U64(seen.last.mmap.length, 0x2000);
	CHECK_EQ_U64(seen.last.mmap.file_offset, 0x1000);
	CHECK_EQ_U64(seen.last.mmap.device_major, 8);
	CHECK_EQ_U64(seen.last.mmap.device_minor, 1);
	CHECK_EQ_U64(seen.last.mmap.inode, 424242);
	CHECK(seen.last.mmap.is_executable);
	CHECK_EQ_STR(seen.text, "/usr/lib/libfoo.so");
	CHECK(!decode_one(&data).last.mmap.is_executable);
	CHECK_EQ_U64(decode_one(&foreign).count, 0);

	add_u32(&old, PID);
	add_u32(&old, TID);
	add_u64(&old, 0x400000);
	add_u64(&old, 0x2000);
	add_u64(&old, 0);
	add_text(&old, "[vdso]");
	add_trailer(&old);
	seen = decode_one(&old);
	CHECK(seen.last.mmap.is_executable);
	CHECK_EQ_U64(seen.last.mmap.inode, 0);
	CHECK_EQ_STR(seen.text, "[vdso]");
	old.header.misc = PERF_RECORD_MISC_MMAP_DATA;
	CHECK(!decode_one(&old).last.mmap.is_executable);
}

TEST(mappings_that_cannot_be)
{
	char long_path[EVENT_PATH_MAX + 1];
	struct record record;

	memset(long_path, 'a', EVENT_PATH_MAX);
	long_path[EVENT_PATH_MAX] = '\0';
	record = new_mmap2(PID, PROT_EXEC, long_path);
	CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
	/* The longest there is. */
	record = new_mmap2(PID, PROT_EXEC, long_path + 1);
	CHECK_EQ_U64(strlen(decode_one(&record).text), EVENT_PATH_MAX - 1);
	/* A name without an end. */
	record = new_mmap2(PID, PROT_EXEC, "1234567");
	memset(record.bytes + 64, 'a', 8);
	CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
	/* Length 0, and beyond the end of the address space. */
	record = new_mmap2(PID, PROT_EXEC, "/a");
	memset(record.bytes + 16, 0, 8);
	CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
	memset(record.bytes + 16, 0xff, 8);
	CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
}

TEST(names_and_exec)
{
	struct record record = {.header = {.type = PERF_RECORD_COMM}};
	struct seen seen;

	add_u32(&record, PID);
	add_u32(&record, TID);
	add_text(&record, "worker");
	add_trailer(&record);
	seen = decode_one(&record);
	CHECK_EQ_U64(seen.last.type, EVENT_COMM);
	CHECK_EQ_U64(seen.last.tid, TID);
	CHECK_EQ_STR(seen.text, "worker");
	CHECK(!seen.last.comm.is_exec);
	record.header.misc = PERF_RECORD_MISC_COMM_EXEC;
	CHECK(decode_one(&record).last.comm.is_exec);
	record = (struct record){.header = {.type = PERF_RECORD_COMM}};
	add_u32(&record, PID);
	add_u32(&record, TID);
	add_text(&record, "a name of more than sixteen bytes");
	add_trailer(&record);
	CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
}

TEST(exec_forgets_late_threads)
{
	struct record inherited =
		new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, LATE_TID, CHAIN(USER_MARK, 0x1111));
	struct record exec = {
		.header = {.type = PERF_RECORD_COMM, .misc = PERF_RECORD_MISC_COMM_EXEC}};
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);

	add_u32(&exec, PID);
	add_u32(&exec, PID);
	add_text(&exec, "new");
	add_trailer(&exec);
	perf_decoder_add_late_thread(&decoder, LATE_TID);
	decode(&decoder, &inherited);
	CHECK_EQ_U64(seen.count, 0);
	decode(&decoder, &exec);
	decode(&decoder, &inherited);
	CHECK_EQ_U64(seen.count, 2);
	perf_decoder_done(&decoder);
}

static struct record new_fork(uint32_t pid, uint32_t parent_pid)
{
	struct record record = {.header = {.type = PERF_RECORD_FORK}};

	add_u32(&record, pid);
	add_u32(&record, parent_pid);
	add_u32(&record, 1010);
	add_u32(&record, TID);
	add_u64(&record, 8000);
	add_trailer(&record);
	return record;
}

TEST(forks_of_the_target_are_told)
{
	struct record thread = new_fork(PID, PID), child = new_fork(1010, PID);
	struct record grandchild = new_fork(1010, 1005);
	struct seen seen = decode_one(&thread);

	CHECK_EQ_U64(seen.last.type, EVENT_FORK);
	CHECK_EQ_U64(seen.last.time_ns, 8000);
	CHECK_EQ_U64(seen.last.tid, 1010);
	CHECK_EQ_U64(seen.last.fork.parent_pid, PID);
	CHECK_EQ_U64(seen.last.fork.parent_tid, TID);
	CHECK_EQ_U64(decode_one(&child).last.pid, 1010);
	CHECK_EQ_U64(decode_one(&grandchild).count, 0);
}

TEST(losses_by_cause)
{
	struct record lost = {.header = {.type = PERF_RECORD_LOST}};
	struct record lost_samples = {.header = {.type = PERF_RECORD_LOST_SAMPLES}};
	struct record throttle = {.header = {.type = PERF_RECORD_THROTTLE}};
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);

	add_u64(&lost, ID_CPU);
	add_u64(&lost, 33);
	add_trailer(&lost);
	add_u64(&lost_samples, 4);
	add_trailer(&lost_samples);
	for (int i = 0; i < 3; i++)
		add_u64(&throttle, 0);
	add_trailer(&throttle);
	decode(&decoder, &lost);
	decode(&decoder, &lost_samples);
	decode(&decoder, &throttle);
	throttle.header.type = PERF_RECORD_UNTHROTTLE;
	decode(&decoder, &throttle);
	CHECK_EQ_U64(seen.lost[LOSS_RING_FULL], 37);
	CHECK_EQ_U64(decoder.told_lost, 33);
	CHECK_EQ_U64(seen.lost[LOSS_THROTTLED], 1);
	CHECK_EQ_U64(seen.last.time_ns, 5000);
	perf_decoder_done(&decoder);
}

TEST(a_sample_that_cannot_be_is_counted_and_makes_none)
{
	struct record good = new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID,
					CHAIN(USER_MARK, 0x1111, 0x2222));
	static const uint64_t lengths[] = {4, 1000, UINT64_C(1) << 61, UINT64_MAX};
	struct record record;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		record = good;
		memcpy(record.bytes + 40, &lengths[i], 8);
		CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
		CHECK_EQ_U64(decode_one(&record).count, 1);
	}
	record = new_sample(PERF_RECORD_MISC_USER, 4711, PID, TID, CHAIN(USER_MARK, 0x1111));
	CHECK_EQ_U64(decode_one(&record).lost[LOSS_BAD_RECORD], 1);
}

TEST(every_record_cut_at_every_byte_is_bad_or_unknown)
{
	struct record records[] = {
		new_sample(PERF_RECORD_MISC_USER, ID_CPU, PID, TID, CHAIN(USER_MARK, 1, 2)),
		new_mmap2(PID, PROT_EXEC, "/usr/bin/true"),
		new_fork(PID, PID),
	};

	for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
		size_t whole = sizeof(records[i].header) + records[i].size;
		unsigned char bytes[sizeof(records[i].header) + sizeof(records[i].bytes)];

		memcpy(bytes, &records[i].header, sizeof(records[i].header));
		memcpy(bytes + sizeof(records[i].header), records[i].bytes, records[i].size);
		for (size_t size = 0; size <= whole; size++) {
			struct seen seen = {0};
			struct perf_decoder decoder = new_decoder(&seen);

			decode_bytes(&decoder, bytes, size);
			if (size == whole)
				CHECK_EQ_U64(seen.lost[LOSS_BAD_RECORD], 0);
			else if (records[i].header.type == PERF_RECORD_SAMPLE)
				CHECK_EQ_U64(seen.lost[LOSS_BAD_RECORD], 1);
			CHECK(seen.count <= 1);
			perf_decoder_done(&decoder);
		}
	}
}

TEST(noise_never_harms)
{
	enum { ROUNDS = 200000 };
	struct seen seen = {0};
	struct perf_decoder decoder = new_decoder(&seen);
	uint64_t state = 42;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t words[40];
		size_t size;

		for (size_t i = 0; i < 40; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			words[i] = state >> 24;
		}
		/* Types, identifiers and processes that exist get further than noise. */
		size = state >> 33 & 255;
		words[0] = (words[0] & 0xffffff00000000) | (state >> 41) % 20;
		if (state >> 50 & 1)
			words[1] = ID_CPU;
		if (state >> 51 & 1)
			words[1] = (words[1] << 32) | PID;
		if (state >> 52 & 1)
			words[3] = (uint64_t)TID << 32 | PID;
		if (state >> 53 & 1)
			words[6] &= 31;
		decode_bytes(&decoder, words, size);
	}
	CHECK_BETWEEN(seen.count, 1000, ROUNDS);
	CHECK(decoder.sampled[0] > 100);
	perf_decoder_done(&decoder);
}

KIT_MAIN
