//! A requirement, and its judgement of a session.

use std::fmt;
use std::time::Duration;

use crate::authorization::{
    Entitlement, Kind, Permission, RequirementError, Reverification, ReverificationLevel, Role, is_fresh,
};
use crate::engine::Clerk;
use crate::session::ClerkSession;

/// What a session must have to pass a guard.
///
/// All dimensions that are asked for are required; [`any_of`](Self::any_of) has alternatives. The names are those of
/// Clerk's `auth.has({ … })`. A malformed name is reported by [`require`](crate::ClerkBasicAuthLayer::require), so that
/// the calls chain.
///
/// ```
/// use tower_clerk::guard::Reverification;
/// use tower_clerk::{Permission, Requirement, Role};
///
/// const ADMIN: Role = Role::new("org:admin");
/// const MANAGE_INVOICES: Permission = Permission::new("org:invoices:manage");
///
/// // An administrator who may manage invoices and has shown the second factor a moment ago.
/// let strict = Requirement::new().role(ADMIN).permission(MANAGE_INVOICES).reverification(Reverification::Strict);
/// // An administrator, or any member of an organization that pays for the feature.
/// let lenient = Requirement::any_of([Requirement::new().role(ADMIN), Requirement::new().feature("o:invoices")]);
/// # let _ = (strict, lenient);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Requirement {
    dimensions: Vec<Dimension>,
    /// The first mistake, which `require` returns.
    error: Option<RequirementError>,
}

#[derive(Clone, Debug, PartialEq)]
enum Dimension {
    Organization,
    Role(Role),
    Permission(Permission),
    Feature(Entitlement),
    Plan(Entitlement),
    SecondFactor { within: Duration },
    Reverification(Reverification),
    FreshProof { within: Duration },
    NoImpersonation,
    AnyOf(Vec<Requirement>),
}

/// A second factor that a [`Requirement`] insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecondFactor {
    /// The user has a second factor, and has verified it within this time.
    ///
    /// Unlike [`Reverification`], a user who has no second factor never passes.
    Required {
        /// How long ago the second factor may have been verified: more than zero.
        within: Duration,
    },
}

impl Requirement {
    /// Creates a requirement that asks for nothing yet. As it is, [`require`](crate::ClerkBasicAuthLayer::require) refuses
    /// it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a requirement that a session meets by meeting one of these.
    ///
    /// Dimensions that are added to it are required besides.
    ///
    /// ```
    /// use tower_clerk::Requirement;
    ///
    /// let role = |name| Requirement::new().role(name);
    /// let staff = Requirement::any_of([role("org:admin"), role("org:billing")]).deny_impersonation();
    /// # let _ = staff;
    /// ```
    pub fn any_of(alternatives: impl IntoIterator<Item = Self>) -> Self {
        Self::new().with(Dimension::AnyOf(alternatives.into_iter().collect()))
    }

    /// Requires a role in the session's organization: a [`Role`], or its name with or without the `org:`.
    ///
    /// A session for the personal account has none. A user has one role in an organization, so two different ones are an
    /// error; use [`any_of`](Self::any_of).
    pub fn role<N>(self, role: N) -> Self
    where
        N: TryInto<Role>,
        N::Error: Into<RequirementError>,
    {
        self.with_parsed(role.try_into().map(Dimension::Role))
    }

    /// Requires a permission in the session's organization: a [`Permission`], or its name with or without the `org:`.
    ///
    /// A session for the personal account has none.
    pub fn permission<N>(self, permission: N) -> Self
    where
        N: TryInto<Permission>,
        N::Error: Into<RequirementError>,
    {
        self.with_parsed(permission.try_into().map(Dimension::Permission))
    }

    /// Requires a feature, such as `reports`, `org:reports` or `user:reports`.
    ///
    /// The scope is `o`, `org` or `organization`, or `u` or `user`; without one, either will do. Tokens have features from
    /// version 2 on (<https://clerk.com/docs/guides/sessions/session-tokens>): with version 1, no session passes.
    pub fn feature(self, feature: impl AsRef<str>) -> Self {
        self.with_parsed(Entitlement::parse("feature", feature.as_ref()).map(Dimension::Feature))
    }

