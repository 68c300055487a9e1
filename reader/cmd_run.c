/* rsprof run -- CMD: start a command and record it from its first instruction. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reader/record_agent.h"
#include "reader/record_options.h"
#include "reader/record_screen.h"
#include "reader/record_signals.h"
#include "reader/run_output.h"
#include "reader/util/mem.h"
#include "reader/util/own.h"
#include "reader/util/str.h"
#include "reader/verb.h"

/* As env(1) and nice(1) have them. */
enum { EXIT_NOT_RUN = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NO_COMMAND = 127 };

struct child {
	pid_t pid;
	int go_fd;     /* a struct agent_order lets it exec; closed: it gives up */
	int failed_fd; /* its errno if exec fails; closed by a successful exec */
	struct agent_plan *agent;
	struct run_output *output;
};

/* Finds the command as execvp would; a new string. On failure the exit code, and *err. */
static int find_command(const char *command, char **ret_path, struct err *err)
{
	const char *search = getenv("PATH");
	bool found = false;
	struct str path = {0};

	if (!search || strchr(command, '/'))
		search = "";
	for (;;) {
		size_t length = strcspn(search, ":");
		struct stat info;

		str_clear(&path);
		if (length && !strchr(command, '/'))
			str_addf(&path, "%.*s/", (int)length, search);
		str_add(&path, command);
		if (stat(str_text(&path), &info) == 0 && !S_ISDIR(info.st_mode)) {
			found = true;
			if (access(str_text(&path), X_OK) == 0) {
				*ret_path = realpath(str_text(&path), NULL);
				if (!*ret_path)
					*ret_path = mem_strdup(str_text(&path));
				str_done(&path);
				return 0;
			}
		} else if (strchr(command, '/') && stat(str_text(&path), &info) == 0) {
			found = true;
		}
		if (!search[length])
			break;
		search += length + 1;
	}
	str_done(&path);
	if (found) {
		err_set(err, ERR_GENERAL, -EACCES, "%s cannot be executed.", command);
		return EXIT_NOT_EXECUTABLE;
	}
	err_set(err, ERR_GENERAL, -ENOENT, "There is no command \"%s\".", command);
	return EXIT_NO_COMMAND;
}

