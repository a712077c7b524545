//! `/v1/sessions`: list, show, create, revoke, and mint tokens.

use http::Method;

use crate::authentication::session::{choose_last_active, open};
use crate::backend::body;
use crate::backend::find::{organization_of, session, user};
use crate::backend::query;
use crate::claims::{self, Wanted};
use crate::context::{Context, Handled, Reply};
use crate::errors::ApiError;
use crate::settings::GoneSession;
use crate::state::{Client, Session, SessionStatus};

/// The shortest and the longest token lifetime that a request may set, in seconds.
const TOKEN_LIFE: (u64, u64) = (30, 315_360_000);

/// The values of the `status` filter. Clerk's list has no `pending`.
const STATUSES: [&str; 7] = ["abandoned", "active", "ended", "expired", "removed", "replaced", "revoked"];

pub(crate) fn list_or_create(context: &mut Context<'_>) -> Handled {
    if context.call.method == Method::POST { create(context) } else { list(context) }
}

fn list(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    let known = ["user_id", "client_id", "status", "limit", "offset", "__clerk_api_version"];
    query::check(call, &known)?;
    let (limit, offset) = query::page(call)?;
    let (user, client, status) = (call.query("user_id"), call.query("client_id"), call.query("status"));
    if user.is_none() && client.is_none() {
        return Err(ApiError::missing_param("user_id"));
    }
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        return Err(ApiError::param_value("status", status));
    }
    let now = context.now.instant;
    let wanted = |session: &&Session| {
        client.is_none_or(|client| session.client == client)
            && status.is_none_or(|status| session.status(now).as_str() == status)
    };
    let page = context.page();
    let sessions = &page.state.sessions;
    let show = |session| page.backend_session(session);
    // Newest first, as on Clerk.
    let shown = match (user, client) {
        (Some(user), _) => {
            sessions.of_user(user).rev().filter(wanted).skip(offset).take(limit).map(show).collect()
        }
        (None, client) => {
            let of_client = sessions.of_client(client.unwrap_or_default()).rev();
            of_client.filter(wanted).skip(offset).take(limit).map(show).collect()
        }
    };
    Ok(Reply::plain(shown))
}

/// Creates a session without a sign-in, on a new client. Clerk allows this in development instances only.
fn create(context: &mut Context<'_>) -> Handled {
    if context.settings.is_production() {
        return Err(ApiError::only_for_development());
    }
    let call = context.call;
    let id = body::required_text(call, "user_id")?;
    let organization = body::text(call, "active_organization_id")?;
    if user(context, id)?.account.banned {
        return Err(ApiError::user_banned());
    }
    let organization =
        organization.map(|organization| organization_of(context, id, organization)).transpose()?;
    let mut client = Client::new(context.now);
    let (settings, now) = (context.settings, context.now);
    let session =
        open(context.state, settings, now, &mut client, id, organization, false).unwrap_or_default();
    context.state.clients.insert(client.id.clone(), client);
    answer(context, &session)
}

fn answer(context: &Context<'_>, id: &str) -> Handled {
    let page = context.page();
    let shown = page.state.sessions.get(id).map(|session| page.backend_session(session));
    shown.map(Reply::plain).ok_or_else(|| ApiError::no_session(id))
}

pub(crate) fn show(context: &mut Context<'_>) -> Handled {
    answer(context, context.call.variable(0))
}

pub(crate) fn revoke(context: &mut Context<'_>) -> Handled {
    let id = context.call.variable(0);
    session(context)?;
    if !context.state.end_session(id, SessionStatus::Revoked, context.now) {
        return Err(ApiError::session_action("revoke", id));
    }
    choose_last_active(context, id);
    answer(context, id)
}

/// Returns the session in the path if it is live.
fn live<'c>(context: &'c Context<'_>) -> Result<&'c Session, ApiError> {
    let session = session(context)?;
    if session.is_live(context.now.instant) {
        return Ok(session);
    }
    Err(match context.settings.gone_session {
        GoneSession::NotFound => ApiError::no_session(&session.id),
        GoneSession::AuthenticationInvalid => ApiError::authentication_invalid(),
        GoneSession::InvalidAction => ApiError::session_action("create a token for", &session.id),
    })
}

/// Returns a request for a token of the session's active organization. Unlike the Frontend API, `Origin` is ignored.
fn wanted<'c>(context: &'c Context<'_>, session: &'c Session) -> Result<Wanted<'c>, ApiError> {
    let life = body::life(context.call, TOKEN_LIFE.0, TOKEN_LIFE.1)?;
    let organization = session.organization.as_deref();
    Ok(Wanted { issuer: &context.call.issuer, origin: None, organization, life })
}

pub(crate) fn mint(context: &mut Context<'_>) -> Handled {
    let session = live(context)?;
    let wanted = wanted(context, session)?;
    let token = claims::session_token(context.state, context.settings, session, &wanted, context.now);
    Ok(context.token_alone(token))
}

pub(crate) fn mint_from_template(context: &mut Context<'_>) -> Handled {
    let session = live(context)?;
    let wanted = wanted(context, session)?;
    let name = context.call.variable(1);
    let Some(template) = context.state.templates.get(name) else { return Err(ApiError::no_template(name)) };
    let token = claims::template_token(context.state, session, template, &wanted, context.now);
    Ok(context.token_alone(token))
}
