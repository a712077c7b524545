//! What tower-clerk costs, beside what others cost.
//!
//! `cargo bench --package tower-clerk-benches` measures time alone. The program `cost` prints instructions,
//! allocations, memory and the price of a miss too, with the goals beside them:
//!
//! ```text
//! cargo run --profile bench --package tower-clerk-benches --bin cost
//! ```

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
