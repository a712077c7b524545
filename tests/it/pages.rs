//! The pages: their links lead somewhere, here and on docs.rs, and their code is compiled or is that of an example.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The pages in Markdown, by their path.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(ROOT);
    let of_root = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "fake-clerk/README.md"];
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let paths = of_root.map(|page| root.join(page)).into_iter().chain(docs);
    // A published package has no fake-clerk.
    paths.filter(|path| path.exists()).map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines outside of blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().trim_start_matches("> ").starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of links in the text: `](target)`.
fn inline_targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next())
}

/// The definition of a reference: `[name]: target`.
fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, target) = line.strip_prefix('[')?.split_once("]: ")?;
    (!name.contains(']')).then_some((name, target.trim()))
}

/// The anchors of a page's headings, as GitHub and rustdoc make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter_map(|line| line.trim_start_matches("> ").strip_prefix('#'));
    let slug = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let mut broken = Vec::new();
    for (path, page) in pages() {
        // Its definitions are those of docs.rs.
        if path.ends_with("docs/rustdoc-links.md") {
            continue;
        }
        let targets = prose(&page).flat_map(|line| {
            inline_targets(line).chain(definition(line).map(|(_, target)| target)).collect::<Vec<_>>()
        });
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_found = fs::read_to_string(&file).map_or_else(
                |_| file.is_dir() && anchor.is_empty(),
                |text| anchor.is_empty() || anchors(&text).contains(anchor),
            );
            // Links of a published package to what it doesn't have.
            let is_elsewhere = !Path::new(ROOT).join("fake-clerk").exists() && target.contains("fake-clerk");
            if !is_found && !is_elsewhere {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn references_of_pages_on_docs_rs_are_defined_there_too() {
    let documentation = fs::read_to_string(Path::new(ROOT).join("src/documentation.rs")).unwrap();
    let links = fs::read_to_string(Path::new(ROOT).join("docs/rustdoc-links.md")).unwrap();
    let defined: Vec<_> = links.lines().filter_map(definition).collect();
    for (name, target) in &defined {
        let Some(module) = target.strip_prefix("../").and_then(|it| it.split('/').next()) else { continue };
        assert!(documentation.contains(&format!("pub mod {module} {{}}")), "[{name}] leads to no page");
    }
    let mut wrong = Vec::new();
    for (path, page) in pages() {
        let name = path.strip_prefix(ROOT).unwrap().display().to_string();
        if !documentation.contains(&format!("\"../{name}\"")) {
            continue;
        }
        let relative = |target: &&str| !target.contains("://") && !target.starts_with('#');
        for line in prose(&page) {
            wrong.extend(inline_targets(line).filter(relative).map(|target| format!("{name}: ({target})")));
            if let Some((reference, target)) = definition(line).filter(|(_, target)| relative(target))
                && !defined.iter().any(|(known, _)| *known == reference)
            {
                wrong.push(format!("{name}: [{reference}]: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these links are broken on docs.rs:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_on_docs_rs() {
    let documentation = fs::read_to_string(Path::new(ROOT).join("src/documentation.rs")).unwrap();
    for (path, _) in pages() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_page = path.parent().unwrap().ends_with("docs") && name != "rustdoc-links.md";
        assert!(!is_page || documentation.contains(&format!("../docs/{name}\"")), "{name}");
    }
}

/// A block that the compiler is told to ignore has to be a part of a program that it compiles.
#[test]
fn code_that_is_not_compiled_with_its_page_is_that_of_an_example() {
    // The documentation of an item is compiled, too.
    let line = |line: &'_ str| line.trim().trim_start_matches("/// ").to_owned();
    let trimmed = |text: &str| text.lines().map(line).collect::<Vec<_>>().join("\n");
    let mut sources = Vec::new();
    for folder in ["examples", "sync"] {
        collect(&Path::new(ROOT).join(folder), &mut sources);
    }
    let sources: Vec<_> = sources.iter().map(|path| trimmed(&fs::read_to_string(path).unwrap())).collect();
    for (path, page) in pages() {
        for block in page.split("```rust,ignore\n").skip(1) {
            let code = trimmed(block.split("```").next().unwrap());
            let is_found = sources.iter().any(|source| source.contains(code.trim()));
            // A published package has not all of the examples.
            let is_whole = Path::new(ROOT).join("sync").exists();
            assert!(is_found || !is_whole, "{}:\n{code}", path.display());
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn the_readme_is_read_in_a_few_minutes_and_the_page_on_tests_has_the_template() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let words = readme.split_whitespace().count();
    assert!(words <= 1_500, "the README has {words} words");
    let page = fs::read_to_string(Path::new(ROOT).join("docs/testing.md")).unwrap();
    assert!(
        page.contains(include_str!("template.rs").trim_end()),
        "docs/testing.md has another tests/it/template.rs"
    );
}
