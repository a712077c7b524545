//! `/v1/client/sessions/{id}`: show, touch, mint, end, remove.

use serde_json::Value;

use crate::authentication::session::choose_last_active;
use crate::claims::{self, Wanted};
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::state::SessionStatus;
use crate::tokens::unsigned::payload;

/// Returns the session in the path if it belongs to the client.
///
/// A session of another client gets the same refusal as one that doesn't exist.
fn own(context: &mut Context<'_>) -> Result<String, ApiError> {
    let client = context.require_client()?;
    let id = context.call.variable(0);
    let listed =
        context.state.clients.get(&client).is_some_and(|client| client.sessions.iter().any(|s| s == id));
    if listed && context.state.sessions.contains(id) {
        Ok(id.to_owned())
    } else {
        Err(ApiError::no_session(id))
    }
}

/// Returns the session in the path if it belongs to the client and is live.
fn own_live(context: &mut Context<'_>) -> Result<String, ApiError> {
    let id = own(context)?;
    let now = context.now.instant;
    match context.state.sessions.get(&id) {
        Some(session) if session.is_live(now) => Ok(id),
        _ => Err(ApiError::authentication_invalid()),
    }
}

pub(crate) fn show(context: &mut Context<'_>) -> Handled {
    let id = own(context)?;
    Ok(answer(context, &id))
}

/// Builds `{response: session, client}`.
fn answer(context: &Context<'_>, id: &str) -> Reply {
    let mut page = context.page();
    let state = page.state;
    let Some(session) = state.sessions.get(id) else { return Reply::plain(Value::Null) };
    let shown = page.session(session);
    let client = state.clients.get(&session.client).map(|client| page.client(client));
    Reply::wrapped(shown, client.unwrap_or_default(), page)
}

/// The organization that a request selects.
enum Choice {
    /// No parameter: keep the active organization.
    Unsaid,
    Personal,
    Organization(String),
}

/// Reads the parameter that names one of the user's organizations, by id or, if `by_slug`, by slug.
fn choice(context: &Context<'_>, session: &str, param: &str, by_slug: bool) -> Result<Choice, ApiError> {
    match context.call.param(param) {
        None => Ok(Choice::Unsaid),
        // Where an organization is mandatory, there is no personal account to switch to.
        Some("") if context.settings.force_organization_selection => Ok(Choice::Unsaid),
        Some("") => Ok(Choice::Personal),
        Some(named) => {
            let state = &context.state;
            let id = if by_slug { state.organizations.id_of(named) } else { Some(named.to_owned()) };
            let user = state.sessions.get(session).map(|session| session.user.as_str());
            let member = id.filter(|id| user.is_some_and(|user| state.membership(user, id).is_some()));
            // Missing and foreign organizations get the same refusal.
            member.map(Choice::Organization).ok_or_else(ApiError::organization)
        }
    }
}

pub(crate) fn touch(context: &mut Context<'_>) -> Handled {
    let id = own_live(context)?;
    let intent = context.call.param("intent").unwrap_or_default();
    if !["", "focus", "select_session", "select_org"].contains(&intent) {
        return Err(ApiError::param_value("intent", intent));
    }
    let choice = choice(context, &id, "active_organization_id", true)?;
    let now = context.now.instant;
    let Some(session) = context.state.sessions.get_mut(&id) else { return Err(ApiError::no_session(&id)) };
    session.last_active = now;
    session.updated = now;
    match choice {
        Choice::Unsaid => {}
        Choice::Personal => session.organization = None,
        Choice::Organization(organization) => {
            session.organization = Some(organization);
            session.tasks.retain(|task| task != "choose-organization");
        }
    }
    if let Some(client) = context.state.clients.get_mut(&session.client) {
        client.last_active_session = Some(id.clone());
        client.updated = now;
    }
    if session.status == SessionStatus::Pending && session.tasks.is_empty() {
        context.state.set_session_status(&id, SessionStatus::Active, context.now);
    }
    let mut reply = answer(context, &id);
    if intent == "focus" {
        // A window that gained focus needs no new copy of the client, so Clerk omits it.
        reply.body["client"] = Value::Null;
    }
    Ok(reply)
}

pub(crate) fn mint(context: &mut Context<'_>) -> Handled {
    let id = own_live(context)?;
    let choice = choice(context, &id, "organization_id", false)?;
    if context.settings.session_minter && !has_token_of(context, &id) {
        return Err(ApiError::missing_expired_token());
    }
    let page = context.page();
    let Some(session) = page.state.sessions.get(&id) else { return Err(ApiError::no_session(&id)) };
    let organization = match &choice {
        Choice::Unsaid => session.organization.as_deref(),
        Choice::Personal => None,
        Choice::Organization(organization) => Some(organization.as_str()),
    };
    let (issuer, origin) = (&context.call.issuer, context.call.origin());
    let wanted = Wanted { issuer, origin, organization, life: None };
    let token = claims::session_token(context.state, context.settings, session, &wanted, context.now);
    Ok(context.token_alone(token))
}

/// Whether the request carries a token of the session, possibly expired.
fn has_token_of(context: &Context<'_>, id: &str) -> bool {
    let token = context.call.query("expired_token").or(context.call.param("token"));
    let claims = token.and_then(payload);
    claims.is_some_and(|claims| claims.get("sid").and_then(Value::as_str) == Some(id))
}

pub(crate) fn mint_from_template(context: &mut Context<'_>) -> Handled {
    let id = own_live(context)?;
    let name = context.call.variable(1);
    let Some(session) = context.state.sessions.get(&id) else { return Err(ApiError::no_session(&id)) };
    let Some(template) = context.state.templates.get(name) else { return Err(ApiError::no_template(name)) };
    let organization = session.organization.as_deref();
    let (issuer, origin) = (&context.call.issuer, context.call.origin());
    let wanted = Wanted { issuer, origin, organization, life: None };
    let token = claims::template_token(context.state, session, template, &wanted, context.now);
    Ok(context.token_alone(token))
}

/// Ends the session, which stays listed on the client.
pub(crate) fn end(context: &mut Context<'_>) -> Handled {
    let id = own(context)?;
    if !context.state.end_session(&id, SessionStatus::Ended, context.now) {
        return Err(ApiError::session_action("end", &id));
    }
    choose_last_active(context, &id);
    Ok(answer(context, &id))
}

/// Ends the session and removes it from the client.
pub(crate) fn remove(context: &mut Context<'_>) -> Handled {
    let id = own(context)?;
    context.state.set_session_status(&id, SessionStatus::Removed, context.now);
    if let Some(session) = context.state.sessions.get(&id)
        && let Some(client) = context.state.clients.get_mut(&session.client)
    {
        client.sessions.retain(|listed| *listed != id);
    }
    choose_last_active(context, &id);
    Ok(answer(context, &id))
}
