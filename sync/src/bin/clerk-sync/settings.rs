//! The settings behind the arguments. An unusable one is an error that begins with the name of its variable.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tower_clerk::backend::BackendClient;
use tower_clerk::webhook::WebhookSecrets;
use tower_clerk::{Clerk, ConfigError};
use tower_clerk_sync::{Mirror, MirrorError, MirrorErrorKind};
use zeroize::Zeroizing;

use crate::args::{Options, Secret, Watch};
use crate::output::Failure;

const SECRET_KEY: &str = "CLERK_SECRET_KEY";

impl Options {
    /// The mirror, with its tables up to date already.
    pub(crate) async fn mirror(&self) -> Result<Mirror, Failure> {
        self.open(false, None).await
    }

    /// As [`mirror`](Self::mirror), with a client for what it reads of Clerk.
    pub(crate) async fn mirror_with(&self, client: BackendClient) -> Result<Mirror, Failure> {
        self.open(false, Some(client)).await
    }

    /// The mirror, whose tables are created or updated.
    pub(crate) async fn migrated(&self) -> Result<Mirror, Failure> {
        self.open(true, None).await
    }

    async fn open(&self, migrate: bool, client: Option<BackendClient>) -> Result<Mirror, Failure> {
        let url = secret("DATABASE_URL", self.database_url.as_ref(), self.database_url_file.as_deref())?;
        let url =
            url.ok_or("DATABASE_URL: is not set: use sqlite://FILE or postgres://USER@HOST/DATABASE")?;
        let mut builder = Mirror::builder(&**url).migrate(migrate);
        if let Some(client) = client {
            builder = builder.client(client);
        }
        builder.connect().await.map_err(|error: MirrorError| match error.kind() {
            MirrorErrorKind::Setting => Failure::setting(format!("DATABASE_URL: {error}")),
            _ => error.into(),
        })
    }

    /// The client of the Backend API.
    pub(crate) fn client(&self) -> Result<BackendClient, Failure> {
        let client = self.client_if_any()?;
        client.ok_or_else(|| {
            Failure::setting(format!("{SECRET_KEY}: is not set: copy it from Clerk's dashboard, API keys"))
        })
    }

    /// The client of the Backend API, if there is a secret key.
    pub(crate) fn client_if_any(&self) -> Result<Option<BackendClient>, Failure> {
        let key = secret(SECRET_KEY, self.secret_key.as_ref(), self.secret_key_file.as_deref())?;
        let Some(key) = key else { return Ok(None) };
        self.check_instance(&key)?;
        let named =
            |name: &'static str| move |error: ConfigError| Failure::setting(format!("{name}: {error}"));
        let with_key = || BackendClient::builder(&**key);
        // One setting after the other, so that the error can name it.
        with_key().build().map_err(named(SECRET_KEY))?;
        let with_url = || match given(self.api_url.as_deref()) {
            Some(url) => with_key().backend_url(url),
            None => with_key(),
        };
        with_url().build().map_err(named("CLERK_API_URL"))?;
        let mut builder = with_url();
        if let Some(rate) = given(self.list_rate.as_deref()) {
            let (calls, window) =
                rate_of(rate).ok_or("LIST_RATE: must be like 80/10s, from 1/60s to 10000/1s")?;
            // The budget of all calls has room for them: there are no others.
            builder = builder.backend_rate(calls, window).list_rate(calls, window);
        }
        Ok(Some(builder.build().map_err(named("LIST_RATE"))?))
    }

    /// The publishable key or the address must be usable, and the key of the same kind as the secret one.
    fn check_instance(&self, secret_key: &str) -> Result<(), Failure> {
        let given = [
            ("CLERK_PUBLISHABLE_KEY", given(self.publishable_key.as_deref())),
            ("CLERK_FAPI_URL", given(self.fapi_url.as_deref())),
        ];
        for (name, instance) in given {
            let Some(instance) = instance else { continue };
            let built = Clerk::builder(instance).secret_key(secret_key).build();
            built.map_err(|error| Failure::setting(format!("{name}: {error}")))?;
        }
        Ok(())
    }
}

impl Watch {
    pub(crate) fn address(&self) -> Result<SocketAddr, Failure> {
        let address = &self.listen_addr;
        let parsed = address.parse();
        parsed.map_err(|_| {
            Failure::setting(format!(
                "LISTEN_ADDR: {address:?} isn't an IP address and a port like 127.0.0.1:3000"
            ))
        })
    }

    pub(crate) fn secrets(&self) -> Result<WebhookSecrets, Failure> {
        const NAME: &str = "CLERK_WEBHOOK_SIGNING_SECRET";
        let (own, file) = (self.webhook_signing_secret.as_ref(), self.webhook_signing_secret_file.as_deref());
        let secrets = secret(NAME, own, file)?;
        let secrets = secrets
            .ok_or("CLERK_WEBHOOK_SIGNING_SECRET: is not set: copy it from Clerk's dashboard, Webhooks")?;
        WebhookSecrets::parse(&secrets).map_err(|error| Failure::setting(format!("{NAME}: {error}")))
    }
}

/// An empty variable counts as unset.
fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// A secret, itself or as the first line of a file.
fn secret(
    name: &str,
    own: Option<&Secret>,
    file: Option<&Path>,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let file = file.filter(|file| !file.as_os_str().is_empty());
    match (given(own.map(Secret::expose)), file) {
        (None, None) => Ok(None),
        (Some(own), None) => Ok(Some(Zeroizing::new(own.to_owned()))),
        (Some(_), Some(_)) => {
            Err(Failure::setting(format!("{name}: is set, and {name}_FILE as well: unset one of them")))
        }
        (None, Some(file)) => {
            // The path isn't shown: it may be the secret itself, in the wrong variable.
            let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|error| {
                Failure::setting(format!("{name}_FILE: the file that it names can't be read: {error}"))
            })?;
            match text.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
                Some(line) => Ok(Some(Zeroizing::new(line.to_owned()))),
                None => Err(Failure::setting(format!("{name}_FILE: the first line of the file is empty"))),
            }
        }
    }
}

fn rate_of(rate: &str) -> Option<(u32, Duration)> {
    let (calls, window) = rate.split_once('/')?;
    let seconds = window.strip_suffix('s')?.parse().ok().filter(|seconds| (1..=60).contains(seconds))?;
    let calls = calls.parse().ok().filter(|calls| (1..=10_000).contains(calls))?;
    Some((calls, Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_calls_in_seconds() {
        assert_eq!(rate_of("80/10s"), Some((80, Duration::from_secs(10))));
        for bad in ["", "80", "80/10", "0/10s", "80/0s", "80/61s", "10001/1s", "-1/1s", "80/1s/2s"] {
            assert_eq!(rate_of(bad), None, "{bad}");
        }
    }
}
