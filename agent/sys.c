/* System calls without errno, and the little that is needed of the C library. x86-64. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "agent/agent.h"

long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* Where the large mappings are. */
enum { LARGE = 1 << 20, LARGE_MAX = 256, PAGE = 4096 };
static _Atomic uintptr_t large[LARGE_MAX];
static uint64_t large_bytes[LARGE_MAX];
static _Atomic uint32_t large_count;

static void note_large(uintptr_t start, uint64_t bytes)
{
	uint32_t i = atomic_fetch_add_explicit(&large_count, 1, memory_order_relaxed);

	if (i >= LARGE_MAX)
		return;
	large_bytes[i] = (bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	atomic_store_explicit(&large[i], start, memory_order_release);
}

bool sys_is_mapped(uintptr_t start, uintptr_t end)
{
	uintptr_t at;
	uint32_t i;

	for (i = 0; i < LARGE_MAX; i++) {
		at = atomic_load_explicit(&large[i], memory_order_acquire);
		if (at >= start && at < end)
			return true;
	}
	return false;
}

uint64_t sys_large_bytes(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < LARGE_MAX; i++) {
		if (atomic_load_explicit(&large[i], memory_order_acquire))
			sum += large_bytes[i];
	}
	return sum;
}

void sys_release_large(void)
{
	for (uint32_t i = 0; i < LARGE_MAX; i++) {
		uintptr_t start = atomic_load_explicit(&large[i], memory_order_acquire);

		if (!start)
			continue;
		atomic_store_explicit(&large[i], 0, memory_order_relaxed);
		sys_call(SYS_munmap, (long)start, (long)large_bytes[i], 0, 0, 0, 0);
	}
}

/* Where the program may have only so much memory, a part of it has to do. */
static bool may_map(size_t bytes)
{
	static const int resources[] = {RLIMIT_AS, RLIMIT_DATA};
	uint64_t sum = sys_large_bytes() + bytes;
	struct rlimit limit;

	for (unsigned i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		if (!sys_call(SYS_prlimit64, 0, resources[i], 0, (long)&limit, 0, 0) &&
		    limit.rlim_cur != RLIM_INFINITY && sum > limit.rlim_cur / AGENT_PART)
			return false;
	}
	return true;
}

void *sys_map(size_t bytes)
{
	long address;

	if (bytes >= LARGE && !may_map(bytes))
		return NULL;
	address = sys_call(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (address < 0 && address > -4096)
		return NULL;
	sys_call(SYS_madvise, address, (long)bytes, MADV_DONTDUMP, 0, 0, 0);
	if (bytes >= LARGE)
		note_large((uintptr_t)address, bytes);
	return (void *)address;
}

void sys_unmap(void *memory, size_t bytes)
{
	uintptr_t start = (uintptr_t)memory;

	/* Before the addresses can be somebody else's. */
	for (uint32_t i = 0; bytes >= LARGE && i < LARGE_MAX; i++) {
		uintptr_t noted = start;

		if (atomic_compare_exchange_strong(&large[i], &noted, 0))
			break;
	}
	sys_call(SYS_munmap, (long)start, (long)bytes, 0, 0, 0, 0);
}

uint32_t sys_tid(void)
{
	return (uint32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

int sys_open(const char *path, int flags)
{
	return (int)sys_call(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, 0, 0, 0);
}

long sys_read(int fd, void *to, size_t bytes)
{
	return sys_call(SYS_read, fd, (long)to, (long)bytes, 0, 0, 0);
}

int sys_close(int fd)
{
	return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

long sys_peek(uintptr_t from, void *to, size_t bytes)
{
	struct iovec local = {.iov_base = to, .iov_len = bytes};
	struct iovec remote = {.iov_base = (void *)from, .iov_len = bytes};

	return sys_call(SYS_process_vm_readv, sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0), (long)&local,
			1, (long)&remote, 1, 0);
}

uint64_t sys_monotonic_ns(void)
{
	struct timespec now;

	/* The vDSO's, which cannot fail for this clock. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
