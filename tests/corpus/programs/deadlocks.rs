// SPDX-License-Identifier: GPL-2.0-or-later
//! A cycle of two threads with std::sync::Mutex, which does not record its owner: nothing can prove it, so it must not
//! be called a deadlock.

mod corpus;

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

#[inline(never)]
fn lock_other(mutex: &Mutex<i32>) -> i32 {
    *mutex.lock().unwrap()
}

fn main() {
    let corpus = corpus::begin();
    let locks = Arc::new([Mutex::new(0), Mutex::new(1)]);
    let all_hold = Arc::new(Barrier::new(2));
    for own in 0..2 {
        let (locks, all_hold) = (locks.clone(), all_hold.clone());
        thread::spawn(move || {
            let held = locks[own].lock().unwrap();
            all_hold.wait();
            *held + lock_other(&locks[1 - own])
        });
    }
    corpus.rest(0.02);
    corpus.say_truth_and_ready("unconfirmed", None);
    loop {
        corpus.rest(1.0);
    }
}
