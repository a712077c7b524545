//! `/v1/users`: look up, change and delete users, verify a password, list memberships, ban and lock.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::authentication::{MIN_PASSWORD, lockout};
use crate::backend::find::user;
use crate::backend::{body, provider_ids};
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::identifiers::normalize;
use crate::state::{SessionStatus, User, Users};
use crate::totp;
use crate::views::event::deleted;

/// Maximum number of values of a filter.
const MAX_VALUES: usize = 100;

pub(crate) fn list(context: &mut Context<'_>) -> Handled {
    const FILTERS: [&str; 4] = ["email_address", "phone_number", "username", "user_id"];
    let call = context.call;
    body::check_query(
        call,
        &[&FILTERS[..], &provider_ids::FILTER, &["limit", "offset", "__clerk_api_version"]].concat(),
    )?;
    let (limit, offset) = body::page(call)?;
    let filters = FILTERS.map(|name| {
        let values = call.query.iter().filter(|(known, _)| known == name);
        (name, values.map(|(_, value)| value.as_str()).collect::<Vec<_>>())
    });
    if let Some((name, _)) = filters.iter().find(|(_, values)| values.len() > MAX_VALUES) {
        return Err(ApiError::too_many_values(name, MAX_VALUES));
    }
    let page = context.page();
    let users = &page.state.users;
    let linked = provider_ids::find(call, users)?;
    let is_linked = |user: &User| linked.as_ref().is_none_or(|linked| linked.contains_key(&user.number));
    let wanted =
        |user: &&User| is_linked(user) && filters.iter().all(|(name, values)| matches(user, name, values));
    let show = |user| page.backend_user(user);
    let shown = match candidates(users, &filters).or_else(|| linked.clone()) {
        // Newest first, as on Clerk.
        Some(few) => few.into_values().rev().filter(wanted).skip(offset).take(limit).map(show).collect(),
        None => users.newest_first().filter(wanted).skip(offset).take(limit).map(show).collect(),
    };
    Ok(Reply::plain(shown))
}

/// Returns the users that the indexes find for the filters, by number; `None` if no filter has an index.
fn candidates<'s>(users: &'s Users, filters: &[(&str, Vec<&str>)]) -> Option<BTreeMap<usize, &'s User>> {
    let found: Vec<&User> = filters.iter().find_map(|(name, values)| match *name {
        _ if values.is_empty() => None,
        "user_id" => {
            let ids: Vec<&str> = asked_for(values).collect();
            (!ids.is_empty()).then(|| ids.into_iter().filter_map(|id| users.get(id)).collect())
        }
        _ => Some(values.iter().flat_map(|value| users.having(value)).collect()),
    })?;
    Some(found.into_iter().map(|user| (user.number, user)).collect())
}

/// Whether a user matches one of a filter's values. As on Clerk, unverified addresses match too.
fn matches(user: &User, filter: &str, values: &[&str]) -> bool {
    if values.is_empty() {
        return true;
    }
    let account = &user.account;
    let has = |own: &str| values.iter().any(|value| normalize(value) == normalize(own));
    match filter {
        "email_address" => account.emails.iter().any(|(address, _)| has(address)),
        "phone_number" => account.phone.as_deref().is_some_and(has),
        "username" => account.username.as_deref().is_some_and(has),
        _ => is_among(&account.id, values),
    }
}

/// Returns the ids that a filter includes. A leading `-` excludes an id; the leading `+` of the others is optional,
/// and decodes to a space if it wasn't escaped.
fn asked_for<'v>(values: &[&'v str]) -> impl Iterator<Item = &'v str> {
    let asked = values.iter().filter(|value| !value.starts_with('-'));
    asked.map(|value| value.trim_start_matches(['+', ' ']))
}

/// Whether the filter includes an id and doesn't exclude it with a leading `-`.
fn is_among(id: &str, values: &[&str]) -> bool {
    let is_excluded = values.iter().any(|value| value.strip_prefix('-') == Some(id));
    let mut asked = asked_for(values).peekable();
    !is_excluded && (asked.peek().is_none() || asked.any(|known| known == id))
}

pub(crate) fn handle(context: &mut Context<'_>) -> Handled {
    let id = context.call.variable(0);
    match context.call.method {
        Method::PATCH => change(context, id),
        Method::DELETE => {
            user(context, id)?;
            context.state.remove_user(id);
            Ok(Reply::plain(deleted("user", id)))
        }
        _ => answer(context, id),
    }
}

