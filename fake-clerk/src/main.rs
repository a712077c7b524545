//! A Clerk that runs on a laptop, for programs in any language.
//!
//! ```text
//! $ cargo run -p fake-clerk
//! fake clerk listening on http://127.0.0.1:4400
//! ```
//!
//! In another shell: a sign-in, a token for the organization `acme`, another organization, and the end of the session.
//! The client token is in the answer's header `authorization`.
//!
//! ```text
//! $ curl -i -o answer 'http://127.0.0.1:4400/v1/client/sign_ins?_is_native=1' \
//!     -d strategy=password -d identifier=jane -d password='correct horse battery staple'
//! $ TOKEN=$(sed -n 's/^authorization: //p' answer | tr -d '\r')
//! $ SESSION=http://127.0.0.1:4400/v1/client/sessions/$(grep -o 'sess_[0-9A-Za-z]*' answer | head -n 1)
//! $ curl "$SESSION/tokens?_is_native=1" -H "Authorization: $TOKEN" -d organization_id=org_ojHFcumdg8ZxYa1pebKSFy9ijB5
//! $ curl "$SESSION/touch?_is_native=1" -H "Authorization: $TOKEN" -d active_organization_id=globex
//! $ curl -X POST "$SESSION/end?_is_native=1" -H "Authorization: $TOKEN"
//! ```
//!
//! The accounts are listed in the documentation of the library `fake_clerk`. Codes that Clerk would mail are printed on
//! stderr; `424242` does as well. `FAKE_CLERK_ADDR` says where it listens, and `FAKE_CLERK_LIMITS=off` lifts the limits.
//!
//! The Backend API is at the same address. `CLERK_SECRET_KEY` sets the key that it asks for; otherwise a fixed key is
//! used, and printed on stderr as the line that begins with `export`. With the key it printed:
//!
//! ```text
//! $ curl 'http://127.0.0.1:4400/v1/users?username=jane' -H "Authorization: Bearer $CLERK_SECRET_KEY"
//! ```

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    fake_clerk::run().await
}
