//! The measured services: the layer, and alternatives to it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use tower_clerk::{AuthorizationHeader, BearerTokens, Clerk, ClerkBasicAuthLayer, Requirement};
use tower_http::validate_request::ValidateRequestHeaderLayer;
use tower_layer::Layer;
use tower_service::Service;

use crate::drive::{Measured, Request};
use crate::instance::Instance;

/// A measured service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// The bare service.
    Bare,
    /// Inserts an `Arc` into the request's extensions: the least that any layer with a result must do.
    InsertArc,
    /// tower-http's Basic authentication, which compares the header with one string.
    TowerHttpBasic,
    /// A hit that removes the header, which is the layer's default.
    Hit,
    /// A hit that leaves the header unchanged.
    HitKeep,
    /// A hit that replaces the header with the token.
    HitBearer,
    /// A hit on a Bearer token that was verified before.
    BearerHit,
    /// A hit on an API key that was verified before.
    ApiKeyHit,
    /// A hit on a password, on a layer that accepts API keys.
    HitBesideKeys,
    /// A hit on the token of an organization.
    HitOrganization,
    /// A hit on the token of the organization in the path.
    HitOrganizationFrom,
    /// A hit on the token of an organization, behind which a guard requires a role and a permission.
    HitGuard,
    /// Verifies a session token on each request.
    Rs256,
}

/// An operation on a subject, whatever the type of its service.
pub trait Visitor {
    /// The result of the operation.
    type Output;

    /// Runs the operation.
    fn visit<S: Measured + Clone + Send + 'static>(self, service: S) -> Self::Output;
}

impl Subject {
    /// All subjects.
    pub const ALL: [Self; 13] = [
        Self::Bare,
        Self::InsertArc,
        Self::TowerHttpBasic,
        Self::Hit,
        Self::HitKeep,
        Self::HitBearer,
        Self::BearerHit,
        Self::ApiKeyHit,
        Self::HitBesideKeys,
        Self::HitOrganization,
        Self::HitOrganizationFrom,
        Self::HitGuard,
        Self::Rs256,
    ];

    /// Returns the subject's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare service",
            Self::InsertArc => "insert an Arc",
            Self::TowerHttpBasic => "tower-http basic",
            Self::Hit => "hit",
            Self::HitKeep => "hit, header kept",
            Self::HitBearer => "hit, header replaced",
            Self::BearerHit => "Bearer hit",
            Self::ApiKeyHit => "API key hit",
            Self::HitBesideKeys => "hit, API keys accepted",
            Self::HitOrganization => "hit, organization",
            Self::HitOrganizationFrom => "hit, organization of the path",
            Self::HitGuard => "hit, organization and guard",
            Self::Rs256 => "RS256 per request",
        }
    }

    /// Returns the subject with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }

    /// Builds the service and passes it to a visitor.
    ///
    /// # Panics
    ///
    /// Panics if the instance's organization is not a valid slug.
    pub fn show<V: Visitor>(self, instance: &Instance, visitor: V) -> V::Output {
        let layer = ClerkBasicAuthLayer::new(instance.clerk());
        match self {
            Self::Bare => visitor.visit(Bare),
            Self::InsertArc => visitor.visit(InsertArc(Bare, Arc::default())),
            Self::TowerHttpBasic => {
                let (identifier, password) = instance.credentials();
                #[allow(deprecated, reason = "it is the cheapest there is")]
                let layer = ValidateRequestHeaderLayer::basic(identifier, password);
                visitor.visit(layer.layer(Bare))
            }
            Self::Hit => visitor.visit(layer.layer(Bare)),
            Self::HitKeep => visitor
                .visit(layer.authorization_header(AuthorizationHeader::Keep).expect("no keys").layer(Bare)),
            Self::HitBearer => visitor
                .visit(layer.authorization_header(AuthorizationHeader::Bearer).expect("no keys").layer(Bare)),
            Self::BearerHit => {
                let layer = ClerkBasicAuthLayer::new(instance.bearer_clerk());
                visitor.visit(layer.accept_bearer(BearerTokens::new()).expect("no condition").layer(Bare))
            }
            Self::ApiKeyHit | Self::HitBesideKeys => visitor.visit(instance.key_layer().layer(Bare)),
            Self::HitOrganization => {
                visitor.visit(layer.organization(instance.organization()).expect("a slug").layer(Bare))
            }
            Self::HitOrganizationFrom => {
                let slug = instance.organization().to_owned();
                visitor.visit(layer.organization_from(move |_| Some(slug.clone())).layer(Bare))
            }
            Self::HitGuard => {
                let layer = layer.organization(instance.organization()).expect("a slug");
                let requirement = Requirement::new().role(instance.role()).permission(instance.permission());
                let guard = layer.require(requirement).expect("a good requirement");
                visitor.visit(layer.layer(guard.layer(Bare)))
            }
            Self::Rs256 => {
                let mut validation = Validation::new(Algorithm::RS256);
                validation.set_issuer(&[instance.issuer()]);
                visitor.visit(Rs256(Bare, Arc::new((instance.key().clone(), validation))))
            }
        }
    }

    /// Returns the service of [`Self::Bare`], for the caller's own requests.
    #[must_use]
    pub fn bare() -> impl Measured + Clone {
        Bare
    }

    /// Returns the service of [`Self::Hit`], for the caller's own engine.
    #[must_use]
    pub fn layered(clerk: Clerk) -> impl Measured + Clone {
        ClerkBasicAuthLayer::new(clerk).layer(Bare)
    }

    /// Returns an `Authorization` header that the service accepts.
    #[must_use]
    pub fn authorization(self, instance: &Instance) -> String {
        match self {
            Self::Rs256 | Self::BearerHit => format!("Bearer {}", instance.jwt()),
            Self::ApiKeyHit => instance.api_key(),
            _ => instance.basic(),
        }
    }
}

/// Responds with 200 to every request.
#[derive(Clone, Copy, Debug)]
struct Bare;

impl Service<Request> for Bare {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        black_box(request);
        ready(Ok(Response::new(String::new())))
    }
}

#[derive(Clone, Debug)]
struct InsertArc<S>(S, Arc<Map<String, Value>>);

impl<S: Measured> Service<Request> for InsertArc<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.1));
        self.0.call(request)
    }
}

#[derive(Clone)]
struct Rs256<S>(S, Arc<(DecodingKey, Validation)>);

impl<S: Measured> Service<Request> for Rs256<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let (key, validation) = &*self.1;
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = token.and_then(|value| value.strip_prefix("Bearer ")).expect("a token");
        let token = jsonwebtoken::decode::<Map<String, Value>>(token, key, validation).expect("a good token");
        request.extensions_mut().insert(Arc::new(token.claims));
        self.0.call(request)
    }
}
