/* What a source that walks stacks itself is told of the target's code, and when. */
#include <elf.h>
#include <link.h>
#include <sys/mman.h>

#include "reader/record/publisher.h"
#include "reader/record/pump.h"
#include "reader/util/clock.h"
#include "reader/util/str.h"
#include "tests/lib/fake_source.h"
#include "tests/lib/kit.h"
#include "tests/unit/child.h"

enum {
	PAGE = 4096,
	PLACES_MAX = 2048,
	TRIES_MAX = 5, /* of what takes a time on a machine that others use too */
};

static const char LIBRARY[] = "/lib/x86_64-linux-gnu/libm.so.6";

/* The child does what the test asks it for, and tells where. */
struct shared {
	uint64_t places[PLACES_MAX];
	char paths[2][256];
	int count;
};

static struct shared *shared;

static struct {
	struct child child;
	struct target *target;
	struct losses losses;
	struct modules *modules;
	struct module_tables *tables;
	struct fake_source fake;
	struct publisher *publisher;
} here;

/* The file's own code, as the loader maps it. */
static uint64_t map_code(const char *path, uint64_t offset, uint64_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)offset);

	if (fd < 0 || at == MAP_FAILED)
		_exit(2);
	close(fd);
	return (uint64_t)at;
}

/* Where the first executable segment lies in the file, from page to page. */
static uint64_t code_of_file(const char *path, uint64_t *ret_bytes, uint64_t *ret_vaddr)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	uint64_t offset = UINT64_MAX;

	CHECK(fd >= 0 && pread(fd, &header, sizeof(header), 0) == sizeof(header));
	for (int i = 0; i < header.e_phnum && offset == UINT64_MAX; i++) {
		Elf64_Phdr segment;

		CHECK(pread(fd, &segment, sizeof(segment),
			    (off_t)(header.e_phoff + (uint64_t)i * sizeof(segment))) ==
		      sizeof(segment));
		if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X))
			continue;
		offset = segment.p_offset & ~(uint64_t)(PAGE - 1);
		*ret_bytes = segment.p_filesz + (segment.p_offset - offset);
		*ret_vaddr = segment.p_vaddr - (segment.p_offset - offset);
	}
	close(fd);
	CHECK(offset != UINT64_MAX);
	return offset;
}

static void map_files(void)
{
	for (int i = 0; i < shared->count; i++) {
		uint64_t bytes, vaddr, offset = code_of_file(shared->paths[i], &bytes, &vaddr);

		shared->places[i] = map_code(shared->paths[i], offset, bytes);
	}
}

/* Other windows of one file, so that no two become one mapping. */
static void map_windows(void)
{
	for (int i = 0; i < shared->count; i++)
		shared->places[i] = map_code(shared->paths[0], (uint64_t)(i % 2) * 2 * PAGE, PAGE);
}

static void map_anonymous(void)
{
	shared->places[0] = (uint64_t)mmap(NULL, PAGE, PROT_READ | PROT_EXEC,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void obey(const void *argument)
{
	char order;

	child_ready();
	while (read(STDIN_FILENO, &order, 1) == 1) {
		if (order == 'm')
			map_files();
		else if (order == 'w')
			map_windows();
		else if (order == 'a')
			map_anonymous();
		else if (order == 'u')
			munmap((void *)shared->places[0], PAGE);
		child_ready();
	}
}

static void order(char what)
{
	child_tell(&here.child, what);
	CHECK(child_hear(&here.child) == 'r');
}

static void start(void)
{
	struct err err = {0};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED);
	here.child = child_start(obey, NULL);
	CHECK(target_open_pid(here.child.pid, &here.target, &err) == 0);
	here.modules = modules_new(here.target, &here.losses, NULL);
	here.tables = module_tables_new();
	fake_walker_init(&here.fake, NULL, 0, 0);
	here.publisher = publisher_new(&here.fake.source, here.target, here.modules, here.tables);
}

static void end(void)
{
	publisher_free(here.publisher);
	module_tables_free(here.tables);
	modules_free(here.modules);
	target_free(here.target);
	child_end(&here.child);
}

static struct event mapped_event(void)
{
	struct event event = {.time_ns = clock_now_ns(), .type = EVENT_MMAP};

	event.pid = event.tid = (uint32_t)here.child.pid;
	event.mmap.start = shared->places[0];
	event.mmap.length = PAGE;
	event.mmap.path = shared->paths[0];
	event.mmap.is_executable = true;
	return event;
}

/* Runs until there is nothing left to do. */
static void run_all(void)
{
	int wait_ms, rounds = 0;

	publisher_run(here.publisher);
	while ((wait_ms = publisher_wait_ms(here.publisher, 1000)) < 1000) {
		poll(NULL, 0, wait_ms);
		publisher_run(here.publisher);
		CHECK(++rounds < 1000);
	}
}

static bool has_rule(const struct source_code *code, uint64_t address)
{
	return code && code->table &&
	       unwind_table_find(code->table, address - code->bias) != UNWIND_RULE_NONE;
}

static int check_module(struct dl_phdr_info *info, size_t size, void *context)
{
	int *count = context;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;
		const struct source_code *code = fake_source_find(&here.fake, start);

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		if (!code || !code->table)
			FAIL("%s: no %s", info->dlpi_name, code ? "table" : "code");
		CHECK_EQ_U64(code->bias, info->dlpi_addr);
		CHECK_EQ_U64(code->start, start & ~(uint64_t)(PAGE - 1));
		(*count)++;
	}
	return 0;
}

