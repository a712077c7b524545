//! The database: how it is opened, and the statements that write objects.

pub(crate) mod connect;
pub(crate) mod dialect;
pub(crate) mod migrations;
pub(crate) mod statements;
