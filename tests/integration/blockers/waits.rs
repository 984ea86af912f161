// SPDX-License-Identifier: GPL-2.0-or-later
// Rust threads that block: what is printed is the ground truth.
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

// After a call, as a use of its result: keeps it from becoming a jump.
static SINK: AtomicU64 = AtomicU64::new(0);

fn sink(value: u64) -> u64 {
    SINK.fetch_add(value, Ordering::Relaxed)
}

#[inline(never)]
fn lock_it(lock: &Mutex<u64>) -> u64 {
    let value = *lock.lock().unwrap(); // /* WAIT:mutex */
    sink(value)
}

#[inline(never)]
fn wait_for_it(pair: &(Mutex<bool>, Condvar)) -> u64 {
    let mut ready = pair.0.lock().unwrap();
    while !*ready {
        ready = pair.1.wait(ready).unwrap(); // /* WAIT:cond */
    }
    sink(*ready as u64)
}

#[inline(never)]
fn receive(receiver: mpsc::Receiver<u64>) -> u64 {
    let value = receiver.recv().unwrap_or(0); // /* WAIT:recv */
    sink(value)
}

#[inline(never)]
fn park_here() {
    loop {
        thread::park(); // /* WAIT:park */
    }
}

#[inline(never)]
fn join_it(handle: thread::JoinHandle<()>) -> u64 {
    let ok = handle.join().is_ok(); // /* WAIT:join */
    sink(ok as u64)
}

#[inline(never)]
fn sleep_here() {
    loop {
        thread::sleep(Duration::from_secs(86400)); // /* WAIT:sleep */
    }
}

fn main() {
    let lock = Arc::new(Mutex::new(1u64));
    let _held = lock.lock().unwrap();
    let pair = Arc::new((Mutex::new(false), Condvar::new()));
    let mut senders = Vec::new();
    for _ in 0..3 {
        let lock = lock.clone();
        thread::spawn(move || lock_it(&lock));
    }
    for _ in 0..4 {
        let pair = pair.clone();
        thread::spawn(move || wait_for_it(&pair));
    }
    for _ in 0..5 {
        let (sender, receiver) = mpsc::channel();
        senders.push(sender);
        thread::spawn(move || receive(receiver));
    }
    for _ in 0..6 {
        let parked = thread::spawn(park_here);
        thread::spawn(move || join_it(parked));
    }
    for _ in 0..3 {
        thread::spawn(sleep_here);
    }
    let group = |name: &str, class: &str, count: u32, function: &str| {
        format!(
            "{{\"name\": \"{}\", \"class\": \"{}\", \"count\": {}, \"chain\": [\"{}\", \"std::thread::\"]}}",
            name, class, count, function
        )
    };
    let groups = [
        group("mutex", "futex_mutex", 3, "waits::lock_it"),
        group("cond", "futex_cond", 4, "waits::wait_for_it"),
        group("recv", "futex_other", 5, "waits::receive"),
        group("park", "futex_other", 6, "waits::park_here"),
        group("join", "futex_join", 6, "waits::join_it"),
        group("sleep", "sleep", 3, "waits::sleep_here"),
    ];
    println!("{{\"pid\": {}, \"groups\": [{}]}}", std::process::id(), groups.join(", "));
    std::io::stdout().flush().unwrap();
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
    std::process::exit(0);
}
