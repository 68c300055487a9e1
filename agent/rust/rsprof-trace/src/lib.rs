//! rsprof's agent in a Rust program.
//!
//! ```ignore
//! rsprof_trace::profiler!();            // or profiler!(cpu = 199), at the top of main.rs
//! ```
//!
//! ```toml
//! [dependencies]
//! rsprof-trace = { path = "…/agent/rust/rsprof-trace" }
//!
//! [features]
//! profiling = ["rsprof-trace/profiling"]
//! ```
//!
//! With the feature `profiling` the agent is linked into the program and counts from its first allocation on;
//! `rsprof -p PID` reads it at any time. It stands before `malloc`, so what Rust's system allocator hands out is
//! counted there, and so is what C libraries allocate: nothing is counted twice, with [`RsprofAlloc`] or
//! without. An allocator that does not take its blocks from `malloc` reports them by [`Reporting`].
//!
//! Without the feature, which is the default, `profiler!` is nothing, `RsprofAlloc` is the system allocator
//! itself and the functions are empty.

#[cfg(feature = "profiling")]
mod agent;
#[cfg(not(feature = "profiling"))]
mod nothing;

#[cfg(feature = "profiling")]
pub use agent::*;
#[cfg(not(feature = "profiling"))]
pub use nothing::*;

use std::alloc::{GlobalAlloc, Layout};

/// Reports the blocks of an allocator that has its own memory, such as jemalloc, with their stacks:
///
/// ```ignore
/// #[global_allocator]
/// static ALLOCATOR: rsprof_trace::Reporting<Jemalloc> = rsprof_trace::Reporting(Jemalloc);
/// ```
///
/// One that hands out what `malloc` returned is counted already, and must not be wrapped.
pub struct Reporting<A>(pub A);

unsafe impl<A: GlobalAlloc> GlobalAlloc for Reporting<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.0.alloc(layout);
        report_alloc(block, layout.size());
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = self.0.alloc_zeroed(layout);
        report_alloc(block, layout.size());
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        report_free(block);
        self.0.dealloc(block, layout)
    }

    // The old block is taken back before another thread can be given its address.
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        report_free(block);
        let moved = self.0.realloc(block, layout, size);
        if moved.is_null() {
            report_alloc(block, layout.size());
        } else {
            report_alloc(moved, size);
        }
        moved
    }
}
