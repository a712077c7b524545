//! Writes of the holder of a lease (rule Y6).

use super::*;
use crate::error::MirrorErrorKind;
use crate::kind::Kind;
use crate::mirror::Fence;
use crate::support::each;

async fn lease(mirror: &Mirror, fence: i64) {
    let sql = "INSERT INTO clerk_mirror_leases (instance_id, name, holder, fence, expires_at) \
               VALUES ($1, 'reconcile', 'x', $2, 0) ON CONFLICT (instance_id, name) DO UPDATE SET fence = excluded.fence";
    sqlx::query(sql).bind(INSTANCE).bind(fence).execute(mirror.pool()).await.unwrap();
}

#[tokio::test]
async fn y6_no_write_lands_of_a_holder_whose_lease_was_taken_over() {
    each(async |database| {
        let mirror = mirror(database).await;
        mirror.event("user.created", T, &user("user_1", "Jane", T)).await;
        let fence = Fence { name: "reconcile", number: 1 };
        let entry = user("user_2", "Bob", T).to_string();
        let poison = json!({ "id": "user_3" }).to_string();
        let read = mirror.begin_read(Kind::User, "user_1").await.unwrap();
        let write_all = async || {
            [
                mirror.apply_page(Kind::User, T, &[&entry, &poison], Some(&fence)).await.map(drop),
                mirror.tombstone(Kind::User, &[("user_1".to_owned(), 1)], Some(&fence)).await.map(drop),
                mirror.apply_read(&read, T, None, Some(&fence)).await.map(drop),
            ]
        };
        // No lease at all, and that of a later holder.
        for taken_over in [false, true] {
            if taken_over {
                lease(&mirror, 2).await;
            }
            for written in write_all().await {
                assert_eq!(written.unwrap_err().kind(), MirrorErrorKind::Fenced);
            }
        }
        assert_eq!(mirror.first_names().await, ["Jane"]);
        assert_eq!(mirror.quarantined().await.unwrap(), []);
        lease(&mirror, 1).await;
        for written in write_all().await {
            written.unwrap();
        }
        assert_eq!(mirror.first_names().await, ["Bob"]);
    })
    .await;
}

#[tokio::test]
async fn y6_a_take_over_waits_for_the_write_that_has_begun() {
    let Some(database) = Database::postgres().await else { return };
    let mirror = mirror(&database).await;
    lease(&mirror, 1).await;
    let fence = Fence { name: "reconcile", number: 1 };
    let write = mirror.begin_fenced(Some(&fence)).await.unwrap();
    // Not a wait for a time: the database gives up at once where it would have to wait.
    let mut other = mirror.begin().await.unwrap();
    sqlx::query("SET LOCAL lock_timeout = '50ms'").execute(other.connection()).await.unwrap();
    let taken =
        sqlx::query("UPDATE clerk_mirror_leases SET fence = fence + 1").execute(other.connection()).await;
    assert!(taken.is_err());
    drop(other);
    write.commit().await.unwrap();
    lease(&mirror, 2).await;
    assert_eq!(mirror.begin_fenced(Some(&fence)).await.err().unwrap().kind(), MirrorErrorKind::Fenced);
}
