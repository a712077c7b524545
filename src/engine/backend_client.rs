//! The engine's client of the Backend API for the application.

use std::sync::Arc;
use std::time::Duration;

use super::Clerk;
use crate::backend_client::BackendClient;

/// The time for an answer, unless an exchange of the engine has more: a page of 500 users takes seconds.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(30);

impl Clerk {
    /// A client of the Backend API's lists, or `None` without a [`secret_key`](crate::ClerkBuilder::secret_key).
    ///
    /// It shares the engine's key, its transport and its budget of calls. Its reads are less urgent than all calls of the
    /// engine, and take at most [`backend_list_rate`](crate::ClerkBuilder::backend_list_rate) of them. It works after a
    /// [`shutdown`](Self::shutdown), too.
    ///
    /// ```no_run
    /// # async fn example(clerk: tower_clerk::Clerk) -> Result<(), tower_clerk::backend::BackendError> {
    /// if let Some(backend) = clerk.backend() {
    ///     println!("{} users", backend.count_users().await?.value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[cfg_attr(docsrs, doc(cfg(feature = "backend")))]
    pub fn backend(&self) -> Option<BackendClient> {
        let sign_ins = &self.0.sign_ins;
        let bapi = Arc::clone(sign_ins.provider.bapi()?);
        let timeout = self.0.settings.upstream_timeout.max(READ_TIMEOUT);
        Some(BackendClient::new(bapi, timeout, Arc::clone(&sign_ins.jitter)))
    }
}
