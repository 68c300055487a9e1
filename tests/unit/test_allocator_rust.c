/* Unit tests of allocator_find on Rust programs. */
#include "tests/unit/allocator_live.h"

#define RUST_MAIN                                                                                  \
	"use std::io::{Read, Write};\n"                                                            \
	"fn main() { let v: Vec<u8> = vec![1; 1000]; std::hint::black_box(&v);\n"                  \
	"  std::io::stdout().write_all(b\"r\").unwrap(); std::io::stdout().flush().unwrap();\n"    \
	"  let mut b = [0u8; 1]; let _ = std::io::stdin().read(&mut b); }\n"

#define RUST_OWN(alloc, dealloc)                                                                   \
	"use std::alloc::{GlobalAlloc, Layout};\n"                                                 \
	"use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};\n"                               \
	"struct Own; static AT: AtomicUsize = AtomicUsize::new(0);\n"                              \
	"static mut POOL: [u8; 1 << 20] = [0; 1 << 20];\n"                                         \
	"unsafe impl GlobalAlloc for Own {\n"                                                      \
	"  unsafe fn alloc(&self, l: Layout) -> *mut u8 { " alloc " }\n"                           \
	"  unsafe fn dealloc(&self, p: *mut u8, l: Layout) { " dealloc " }\n"                      \
	"}\n#[global_allocator] static OWN: Own = Own;\n" RUST_MAIN

static const char RUST_BUMP[] = RUST_OWN("let at = AT.fetch_add(l.size() + l.align(), Relaxed); "
					 "let p = std::ptr::addr_of_mut!(POOL) as usize + at; "
					 "((p + l.align() - 1) & !(l.align() - 1)) as *mut u8",
					 "let _ = (p, l);");
static const char RUST_COUNTING[] =
	RUST_OWN("AT.fetch_add(l.size(), Relaxed); std::alloc::System.alloc(l)",
		 "std::alloc::System.dealloc(p, l)");

static struct looked look_at_rust(const char *source, const char *options)
{
	OWN(str_done) struct str command = {0};

	str_addf(&command, "rustc %s -o rust rust.rs", options);
	compile("rust.rs", source, str_text(&command));
	return look_at(run("rust", NULL));
}

static void check_only_libc(const char *source, const char *options)
{
	struct looked looked = look_at_rust(source, options);

	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_layer(&looked, 0, "glibc", "libc");
	if (looked.list.missing)
		FAIL("%s: %s", options, looked.list.missing);
	done(&looked);
}

TEST(rust_over_malloc_is_counted_there)
{
	check_only_libc(RUST_MAIN, "");
	check_only_libc(RUST_MAIN, "-O");
	check_only_libc(RUST_MAIN, "-O -Clto=fat -Cpanic=abort");
	check_only_libc(RUST_COUNTING, "-O");
}

TEST(rust_with_an_allocator_of_its_own_is_said)
{
	struct looked looked = look_at_rust(RUST_BUMP, "-O");

	check_list(&looked);
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_layer(&looked, 0, "glibc", "libc");
	CHECK(looked.list.missing &&
	      strstr(looked.list.missing,
		     "Rust program seems to have a global allocator of its own"));
	done(&looked);
}

/* A program's own allocator as the compiler names it, in C; it never calls malloc. */
#define RUST_NAMES                                                                                 \
	"static char pool[4096]; static size_t at;\n"                                              \
	"#define R(name) __asm__(\"_RNvCs1a2B_7___rustc\" name)\n"                                 \
	"void *take(size_t, size_t) R(\"12___rust_alloc\");\n"                                     \
	"void *take(size_t n, size_t a) { return pool + (at += n); }\n"                            \
	"void *zero(size_t, size_t) R(\"19___rust_alloc_zeroed\");\n"                              \
	"void *zero(size_t n, size_t a) { return pool + (at += n + 1); }\n"                        \
	"void give(void *, size_t, size_t) R(\"14___rust_dealloc\");\n"                            \
	"void give(void *p, size_t n, size_t a) { at -= n; }\n"                                    \
	"void *more(void *, size_t, size_t, size_t) R(\"14___rust_realloc\");\n"                   \
	"void *more(void *p, size_t o, size_t a, size_t n) { return pool + (at += n); }\n"

static void check_rust_layer(const struct looked *looked, uint32_t layer)
{
	check_list(looked);
	check_layer(looked, layer, "Rust", "bare");
	CHECK_EQ_U64(count_of_layer(looked, layer), 4);
	check_function(looked, layer, "_RNvCs1a2B_7___rustc12___rust_alloc", ALLOCATOR_ALLOC, 0, 0);
	check_function(looked, layer, "_RNvCs1a2B_7___rustc19___rust_alloc_zeroed", ALLOCATOR_ALLOC,
		       0, 0);
	check_function(looked, layer, "_RNvCs1a2B_7___rustc14___rust_dealloc", ALLOCATOR_FREE, 0,
		       0);
	check_function(looked, layer, "_RNvCs1a2B_7___rustc14___rust_realloc", ALLOCATOR_REALLOC, 3,
		       0);
}

/* In a program without any malloc. */
TEST(rust_names_where_there_is_nothing_else)
{
	struct looked looked;

	compile("bare.c",
		"typedef unsigned long size_t;\n" RUST_NAMES
		"static long call(long n, long a, long b, long c) { long r; __asm__ volatile("
		"\"syscall\" : \"=a\"(r) : \"a\"(n), \"D\"(a), \"S\"(b), \"d\"(c) : \"rcx\", "
		"\"r11\", \"memory\"); return r; }\n"
		"void _start(void) { char c = 'r'; call(1, 1, (long)&c, 1); "
		"call(0, 0, (long)&c, 1); call(60, 0, 0, 0); }\n",
		"gcc -O1 -static -nostdlib -ffreestanding -fno-stack-protector -o bare bare.c");
	looked = look_at(run("bare", NULL));
	CHECK_EQ_U64(looked.list.layers.count, 1);
	check_rust_layer(&looked, 0);
	done(&looked);
}

/* Beside a malloc that the program does not import. */
TEST(rust_names_that_cannot_end_in_malloc)
{
	struct looked looked;

	compile("bare.c", READY RUST_NAMES "int main(void) { return wait_here(); }\n",
		"gcc -O1 -o bare bare.c");
	looked = look_at(run("bare", NULL));
	CHECK_EQ_U64(looked.list.layers.count, 2);
	check_layer(&looked, 0, "glibc", "libc");
	check_rust_layer(&looked, 1);
	CHECK(!looked.list.missing);
	done(&looked);
}

KIT_MAIN
