//! Compares Clerk's lists with the mirror, page by page (rule Y6).

use std::collections::HashMap;

use super::abort::{Abort, Stop};
use super::bounds;
use super::run::Run;
use super::seen::Seen;
use crate::kind::Kind;
use crate::mirror::Head;
use crate::progress::Progress;
use crate::record::Record;
use crate::walk::{self, ListPage, Listed, Walk};

/// The result of a scan of one list.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) seen: Seen,
    /// Rows that only a read by id can judge.
    pub(super) doubtful: Vec<Doubtful>,
}

/// A row that differs from its entry in a list, where the list may be wrong.
#[derive(Debug)]
pub(super) struct Doubtful {
    pub(super) id: String,
    /// The user and the organization of a membership.
    pub(super) user_id: Option<String>,
    pub(super) organization_id: Option<String>,
    /// Whether the report has counted it.
    pub(super) is_counted: bool,
}

/// The meaning of a list's entry for its row.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Equal,
    Missing,
    Stale,
    /// The mirror and the list contradict each other.
    Doubtful,
}

impl Run<'_> {
    /// Scans the list of one kind. When this returns, entries that the mirror lacked or had in an older state are in it,
    /// unless only a report was asked for.
    pub(super) async fn scan(&mut self, kind: Kind) -> Result<Scanned, Stop> {
        let rows = self.mirror.count_live(kind).await?;
        self.report(kind).before = rows;
        let before = walk::count(self.client, kind).await?;
        let mut scanned = Scanned::default();
        self.walk(kind, before, &mut scanned).await?;
        for is_second in [false, true] {
            let after = walk::count(self.client, kind).await?;
            let seen = scanned.seen.count();
            if !bounds::is_short(seen, before, after) {
                break;
            }
            if is_second {
                self.check(Abort::Short { kind, seen, count: before.min(after) })?;
            } else {
                self.walk(kind, before, &mut scanned).await?;
            }
        }
        if scanned.seen.count() == 0 && rows > 0 {
            self.check(Abort::Empty { kind, rows })?;
        }
        self.report(kind).at_clerk = scanned.seen.count();
        Ok(scanned)
    }

    async fn walk(&mut self, kind: Kind, of: u64, scanned: &mut Scanned) -> Result<(), Stop> {
        let mut walk = Walk::new(kind);
        while let Some(mut page) = walk.next(self.client, self.page_size).await? {
            page.entries.retain(|entry| scanned.seen.insert(&entry.id));
            self.compare(kind, &page, scanned).await?;
            self.observer.tell(Progress::Listed { kind, entries: scanned.seen.count(), of });
        }
        Ok(())
    }

    async fn compare(&mut self, kind: Kind, page: &ListPage, scanned: &mut Scanned) -> Result<(), Stop> {
        let ids: Vec<&str> = page.entries.iter().map(|entry| &*entry.id).collect();
        let rows = self.mirror.heads(kind, &ids).await?;
        let rows: HashMap<&str, &Head> = rows.iter().map(|row| (&*row.id, row)).collect();
        let (mut differing, mut stale) = (Vec::new(), Vec::new());
        for entry in &page.entries {
            let Ok(record) = Record::read(kind, entry.json.as_str()) else {
                // `apply_page` puts it into the quarantine.
                self.report(kind).unfit += 1;
                differing.push(entry);
                continue;
            };
            // The event of a change since the beginning is on its way.
            let counts = record.version < self.end_of_beginning();
            match judge(&record, rows.get(&*entry.id).copied(), page.read_at) {
                Verdict::Equal => continue,
                Verdict::Doubtful => {
                    scanned.doubtful.push(Doubtful::new(entry, false));
                    continue;
                }
                Verdict::Missing => self.report(kind).missing += u64::from(counts),
                Verdict::Stale if counts => stale.push(record),
                Verdict::Stale => {}
            }
            differing.push(entry);
        }
        if !stale.is_empty() {
            let columns = self.mirror.differing_columns(kind, &stale).await?;
            self.report(kind).count_stale(stale.len(), columns);
        }
        if self.is_repair() && !differing.is_empty() {
            self.apply(kind, page.read_at, &differing, scanned).await?;
        }
        Ok(())
    }

    /// Brings entries into the mirror, and notes those that it didn't take.
    async fn apply(
        &mut self,
        kind: Kind,
        read_at: i64,
        differing: &[&Listed],
        scanned: &mut Scanned,
    ) -> Result<(), Stop> {
        let entries: Vec<&str> = differing.iter().map(|entry| entry.json.as_str()).collect();
        self.mirror.apply_page(kind, read_at, &entries, self.fence).await?;
        let ids: Vec<&str> = differing.iter().map(|entry| &*entry.id).collect();
        let rows = self.mirror.heads(kind, &ids).await?;
        let rows: HashMap<&str, &Head> = rows.iter().map(|row| (&*row.id, row)).collect();
        for entry in differing {
            let Ok(record) = Record::read(kind, entry.json.as_str()) else { continue };
            if judge(&record, rows.get(&*entry.id).copied(), read_at) != Verdict::Equal {
                scanned.doubtful.push(Doubtful::new(entry, true));
            }
        }
        Ok(())
    }
}

impl Doubtful {
    fn new(entry: &Listed, is_counted: bool) -> Self {
        Self {
            id: entry.id.clone(),
            user_id: entry.user_id.clone(),
            organization_id: entry.organization_id.clone(),
            is_counted,
        }
    }
}

fn judge(record: &Record, row: Option<&Head>, read_at: i64) -> Verdict {
    let Some(row) = row else { return Verdict::Missing };
    if row.is_deleted {
        return Verdict::Doubtful;
    }
    if record.version == row.version && record.hash == row.hash {
        return Verdict::Equal;
    }
    if record.version >= row.version {
        return Verdict::Stale;
    }
    // The mirror has heard of a later change. That is right if it has heard of it since the page was read.
    if row.told_at < read_at { Verdict::Doubtful } else { Verdict::Equal }
}
