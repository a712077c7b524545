//! Notes of organizations: the application's own table.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::{AnyPool, Row as _};
use tower_clerk::OrganizationSession;
use tower_clerk_sync::Mirror;

/// The database of the application, and the mirror in it.
#[derive(Clone)]
pub(crate) struct Notes {
    pub(crate) pool: AnyPool,
    mirror: Mirror,
}

impl Notes {
    pub(crate) async fn open(url: &str, mirror: Mirror) -> Result<Self, sqlx::Error> {
        let pool = AnyPool::connect(url).await?;
        // Clerk's ids, and no foreign key to the mirror: a user may write a note before the mirror knows the user.
        for table in [
            "CREATE TABLE IF NOT EXISTS notes (organization_id TEXT NOT NULL, author_id TEXT NOT NULL, text TEXT NOT NULL)",
            "CREATE TABLE IF NOT EXISTS follower (position BIGINT NOT NULL)",
        ] {
            sqlx::query(table).execute(&pool).await?;
        }
        Ok(Self { pool, mirror })
    }
}

/// The organization is that of the session's token, never that of the mirror: the token is what Clerk has just signed.
pub(crate) async fn list(
    session: OrganizationSession,
    State(notes): State<Notes>,
) -> Result<Json<Vec<Value>>, (StatusCode, String)> {
    notes.mirror.ensure_user(session.user_id());
    // A left join: the author may be deleted, or not be there yet.
    let rows = sqlx::query(
        "SELECT n.text, u.first_name, u.email FROM notes n \
         LEFT JOIN clerk_users u ON u.instance_id = $1 AND u.id = n.author_id WHERE n.organization_id = $2",
    )
    .bind(notes.mirror.instance_id())
    .bind(session.organization().id())
    .fetch_all(&notes.pool)
    .await
    .map_err(failed)?;
    let note = |row: &sqlx::any::AnyRow| {
        Ok(json!({
            "text": row.try_get::<String, _>(0)?,
            "author": row.try_get::<Option<String>, _>(1)?,
            "email": row.try_get::<Option<String>, _>(2)?,
        }))
    };
    rows.iter().map(note).collect::<Result<Vec<Value>, _>>().map(Json).map_err(failed)
}

pub(crate) async fn add(
    session: OrganizationSession,
    State(notes): State<Notes>,
    text: String,
) -> Result<StatusCode, (StatusCode, String)> {
    notes.mirror.ensure_user(session.user_id());
    sqlx::query("INSERT INTO notes (organization_id, author_id, text) VALUES ($1, $2, $3)")
        .bind(session.organization().id())
        .bind(session.user_id())
        .bind(text)
        .execute(&notes.pool)
        .await
        .map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

#[allow(clippy::needless_pass_by_value, reason = "`map_err` takes it so")]
fn failed(error: sqlx::Error) -> (StatusCode, String) {
    tracing::error!(%error, "the database failed");
    (StatusCode::INTERNAL_SERVER_ERROR, "the database failed".to_owned())
}
