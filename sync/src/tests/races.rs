//! Two transactions at the same moment (rule Y2), on PostgreSQL: SQLite has one writer at a time.

use std::time::Duration;

use sqlx::Connection as _;

use super::*;
use crate::kind::Kind;
use crate::record::Value;
use crate::support::each;

/// A lock of the change feed, at which a transaction that writes to it waits for its end. By then it has written its rows, and
/// compared them with those of others.
struct Feed(sqlx::PgConnection);

impl Feed {
    async fn lock(database: &Database) -> Self {
        let mut connection = sqlx::PgConnection::connect(&database.url).await.unwrap();
        let lock = "BEGIN; LOCK TABLE clerk_changes IN SHARE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        Self(connection)
    }

    /// Waits until so many transactions wait for locks, or the task is done.
    async fn waited_for<T>(&mut self, transactions: i64, task: &tokio::task::JoinHandle<T>) {
        let waiting = "SELECT COUNT(DISTINCT pid) FROM pg_locks WHERE NOT granted";
        let wait = async {
            while !task.is_finished() {
                let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut self.0).await.unwrap();
                if waiting >= transactions {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "nothing waits");
    }

    async fn release(mut self) {
        sqlx::raw_sql("COMMIT").execute(&mut self.0).await.unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Deletion,
    Membership,
}

#[tokio::test]
async fn y2_a_membership_and_the_deletion_of_its_parent_at_the_same_moment_leave_no_content() {
    let Some(database) = Database::postgres().await else { return };
    let mirror = mirror(&database).await;
    // A deletion of a user who was never seen isn't told, so its transaction doesn't wait at the feed.
    let cases = [(First::Deletion, true), (First::Membership, true), (First::Membership, false)];
    for (parent, (first, is_seen)) in
        [Kind::User, Kind::Organization].into_iter().flat_map(|kind| cases.map(|case| (kind, case)))
    {
        let case = format!("{parent}-{first:?}-{is_seen}");
        let (user_id, organization_id) = (format!("user_{case}"), format!("org_{case}"));
        let member = membership(&format!("orgmem_{case}"), &user_id, &organization_id, T);
        let gone = if parent == Kind::User { &user_id } else { &organization_id };
        if is_seen {
            mirror.event("user.created", T, &user(&user_id, "Jane", T)).await;
            mirror.event("organization.created", T, &organization(&organization_id, "Acme", T)).await;
        }
        mirror.changes(0, 1).await.unwrap();
        let mut feed = Feed::lock(&database).await;
        let task = |of: First| {
            let (mirror, member) = (mirror.clone(), member.clone());
            let deletion = deleted(parent.name(), gone);
            tokio::spawn(async move {
                match of {
                    First::Deletion => mirror.event(&format!("{parent}.deleted"), T + 5, &deletion).await,
                    First::Membership => mirror.event("organizationMembership.created", T, &member).await,
                }
            })
        };
        let one = task(first);
        feed.waited_for(1, &one).await;
        let other = task(if first == First::Deletion { First::Membership } else { First::Deletion });
        feed.waited_for(2, &other).await;
        feed.release().await;
        one.await.unwrap();
        other.await.unwrap();
        let rows = mirror.rows(Kind::Membership, &[&format!("orgmem_{case}")]).await.unwrap();
        assert_eq!(rows.len(), 1, "{case}");
        assert_eq!(rows[0].values[3], Value::Json(None), "{case}: its content is left");
        assert_eq!(rows[0].head.hash, "", "{case}");
    }
}

#[tokio::test]
async fn y2_memberships_and_deletions_of_many_at_once_all_land() {
    each(async |database| {
        let mirror = mirror(database).await;
        let tasks: Vec<_> = (0..40)
            .map(|number: u32| {
                let mirror = mirror.clone();
                tokio::spawn(async move {
                    let (of_user, of_organization) = (number % 5, number % 3);
                    match number % 4 {
                        0 => {
                            let id = format!("user_{of_user}");
                            mirror.event("user.deleted", T + 5, &deleted("user", &id)).await;
                        }
                        1 => {
                            let ids: Vec<(String, i64)> =
                                (0..3).rev().map(|at| (format!("org_{at}"), 1)).collect();
                            mirror.tombstone(Kind::Organization, &ids, None).await.unwrap();
                        }
                        _ => {
                            let entries: Vec<String> = (0..10)
                                .map(|at| {
                                    let (user, organization) =
                                        (format!("user_{}", at % 5), format!("org_{of_organization}"));
                                    let id = format!("orgmem_{number}_{at}");
                                    membership(&id, &user, &organization, T).to_string()
                                })
                                .collect();
                            let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
                            mirror.apply_page(Kind::Membership, T, &entries, None).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        // Every user is deleted, so every membership is covered.
        let left = "SELECT COUNT(*) FROM clerk_mirror_memberships WHERE hash <> ''";
        assert_eq!(mirror.number(left).await, 0);
        assert_eq!(mirror.number("SELECT COUNT(*) FROM clerk_memberships").await, 0);
    })
    .await;
}
