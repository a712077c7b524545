//! `docs/rules.md` against the tests: each statement is held by one, and each test holds a statement.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Tests that hold no rule: of the house itself, and of the helpers for tests of an app, about which no rule says anything.
const WITHOUT_RULES: &[&str] = &[
    "tests/it/arrows.rs",
    "tests/it/auto_traits.rs",
    "tests/it/foreign_types.rs",
    "tests/it/pages.rs",
    "tests/it/rules.rs",
    "tests/it/sizes.rs",
    "tests/it/template.rs",
    "tests/it/testing.rs",
];

/// Modules whose `//!` is read by users.
const PUBLIC_MODULES: &[&str] = &["src/lib.rs", "src/testing.rs", "sync/src/lib.rs"];

/// A source file, by its path from the crate's root.
struct Source {
    path: String,
    text: String,
}

/// `docs/rules.md`, as far as it is checked.
struct Page {
    /// The numbers that have a heading, in lower case as they begin a test's name.
    numbers: BTreeSet<String>,
    bullets: Vec<String>,
}

#[test]
fn each_rule_is_held_by_a_test_and_each_test_holds_a_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join("examples/heavy").exists() {
        // The package that is published, which lacks a part of the tests.
        return;
    }
    let page = Page::read(&fs::read_to_string(root.join("docs/rules.md")).unwrap());
    let sources: Vec<Source> = ["src", "tests", "examples", "fake-clerk", "sync"]
        .into_iter()
        .flat_map(|folder| sources(root, folder))
        .collect();
    assert!(page.bullets.len() > 50 && sources.len() > 100, "the page and the sources are found");
    let offences = offences(&page, &sources);
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn each_offence_is_found() {
    let test = |path: &str, text: &str| {
        let page = Page::read("### S1\n\n- It works.\n  *Held by* `s1_works`, `other`.\n");
        let held = Source { path: "fake-clerk/a.rs".into(), text: test_fn("s1_works") + &test_fn("other") };
        offences(&page, &[held, Source { path: path.into(), text: text.into() }])
    };
    let none: [String; 0] = [];
    assert_eq!(test("tests/it/a.rs", &(test_fn("s1_more") + "fn helper() {}\n")), none);
    assert_eq!(test("tests/it/a.rs", &test_fn("works")), ["tests/it/a.rs: `works` names no rule"]);
    let heavy = "examples/heavy/tests/grpc/a.rs";
    assert_eq!(test(heavy, &test_fn("works")), [format!("{heavy}: `works` names no rule")]);
    assert_eq!(test("src/a.rs", &test_fn("works")), none, "beside the code a test may hold no rule");
    assert_eq!(test("src/a.rs", &test_fn("s2_works")), ["src/a.rs: `s2_works`: the page has no rule S2"]);
    assert_eq!(test("fake-clerk/b.rs", &test_fn("s2_works")), none, "that crate has no rules");
    assert_eq!(test("tests/it/arrows.rs", &test_fn("works")), none);

    let of_docs = |path: &str, text: &str| !test(path, text).is_empty();
    assert!(of_docs("src/a.rs", "/// Works (rule\n/// S1).\n#[must_use]\npub fn a() {}\n"));
    assert!(of_docs("src/a.rs", "pub enum A {\n    /// Works (S1).\n    B,\n}\n"));
    assert!(of_docs("src/lib.rs", "//! As rules S1 and S2 say.\n"));
    assert!(!of_docs("src/a.rs", "//! As rule S1 says.\n\n/// Rule S1.\npub(crate) fn a() {}\n"));
    assert!(!of_docs("src/a.rs", "/// C1 controls (U+0080), after a rule (RFC 7617).\npub fn a() {}\n"));

    let of_page = |text: &str| offences(&Page::read(text), &[]);
    assert_eq!(of_page("### S1\n\n- It works.\n"), ["no test is named: It works."]);
    assert_eq!(of_page("- It works\n  well.\n  *Held by* nobody.\n")[0], "no test is named: It works well.");
    assert_eq!(of_page("- Held by `a`.\n").len(), 1, "the line has to begin with it");
    let missing = of_page("- It works.\n  *Held by* `a`,\n  `b`.\n");
    assert_eq!(missing, ["`a` is no test: It works.", "`b` is no test: It works."]);
}

/// A test function as it stands in a file.
fn test_fn(name: &str) -> String {
    format!("    #[test]\n    fn {name}() {{}}\n")
}

fn offences<'a>(page: &'a Page, sources: &'a [Source]) -> Vec<String> {
    let of = |source: &'a Source| tests_in(&source.text).into_iter().map(|name| (&*source.path, name));
    let tests: Vec<(&str, &str)> = sources.iter().flat_map(of).collect();
    let (mut offences, mut named) = (Vec::new(), BTreeSet::new());
    for (statement, names) in page.bullets.iter().map(|bullet| split(bullet)) {
        if names.is_empty() {
            offences.push(format!("no test is named: {statement}"));
        }
        let missing = names.iter().filter(|name| !tests.iter().any(|(_, test)| test == *name));
        offences.extend(missing.map(|name| format!("`{name}` is no test: {statement}")));
        named.extend(names);
    }
    offences.extend(tests.iter().filter_map(|(path, test)| offence_of_test(page, &named, path, test)));
    offences.extend(sources.iter().flat_map(offences_of_docs));
    offences
}

