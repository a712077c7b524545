//! Checks that the crate's modules import each other in one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_module_imports_itself_through_others() {
    let imports = imports(&sources());
    assert!(imports.len() > 30, "only {} modules were found", imports.len());
    assert!(imports["fake"].contains("state"), "imports were not found: {:?}", imports["fake"]);
    assert_eq!(circle(&imports), None);
    // The same for whole folders: two folders must not import each other through different files.
    assert_eq!(circle(&folders(&imports)), None);
}

#[test]
fn an_import_cycle_is_found() {
    let circular = [
        ("lib", "mod a;\nmod b;\npub use crate::a::A;"),
        ("a", "use std::fmt;\nuse crate::{\n    b::{B, c::C},\n    d,\n};"),
        ("b", "mod c;"),
        ("b::c", "// crate::d\nfn f() { crate::d::g() }"),
        ("d", "use crate::a::A;\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::b::B;\n}"),
    ];
    let sources = circular.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let imports = imports(&sources);
    assert_eq!(imports["a"], ["b", "b::c", "d"].map(str::to_owned).into());
    assert_eq!(imports["d"], ["a"].map(str::to_owned).into());
    let circle = circle(&imports).unwrap();
    assert_eq!(circle.first(), circle.last());
    assert!(circle.contains(&"d".to_owned()), "{circle:?}");
}

#[test]
#[should_panic(expected = "imports by a relative path")]
fn relative_imports_are_refused() {
    imports(&[("a".to_owned(), "use super::b::B;".to_owned())].into());
}

/// Returns the source of each module by path, such as `state::users`; `lib` and `main` are the crate's roots.
pub(crate) fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut sources, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                let parts: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
                let name = parts.join("::");
                let name = name.strip_suffix("::mod").unwrap_or(&name).to_owned();
                sources.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// Returns the modules that each module names by `crate::…`, outside of tests.
fn imports(sources: &BTreeMap<String, String>) -> Imports {
    let mut imports = Imports::new();
    for (module, text) in sources {
        let text = without_comments(text.split("#[cfg(test)]\nmod tests").next().unwrap());
        let relative = text.contains("super::") || text.contains("self::");
        assert!(!relative, "{module} imports by a relative path; write `crate::…`");
        let found = imports.entry(module.clone()).or_default();
        // The crate root only re-exports names for users.
        if module == "lib" {
            continue;
        }
        for (at, start) in text.match_indices("crate::") {
            let is_part_of_a_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if is_part_of_a_word {
                continue;
            }
            for path in paths(&text[at + start.len()..]) {
                found.extend(module_of(&path, sources).filter(|imported| imported != module));
            }
        }
    }
    imports
}

pub(crate) fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Expands an import tree: `a::{b, c::D}` becomes `a::b` and `a::c::D`.
fn paths(tree: &str) -> Vec<String> {
    let is_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = tree.find(|c| !is_of_path(c)).unwrap_or(tree.len());
    let (path, rest) = tree.split_at(end);
    let Some(inner) = rest.strip_prefix('{') else { return vec![path.to_owned()] };
    branches(inner)
        .iter()
        .flat_map(|branch| paths(branch.trim()))
        .map(|branch| format!("{path}{branch}"))
        .collect()
}

/// Returns the branches of a tree, up to its closing brace.
fn branches(inner: &str) -> Vec<&str> {
    let (mut branches, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                branches.push(&inner[from..at]);
                break;
            }
            ',' if depth == 0 => {
                branches.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    branches.retain(|branch| !branch.trim().is_empty());
    branches
}

/// Returns the module that a path leads to: its longest prefix that is a module.
fn module_of(path: &str, sources: &BTreeMap<String, String>) -> impl Iterator<Item = String> + use<> {
    let mut path = path.trim_end_matches(':');
    let found = loop {
        if sources.contains_key(path) {
            break Some(path.to_owned());
        }
        match path.rsplit_once("::") {
            Some((shorter, _)) => path = shorter,
            // The crate root re-exports the item, which any module may define.
            None => break None,
        }
    };
    found.into_iter()
}

/// Returns the imports between the folders and files at the crate root.
fn folders(imports: &Imports) -> Imports {
    let top = |module: &str| module.split("::").next().unwrap().to_owned();
    let mut folders = Imports::new();
    for (module, imported) in imports {
        let found = folders.entry(top(module)).or_default();
        found.extend(imported.iter().map(|imported| top(imported)).filter(|folder| *folder != top(module)));
    }
    folders
}

/// Returns a path from a module to itself, if there is one.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| search(module, imports, &mut Vec::new(), &mut done))
}

fn search<'i>(
    module: &'i str,
    imports: &'i Imports,
    way: &mut Vec<&'i str>,
    done: &mut BTreeSet<&'i str>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|passed| *passed == module) {
        return Some(way[at..].iter().copied().chain([module]).map(str::to_owned).collect());
    }
    if done.contains(module) {
        return None;
    }
    way.push(module);
    let found = imports.get(module).into_iter().flatten();
    let circle = found.into_iter().find_map(|imported| search(imported, imports, way, done));
    way.pop();
    done.insert(module);
    circle
}
