// SPDX-License-Identifier: GPL-2.0-or-later
//! Leak: a thread for each peer receives from a channel; the sender of a failed peer stays in a table, so that the
//! channel never ends. Ten times as many peers end as they should.

mod corpus;

use corpus::Corpus;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::thread;

const HEALTHY_SHARE: f64 = 10.0;

#[inline(never)]
fn receive_all(corpus: &Corpus, messages: &Receiver<u64>, fails: bool) -> u64 {
    if fails {
        corpus.say_leak();
    }
    let mut sum = 0;
    while let Ok(message) = messages.recv() {
        sum += message;
    }
    sum
}

fn main() {
    let corpus = corpus::begin();
    let mut peers: Vec<Sender<u64>> = Vec::new();
    corpus.say_truth_and_ready("leak", Some("receive_all"));
    loop {
        corpus.rest_until_next(corpus.rate * (HEALTHY_SHARE + 1.0));
        let fails = corpus.uniform() * (HEALTHY_SHARE + 1.0) < 1.0;
        let (sender, receiver) = channel();
        thread::spawn(move || receive_all(corpus, &receiver, fails));
        if fails {
            peers.push(sender);
        } else {
            thread::spawn(move || {
                corpus.rest(-corpus.uniform().ln() / 360.0);
                drop(sender);
            });
        }
    }
}