TEST(a_running_target_is_told_whole_at_the_start)
{
	int count = 0;

	start();
	publisher_start(here.publisher);
	CHECK_EQ_U64(here.fake.set_count, 1);
	/* The child is a fork: the same files at the same places, the vDSO among them. */
	dl_iterate_phdr(check_module, &count);
	CHECK(count >= 4);
	CHECK(has_rule(fake_source_find(&here.fake, (uint64_t)qsort), (uint64_t)qsort));
	CHECK(has_rule(fake_source_find(&here.fake, (uint64_t)obey), (uint64_t)obey));
	CHECK(here.fake.rules == unwind_cache_rules(module_tables_cache(here.tables)));
	/* Nothing has changed: nothing is told again. */
	run_all();
	CHECK_EQ_U64(here.fake.set_count, 1);
	end();
}

TEST(code_that_an_event_tells_of_is_published_at_once)
{
	struct event event;

	start();
	publisher_start(here.publisher);
	run_all();
	for (int i = 0; i < TRIES_MAX; i++) {
		uint64_t begin_ns, bytes, vaddr, took_ns;
		const struct source_code *code;

		poll(NULL, 0, 100); /* what was published is not looked at again at once */
		snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s/copy%d", kit_folder(), i);
		copy_file(LIBRARY, shared->paths[0]);
		shared->count = 1;
		order('m');
		event = mapped_event();
		begin_ns = clock_now_ns();
		publisher_on_event(here.publisher, &event);
		CHECK_EQ_I64(publisher_wait_ms(here.publisher, 1000), 0);
		publisher_run(here.publisher);
		took_ns = clock_now_ns() - begin_ns;
		code_of_file(shared->paths[0], &bytes, &vaddr);
		code = fake_source_find(&here.fake, shared->places[0]);
		CHECK(code);
		CHECK_EQ_U64(code->bias, shared->places[0] - vaddr);
		CHECK(has_rule(code, shared->places[0] + 0x1000));
		printf("# published with its table after %.2f ms\n", (double)took_ns / 1e6);
		if (took_ns < 20 * NS_PER_MS) {
			end();
			return;
		}
	}
	FAIL("never within 20 ms");
}

TEST(events_that_map_no_code_publish_nothing)
{
	struct event event;

	start();
	publisher_start(here.publisher);
	run_all();
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s", LIBRARY);
	shared->count = 1;
	order('w');
	event = mapped_event();
	event.mmap.is_executable = false;
	publisher_on_event(here.publisher, &event);
	event = (struct event){.type = EVENT_COMM, .comm = {.comm = "name"}};
	publisher_on_event(here.publisher, &event);
	CHECK_EQ_I64(publisher_wait_ms(here.publisher, 77), 77);
	publisher_run(here.publisher);
	CHECK(!fake_source_find(&here.fake, shared->places[0]));
	event = (struct event){.type = EVENT_COMM, .comm = {.comm = "name", .is_exec = true}};
	publisher_on_event(here.publisher, &event);
	run_all();
	CHECK(fake_source_find(&here.fake, shared->places[0]));
	end();
}

