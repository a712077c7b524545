//! A Clerk that runs on a laptop, for programs in any language.
//!
//! ```text
//! $ cargo run -p fake-clerk
//! fake clerk listening on http://127.0.0.1:4400
//!
//! $ curl 'http://127.0.0.1:4400/v1/client/sign_ins?_is_native=1' \
//!     -d strategy=password -d identifier=jane -d password='correct horse battery staple'
//! ```
//!
//! The accounts are listed in the documentation of the library `fake_clerk`. `FAKE_CLERK_ADDR` says where it listens.
//! Codes that Clerk would mail are printed on stderr; `424242` does as well.
//!
//! The Backend API is at the same address. `CLERK_SECRET_KEY` sets the key that it asks for; without, there is one
//! that is the same at every start, and printed on stderr:
//!
//! ```text
//! $ curl 'http://127.0.0.1:4400/v1/users?username=jane' -H "Authorization: Bearer $CLERK_SECRET_KEY"
//! ```

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    fake_clerk::run().await
}
