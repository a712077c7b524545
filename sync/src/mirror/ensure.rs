//! The just-in-time read (rule Y7).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use super::Mirror;
use super::client::{Answered, Parents};
use crate::error::MirrorError;
use crate::kind::Kind;

/// How long a user who was looked up is not looked up again.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How long one is not who isn't at Clerk, or couldn't be read.
const FAILED: Duration = Duration::from_secs(60);

/// Users who are remembered. Beyond that the oldest half is looked up again.
const MOST_REMEMBERED: usize = 65_536;

/// Look-ups at once. Beyond that, the user's next request asks again.
const MOST_AT_ONCE: usize = 64;

/// The users that are being looked up, and those that were.
#[derive(Debug, Default)]
pub(super) struct Ensured(Mutex<Users>);

#[derive(Debug, Default)]
struct Users {
    under_way: HashSet<String>,
    /// Until when.
    remembered: HashMap<String, Instant>,
}

impl Ensured {
    fn users(&self) -> MutexGuard<'_, Users> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a look-up begins.
    fn begin(&self, user_id: &str) -> bool {
        let (mut users, now) = (self.users(), Instant::now());
        let is_remembered = users.remembered.get(user_id).is_some_and(|until| now < *until);
        !is_remembered && users.under_way.len() < MOST_AT_ONCE && users.under_way.insert(user_id.to_owned())
    }

    fn end(&self, user_id: &str, remembered: Duration) {
        let (mut users, now) = (self.users(), Instant::now());
        users.under_way.remove(user_id);
        if users.remembered.len() >= MOST_REMEMBERED {
            let mut ends: Vec<Instant> = users.remembered.values().copied().collect();
            let (_, middle, _) = ends.select_nth_unstable(MOST_REMEMBERED / 2);
            let middle = *middle;
            users.remembered.retain(|_, until| *until > middle);
        }
        users.remembered.insert(user_id.to_owned(), now + remembered);
    }
}

impl Mirror {
    /// Sees to it that a user who has signed in is in the mirror.
    ///
    /// A user can sign in before the event of the sign-up arrives. Call this with the id of each session's user: it returns at
    /// once, and in the background a user who isn't there is read from Clerk, once for any number of calls, and put in. The
    /// mirror must have a [client](super::MirrorBuilder::client). A user who isn't at Clerk, or couldn't be read, is looked up
    /// again after a minute, and one who is there after ten.
    ///
    /// Call it within a tokio runtime.
    ///
    /// ```no_run
    /// # fn example(mirror: tower_clerk_sync::Mirror, session: tower_clerk::ClerkSession) {
    /// mirror.ensure_user(session.user_id());
    /// # }
    /// ```
    pub fn ensure_user(&self, user_id: &str) {
        if !self.inner.ensured.begin(user_id) {
            return;
        }
        let (mirror, user_id) = (self.clone(), user_id.to_owned());
        tokio::spawn(async move {
            let remembered = match mirror.read_missing(&user_id).await {
                Ok(true) => REMEMBERED,
                Ok(false) => FAILED,
                Err(error) => {
                    tracing::warn!(
                        target: "tower_clerk_sync",
                        user_id, %error, "a user who signed in could not be read into the mirror"
                    );
                    FAILED
                }
            };
            mirror.inner.ensured.end(&user_id, remembered);
        });
    }

    /// Reads a user who isn't there. Returns whether the user is there now.
    async fn read_missing(&self, user_id: &str) -> Result<bool, MirrorError> {
        self.check_client().await?;
        let sql = format!("SELECT COUNT(*) FROM {} WHERE instance_id = $1 AND id = $2", Kind::User.view());
        let there: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(self.instance()?)
            .bind(user_id)
            .fetch_one(self.pool())
            .await?;
        if there > 0 {
            return Ok(true);
        }
        let read = self.begin_read(Kind::User, user_id).await?;
        let Answered { read_at, json } = self.ask(&read, Parents::default()).await?;
        // A user who signed in a moment ago and is gone: the event of the deletion says so, too.
        let Some(json) = json else { return Ok(false) };
        self.apply_read(&read, read_at, Some(&json), None).await?;
        Ok(true)
    }
}
