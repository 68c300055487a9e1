//! Without the feature `profiling`: the same names, and no code.

pub use std::alloc::System as RsprofAlloc;

#[macro_export]
macro_rules! profiler {
    () => {};
    (cpu = $frequency:expr) => {};
}

#[inline(always)]
pub fn start() {}
#[inline(always)]
pub fn stop() {}
#[inline(always)]
pub fn pause() {}
#[inline(always)]
pub fn resume() {}
#[inline(always)]
pub fn mark(_text: &str) {}
#[inline(always)]
pub fn cpu(_frequency: u32) {}
#[inline(always)]
pub fn report_alloc(_block: *const u8, _bytes: usize) {}
#[inline(always)]
pub fn report_free(_block: *const u8) {}
