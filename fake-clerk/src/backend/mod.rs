//! The Backend API: what a server that has the instance's secret key may ask.

mod body;
mod refusals;
mod sessions;
mod settings;
mod show;
mod sign_in_tokens;
mod users;

use serde_json::{Value, json};

pub(super) use self::settings::BackendLimit;
pub use self::settings::GoneSession;
use super::endpoint::Endpoint;
use super::errors::ApiError;
use super::handler::{Context, Handled, Reply, Window};
use super::ids;
use super::request::Call;
use super::state::{Session, User};

/// Carries a request out.
pub(super) fn handle(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    call.check_target()?;
    check_key(call, &context.settings.backend_key())?;
    call.check_version(context.now)?;
    if call.endpoint == Endpoint::BackendJwks {
        // The one endpoint without a limit.
        return Ok(Reply::plain(context.state.keys.jwks()));
    }
    context.limit(Window::Backend)?;
    body::check(call)?;
    match call.endpoint {
        Endpoint::Users => users::list(context),
        Endpoint::User => users::show_or_change(context),
        Endpoint::VerifyPassword => users::verify_password(context),
        Endpoint::UserAction => users::act(context),
        Endpoint::UserMemberships => users::memberships(context),
        Endpoint::SignInTokens => sign_in_tokens::create(context),
        Endpoint::RevokeSignInToken => sign_in_tokens::revoke(context),
        Endpoint::BackendSessions => sessions::list_or_create(context),
        Endpoint::BackendSession => sessions::show(context),
        Endpoint::RevokeSession => sessions::revoke(context),
        Endpoint::BackendTokens => sessions::mint(context),
        Endpoint::BackendTemplateTokens => sessions::mint_from_template(context),
        Endpoint::Instance => Ok(Reply::plain(instance(context))),
        _ => Err(ApiError::of_status(404)),
    }
}

/// Whether the request has the instance's key, once, as `Bearer`.
fn check_key(call: &Call, key: &str) -> Result<(), ApiError> {
    let mut values = call.headers.get_all(http::header::AUTHORIZATION).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::authorization_format());
    };
    let given = value.to_str().ok().and_then(|value| value.split_once(' '));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => match given.trim() {
            "" => Err(ApiError::authorization_format()),
            given if given == key => Ok(()),
            _ => Err(ApiError::secret_key()),
        },
        _ => Err(ApiError::authorization_format()),
    }
}

fn instance(context: &Context<'_>) -> Value {
    json!({
        "object": "instance",
        "id": ids::derived("ins", &context.settings.host),
        "environment_type": context.settings.environment_type(),
        "allowed_origins": null,
        "workspace_id": null,
    })
}

/// The user whom a request is about.
fn user<'c>(context: &'c Context<'_>, id: &str) -> Result<&'c User, ApiError> {
    context.state.users.get(id).ok_or_else(|| ApiError::no_user(id))
}

/// The session in the path.
fn session<'c>(context: &'c Context<'_>) -> Result<&'c Session, ApiError> {
    let id = context.call.variable(0);
    context.state.sessions.get(id).ok_or_else(|| ApiError::no_session(id))
}

/// An organization, if the user is a member of it. One answer to one that isn't there and to one of others.
fn organization_of(context: &Context<'_>, user: &str, organization: &str) -> Result<String, ApiError> {
    let membership = context.state.membership(user, organization);
    membership.map(|it| it.organization.clone()).ok_or_else(ApiError::organization)
}
