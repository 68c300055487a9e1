/* Demangled names: what a reader sees of Rust's two manglings, of C++ and of copies that compilers
 * make of functions. */
#include "reader/symbol/demangle.h"

#include <stdlib.h>

#include "tests/lib/kit.h"

static void check(const char *name, const char *want)
{
	char *got = demangle(name);

	CHECK_EQ_STR(got, want);
	free(got);
}

TEST(rust_legacy_without_hash)
{
	check("_ZN4prog4deep2er7generic17h1d3a6043d661e88cE", "prog::deep::er::generic");
	check("_ZN40_$LT$prog..Sq$u20$as$u20$prog..Shape$GT$4area17h9b3a6043d661e88cE",
	      "<prog::Sq as prog::Shape>::area");
	check("_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h9b3a6043d661e88cE",
	      "core::ptr::drop_in_place<alloc::string::String>");
	check("_ZN4prog4main28_$u7b$$u7b$closure$u7d$$u7d$17h9b3a6043d661e88cE",
	      "prog::main::{{closure}}");
	check("_ZN71_$LT$core..ops..range..Range$LT$Idx$GT$$u20$as$u20$core..fmt..Debug$GT$3fmt"
	      "17h1d3a6043d661e88cE",
	      "<core::ops::range::Range<Idx> as core::fmt::Debug>::fmt");
}

TEST(rust_v0_without_crate_hash)
{
	check("_RNvCs56HGsqMBDvY_4prog4work", "prog::work");
	check("_RINvNtNtCs56HGsqMBDvY_4prog4deep2er7genericTNtNtCslNYArtu3iFV_5alloc6string"
	      "6StringyEEB6_",
	      "prog::deep::er::generic::<(alloc::string::String, u64)>");
	check("_RNvXs_NtCs56HGsqMBDvY_4prog1aNtB4_1SNtB4_1T1f", "<prog::a::S as prog::a::T>::f");
	check("_RNCNvCs56HGsqMBDvY_4prog4main0", "prog::main::{closure#0}");
}

TEST(cxx_without_parameters)
{
	check("_ZN3app5ShapeILi3EE4areaERKSt6vectorIdSaIdEE", "app::Shape<3>::area");
	check("_ZNSt6vectorIiSaIiEE9push_backERKi",
	      "std::vector<int, std::allocator<int> >::push_back");
	check("_ZZN3app3runEvENKUliE_clEi", "app::run()::{lambda(int)#1}::operator()");
	check("_ZN12_GLOBAL__N_14workEi", "(anonymous namespace)::work");
	check("_Z3fooIiEvT_", "foo<int>");
	check("_ZN1A1BC2Ev", "A::B::B");
}

TEST(copies_keep_the_name_of_the_function)
{
	check("_ZN4core3fmt5write17h1d3a6043d661e88cE.llvm.1234567890", "core::fmt::write");
	check("_RNvNtCs56HGsqMBDvY_4prog4deep4work.llvm.77", "prog::deep::work");
	check("_Z3fooi.cold", "foo");
	check("foo.constprop.0", "foo");
	check("foo.isra.0.cold", "foo");
	check("foo.part.3.constprop.1", "foo");
	check("foo.lto_priv.0", "foo");
}

TEST(other_names_stay)
{
	check("main", "main");
	check("", "");
	check("foo.0", "foo.0");
	check("foo.", "foo.");
	check(".cold", ".cold");
	check(".llvm.1", ".llvm.1");
	check("a.b.llvm.c", "a.b.llvm.c");
	check("_Z", "_Z");
	check("_R", "_R");
	check("_ZN", "_ZN");
	check("_RNvCs56HGsqMBDvY_4pro", "_RNvCs56HGsqMBDvY_4pro");
	check("__libc_start_main_impl", "__libc_start_main_impl");
}

/* 250 bytes that stand for more than a megabyte: each type is a pair of the one before. */
TEST(a_name_that_unfolds_without_end_stays_mangled)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char name[600] = "_Z1fI1PI1aS1_E";

	for (int i = 1; i <= 30; i++)
		snprintf(name + strlen(name), sizeof(name) - strlen(name), "S0_IS%c_S%c_E",
			 digits[i], digits[i]);
	strcat(name, "Evv");
	check(name, name);
}

TEST(long_names_stay_mangled)
{
	size_t size = 64 * 1024 + 2;
	char *name = malloc(size);

	/* One byte more than the bound. */
	memset(name, 'a', size);
	memcpy(name, "_Z3foo.cold", 11);
	name[size - 1] = '\0';
	check(name, name);
	free(name);
}

TEST(deep_names_end)
{
	size_t depth = 30000;
	char *name = malloc(depth + 16);

	strcpy(name, "_Z1f");
	memset(name + 4, 'P', depth);
	strcpy(name + 4 + depth, "i");
	check(name, name);
	strcpy(name, "_RNvC1a");
	memset(name + 4, 'N', depth);
	check(name, name);
	free(name);
}

KIT_MAIN
