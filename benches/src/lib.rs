//! Measures what tower-clerk costs, next to alternatives.
//!
//! `cargo bench --package tower-clerk-benches` measures only time. The program `cost` also prints instructions,
//! allocations, memory and the cost of a miss, with a goal for each:
//!
//! ```text
//! cargo run --profile bench --package tower-clerk-benches --bin cost
//! ```
//!
//! `regressions` compares the instructions and allocations of a hit with the figures in `benches/figures`, and exits with
//! code 1 if they have grown.
//!
//! The other programs simulate load and exit with code 1 if a promise is broken:
//!
//! - `life_24h`, a thousand users for a day, on a simulated clock;
//! - `life_backend`, thousands of users on the Backend API, through a restart and with tokens of one minute, on a
//!   simulated clock;
//! - `flood`, a million made-up credentials;
//! - `soak`, an hour of mixed load over sockets while Clerk has faults.

mod allocations;
mod callgrind;
mod counting;
mod drive;
mod figures;
mod instance;
mod replay;
mod subject;

pub use allocations::allocations;
pub use callgrind::Instructions;
pub use counting::Counting;
pub use drive::{Measured, Request, drive, request};
pub use figures::Figures;
pub use instance::{Instance, JWT_CLAIMS, TOKEN_LIFE};
pub use replay::Replay;
pub use subject::{Subject, Visitor};