static struct {
	uint64_t begin_ns, small_ns, big_ns;
	bool had_neither;
} when;

static void note_when(struct fake_source *fake)
{
	const struct source_code *big = fake_source_find(fake, shared->places[0]);
	const struct source_code *small = fake_source_find(fake, shared->places[1]);

	if (!when.small_ns && small) {
		CHECK(small->table);
		when.small_ns = clock_now_ns();
		/* What waits for its table is left out, or walks would end there for good. */
		CHECK(!big);
	}
	if (!when.big_ns && big) {
		CHECK(big->table);
		when.big_ns = clock_now_ns();
	}
}

static bool find_big_library(char *path, size_t size)
{
	static const char *const globs =
		"ls /usr/lib/x86_64-linux-gnu/libLLVM-*.so.1 "
		"\"$(rustc --print sysroot 2>/dev/null)\"/lib/librustc_driver-*.so 2>/dev/null";
	FILE *pipe = popen(globs, "r");
	bool found = pipe && fgets(path, (int)size, pipe);

	if (pipe)
		pclose(pipe);
	path[strcspn(path, "\n")] = '\0';
	return found;
}

TEST(a_big_table_does_not_delay_the_others)
{
	char path[256] = "";
	struct event event;

	if (!find_big_library(path, sizeof(path)))
		SKIP("there is no libLLVM and no librustc_driver");
	start();
	publisher_start(here.publisher);
	run_all();
	poll(NULL, 0, 100);
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s", path);
	snprintf(shared->paths[1], sizeof(shared->paths[1]), "%s/small", kit_folder());
	copy_file(LIBRARY, shared->paths[1]);
	shared->count = 2;
	order('m');
	here.fake.on_set = note_when;
	event = mapped_event();
	publisher_on_event(here.publisher, &event);
	when.begin_ns = clock_now_ns();
	run_all();
	CHECK(when.small_ns && when.big_ns && when.small_ns < when.big_ns);
	printf("# the small one after %.2f ms, the big one after %.2f ms\n",
	       (double)(when.small_ns - when.begin_ns) / 1e6,
	       (double)(when.big_ns - when.begin_ns) / 1e6);
	end();
}

TEST(an_exec_in_between_is_published_again)
{
	start();
	here.fake.epoch = 7;
	publisher_mark(here.publisher);
	here.fake.execs_to_come = 1;
	publisher_run(here.publisher);
	CHECK_EQ_U64(here.fake.code_epoch, 8); /* the tables were missing: the second look */
	run_all();
	poll(NULL, 0, 100);
	publisher_mark(here.publisher);
	here.fake.execs_to_come = 1;
	publisher_run(here.publisher);
	CHECK_EQ_U64(here.fake.code_epoch, 8);
	CHECK(publisher_wait_ms(here.publisher, 1000) < 1000);
	run_all();
	CHECK_EQ_U64(here.fake.code_epoch, 9);
	end();
}

TEST(what_was_unmapped_is_told_no_longer)
{
	start();
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s", LIBRARY);
	shared->count = 1;
	order('w');
	publisher_start(here.publisher);
	CHECK(fake_source_find(&here.fake, shared->places[0]));
	order('u');
	publisher_mark(here.publisher);
	run_all();
	CHECK(!fake_source_find(&here.fake, shared->places[0]));
	CHECK(fake_source_find(&here.fake, (uint64_t)qsort));
	end();
}

TEST(anonymous_code_is_told_without_table)
{
	const struct source_code *code;

	start();
	order('a');
	publisher_start(here.publisher);
	code = fake_source_find(&here.fake, shared->places[0]);
	CHECK(code && !code->table);
	CHECK_EQ_U64(code->bias, 0);
	end();
}

