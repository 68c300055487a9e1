/* How long a feed takes: to the first rows, to the chart, to answers. terminal_bench FILE: lines of
 * "name milliseconds", and what memory it took. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/feed.h"
#include "reader/util/clock.h"

static double since_ms(uint64_t begin_ns)
{
	return (double)(clock_now_ns() - begin_ns) / 1e6;
}

static long status_kb(const char *key)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kb = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0)
			kb = atol(line + strlen(key) + 1);
	}
	if (file)
		fclose(file);
	return kb;
}

static double cpu_ms(void)
{
	return (double)clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e6;
}

/* The next model, with a chart or with the rows alone. */
static struct model *wait_model(struct feed *feed, uint64_t after, bool with_chart)
{
	for (;;) {
		struct pollfd fd = {.fd = feed->ops->wake_fd(feed), .events = POLLIN};
		struct model *model;

		if (poll(&fd, 1, 120000) <= 0) {
			fprintf(stderr, "terminal_bench: no model came\n");
			exit(1);
		}
		model = feed->ops->take(feed);
		if (model && model->serial > after && (model->chart || !with_chart))
			return model;
		model_release(model);
	}
}

static void print_memory(const char *name)
{
	printf("%s_MB %.1f\n", name, (double)status_kb("VmHWM") * 1024 / 1e6);
}

static struct model *ask(struct feed *feed, struct model *before, const char *name,
			 const struct model_request *request)
{
	uint64_t begin_ns = clock_now_ns(), serial = before->serial;
	double cpu = cpu_ms();
	struct model *model;

	model_release(before);
	feed->ops->ask(feed, request);
	model = wait_model(feed, serial, false);
	printf("%s_rows_ms %.1f\n", name, since_ms(begin_ns));
	if (!model->chart) {
		serial = model->serial;
		model_release(model);
		model = wait_model(feed, serial, true);
	}
	printf("%s_ms %.1f\n%s_cpu_ms %.1f\n", name, since_ms(begin_ns), name, cpu_ms() - cpu);
	print_memory(name);
	return model;
}

int main(int argc, char **argv)
{
	struct feed_options options = {
		.path = argc > 1 ? argv[1] : "",
		.request = {.to_ns = UINT64_MAX, .chart_to_ns = UINT64_MAX},
	};
	struct model_request request = options.request;
	uint64_t begin_ns = clock_now_ns(), day;
	struct err err = {0};
	struct model *model;
	struct feed *feed;

	if (feed_open(&options, &feed, &err) < 0) {
		fprintf(stderr, "terminal_bench: %s\n", err.sentence);
		return 1;
	}
	model = wait_model(feed, 0, false);
	printf("open_rows_ms %.1f\nopen_rows_cpu_ms %.1f\n", since_ms(begin_ns), cpu_ms());
	print_memory("open_rows");
	printf("rows %zu\nlocations %zu\ncheckpoints %llu\n",
	       model->cpu ? model->cpu->row_count : 0, model->snapshot->location_count,
	       (unsigned long long)model->snapshot->checkpoint_count);
	if (!model->chart) {
		model_release(model);
		model = wait_model(feed, 1, true);
	}
	printf("open_chart_ms %.1f\nopen_chart_cpu_ms %.1f\nchart_rows %zu\n", since_ms(begin_ns),
	       cpu_ms(), model->chart->row_count);
	print_memory("open_chart");
	day = model->snapshot->duration_ns;

	request.chart_last_ns = 60 * NS_PER_S;
	model = ask(feed, model, "minute_chart", &request);
	request.from_ns = day / 2;
	request.to_ns = day / 2 + 600 * NS_PER_S;
	model = ask(feed, model, "ten_minutes", &request);
	request.from_ns = day / 4;
	request.to_ns = day / 4 * 3;
	model = ask(feed, model, "half", &request);
	request.from_ns = 0;
	request.to_ns = UINT64_MAX;
	snprintf(request.thread, sizeof(request.thread), "w7");
	model = ask(feed, model, "thread", &request);
	request.thread[0] = '\0';
	request.by_thread = true;
	model = ask(feed, model, "by_thread", &request);
	model_release(model);
	feed_close(feed);
	return 0;
}
