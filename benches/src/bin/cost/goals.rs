//! Goals for the measured numbers.

use std::process::ExitCode;

/// Whether a missed goal fails the program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Steady,
    /// The number depends on the machine and its other work.
    Timed,
    /// The goal is known to be missed.
    Open,
}

/// The goals, each with the measured value. Only a missed goal of a steady number fails the program.
#[derive(Default)]
pub(super) struct Goals {
    lines: Vec<String>,
    missed: bool,
}

impl Goals {
    pub(super) fn at_most(&mut self, sort: Sort, what: &str, value: f64, most: f64) {
        self.add(sort, what, value, "at most", most, value <= most);
    }

    pub(super) fn at_least(&mut self, sort: Sort, what: &str, value: f64, least: f64) {
        self.add(sort, what, value, "at least", least, value >= least);
    }

    pub(super) fn unknown(&mut self, what: &str, why: &str) {
        self.lines.push(format!("{what:62}unknown: {why}"));
    }

    fn add(&mut self, sort: Sort, what: &str, value: f64, bound: &str, goal: f64, met: bool) {
        let digits = if value < 1_000.0 { 2 } else { 0 };
        let result = if met { "met" } else { "MISSED" };
        self.lines.push(format!("{what:62}{value:>8.digits$}, {bound} {goal}: {result}"));
        self.missed |= !met && sort == Sort::Steady;
    }

    pub(super) fn print(self) -> ExitCode {
        println!("Goals\n");
        self.lines.iter().for_each(|line| println!("{line}"));
        if self.missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
