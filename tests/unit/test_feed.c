/* A feed of each kind of file: saved, written by another process, recorded by this one, cut off. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "reader/feed.h"
#include "reader/target/elf_image.h"
#include "reader/util/clock.h"
#include "tests/unit/store_heap.h"

enum { PATIENCE_S = 60 };

static struct model_request everything(void)
{
	return (struct model_request){.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX};
}

static struct feed *open_feed(const char *path)
{
	struct feed_options options = {.path = path, .request = everything()};
	struct feed *feed;
	struct err err = {0};

	if (feed_open(&options, &feed, &err) < 0)
		FAIL("feed_open: %s", err.sentence);
	return feed;
}

/* Waits until the feed has news, or a while. */
static void wait_for_news(struct feed *feed)
{
	struct pollfd fd = {.fd = feed->ops->wake_fd(feed), .events = POLLIN};

	poll(&fd, 1, 100);
}

/* A model that is whole: the chart too, and all questions answered. */
static struct model *wait_model(struct feed *feed, uint64_t checkpoints)
{
	uint64_t until = clock_now_ns() + PATIENCE_S * NS_PER_S;

	while (clock_now_ns() < until) {
		struct feed_state state;
		struct model *model;

		wait_for_news(feed);
		feed->ops->read_state(feed, &state);
		model = feed->ops->take(feed);
		if (model && !state.is_busy && model->chart &&
		    model->snapshot->checkpoint_count == checkpoints)
			return model;
		model_release(model);
	}
	FAIL("no model of %d checkpoints came", (int)checkpoints);
}

static struct feed_state wait_state(struct feed *feed, enum feed_state_kind kind)
{
	uint64_t until = clock_now_ns() + PATIENCE_S * NS_PER_S;
	struct feed_state state = {0};

	while (clock_now_ns() < until) {
		feed->ops->read_state(feed, &state);
		if (state.kind == kind && !state.is_busy)
			return state;
		model_release(feed->ops->take(feed));
		wait_for_news(feed);
	}
	FAIL("the state is %d, not %d: %s", state.kind, kind, state.message);
}

static void save_small(const char *path)
{
	struct maker maker;

	maker_small(&maker, path);
	maker_finish(&maker, 3100);
	maker_done(&maker);
}

TEST(a_saved_file_is_shown_whole)
{
	const char *path = test_path("p.db");
	struct feed_state state;
	struct model *model;
	struct feed *feed;

	save_small(path);
	feed = open_feed(path);
	model = wait_model(feed, 3);
	CHECK(model->cpu && !model->wait);
	CHECK_EQ_U64(model->cpu->total_samples, 19);
	CHECK_EQ_U64(model->chart->bucket_count, 3);
	CHECK_EQ_U64(model->tail->bucket_count, 3);
	state = wait_state(feed, FEED_SAVED);
	CHECK_EQ_U64(state.samples, 19);
	CHECK_EQ_U64(state.elapsed_ns, 3100 * MS);
	CHECK_EQ_U64(state.lost, 3);
	CHECK_EQ_U64(state.judged, 19);
	CHECK_EQ_U64(state.rss_bytes, 1003000);
	CHECK(!state.is_heap_live);
	CHECK_EQ_STR(state.message, "");
	model_release(model);
	feed_close(feed);
}

