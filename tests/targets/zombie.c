/* zombie: has a child that ended and that it does not wait for; prints the child's PID. */
#include "tests/targets/target.h"

#include <sys/wait.h>

int main(void)
{
	siginfo_t info;
	pid_t child;

	block_signals();
	child = fork();
	if (child == 0)
		_exit(0);
	/* It has ended by now, and is left as it is. */
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	printf("zombie %d\n", (int)child);
	linger();
	return 0;
}
