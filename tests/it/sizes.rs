//! A file is one idea, and a function one step: both stay short.

use std::fs;
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 300;
const MOST_LINES_OF_FUNCTION: usize = 60;

/// Tables: one line for each case, which no split would make easier to read.
const TABLES: &[&str] = &["class_of", "user_settings"];

#[test]
fn files_and_functions_stay_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "fake-clerk/src", "sync", "examples", "benches"].map(|folder| root.join(folder));
    let mut long = Vec::new();
    // The package that is published has neither the stand-in nor the benches.
    for file in folders.iter().filter(|folder| folder.exists()).flat_map(|folder| files(folder)) {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(root).unwrap().display().to_string();
        long.extend(too_long(&text).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_long_file_and_a_long_function_are_found_and_tests_do_not_count() {
    let function =
        |lines: usize| format!("    pub async fn run() {{\n{}    }}\n", "        x();\n".repeat(lines));
    assert_eq!(too_long(&function(58)), Vec::<String>::new());
    assert_eq!(too_long(&function(59)), ["`run` has 61 lines"]);
    assert_eq!(too_long(&function(59).replace("run", "class_of")), Vec::<String>::new());
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(400));
    assert_eq!(too_long(&tests), Vec::<String>::new());
    assert_eq!(too_long(&"//\n".repeat(301)), ["301 lines"]);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    let is_code = |path: &PathBuf| {
        path.extension().is_some_and(|it| it == "rs") && path.file_name().is_some_and(|it| it != "tests.rs")
    };
    files.filter(is_code).collect()
}

fn too_long(text: &str) -> Vec<String> {
    let code = text.split("mod tests {").next().unwrap();
    let lines: Vec<&str> = code.lines().collect();
    let mut long = Vec::new();
    if lines.len() > MOST_LINES {
        long.push(format!("{} lines", lines.len()));
    }
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[at..].iter().position(|line| **line == end).map_or(0, |length| length + 1);
        if length > MOST_LINES_OF_FUNCTION && !TABLES.contains(&name) {
            long.push(format!("`{name}` has {length} lines"));
        }
    }
    long
}

/// The name of the function that begins in this line, if it has a body in the lines that follow.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let is_item = before
        .split_whitespace()
        .all(|word| ["pub", "pub(crate)", "pub(super)", "async", "const"].contains(&word));
    let is_declared = line.ends_with(';') || line.ends_with("{}") || line.ends_with(" }");
    (is_item && !is_declared).then(|| rest.split(['(', '<']).next().unwrap())
}
