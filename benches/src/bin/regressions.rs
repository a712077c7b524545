//! Compares the instructions and allocations of a hit with the committed figures, in `benches/figures` for each minor
//! version of rustc and each target. Exits with code 1 if one has grown by more than 3 %, and says where.
//!
//! ```text
//! cargo run --config .ci/regressions.toml --package tower-clerk-benches --bin regressions [-- --write]
//! ```
//!
//! `--write` writes the figures anew. A change that is worth its cost commits them. Without valgrind, or without figures
//! for the compiler, nothing can be compared: the program says so, and fails only if `REQUIRE_VALGRIND` is set and
//! valgrind is missing.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

use tower_clerk_benches::{Counting, Figures, Instance, Instructions, Subject, allocations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SUBJECTS: [Subject; 4] = [Subject::Hit, Subject::HitKeep, Subject::BearerHit, Subject::HitGuard];

fn main() -> ExitCode {
    if Instructions::serve() {
        return ExitCode::SUCCESS;
    }
    let is_written = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [argument] if argument == "--write" => true,
        _ => {
            eprintln!("usage: regressions [--write]");
            return ExitCode::from(2);
        }
    };
    let Some(file) = file() else {
        eprintln!("rustc -vV doesn't tell the version of the compiler");
        return ExitCode::FAILURE;
    };
    let figures = match measure() {
        Ok(figures) => figures,
        Err(error) => {
            eprintln!("NOT COMPARED: {error}");
            return if env::var_os("REQUIRE_VALGRIND").is_some() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    for line in figures.to_text().lines().filter(|line| !line.starts_with(' ')) {
        println!("{line}");
    }
    if is_written {
        fs::write(&file, figures.to_text()).expect("the figures can be written");
        return ExitCode::SUCCESS;
    }
    let Ok(before) = fs::read_to_string(&file) else {
        println!("NOT COMPARED: there is no {}. Write it with --write, and commit it.", file.display());
        return ExitCode::SUCCESS;
    };
    let Some(before) = Figures::read(&before) else {
        eprintln!("{} has no figures", file.display());
        return ExitCode::FAILURE;
    };
    let complaints = before.complaints(&figures);
    complaints.iter().for_each(|line| eprintln!("{line}"));
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure() -> Result<Figures, String> {
    let bare = Instructions::count(Subject::Bare)?;
    let instance = Instance::warm();
    let bare_allocations = allocations(Subject::Bare, &instance);
    let mut figures = Figures::default();
    for subject in SUBJECTS {
        let net = allocations(subject, &instance) - bare_allocations;
        figures.add(subject.name(), &Instructions::count(subject)?, &bare, net);
    }
    Ok(figures)
}

/// The file with the figures of this compiler and target, `1.95-x86_64-unknown-linux-gnu.txt`.
fn file() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = String::from_utf8(Command::new(rustc).arg("-vV").output().ok()?.stdout).ok()?;
    let field = |name| version.lines().find_map(|line| line.strip_prefix(name));
    let (minor, _) = field("release: ")?.rsplit_once('.')?;
    let name = format!("{minor}-{}.txt", field("host: ")?);
    Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/figures")).join(name))
}
