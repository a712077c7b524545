//! Parts of the example programs, driven without their sockets and variables.

#[allow(dead_code, reason = "its own tests are enough; a process has one log only")]
#[path = "../../../examples/common/log.rs"]
mod log;
#[path = "../../../examples/server/readiness.rs"]
mod readiness;
#[path = "../../../examples/server/shown.rs"]
mod shown;
#[path = "../../../examples/common/watch.rs"]
mod watch;

mod server;
