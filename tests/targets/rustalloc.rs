// rustalloc BLOCKS [now]: a program whose global allocator is its own, a piece of memory from which is taken
// and nothing given back. It knows what it was asked for at one line, and prints that.
use std::alloc::{GlobalAlloc, Layout};
use std::env;
use std::hint::black_box;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

const POOL_BYTES: usize = 1 << 30;
const SIGUSR1: i32 = 10;
const SIGTERM: i32 = 15;
const SECONDS: i64 = 60;

struct Bump {
    next: AtomicUsize,
    end: AtomicUsize,
}

static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static ALLOCS: AtomicU64 = AtomicU64::new(0);
static ALLOC_BYTES: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static FREE_BYTES: AtomicU64 = AtomicU64::new(0);

#[repr(C)]
struct SignalSet([u64; 16]);

#[repr(C)]
struct Timespec(i64, i64);

extern "C" {
    fn mmap(at: *mut u8, size: usize, access: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
    fn sigemptyset(set: *mut SignalSet) -> i32;
    fn sigaddset(set: *mut SignalSet, number: i32) -> i32;
    fn sigprocmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
    fn sigtimedwait(set: *const SignalSet, info: *mut u8, timeout: *const Timespec) -> i32;
}

unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.next.load(Ordering::SeqCst) == 0 {
            // Readable and writable; private, anonymous, without reserve.
            let pool = mmap(std::ptr::null_mut(), POOL_BYTES, 3, 0x4022, -1, 0);

            self.end.store(pool as usize + POOL_BYTES, Ordering::SeqCst);
            self.next.store(pool as usize, Ordering::SeqCst);
        }
        if IS_WATCHED.load(Ordering::SeqCst) {
            ALLOCS.fetch_add(1, Ordering::SeqCst);
            ALLOC_BYTES.fetch_add(layout.size() as u64, Ordering::SeqCst);
        }
        let mut at = self.next.load(Ordering::SeqCst);
        loop {
            let begin = (at + layout.align() - 1) & !(layout.align() - 1);

            if begin + layout.size() > self.end.load(Ordering::SeqCst) {
                return std::ptr::null_mut();
            }
            match self.next.compare_exchange(at, begin + layout.size(), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return begin as *mut u8,
                Err(other) => at = other,
            }
        }
    }

    unsafe fn dealloc(&self, _block: *mut u8, layout: Layout) {
        if IS_WATCHED.load(Ordering::SeqCst) {
            FREES.fetch_add(1, Ordering::SeqCst);
            FREE_BYTES.fetch_add(layout.size() as u64, Ordering::SeqCst);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: AtomicUsize::new(0), end: AtomicUsize::new(0) };

fn signals() -> SignalSet {
    let mut set = SignalSet([0; 16]);

    unsafe {
        sigemptyset(&mut set);
        sigaddset(&mut set, SIGUSR1);
        sigaddset(&mut set, SIGTERM);
    }
    set
}

fn wait_for_signal() {
    let number = unsafe { sigtimedwait(&signals(), std::ptr::null_mut(), &Timespec(SECONDS, 0)) };

    if number == SIGTERM {
        process::exit(0);
    }
}

#[inline(never)]
fn allocate(count: usize, kept: &mut Vec<Box<[u8; 48]>>) {
    for i in 0..count {
        let boxed = black_box(Box::new([i as u8; 48])); // BUMPED

        if i % 2 == 0 {
            kept.push(boxed);
        }
    }
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let count: usize = arguments.get(1).map_or(1000, |text| text.parse().unwrap());
    let is_now = arguments.last().map_or(false, |text| text == "now");
    let mut kept = Vec::with_capacity(count);

    unsafe { sigprocmask(0, &signals(), std::ptr::null_mut()) };
    println!("ready");
    if !is_now {
        wait_for_signal();
    }
    IS_WATCHED.store(true, Ordering::SeqCst);
    allocate(count, &mut kept);
    IS_WATCHED.store(false, Ordering::SeqCst);
    let (allocs, frees) = (ALLOCS.load(Ordering::SeqCst), FREES.load(Ordering::SeqCst));
    let (taken, given) = (ALLOC_BYTES.load(Ordering::SeqCst), FREE_BYTES.load(Ordering::SeqCst));
    println!("site BUMPED");
    println!("BUMPED.total_allocs {allocs}\nBUMPED.total_alloc_bytes {taken}");
    println!("BUMPED.total_frees {frees}\nBUMPED.total_free_bytes {given}");
    println!("BUMPED.bytes {}\nBUMPED.blocks {}", taken - given, allocs - frees);
    println!("done");
    black_box(&kept);
    if !is_now {
        wait_for_signal();
    }
    process::exit(0);
}
