//! What tower-clerk costs, beside what others cost.
//!
//! `cargo bench --package tower-clerk-benches` measures time alone. The program `cost` prints instructions,
//! allocations, memory and the price of a miss too, with the goals beside them:
//!
//! ```text
//! cargo run --profile bench --package tower-clerk-benches --bin cost
//! ```
//!
//! Others simulate what takes longer, and end with 1 where a promise is broken: `life_24h`, a day of a thousand users, and
//! `life_backend`, thousands of users with the secret key, over a restart and on tokens of a minute, both on a driven
//! clock; and `flood`, a million made-up credentials.

mod counting;
mod drive;
mod instance;
mod replay;
mod subject;

pub use counting::Counting;
pub use drive::{Measured, Request, drive, request};
pub use instance::{Instance, JWT_CLAIMS, TOKEN_LIFE};
pub use replay::Replay;
pub use subject::{Subject, Visitor};
