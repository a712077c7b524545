//! A background job that follows the change feed: here would be the welcome mail.

use std::time::Duration;

use tower_clerk_sync::{ChangeCause, ChangeKind, Kind, Mirror};

use crate::notes::Notes;

/// Follows the feed from where it was at the last run.
pub(crate) async fn follow(notes: Notes, mirror: Mirror) {
    loop {
        if let Err(error) = step(&notes, &mirror).await {
            tracing::warn!(%error, "the follower failed, and goes on");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn step(notes: &Notes, mirror: &Mirror) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let cursor: Option<i64> =
        sqlx::query_scalar("SELECT MAX(position) FROM follower").fetch_one(&notes.pool).await?;
    let changes = mirror.changes(cursor.unwrap_or_default(), 100).await?;
    for change in &changes {
        match (change.kind, change.change, change.cause) {
            // Not for users that a backfill lists: they signed up long ago.
            (Kind::User, ChangeKind::Created, ChangeCause::Event) => {
                println!("a welcome mail to {}", change.object_id);
            }
            (Kind::User, ChangeKind::Deleted, _) => {
                println!("the end of all accounts of {}", change.object_id);
            }
            _ => {}
        }
    }
    let Some(last) = changes.last() else { return Ok(()) };
    // In one transaction, so that a crash in between neither loses nor repeats the cursor. A job with effects outside of the
    // database must bear to do one twice.
    let mut transaction = notes.pool.begin().await?;
    sqlx::query("DELETE FROM follower").execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO follower (position) VALUES ($1)")
        .bind(last.position)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