TEST(a_process_that_is_gone_keeps_its_list)
{
	siginfo_t info;
	size_t count;

	start();
	publisher_start(here.publisher);
	count = here.fake.code_count;
	CHECK(count);
	kill(here.child.pid, SIGKILL);
	/* A zombie first, whose mappings read as empty, and then nothing at all. */
	CHECK(waitid(P_PID, (id_t)here.child.pid, &info, WEXITED | WNOWAIT) == 0);
	publisher_mark(here.publisher);
	run_all();
	waitpid(here.child.pid, NULL, 0);
	publisher_mark(here.publisher);
	run_all();
	CHECK_EQ_U64(here.fake.set_count, 1);
	CHECK_EQ_U64(here.fake.code_count, count);
	publisher_free(here.publisher);
	module_tables_free(here.tables);
	modules_free(here.modules);
	target_free(here.target);
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

TEST(a_thousand_mappings_are_cheap_and_opened_once)
{
	enum { MAPPINGS = 1000, LOOKS = 10 };
	uint64_t begin_ns, first_ns, again_ns = 0;
	size_t descriptors, told = 0;

	start();
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s/library", kit_folder());
	copy_file(LIBRARY, shared->paths[0]);
	shared->count = MAPPINGS;
	order('w');
	begin_ns = clock_now_ns();
	publisher_start(here.publisher);
	first_ns = clock_now_ns() - begin_ns;
	for (int i = 0; i < MAPPINGS; i++)
		told += fake_source_find(&here.fake, shared->places[i]) != NULL;
	CHECK_EQ_U64(told, MAPPINGS);
	/* Whatever is at its path now, the file is known. */
	CHECK(truncate(shared->paths[0], 100) == 0 && unlink(shared->paths[0]) == 0);
	descriptors = open_descriptors();
	for (int i = 0; i < LOOKS; i++) {
		publisher_mark(here.publisher);
		poll(NULL, 0, publisher_wait_ms(here.publisher, 1000));
		begin_ns = clock_now_ns();
		publisher_run(here.publisher);
		again_ns += clock_now_ns() - begin_ns;
		CHECK_EQ_I64(publisher_wait_ms(here.publisher, 1000), 1000);
	}
	CHECK_EQ_U64(open_descriptors(), descriptors);
	CHECK(fake_source_find(&here.fake, shared->places[0])->table);
	CHECK_EQ_U64(here.fake.set_count, 1);
	printf("# first %.2f ms, again %.2f ms\n", (double)first_ns / 1e6,
	       (double)again_ns / 1e6 / LOOKS);
	end();
}

/* As LLD writes files: the bytes of a segment begin within a page, whose beginning is another's. */
static void write_lld_file(const char *path)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segments[2];
	} image = {0};
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	memcpy(image.header.e_ident, ELFMAG, SELFMAG);
	image.header.e_ident[EI_CLASS] = ELFCLASS64;
	image.header.e_ident[EI_DATA] = ELFDATA2LSB;
	image.header.e_ident[EI_VERSION] = EV_CURRENT;
	image.header.e_type = ET_DYN;
	image.header.e_machine = EM_X86_64;
	image.header.e_version = EV_CURRENT;
	image.header.e_phoff = sizeof(image.header);
	image.header.e_ehsize = sizeof(image.header);
	image.header.e_phentsize = sizeof(Elf64_Phdr);
	image.header.e_phnum = 2;
	image.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
					 .p_flags = PF_R,
					 .p_filesz = 0x1f00,
					 .p_memsz = 0x1f00,
					 .p_align = PAGE};
	image.segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
					 .p_flags = PF_R | PF_X,
					 .p_offset = 0x1f00,
					 .p_vaddr = 0x2f00,
					 .p_filesz = 0x80,
					 .p_memsz = 0x80,
					 .p_align = PAGE};
	CHECK(fd >= 0 && write(fd, &image, sizeof(image)) == sizeof(image));
	CHECK(ftruncate(fd, 0x2000) == 0);
	close(fd);
}

TEST(a_mapping_belongs_to_the_segment_that_begins_in_it)
{
	const struct source_code *code;

	start();
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s/lld.so", kit_folder());
	write_lld_file(shared->paths[0]);
	shared->count = 1;
	order('m');
	publisher_start(here.publisher);
	code = fake_source_find(&here.fake, shared->places[0]);
	CHECK(code);
	/* vaddr 0x2f00 is file offset 0x1f00, at 0xf00 of the mapping. */
	CHECK_EQ_U64(shared->places[0] + 0xf00 - code->bias, 0x2f00);
	end();
}

