//! Lists of organizations and memberships, by offset.

use serde_json::{Value, json};

use crate::backend::query;
use crate::backend::user_list::sort_key;
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::{Membership, Organization, User};

const ORDERS: [&str; 6] =
    ["phone_number", "email_address", "created_at", "first_name", "last_name", "username"];

/// `GET /v1/organizations`
pub(crate) fn organizations(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let known =
        ["organization_id", "include_members_count", "limit", "offset", "order_by", "__clerk_api_version"];
    query::check(call, &known)?;
    let (limit, offset) = query::page(call)?;
    let order = query::order(call, &["name", "created_at", "members_count"])?;
    let shows_count = query::flag(call, "include_members_count")?;
    let ids = query::values(call, "organization_id")?;
    let page = context.page();
    let mut found: Vec<&Organization> = page
        .state
        .organizations
        .oldest_first()
        .filter(|organization| query::is_among(&organization.about.id, &ids))
        .collect();
    match order.by {
        "name" => found.sort_by(|one, other| one.about.name.cmp(&other.about.name)),
        "members_count" => found.sort_by_key(|organization| organization.members.len()),
        _ => {}
    }
    if order.descending {
        found.reverse();
    }
    let total = found.len();
    let shown = found.into_iter().skip(offset).take(limit);
    let shown = shown.map(|organization| page.listed_organization(organization, shows_count)).collect();
    Ok(Reply::plain(envelope(shown, total)))
}

/// `GET /v1/organization_memberships`
pub(crate) fn memberships(context: &mut Context<'_>) -> Handled {
    query::check(context.call, &["limit", "offset", "order_by", "__clerk_api_version"])?;
    let state = &context.state;
    let total = state.memberships.len();
    let all = state.memberships.oldest_first().filter_map(|(user, organization)| {
        Some((state.users.get(user)?, state.membership(user, organization)?))
    });
    show(context, all, total)
}

/// `GET /v1/organizations/{id}/memberships`
pub(crate) fn members(context: &mut Context<'_>) -> Handled {
    let (call, id) = (context.call, context.call.variable(0));
    query::check(call, &["user_id", "role", "limit", "offset", "order_by", "__clerk_api_version"])?;
    let (users, roles) = (query::values(call, "user_id")?, query::values(call, "role")?);
    let state = &context.state;
    let organization = state.organizations.get(id).ok_or_else(|| ApiError::no_organization(id))?;
    let member = |user: &str| Some((state.users.get(user)?, state.membership(user, id)?));
    let mut asked: Vec<_> = query::asked_for(&users).filter_map(member).collect();
    let is_wanted = |(user, membership): &(&User, &Membership)| {
        query::is_among(&user.account.id, &users) && (roles.is_empty() || roles.contains(&&*membership.role))
    };
    if users.is_empty() && roles.is_empty() {
        let all = organization.members.values().filter_map(|user| member(user));
        return show(context, all, organization.members.len());
    }
    if query::asked_for(&users).next().is_none() {
        asked = organization.members.values().filter_map(|user| member(user)).collect();
    }
    asked.sort_by_key(|(_, membership)| membership.number);
    asked.dedup_by_key(|(_, membership)| membership.number);
    asked.retain(is_wanted);
    let total = asked.len();
    show(context, asked.into_iter(), total)
}

/// Shows a page of memberships, which are given oldest first.
fn show<'s>(
    context: &'s Context<'_>,
    all: impl DoubleEndedIterator<Item = (&'s User, &'s Membership)> + 's,
    total: usize,
) -> Handled {
    let (limit, offset) = query::page(context.call)?;
    let order = query::order(context.call, &ORDERS)?;
    let all: Box<dyn Iterator<Item = _>> = match (order.by, order.descending) {
        ("created_at", false) => Box::new(all),
        ("created_at", true) => Box::new(all.rev()),
        (by, descending) => {
            let mut sorted: Vec<_> = all.collect();
            sorted.sort_by_cached_key(|(user, _)| sort_key(user, by, context.now));
            if descending { Box::new(sorted.into_iter().rev()) } else { Box::new(sorted.into_iter()) }
        }
    };
    let page = context.page();
    let shown = all.skip(offset).take(limit);
    let shown = shown.filter_map(|(user, membership)| page.backend_membership(user, membership));
    Ok(Reply::plain(envelope(shown.collect(), total)))
}

fn envelope(data: Vec<Value>, total: usize) -> Value {
    // Moves the entries; `json!` would clone them.
    [("data".to_owned(), Value::Array(data)), ("total_count".to_owned(), json!(total))].into_iter().collect()
}
