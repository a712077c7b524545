//! An endpoint from the environment.

use crate::ids;
use crate::variable::variable;
use crate::webhooks::endpoint::WebhookEndpoint;
use crate::webhooks::secret::{InvalidWebhook, WebhookSecret};

const URL: &str = "FAKE_CLERK_WEBHOOK_URL";
const SECRET: &str = "FAKE_CLERK_WEBHOOK_SECRET";

impl WebhookEndpoint {
    /// Reads an endpoint from the environment: its URL from `FAKE_CLERK_WEBHOOK_URL`, and its secret from
    /// `FAKE_CLERK_WEBHOOK_SECRET`. Without the URL there is none; without the secret it has a fixed one.
    ///
    /// Programs that start the stand-in use it, so that all of them have the same variables. An empty variable counts
    /// as unset.
    ///
    /// # Errors
    ///
    /// Returns an error if a value is unusable, or if there is only the secret. It begins with the variable's name.
    pub fn from_env() -> Result<Option<Self>, InvalidWebhook> {
        let url = variable(URL).map_err(InvalidWebhook)?;
        let secret = variable(SECRET).map_err(InvalidWebhook)?;
        let Some(url) = url else {
            return match secret {
                Some(_) => Err(InvalidWebhook(format!("{SECRET}: needs {URL}; set both or neither"))),
                None => Ok(None),
            };
        };
        let secret = match secret {
            Some(secret) => secret.parse().map_err(|error| InvalidWebhook(format!("{SECRET}: {error}")))?,
            None => WebhookSecret::of_bytes(ids::derived_text(32, "whsec").as_bytes()),
        };
        let endpoint = Self::at(&url, secret);
        endpoint.map(Some).map_err(|error| InvalidWebhook(format!("{URL}: {error}")))
    }
}
