//! Committed figures of a request, to compare a later build with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::callgrind::Instructions;

/// The growth, in percent, from which on a build fails.
const MOST: f64 = 3.0;
/// A function with fewer instructions is not listed.
const LISTED: f64 = 10.0;
/// The functions that are named in a complaint.
const NAMED: usize = 8;

/// The instructions and allocations of some requests, each by its name, less those of the same request without a layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(BTreeMap<String, Figure>);

/// The instructions and allocations of a request.
#[derive(Clone, Debug, Default, PartialEq)]
struct Figure {
    instructions: f64,
    allocations: f64,
    by_function: BTreeMap<String, f64>,
}

impl Figures {
    /// Adds a request, which is measured together with the bare service.
    pub fn add(&mut self, name: &str, counted: &Instructions, bare: &Instructions, allocations: f64) {
        let mut by_function = counted.by_function.clone();
        for (function, of_bare) in &bare.by_function {
            *by_function.entry(function.clone()).or_default() -= of_bare;
        }
        by_function.retain(|_, instructions| instructions.abs() >= LISTED);
        let instructions = counted.total - bare.total;
        self.0.insert(name.to_owned(), Figure { instructions, allocations, by_function });
    }

    /// The figures as the text of a file: a line for each request, and one for each of its functions.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (name, figure) in &self.0 {
            let Figure { instructions, allocations, by_function } = figure;
            _ = writeln!(text, "{instructions:.0} instructions, {allocations:.2} allocations: {name}");
            let mut functions: Vec<_> = by_function.iter().collect();
            functions.sort_by(|one, other| other.1.total_cmp(one.1));
            functions.iter().for_each(|(function, count)| _ = writeln!(text, "    {count:.0} {function}"));
        }
        text
    }

    /// Reads what [`Self::to_text`] has written. Returns `None` if it is anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut figures: Vec<(String, Figure)> = Vec::new();
        for line in text.lines() {
            if let Some(of_function) = line.strip_prefix("    ") {
                let (count, function) = of_function.split_once(' ')?;
                figures.last_mut()?.1.by_function.insert(function.to_owned(), count.parse().ok()?);
                continue;
            }
            let (counts, name) = line.split_once(": ")?;
            let (instructions, allocations) = counts.split_once(" instructions, ")?;
            let figure = Figure {
                instructions: instructions.parse().ok()?,
                allocations: allocations.strip_suffix(" allocations")?.parse().ok()?,
                by_function: BTreeMap::new(),
            };
            figures.push((name.to_owned(), figure));
        }
        Some(Self(figures.into_iter().collect()))
    }

    /// The figures that have grown too much since these, by how much and where, in lines to print.
    #[must_use]
    pub fn complaints(&self, now: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, figure) in &now.0 {
            let Some(before) = self.0.get(name) else {
                lines.push(format!("{name}: there is no figure for it"));
                continue;
            };
            if let Some(growth) = growth(before.allocations, figure.allocations) {
                let (now, before) = (figure.allocations, before.allocations);
                lines.push(format!("{name}: {now:.2} allocations, {growth:.1} % more than {before:.2}"));
            }
            if let Some(growth) = growth(before.instructions, figure.instructions) {
                let (now, then) = (figure.instructions, before.instructions);
                lines.push(format!("{name}: {now:.0} instructions, {growth:.1} % more than {then:.0}"));
                lines.extend(figure.grown(before));
            }
        }
        lines
    }
}

impl Figure {
    /// The functions that have grown most since `before`, and those that have shrunk most: code may only have moved.
    fn grown(&self, before: &Self) -> Vec<String> {
        let functions = self.by_function.keys().chain(before.by_function.keys());
        let changes: BTreeMap<&String, f64> = functions
            .map(|function| {
                let of = |figure: &Self| figure.by_function.get(function).copied().unwrap_or_default();
                (function, of(self) - of(before))
            })
            .collect();
        let mut changes: Vec<_> = changes.into_iter().filter(|(_, change)| change.abs() >= 1.0).collect();
        changes.sort_by(|one, other| other.1.abs().total_cmp(&one.1.abs()));
        let named = changes.into_iter().take(NAMED);
        named.map(|(function, change)| format!("    {change:+.0} {function}")).collect()
    }
}

/// The growth in percent, if it is too much.
fn growth(before: f64, now: f64) -> Option<f64> {
    let growth = (now / before - 1.0) * 100.0;
    (growth > MOST).then_some(growth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(functions: &[(&str, f64)]) -> Instructions {
        let by_function: BTreeMap<_, _> =
            functions.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Instructions { total: by_function.values().sum(), by_function }
    }

    fn figures(functions: &[(&str, f64)], allocations: f64) -> Figures {
        let mut figures = Figures::default();
        figures.add("hit", &instructions(functions), &instructions(&[("drive", 1_000.0)]), allocations);
        figures
    }

    #[test]
    fn figures_are_read_as_they_were_written() {
        let written = figures(&[("drive", 1_020.0), ("a::<B: C>::d", 2_000.0), ("small", 9.0)], 3.0);
        let text = written.to_text();
        assert_eq!(text, "2029 instructions, 3.00 allocations: hit\n    2000 a::<B: C>::d\n    20 drive\n");
        assert_eq!(Figures::read(&text).unwrap().to_text(), text);
        assert_eq!(Figures::read("<html>\n"), None);
    }

    #[test]
    fn a_growth_of_more_than_three_percent_is_told_with_its_place() {
        let before = figures(&[("drive", 1_000.0), ("find", 1_500.0), ("hash", 500.0)], 3.0);
        let now = |find: f64, hash: f64, allocations: f64| {
            before.complaints(&figures(&[("drive", 1_000.0), ("find", find), ("hash", hash)], allocations))
        };
        assert_eq!(now(1_559.0, 500.0, 3.08), Vec::<String>::new());
        assert_eq!(now(900.0, 300.0, 2.0), Vec::<String>::new());
        assert_eq!(
            now(1_700.0, 400.0, 3.0),
            ["hit: 2100 instructions, 5.0 % more than 2000", "    +200 find", "    -100 hash"]
        );
        assert_eq!(now(1_500.0, 500.0, 4.0), ["hit: 4.00 allocations, 33.3 % more than 3.00"]);
        let complaints = Figures::default().complaints(&before);
        assert_eq!(complaints, ["hit: there is no figure for it"]);
    }
}
