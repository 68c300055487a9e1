#include "reader/cmd_doctor_unwind.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "reader/record/truth_run.h"
#include "reader/source/bpf_check.h"
#include "reader/util/clock.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/view/view.h"

enum { EXAMPLES_SHOWN = 5, FREQUENCY_DEFAULT = 999 };

#define DURATION_DEFAULT_NS (5 * NS_PER_S)

/* What a person should see first. */
static const enum truth_kind by_weight[] = {TRUTH_DIFFERENT, TRUTH_LIBDW_LONGER, TRUTH_OURS_LONGER};

/* ---- text */

static void print_kind(const struct truth *truth, enum truth_kind kind, const char *name,
		       const char *remark)
{
	char count[FMT_MAX];

	printf("  %-13s %7.2f %%  %7s%s%s\n", name, truth_share(truth->kinds[kind], truth->samples),
	       fmt_count(count, truth->kinds[kind]), truth->kinds[kind] ? remark : "", "");
}

static const char *or_end(const char *name)
{
	return *name ? name : "the end";
}

static void print_example(const struct truth_example *example)
{
	printf("  thread %" PRIu32 ": frame %" PRIu32 " of ours is %s (%" PRIu32 " frames), of "
	       "libdw's %s (%" PRIu32 " frames)%s%s\n",
	       example->tid, example->index, or_end(example->our_frame), example->our_count,
	       or_end(example->libdw_frame), example->libdw_count,
	       *example->last_common ? ", after " : "", example->last_common);
}

static void print_examples(const struct truth *truth)
{
	uint32_t left = EXAMPLES_SHOWN;

	for (size_t i = 0; i < sizeof(by_weight) / sizeof(*by_weight); i++) {
		enum truth_kind kind = by_weight[i];

		for (uint32_t j = 0; j < truth->example_counts[kind] && left; j++, left--)
			print_example(&truth->examples[kind][j]);
	}
}

static void print_left_out(const struct truth_run *run)
{
	char count[FMT_MAX];

	if (run->unmatched)
		printf("  %s walks of one have no walk of the other, and are not compared\n",
		       fmt_count(count, run->unmatched));
	if (run->sent_back)
		printf("  %s stacks were sent back by BPF, and walked by rsprof from a copy\n",
		       fmt_count(count, run->sent_back));
	if (run->unwalkable)
		printf("  %s samples had no user registers, and no stack to walk\n",
		       fmt_count(count, run->unwalkable));
	if (run->modules_refused)
		printf("  libdw cannot use %s of the mapped files, and stops in their code\n",
		       fmt_count(count, run->modules_refused));
	view_print_losses(stdout, &run->losses);
}

static void print_text(const struct truth_config *config, const struct truth_run *run)
{
	const struct target *target = config->target;
	const struct truth *truth = &run->truth;
	OWN(str_done) struct str name = {0};
	char count[FMT_MAX];

	str_add_scrubbed(&name, target->comm);
	printf("unwinding %s (%d): %s samples in %.1fs at %" PRIu32 " Hz, walked by %s and by "
	       "libdw\n",
	       str_text(&name), target->pid, fmt_count(count, truth->samples),
	       (double)run->elapsed_ns / (double)NS_PER_S, config->frequency,
	       config->of_bpf ? "BPF" : "perf copies");
	if (truth->samples) {
		print_kind(truth, TRUTH_IDENTICAL, "identical", "");
		print_kind(truth, TRUTH_OURS_LONGER, "ours longer", "   (libdw stopped early)");
		print_kind(truth, TRUTH_LIBDW_LONGER, "libdw longer", "   (ours stopped early)");
		print_kind(truth, TRUTH_DIFFERENT, "different", "");
		printf("  complete: ours %.1f %%, libdw %.1f %%\n",
		       truth_share(truth->our_complete, truth->samples),
		       truth_share(truth->libdw_complete, truth->samples));
	} else {
		printf("  Nothing to compare: no sample was taken; the process hardly ran, or in "
		       "short-lived threads.\n");
	}
	print_left_out(run);
	print_examples(truth);
}

/* ---- JSON */

static void print_json_share(const char *key, uint64_t count, uint64_t all)
{
	if (all)
		printf(",\"%s\":%.4f", key, truth_share(count, all));
	else
		printf(",\"%s\":null", key);
}