    /// Requires a plan, such as `pro`, `org:pro` or `user:pro`.
    ///
    /// The scope is `o`, `org` or `organization`, or `u` or `user`; without one, either will do. Tokens have plans from
    /// version 2 on: with version 1, no session passes.
    pub fn plan(self, plan: impl AsRef<str>) -> Self {
        self.with_parsed(Entitlement::parse("plan", plan.as_ref()).map(Dimension::Plan))
    }

    /// Requires that the session is for an organization, whichever it is, and not for the personal account.
    ///
    /// To require a certain organization, use [`organization`](crate::ClerkBasicAuthLayer::organization) of the layer.
    pub fn organization(self) -> Self {
        self.with(Dimension::Organization)
    }

    /// Requires a second factor.
    ///
    /// HTTP Basic carries no second factor, so it is for sessions that a client signed in for elsewhere.
    pub fn second_factor(self, second_factor: SecondFactor) -> Self {
        let SecondFactor::Required { within } = second_factor;
        self.within("the second factor", within, Dimension::SecondFactor { within })
    }

    /// Requires that the user has verified a factor recently, as Clerk's `has({ reverification })` does.
    ///
    /// As at Clerk, second and multi factor **downgrade** to the first factor for a user without a second:
    /// [`second_factor`](Self::second_factor) doesn't. The ages are those of the token's `fva` claim, plus the token's own
    /// age; a token without the claim, such as one of a JWT template, doesn't pass.
    ///
    /// With the Backend API the first factor of a session is as old as the session, which may be days. Use
    /// [`fresh_proof`](Self::fresh_proof) there.
    pub fn reverification(self, reverification: Reverification) -> Self {
        self.within("a reverification", reverification.within(), Dimension::Reverification(reverification))
    }

    /// Requires that Clerk has accepted the password of this request within this time.
    ///
    /// It judges [`ClerkSession::proven_at`]; a session without a proven password doesn't pass. The engine proves a password
    /// again after [`session_ttl`](crate::ClerkBuilder::session_ttl), 1 h by default, and not because a guard asks for it.
    /// So this is for an engine with a `session_ttl` of about this time, or for use with
    /// [`Clerk::expire_proofs`].
    pub fn fresh_proof(self, within: Duration) -> Self {
        self.within("a fresh proof", within, Dimension::FreshProof { within })
    }

    /// Requires that the session is the user's own, and not an impersonation by somebody else (`act`).
    pub fn deny_impersonation(self) -> Self {
        self.with(Dimension::NoImpersonation)
    }

    fn with(mut self, dimension: Dimension) -> Self {
        self.dimensions.push(dimension);
        self
    }

    fn with_parsed<E: Into<RequirementError>>(mut self, parsed: Result<Dimension, E>) -> Self {
        match parsed {
            Ok(dimension) => self.with(dimension),
            Err(error) => {
                self.error.get_or_insert_with(|| error.into());
                self
            }
        }
    }

    fn within(self, what: &'static str, within: Duration, dimension: Dimension) -> Self {
        let zero = || RequirementError::from(Kind::Zero { what });
        self.with_parsed((!within.is_zero()).then_some(dimension).ok_or_else(zero))
    }

    /// Returns an error if a name is malformed, or if every session or none would pass.
    pub(super) fn validate(&self) -> Result<(), RequirementError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if self.dimensions.is_empty() {
            return Err(Kind::Empty.into());
        }
        let mut required: Option<&Role> = None;
        for dimension in &self.dimensions {
            match (dimension, required) {
                (Dimension::Role(role), Some(other)) if role != other => {
                    return Err(Kind::TwoRoles { names: [other.to_string(), role.to_string()] }.into());
                }
                (Dimension::Role(role), _) => required = Some(role),
                (Dimension::AnyOf(alternatives), _) if alternatives.is_empty() => {
                    return Err(Kind::EmptyAnyOf.into());
                }
                (Dimension::AnyOf(alternatives), _) => alternatives.iter().try_for_each(Self::validate)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Judges a session. `clerk` tells the ages of its token and its proof.
    pub(super) fn judge(&self, session: &ClerkSession, clerk: &Clerk) -> Result<(), Unmet<'_>> {
        let mut unmet = Ok(());
        for dimension in &self.dimensions {
            let Err(remedy) = dimension.judge(session, clerk) else { continue };
            let Some(remedy) = remedy else {
                return Err(Unmet { dimension, remedy: None });
            };
            // A reverification doesn't help a user who has no second factor.
            if unmet.is_ok() || remedy == Remedy::SecondFactor {
                unmet = Err(Unmet { dimension, remedy: Some(remedy) });
            }
        }
        unmet
    }
}

/// A dimension that a session doesn't meet.
#[derive(Debug)]
pub(super) struct Unmet<'a> {
    dimension: &'a Dimension,
    /// `None` if the client can do nothing about it.
    pub(super) remedy: Option<Remedy>,
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dimension.fmt(f)
    }
}

