//! Parts of the example, for the tests that stand in them: cargo runs no tests of an example.

#[path = "../../common/addresses.rs"]
mod addresses;
#[path = "../../gateway/fields.rs"]
mod fields;
#[path = "../../gateway/forward_auth.rs"]
mod forward_auth;
#[path = "../../gateway/upstream.rs"]
mod upstream;
