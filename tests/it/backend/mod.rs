//! The Backend API's side: the secret key verifies passwords.

mod accounts;
mod both_roads;
mod budget;
mod key;
mod passwords;
mod sessions;