/// What the user can do to pass the guard. A client is told it only if nothing else is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Remedy {
    SecondFactor,
    Reverification(Reverification),
}

impl Dimension {
    fn judge(&self, session: &ClerkSession, clerk: &Clerk) -> Result<(), Option<Remedy>> {
        let claims = session.claims();
        let met_if = |is_met: bool| if is_met { Ok(()) } else { Err(None) };
        match self {
            Self::Organization => met_if(session.organization().is_some()),
            Self::Role(role) => met_if(session.has_role(role)),
            Self::Permission(permission) => met_if(session.has_permission(permission)),
            Self::Feature(feature) => met_if(feature.is_among(claims.features())),
            Self::Plan(plan) => {
                let plans = claims.plan().into_iter().flat_map(|plans| plans.split(',').map(str::trim));
                met_if(plan.is_among(plans))
            }
            Self::FreshProof { within } => {
                met_if(clerk.proof_age(session).is_some_and(|age| age < *within))
            }
            Self::NoImpersonation => met_if(claims.actor().is_none()),
            Self::Reverification(reverification) => {
                let ages = claims.factor_verification_age().ok_or(None)?;
                let is_met = reverification.is_met_by(ages, clerk.token_age(session));
                if is_met { Ok(()) } else { Err(Some(Remedy::Reverification(*reverification))) }
            }
            Self::SecondFactor { within } => judge_second_factor(*within, session, clerk),
            Self::AnyOf(alternatives) => judge_any_of(alternatives, session, clerk),
        }
    }
}

fn judge_second_factor(within: Duration, session: &ClerkSession, clerk: &Clerk) -> Result<(), Option<Remedy>> {
    let (_, second) = session.claims().factor_verification_age().ok_or(None)?;
    if second < 0 {
        return Err(Some(Remedy::SecondFactor));
    }
    if is_fresh(second, clerk.token_age(session), within) {
        return Ok(());
    }
    // The user has a second factor, so this level asks for it.
    let level = ReverificationLevel::SecondFactor;
    Err(Some(Remedy::Reverification(Reverification::Custom { level, within })))
}

/// The easiest remedy of all alternatives, if none is met.
fn judge_any_of(
    alternatives: &[Requirement],
    session: &ClerkSession,
    clerk: &Clerk,
) -> Result<(), Option<Remedy>> {
    let mut easiest = None;
    for alternative in alternatives {
        match alternative.judge(session, clerk) {
            Ok(()) => return Ok(()),
            Err(Unmet { remedy: Some(Remedy::SecondFactor), .. }) => {
                easiest = easiest.or(Some(Remedy::SecondFactor));
            }
            Err(Unmet { remedy, .. }) => {
                let is_easier = remedy.is_some() && !matches!(easiest, Some(Remedy::Reverification(_)));
                easiest = if is_easier { remedy } else { easiest };
            }
        }
    }
    Err(easiest)
}

/// For the log.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization => f.write_str("an organization"),
            Self::Role(role) => write!(f, "role {role}"),
            Self::Permission(permission) => write!(f, "permission {permission}"),
            Self::Feature(feature) => write!(f, "feature {feature}"),
            Self::Plan(plan) => write!(f, "plan {plan}"),
            Self::SecondFactor { within } => write!(f, "second factor within {within:?}"),
            Self::Reverification(reverification) => write!(f, "reverification: {reverification}"),
            Self::FreshProof { within } => write!(f, "proof within {within:?}"),
            Self::NoImpersonation => f.write_str("no impersonation"),
            Self::AnyOf(alternatives) => write!(f, "one of {} alternatives", alternatives.len()),
        }
    }
}
