//! `/v1/users/{id}`: show, change and delete users, verify a password, list memberships, ban and lock.

use http::Method;
use serde_json::{Value, json};

use crate::authentication::{MIN_PASSWORD, lockout};
use crate::backend::find::user;
use crate::backend::{body, query};
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::{SessionStatus, User};
use crate::totp;
use crate::views::event::deleted;

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
    query::check(context.call, &["limit", "offset", "__clerk_api_version"])?;
    let (limit, offset) = query::page(context.call)?;
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
