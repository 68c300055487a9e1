/* A library that calls back. Built twice: the frames of one are not those of the other. */
#ifdef OTHER
#define ROOM 208
#else
#define ROOM 48
#endif

void call_back(void (*back)(void));

__attribute__((noinline)) static void inner(void (*back)(void))
{
	volatile char room[ROOM];

	room[0] = 1;
	back();
	room[1] = room[0];
}

void call_back(void (*back)(void))
{
	inner(back);
	__asm__ volatile("");
}
