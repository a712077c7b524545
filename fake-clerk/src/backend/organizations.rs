//! `/v1/organizations`: show, change and delete an organization, and change its memberships.

use http::Method;

use crate::backend::body;
use crate::backend::find::user;
use crate::backend::query;
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::Organization;
use crate::state::organizations::is_slug;
use crate::views::event::deleted;

pub(crate) fn handle(context: &mut Context<'_>) -> Handled {
    match context.call.method {
        Method::PATCH => change(context),
        Method::DELETE => delete(context),
        _ => {
            query::check(context.call, &["include_members_count", "__clerk_api_version"])?;
            // Reading takes a slug as well.
            let named = context.call.variable(0);
            let id = context.state.organizations.id_of(named).unwrap_or_default();
            answer(context, &id)
        }
    }
}

fn find<'c>(context: &'c Context<'_>, id: &str) -> Result<&'c Organization, ApiError> {
    context.state.organizations.get(id).ok_or_else(|| ApiError::no_organization(id))
}

fn answer(context: &Context<'_>, id: &str) -> Handled {
    Ok(Reply::plain(context.page().backend_organization(find(context, id)?)))
}

fn change(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let id = call.variable(0);
    let (name, slug) = (body::text(call, "name")?, body::text(call, "slug")?);
    find(context, id)?;
    if let Some(slug) = slug {
        if !is_slug(slug) {
            return Err(ApiError::slug_format());
        }
        if context.state.organizations.id_of(slug).is_some_and(|owner| owner != id) {
            return Err(ApiError::slug_taken());
        }
    }
    context.state.update_organization(id, name, slug, context.now);
    answer(context, id)
}

fn delete(context: &mut Context<'_>) -> Handled {
    let id = context.call.variable(0);
    find(context, id)?;
    context.state.remove_organization(id);
    Ok(Reply::plain(deleted("organization", id)))
}

/// Adds a member.
pub(crate) fn add_member(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let organization = call.variable(0);
    let (id, role) = (body::required_text(call, "user_id")?, body::required_text(call, "role")?);
    check_role(context, organization, role)?;
    user(context, id)?;
    if context.state.membership(id, organization).is_some() {
        return Err(ApiError::already_a_member(id));
    }
    context.state.set_member(id, organization, role, context.now);
    show_member(context, id, organization)
}

/// Changes the role of a member, or removes the member.
pub(crate) fn change_member(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let (organization, id) = (call.variable(0), call.variable(1));
    find(context, organization)?;
    if context.state.membership(id, organization).is_none() {
        return Err(ApiError::no_membership());
    }
    if call.method == Method::DELETE {
        let shown = show_member(context, id, organization);
        context.state.remove_member(id, organization);
        return shown;
    }
    let role = body::required_text(call, "role")?;
    check_role(context, organization, role)?;
    context.state.set_member(id, organization, role, context.now);
    show_member(context, id, organization)
}

fn check_role(context: &Context<'_>, organization: &str, role: &str) -> Result<(), ApiError> {
    match find(context, organization)?.has_role(role) {
        true => Ok(()),
        false => Err(ApiError::no_role(role)),
    }
}

fn show_member(context: &Context<'_>, id: &str, organization: &str) -> Handled {
    let membership = context.state.membership(id, organization).ok_or_else(ApiError::no_membership)?;
    let shown = context.page().backend_membership(user(context, id)?, membership);
    Ok(Reply::plain(shown.unwrap_or_default()))
}
