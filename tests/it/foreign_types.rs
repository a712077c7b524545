//! The types of other crates in the public API: docs/foreign-types.md lists them, because a new major version of such a
//! crate is a breaking change of this one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The dependencies by the names that paths begin with.
fn dependencies() -> BTreeSet<String> {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split([' ', '.']).next());
    names.filter(|name| !name.starts_with('#')).map(|name| name.replace('-', "_")).collect()
}

#[test]
fn the_page_of_foreign_types_lists_those_of_public_signatures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/foreign-types.md")).unwrap();
    let found: BTreeSet<String> = files(&root.join("src"))
        .iter()
        .flat_map(|file| foreign(&fs::read_to_string(file).unwrap()))
        .collect();
    assert!(found.contains("http::HeaderValue"), "types are found");
    assert_eq!(listed(&page), found, "left: the page; right: the code");
}

#[test]
fn a_foreign_type_is_found_in_signatures_fields_and_impls_and_nowhere_else() {
    let code = "
        use http::{Extensions, HeaderMap, Method, StatusCode, request::Parts};
        use moka::sync::Cache;
        use tower_layer::Layer;
        use bytes::Bytes;
        use tower_service::Service as _;
        use tower_service::Private;
        pub struct Public { pub map: HeaderMap, cache: Cache }
        pub(crate) struct Inner { pub(crate) method: Method }
        impl Public {
            pub fn of(
                parts: &Parts,
            ) -> Self { Cache::new() }
        }
        pub enum Kind {
            One(StatusCode),
        }
        impl Public {
            pub fn from_parts<F>(read: F, other: u8) -> Self
            where
                F: Fn(&Extensions),
            {
            }
        }
        impl<S> Layer<S> for Public {}
struct Hidden;
pub(super) enum Inside { One }
        impl<S> Private<S> for Hidden {}
        impl<S> Private<S> for Inside {}
        fn private(bytes: Bytes) {}
    ";
    let expected = [
        "http::Extensions",
        "http::HeaderMap",
        "http::StatusCode",
        "http::request::Parts",
        "tower_layer::Layer",
    ];
    assert_eq!(foreign(code), expected.into_iter().map(str::to_owned).collect());
}

/// The first column of the page's table.
fn listed(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The imported types that a file's public signatures name.
fn foreign(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    let code = lines.collect::<Vec<_>>().join("\n");
    let imports = imports(&code);
    let signatures = signatures(&code);
    let words = signatures.iter().flat_map(|signature| {
        signature.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
    });
    let paths = signatures.iter().flat_map(|signature| spelled_out(signature));
    let dependencies = dependencies();
    let is_foreign = |path: &String| dependencies.contains(path.split("::").next().unwrap());
    words.filter_map(|word| imports.get(word).cloned()).chain(paths).filter(is_foreign).collect()
}

/// Each name that a `use` brings in from another crate, and its path.
fn imports(code: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for import in code.split("use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        expand(&mut names, "", &import.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    names
}

fn expand(names: &mut BTreeMap<String, String>, prefix: &str, import: &str) {
    if let Some((head, group)) = import.split_once('{') {
        let prefix = format!("{prefix}{head}");
        let group = group.trim_end().strip_suffix('}').unwrap_or(group);
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(names, &prefix, group[start..at].trim());
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let path = format!("{prefix}{import}");
    let name = path.rsplit("::").next().unwrap().to_owned();
    let is_type = name.starts_with(char::is_uppercase) && path.contains("::");
    if is_type && !path.contains(" as ") {
        names.insert(name, path);
    }
}

/// Paths that are written out, as `http::Request`.
fn spelled_out(signature: &str) -> Vec<String> {
    let words = signature.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let is_type =
        |word: &&str| word.rsplit_once("::").is_some_and(|(_, name)| name.starts_with(char::is_uppercase));
    words.filter(is_type).map(str::to_owned).collect()
}

/// The types of a file that the crate keeps to itself.
fn private_types(code: &str) -> BTreeSet<&str> {
    let declared = code.lines().filter(|line| !line.starts_with("pub "));
    let named = declared.filter_map(|line| line.split_once("struct ").or_else(|| line.split_once("enum ")));
    let is_item = |before: &str| before.is_empty() || before.starts_with("pub(");
    named.filter(|(before, _)| is_item(before)).map(|(_, rest)| name_in(rest)).collect()
}

/// The name that a text begins with.
fn name_in(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// The public part of each item: a function, an implementation of a trait or a trait up to its body, a field, an enum with
/// its variants. The methods of a public trait are as public as the trait.
fn signatures(code: &str) -> Vec<String> {
    let private = private_types(code);
    let mut signatures = Vec::new();
    let mut lines = code.lines();
    let mut in_trait = false;
    while let Some(line) = lines.next() {
        let item = line.trim_start();
        in_trait = (in_trait && !line.starts_with('}')) || item.starts_with("pub trait ");
        let is_public = item.starts_with("pub ") && !item.starts_with("pub use");
        let is_impl = item.starts_with("impl")
            && item.split_once(" for ").is_some_and(|(_, of)| !private.contains(&name_in(of)));
        if !(is_public || is_impl || (in_trait && item.starts_with("fn "))) {
            continue;
        }
        let is_enum = item.starts_with("pub enum ");
        let has_body = is_impl || ["fn ", "struct ", "trait "].iter().any(|kind| item.contains(kind));
        let mut signature = item.to_owned();
        let is_whole = |signature: &str| match (is_enum, has_body) {
            (true, _) => signature.contains('}'),
            (false, true) => signature.contains(['{', ';']),
            (false, false) => signature.contains([',', ';']),
        };
        while !is_whole(&signature) {
            let Some(next) = lines.next() else { break };
            signature.push('\n');
            signature.push_str(next);
        }
        let body = signature.find('{').filter(|_| !is_enum);
        let (head, rest) = signature.split_at(body.unwrap_or(signature.len()));
        signatures.push(head.to_owned());
        // A struct in one line.
        let fields = rest.split(['{', ',', '}']).map(str::trim).filter(|field| field.starts_with("pub "));
        signatures.extend(fields.map(str::to_owned));
    }
    signatures
}