static void drop(void *context, struct delta *delta)
{
	delta_release(delta);
}

/* Events that are younger than the pump's hold-back, and held for that. */
TEST(the_pump_publishes_before_it_holds_events_back)
{
	struct pump_config config = {
		.frames_max = 127, .copy_bytes = 16384, .interval_ns = NS_PER_S, .deliver = drop};
	struct event event;
	struct pump *pump;

	start();
	config.source = &here.fake.source;
	config.target = here.target;
	pump = pump_new(&config);
	pump_prepare(pump);
	CHECK_EQ_U64(here.fake.set_count, 1);
	pump_begin(pump, clock_now_ns());
	poll(NULL, 0, 100);
	pump_round(pump, -1);
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s", LIBRARY);
	shared->count = 1;
	order('m');
	poll(NULL, 0, 100);
	event = mapped_event();
	event.time_ns = clock_now_ns() + NS_PER_S;
	here.fake.events = &event;
	here.fake.event_count = here.fake.per_drain = 1;
	pump_round(pump, -1);
	CHECK(has_rule(fake_source_find(&here.fake, shared->places[0]), shared->places[0] + PAGE));
	pump_finish(pump);
	pump_free(pump);
	end();
}

/* A record may have been lost; a sample that meets the code leads to it. */
TEST(code_that_no_event_told_of_is_published_when_a_sample_meets_it)
{
	struct pump_config config = {
		.frames_max = 127, .copy_bytes = 16384, .interval_ns = NS_PER_S, .deliver = drop};
	struct event event = {.type = EVENT_SAMPLE};
	struct pump *pump;
	uint64_t pc;

	start();
	config.source = &here.fake.source;
	config.target = here.target;
	pump = pump_new(&config);
	pump_prepare(pump);
	pump_begin(pump, clock_now_ns());
	snprintf(shared->paths[0], sizeof(shared->paths[0]), "%s", LIBRARY);
	shared->count = 1;
	poll(NULL, 0, 100);
	pump_round(pump, -1);
	order('m');
	pc = shared->places[0] + PAGE;
	event.pid = event.tid = (uint32_t)here.child.pid;
	event.time_ns = clock_now_ns();
	event.sample.pcs = &pc;
	event.sample.pc_count = 1;
	event.sample.value = 1;
	here.fake.events = &event;
	here.fake.event_count = here.fake.per_drain = 1;
	poll(NULL, 0, 100);
	pump_round(pump, -1);
	CHECK(!fake_source_find(&here.fake, pc));
	pump_round(pump, -1);
	CHECK(has_rule(fake_source_find(&here.fake, pc), pc));
	pump_finish(pump);
	CHECK_EQ_U64(pump_losses(pump)->count[LOSS_ADDRESS_UNKNOWN], 0);
	pump_free(pump);
	end();
}

/* What was built before is in the first list. */
static void check_prebuilt(struct fake_source *fake)
{
	CHECK(has_rule(fake_source_find(fake, (uint64_t)qsort), (uint64_t)qsort));
	CHECK(has_rule(fake_source_find(fake, (uint64_t)obey), (uint64_t)obey));
}

/* A child that has not exec'ed is rsprof still: what it maps is not the target's. */
TEST(a_command_is_published_once_it_has_execed)
{
	struct pump_config config = {.maps_come_by_exec = true,
				     .frames_max = 127,
				     .copy_bytes = 16384,
				     .interval_ns = NS_PER_S,
				     .deliver = drop};
	struct event event = {.type = EVENT_COMM};
	struct pump *pump;

	start();
	config.source = &here.fake.source;
	config.target = here.target;
	pump = pump_new(&config);
	pump_prepare(pump);
	pump_begin(pump, clock_now_ns());
	pump_round(pump, -1);
	CHECK_EQ_U64(here.fake.set_count, 0);
	event.comm.comm = "name";
	event.comm.is_exec = true;
	event.time_ns = clock_now_ns();
	here.fake.events = &event;
	here.fake.event_count = here.fake.per_drain = 1;
	here.fake.on_set = check_prebuilt;
	pump_round(pump, -1);
	CHECK(here.fake.set_count >= 1);
	pump_finish(pump);
	pump_free(pump);
	end();
}

KIT_MAIN
