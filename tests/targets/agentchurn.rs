// agentchurn ROUNDS: allocates as programs in Rust do: maps of strings to vectors, whose entries come and go,
// sorted maps, texts that are written and sorted. Prints a sum of what came out, and its CPU time in ns.
use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fmt::Write;
use std::hint::black_box;

const KEYS: u64 = 20_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
}

#[inline(never)]
fn churn_map(random: &mut Random, map: &mut HashMap<String, Vec<u8>>) -> u64 {
    let mut sum = 0;

    for _ in 0..KEYS {
        let key = format!("key {}", random.next() % KEYS);
        match random.next() % 3 {
            0 => sum += map.remove(&key).map_or(0, |bytes| bytes.len() as u64),
            1 => map.entry(key).or_default().push(7),
            _ => {
                map.insert(key, vec![1; (random.next() % 200) as usize]);
            }
        }
    }
    sum
}

#[inline(never)]
fn churn_tree(random: &mut Random, tree: &mut BTreeMap<u64, Box<[u64; 4]>>) -> u64 {
    let mut sum = 0;

    for _ in 0..KEYS {
        let key = random.next() % KEYS;
        if random.next() % 2 == 0 {
            tree.insert(key, Box::new([key; 4]));
        } else if let Some(boxed) = tree.remove(&key) {
            sum += boxed[3];
        }
    }
    sum
}

#[inline(never)]
fn sort_texts(random: &mut Random) -> u64 {
    let mut texts: Vec<String> = (0..KEYS / 2).map(|_| random.next().to_string()).collect();

    texts.sort();
    texts.iter().step_by(100).map(|text| text.len() as u64).sum()
}

#[inline(never)]
fn write_texts(random: &mut Random) -> u64 {
    let mut sum = 0;

    for i in 0..KEYS / 2 {
        let mut text = String::new();
        write!(text, "{i}: {:>width$} {:?}", random.next(), Some(i), width = (i % 40) as usize).unwrap();
        sum += black_box(text).len() as u64;
    }
    sum
}

#[repr(C)]
struct Timespec(i64, i64);

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

fn main() {
    let rounds: u64 = env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let mut random = Random(1);
    let mut map = HashMap::new();
    let mut tree = BTreeMap::new();
    let mut sum = 0u64;
    let mut now = Timespec(0, 0);

    for _ in 0..rounds {
        sum = sum.wrapping_add(churn_map(&mut random, &mut map));
        sum = sum.wrapping_add(churn_tree(&mut random, &mut tree));
        sum = sum.wrapping_add(sort_texts(&mut random));
        sum = sum.wrapping_add(write_texts(&mut random));
    }
    // CLOCK_PROCESS_CPUTIME_ID
    unsafe { clock_gettime(2, &mut now) };
    println!("sum {sum}");
    println!("cpu_ns {}", now.0 * 1_000_000_000 + now.1);
}
