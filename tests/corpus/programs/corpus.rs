// SPDX-License-Identifier: GPL-2.0-or-later
//! What the Rust programs of the corpus share; corpus.h says what the options and the log mean.

#![allow(dead_code)] // each program uses its part

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
    fn gettid() -> i32;
}

const CLOCK_BOOTTIME: i32 = 7;

pub struct Corpus {
    pub scale_s: f64,
    pub shape: String,
    pub rate: f64,
    arrival: String,
    seed: u64,
    begun_s: f64,
    log: Mutex<Option<File>>,
    random: Mutex<u64>,
    burst_left: Mutex<u32>,
}

/// Reads the options, and logs that it begins.
pub fn begin() -> &'static Corpus {
    Box::leak(Box::new(Corpus::from_arguments()))
}

fn boottime_s() -> f64 {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(CLOCK_BOOTTIME, &mut now) };
    now.seconds as f64 + now.nanoseconds as f64 / 1e9
}

impl Corpus {
    fn from_arguments() -> Corpus {
        let mut corpus = Corpus {
            scale_s: 1800.0,
            shape: "steady".into(),
            rate: 15.0,
            arrival: "steady".into(),
            seed: 1,
            begun_s: boottime_s(),
            log: Mutex::new(None),
            random: Mutex::new(0),
            burst_left: Mutex::new(0),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                corpus.shape = word;
                continue;
            }
            let value = words.next().expect("a value");
            match word.as_str() {
                "--scale" => corpus.scale_s = value.parse().expect("seconds"),
                "--seed" => corpus.seed = value.parse().expect("a number"),
                "--arrival" => corpus.arrival = value,
                "--rate" => corpus.rate = value.parse().expect("a number"),
                "--log" => {
                    let file = OpenOptions::new().create(true).append(true).open(value).expect("the log");
                    *corpus.log.lock().unwrap() = Some(file);
                }
                _ => panic!("{word}"),
            }
        }
        *corpus.random.lock().unwrap() = corpus.seed.wrapping_mul(0x9e3779b97f4a7c15);
        corpus.say("begin", &format!("\"pid\": {}, \"seed\": {}", std::process::id(), corpus.seed));
        corpus
    }

    fn say(&self, event: &str, rest: &str) {
        let line = format!("{{\"t\": {:.6}, \"event\": \"{}\", {}}}\n", boottime_s(), event, rest);
        match &mut *self.log.lock().unwrap() {
            Some(file) => file.write_all(line.as_bytes()).expect("the log"),
            None => print!("{line}"),
        }
    }

    /// The calling thread is about to block for ever.
    pub fn say_leak(&self) {
        self.say("leak", &format!("\"tid\": {}", unsafe { gettid() }));
    }

    /// kind and leaf as in corpus.h; then that the program is ready.
    pub fn say_truth_and_ready(&self, kind: &str, leaf: Option<&str>) {
        let pid = std::process::id();
        let leaf = leaf.map_or("null".into(), |name| format!("\"{name}\""));
        self.say("truth", &format!("\"kind\": \"{kind}\", \"leaf\": {leaf}, \"pid\": {pid}, \"tids\": []"));
        self.say("ready", &format!("\"pids\": [{pid}]"));
    }

    /// In (0, 1).
    pub fn uniform(&self) -> f64 {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9e3779b97f4a7c15);
        let mut x = *state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d049bb133111eb);
        (((x ^ (x >> 31)) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    pub fn rest(&self, horizons: f64) {
        sleep(Duration::from_secs_f64(horizons * self.scale_s));
    }

    /// Rests until the next of `rate` arrivals a horizon, as --arrival says.
    pub fn rest_until_next(&self, rate: f64) {
        let gap = 1.0 / rate;
        self.rest(match self.arrival.as_str() {
            "irregular" => -gap * self.uniform().ln(),
            "accelerating" => gap / (0.5 + (boottime_s() - self.begun_s) / self.scale_s),
            "bursts" => {
                let mut left = self.burst_left.lock().unwrap();
                if *left > 0 {
                    *left -= 1;
                    gap * 0.02
                } else {
                    *left = 2 + (self.uniform() * 3.0) as u32;
                    gap * f64::from(*left + 1) * (0.8 + 0.4 * self.uniform())
                }
            }
            _ => gap * (0.8 + 0.4 * self.uniform()),
        });
    }
}
