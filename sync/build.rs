//! Has the crate built again when a migration changes, which `sqlx::migrate!` reads at compile time.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
