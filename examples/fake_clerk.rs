//! Runs the stand-in of `tower_clerk::testing` as a program: a Clerk instance on a laptop. It is the same program as
//! the `fake-clerk` package's.
//!
//! ```text
//! $ cargo run --example fake_clerk
//! fake clerk listening on http://127.0.0.1:4400
//! ```
//!
//! In another shell, sign in, mint a token for the organization `acme`, switch to another organization, and end the
//! session. The client token is in the response's `authorization` header.
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
//! The documentation of the library `fake_clerk` lists the accounts. Codes that Clerk would mail are printed to
//! stderr; `424242` is valid as well. `FAKE_CLERK_ADDR` sets the address to listen on, and `FAKE_CLERK_LIMITS=off`
//! lifts the rate limits.
//!
//! The Backend API is at the same address. `CLERK_SECRET_KEY` sets its secret key; by default a fixed key is used and
//! printed to stderr in a line that starts with `export`. After that line was run in the shell:
//!
//! ```text
//! $ curl 'http://127.0.0.1:4400/v1/users?username=jane' -H "Authorization: Bearer $CLERK_SECRET_KEY"
//! ```
//!
//! `FAKE_CLERK_WEBHOOK_URL` makes it send webhooks there, signed with `FAKE_CLERK_WEBHOOK_SECRET`; by default a fixed
//! secret is used and printed. Banning a user makes one fly:
//!
//! ```text
//! $ curl -X POST http://127.0.0.1:4400/v1/users/user_2pqaQ9F4o9MNRSlx8VeMRn5hZug/ban -H "Authorization: Bearer $CLERK_SECRET_KEY"
//! ```

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    fake_clerk::run().await
}