fn change(context: &mut Context<'_>, id: &str) -> Handled {
    let call = context.call;
    let bypass = body::flag(call, "bypass_client_trust")?;
    let (first, last) = (body::text(call, "first_name")?, body::text(call, "last_name")?);
    let (password, totp) = (body::text(call, "password")?, body::text(call, "totp_secret")?);
    let skips_checks = body::flag(call, "skip_password_checks")?.unwrap_or_default();
    let signs_out = body::flag(call, "sign_out_of_other_sessions")?.unwrap_or_default();
    user(context, id)?;
    if password.is_some_and(|password| !skips_checks && password.chars().count() < MIN_PASSWORD) {
        return Err(ApiError::password_too_short(MIN_PASSWORD));
    }
    if let Some(secret) = totp.filter(|secret| totp::code(secret, 0).is_none()) {
        return Err(ApiError::param_value("totp_secret", secret));
    }
    let now = context.now;
    context.state.update_user(id, now, |user| {
        let account = &mut user.account;
        account.bypass_device_trust = bypass.unwrap_or(account.bypass_device_trust);
        for (own, given) in [(&mut account.first_name, first), (&mut account.last_name, last)] {
            if let Some(given) = given {
                *own = Some(given.to_owned());
            }
        }
        if let Some(password) = password {
            user.set_password(password.to_owned(), now);
        }
        if let Some(secret) = totp {
            user.set_totp(Some(secret.to_owned()), now);
        }
    });
    if signs_out && password.is_some() {
        context.state.end_sessions_of_user(id, SessionStatus::Revoked, now);
    }
    answer(context, id)
}

fn answer(context: &Context<'_>, id: &str) -> Handled {
    Ok(Reply::plain(context.page().backend_user(user(context, id)?)))
}

pub(crate) fn verify_password(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let id = call.variable(0);
    let given = body::required_text(call, "password")?;
    let Some(right) = user(context, id)?.account.password.clone() else {
        return Err(ApiError::no_password());
    };
    let counts = context.settings.verify_password_counts;
    if counts {
        lockout::unlocked(context, Some(id))?;
    }
    context.takes = context.settings.verify_password_time;
    if right == given {
        if let Some(user) = context.state.users.get_mut(id).filter(|_| counts) {
            user.failures = 0;
        }
        return Ok(Reply::plain(json!({ "verified": true })));
    }
    let refusal = ApiError::wrong_password();
    Err(if counts { lockout::count_failure(context, Some(id), refusal) } else { refusal })
}

pub(crate) fn memberships(context: &mut Context<'_>) -> Handled {
    body::check_query(context.call, &["limit", "offset", "__clerk_api_version"])?;
    let (limit, offset) = body::page(context.call)?;
    let user = user(context, context.call.variable(0))?;
    let page = context.page();
    let all =
        user.memberships.iter().rev().filter_map(|membership| page.backend_membership(user, membership));
    let shown: Vec<Value> = all.skip(offset).take(limit).collect();
    Ok(Reply::plain(json!({ "data": shown, "total_count": user.memberships.len() })))
}

/// Bans, unbans, locks or unlocks a user, or removes the password.
pub(crate) fn act(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let id = call.variable(0);
    let (settings, now) = (context.settings, context.now);
    let has_password = user(context, id)?.account.password.is_some();
    let state = &mut context.state;
    match call.variable(1) {
        "ban" => state.ban(id, now),
        "unban" => state.update_user(id, now, |user| user.account.banned = false),
        "lock" => state.update_user(id, now, |user| user.lock(settings, now)),
        "unlock" => state.update_user(id, now, User::unlock),
        // Clerk changes nothing, and sends no event, if there is no password.
        _ if has_password => {
            let signs_out = body::flag(call, "sign_out_of_other_sessions")?.unwrap_or_default();
            state.update_user(id, now, |user| user.account.password = None);
            if signs_out {
                state.end_sessions_of_user(id, SessionStatus::Revoked, now);
            }
        }
        _ => {}
    }
    answer(context, id)
}

/// Removes the second factors of a user. The stand-in has one kind, the authenticator app.
pub(crate) fn remove_second_factors(context: &mut Context<'_>) -> Handled {
    let id = context.call.variable(0);
    user(context, id)?;
    let now = context.now;
    context.state.update_user(id, now, |user| user.set_totp(None, now));
    Ok(Reply::plain(json!({ "user_id": id })))
}
