//! Exchanges through the Backend API, where the secret key verifies passwords.

mod accounts;
mod both_apis;
mod budget;
mod key;
mod passwords;
mod sessions;
