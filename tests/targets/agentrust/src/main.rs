//! agentrust: allocates by Rust's allocator and reports blocks of its own; prints what it did, then lingers until
//! its input has a line.

use std::time::{Duration, Instant};

#[cfg(not(feature = "bare"))]
rsprof_trace::profiler!(cpu = 199);

#[cfg(not(feature = "bare"))]
#[global_allocator]
static ALLOCATOR: rsprof_trace::RsprofAlloc = rsprof_trace::RsprofAlloc;
#[cfg(feature = "bare")]
#[global_allocator]
static ALLOCATOR: std::alloc::System = std::alloc::System;

const BOXES: usize = 1000;
const BOX_BYTES: usize = 12345;
const POOL_BLOCKS: usize = 10;
const POOL_BLOCK_BYTES: usize = 54320;

#[cfg(not(feature = "bare"))]
#[repr(align(16))]
struct Pool([u8; POOL_BLOCKS * 16]);
#[cfg(not(feature = "bare"))]
static POOL: Pool = Pool([0; POOL_BLOCKS * 16]);

#[inline(never)]
fn boxes() -> Vec<Box<[u8; BOX_BYTES]>> {
    (0..BOXES).map(|_| Box::new([1; BOX_BYTES])).collect()
}

#[cfg(not(feature = "bare"))]
#[inline(never)]
fn pool() {
    for i in 0..POOL_BLOCKS {
        rsprof_trace::report_alloc(&POOL.0[i * 16], POOL_BLOCK_BYTES);
    }
    rsprof_trace::report_free(&POOL.0[0]);
    rsprof_trace::mark("pool");
}

#[cfg(feature = "bare")]
fn pool() {}

#[inline(never)]
fn work(time: Duration) -> u64 {
    let end = Instant::now() + time;
    let mut value = 1u64;

    while Instant::now() < end {
        for _ in 0..100_000 {
            value = std::hint::black_box(value.wrapping_mul(6364136223846793005).wrapping_add(1));
        }
    }
    value
}

fn main() {
    let kept = boxes();
    let mut rest = String::new();

    pool();
    let thread = std::thread::spawn(|| work(Duration::from_millis(500)));
    let value = thread.join().unwrap();
    println!("boxes {}\nbox_bytes {}\npool {}\npool_bytes {}", BOXES, BOX_BYTES, POOL_BLOCKS, POOL_BLOCK_BYTES);
    println!("done {}", value & 1);
    std::io::stdin().read_line(&mut rest).unwrap();
    drop(kept);
}
