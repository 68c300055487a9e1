/* rsprof -p PID | -P NAME: record a running process. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader/record_agent.h"
#include "reader/record_options.h"
#include "reader/record_screen.h"
#include "reader/record_signals.h"
#include "reader/util/fmt.h"
#include "reader/util/own.h"
#include "reader/verb.h"

static int open_target(const struct record_options *options, struct target **ret_target,
		       struct err *err)
{
	if (options->pid && options->process)
		return err_set(err, ERR_USAGE, -EINVAL, "Give either --pid or --process.");
	if (options->pid)
		return target_open_pid((pid_t)options->pid, ret_target, err);
	if (options->process)
		return target_open_name(options->process, ret_target, err);
	err_set(err, ERR_USAGE, -EINVAL, "No process was named.");
	err_remedy(err,
		   "Type `rsprof -p PID` or `rsprof -P NAME`; `rsprof run -- CMD` starts one.");
	return -EINVAL;
}

static int check_debug_info(const struct record_options *options, const struct target *target,
			    struct err *err)
{
	OWN(own_close) int fd = -1;

	if (!options->require_debug_info)
		return 0;
	fd = openat(target->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_PERMISSION, -errno,
			       "The executable of %s cannot be read: %s.", target->comm,
			       strerror(errno));
	return record_require_debug_info(fd, target->exe_path, err);
}

static int inject(const struct record_options *options, const struct target *target,
		  struct err *err)
{
	if (!target)
		return err_set(err, ERR_USAGE, -EINVAL, "A replay has no process for --inject.");
	return record_agent_inject(target, err);
}

static int attach(const struct record_options *options, int signal_fd, struct err *err)
{
	struct target *target = NULL;
	struct record_run run = {
		.options = options, .process_name = "replay", .signal_fd = signal_fd};
	int result = 0;

	if (!options->replay)
		result = open_target(options, &target, err);
	if (result == 0 && target)
		result = check_debug_info(options, target, err);
	if (result == 0 && options->inject)
		result = inject(options, target, err);
	if (result == 0) {
		run.target = target;
		if (target)
			run.process_name = target->comm;
		run.has_screen = record_has_screen(options);
		result = record(&run, err);
	}
	target_free(target);
	return result;
}

static int run_attach(int argc, char **argv, struct err *err)
{
	struct record_options options = record_defaults;
	OWN(own_close) int signal_fd = -1;
	sigset_t old_mask;
	bool help;
	int operands, result;

	result = opt_parse(attach_options, argc - 1, argv + 1, false, &options, &operands, &help,
			   err);
	if (result < 0)
		return result;
	if (help) {
		verb_print_help(&verb_attach);
		return 0;
	}
	if (operands > 1)
		return err_set(err, ERR_USAGE, -EINVAL, "One process at a time: what is \"%s\"?",
			       argv[2]);
	if (operands == 1) {
		uint64_t pid;

		if (options.pid || options.process)
			return err_set(err, ERR_USAGE, -EINVAL,
				       "The process was named twice: what is \"%s\"?", argv[1]);
		if (parse_count(argv[1], &pid) == 0 && pid <= INT32_MAX)
			options.pid = pid;
		else
			options.process = argv[1];
	}
	signal_fd = record_signals_open(&old_mask);
	if (signal_fd < 0)
		return signal_fd;
	return attach(&options, signal_fd, err);
}

const struct verb verb_attach = {
	.name = "attach",
	.operands = "PID|NAME",
	.summary = "record a running process; the same as rsprof -p PID",
	.description =
		"Samples the process until Ctrl-C, the end of the process or --duration, into one "
		"SQLite file. The process is never stopped or changed, but for one short stop with "
		"--inject. The first SIGINT, SIGTERM "
		"or "
		"SIGHUP finishes the database; a second one exits at once and leaves what was "
		"committed readable.",
	.options = attach_options,
	.operand_complete = OPT_COMPLETE_PROCESS,
	.run = run_attach,
};
