// Has the agent put into it while it works: MILLISECONDS of hashing, growing and sorting in four threads,
// then the same again, step by step, to see that the results agree. Exits with 7 where they do.
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

// One step's answer depends on its seed only.
fn step(seed: u64) -> u64 {
    let mut state = seed;
    let mut words: HashMap<String, Vec<u8>> = HashMap::new();
    let mut order: BTreeMap<u64, String> = BTreeMap::new();
    for _ in 0..40 {
        let number = next(&mut state) % 1000;
        let word = format!("word {number}");
        words.entry(word.clone()).or_default().extend_from_slice(word.as_bytes());
        order.insert(number, word);
    }
    let mut lengths: Vec<usize> = words.values().map(|bytes| bytes.len()).collect();
    lengths.sort_unstable();
    order.iter().fold(0u64, |sum, (number, word)| {
        sum.wrapping_mul(31).wrapping_add(number * word.len() as u64)
    }) + lengths.iter().sum::<usize>() as u64
}

fn work(thread: u64, until: Instant) -> u64 {
    let mut steps = 0u64;
    let mut sum = 0u64;
    while Instant::now() < until {
        sum = sum.wrapping_mul(17).wrapping_add(step(thread << 32 | steps));
        steps += 1;
    }
    let again = (0..steps).fold(0u64, |sum, at| {
        sum.wrapping_mul(17).wrapping_add(step(thread << 32 | at))
    });
    (again != sum) as u64
}

fn main() {
    let milliseconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(300);
    let until = Instant::now() + Duration::from_millis(milliseconds);
    println!("ready");
    let threads: Vec<_> =
        (1..4).map(|number| std::thread::spawn(move || work(number, until))).collect();
    let errors = work(0, until) + threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>();
    println!("errors {errors}");
    std::process::exit(if errors == 0 { 7 } else { 1 });
}
