//! How a page of a list is applied.

use std::collections::BTreeMap;

use super::Mirror;
use super::apply::{Object, Written};
use super::feed::{ChangeCause, Told};
use super::quarantine::Poison;
use super::write::Fence;
use crate::database::statements::Guard;
use crate::error::{MirrorError, MirrorErrorKind};
use crate::kind::Kind;
use crate::raw::raw;
use crate::record::{Record, Unfit};

/// The outcome for the entries of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
    /// The mirror's row is newer.
    pub(crate) older: u64,
    /// The mirror has a tombstone of it, or of its user or organization.
    pub(crate) deleted: u64,
    /// Quarantined.
    pub(crate) unfit: u64,
}

impl Applied {
    fn count(&mut self, written: Written) {
        *match written {
            Written::Created => &mut self.created,
            Written::Updated => &mut self.updated,
            Written::Unchanged => &mut self.unchanged,
            Written::Older => &mut self.older,
            Written::Deleted => &mut self.deleted,
        } += 1;
    }
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.older += other.older;
        self.deleted += other.deleted;
        self.unfit += other.unfit;
    }
}

impl Mirror {
    /// Applies entries of a list that was read at this time by Clerk's clock, in one transaction.
    ///
    /// Entries that can't be applied are quarantined, and the others are applied.
    pub(crate) async fn apply_page(
        &self,
        kind: Kind,
        read_at: i64,
        entries: &[&str],
        fence: Option<&Fence>,
    ) -> Result<Applied, MirrorError> {
        let mut applied = Applied::default();
        let mut poison = Vec::new();
        // In the order of their ids, each once: pages that overlap show an object twice.
        let mut objects: BTreeMap<String, Object> = BTreeMap::new();
        for json in entries {
            match Record::read(kind, json) {
                Ok(record) => {
                    let is_newer =
                        objects.get(&record.id).is_none_or(|other| other.record.version <= record.version);
                    if is_newer {
                        let raw = if self.inner.keep_raw { raw(json) } else { None };
                        objects.insert(record.id.clone(), Object { record, raw });
                    }
                }
                Err(unfit) => poison.push(Poison::entry(kind, unfit)),
            }
        }
        let objects: Vec<Object> = objects.into_values().collect();
        match self.apply_objects(&objects, read_at, fence, &mut applied).await {
            Err(error) if error.kind() == MirrorErrorKind::Unfit => {
                // One of them can't be stored, so each goes alone.
                for object in &objects {
                    match self.apply_objects(std::slice::from_ref(object), read_at, fence, &mut applied).await
                    {
                        Err(error) if error.kind() == MirrorErrorKind::Unfit => {
                            let id = Some(object.record.id.clone());
                            let reason = "the database can't store it";
                            poison.push(Poison::entry(kind, Unfit { id, reason, ..Unfit::default() }));
                        }
                        other => other?,
                    }
                }
            }
            other => other?,
        }
        applied.unfit = poison.len() as u64;
        self.quarantine(&poison, fence).await?;
        self.inner.wake.notify_one();
        Ok(applied)
    }

    async fn apply_objects(
        &self,
        objects: &[Object],
        read_at: i64,
        fence: Option<&Fence>,
        applied: &mut Applied,
    ) -> Result<(), MirrorError> {
        if objects.is_empty() {
            return Ok(());
        }
        let mut write = self.begin_fenced(fence).await?;
        let written = self.upsert(&mut write, objects, read_at, Guard::NotNewer).await?;
        let told = objects.iter().zip(&written).filter_map(|(object, written)| {
            let Record { kind, id, .. } = &object.record;
            Some(Told { kind: *kind, id: id.clone(), change: written.change()? })
        });
        let told: Vec<Told> = told.collect();
        self.tell(&mut write, &told, ChangeCause::List).await?;
        write.commit().await?;
        written.into_iter().for_each(|written| applied.count(written));
        Ok(())
    }
}
