/* Paths as people read them, rule by rule. */
#include <stdlib.h>

#include "reader/symbol/path.h"
#include "reader/symbol/path_full.h"
#include "tests/lib/kit.h"

static void check(const char *path, const char *directory, const char *want)
{
	char *got = path_shorten(path, directory);

	CHECK_EQ_STR(got, want);
	free(got);
}

static void check_full(const char *path, const char *directory, const char *want)
{
	char *got = path_full(path, directory);

	CHECK_EQ_STR(got, want);
	free(got);
}

#define RUSTC_HASH "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860"
#define REGISTRY "/home/ann/.cargo/registry/src/crates.example-6f17d22bba15001f"

TEST(rust_standard_library)
{
	check(RUSTC_HASH "/library/std/src/io/mod.rs", NULL, "std/src/io/mod.rs");
	check("library/core/src/fmt/mod.rs", RUSTC_HASH, "core/src/fmt/mod.rs");
	check("/home/ann/.rustup/toolchains/stable-x86_64-unknown-linux-gnu/lib/rustlib/src/rust/"
	      "library/alloc/src/vec/mod.rs",
	      "/home/ann/app", "alloc/src/vec/mod.rs");
	check("/rust/deps/hashbrown-0.15.2/src/raw/mod.rs", NULL, "hashbrown/src/raw/mod.rs");
	check(RUSTC_HASH "/vendor/miniz_oxide-0.8.3/src/lib.rs", NULL, "miniz_oxide/src/lib.rs");
}

TEST(crates)
{
	check(REGISTRY "/serde-1.0.197/src/de/mod.rs", "/home/ann/app", "serde/src/de/mod.rs");
	check("src/de/mod.rs", REGISTRY "/serde-1.0.197", "serde/src/de/mod.rs");
	check(REGISTRY "/sha-1-0.10.1/src/lib.rs", NULL, "sha-1/src/lib.rs");
	check(REGISTRY "/rand_core-0.9.0-alpha.1/src/lib.rs", NULL, "rand_core/src/lib.rs");
	check("/usr/local/cargo/git/checkouts/tokio-377c595163f99a10/3a4aef1/tokio/src/lib.rs",
	      NULL, "tokio/tokio/src/lib.rs");
	check("/home/ann/.cargo/git/checkouts/my-name-0123456789abcdef/3a4aef1/src/lib.rs", NULL,
	      "my-name/src/lib.rs");
	check("/usr/share/cargo/registry/serde-1.0.137/src/lib.rs", NULL, "serde/src/lib.rs");
	/* A registry below a folder that looks like one. */
	check("/srv/registry/src/x/all-1.0.0/registry/src/y/one-2.0.0/src/a.rs", NULL,
	      "one/src/a.rs");
}

TEST(headers)
{
	check("/usr/include/c++/12/bits/stl_vector.h", "/home/ann/app", "c++/12/bits/stl_vector.h");
	check("/usr/lib/gcc/x86_64-linux-gnu/12/../../../../include/c++/12/map", NULL,
	      "c++/12/map");
	check("/usr/include/x86_64-linux-gnu/sys/stat.h", NULL, "x86_64-linux-gnu/sys/stat.h");
	check("/usr/lib/gcc/x86_64-linux-gnu/12/include/xmmintrin.h", NULL, "gcc/xmmintrin.h");
	check("/usr/lib/llvm-14/lib/clang/14.0.6/include/xmmintrin.h", NULL, "clang/xmmintrin.h");
}

TEST(below_the_compilation_directory)
{
	check("src/main.rs", "/home/ann/app", "src/main.rs");
	check("/home/ann/app/src/main.rs", "/home/ann/app", "src/main.rs");
	check("/home/ann/app/src/main.rs", "/home/ann/app/", "src/main.rs");
	check("./src/./a/../b.c", "/home/ann/app", "src/b.c");
	check("//home//ann/app//b.c", "/home/ann/app", "b.c");
	check("crates/core/src/lib.rs", "/home/ann/app", "crates/core/src/lib.rs");
	/* Begins with the same letters, and is another folder. */
	check("/home/ann/app2/src/main.rs", "/home/ann/app", "app2/src/main.rs");
	check("b.c", NULL, "b.c");
	check("../lib/b.c", NULL, "../lib/b.c");
	check("csu/../sysdeps/start.S", "./csu", "sysdeps/start.S");
}

TEST(elsewhere_the_last_three_components)
{
	check("/home/ann/lib/zip/inflate.c", "/home/ann/app", "lib/zip/inflate.c");
	check("../zip/inflate.c", "/home/ann/app", "ann/zip/inflate.c");
	check("/src/a.c", "/home/ann/app", "/src/a.c");
	check("/a.c", NULL, "/a.c");
	check("/../../a.c", NULL, "/a.c");
	check("/very/long/way/to/a.c", "/", "way/to/a.c");
}

/* A rule wants something behind its pattern, and whole components. */
TEST(what_only_looks_like_a_rule)
{
	check("/home/ann/usr/include", "/home/ann", "usr/include");
	check("/home/ann/myregistry/src/x/one-2.0.0/a.rs", "/home/ann",
	      "myregistry/src/x/one-2.0.0/a.rs");
	check("/home/ann/registry/src/x/unversioned/a.rs", "/home/ann",
	      "registry/src/x/unversioned/a.rs");
	check("", NULL, "");
	check("/", NULL, "/");
}

TEST(full_paths)
{
	check_full("src/main.rs", "/home/ann/app", "/home/ann/app/src/main.rs");
	check_full("../x.c", "/home/ann/app", "/home/ann/x.c");
	check_full("/a/./b//c", "/home/ann/app", "/a/b/c");
	check_full("x.c", NULL, "x.c");
	check_full("../../x.c", "a", "../x.c");
	check_full("/", NULL, "/");
}

KIT_MAIN