TEST(questions_are_answered)
{
	const char *path = test_path("p.db");
	struct model_request request = everything();
	struct model *model, *other;
	struct feed_state state;
	struct feed *feed;

	save_small(path);
	feed = open_feed(path);
	model = wait_model(feed, 3);
	request.from_ns = 1000 * MS;
	request.to_ns = 2000 * MS;
	feed->ops->ask(feed, &request);
	feed->ops->read_state(feed, &state);
	other = wait_model(feed, 1);
	CHECK(other->serial > model->serial);
	CHECK_EQ_U64(other->cpu->total_samples, 7);
	CHECK_EQ_U64(other->request.from_ns, 1000 * MS);
	CHECK_EQ_U64(other->chart->bucket_count, 3);
	/* What was shown is still as it was. */
	CHECK_EQ_U64(model->cpu->total_samples, 19);
	model_release(model);

	/* The chart alone: the tables are the same ones. */
	request.chart_last_ns = 1500 * MS;
	feed->ops->ask(feed, &request);
	model = wait_model(feed, 1);
	while (model->request.chart_last_ns != 1500 * MS) {
		model_release(model);
		model = wait_model(feed, 1);
	}
	CHECK(model->cpu == other->cpu);
	CHECK_EQ_U64(model->chart->bucket_count, 2);
	model_release(other);

	/* What is not there is refused in words, and what was shown stays. */
	strcpy(request.thread, "nobody");
	feed->ops->ask(feed, &request);
	state = wait_state(feed, FEED_SAVED);
	CHECK(strstr(state.message, "no thread \"nobody\""));
	other = feed->ops->take(feed);
	CHECK(other == model);
	model_release(other);
	strcpy(request.thread, "io");
	feed->ops->ask(feed, &request);
	state = wait_state(feed, FEED_SAVED);
	CHECK_EQ_STR(state.message, "");
	other = wait_model(feed, 1);
	CHECK_EQ_STR(other->request.thread, "io");
	model_release(model);
	model_release(other);
	feed_close(feed);
}

TEST(the_last_of_many_questions_is_answered)
{
	const char *path = test_path("p.db");
	struct model_request request = everything();
	struct model *model;
	struct maker maker;
	struct feed *feed;

	maker_create(&maker, path);
	make_stacks(&maker);
	record_random(&maker, 4000);
	maker_finish(&maker, 4000 * SECOND_MS);
	maker_done(&maker);
	feed = open_feed(path);
	for (uint64_t i = 1; i <= 200; i++) {
		request.from_ns = i * 1000 * MS;
		feed->ops->ask(feed, &request);
		if (i % 50 == 0)
			wait_for_news(feed);
	}
	model = wait_model(feed, 3800);
	CHECK_EQ_U64(model->request.from_ns, 200 * 1000 * MS);
	CHECK(model->heap && model->tables[MODEL_HEAP].is_there);
	CHECK_EQ_U64(model->chart->buckets[model->chart->bucket_count - 1].heap_live_bytes,
		     model->heap->live_bytes);
	model_release(model);
	feed_close(feed);
	/* Closed in the middle of its work. */
	feed = open_feed(path);
	feed_close(feed);
}

/* Another process, that does a step a byte: 'c' a checkpoint, 'f' the end. */
struct writer {
	pid_t pid;
	int orders[2], answers[2];
};

