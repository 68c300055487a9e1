// deep SECONDS: three threads and the main one, each 60 calls deep, in a closure and in a trait object, a third
// of SECONDS of CPU time each. Built as a release is: without frame pointers. Prints the CPU time of each part.
use std::hint::black_box;
use std::thread;

const DEPTH: u32 = 60;
const ROUNDS: u64 = 200_000;
const THREADS: usize = 3;
const THREAD_CPU: i32 = 3; // CLOCK_THREAD_CPUTIME_ID

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

fn thread_ns() -> u64 {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };

    unsafe { clock_gettime(THREAD_CPU, &mut now) };
    now.seconds as u64 * 1_000_000_000 + now.nanoseconds as u64
}

#[inline(always)]
fn churn(seed: u64) -> u64 {
    let mut value = seed;
    for _ in 0..ROUNDS {
        value = black_box(value.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    }
    value
}

#[inline(never)]
fn bottom_burn(seed: u64) -> u64 {
    churn(seed)
}

#[inline(never)]
fn descend(depth: u32, seed: u64) -> u64 {
    if depth == 0 {
        return bottom_burn(seed);
    }
    // What is done with the result keeps the call from being the last thing.
    black_box(descend(black_box(depth - 1), seed)).rotate_left(1)
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
        self.value = churn(self.value);
        self.value
    }
}

#[inline(never)]
fn apply<F: FnMut(u64) -> u64>(mut work: F, value: u64) -> u64 {
    black_box(work(value))
}

#[inline(never)]
fn spend(need_ns: u64, work: &mut dyn FnMut() -> u64) -> u64 {
    let begin = thread_ns();
    let mut sum = 0;

    while thread_ns() - begin < need_ns {
        sum ^= work();
    }
    black_box(sum);
    thread_ns() - begin
}

#[inline(never)]
fn work_thread(seconds: f64) -> [u64; 3] {
    let part_ns = (seconds * 1e9 / 3.0) as u64;
    let mut worker: Box<dyn Work> = black_box(Box::new(Spinner { value: 1 }));

    [
        spend(part_ns, &mut || descend(DEPTH, 1)),
        spend(part_ns, &mut || apply(#[inline(never)] |value| churn(value), 2)),
        spend(part_ns, &mut || worker.turn()),
    ]
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1.0);
    let threads: Vec<_> = (0..THREADS)
        .map(|i| {
            thread::Builder::new()
                .name(format!("deep{i}"))
                .spawn(move || work_thread(seconds))
                .unwrap()
        })
        .collect();
    let mut spent = work_thread(seconds);

    for handle in threads {
        for (sum, part) in spent.iter_mut().zip(handle.join().unwrap()) {
            *sum += part;
        }
    }
    println!("deep_ns {}\nclosure_ns {}\ntrait_ns {}", spent[0], spent[1], spent[2]);
}
