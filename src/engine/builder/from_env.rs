//! The settings that Clerk's own SDKs read from the environment (rule O5).

use std::env;
use std::ffi::OsString;

use zeroize::Zeroizing;

use super::build::{backend_base, check_environments};
use super::secret_variable::{GivenSecret, SecretNames, secret_variable, unusable, value};
use super::{ClerkBuilder, ConfigError};
#[cfg(feature = "backend")]
use crate::backend_client::BackendClient;
use crate::clerk_api::bapi::SecretKey;
use crate::engine::Clerk;
use crate::instance::Instance;

const PUBLISHABLE_KEY: &str = "CLERK_PUBLISHABLE_KEY";
const FAPI_URL: &str = "CLERK_FAPI_URL";
const SECRET_KEY: &str = "CLERK_SECRET_KEY";
const SECRET_KEY_FILE: &str = "CLERK_SECRET_KEY_FILE";
const API_URL: &str = "CLERK_API_URL";

impl ClerkBuilder {
    /// Creates a builder from the environment variables that Clerk's own SDKs use.
    ///
    /// All of them are checked at once, and an error names its variable, so a program can print it and exit. An empty
    /// variable counts as unset.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `CLERK_PUBLISHABLE_KEY` | the instance, by the publishable key from Clerk's dashboard |
    /// | `CLERK_FAPI_URL` | the instance, by the address of its Frontend API or of a proxy in front of it; takes precedence over the key |
    /// | `CLERK_SECRET_KEY` | the [secret key](Self::secret_key): passwords are verified by the Backend API |
    /// | `CLERK_SECRET_KEY_FILE` | a file whose first line is the secret key, as container platforms mount secrets; in place of `CLERK_SECRET_KEY` |
    /// | `CLERK_API_URL` | the [address of the Backend API](Self::backend_url) without `/v1`; needs a secret key |
    ///
    /// `CLERK_PUBLISHABLE_KEY`, `CLERK_SECRET_KEY` and `CLERK_API_URL` are the names in Clerk's
    /// [JavaScript SDKs](https://clerk.com/docs/guides/development/clerk-environment-variables) for servers (Next.js
    /// calls the first one `NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY`, which isn't read here). The other two are this crate's.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Variable`] if neither `CLERK_PUBLISHABLE_KEY` nor `CLERK_FAPI_URL` is set, if a variable is
    /// unusable or isn't Unicode, if the secret key is given twice, its file can't be read or it belongs to another
    /// kind of instance, and if `CLERK_API_URL` is set without a secret key.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use tower_clerk::ClerkBuilder;
    ///
    /// let clerk = ClerkBuilder::from_env()?.session_ttl(Duration::from_secs(15 * 60)).build()?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(EnvSettings::read(|name| env::var_os(name))?.builder)
    }
}

impl Clerk {
    /// Builds an engine from the environment variables that Clerk's own SDKs use, with default settings.
    ///
    /// `CLERK_PUBLISHABLE_KEY` names the instance. With `CLERK_SECRET_KEY`, passwords are verified by the Backend API,
    /// otherwise by the Frontend API; one log line at info says which, since a variable that is missing in one deployment
    /// is easily overlooked. [`ClerkBuilder::from_env`] lists all variables, and is the way to further settings.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Variable`], which names the variable, if one is missing or unusable, and any other
    /// [`ConfigError`] if the engine can't be built.
    ///
    /// ```no_run
    /// use tower_clerk::{Clerk, ClerkBasicAuthLayer};
    ///
    /// let layer = ClerkBasicAuthLayer::new(Clerk::from_env()?);
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_settings(EnvSettings::read(|name| env::var_os(name))?)
    }

    fn from_settings(settings: EnvSettings) -> Result<Self, ConfigError> {
        let EnvSettings { builder, instance, secret_key } = settings;
        let clerk = builder.build()?;
        match secret_key {
            Some(name) => {
                tracing::info!(instance, "passwords are verified by Clerk's Backend API ({name} is set)");
            }
            None => tracing::info!(
                instance,
                "passwords are verified by Clerk's Frontend API ({SECRET_KEY} is not set)"
            ),
        }
        Ok(clerk)
    }
}

