//! One dimension of a requirement, and its judgement of a session or an API key.

use std::fmt;
use std::time::Duration;

use super::requirement::Requirement;
use crate::api_keys::ClerkApiKey;
use crate::authorization::{Entitlement, Permission, Reverification, ReverificationLevel, Role, is_fresh};
use crate::engine::Clerk;
use crate::session::ClerkSession;

#[derive(Clone, Debug)]
pub(super) enum Dimension {
    Organization,
    Role(Role),
    Permission(Permission),
    Feature(Entitlement),
    Plan(Entitlement),
    SecondFactor {
        within: Duration,
    },
    Reverification(Reverification),
    FreshProof {
        within: Duration,
    },
    NoImpersonation,
    /// Of an API key. No session has one.
    Scope(Box<str>),
    AnyOf(Vec<Requirement>),
}

/// A dimension that a session doesn't meet.
#[derive(Debug)]
pub(super) struct Unmet<'a> {
    pub(super) dimension: &'a Dimension,
    /// `None` if the client can do nothing about it.
    pub(super) remedy: Option<Remedy>,
}

impl fmt::Display for Unmet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dimension.fmt(f)
    }
}

/// A step by which the user can pass the guard. A client is told of it only if nothing else is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Remedy {
    SecondFactor,
    Reverification(Reverification),
}

impl Dimension {
    pub(super) fn judge(&self, session: &ClerkSession, clerk: &Clerk) -> Result<(), Option<Remedy>> {
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
            Self::FreshProof { within } => met_if(clerk.proof_age(session).is_some_and(|age| age < *within)),
            Self::NoImpersonation => met_if(claims.actor().is_none()),
            Self::Scope(_) => Err(None),
            Self::Reverification(reverification) => {
                let ages = claims.factor_verification_age().ok_or(None)?;
                let is_met = reverification.is_met_by(ages, clerk.token_age(session));
                if is_met { Ok(()) } else { Err(Some(Remedy::Reverification(*reverification))) }
            }
            Self::SecondFactor { within } => judge_second_factor(*within, session, clerk),
            Self::AnyOf(alternatives) => judge_any_of(alternatives, session, clerk),
        }
    }

    /// Whether an API key meets it. A key has no session, so it meets nothing that is about one: otherwise a key with few
    /// scopes would have all rights of its user (rule T4).
    pub(super) fn is_met_by_key(&self, key: &ClerkApiKey) -> bool {
        match self {
            Self::Scope(scope) => key.has_scope(scope),
            Self::Organization => key.organization_id().is_some(),
            Self::AnyOf(alternatives) => alternatives.iter().any(|it| it.judge_key(key).is_ok()),
            Self::Role(_)
            | Self::Permission(_)
            | Self::Feature(_)
            | Self::Plan(_)
            | Self::SecondFactor { .. }
            | Self::Reverification(_)
            | Self::FreshProof { .. }
            | Self::NoImpersonation => false,
        }
    }
}

fn judge_second_factor(
    within: Duration,
    session: &ClerkSession,
    clerk: &Clerk,
) -> Result<(), Option<Remedy>> {
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
            Self::Scope(scope) => write!(f, "scope {scope}"),
            Self::AnyOf(alternatives) => write!(f, "one of {} alternatives", alternatives.len()),
        }
    }
}
