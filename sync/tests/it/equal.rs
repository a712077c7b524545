//! Compares the mirror with the stand-in, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, AssertSqlSafe, Row as _};
use tower_clerk::backend::{BackendClient, Json, MembershipQuery, OrganizationQuery, UserQuery};

/// A row: its columns as text, by id.
pub(crate) type Rows = BTreeMap<String, Vec<Option<String>>>;

/// The state of users, organizations and memberships.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) users: Rows,
    pub(crate) organizations: Rows,
    pub(crate) memberships: Rows,
}

/// A connection of the test's own, which is made at its first use.
pub(crate) fn pool(url: &str) -> AnyPool {
    sqlx::any::install_default_drivers();
    // A day, since the clock of a test may be driven.
    let day = Duration::from_secs(24 * 3600);
    AnyPoolOptions::new().max_connections(1).acquire_timeout(day).connect_lazy(url).unwrap()
}

impl State {
    /// The rows of the views.
    pub(crate) async fn of_mirror(pool: &AnyPool, instance: &str) -> Self {
        Self {
            users: rows(
                pool,
                instance,
                "SELECT id, CAST(updated_at AS TEXT), username, first_name, last_name, email, \
                 CAST(CAST(banned AS INTEGER) AS TEXT), CAST(public_metadata AS TEXT) FROM clerk_users",
            )
            .await,
            organizations: rows(
                pool,
                instance,
                "SELECT id, CAST(updated_at AS TEXT), name, slug, CAST(public_metadata AS TEXT) FROM clerk_organizations",
            )
            .await,
            memberships: rows(
                pool,
                instance,
                "SELECT id, CAST(updated_at AS TEXT), user_id, organization_id, role, CAST(public_metadata AS TEXT) \
                 FROM clerk_memberships",
            )
            .await,
        }
    }

    /// The objects that Clerk lists, up to 500 of each.
    pub(crate) async fn of_clerk(client: &BackendClient) -> Self {
        let users = client.users(&UserQuery::new()).await.unwrap().entries.into_iter().map(|it| {
            let email = it.primary_email_address().map(|it| it.identifier.clone());
            let banned = it.banned.map(|flag| u8::from(flag).to_string());
            let metadata = json(it.public_metadata.as_ref());
            (
                it.id,
                vec![ms(it.updated_at), it.username, it.first_name, it.last_name, email, banned, metadata],
            )
        });
        let users = users.collect();
        let organizations =
            client.organizations(&OrganizationQuery::new()).await.unwrap().entries.into_iter();
        let organizations = organizations.map(|it| {
            let metadata = json(it.public_metadata.as_ref());
            (it.id, vec![ms(it.updated_at), it.name, it.slug, metadata])
        });
        let organizations = organizations.collect();
        let memberships =
            client.memberships(&MembershipQuery::new()).await.unwrap().entries.into_iter().map(|it| {
                let metadata = json(it.public_metadata.as_ref());
                (it.id, vec![ms(it.updated_at), it.user_id, Some(it.organization.id), it.role, metadata])
            });
        Self { users, organizations, memberships: memberships.collect() }
    }
}

/// The ids that the mirror holds for deleted.
pub(crate) async fn tombstones(pool: &AnyPool, instance: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for table in ["users", "organizations", "memberships"] {
        let sql =
            format!("SELECT id FROM clerk_mirror_{table} WHERE instance_id = $1 AND deleted_at IS NOT NULL");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(instance).fetch_all(pool).await.unwrap();
        ids.extend(rows.iter().map(|row| row.get::<String, _>(0)));
    }
    ids
}

async fn rows(pool: &AnyPool, instance: &str, sql: &str) -> Rows {
    let sql = format!("{sql} WHERE instance_id = $1");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(instance).fetch_all(pool).await.unwrap();
    let read = |row: &sqlx::any::AnyRow| {
        let mut columns: Vec<Option<String>> = (1..row.len()).map(|at| row.get(at)).collect();
        // The last column is JSON, in the database's own form.
        if let Some(last) = columns.last_mut() {
            *last = last.take().map(|json| canonical(&json));
        }
        (row.get(0), columns)
    };
    rows.iter().map(read).collect()
}

fn ms(time: Option<SystemTime>) -> Option<String> {
    time.map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().to_string())
}

fn json(json: Option<&Json>) -> Option<String> {
    json.map(|json| canonical(json.as_str()))
}

fn canonical(json: &str) -> String {
    let mut json: Value = serde_json::from_str(json).unwrap();
    json.sort_all_objects();
    json.to_string()
}
