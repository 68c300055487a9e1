// rust SECONDS: nearly all of its time on one line of a helper that is always inlined, reached through a
// trait object and through a closure.
use std::hint::black_box;
use std::time::{Duration, Instant};

#[inline(always)]
fn mix(seed: u64, rounds: u64) -> u64 {
    let mut value = seed;
    // On one line: which instruction of a loop a timer finds depends on the machine.
    for _ in 0..rounds { value = black_box(value ^ (value >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9); } // HOT
    value
}

trait Work {
    fn turn(&mut self) -> u64;
}

struct Spinner {
    value: u64,
}

impl Work for Spinner {
    #[inline(never)]
    fn turn(&mut self) -> u64 {
        self.value = mix(self.value, 40_000);
        self.value
    }
}

#[inline(never)]
fn apply<F: FnMut(u64) -> u64>(mut work: F, value: u64) -> u64 {
    work(value)
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(5.0);
    let begin = Instant::now();
    let mut worker: Box<dyn Work> = black_box(Box::new(Spinner { value: 1 }));
    let mut turns = 0u64;
    let mut sum = 0u64;

    while begin.elapsed() < Duration::from_secs_f64(seconds) {
        sum ^= worker.turn();
        sum ^= apply(
            #[inline(never)]
            |value| mix(value, 20_000),
            sum,
        );
        turns += 1;
    }
    println!("turns {}\nsum {}", turns, black_box(sum));
}
