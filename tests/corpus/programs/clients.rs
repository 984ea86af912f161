// SPDX-License-Identifier: GPL-2.0-or-later
//! Leak: each client has a pool of two workers that wait on a condition variable; of some clients an Arc is forgotten,
//! so that their workers are never told to end. Ten times as many clients end as they should.

mod corpus;

use corpus::Corpus;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

const HEALTHY_SHARE: f64 = 10.0;
const WORKERS: usize = 2;

struct Shared {
    corpus: &'static Corpus,
    leaks: bool,
    is_over: Mutex<bool>,
    changed: Condvar,
}

struct Client {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

#[inline(never)]
fn wait_for_work(shared: &Shared) {
    let mut is_over = shared.is_over.lock().unwrap();
    if shared.leaks {
        shared.corpus.say_leak();
    }
    while !*is_over {
        is_over = shared.changed.wait(is_over).unwrap();
    }
}

impl Client {
    fn new(corpus: &'static Corpus, leaks: bool) -> Client {
        let shared = Arc::new(Shared { corpus, leaks, is_over: Mutex::new(false), changed: Condvar::new() });
        let start = |_| {
            let shared = shared.clone();
            thread::spawn(move || wait_for_work(&shared))
        };
        let workers = (0..WORKERS).map(start).collect();
        Client { shared, workers }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        *self.shared.is_over.lock().unwrap() = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
    }
}

fn main() {
    let corpus = corpus::begin();
    corpus.say_truth_and_ready("leak", Some("wait_for_work"));
    let rate = corpus.rate * (HEALTHY_SHARE + 1.0) / WORKERS as f64;
    loop {
        corpus.rest_until_next(rate);
        let leaks = corpus.uniform() * (HEALTHY_SHARE + 1.0) < 1.0;
        let client = Client::new(corpus, leaks);
        if leaks {
            std::mem::forget(client);
        }
    }
}
