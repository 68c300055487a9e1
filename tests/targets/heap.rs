// heap ROUNDS [now]: vec!, a vector that grows, HashMap, format!, Box and Arc across threads, each on a line
// of its own. Built twice: as a release is, and with --cfg counting: that one does the same and prints what
// its allocator was asked for at each of these lines. Threads that free were there before the signal.
use std::collections::HashMap;
use std::env;
use std::hint::black_box;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

const COUNT: usize = 500;
const THREADS: usize = 2;
const SIGUSR1: i32 = 10;
const SIGTERM: i32 = 15;
const SECONDS: i64 = 60;

#[cfg(counting)]
const SITES: [&str; 7] = ["none", "VEC", "PUSH", "HASHMAP", "FORMAT", "BOX", "ARC"];

// The site that the main thread is at. Only what it allocates there is asked for.
static SITE: AtomicUsize = AtomicUsize::new(0);

fn at(site: usize) {
    SITE.store(site, Ordering::SeqCst);
}

#[cfg(counting)]
mod counting {
    use super::{Ordering, SITE, SITES};
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::UnsafeCell;
    use std::sync::atomic::AtomicBool;

    pub struct Counting;

    #[derive(Clone, Copy)]
    pub struct Site {
        pub allocs: u64,
        pub alloc_bytes: u64,
        pub frees: u64,
        pub free_bytes: u64,
        pub reallocs: u64,
    }

    const SLOTS: usize = 1 << 20;

    struct Books {
        sites: [Site; SITES.len()],
        blocks: [usize; SLOTS],
        of: [u8; SLOTS],
    }

    struct Shared(UnsafeCell<Books>);
    unsafe impl Sync for Shared {}

    const NOTHING: Site = Site { allocs: 0, alloc_bytes: 0, frees: 0, free_bytes: 0, reallocs: 0 };
    static LOCK: AtomicBool = AtomicBool::new(false);
    static BOOKS: Shared = Shared(UnsafeCell::new(Books {
        sites: [NOTHING; SITES.len()],
        blocks: [0; SLOTS],
        of: [0; SLOTS],
    }));

    fn with_books<R>(work: impl FnOnce(&mut Books) -> R) -> R {
        while LOCK.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        let result = work(unsafe { &mut *BOOKS.0.get() });
        LOCK.store(false, Ordering::Release);
        result
    }

    // A freed slot stays one that is passed over: 1 is no address.
    fn slot(books: &Books, block: usize) -> usize {
        let mut at = block / 16 % SLOTS;

        while books.blocks[at] != 0 && books.blocks[at] != block {
            at = (at + 1) % SLOTS;
        }
        at
    }

    fn note_alloc(block: usize, size: usize, is_realloc: bool) {
        with_books(|books| {
            let site = SITE.load(Ordering::SeqCst);
            let at = slot(books, block);

            books.blocks[at] = block;
            books.of[at] = site as u8;
            books.sites[site].allocs += 1;
            books.sites[site].alloc_bytes += size as u64;
            books.sites[site].reallocs += is_realloc as u64;
        })
    }

    fn note_free(block: usize, size: usize) {
        with_books(|books| {
            let at = slot(books, block);
            let site = books.of[at] as usize;

            books.blocks[at] = 1;
            books.sites[site].frees += 1;
            books.sites[site].free_bytes += size as u64;
        })
    }

    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let block = System.alloc(layout);
            note_alloc(block as usize, layout.size(), false);
            block
        }
        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            let block = System.alloc_zeroed(layout);
            note_alloc(block as usize, layout.size(), false);
            block
        }
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            note_free(block as usize, layout.size());
            System.dealloc(block, layout)
        }
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            note_free(block as usize, layout.size());
            let other = System.realloc(block, layout, size);
            note_alloc(other as usize, size, true);
            other
        }
    }

    pub fn sites() -> [Site; SITES.len()] {
        with_books(|books| books.sites)
    }
}

#[cfg(counting)]
#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

#[cfg(counting)]
fn print_sites() {
    let sites = counting::sites();

    for (name, site) in SITES.iter().zip(sites).skip(1) {
        println!("site {name}");
        println!("{name}.total_allocs {}\n{name}.total_alloc_bytes {}", site.allocs, site.alloc_bytes);
        println!("{name}.total_frees {}\n{name}.total_free_bytes {}", site.frees, site.free_bytes);
        println!("{name}.bytes {}", site.alloc_bytes - site.free_bytes);
        println!("{name}.blocks {}", site.allocs - site.frees);
        println!("{name}.reallocs {}", site.reallocs);
    }
}

