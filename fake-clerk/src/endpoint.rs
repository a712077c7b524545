//! The endpoints of both APIs that the stand-in implements.

use http::Method;

/// Maximum size of a request body, 1 MiB.
pub(crate) const MAX_REQUEST: usize = 1024 * 1024;

/// An endpoint of the Frontend or the Backend API.
///
/// Selects requests for [`count`](crate::FakeClerk::count), scripted faults and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `POST /v1/client/sign_ins`
    SignIns,
    /// `GET /v1/client/sign_ins/{id}`
    SignIn,
    /// `POST /v1/client/sign_ins/{id}/prepare_first_factor`
    PrepareFirstFactor,
    /// `POST /v1/client/sign_ins/{id}/attempt_first_factor`
    AttemptFirstFactor,
    /// `POST /v1/client/sign_ins/{id}/prepare_second_factor`
    PrepareSecondFactor,
    /// `POST /v1/client/sign_ins/{id}/attempt_second_factor`
    AttemptSecondFactor,
    /// `POST /v1/client/sign_ins/{id}/reset_password`
    ResetPassword,
    /// `GET`, `POST`, `PUT`, `DELETE /v1/client`
    Client,
    /// `DELETE /v1/client/sessions`
    Sessions,
    /// `GET /v1/client/sessions/{id}`
    Session,
    /// `POST /v1/client/sessions/{id}/touch`
    Touch,
    /// `POST /v1/client/sessions/{id}/tokens`
    Tokens,
    /// `POST /v1/client/sessions/{id}/tokens/{template}`
    TemplateTokens,
    /// `POST /v1/client/sessions/{id}/end`
    End,
    /// `POST /v1/client/sessions/{id}/remove`
    Remove,
    /// `GET /v1/environment`
    Environment,
    /// `GET /.well-known/jwks.json`
    Jwks,
    /// `GET /v1/health`
    Health,
    /// Backend API: `GET /v1/users`
    Users,
    /// Backend API: `GET /v1/users/count`
    UsersCount,
    /// Backend API: `GET`, `PATCH`, `DELETE /v1/users/{id}`
    User,
    /// Backend API: `POST /v1/users/{id}/verify_password`
    VerifyPassword,
    /// Backend API: `POST /v1/users/{id}/ban`, `unban`, `lock`, `unlock`, `remove_password`
    UserAction,
    /// Backend API: `DELETE /v1/users/{id}/mfa`, `totp`
    UserSecondFactors,
    /// Backend API: `GET /v1/users/{id}/organization_memberships`
    UserMemberships,
    /// Backend API: `GET /v1/organizations`
    Organizations,
    /// Backend API: `GET`, `PATCH`, `DELETE /v1/organizations/{id}`
    Organization,
    /// Backend API: `GET`, `POST /v1/organizations/{id}/memberships`
    OrganizationMembers,
    /// Backend API: `PATCH`, `DELETE /v1/organizations/{id}/memberships/{user_id}`
    OrganizationMember,
    /// Backend API: `GET /v1/organization_memberships`
    Memberships,
    /// Backend API: `POST /v1/sign_in_tokens`
    SignInTokens,
    /// Backend API: `POST /v1/sign_in_tokens/{id}/revoke`
    RevokeSignInToken,
    /// Backend API: `GET`, `POST /v1/sessions`
    BackendSessions,
    /// Backend API: `GET /v1/sessions/{id}`
    BackendSession,
    /// Backend API: `POST /v1/sessions/{id}/revoke`
    RevokeSession,
    /// Backend API: `POST /v1/sessions/{id}/tokens`
    BackendTokens,
    /// Backend API: `POST /v1/sessions/{id}/tokens/{template}`
    BackendTemplateTokens,
    /// Backend API: `GET`, `POST /v1/api_keys`
    ApiKeys,
    /// Backend API: `GET`, `PATCH`, `DELETE /v1/api_keys/{id}`
    ApiKey,
    /// Backend API: `GET /v1/api_keys/{id}/secret`
    ApiKeySecret,
    /// Backend API: `POST /v1/api_keys/{id}/revoke`
    RevokeApiKey,
    /// Backend API: `POST /v1/api_keys/verify`
    VerifyApiKey,
    /// Backend API: `GET /v1/jwks`
    BackendJwks,
    /// Backend API: `GET /v1/instance`
    Instance,
    /// Every endpoint of the Backend API.
    Backend,
    /// Any path that the stand-in doesn't implement.
    Unknown,
    /// Every endpoint of both APIs.
    Any,
}

