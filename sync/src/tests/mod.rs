//! The rules of the mirror, on both databases.

mod events;
mod feed;
mod fences;
mod gauges;
mod memberships;
mod model;
mod objects;
mod order;
mod places;
mod privacy;
mod quarantine;
mod races;
mod reads;

use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Row as _};
use tower_clerk::Clock;

use crate::mirror::{Message, Mirror, Outcome};
use crate::support::Database;
use crate::time::time;

/// The time at which tests begin.
const T: i64 = 1_900_000_000_000;

const INSTANCE: &str = "ins_test";

/// A mirror whose clock begins at [`T`].
async fn mirror(database: &Database) -> Mirror {
    Mirror::builder(&database.url)
        .instance(INSTANCE)
        .clock(Clock::starting_at(time(T)))
        .connect()
        .await
        .unwrap()
}

impl Mirror {
    /// The mirror at a later time.
    fn after(&self, millis: i64) -> Self {
        self.clone().with_clock(Clock::starting_at(time(T + millis)))
    }

    /// Applies an event with an id of its own.
    async fn event(&self, event_type: &str, at: i64, data: &Json) -> Outcome {
        self.event_again(&format!("msg_{event_type}_{at}_{}", data["id"]), event_type, at, data).await
    }

    async fn event_again(&self, id: &str, event_type: &str, at: i64, data: &Json) -> Outcome {
        let json =
            json!({ "type": event_type, "timestamp": at, "instance_id": INSTANCE, "data": data }).to_string();
        let message = Message { id, event_type, at, instance: Some(INSTANCE), json: &json };
        self.apply_event(message).await.unwrap()
    }

    /// The first column of a query, each row as text.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(self.pool()).await.unwrap();
        rows.iter().map(|row| row.try_get::<Option<String>, _>(0).unwrap().unwrap_or_default()).collect()
    }

    async fn number(&self, sql: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(self.pool()).await.unwrap()
    }

    async fn first_names(&self) -> Vec<String> {
        self.texts("SELECT first_name FROM clerk_users ORDER BY id").await
    }

    /// The changes as text, from the beginning.
    async fn told(&self) -> Vec<String> {
        let changes = self.changes(0, 1000).await.unwrap();
        changes.iter().map(|it| format!("{} {} {}", it.kind, it.object_id, it.change.name())).collect()
    }
}

/// A user as Clerk shows it, changed at this time.
fn user(id: &str, first_name: &str, updated_at: i64) -> Json {
    json!({
        "object": "user",
        "id": id,
        "username": null,
        "first_name": first_name,
        "last_name": "Doe",
        "external_id": null,
        "image_url": "https://img.clerk.com/x",
        "primary_email_address_id": "idn_2",
        "email_addresses": [
            { "id": "idn_1", "email_address": "old@example.com", "verification": null },
            { "id": "idn_2", "email_address": "jane@example.com", "verification": { "status": "verified" } },
        ],
        "primary_phone_number_id": null,
        "phone_numbers": [],
        "public_metadata": { "plan": "pro" },
        "private_metadata": { "note": "a private note" },
        "unsafe_metadata": { "theme": "dark" },
        "banned": false,
        "created_at": T,
        "updated_at": updated_at,
    })
}

fn organization(id: &str, name: &str, updated_at: i64) -> Json {
    json!({
        "object": "organization",
        "id": id,
        "name": name,
        "slug": name.to_lowercase(),
        "public_metadata": {},
        "private_metadata": { "note": "a private note" },
        "created_at": T,
        "updated_at": updated_at,
    })
}

fn membership(id: &str, user: &str, organization_id: &str, created_at: i64) -> Json {
    json!({
        "object": "organization_membership",
        "id": id,
        "role": "org:member",
        "permissions": [],
        "public_metadata": { "desk": "12" },
        "private_metadata": { "note": "a private note" },
        "public_user_data": { "user_id": user, "identifier": "jane@example.com" },
        "organization": organization(organization_id, "Acme", T),
        "created_at": created_at,
        "updated_at": created_at,
    })
}

fn deleted(object: &str, id: &str) -> Json {
    json!({ "object": object, "id": id, "deleted": true })
}