#[cfg(not(counting))]
fn print_sites() {}

#[inline(never)]
fn make_vectors(kept: &mut Vec<Vec<u64>>) {
    for i in 0..COUNT {
        at(1);
        let vector = black_box(vec![i as u64; 1 + i % 50]); // VEC
        at(0);
        if i % 3 == 0 {
            kept.push(vector);
        }
    }
}

#[inline(never)]
fn grow_vector() -> Vec<u32> {
    let mut vector = Vec::new();

    at(2);
    for i in 0..COUNT as u32 * 10 {
        vector.push(black_box(i)); // PUSH
    }
    at(0);
    vector
}

#[inline(never)]
fn fill_map() -> HashMap<u64, [u64; 3]> {
    let mut map = HashMap::new();

    at(3);
    for i in 0..COUNT as u64 * 10 {
        map.insert(black_box(i * 7919), [i; 3]); // HASHMAP
    }
    at(0);
    map
}

#[inline(never)]
fn write_texts(kept: &mut Vec<String>) {
    for i in 0..COUNT {
        at(4);
        let text = black_box(format!("{}-{:>width$}", i, "x", width = i % 70)); // FORMAT
        at(0);
        if i % 2 == 0 {
            kept.push(text);
        }
    }
}

#[inline(never)]
fn box_some(kept: &mut Vec<Box<[u8; 200]>>) {
    for i in 0..COUNT {
        at(5);
        let boxed = black_box(Box::new([i as u8; 200])); // BOX
        at(0);
        if i % 5 == 0 {
            kept.push(boxed);
        }
    }
}

type Shared = Arc<[u64; 16]>;

#[inline(never)]
fn share_some(given: &[Mutex<Vec<Shared>>], kept: &mut Vec<Shared>) {
    for i in 0..COUNT {
        at(6);
        let shared = black_box(Arc::new([i as u64; 16])); // ARC
        at(0);
        for vector in given {
            vector.lock().unwrap().push(shared.clone());
        }
        // The last owner is one of the threads, but of every fourth.
        if i % 4 == 0 {
            kept.push(shared);
        }
    }
}

#[repr(C)]
struct SignalSet([u64; 16]);

#[repr(C)]
struct Timespec(i64, i64);

extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> i32;
    fn sigaddset(set: *mut SignalSet, number: i32) -> i32;
    fn sigprocmask(how: i32, set: *const SignalSet, old: *mut SignalSet) -> i32;
    fn sigtimedwait(set: *const SignalSet, info: *mut u8, timeout: *const Timespec) -> i32;
}

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

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let rounds: usize = arguments.get(1).map_or(1, |text| text.parse().unwrap());
    let is_now = arguments.last().map_or(false, |text| text == "now");
    let room = COUNT * rounds;
    let mut vectors = Vec::with_capacity(room);
    let mut grown = Vec::with_capacity(rounds);
    let mut maps = Vec::with_capacity(rounds);
    let mut texts = Vec::with_capacity(room);
    let mut boxes = Vec::with_capacity(room);
    let mut shared = Vec::with_capacity(room);
    let barrier = Arc::new(Barrier::new(THREADS + 1));
    let given: Arc<Vec<Mutex<Vec<Shared>>>> =
        Arc::new((0..THREADS).map(|_| Mutex::new(Vec::with_capacity(room))).collect());

    unsafe { sigprocmask(0, &signals(), std::ptr::null_mut()) };
    for number in 0..THREADS {
        let (barrier, given) = (barrier.clone(), given.clone());

        thread::spawn(move || loop {
            barrier.wait();
            given[number].lock().unwrap().clear();
            barrier.wait();
        });
    }
    println!("ready");
    if !is_now {
        wait_for_signal();
    }
    for _ in 0..rounds {
        make_vectors(&mut vectors);
        grown.push(grow_vector());
        maps.push(fill_map());
        write_texts(&mut texts);
        box_some(&mut boxes);
        share_some(&given, &mut shared);
        barrier.wait();
        barrier.wait();
    }
    print_sites();
    black_box((&vectors, &grown, &maps, &texts, &boxes, &shared));
    println!("done");
    if !is_now {
        wait_for_signal();
    }
    process::exit(0);
}