impl Endpoint {
    /// Matches a path against the endpoints, and returns the values of its variables.
    pub(crate) fn of_path(path: &str) -> (Self, Vec<String>) {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (endpoint, variables): (Self, &[&str]) = match parts.as_slice() {
            [".well-known", "jwks.json"] => (Self::Jwks, &[]),
            ["v1", "health"] => (Self::Health, &[]),
            ["v1", "environment"] => (Self::Environment, &[]),
            ["v1", "client"] => (Self::Client, &[]),
            ["v1", "client", "sign_ins"] => (Self::SignIns, &[]),
            ["v1", "client", "sign_ins", id] => (Self::SignIn, &[*id]),
            ["v1", "client", "sign_ins", id, "prepare_first_factor"] => (Self::PrepareFirstFactor, &[*id]),
            ["v1", "client", "sign_ins", id, "attempt_first_factor"] => (Self::AttemptFirstFactor, &[*id]),
            ["v1", "client", "sign_ins", id, "prepare_second_factor"] => (Self::PrepareSecondFactor, &[*id]),
            ["v1", "client", "sign_ins", id, "attempt_second_factor"] => (Self::AttemptSecondFactor, &[*id]),
            ["v1", "client", "sign_ins", id, "reset_password"] => (Self::ResetPassword, &[*id]),
            ["v1", "client", "sessions"] => (Self::Sessions, &[]),
            ["v1", "client", "sessions", id] => (Self::Session, &[*id]),
            ["v1", "client", "sessions", id, "touch"] => (Self::Touch, &[*id]),
            ["v1", "client", "sessions", id, "tokens"] => (Self::Tokens, &[*id]),
            ["v1", "client", "sessions", id, "tokens", name] => (Self::TemplateTokens, &[*id, *name]),
            ["v1", "client", "sessions", id, "end"] => (Self::End, &[*id]),
            ["v1", "client", "sessions", id, "remove"] => (Self::Remove, &[*id]),
            ["v1", "users"] => (Self::Users, &[]),
            ["v1", "users", "count"] => (Self::UsersCount, &[]),
            ["v1", "users", id] => (Self::User, &[*id]),
            ["v1", "users", id, "verify_password"] => (Self::VerifyPassword, &[*id]),
            ["v1", "users", id, action @ ("ban" | "unban" | "lock" | "unlock" | "remove_password")] => {
                (Self::UserAction, &[*id, *action])
            }
            ["v1", "users", id, "mfa" | "totp"] => (Self::UserSecondFactors, &[*id]),
            ["v1", "organizations"] => (Self::Organizations, &[]),
            ["v1", "organization_memberships"] => (Self::Memberships, &[]),
            ["v1", "organizations", id] => (Self::Organization, &[*id]),
            ["v1", "organizations", id, "memberships"] => (Self::OrganizationMembers, &[*id]),
            ["v1", "organizations", id, "memberships", user] => (Self::OrganizationMember, &[*id, *user]),
            ["v1", "users", id, "organization_memberships"] => (Self::UserMemberships, &[*id]),
            ["v1", "sign_in_tokens"] => (Self::SignInTokens, &[]),
            ["v1", "sign_in_tokens", id, "revoke"] => (Self::RevokeSignInToken, &[*id]),
            ["v1", "sessions"] => (Self::BackendSessions, &[]),
            ["v1", "sessions", id] => (Self::BackendSession, &[*id]),
            ["v1", "sessions", id, "revoke"] => (Self::RevokeSession, &[*id]),
            ["v1", "sessions", id, "tokens"] => (Self::BackendTokens, &[*id]),
            ["v1", "sessions", id, "tokens", name] => (Self::BackendTemplateTokens, &[*id, *name]),
            ["v1", "api_keys"] => (Self::ApiKeys, &[]),
            ["v1", "api_keys", "verify"] => (Self::VerifyApiKey, &[]),
            ["v1", "api_keys", id] => (Self::ApiKey, &[*id]),
            ["v1", "api_keys", id, "secret"] => (Self::ApiKeySecret, &[*id]),
            ["v1", "api_keys", id, "revoke"] => (Self::RevokeApiKey, &[*id]),
            ["v1", "jwks"] => (Self::BackendJwks, &[]),
            ["v1", "instance"] => (Self::Instance, &[]),
            _ => (Self::Unknown, &[]),
        };
        (endpoint, variables.iter().map(|&variable| variable.to_owned()).collect())
    }

