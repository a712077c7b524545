//! Counts the instructions of a request, by a separate process under valgrind.

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fs, process};

use crate::drive::{Measured, drive, request};
use crate::instance::Instance;
use crate::subject::{Subject, Visitor};

/// The argument that makes a program run under valgrind only send requests.
const COUNT: &str = "--count";
/// Number of requests under valgrind.
const COUNTED: u64 = 10_000;

/// The instructions of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instructions {
    /// All of them.
    pub total: f64,
    /// Those of each function, without the functions that it calls.
    pub by_function: BTreeMap<String, f64>,
}

impl Instructions {
    /// Counts by running the current program under valgrind, so its `main` has to begin with [`Self::serve`].
    ///
    /// Only [`drive`] counts. It is named as in both mangling schemes, because valgrind can demangle only one of them.
    ///
    /// # Errors
    ///
    /// Returns a description if valgrind is missing or fails.
    pub fn count(subject: Subject) -> Result<Self, String> {
        let file = env::temp_dir().join(format!("callgrind.{}", process::id()));
        let output = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .args(["--toggle-collect=*drive::drive*", "--toggle-collect=*5drive5drive*"])
            .arg(env::current_exe().map_err(|error| error.to_string())?)
            .args([COUNT, subject.name()])
            .output()
            .map_err(|error| format!("valgrind can't be run ({error})"))?;
        let profile = fs::read_to_string(&file).unwrap_or_default();
        _ = fs::remove_file(&file);
        let counted = Self::read(&profile, COUNTED as f64);
        if output.status.success() && counted.total > 0.0 {
            return Ok(counted);
        }
        Err(format!("valgrind failed: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Sends the requests and returns true if this process runs under valgrind for that.
    ///
    /// # Panics
    ///
    /// Panics if the subject is unknown.
    #[must_use]
    pub fn serve() -> bool {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [COUNT, subject] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
            return false;
        };
        let subject = Subject::named(subject).expect("a subject");
        let instance = Instance::warm();
        subject.show(&instance, Send(&subject.authorization(&instance)));
        true
    }

    /// Reads a profile in callgrind's format (<https://valgrind.org/docs/manual/cl-format.html>): a line `fn=(7) name`,
    /// or `fn=(7)` from then on, is followed by lines of costs. The one after `calls=` is of the function called.
    fn read(profile: &str, requests: f64) -> Self {
        let (mut names, mut function, mut is_of_callee) = (BTreeMap::new(), String::new(), false);
        let mut counted = Self::default();
        for line in profile.lines() {
            if let Some((key, name)) =
                line.split_once("fn=(").filter(|(before, _)| ["", "c"].contains(before))
            {
                let (id, name) = name.split_once(')').unwrap_or((name, ""));
                if !name.is_empty() {
                    // Of assembly without symbols, callgrind has the address.
                    let name = name.trim();
                    let name = if name.starts_with("0x") { "(without a symbol)" } else { name };
                    names.insert(id, name.to_owned());
                }
                if key.is_empty() {
                    function = names.get(id).cloned().unwrap_or_default();
                }
            } else if line.starts_with("calls=") {
                is_of_callee = true;
            } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
                let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<f64>().ok());
                if let Some(cost) = cost.filter(|_| !std::mem::take(&mut is_of_callee)) {
                    *counted.by_function.entry(function.clone()).or_default() += cost / requests;
                    counted.total += cost / requests;
                }
            }
        }
        counted
    }
}

struct Send<'a>(&'a str);

impl Visitor for Send<'_> {
    type Output = ();

    fn visit<S: Measured + Clone + std::marker::Send + 'static>(self, mut service: S) {
        drive(&mut service, &request(self.0), COUNTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_of_calls_count_for_the_function_called_alone() {
        let profile = "events: Ir\nfn=(1) outer\n3 20\ncfn=(2) inner<T>\ncalls=10 0\n4 1000\n5 30\n\nfn=(2)\n7 1000\n\
                       fn=(3) 0x96d400\n0 50\n\ntotals: 1100\n";
        let counted = Instructions::read(profile, 10.0);
        let of = |name| counted.by_function.get(name).copied();
        assert_eq!(
            (of("outer"), of("inner<T>"), of("(without a symbol)")),
            (Some(5.0), Some(100.0), Some(5.0))
        );
        assert!((counted.total - 110.0).abs() < 1e-9);
    }
}
