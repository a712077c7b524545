//! Checks which modules of `src/` import which (see `docs/design.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The levels from the ground up. A module imports from the levels below its own, and from its own level as long as no
/// cycle comes of it.
const LEVELS: &[&[&str]] = &[
    &["clock", "jitter", "packed", "recent", "sync", "transport"],
    &[
        "access",
        "assurance",
        "authorization",
        "claims",
        "client_token",
        "counters",
        "credentials",
        "flight",
        "instance",
        "key",
        "membership",
        "objects",
        "organization",
        "organization_session",
        "original_uri",
        "rejection",
        "scope",
        "session",
        "settings",
        "token",
    ],
    &["limits"],
    &["clerk_api", "jwt"],
    &["api_keys", "backend_client", "bearer", "cluster", "federation", "sessions", "store"],
    &["provider"],
    &["engine"],
    &["guard", "layer", "testing", "token_endpoint", "webhook"],
    &["axum", "fuzzing"],
];

/// The modules that each module imports, each with a file that imports it.
type Imports = BTreeMap<String, BTreeMap<String, PathBuf>>;

#[test]
fn imports_point_down_and_form_no_cycle() {
    let imports = imports(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    let modules: BTreeSet<&str> = LEVELS.iter().copied().flatten().copied().collect();
    assert_eq!(
        imports.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        modules,
        "every module has a level"
    );
    assert!(imports["layer"].contains_key("engine"), "imports are found");
    assert_eq!(violations(&imports), Vec::<String>::new());
}

#[test]
fn an_upward_import_and_a_cycle_are_found() {
    let of = |pairs: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (module, imported) in pairs {
            let of_module = imports.entry((*module).to_owned()).or_default();
            of_module.insert((*imported).to_owned(), PathBuf::from("a_file.rs"));
        }
        imports
    };
    assert!(
        violations(&of(&[("engine", "sessions"), ("session", "claims"), ("session", "token")])).is_empty()
    );
    assert_eq!(
        violations(&of(&[("sessions", "engine")])),
        ["sessions imports engine, which is above it: a_file.rs"]
    );
    let cycle = of(&[("session", "token"), ("token", "claims"), ("claims", "session")]);
    assert_eq!(violations(&cycle), ["a cycle: claims, session, token"]);
}

fn violations(imports: &Imports) -> Vec<String> {
    let level = |module: &str| LEVELS.iter().position(|modules| modules.contains(&module)).unwrap();
    let mut violations = Vec::new();
    for (module, imported) in imports {
        for (other, file) in imported {
            if level(other) > level(module) {
                violations.push(format!("{module} imports {other}, which is above it: {}", file.display()));
            }
        }
    }
    // Repeatedly removes modules that import nothing from their own level, until only cycles are left.
    let mut same_level: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, imported) in imports {
        let same = imported.keys().map(String::as_str).filter(|other| level(other) == level(module));
        same_level.insert(module, same.collect());
    }
    loop {
        let open: BTreeSet<&str> =
            same_level.iter().filter(|(_, to)| !to.is_empty()).map(|(module, _)| *module).collect();
        let before: usize = same_level.values().map(BTreeSet::len).sum();
        same_level.values_mut().for_each(|to| to.retain(|other| open.contains(other)));
        if same_level.values().map(BTreeSet::len).sum::<usize>() == before {
            if !open.is_empty() {
                violations.push(format!("a cycle: {}", open.into_iter().collect::<Vec<_>>().join(", ")));
            }
            return violations;
        }
    }
}

/// Collects the `crate::…` paths of all files, except in comments and tests.
fn imports(src: &Path) -> Imports {
    let (mut imports, mut folders) = (Imports::new(), vec![src.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(src).unwrap().with_extension("");
            let module = name.iter().next().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if module != "lib"
                && module != "documentation"
                && path.file_name().is_some_and(|file| file != "tests.rs")
            {
                let text = fs::read_to_string(&path).unwrap();
                let found = imports.entry(module.clone()).or_default();
                for other in named(&text) {
                    if other != module {
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
    let is_module = |(_, rest): &(usize, &str)| rest.starts_with(char::is_lowercase);
    let trees = code.match_indices("crate::{").map(|(at, tree)| (at, &code[at + tree.len()..]));
    assert!(!trees.into_iter().any(|tree| is_module(&tree)), "each `use` names one module");
    let rest = code.split("crate::").skip(1);
    let names =
        rest.map(|it| it.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap().to_owned());
    // Upper-case names are re-exports of the crate root, such as `crate::Clerk`.
    names.filter(|name| name.starts_with(char::is_lowercase)).collect()
}
