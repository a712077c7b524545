//! The layout of `src/`: what each room may import (see `docs` of the crate's layout in `lib.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up. A room imports from floors below its own, and from its own floor as long as no circle
/// comes of it.
const FLOORS: &[&[&str]] = &[
    &["clock", "jitter", "packed", "sync", "transport"],
    &[
        "access",
        "claims",
        "client_token",
        "counters",
        "credentials",
        "flight",
        "instance",
        "key",
        "membership",
        "organization",
        "rejection",
        "scope",
        "session",
        "settings",
        "token",
    ],
    &["limits"],
    &["clerk_api", "jwt"],
    &["sessions", "store"],
    &["provider"],
    &["engine"],
    &["layer", "testing"],
];

/// The rooms that each room imports, and a file that does.
type Imports = BTreeMap<String, BTreeMap<String, PathBuf>>;

#[test]
fn imports_run_down_and_in_no_circle() {
    let imports = imports(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let rooms: BTreeSet<&str> = FLOORS.iter().copied().flatten().copied().collect();
    assert_eq!(imports.keys().map(String::as_str).collect::<BTreeSet<_>>(), rooms, "every room has a floor");
    assert!(imports["layer"].contains_key("engine"), "imports are found");
    assert_eq!(faults(&imports), Vec::<String>::new());
}

#[test]
fn an_import_that_runs_up_and_a_circle_are_found() {
    let of = |pairs: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (room, imported) in pairs {
            let of_room = imports.entry((*room).to_owned()).or_default();
            of_room.insert((*imported).to_owned(), PathBuf::from("a_file.rs"));
        }
        imports
    };
    assert!(faults(&of(&[("engine", "sessions"), ("session", "claims"), ("session", "token")])).is_empty());
    assert_eq!(
        faults(&of(&[("sessions", "engine")])),
        ["sessions imports engine, which is above it: a_file.rs"]
    );
    let circle = of(&[("session", "token"), ("token", "claims"), ("claims", "session")]);
    assert_eq!(faults(&circle), ["a circle: claims, session, token"]);
}

fn faults(imports: &Imports) -> Vec<String> {
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap();
    let mut faults = Vec::new();
    for (room, imported) in imports {
        for (other, file) in imported {
            if floor(other) > floor(room) {
                faults.push(format!("{room} imports {other}, which is above it: {}", file.display()));
            }
        }
    }
    // Of the imports within a floor, rooms that import nothing are taken away until only circles are left.
    let mut level: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (room, imported) in imports {
        let same = imported.keys().map(String::as_str).filter(|other| floor(other) == floor(room));
        level.insert(room, same.collect());
    }
    loop {
        let open: BTreeSet<&str> =
            level.iter().filter(|(_, to)| !to.is_empty()).map(|(room, _)| *room).collect();
        let before: usize = level.values().map(BTreeSet::len).sum();
        level.values_mut().for_each(|to| to.retain(|other| open.contains(other)));
        if level.values().map(BTreeSet::len).sum::<usize>() == before {
            if !open.is_empty() {
                faults.push(format!("a circle: {}", open.into_iter().collect::<Vec<_>>().join(", ")));
            }
            return faults;
        }
    }
}

/// Reads the `crate::…` of all files, outside comments and tests.
fn imports(src: &Path) -> Imports {
    let (mut imports, mut folders) = (Imports::new(), vec![src.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(src).unwrap().with_extension("");
            let room = name.iter().next().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if room != "lib" && path.file_name().is_some_and(|file| file != "tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let found = imports.entry(room.clone()).or_default();
                for other in named(&text) {
                    if other != room {
                        found.insert(other, path.strip_prefix(src).unwrap().to_owned());
                    }
                }
            }
        }
    }
    imports
}

fn named(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code: String = code.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect();
    let is_room = |(_, rest): &(usize, &str)| rest.starts_with(char::is_lowercase);
    let trees = code.match_indices("crate::{").map(|(at, tree)| (at, &code[at + tree.len()..]));
    assert!(!trees.into_iter().any(|tree| is_room(&tree)), "each `use` names one room");
    let rest = code.split("crate::").skip(1);
    let names =
        rest.map(|it| it.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap().to_owned());
    // What the crate's root exports is named there, as `crate::Clerk`.
    names.filter(|name| name.starts_with(char::is_lowercase)).collect()
}
