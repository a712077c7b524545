//! A requirement: dimensions that are all required.

use std::time::Duration;

use super::dimension::{Dimension, Remedy, Unmet};
use crate::api_keys::ClerkApiKey;
use crate::authorization::{Entitlement, Kind, Permission, RequirementError, Reverification, Role};
use crate::engine::Clerk;
use crate::session::ClerkSession;

/// The properties that a session or an API key must have to pass a guard.
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
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Requirement {
    dimensions: Vec<Dimension>,
    /// The first mistake, which `require` returns.
    error: Option<RequirementError>,
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
    /// Creates a requirement that asks for nothing yet. As it is, [`require`](crate::ClerkBasicAuthLayer::require)
    /// refuses it.
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
    /// A session for the personal account has none. A user has one role in an organization, so two different ones are
    /// an error; use [`any_of`](Self::any_of).
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
    /// The scope is `o`, `org` or `organization`, or `u` or `user`; without one, either will do. Tokens have features
    /// from version 2 on (<https://clerk.com/docs/guides/sessions/session-tokens>): with version 1, no session passes.
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

    /// Requires a scope of an [API key](crate::ClerkApiKey), such as `invoices:read`.
    ///
    /// No session has scopes, and a key meets nothing of a session, such as a role or a permission. For a route that serves
    /// both, give both as alternatives:
    ///
    /// ```
    /// use tower_clerk::Requirement;
    ///
    /// let readers = Requirement::any_of([
    ///     Requirement::new().permission("org:invoices:read"),
    ///     Requirement::new().scope("invoices:read"),
    /// ]);
    /// ```
    ///
    /// The layer must [accept keys](crate::ClerkBasicAuthLayer::accept_api_keys). Scopes are compared as they are: none
    /// includes another.
    pub fn scope(self, scope: impl Into<String>) -> Self {
        let scope = scope.into();
        let is_usable = !scope.is_empty() && scope.trim() == scope && !scope.chars().any(char::is_control);
        let error = || RequirementError::from(Kind::ScopeOfKey { name: scope.clone() });
        self.with_parsed(is_usable.then(|| Dimension::Scope(scope.as_str().into())).ok_or_else(error))
    }

    /// Requires that the session is for an organization, whichever it is, and not for the personal account.
    ///
    /// An API key meets it if it is an organization's own, or if the layer asks for an organization.
    ///
    /// To require a certain organization, use [`organization`](crate::ClerkBasicAuthLayer::organization) of the layer.
    pub fn organization(self) -> Self {
        self.with(Dimension::Organization)
    }

    /// Requires a second factor.
    ///
    /// HTTP Basic carries no second factor, so it is for sessions that a client signed in for elsewhere and presents as
    /// [Bearer tokens](crate::ClerkBasicAuthLayer::accept_bearer).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_clerk::Requirement;
    /// use tower_clerk::guard::SecondFactor;
    ///
    /// let within_an_hour = SecondFactor::Required { within: Duration::from_secs(3600) };
    /// let requirement = Requirement::new().second_factor(within_an_hour);
    /// ```
    pub fn second_factor(self, second_factor: SecondFactor) -> Self {
        let SecondFactor::Required { within } = second_factor;
        self.within("the second factor", within, Dimension::SecondFactor { within })
    }

    /// Requires that the user has verified a factor recently, as Clerk's `has({ reverification })` does.
    ///
    /// As at Clerk, second and multi factor **downgrade** to the first factor for a user without a second:
    /// [`second_factor`](Self::second_factor) doesn't. The ages are those of the token's `fva` claim, plus the token's
    /// own age; a token without the claim, such as one of a JWT template, doesn't pass.
    ///
    /// With the Backend API the first factor of a session is as old as the session, which may be days. Use
    /// [`fresh_proof`](Self::fresh_proof) there.
    pub fn reverification(self, reverification: Reverification) -> Self {
        self.within("a reverification", reverification.within(), Dimension::Reverification(reverification))
    }

    /// Requires that Clerk has accepted the password of this request within this time.
    ///
    /// It judges [`ClerkSession::proven_at`]; a session without a proven password doesn't pass. The engine proves a
    /// password again after [`session_ttl`](crate::ClerkBuilder::session_ttl), 1 h by default, and not because a guard
    /// asks for it. So this is for an engine with a `session_ttl` of about this time, or for use with
    /// [`Clerk::expire_proofs`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_clerk::{Clerk, ClerkBasicAuthLayer, Requirement};
    ///
    /// let quarter = Duration::from_secs(15 * 60);
    /// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").session_ttl(quarter).build()?;
    /// let guard = ClerkBasicAuthLayer::new(clerk).require(Requirement::new().fresh_proof(quarter))?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
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

    /// Judges an API key. The error is what it doesn't meet.
    pub(super) fn judge_key(&self, key: &ClerkApiKey) -> Result<(), &Dimension> {
        self.dimensions.iter().find(|dimension| !dimension.is_met_by_key(key)).map_or(Ok(()), Err)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::authorization::ReverificationLevel;
    use crate::claims::Claims;
    use crate::token::VerifiedToken;

    fn clerk() -> Clerk {
        Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build().unwrap()
    }

    /// A session whose token was issued now and has these claims besides.
    fn session(clerk: &Clerk, claims: &Value) -> ClerkSession {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut all = json!({
            "iss": "https://clerk.example.com", "sub": "user_1", "sid": "sess_1", "iat": now, "exp": now + 60, "v": 2,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let claims = Claims::from_payload(all.to_string().as_bytes()).unwrap();
        let session = ClerkSession::new(
            "sess_1",
            None,
            VerifiedToken::new("jwt", claims),
            tokio::time::Instant::now(),
            None,
        );
        assert!(clerk.token_age(&session) < Duration::from_secs(30));
        session
    }

    fn member(clerk: &Clerk, fva: &Value) -> ClerkSession {
        let organization = json!({ "id": "org_1", "rol": "admin", "per": "read", "fpm": "1" });
        session(clerk, &json!({ "o": organization, "fea": "o:invoices", "pla": "u:free", "fva": fva }))
    }

    fn is_met(requirement: &Requirement, session: &ClerkSession, clerk: &Clerk) -> bool {
        requirement.judge(session, clerk).is_ok()
    }

    fn remedy(requirement: &Requirement, session: &ClerkSession, clerk: &Clerk) -> Option<Remedy> {
        requirement.judge(session, clerk).unwrap_err().remedy
    }

    const HOUR: Duration = Duration::from_secs(3600);

    fn second_factor() -> Requirement {
        Requirement::new().second_factor(SecondFactor::Required { within: HOUR })
    }

    #[test]
    fn g2_a_remedy_is_told_only_if_nothing_else_is_missing() {
        let clerk = clerk();
        let (old, single) = (member(&clerk, &json!([90, 90])), member(&clerk, &json!([90, -1])));
        let moderate = || Requirement::new().reverification(Reverification::Moderate);
        let again = Some(Remedy::Reverification(Reverification::Moderate));
        assert_eq!(remedy(&moderate(), &old, &clerk), again);
        assert_eq!(remedy(&moderate().role("admin"), &old, &clerk), again);
        for lacking in
            [moderate().role("member"), Requirement::new().role("member").reverification(Reverification::Lax)]
        {
            assert_eq!(remedy(&lacking, &old, &clerk), None, "{lacking:?}");
        }
        // A reverification is of no use without a second factor, and a stale one needs nothing else.
        assert_eq!(
            remedy(&moderate().second_factor(SecondFactor::Required { within: HOUR }), &single, &clerk),
            Some(Remedy::SecondFactor)
        );
        assert_eq!(
            remedy(&second_factor().reverification(Reverification::Moderate), &single, &clerk),
            Some(Remedy::SecondFactor)
        );
        let level = ReverificationLevel::SecondFactor;
        let stale = Reverification::Custom { level, within: HOUR };
        assert_eq!(remedy(&second_factor(), &old, &clerk), Some(Remedy::Reverification(stale)));
    }

    #[test]
    fn g2_of_alternatives_the_easiest_remedy_is_told() {
        let clerk = clerk();
        let single = member(&clerk, &json!([90, -1]));
        let moderate = || Requirement::new().reverification(Reverification::Moderate);
        let other = || Requirement::new().role("member");
        let again = Some(Remedy::Reverification(Reverification::Moderate));
        for (alternatives, expected) in [
            (vec![other(), moderate()], again),
            (vec![moderate(), other()], again),
            (vec![second_factor(), moderate()], again),
            (vec![moderate(), second_factor()], again),
            (vec![other(), second_factor()], Some(Remedy::SecondFactor)),
            (vec![moderate().role("member"), other()], None),
        ] {
            assert_eq!(
                remedy(&Requirement::any_of(alternatives.clone()), &single, &clerk),
                expected,
                "{alternatives:?}"
            );
        }
    }

    /// One requirement per number, of every dimension.
    fn dimension(number: usize) -> Requirement {
        let new = Requirement::new;
        match number {
            0 => new().role("org:admin"),
            1 => new().permission("org:invoices:read"),
            2 => new().permission("invoices:manage"),
            3 => new().feature("invoices"),
            4 => new().feature("u:invoices"),
            5 => new().plan("free"),
            6 => new().plan("org:free"),
            7 => new().organization(),
            8 => new().deny_impersonation(),
            9 => new().reverification(Reverification::Strict),
            10 => new().reverification(Reverification::Lax),
            11 => new().fresh_proof(HOUR),
            _ => second_factor(),
        }
    }

    fn dimensions() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0usize..13, 1..5)
    }

    fn all_of(numbers: &[usize]) -> Requirement {
        let dimensions = numbers.iter().flat_map(|number| dimension(*number).dimensions).collect();
        Requirement { dimensions, error: None }
    }

    fn claims() -> impl Strategy<Value = Value> {
        let organizations = prop::option::of((prop::sample::select(vec!["admin", "member"]), 0u8..4));
        let ages = prop::option::of((
            prop::sample::select(vec![-1, 0, 30, 90, 2000]),
            prop::sample::select(vec![-1, 0, 30, 90]),
        ));
        let features =
            prop::sample::select(vec!["o:invoices", "u:invoices", "ou:invoices", "o:other,u:invoices"]);
        (organizations, ages, features, any::<bool>()).prop_map(
            |(organization, ages, features, is_impersonated)| {
                json!({
                    "o": organization.map(|(role, mask)| {
                        json!({ "id": "org_1", "rol": role, "per": "read,manage", "fpm": mask.to_string() })
                    }),
                    "fva": ages.map(|(first, second)| json!([first, second])),
                    "fea": features,
                    "pla": if is_impersonated { "o:free" } else { "u:free" },
                    "act": is_impersonated.then(|| json!({ "sub": "user_admin" })),
                })
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn g1_laws_of_all_and_any(claims in claims(), one in dimensions(), other in dimensions()) {
            let clerk = clerk();
            let session = session(&clerk, &claims);
            let met = |requirement: &Requirement| is_met(requirement, &session, &clerk);
            let (a, b) = (all_of(&one), all_of(&other));
            let both = all_of(&[&one[..], &other[..]].concat());
            prop_assert_eq!(met(&both), met(&a) && met(&b), "all are required");
            prop_assert_eq!(met(&both), met(&all_of(&[&other[..], &one[..]].concat())), "in any order");
            let either = Requirement::any_of([a.clone(), b.clone()]);
            prop_assert_eq!(met(&either), met(&a) || met(&b));
            let single = Requirement::any_of([a.clone()]);
            prop_assert_eq!(met(&single), met(&a), "any of one is that one");
            if !met(&a) {
                prop_assert_eq!(remedy(&single, &session, &clerk), remedy(&a, &session, &clerk));
            }
            for number in 0..13 {
                let mut more = either.clone();
                more.dimensions.extend(dimension(number).dimensions);
                prop_assert!(!met(&more) || met(&either), "one more dimension lets nobody else in");
            }
        }
    }
}
