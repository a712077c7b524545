//! `clerk-sync status`.

use tower_clerk_sync::SyncStatus;

use crate::args::Options;
use crate::output::{self, Failure};

pub(crate) async fn show(options: &Options) -> Result<u8, Failure> {
    let status = SyncStatus::read(&options.mirror().await?).await?;
    output::show(options.json, &status, &status.to_string())?;
    Ok(0)
}
