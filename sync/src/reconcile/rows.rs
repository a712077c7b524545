//! The rows of the mirror that a reconciliation compares.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AssertSqlSafe, Row as _};

use super::Candidate;
use crate::error::MirrorError;
use crate::kind::Kind;
use crate::mirror::{Mirror, Row};
use crate::record::Record;

/// Rows that are read at once.
const CHUNK: i64 = 1_000;

impl Mirror {
    /// In how many of the rows each column differs from its record.
    pub(super) async fn differing_columns(
        &self,
        kind: Kind,
        records: &[Record],
    ) -> Result<BTreeMap<&'static str, u64>, MirrorError> {
        let ids: Vec<&str> = records.iter().map(|record| &*record.id).collect();
        let rows = self.rows(kind, &ids).await?;
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (&*row.head.id, row)).collect();
        let mut differing = BTreeMap::new();
        for record in records {
            let Some(row) = rows.get(&*record.id) else { continue };
            let values = record.values.iter().zip(&row.values);
            for ((name, _), _) in
                kind.columns().iter().zip(values).filter(|(_, (ours, theirs))| ours != theirs)
            {
                *differing.entry(*name).or_default() += 1;
            }
        }
        Ok(differing)
    }

    /// How many rows there are, without those that are deleted.
    pub(crate) async fn count_live(&self, kind: Kind) -> Result<u64, MirrorError> {
        let sql = format!("SELECT count(*) FROM {} WHERE instance_id = $1", kind.view());
        let row = sqlx::query(AssertSqlSafe(sql)).bind(self.instance()?).fetch_one(self.pool()).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default())
    }

    /// The rows that are neither deleted nor were touched since `before`, and that the filter wants, which is asked for the
    /// id. A membership whose user or organization is deleted counts as deleted.
    pub(super) async fn untouched(
        &self,
        kind: Kind,
        before: i64,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Candidate>, MirrorError> {
        let parents = if kind == Kind::Membership { "organization_id, user_id" } else { "'', ''" };
        let hidden = if kind == Kind::Membership {
            "AND NOT EXISTS (SELECT 1 FROM clerk_mirror_users AS parent WHERE parent.instance_id = it.instance_id \
             AND parent.id = it.user_id AND parent.deleted_at IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM clerk_mirror_organizations AS parent WHERE \
             parent.instance_id = it.instance_id AND parent.id = it.organization_id AND parent.deleted_at IS NOT NULL)"
        } else {
            ""
        };
        let sql = format!(
            "SELECT id, revision, seen_at, {parents} FROM {} AS it \
             WHERE instance_id = $1 AND id > $2 AND deleted_at IS NULL {hidden} ORDER BY id LIMIT {CHUNK}",
            kind.table(),
        );
        let (mut last, mut found) = (String::new(), Vec::new());
        loop {
            let query = sqlx::query(AssertSqlSafe(&*sql)).bind(self.instance()?).bind(&last);
            let rows = query.fetch_all(self.pool()).await?;
            let Some(end) = rows.last() else { return Ok(found) };
            last = end.try_get(0)?;
            for row in rows {
                let id: String = row.try_get(0)?;
                if row.try_get::<i64, _>(2)? < before && is_wanted(&id) {
                    found.push(Candidate {
                        id,
                        revision: row.try_get(1)?,
                        organization_id: row.try_get(3)?,
                        user_id: row.try_get(4)?,
                    });
                }
            }
        }
    }
}
