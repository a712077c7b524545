//! `/v1/organizations`: show one.

use crate::backend::body;
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;

/// Shows an organization, by id or slug.
pub(crate) fn show(context: &mut Context<'_>) -> Handled {
    body::check_query(context.call, &["include_members_count", "__clerk_api_version"])?;
    let organizations = &context.state.organizations;
    let id = organizations.id_of(context.call.variable(0)).ok_or_else(ApiError::no_organization)?;
    let organization = organizations.get(&id).ok_or_else(ApiError::no_organization)?;
    let page = context.page();
    let mut shown = page.organization(organization);
    shown["private_metadata"] = serde_json::json!({});
    Ok(Reply::plain(shown))
}
