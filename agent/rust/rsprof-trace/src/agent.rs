//! With the feature `profiling`: include/rsprof/rsprof.h in Rust.

use std::alloc::{GlobalAlloc, Layout, System};
use std::os::raw::{c_char, c_uint, c_void};

extern "C" {
    fn rsprof_start();
    fn rsprof_stop();
    fn rsprof_pause();
    fn rsprof_resume();
    fn rsprof_mark(text: *const c_char);
    fn rsprof_cpu(frequency: c_uint);
    fn rsprof_report_alloc(block: *const c_void, bytes: usize);
    fn rsprof_report_free(block: *const c_void);
}

/// What the agent keeps of a mark.
const MARK_BYTES_MAX: usize = 1000;

/// Puts the agent into the program; `profiler!(cpu = 199)` has it sample the CPU time of every thread as well, so
/// many times a second. Once, where items may stand.
#[macro_export]
macro_rules! profiler {
    () => {
        #[used]
        static RSPROF_ANCHOR: fn() = $crate::start;
    };
    (cpu = $frequency:expr) => {
        #[used]
        #[link_section = ".init_array"]
        static RSPROF_ANCHOR: extern "C" fn() = {
            extern "C" fn begin() {
                $crate::cpu($frequency)
            }
            begin
        };
    };
}

/// The system allocator, whose blocks the agent counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct RsprofAlloc;

unsafe impl GlobalAlloc for RsprofAlloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        System.alloc(layout)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        System.alloc_zeroed(layout)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        System.dealloc(block, layout)
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        System.realloc(block, layout, size)
    }
}

/// Counts from here on, if it does not already. Does not undo [`stop`].
pub fn start() {
    unsafe { rsprof_start() }
}

/// Ends it for the rest of the process's life; what was counted can be read until then.
pub fn stop() {
    unsafe { rsprof_stop() }
}

/// Until [`resume`], neither CPU time nor allocations are counted; but frees of blocks that were.
pub fn pause() {
    unsafe { rsprof_pause() }
}

/// After [`pause`].
pub fn resume() {
    unsafe { rsprof_resume() }
}

/// A word to the timeline, now: up to its first zero, and at most 1,000 bytes.
pub fn mark(text: &str) {
    let mut kept = [0u8; MARK_BYTES_MAX + 1];
    let length = text.len().min(MARK_BYTES_MAX);

    kept[..length].copy_from_slice(&text.as_bytes()[..length]);
    unsafe { rsprof_mark(kept.as_ptr() as *const c_char) }
}

/// CPU samples of every thread, 1 to 10,000 a second of its CPU time; 0: none.
pub fn cpu(frequency: u32) {
    unsafe { rsprof_cpu(frequency) }
}

/// A block of an allocator of the program's own has been handed out; rsprof.h says which may be.
#[inline]
pub fn report_alloc(block: *const u8, bytes: usize) {
    unsafe { rsprof_report_alloc(block as *const c_void, bytes) }
}

/// It is about to be taken back.
#[inline]
pub fn report_free(block: *const u8) {
    unsafe { rsprof_report_free(block as *const c_void) }
}
