//! The operations and results that calls to Clerk are counted under.

/// The kind of a call. The class of some error codes depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    // Frontend API.
    SignIn,
    TicketSignIn,
    PrepareFactor,
    AttemptFactor,
    Client,
    Touch,
    Mint,
    MintTemplate,
    Session,
    End,
    Environment,
    Jwks,
    // Backend API.
    FindUser,
    User,
    VerifyPassword,
    Memberships,
    Ticket,
    BackendMint,
    BackendMintTemplate,
    BackendSession,
    Revoke,
    BackendJwks,
    Organization,
    VerifyApiKey,
    ListUsers,
    CountUsers,
    ListOrganizations,
    ListMemberships,
    ListOrganizationMemberships,
    Instance,
}

impl Operation {
    pub(crate) const ALL: [Self; 30] = [
        Self::SignIn,
        Self::TicketSignIn,
        Self::PrepareFactor,
        Self::AttemptFactor,
        Self::Client,
        Self::Touch,
        Self::Mint,
        Self::MintTemplate,
        Self::Session,
        Self::End,
        Self::Environment,
        Self::Jwks,
        Self::FindUser,
        Self::User,
        Self::VerifyPassword,
        Self::Memberships,
        Self::Ticket,
        Self::BackendMint,
        Self::BackendMintTemplate,
        Self::BackendSession,
        Self::Revoke,
        Self::BackendJwks,
        Self::Organization,
        Self::VerifyApiKey,
        Self::ListUsers,
        Self::CountUsers,
        Self::ListOrganizations,
        Self::ListMemberships,
        Self::ListOrganizationMemberships,
        Self::Instance,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::TicketSignIn => "ticket_sign_in",
            Self::PrepareFactor => "prepare_second_factor",
            Self::AttemptFactor => "attempt_second_factor",
            Self::Client => "client",
            Self::Touch => "touch",
            Self::Mint => "token",
            Self::MintTemplate => "template_token",
            Self::Session => "session",
            Self::End => "end",
            Self::Environment => "environment",
            Self::Jwks => "jwks",
            Self::FindUser => "find_user",
            Self::User => "user",
            Self::VerifyPassword => "verify_password",
            Self::Memberships => "memberships",
            Self::Ticket => "ticket",
            Self::BackendMint => "backend_token",
            Self::BackendMintTemplate => "backend_template_token",
            Self::BackendSession => "backend_session",
            Self::Revoke => "revoke",
            Self::BackendJwks => "backend_jwks",
            Self::Organization => "organization",
            Self::VerifyApiKey => "verify_api_key",
            Self::ListUsers => "list_users",
            Self::CountUsers => "count_users",
            Self::ListOrganizations => "list_organizations",
            Self::ListMemberships => "list_memberships",
            Self::ListOrganizationMemberships => "list_organization_memberships",
            Self::Instance => "instance",
        }
    }

    /// Whether the call is made with the secret key.
    pub(crate) fn is_backend(self) -> bool {
        matches!(
            self,
            Self::FindUser
                | Self::User
                | Self::VerifyPassword
                | Self::Memberships
                | Self::Ticket
                | Self::BackendMint
                | Self::BackendMintTemplate
                | Self::BackendSession
                | Self::Revoke
                | Self::BackendJwks
                | Self::Organization
                | Self::VerifyApiKey
                | Self::ListUsers
                | Self::CountUsers
                | Self::ListOrganizations
                | Self::ListMemberships
                | Self::ListOrganizationMemberships
                | Self::Instance
        )
    }

    /// Whether the answer is a list, whose size depends on how many entries it has.
    pub(crate) fn is_list(self) -> bool {
        matches!(
            self,
            Self::ListUsers
                | Self::ListOrganizations
                | Self::ListMemberships
                | Self::ListOrganizationMemberships
        )
    }
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallResult {
    Ok,
    /// Clerk answered with an error about the call.
    Refused,
    RateLimited,
    /// No answer, or an unusable one.
    Failed,
}

impl CallResult {
    pub(crate) const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::RateLimited, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::Failed => "failed",
        }
    }
}
