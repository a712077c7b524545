//! The findings and repairs of a reconciliation (rule Y6).

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::abort::Abort;

/// Whether a reconciliation changes the mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReconcileMode {
    /// It reports the differences and changes nothing.
    #[default]
    Report,
    /// It makes the mirror Clerk's state.
    Repair,
}

/// How a reconciliation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReconcileOutcome {
    /// The mirror was Clerk's state.
    Equal,
    /// The mirror was not Clerk's state, and is now.
    Repaired,
    /// The mirror is not Clerk's state.
    DifferencesRemain,
    /// The reconciliation gave up. It has deleted nothing.
    Aborted,
}

impl ReconcileOutcome {
    /// The exit code of `clerk-sync reconcile`: 0 equal or repaired, 1 aborted, 3 differences remain.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Equal | Self::Repaired => 0,
            Self::Aborted => 1,
            Self::DifferencesRemain => 3,
        }
    }
}

/// The report of a [`Reconcile`](super::Reconcile).
///
/// It holds numbers and names of columns, and neither ids nor contents of rows. `Display` is a table.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ReconcileReport {
    /// The instance (`ins_…`).
    pub instance_id: String,
    /// Whether the mirror was to be changed.
    pub mode: ReconcileMode,
    /// How it has ended.
    pub outcome: ReconcileOutcome,
    /// Why it gave up, in words.
    pub reason: Option<String>,
    /// Clerk's time at the beginning, in milliseconds since 1970; that of this machine if Clerk didn't answer.
    pub started_at: i64,
    /// The time that it took, in seconds.
    pub seconds: f64,
    /// Users.
    pub users: KindReport,
    /// Organizations.
    pub organizations: KindReport,
    /// Memberships.
    pub memberships: KindReport,
}

/// The part of a report on users, organizations or memberships.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KindReport {
    /// Entries that the scan of Clerk's list has found.
    pub at_clerk: u64,
    /// Rows in the mirror at the beginning, without deleted ones.
    pub before: u64,
    /// Rows in the mirror at the end, without deleted ones.
    pub after: u64,
    /// Entries that the mirror didn't have.
    pub missing: u64,
    /// Rows that Clerk doesn't have any more, by two confirmations.
    pub extra: u64,
    /// Rows with an older or another content than Clerk's.
    pub stale: u64,
    /// Entries that the mirror held for deleted.
    pub wrongly_deleted: u64,
    /// Entries that don't fit the mirror's columns. They are in the quarantine.
    pub unfit: u64,
    /// Differences that are still there.
    pub remaining: u64,
    /// In how many stale rows each column differs.
    pub differing_fields: BTreeMap<String, u64>,
}

impl KindReport {
    pub(super) fn count_stale(&mut self, rows: usize, columns: BTreeMap<&'static str, u64>) {
        self.stale += u64::try_from(rows).unwrap_or(u64::MAX);
        for (column, rows) in columns {
            *self.differing_fields.entry(column.to_owned()).or_default() += rows;
        }
    }

    pub(super) fn differences(&self) -> u64 {
        self.missing + self.extra + self.stale + self.wrongly_deleted + self.unfit
    }
}

impl ReconcileReport {
    pub(super) fn new(mode: ReconcileMode, started_at: i64) -> Self {
        Self {
            instance_id: String::new(),
            mode,
            outcome: ReconcileOutcome::Aborted,
            reason: None,
            started_at,
            seconds: 0.0,
            users: KindReport::default(),
            organizations: KindReport::default(),
            memberships: KindReport::default(),
        }
    }

    pub(super) fn abort(&mut self, abort: &Abort) {
        self.outcome = ReconcileOutcome::Aborted;
        self.reason = Some(abort.to_string());
    }

    /// Decides how the reconciliation has ended, from the numbers of its parts.
    pub(super) fn conclude(&mut self) {
        let is_report = self.mode == ReconcileMode::Report;
        for kind in [&mut self.users, &mut self.organizations, &mut self.memberships] {
            kind.remaining = if is_report { kind.differences() } else { kind.remaining + kind.unfit };
        }
        let kinds = [&self.users, &self.organizations, &self.memberships];
        self.outcome = if kinds.iter().any(|kind| kind.remaining > 0) {
            ReconcileOutcome::DifferencesRemain
        } else if kinds.iter().any(|kind| kind.differences() > 0) {
            ReconcileOutcome::Repaired
        } else {
            ReconcileOutcome::Equal
        };
    }
}

impl fmt::Display for ReconcileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("users", &self.users),
            ("organizations", &self.organizations),
            ("memberships", &self.memberships),
        ];
        if self.outcome == ReconcileOutcome::Aborted && self.instance_id.is_empty() {
            // Nothing was read, so there is nothing to count.
            return write!(f, "aborted: {}", self.reason.as_deref().unwrap_or_default());
        }
        write!(f, "{:<14}", "")?;
        for title in ["Clerk", "before", "missing", "extra", "stale", "remaining", "after"] {
            write!(f, "{title:>10}")?;
        }
        for (name, it) in kinds {
            write!(f, "\n{name:<14}")?;
            for number in [it.at_clerk, it.before, it.missing, it.extra, it.stale, it.remaining, it.after] {
                write!(f, "{number:>10}")?;
            }
        }
        for (name, it) in kinds {
            if it.wrongly_deleted > 0 {
                write!(f, "\nheld for deleted in {name}, but at Clerk: {}", it.wrongly_deleted)?;
            }
            if it.unfit > 0 {
                write!(
                    f,
                    "\nentries of {name} that can't be stored: {}; a repair puts them into the quarantine",
                    it.unfit
                )?;
            }
        }
        for (name, it) in kinds {
            if !it.differing_fields.is_empty() {
                let fields: Vec<String> =
                    it.differing_fields.iter().map(|(field, rows)| format!("{field} {rows}")).collect();
                write!(f, "\nfields that differ in {name}: {}", fields.join(", "))?;
            }
        }
        let seconds = self.seconds;
        match (&self.outcome, &self.reason) {
            (ReconcileOutcome::Equal, _) => write!(f, "\nequal, after {seconds:.1} s"),
            (ReconcileOutcome::Repaired, _) => write!(f, "\nrepaired, after {seconds:.1} s"),
            (ReconcileOutcome::DifferencesRemain, _) => {
                write!(f, "\ndifferences remain, after {seconds:.1} s")
            }
            (ReconcileOutcome::Aborted, reason) => {
                write!(f, "\naborted: {}", reason.as_deref().unwrap_or_default())
            }
        }
    }
}
