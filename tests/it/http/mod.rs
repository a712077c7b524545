//! What a tower service and its clients see.

mod layer;
mod readiness;
mod socket;
mod stacks;
