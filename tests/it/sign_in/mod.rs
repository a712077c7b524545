//! From a password to a session, by the Frontend API where nothing else is said.

mod accounts;
mod budget;
mod dates;
mod denials;
mod devices;
mod faults;
mod flights;
mod guessing;
mod outage;
mod runtimes;
mod transports;
mod unknown_answers;
mod waits;
