//! API keys with the stand-in, whose secret key and demo keys are the same at each start.

use tower_clerk::testing::{FakeClerk, FakeClerkServer};
use tower_clerk::{Clerk, ClerkBuilder};

/// Returns the builder of an engine on the stand-in, with its secret key if API keys are accepted.
pub(crate) fn on_stand_in(stand_in: &FakeClerkServer, accepts_api_keys: bool) -> ClerkBuilder {
    let builder = Clerk::builder(stand_in.url());
    match accepts_api_keys {
        true => builder.secret_key(FakeClerk::new().secret_key()).backend_url(stand_in.url()),
        false => builder,
    }
}

/// The `curl` options that present an account of the stand-in, and those that present an API key.
pub(crate) fn credentials(accepts_api_keys: bool) -> Vec<String> {
    let mut credentials = vec!["-u 'jane@example.com:correct horse battery staple'".to_owned()];
    if accepts_api_keys {
        let (_, secret) = FakeClerk::new().demo_api_key("jane");
        credentials.push(format!("-u __token__:{secret}"));
    }
    credentials
}