/* The child's side; never returns. */
static void wait_and_exec(const struct child *child, char **command, const sigset_t *mask)
{
	struct agent_order order;
	int failure;
	ssize_t ignored;

	if (read(child->go_fd, &order, sizeof(order)) != sizeof(order))
		_exit(EXIT_NOT_RUN);
	record_agent_enter(child->agent, &order);
	run_output_enter(child->output);
	signal(SIGQUIT, SIG_DFL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(command[0], command);
	failure = errno;
	ignored = write(child->failed_fd, &failure, sizeof(failure));
	(void)ignored;
	_exit(failure == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE);
}

static int start_child(char **command, struct agent_plan *agent, struct run_output *output,
		       const sigset_t *mask, struct child *ret_child, struct err *err)
{
	int go[2], failed[2];
	pid_t pid;

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_set(err, ERR_GENERAL, -errno, "A pipe could not be made: %s.",
			       strerror(errno));
	if (pipe2(failed, O_CLOEXEC) < 0) {
		close(go[0]);
		close(go[1]);
		return err_set(err, ERR_GENERAL, -errno, "A pipe could not be made: %s.",
			       strerror(errno));
	}
	pid = fork();
	if (pid == 0) {
		struct child self = {0, go[0], failed[1], agent, output};

		close(go[1]);
		close(failed[0]);
		wait_and_exec(&self, command, mask);
	}
	close(go[0]);
	close(failed[1]);
	*ret_child = (struct child){pid, go[1], failed[0], agent, output};
	if (pid < 0) {
		int failure = errno;

		close(go[1]);
		close(failed[0]);
		return err_set(err, ERR_GENERAL, -failure, "A process could not be made: %s.",
			       strerror(failure));
	}
	return 0;
}

/* Lets the child exec and waits until it has. */
static int release_child(void *context, struct err *err)
{
	struct child *child = context;
	int failure;
	ssize_t size;

	/* Less than a pipe takes at once. */
	if (write(child->go_fd, &child->agent->order, sizeof(child->agent->order)) !=
	    sizeof(child->agent->order))
		return err_set(err, ERR_GENERAL, -EPIPE, "The command's process is gone.");
	do
		size = read(child->failed_fd, &failure, sizeof(failure));
	while (size < 0 && errno == EINTR);
	if (size != sizeof(failure))
		return 0;
	return err_set(err, ERR_GENERAL, -failure, "The command could not be executed: %s.",
		       strerror(failure));
}

/* What the recording calls the target: not rsprof, which the child still is. */
static void describe_target(struct target *target, char *path, char **command)
{
	const char *slash = strrchr(command[0], '/');
	struct str line = {0};

	free(target->exe_path);
	target->exe_path = path;
	for (size_t i = 0; command[i]; i++) {
		str_add(&line, i ? " " : "");
		str_add_scrubbed(&line, command[i]);
	}
	free(target->command_line);
	target->command_line = line.text;
	snprintf(target->comm, sizeof(target->comm), "%s", slash ? slash + 1 : command[0]);
}

static int check_debug_info(const struct record_options *options, const char *path, struct err *err)
{
	OWN(own_close) int fd = -1;

	if (!options->require_debug_info)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_PERMISSION, -errno, "%s cannot be read: %s.", path,
			       strerror(errno));
	return record_require_debug_info(fd, path, err);
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Screens were left, and the terminal is the command's again. */
static void tell_that_it_goes_on(pid_t pid, char **command)
{
	OWN(str_done) struct str line = {0};
	siginfo_t over = {0};

	if (waitid(P_PID, (id_t)pid, &over, WEXITED | WNOHANG | WNOWAIT) < 0 || over.si_pid)
		return;
	str_add_scrubbed(&line, command[0]);
	fprintf(stderr, "rsprof: %s goes on; Ctrl-C ends it.\n", str_text(&line));
}

/* The child's exit code, or EXIT_NOT_RUN with *err where it never ran. What fails after it has
 * begun is told by *err beside the child's own code. */
static int record_child(const struct record_options *options, char **command, char *path,
			int signal_fd, const sigset_t *mask, struct err *err)
{
	OWN(agent_plan_done) struct agent_plan agent;
	struct run_output output = {.fd = -1};
	struct target *target = NULL;
	struct child child;
	struct record_run run = {
		.options = options,
		.release = release_child,
		.context = &child,
		.agent = &agent,
		.summary_to_stderr = true,
		.has_screen = record_has_screen(options),
		.signal_fd = signal_fd,
	};
	int result, status;

	record_agent_plan(path, &agent);
	if ((run.has_screen && run_output_open(&output, err) < 0) ||
	    start_child(command, &agent, &output, mask, &child, err) < 0) {
		run_output_close(&output);
		free(path);
		return EXIT_NOT_RUN;
	}
	result = target_open_pid(child.pid, &target, err);
	if (result < 0) {
		free(path);
	} else {
		describe_target(target, path, command);
		run.target = target;
		run.process_name = target->comm;
		run.child = child.pid;
		result = record(&run, err);
	}
	/* A child that was not released gives up now. */
	close(child.go_fd);
	close(child.failed_fd);
	target_free(target);
	record_signals_arm_all();
	if (result == 0 && run.has_screen)
		tell_that_it_goes_on(child.pid, command);
	status = run_output_wait(&output, child.pid);
	run_output_close(&output);
	return exit_code_of(status);
}

static int run_run(int argc, char **argv, struct err *err)
{
	struct record_options options = record_defaults;
	OWN(own_close) int signal_fd = -1;
	sigset_t old_mask;
	char *path = NULL;
	bool help;
	int operands, result;

	result = opt_parse(run_options, argc - 1, argv + 1, true, &options, &operands, &help, err);
	if (result == 0 && help) {
		verb_print_help(&verb_run);
		return 0;
	}
	if (result == 0 && !operands) {
		err_set(err, ERR_USAGE, -EINVAL, "No command was given.");
		err_remedy(err, "Type `rsprof run -- CMD ARGS`.");
		result = -EINVAL;
	}
	/* Not the usual exit codes: those are the command's. */
	if (result < 0)
		return EXIT_NOT_RUN;
	argv[1 + operands] = NULL;
	result = find_command(argv[1], &path, err);
	if (result)
		return result;
	signal_fd = record_signals_open(&old_mask);
	if (signal_fd < 0)
		err_set(err, ERR_GENERAL, signal_fd, "Signals could not be set up: %s.",
			strerror(-signal_fd));
	if (signal_fd < 0 || check_debug_info(&options, path, err) < 0) {
		free(path);
		return EXIT_NOT_RUN;
	}
	return record_child(&options, argv + 1, path, signal_fd, &old_mask, err);
}

const struct verb verb_run = {
	.name = "run",
	.operands = "-- CMD [ARGS...]",
	.summary = "start a command and record it",
	.description = "Starts the command under rsprof's agent, which counts its allocations, "
		       "records it from its first instruction, and exits with its status "
		       "(128+N for "
		       "signal N). What fails before it runs: 125, a command that cannot be "
		       "executed 126, one "
		       "that is not found 127. When the recording ends first, rsprof waits for the "
		       "command.",
	.options = run_options,
	.run = run_run,
};
