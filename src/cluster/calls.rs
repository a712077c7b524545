//! The scripts that run in Redis, and calls of them that wait to be made.

use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisResult, Script};

use crate::key::IdentifierKey;

pub(super) static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("beat.lua")));
pub(super) static ENTER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("enter.lua")));
pub(super) static LEAVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("leave.lua")));
pub(super) static FAILED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("failed.lua")));
pub(super) static PAUSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("pause.lua")));

/// A call of a script.
#[derive(Clone)]
pub(super) struct Call {
    script: &'static LazyLock<Script>,
    keys: Vec<String>,
    arguments: Vec<String>,
    /// The answer is the number of failures of this user or identifier.
    pub(super) failures_of: Option<IdentifierKey>,
}

impl Call {
    pub(super) fn new(
        script: &'static LazyLock<Script>,
        keys: impl IntoIterator<Item = String>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Self {
        let (keys, arguments) = (keys.into_iter().collect(), arguments.into_iter().collect());
        Self { script, keys, arguments, failures_of: None }
    }

    /// A call whose answer is the number of failures of this user or identifier.
    pub(super) fn counting(self, subject: IdentifierKey) -> Self {
        Self { failures_of: Some(subject), ..self }
    }

    pub(super) async fn make<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> RedisResult<T> {
        let mut call = self.script.prepare_invoke();
        self.keys.iter().for_each(|key| _ = call.key(key));
        self.arguments.iter().for_each(|argument| _ = call.arg(argument));
        call.invoke_async(connection).await
    }
}
