//! Reads objects by id where a list and the mirror contradict each other (rule Y6).
//!
//! A list can't decide that: a tombstone wins over it, and so does a version that seems to be newer. A read by id, sent a minute
//! later, wins over both.

use tower_clerk::backend::{BackendClient, BackendErrorKind, Json, MembershipQuery};

use super::abort::Stop;
use super::run::Run;
use super::scan::Doubtful;
use crate::kind::Kind;
use crate::record::Record;
use crate::time;

impl Run<'_> {
    /// Reads one object, brings it into the mirror unless only a report was asked for, and counts it.
    pub(super) async fn reread(&mut self, kind: Kind, row: &Doubtful) -> Result<(), Stop> {
        let read = self.mirror.begin_read(kind, &row.id).await?;
        // An object that is gone by now has its event on its way, or is found by the next run.
        let Some((json, read_at)) = find(self.client, kind, row).await? else { return Ok(()) };
        let Ok(record) = Record::read(kind, json.as_str()) else { return Ok(()) };
        let Some((is_deleted, is_equal)) = self.state(&record).await? else { return Ok(()) };
        if !is_equal && !row.is_counted {
            if is_deleted {
                self.report(kind).wrongly_deleted += 1;
            } else {
                let columns = self.mirror.differing_columns(kind, std::slice::from_ref(&record)).await?;
                self.report(kind).count_stale(1, columns);
            }
        }
        if !is_equal && self.is_repair() {
            self.mirror.apply_read(&read, time::millis(read_at), Some(json.as_str()), self.fence).await?;
            if self.state(&record).await?.is_some_and(|(_, is_equal)| !is_equal) {
                self.report(kind).remaining += 1;
            }
        }
        Ok(())
    }

    /// Whether the row of a record is deleted, and whether it has the record's content.
    async fn state(&self, record: &Record) -> Result<Option<(bool, bool)>, Stop> {
        let rows = self.mirror.heads(record.kind, &[&record.id]).await?;
        let row = rows.first();
        Ok(row.map(|row| {
            (row.is_deleted, !row.is_deleted && row.hash == record.hash && row.version == record.version)
        }))
    }
}

async fn find(
    client: &BackendClient,
    kind: Kind,
    row: &Doubtful,
) -> Result<Option<(Json, std::time::SystemTime)>, Stop> {
    match kind {
        Kind::User => {
            let answer = client.user(&row.id).await?;
            Ok(answer.value.map(|user| (user.json, answer.read_at)))
        }
        Kind::Organization => {
            let answer = client.organization(&row.id).await?;
            Ok(answer.value.map(|organization| (organization.json, answer.read_at)))
        }
        Kind::Membership => {
            let (Some(user), Some(organization)) = (&row.user_id, &row.organization_id) else {
                return Ok(None);
            };
            let query = MembershipQuery::new().limit(100).user_ids([&**user]);
            match client.memberships_of(organization, &query).await {
                Ok(page) => {
                    let found = page.entries.into_iter().find(|it| it.id == row.id);
                    Ok(found.map(|membership| (membership.json, page.read_at)))
                }
                Err(error) if error.kind() == BackendErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        }
    }
}