static void write_as_told(const char *path, int orders, int answers)
{
	struct maker maker;
	stack_id stack;
	thread_id thread;
	char order;

	maker_create(&maker, path);
	thread = maker_thread(&maker, 4711, "burn");
	stack = maker_stack(&maker, maker_module(&maker, "/usr/bin/burn", 0xab), STACK_COMPLETE, 1,
			    (const uint64_t[]){0x1000});
	while (read(orders, &order, 1) == 1) {
		if (order == 'f') {
			maker_finish(&maker, maker.checkpoint * SECOND_MS);
		} else {
			maker_row(&maker, 0, thread, stack, 10, 0, 10);
			maker_commit(&maker, (maker.checkpoint + 1) * SECOND_MS);
		}
		if (write(answers, &order, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static void tell(struct writer *writer, char order)
{
	char answer;

	CHECK(write(writer->orders[1], &order, 1) == 1);
	CHECK(read(writer->answers[0], &answer, 1) == 1);
}

static void start_writer(struct writer *writer, const char *path)
{
	CHECK(pipe(writer->orders) == 0 && pipe(writer->answers) == 0);
	writer->pid = fork();
	if (!writer->pid) {
		close(writer->orders[1]);
		write_as_told(path, writer->orders[0], writer->answers[1]);
	}
	close(writer->orders[0]);
	close(writer->answers[1]);
	tell(writer, 'c');
}

static void end_writer(struct writer *writer, int signal)
{
	int status;

	if (signal)
		kill(writer->pid, signal);
	close(writer->orders[1]);
	CHECK(waitpid(writer->pid, &status, 0) == writer->pid);
	CHECK_EQ_I64(status, signal);
}

TEST(a_file_that_another_process_writes_is_followed)
{
	const char *path = test_path("p.db");
	struct writer writer;
	struct feed_state state;
	struct model *model;
	struct feed *feed;

	start_writer(&writer, path);
	feed = open_feed(path);
	state = wait_state(feed, FEED_FOLLOWING);
	CHECK_EQ_U64(state.samples, 10);
	for (uint64_t i = 2; i <= 4; i++) {
		tell(&writer, 'c');
		model = wait_model(feed, i);
		CHECK_EQ_U64(model->cpu->total_samples, 10 * i);
		CHECK_EQ_U64(model->tables[MODEL_CPU].trends[0].values[MODEL_TREND - 1], 10);
		model_release(model);
	}
	tell(&writer, 'f');
	state = wait_state(feed, FEED_SAVED);
	CHECK_EQ_STR(state.message, "the recording ended; the profile is complete");
	CHECK_EQ_U64(state.samples, 40);
	end_writer(&writer, 0);
	feed_close(feed);
}

TEST(a_file_whose_writer_was_killed_is_not_followed_for_ever)
{
	const char *path = test_path("p.db");
	struct writer writer;
	struct feed_state state;
	struct model *model;
	struct feed *feed;

	start_writer(&writer, path);
	feed = open_feed(path);
	wait_state(feed, FEED_FOLLOWING);
	tell(&writer, 'c');
	end_writer(&writer, SIGKILL);
	state = wait_state(feed, FEED_SAVED);
	CHECK_EQ_STR(state.message, "the recording was cut off; what was committed is shown");
	model = wait_model(feed, 2);
	CHECK_EQ_U64(model->cpu->total_samples, 20);
	/* Looked for, not found: there is no such file. */
	CHECK_EQ_U64(model->snapshot->unresolved_count, 1);
	model_release(model);
	feed_close(feed);
	/* Nobody holds it, and it never grows. */
	feed = open_feed(path);
	state = wait_state(feed, FEED_SAVED);
	CHECK_EQ_STR(state.message, "the recording was cut off; what was committed is shown");
	feed_close(feed);
}

/* Of this very program, with a build-id that can be compared. */
static module_id own_module(struct maker *maker, char path[4096])
{
	struct module_facts facts = {.kind = MODULE_FILE, .path = path, .inode = 1, .fd = -1};
	ssize_t length = readlink("/proc/self/exe", path, 4095);
	struct elf_image image;
	bool is_new;
	int fd;

	CHECK(length > 0);
	path[length] = '\0';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && elf_image_read(fd, &image) == 0);
	close(fd);
	if (!image.build_id_size)
		SKIP("the linker makes no build-ids");
	memcpy(facts.build_id, image.build_id, sizeof(facts.build_id));
	facts.build_id_size = image.build_id_size;
	return module_table_intern(maker->modules, &facts, &is_new)->id;
}

__attribute__((noinline)) int named_late(int number);

int named_late(int number)
{
	return number * 7 + 1;
}

TEST(frames_that_were_not_named_are_named_late)
{
	const char *path = test_path("p.db");
	struct model_request request = everything();
	uint64_t until = clock_now_ns() + PATIENCE_S * NS_PER_S;
	struct model *model;
	struct maker maker;
	struct feed *feed;
	Dl_info self;
	stack_id stack;
	char exe[4096];

	maker_create(&maker, path);
	CHECK(dladdr((void *)named_late, &self));
	stack = maker_stack(&maker, own_module(&maker, exe), STACK_COMPLETE, 1,
			    (const uint64_t[]){(uint64_t)named_late - (uint64_t)self.dli_fbase});
	maker_row(&maker, 0, maker_thread(&maker, 4711, "burn"), stack, 10, 0, 10);
	maker_commit(&maker, 1000);
	maker_row(&maker, 0, (thread_id){1}, stack, 5, 0, 5);
	maker_commit(&maker, 2000);
	store_abandon(maker.store, false);
	maker_done(&maker);
	feed = open_feed(path);
	model = wait_model(feed, 2);
	while (model->snapshot->unresolved_count && clock_now_ns() < until) {
		model_release(model);
		model = wait_model(feed, 2);
	}
	CHECK_EQ_STR(model->cpu->rows[0].function, "named_late");
	CHECK(strstr(model->cpu->rows[0].file, "test_feed.c"));
	model_release(model);
	/* A range of it has the same names. */
	request.to_ns = 1000 * MS;
	feed->ops->ask(feed, &request);
	model = wait_model(feed, 1);
	CHECK_EQ_STR(model->cpu->rows[0].function, "named_late");
	CHECK_EQ_U64(model->cpu->rows[0].self, 10);
	model_release(model);
	feed_close(feed);
}

static bool progress(void *context, struct feed_state *state)
{
	state->samples = ++*(uint64_t *)context;
	return true;
}

TEST(a_recording_of_this_process_is_shown_and_ended)
{
	const char *path = test_path("p.db");
	struct feed_options options = {
		.path = path, .request = everything(), .is_recording = true, .progress = progress};
	uint64_t calls = 1000;
	char wal[4200];
	struct feed_state state;
	struct model *model;
	struct maker maker;
	struct feed *feed;

	options.context = &calls;
	maker_small(&maker, path);
	CHECK(feed_open(&options, &feed, NULL) == 0);
	model = wait_model(feed, 3);
	model_release(model);
	state = wait_state(feed, FEED_RECORDING);
	CHECK(state.samples > 1000);
	maker_row(&maker, 0, (thread_id){1}, (stack_id){1}, 5, 0, 5);
	maker_commit(&maker, 4000);
	model_release(wait_model(feed, 4));
	maker_row(&maker, 0, (thread_id){1}, (stack_id){1}, 5, 0, 5);
	maker_commit(&maker, 5000);
	feed_let_go(feed);
	maker_finish(&maker, 5100);
	maker_done(&maker);
	/* Ended as if nobody had looked. */
	snprintf(wal, sizeof(wal), "%s-wal", path);
	CHECK(access(wal, F_OK) < 0);
	calls = 0;
	feed_set_ended(feed, "burn exited with 0 after 5s; the profile is saved");
	state = wait_state(feed, FEED_ENDED);
	CHECK_EQ_U64(calls, 0);
	CHECK_EQ_U64(state.samples, 29);
	CHECK_EQ_STR(state.message, "burn exited with 0 after 5s; the profile is saved");
	model = wait_model(feed, 5);
	CHECK(model->snapshot->recordings[0].is_finished);
	model_release(model);
	feed_close(feed);
}

TEST(what_cannot_be_read_is_told)
{
	const char *path = test_path("p.db");
	struct feed_options options = {.path = "/nowhere/p.db", .request = everything()};
	struct feed_state state;
	struct feed *feed;
	struct err err = {0};
	sqlite3 *db;

	CHECK(feed_open(&options, &feed, &err) < 0);
	CHECK(strstr(err.sentence, "/nowhere/p.db cannot be read"));
	save_small(path);
	CHECK(sqlite3_open(path, &db) == SQLITE_OK);
	CHECK(sqlite3_exec(db, "UPDATE nodes SET frame_id = 99", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	feed = open_feed(path);
	state = wait_state(feed, FEED_FAILED);
	CHECK(strstr(state.message, "is damaged: a row refers to one that is not there"));
	CHECK(!feed->ops->take(feed));
	feed_close(feed);
}

TEST(an_empty_profile_is_shown)
{
	const char *path = test_path("p.db");
	struct maker maker;
	struct model *model;
	struct feed *feed;

	maker_create(&maker, path);
	maker_finish(&maker, 0);
	maker_done(&maker);
	feed = open_feed(path);
	model = wait_model(feed, 0);
	CHECK(!model->heap && !model->wait);
	CHECK_EQ_U64(model->chart->bucket_count, 0);
	CHECK(!model->cpu || !model->cpu->row_count);
	model_release(model);
	feed_close(feed);
}

KIT_MAIN