#[cfg(feature = "backend")]
impl BackendClient {
    /// Builds a client from the environment variables that Clerk's own SDKs use, with default settings.
    ///
    /// It reads `CLERK_SECRET_KEY`, or `CLERK_SECRET_KEY_FILE` with a file whose first line is the key, and `CLERK_API_URL`, as
    /// [`ClerkBuilder::from_env`] does. An empty variable counts as unset. [`builder`](Self::builder) is the way to further
    /// settings.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Variable`], which names the variable, if the key is missing or given twice, its file can't be
    /// read, or a variable is unusable or isn't Unicode.
    ///
    /// ```no_run
    /// use tower_clerk::backend::BackendClient;
    ///
    /// let clerk = BackendClient::from_env()?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(look_up: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let Some(given) = secret_key(&look_up)? else {
            return Err(unusable(SECRET_KEY, format!("must be set, or {SECRET_KEY_FILE}")));
        };
        let mut builder = Self::builder(&*given.key);
        if let Some(url) = value(&look_up, API_URL)? {
            backend_base(&url).map_err(|error| unusable(API_URL, error))?;
            builder = builder.backend_url(&*url);
        }
        builder.build()
    }
}

/// The settings from the environment.
#[derive(Debug)]
struct EnvSettings {
    builder: ClerkBuilder,
    /// The host of the instance, and its port if it has one.
    instance: String,
    /// The variable that the secret key is from.
    secret_key: Option<&'static str>,
}

impl EnvSettings {
    /// Takes the look-up of a variable, since tests can't set the environment of their process.
    fn read(look_up: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let value = |name| value(&look_up, name);
        let secret_key = secret_key(&look_up)?;
        let api_url = value(API_URL)?;
        if api_url.is_some() && secret_key.is_none() {
            return Err(unusable(
                API_URL,
                format!("has no effect without {SECRET_KEY}: set both or neither"),
            ));
        }
        // The address takes precedence over the key, but both are checked.
        let mut instance = None;
        for (name, input) in [(PUBLISHABLE_KEY, value(PUBLISHABLE_KEY)?), (FAPI_URL, value(FAPI_URL)?)] {
            let Some(input) = input else { continue };
            let parsed =
                Instance::parse(&input).map_err(|error| unusable(name, ConfigError::Instance(error)))?;
            if name == FAPI_URL && parsed.environment().is_some() {
                return Err(unusable(name, "must be an address like https://clerk.example.com"));
            }
            if let Some(given) = &secret_key {
                check_environments(&parsed, &given.parsed).map_err(|error| unusable(given.name, error))?;
            }
            instance = Some((parsed, input));
        }
        let Some((parsed, input)) = instance else {
            return Err(unusable(PUBLISHABLE_KEY, format!("must be set, or {FAPI_URL}")));
        };
        let mut builder = Clerk::builder(&*input);
        if let Some(url) = api_url {
            backend_base(&url).map_err(|error| unusable(API_URL, error))?;
            builder = builder.backend_url(&*url);
        }
        let secret_key = secret_key.map(|given| {
            builder.secret_key = Some(given.key);
            given.name
        });
        let instance = parsed.issuer().split_once("://").map_or("", |(_, host)| host).to_owned();
        Ok(Self { builder, instance, secret_key })
    }
}

/// A secret key, and the variable that it is from.
struct GivenKey {
    name: &'static str,
    key: Zeroizing<String>,
    parsed: SecretKey,
}

