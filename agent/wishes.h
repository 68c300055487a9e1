/* Hooks of what a program may want of itself that the agent could not survive, or not the program
 * with the agent: for patch_load.c, by names that nobody else has. The public ones may lead
 * elsewhere. */
#ifndef RSPROF_AGENT_WISHES_H
#define RSPROF_AGENT_WISHES_H

#define WISH(name) void wish_##name(void) __attribute__((visibility("hidden")))
WISH(prctl);
WISH(syscall);
WISH(mlockall);
WISH(setrlimit);
WISH(setrlimit64);
WISH(prlimit);
WISH(prlimit64);
#undef WISH

/* After the definition of the public one. */
#define WISH_IS(name)                                                                              \
	__asm__(".hidden wish_" #name "\n.globl wish_" #name "\n.set wish_" #name ", " #name "\n")

#endif
