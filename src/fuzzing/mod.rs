//! Laws about input from outside, each a function of bytes: it panics where one is broken.
//!
//! `fuzz/` feeds them inputs without end, and a test here feeds them the inputs in `fuzz/corpus/`, so that an input that once
//! broke a law is a test from then on.

mod answers;
mod header;
mod tokens;
#[cfg(feature = "webhook")]
mod webhook;

pub use self::answers::{backend_answer, frontend_answer, retry_after};
pub use self::header::header;
pub use self::tokens::{jwks, jwt};
#[cfg(feature = "webhook")]
pub use self::webhook::webhook;
#[cfg(feature = "sqlite")]
pub use crate::store::fuzzing::record;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    type Law = fn(&[u8]);

    /// The targets of `fuzz/`, by name.
    const TARGETS: &[(&str, Law)] = &[
        ("header", header),
        ("frontend_answer", frontend_answer),
        ("backend_answer", backend_answer),
        ("retry_after", retry_after),
        ("jwt", jwt),
        ("jwks", jwks),
        #[cfg(feature = "webhook")]
        ("webhook", webhook),
        #[cfg(feature = "sqlite")]
        ("record", record),
    ];

    #[test]
    fn the_inputs_of_the_corpus_keep_the_laws() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        // The package that is published has no corpus.
        if !fuzz.exists() {
            return;
        }
        for (name, law) in TARGETS {
            let mut inputs = 0;
            for entry in std::fs::read_dir(fuzz.join("corpus").join(name)).unwrap() {
                let path = entry.unwrap().path();
                let input = std::fs::read(&path).unwrap();
                let kept = std::panic::catch_unwind(|| law(&input));
                assert!(kept.is_ok(), "{} breaks a law of {name}", path.display());
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has no corpus");
            law(b"");
        }
    }
}