fn secret_key(look_up: impl Fn(&str) -> Option<OsString>) -> Result<Option<GivenKey>, ConfigError> {
    let names = SecretNames { value: SECRET_KEY, file: SECRET_KEY_FILE, prefix: "sk_" };
    let Some(GivenSecret { name, value }) = secret_variable(look_up, &names)? else { return Ok(None) };
    let parsed = SecretKey::parse(&value).map_err(|error| unusable(name, ConfigError::SecretKey(error)))?;
    Ok(Some(GivenKey { name, key: value, parsed }))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};
    use std::{fs, io};

    use super::*;
    use crate::session::ClerkApi;

    const PK: (&str, &str) = (PUBLISHABLE_KEY, "pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk");
    const SK: (&str, &str) = (SECRET_KEY, "sk_test_not0real0but0of0the0right0shape");

    fn read(variables: &[(&str, &str)]) -> Result<EnvSettings, ConfigError> {
        EnvSettings::read(|name| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into())
        })
    }

    /// A file in the temporary directory, removed when dropped.
    struct Temporary(PathBuf);

    impl Temporary {
        fn with(name: &str, content: impl AsRef<[u8]>) -> Self {
            let path = env::temp_dir().join(format!("tower-clerk-{name}-{}", std::process::id()));
            fs::write(&path, content).unwrap();
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            _ = fs::remove_file(&self.0);
        }
    }

    #[track_caller]
    fn refused(variables: &[(&str, &str)], name: &str, cause: &str) {
        let error = read(variables).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, ConfigError::Variable { name: named, .. } if named == name), "{message}");
        assert!(message.starts_with(&format!("{name}: ")) && !message.contains('\n'), "{message}");
        assert!(message.contains(cause), "{cause} in {message}");
        let shown = format!("{message} {error:?}");
        for (_, value) in variables {
            assert!(!value.contains("sk_") || !shown.contains(value), "a key is shown: {shown}");
        }
    }

    #[test]
    fn o5_the_instance_and_the_secret_key_come_from_the_variables_of_clerks_sdks() {
        let fapi = (FAPI_URL, "http://127.0.0.1:4400");
        let api = (API_URL, "http://127.0.0.1:4401");
        for (variables, instance, secret_key) in [
            (&[PK][..], "example.accounts.dev", None),
            (&[PK, (SECRET_KEY, ""), (SECRET_KEY_FILE, ""), (API_URL, "")], "example.accounts.dev", None),
            (&[fapi], "127.0.0.1:4400", None),
            (&[PK, fapi], "127.0.0.1:4400", None),
            (&[PK, SK], "example.accounts.dev", Some(SECRET_KEY)),
            (&[PK, SK, api], "example.accounts.dev", Some(SECRET_KEY)),
        ] {
            let settings = read(variables).unwrap();
            assert_eq!((&*settings.instance, settings.secret_key), (instance, secret_key));
            let clerk = settings.builder.build().unwrap();
            let api = if secret_key.is_some() { ClerkApi::Backend } else { ClerkApi::Frontend };
            assert_eq!(clerk.stats().api, api, "{variables:?}");
        }
    }

    #[test]
    fn o5_a_secret_key_is_the_first_line_of_its_file() {
        for (at, content) in ["\n", "\r\nanother line\n", "  \n# sk_live_abc", ""].iter().enumerate() {
            let file = Temporary::with(&format!("key-{at}"), format!(" {}{content}", SK.1));
            let settings = read(&[PK, (SECRET_KEY_FILE, file.0.to_str().unwrap())]).unwrap();
            assert_eq!(settings.secret_key, Some(SECRET_KEY_FILE));
            assert_eq!(settings.builder.secret_key.as_ref().unwrap().as_str(), SK.1);
        }
        let empty = Temporary::with("key-empty", format!("\n{}\n", SK.1));
        refused(&[PK, (SECRET_KEY_FILE, empty.0.to_str().unwrap())], SECRET_KEY_FILE, "");
        let latin1 = Temporary::with("key-latin1", b"sk_test_\xe4\n");
        refused(&[PK, (SECRET_KEY_FILE, latin1.0.to_str().unwrap())], SECRET_KEY_FILE, "UTF-8");
        let large = Temporary::with("key-large", vec![b'x'; 1 << 20]);
        refused(&[PK, (SECRET_KEY_FILE, large.0.to_str().unwrap())], SECRET_KEY_FILE, "");
        let live = Temporary::with("key-live", "sk_live_not0real0but0of0the0right0shape");
        refused(&[PK, (SECRET_KEY_FILE, live.0.to_str().unwrap())], SECRET_KEY_FILE, "two instances");
        refused(&[PK, (SECRET_KEY_FILE, "/nowhere/key")], SECRET_KEY_FILE, "can't be read");
        refused(
            &[PK, (SECRET_KEY_FILE, env::temp_dir().to_str().unwrap())],
            SECRET_KEY_FILE,
            "can't be read",
        );
        refused(&[PK, (SECRET_KEY_FILE, SK.1)], SECRET_KEY_FILE, "must be a path");
        refused(
            &[PK, SK, (SECRET_KEY_FILE, "/nowhere/key")],
            SECRET_KEY_FILE,
            "CLERK_SECRET_KEY is set as well",
        );
    }

    #[test]
    fn o5_an_error_names_its_variable_and_shows_no_key() {
        let production = (PUBLISHABLE_KEY, "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k");
        refused(&[], PUBLISHABLE_KEY, "must be set, or CLERK_FAPI_URL");
        refused(&[(PUBLISHABLE_KEY, "")], PUBLISHABLE_KEY, "must be set");
        refused(&[SK], PUBLISHABLE_KEY, "must be set");
        refused(&[(PUBLISHABLE_KEY, SK.1)], PUBLISHABLE_KEY, "this is a secret key");
        refused(&[(PUBLISHABLE_KEY, "pk_test_abc")], PUBLISHABLE_KEY, "incomplete");
        refused(
            &[(PUBLISHABLE_KEY, "pk_test_abc"), (FAPI_URL, "http://127.0.0.1:1")],
            PUBLISHABLE_KEY,
            "incomplete",
        );
        refused(&[(FAPI_URL, PK.1)], FAPI_URL, "https://clerk.example.com");
        refused(&[(FAPI_URL, "http://clerk.example.com")], FAPI_URL, "clear text");
        refused(&[PK, (SECRET_KEY, PK.1)], SECRET_KEY, "sk_live_");
        refused(&[PK, (SECRET_KEY, "sk_staging_abc")], SECRET_KEY, "");
        refused(&[production, SK], SECRET_KEY, "two instances");
        refused(&[production, (FAPI_URL, "http://127.0.0.1:1"), SK], SECRET_KEY, "two instances");
        refused(&[PK, (API_URL, "https://api.clerk.com")], API_URL, "CLERK_SECRET_KEY");
        refused(&[(API_URL, "https://api.clerk.com")], API_URL, "CLERK_SECRET_KEY");
        refused(&[PK, SK, (API_URL, "http://api.example.com")], API_URL, "in clear");
        refused(&[PK, SK, (API_URL, "api.example.com")], API_URL, "https://api.clerk.com");
        refused(&[PK, SK, (API_URL, PK.1)], API_URL, "https://api.clerk.com");
    }

    #[cfg(feature = "backend")]
    #[test]
    fn o5_a_client_of_the_backend_api_comes_from_the_same_variables() {
        let client = |variables: &[(&str, &str)]| {
            BackendClient::from_variables(|name| {
                variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).into())
            })
        };
        let api = (API_URL, "http://127.0.0.1:4401");
        client(&[SK]).unwrap();
        client(&[SK, api, (SECRET_KEY_FILE, "")]).unwrap();
        let file = Temporary::with("key-of-client", format!("{}\n", SK.1));
        client(&[(SECRET_KEY_FILE, file.0.to_str().unwrap())]).unwrap();
        for (variables, name) in [
            (&[api][..], SECRET_KEY),
            (&[PK, (SECRET_KEY, "")], SECRET_KEY),
            (&[(SECRET_KEY, PK.1)], SECRET_KEY),
            (&[SK, (SECRET_KEY_FILE, "/nowhere/key")], SECRET_KEY_FILE),
            (&[SK, (API_URL, "http://api.example.com")], API_URL),
        ] {
            let error = client(variables).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
            assert!(!format!("{error} {error:?}").contains(SK.1), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn o5_a_value_that_is_not_unicode_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;

        for name in [PUBLISHABLE_KEY, FAPI_URL, SECRET_KEY, SECRET_KEY_FILE, API_URL] {
            let error = EnvSettings::read(|looked_up| {
                (looked_up == name).then(|| OsString::from_vec(b"sk_test_\xff".to_vec()))
            });
            assert_eq!(error.unwrap_err().to_string(), format!("{name}: must be Unicode"));
        }
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn o5_one_line_at_info_names_the_api_and_the_instance() {
        for (variables, line) in [
            (&[PK][..], "Frontend API (CLERK_SECRET_KEY is not set)"),
            (&[PK, SK], "Backend API (CLERK_SECRET_KEY is set)"),
        ] {
            let log = Log::default();
            let writer = log.clone();
            let subscriber =
                tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(subscriber, || {
                Clerk::from_settings(read(variables).unwrap()).unwrap();
            });
            let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            let lines: Vec<_> = log.lines().filter(|line| line.contains("passwords are verified")).collect();
            let [only] = lines[..] else { panic!("one line in {log}") };
            assert!(only.contains(" INFO ") && only.contains(line), "{only}");
            assert!(only.contains("instance=\"example.accounts.dev\"") && !log.contains("sk_"), "{only}");
        }
    }
}
