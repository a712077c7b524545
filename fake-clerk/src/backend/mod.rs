//! The Backend API, for servers that have the instance's secret key.

mod api_keys;
mod body;
mod find;
mod organization_lists;
mod organizations;
mod provider_ids;
mod query;
mod sessions;
mod sign_in_tokens;
mod user_list;
mod users;

use http::Method;
use serde_json::{Value, json};

use crate::context::{Context, Handled, Reply};
use crate::endpoint::Endpoint;
use crate::errors::ApiError;
use crate::ids;
use crate::request::Call;
use crate::state::Window;

pub(crate) fn handle(context: &mut Context<'_>) -> Handled {
    let call = context.call;
    call.check_target()?;
    check_key(call, &context.settings.backend_key())?;
    call.check_version(context.now)?;
    if call.endpoint == Endpoint::BackendJwks {
        // Clerk exempts this endpoint from its rate limits:
        // https://clerk.com/docs/guides/how-clerk-works/system-limits
        return Ok(Reply::plain(context.state.keys.jwks()));
    }
    context.limit(Window::Backend)?;
    body::check(call)?;
    match call.endpoint {
        Endpoint::Users => user_list::list(context),
        Endpoint::UsersCount => user_list::count(context),
        Endpoint::User => users::handle(context),
        Endpoint::VerifyPassword => users::verify_password(context),
        Endpoint::UserAction => users::act(context),
        Endpoint::UserSecondFactors => users::remove_second_factors(context),
        Endpoint::UserMemberships => users::memberships(context),
        Endpoint::Organization => organizations::handle(context),
        Endpoint::Organizations => organization_lists::organizations(context),
        Endpoint::OrganizationMembers if call.method == Method::GET => organization_lists::members(context),
        Endpoint::OrganizationMembers => organizations::add_member(context),
        Endpoint::Memberships => organization_lists::memberships(context),
        Endpoint::OrganizationMember => organizations::change_member(context),
        Endpoint::SignInTokens => sign_in_tokens::create(context),
        Endpoint::RevokeSignInToken => sign_in_tokens::revoke(context),
        Endpoint::BackendSessions => sessions::list_or_create(context),
        Endpoint::BackendSession => sessions::show(context),
        Endpoint::RevokeSession => sessions::revoke(context),
        Endpoint::BackendTokens => sessions::mint(context),
        Endpoint::BackendTemplateTokens => sessions::mint_from_template(context),
        Endpoint::ApiKeys
        | Endpoint::ApiKey
        | Endpoint::ApiKeySecret
        | Endpoint::RevokeApiKey
        | Endpoint::VerifyApiKey => api_keys::handle(context),
        Endpoint::Instance => Ok(Reply::plain(instance(context))),
        _ => Err(ApiError::of_status(404)),
    }
}

/// Checks that the request carries the instance's key, exactly once, as a `Bearer` token.
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