/// Whether a file has tests of the whole, which all hold a rule.
fn is_of_tests(path: &str) -> bool {
    ["tests/", "examples/heavy/tests/", "sync/tests/"].iter().any(|folder| path.starts_with(folder))
}

/// The fault in the name of a test.
fn offence_of_test(page: &Page, named: &BTreeSet<&str>, path: &str, test: &str) -> Option<String> {
    match number_of(test) {
        // The stand-in is a crate of its own, and no rule is about it.
        _ if path.starts_with("fake-clerk/") => None,
        Some(number) if !page.numbers.contains(number) => {
            Some(format!("{path}: `{test}`: the page has no rule {}", number.to_uppercase()))
        }
        None if is_of_tests(path) && !WITHOUT_RULES.contains(&path) && !named.contains(test) => {
            Some(format!("{path}: `{test}` names no rule"))
        }
        _ => None,
    }
}

/// To a user of the crate, a rule's number in the documentation of a function means nothing.
fn offences_of_docs(source: &Source) -> Vec<String> {
    let is_public_module = PUBLIC_MODULES.contains(&&*source.path);
    let (mut shown, mut doc, mut is_in_public) = (Vec::new(), String::new(), false);
    for line in source
        .text
        .lines()
        .filter(|_| ["src/", "sync/src/"].iter().any(|folder| source.path.starts_with(folder)))
    {
        let code = line.trim_start();
        if let Some(text) = code.strip_prefix("///") {
            doc = doc + text + " ";
        } else if code.starts_with("//!") && is_public_module && names_rule(code) {
            shown.push(code);
        } else if !code.starts_with("#[") {
            // Variants and the methods of traits are as public as what they belong to.
            if code == line && !code.is_empty() && code != "}" {
                is_in_public = code.starts_with("pub enum ") || code.starts_with("pub trait ");
            }
            if (code.starts_with("pub ") || (is_in_public && code != line)) && names_rule(&doc) {
                shown.push(code);
            }
            doc.clear();
        }
    }
    let offence = |code| format!("{}: a rule's number in public documentation: {code}", source.path);
    shown.into_iter().map(offence).collect()
}

/// `rule S1`, `rules S1 and S2`, or `(S1)`.
fn names_rule(text: &str) -> bool {
    let is_number = |word: &str| {
        word.len() > 1
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let after_rule = words.windows(2).any(|pair| {
        let number = pair[1].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        matches!(pair[0].trim_start_matches('('), "rule" | "rules" | "Rule" | "Rules") && is_number(number)
    });
    let in_parentheses = text.split('(').skip(1).filter_map(|rest| rest.split_once(')'));
    after_rule || in_parentheses.into_iter().any(|(inside, _)| is_number(inside))
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self { numbers: BTreeSet::new(), bullets: Vec::new() };
        let mut is_in_bullet = false;
        for line in text.lines() {
            if let Some(bullet) = line.strip_prefix("- ") {
                page.bullets.push(bullet.to_owned());
            } else if let Some(bullet) = page.bullets.last_mut().filter(|_| is_in_bullet) {
                // Lines stay apart, for `*Held by*` begins one.
                bullet.push_str(&line.replacen("  ", "\n", 1));
            }
            page.numbers.extend(line.strip_prefix("### ").map(str::to_lowercase));
            is_in_bullet = line.starts_with("- ") || (is_in_bullet && line.starts_with("  "));
        }
        page
    }
}

/// The statement of a bullet, and the tests that it names.
fn split(bullet: &str) -> (String, Vec<&str>) {
    let (statement, held_by) = bullet.split_once("\n*Held by* ").unwrap_or((bullet, ""));
    (statement.replace('\n', " "), held_by.split('`').skip(1).step_by(2).collect())
}

/// The number that a test's name begins with: `s1` of `s1_it_works`.
fn number_of(test: &str) -> Option<&str> {
    let (number, _) = test.split_once('_')?;
    let digits = number.strip_prefix(|c: char| c.is_ascii_lowercase())?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

fn tests_in(text: &str) -> Vec<&str> {
    let (mut tests, mut is_marked) = (Vec::new(), false);
    for line in text.lines().map(str::trim_start) {
        is_marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some(name) = function.filter(|_| is_marked) {
            tests.extend(name.split('(').next());
            is_marked = false;
        }
    }
    tests
}

/// All Rust files of a folder. Where the crate was packaged, the stand-in is not there.
fn sources(root: &Path, folder: &str) -> Vec<Source> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let read = |name: &str| match format!("{folder}/{name}") {
        path if root.join(&path).is_dir() => sources(root, &path),
        path if !path.ends_with(".rs") => Vec::new(),
        path => vec![Source { text: fs::read_to_string(root.join(&path)).unwrap(), path }],
    };
    entries.flat_map(|entry| read(entry.unwrap().file_name().to_str().unwrap())).collect()
}
