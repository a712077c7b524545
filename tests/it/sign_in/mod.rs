//! Sign-ins, with the Frontend API unless a test says otherwise.

mod accounts;
mod budget;
mod dates;
mod denials;
mod devices;
mod faults;
mod flights;
mod forgiving;
mod guessing;
mod lifting;
mod outage;
mod runtimes;
mod transports;
mod unknown_answers;
mod waits;
