//! Records in memory, which nothing outlives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::ready;
use std::sync::Mutex;

use super::records::{Header, If, Kind, Name, NotWritten, Records, Row, Tag, Targets, Wait};
use crate::sync::lock;

/// Records in memory. When a kind is full, its records that end first make room.
pub(crate) struct MemoryRecords {
    table: Mutex<Table>,
    most: fn(Kind) -> usize,
}

impl MemoryRecords {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::default(), most }
    }

    #[cfg(test)]
    pub(super) fn with_limit(most: fn(Kind) -> usize) -> Self {
        Self { table: Mutex::default(), most }
    }
}

/// A login is worth nothing in memory, where its proof is as well.
fn most(kind: Kind) -> usize {
    match kind {
        Kind::Login => 0,
        Kind::Device => 10_000,
        Kind::Session => 1_000_000,
    }
}

#[derive(Default)]
struct Table {
    rows: HashMap<Name, (Row, u64)>,
    by_user: BTreeSet<(Tag, Name)>,
    by_session: BTreeSet<(Tag, Name)>,
    /// By kind, end and count.
    by_end: BTreeMap<(u8, u64, u64), Name>,
    /// Number of records of each kind.
    by_kind: [usize; Kind::ALL.len() + 1],
    count: u64,
}

impl Table {
    fn put(&mut self, row: Row, condition: If, most: usize) -> Result<(), NotWritten> {
        let stored = self.rows.get(&row.name).map(|(stored, _)| &stored.header);
        if most == 0 || !condition.holds(stored, Some(&row.header)) {
            return Err(NotWritten);
        }
        self.remove(row.name);
        let kind = row.header.kind as u8;
        while self.by_kind[row.header.kind as usize] >= most {
            let first = self.by_end.range((kind, 0, 0)..).next().map(|(_, name)| *name);
            let Some(first) = first else { break };
            self.remove(first);
        }
        self.by_kind[row.header.kind as usize] += 1;
        let (name, Header { user, session, ends, .. }) = (row.name, row.header);
        self.count += 1;
        self.by_user.insert((user, name));
        self.by_session.insert((session, name));
        self.by_end.insert((kind, ends, self.count), name);
        self.rows.insert(name, (row, self.count));
        Ok(())
    }

    fn remove(&mut self, name: Name) -> Option<Row> {
        let (row, count) = self.rows.remove(&name)?;
        let Header { kind, user, session, ends, .. } = row.header;
        self.by_user.remove(&(user, name));
        self.by_session.remove(&(session, name));
        self.by_end.remove(&(kind as u8, ends, count));
        self.by_kind[kind as usize] -= 1;
        Some(row)
    }

    fn named(&self, targets: Targets) -> Vec<Name> {
        let of = |set: &BTreeSet<(Tag, Name)>, tag: Tag| -> Vec<Name> {
            set.range((tag, Name([0; 32]))..=(tag, Name([u8::MAX; 32]))).map(|(_, name)| *name).collect()
        };
        match targets {
            Targets::Name(name, _) => vec![name],
            Targets::User(user) | Targets::LoginsBefore(user, _) => of(&self.by_user, user),
            Targets::Session(session, _) => of(&self.by_session, session),
            Targets::All => self.rows.keys().copied().collect(),
        }
    }

    fn take(&mut self, targets: Targets) -> Vec<Row> {
        let names = self.named(targets);
        let included =
            |name: &Name| self.rows.get(name).is_some_and(|(row, _)| targets.include(*name, &row.header));
        let names: Vec<_> = names.into_iter().filter(included).collect();
        names.into_iter().filter_map(|name| self.remove(name)).collect()
    }
}

impl Records for MemoryRecords {
    fn get(&self, name: Name) -> Wait<Option<Row>> {
        let row = lock(&self.table).rows.get(&name).map(|(row, _)| row.clone());
        Box::pin(ready(row))
    }

    fn of_user(&self, user: Tag) -> Wait<Vec<Row>> {
        let table = lock(&self.table);
        let names = table.named(Targets::User(user));
        let rows = names.iter().filter_map(|name| table.rows.get(name)).map(|(row, _)| row.clone()).collect();
        Box::pin(ready(rows))
    }

    fn put(&self, row: Row, condition: If) -> Wait<Result<(), NotWritten>> {
        let most = (self.most)(row.header.kind);
        let written = lock(&self.table).put(row, condition, most);
        Box::pin(ready(written))
    }

    fn take(&self, targets: Targets) -> Wait<Vec<Row>> {
        let taken = lock(&self.table).take(targets);
        Box::pin(ready(taken))
    }

    fn flush(&self) -> Wait<()> {
        Box::pin(ready(()))
    }

    fn unwritten(&self) -> usize {
        0
    }
}