    pub(crate) fn is_backend(self) -> bool {
        matches!(
            self,
            Self::Users
                | Self::UsersCount
                | Self::User
                | Self::VerifyPassword
                | Self::UserAction
                | Self::UserMemberships
                | Self::UserSecondFactors
                | Self::Organizations
                | Self::Organization
                | Self::OrganizationMembers
                | Self::OrganizationMember
                | Self::Memberships
                | Self::SignInTokens
                | Self::RevokeSignInToken
                | Self::BackendSessions
                | Self::BackendSession
                | Self::RevokeSession
                | Self::BackendTokens
                | Self::BackendTemplateTokens
                | Self::ApiKeys
                | Self::ApiKey
                | Self::ApiKeySecret
                | Self::RevokeApiKey
                | Self::VerifyApiKey
                | Self::BackendJwks
                | Self::Instance
                | Self::Backend
        )
    }

    /// The groups that a request to this endpoint counts towards: the endpoint, the Backend API if it belongs there,
    /// and all.
    pub(crate) fn groups(self) -> impl Iterator<Item = Self> + Clone {
        let backend = self.is_backend().then_some(Self::Backend);
        [Some(self), backend, Some(Self::Any)].into_iter().flatten()
    }

    pub(crate) fn allows(self, method: &Method) -> bool {
        match self {
            Self::Client => [Method::GET, Method::POST, Method::PUT, Method::DELETE].contains(method),
            Self::Jwks | Self::Health | Self::Environment | Self::Session | Self::SignIn => {
                method == Method::GET
            }
            Self::Sessions => method == Method::DELETE,
            Self::Users
            | Self::UsersCount
            | Self::UserMemberships
            | Self::Organizations
            | Self::Memberships
            | Self::BackendSession
            | Self::ApiKeySecret
            | Self::BackendJwks
            | Self::Instance => method == Method::GET,
            Self::User | Self::Organization => [Method::GET, Method::PATCH, Method::DELETE].contains(method),
            Self::OrganizationMember => [Method::PATCH, Method::DELETE].contains(method),
            Self::UserSecondFactors => method == Method::DELETE,
            Self::ApiKey => [Method::GET, Method::PATCH, Method::DELETE].contains(method),
            Self::BackendSessions | Self::ApiKeys | Self::OrganizationMembers => {
                [Method::GET, Method::POST].contains(method)
            }
            Self::Unknown => true,
            _ => method == Method::POST,
        }
    }

    /// The form parameters that the endpoint accepts: those in Clerk's OpenAPI description, and those that Clerk's
    /// own clients send in addition.
    pub(crate) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::SignIns => &[
                "strategy",
                "identifier",
                "password",
                "ticket",
                "redirect_url",
                "action_complete_redirect_url",
                "transfer",
                "code",
                "token",
                "oidc_login_hint",
                "oidc_prompt",
                "proof_token",
                "trusted_device_id",
                // clerk-js sends these two, although the description doesn't list them.
                "timezone",
                "locale",
            ],
            Self::PrepareFirstFactor => &[
                "strategy",
                "email_address_id",
                "phone_number_id",
                "proof_token",
                "web3_wallet_id",
                "passkey_id",
                "trusted_device_id",
                "redirect_url",
                "action_complete_redirect_url",
                "oidc_login_hint",
                "oidc_prompt",
            ],
            Self::AttemptFirstFactor => &[
                "strategy",
                "code",
                "password",
                "signature",
                "token",
                "ticket",
                "public_key_credential",
                "trusted_device_id",
                "client_data",
                "algorithm",
            ],
            Self::PrepareSecondFactor => {
                &["strategy", "phone_number_id", "proof_token", "email_address_id", "redirect_url"]
            }
            Self::AttemptSecondFactor => &["strategy", "code"],
            Self::ResetPassword => &["password", "sign_out_of_other_sessions"],
            Self::Touch => &["active_organization_id", "intent"],
            // The description lists only the organization; clerk-js sends the others, the last two to a session
            // minter.
            Self::Tokens => &["organization_id", "tab_state", "token", "force_origin"],
            _ => &[],
        }
    }
}