static void print_json_examples(const struct truth *truth)
{
	const char *separator = "";

	printf(",\"examples\":[");
	for (size_t i = 0; i < sizeof(by_weight) / sizeof(*by_weight); i++) {
		enum truth_kind kind = by_weight[i];

		for (uint32_t j = 0; j < truth->example_counts[kind]; j++) {
			const struct truth_example *example = &truth->examples[kind][j];

			printf("%s{\"kind\":\"%s\",\"tid\":%" PRIu32 ",\"frame\":%" PRIu32
			       ",\"our_frames\":%" PRIu32 ",\"libdw_frames\":%" PRIu32
			       ",\"last_common\":",
			       separator, truth_kind_names[kind], example->tid, example->index,
			       example->our_count, example->libdw_count);
			json_print_string(stdout, example->last_common);
			printf(",\"ours\":");
			json_print_string(stdout, example->our_frame);
			printf(",\"libdw\":");
			json_print_string(stdout, example->libdw_frame);
			printf("}");
			separator = ",";
		}
	}
	printf("]");
}

static void print_json(const struct truth_config *config, const struct truth_run *run)
{
	const struct target *target = config->target;
	const struct truth *truth = &run->truth;
	const char *separator = "";

	printf("{\"pid\":%d,\"process_name\":", target->pid);
	json_print_string(stdout, target->comm);
	printf(",\"source\":\"%s\",\"cpu_freq_hz\":%" PRIu32 ",\"duration_ms\":%" PRIu64
	       ",\"samples\":%" PRIu64,
	       config->of_bpf ? "bpf" : "perf", config->frequency, run->elapsed_ns / NS_PER_MS,
	       truth->samples);
	for (int kind = 0; kind < TRUTH_KINDS; kind++)
		printf(",\"%s\":%" PRIu64, truth_kind_names[kind], truth->kinds[kind]);
	print_json_share("ours_complete_pct", truth->our_complete, truth->samples);
	print_json_share("libdw_complete_pct", truth->libdw_complete, truth->samples);
	printf(",\"unmatched\":%" PRIu64 ",\"sent_back\":%" PRIu64 ",\"unwalkable\":%" PRIu64
	       ",\"modules_refused\":%" PRIu64 ",\"losses\":{",
	       run->unmatched, run->sent_back, run->unwalkable, run->modules_refused);
	for (int cause = 0; cause < LOSS_CAUSES; cause++) {
		if (!run->losses.count[cause])
			continue;
		printf("%s\"%s\":%" PRIu64, separator, loss_texts[cause].name,
		       run->losses.count[cause]);
		separator = ",";
	}
	printf("}");
	print_json_examples(truth);
	printf("}\n");
}

static void done_run(struct truth_run *run)
{
	truth_run_done(run);
}

static void done_target(struct target **target)
{
	target_free(*target);
}

/* What a recording would take, where nothing else was asked for. */
static bool takes_bpf(const struct doctor_unwind_options *options, const struct target *target)
{
	struct err ignored;

	if (options->source && strcmp(options->source, "auto") != 0)
		return strcmp(options->source, "bpf") == 0;
	return bpf_check(target, &ignored) == 0;
}

int doctor_unwind(uint64_t pid, const struct doctor_unwind_options *options, bool as_json,
		  struct err *err)
{
	OWN(done_run) struct truth_run run = {0};
	OWN(done_target) struct target *target = NULL;
	struct truth_config config = {
		.frequency = options->cpu_freq ? (uint32_t)options->cpu_freq : FREQUENCY_DEFAULT,
		.duration_ns = options->duration_ns ? options->duration_ns : DURATION_DEFAULT_NS,
	};
	int ret;

	if (!pid) {
		err_set(err, ERR_USAGE, -EINVAL, "--unwind needs a process to walk the stacks of.");
		err_remedy(err, "Type: rsprof doctor --unwind -p PID");
		return -EINVAL;
	}
	ret = target_open_pid((pid_t)pid, &target, err);
	if (ret < 0)
		return ret;
	config.target = target;
	config.of_bpf = takes_bpf(options, target);
	ret = truth_run(&config, &run, err);
	if (ret < 0)
		return ret;
	if (as_json)
		print_json(&config, &run);
	else
		print_text(&config, &run);
	return 0;
}
