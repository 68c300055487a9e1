/* What the environment asks for. Read once: a program may change its own. */
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "agent/agent.h"

struct agent_config agent_config = {.shm_fd = -1};
static bool is_read;

static const char *variable(const char *name)
{
	size_t bytes = strlen(name);
	char **entry;

	for (entry = environ; *entry; entry++) {
		if (!strncmp(*entry, name, bytes) && (*entry)[bytes] == '=')
			return *entry + bytes + 1;
	}
	return NULL;
}

/* A decimal number, and k, M or G for 1024 times more each. false: it is none. */
static bool read_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	unsigned shift = 0;

	if (!text || *text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return false;
	}
	if (*text == 'k' || *text == 'K')
		shift = 10;
	else if (*text == 'M')
		shift = 20;
	else if (*text == 'G')
		shift = 30;
	if (text[shift > 0] || number > max >> shift)
		return false;
	*ret_number = number << shift;
	return true;
}

static uint8_t heap_of(const char *name)
{
	static const char *const names[] = {
		[RSPROF_SHM_HEAP_OFF] = "off",
		[RSPROF_SHM_HEAP_EXACT] = "exact",
		[RSPROF_SHM_HEAP_SAMPLED] = "sampled",
		[RSPROF_SHM_HEAP_TRACE] = "trace",
	};
	uint8_t i;

	for (i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i]))
			return i;
	}
	return RSPROF_SHM_HEAP_EXACT;
}

bool config_begin(void)
{
	const char *text;
	uint64_t number;

	if (is_read)
		return true;
	if (!environ)
		return false;
	agent_config.heap = RSPROF_SHM_HEAP_EXACT;
	agent_config.sample_bytes = 512 << 10;
	agent_config.shm_fd = -1;
	is_read = true;
	/* Nobody's wishes count who is less than the program. */
	if (getauxval(AT_SECURE))
		return true;
	text = variable("RSPROF_AGENT");
	agent_config.is_dormant = text && !strcmp(text, "dormant");
	agent_config.is_off = text && !strcmp(text, "off");
	text = variable("RSPROF_VERBOSE");
	agent_config.is_verbose = text && !strcmp(text, "1");
	agent_config.heap = heap_of(variable("RSPROF_HEAP"));
	if (read_number(variable("RSPROF_CPU_FREQ"), 10000, &number))
		agent_config.cpu_frequency = (uint32_t)number;
	if (read_number(variable("RSPROF_HEAP_SAMPLE"), UINT64_C(1) << 40, &number) && number)
		agent_config.sample_bytes = number;
	if (read_number(variable("RSPROF_SHM_FD"), 1 << 30, &number))
		agent_config.shm_fd = (int)number;
	if (read_number(variable("RSPROF_SHM_PID"), UINT32_MAX, &number))
		agent_config.shm_pid = (uint32_t)number;
	return true;
}
