//! Ready selectors of the organization of a request.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderName, Uri};

use super::RequestOrganization;
use super::allow_list::AllowList;
use super::host::HostLabel;
use super::path::PathPattern;
use super::suffix::IdentifierSuffix;
use super::whole_uri::{self, UNKNOWN_URI, WholeUriFn};
use crate::engine::builder::ConfigError;
use crate::layer::ClerkBasicAuthLayer;
use crate::layer::policy::{OrganizationFn, OrganizationSource};

/// Where a layer reads the organization of each request: from the path, a header, the host name, or the identifier.
///
/// Pass it to [`organization_by`](ClerkBasicAuthLayer::organization_by). A request in which a selector finds no
/// organization is answered 403 [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden) before the
/// password is verified, and so is a name that has neither the form of an id (`org_…`) nor of a slug
/// (`[a-z0-9_-]{1,256}`).
///
/// A selector only finds the name: the engine checks the user's membership, and every session that the layer hands on
/// is for this organization. Handlers should read it from
/// [`ClerkSession::organization`](crate::ClerkSession::organization) rather than from the request.
///
/// ```
/// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// use tower_clerk::{ClerkBasicAuthLayer, OrganizationSelector};
///
/// let layer = || ClerkBasicAuthLayer::new(clerk.clone());
/// // `GET /orgs/acme/invoices`.
/// let by_path = layer().organization_by(OrganizationSelector::path("/orgs/{org}/{*rest}"))?;
/// // `X-Organization: acme`.
/// let by_header = layer().organization_by(OrganizationSelector::header("x-organization"))?;
/// // `https://acme.example.com/`, for two tenants only.
/// let by_host =
///     layer().organization_by(OrganizationSelector::host("example.com").allow(["acme", "globex"]))?;
/// // `curl -u jane@example.com/acme`.
/// let by_identifier =
///     layer().organization_by(OrganizationSelector::identifier_suffix('/', ["acme", "globex"]))?;
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct OrganizationSelector {
    kind: Kind,
    allowed: Option<Vec<String>>,
    /// Where a path selector finds the path before a nested router has cut it.
    whole_uri: Option<WholeUriFn>,
}

#[derive(Clone, Debug)]
enum Kind {
    Path(String),
    Header(String),
    Host(String),
    IdentifierSuffix(char),
}

impl OrganizationSelector {
    fn new(kind: Kind) -> Self {
        Self { kind, allowed: None, whole_uri: None }
    }

    /// Reads the organization from the path, by a pattern such as `/orgs/{org}/{*rest}`.
    ///
    /// The pattern matches the whole path, and a trailing slash is significant. `{org}` is the organization, and occurs
    /// once. Another `{name}` matches one segment that isn't empty, and `{*name}`, at the end only, matches one or more
    /// characters, slashes included. The rest of the pattern is compared with the path as it was sent. This is how axum
    /// 0.8 matches its routes.
    ///
    /// The segment `{org}` is percent-decoded once. A path with a dot segment or a backslash, in plain or
    /// percent-encoded, matches no pattern, because a proxy may read it as another path than this crate does. Neither does
    /// one with an encoded slash in `{org}` or in a parameter before it.
    ///
    /// A nested router cuts the path before the layer sees it. With the feature `axum`, the selector reads the
    /// [`OriginalUri`](https://docs.rs/axum/0.8/axum/extract/struct.OriginalUri.html) that a router of axum 0.8 leaves
    /// in the extensions, and the URI of the request if there is none:
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{Router, routing::get};
    /// use tower_clerk::{ClerkBasicAuthLayer, ClerkSession, ConfigError, OrganizationSelector};
    ///
    /// fn app(layer: ClerkBasicAuthLayer) -> Result<Router, ConfigError> {
    ///     let members = layer.organization_by(OrganizationSelector::path("/orgs/{org}/{*rest}"))?;
    ///     let nested = Router::new().route("/invoices", get(|| async { "for members" })).layer(members);
    ///     Ok(Router::new().nest("/orgs/{org}", nested))
    /// }
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build().unwrap();
    /// # app(ClerkBasicAuthLayer::new(clerk)).unwrap();
    /// # }
    /// ```
    ///
    /// Without that feature, call [`original_uri`](Self::original_uri) or [`never_nested`](Self::never_nested).
    pub fn path(pattern: impl Into<String>) -> Self {
        Self::new(Kind::Path(pattern.into()))
    }

    /// Reads the organization from a header field.
    ///
    /// A request without the field, with more than one, or with a value that isn't visible ASCII, names no
    /// organization.
    pub fn header(name: impl Into<String>) -> Self {
        Self::new(Kind::Header(name.into()))
    }

    /// Reads the organization from the host name: the label in front of a base domain, such as `acme` in
    /// `acme.example.com`.
    ///
    /// The host comes from the request's URI (HTTP/2 has it as `:authority`) and the `Host` field. Where there are
    /// both, they must name the same host, in any case, and no two different ports; a port is ignored otherwise. More
    /// than one `Host` field, no label or several labels in front of the base domain, a dot at the end, and an IP
    /// address name no organization. `X-Forwarded-Host` and `Forwarded` are not read.
    ///
    /// The label is lower-cased. It is a slug and never an id, since ids distinguish upper and lower case.
    pub fn host(base_domain: impl Into<String>) -> Self {
        Self::new(Kind::Host(base_domain.into()))
    }

    /// Reads the organization from the end of the identifier, as in `jane@example.com/acme`, for clients that let their
    /// users enter nothing but an identifier and a password.
    ///
    /// The identifier is cut at the last separator: the rest is what Clerk gets, and shares its session with the same
    /// credentials on layers without a suffix. The separator is an ASCII punctuation character other than `@` and `:`;
    /// choose one that occurs in no slug and in no identifier. An identifier without it names no organization. If
    /// nothing is in front of it, the credentials are malformed.
    ///
    /// The allow-list is required, since any identifier with a separator in it would otherwise be cut. See
    /// [`allow`](Self::allow).
    ///
    /// The layer decodes the credentials of each request, also where a session is cached.
    pub fn identifier_suffix(separator: char, allowed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Kind::IdentifierSuffix(separator)).allow(allowed)
    }

    /// Lets only these organizations pass, by id or slug. Each call adds to the list.
    ///
    /// Any other organization is answered like one that the user isn't a member of: after the password is verified, so
    /// that the answer doesn't tell a client without a password which organizations are on the list. Clerk isn't asked
    /// about it.
    ///
    /// An id and a slug are different names: if clients use both, list both.
    pub fn allow(mut self, ids_or_slugs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed.get_or_insert_default().extend(ids_or_slugs.into_iter().map(Into::into));
        self
    }

    /// Sets the function with which a [path](Self::path) selector finds the URI before a nested router has cut its
    /// path.
    ///
    /// If it returns `None`, the request names no organization. Most routers leave the URI in the extensions. With the
    /// feature `axum` this replaces the way of the selector's own.
    ///
    /// ```
    /// use http::Uri;
    /// use tower_clerk::OrganizationSelector;
    ///
    /// #[derive(Clone)]
    /// struct WholeUri(Uri);
    ///
    /// let selector = OrganizationSelector::path("/orgs/{org}/{*rest}")
    ///     .original_uri(|parts| parts.extensions.get::<WholeUri>().map(|whole| &whole.0));
    /// ```
    pub fn original_uri(mut self, uri: fn(&Parts) -> Option<&Uri>) -> Self {
        self.whole_uri = Some(uri);
        self
    }

    /// Declares that no router around the layer cuts paths, so that a [path](Self::path) selector reads the URI of the
    /// request.
    ///
    /// In a nested router, such a selector sees a path without the prefix, where another segment could stand for the
    /// organization.
    pub fn never_nested(mut self) -> Self {
        self.whole_uri = Some(whole_uri::of_request);
        self
    }

    fn build(self, of_framework: Option<WholeUriFn>) -> Result<OrganizationSource, ConfigError> {
        let Self { kind, allowed, whole_uri } = self;
        if whole_uri.is_some() && !matches!(kind, Kind::Path(_)) {
            return Err(unusable("`original_uri` and `never_nested` are about a path".to_owned()));
        }
        let allowed = AllowList::new(allowed)?;
        match kind {
            Kind::Path(pattern) => {
                let path = PathPattern::parse(&pattern)
                    .map_err(|problem| unusable(format!("the path pattern {pattern:?}: {problem}")))?;
                let whole_uri = whole_uri.or(of_framework).ok_or_else(|| unusable(UNKNOWN_URI.to_owned()))?;
                Ok(by(allowed, move |parts| path.organization(whole_uri(parts)?.path())))
            }
            Kind::Header(name) => {
                let header = HeaderName::try_from(&*name)
                    .map_err(|_| unusable(format!("{name:?} is no name of a header field")))?;
                Ok(by(allowed, move |parts| only_field(parts, &header)))
            }
            Kind::Host(base) => {
                let host = HostLabel::below(&base)
                    .map_err(|problem| unusable(format!("the base domain {base:?}: {problem}")))?;
                if let Some(id) = allowed.names().find(|name| !HostLabel::may_be(name)) {
                    return Err(unusable(format!("no host name has {id:?} of the allow-list as its label")));
                }
                Ok(by(allowed, move |parts| host.organization(parts)))
            }
            Kind::IdentifierSuffix(separator) => {
                let suffix = IdentifierSuffix::new(separator, allowed)
                    .map_err(|problem| unusable(format!("the suffix of identifiers: {problem}")))?;
                Ok(OrganizationSource::Identifier(Arc::new(suffix)))
            }
        }
    }
}

impl<R> ClerkBasicAuthLayer<R> {
    /// Reads the organization from each request by a ready [`OrganizationSelector`].
    ///
    /// Use [`organization_from`](Self::organization_from) for another source, or for requests that may also be for the
    /// personal account. Whichever of these and of [`organization`](Self::organization) is called last applies.
    ///
    /// # Errors
    ///
    /// Returns an error if
    /// - the pattern, the header name, the base domain or the separator is malformed,
    /// - the allow-list is empty, or has a name that is neither an id nor a slug, or that the selector can never find,
    /// - the selector is a path selector, the feature `axum` is off, and neither
    ///   [`original_uri`](OrganizationSelector::original_uri) nor
    ///   [`never_nested`](OrganizationSelector::never_nested) was called, or
    /// - one of those two was called on another selector.
    pub fn organization_by(self, selector: OrganizationSelector) -> Result<Self, ConfigError> {
        let source = selector.build(whole_uri::of_framework())?;
        Ok(self.with(|policy| {
            policy.access.scope.organization = None;
            policy.organization = Some(source);
        }))
    }
}

fn unusable(problem: String) -> ConfigError {
    ConfigError::Selector { problem }
}

fn by(
    allowed: AllowList,
    find: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static,
) -> OrganizationSource {
    let answer: OrganizationFn = Arc::new(move |parts| match find(parts) {
        Some(name) => allowed.answer(name),
        None => RequestOrganization::Refused,
    });
    OrganizationSource::Request(answer)
}

/// The value of a header field that occurs once.
fn only_field(parts: &Parts, name: &HeaderName) -> Option<String> {
    let mut fields = parts.headers.get_all(name).iter();
    let value = fields.next().filter(|_| fields.next().is_none())?;
    value.to_str().ok().map(str::to_owned)
}

impl fmt::Debug for OrganizationSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrganizationSelector")
            .field("kind", &self.kind)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;
    use crate::rejection::RejectionKind;

    fn built(selector: OrganizationSelector) -> Result<OrganizationFn, String> {
        match selector.build(None) {
            Ok(OrganizationSource::Request(organization)) => Ok(organization),
            Ok(OrganizationSource::Identifier(_)) => panic!("a suffix"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn answer(selector: OrganizationSelector, request: Request<()>) -> RequestOrganization {
        built(selector).unwrap()(&request.into_parts().0)
    }

    #[test]
    fn a8_without_axum_a_path_selector_has_to_say_where_the_whole_path_is() {
        let path = || OrganizationSelector::path("/orgs/{org}");
        let error = built(path()).err().unwrap();
        assert!(error.contains("`original_uri`") && error.contains("`never_nested`"), "{error}");
        let request =
            || Request::get("/orgs/acme").extension(Uri::from_static("/orgs/globex")).body(()).unwrap();
        let named = RequestOrganization::named;
        assert_eq!(answer(path().never_nested(), request()), named("acme"));
        assert_eq!(answer(path().original_uri(|parts| parts.extensions.get()), request()), named("globex"));
        assert_eq!(answer(path().original_uri(|_| None), request()), RequestOrganization::Refused);
    }

    #[test]
    fn a8_the_ways_to_a_whole_path_take_precedence_over_that_of_axum() {
        let request =
            Request::get("/orgs/acme").extension(Uri::from_static("/orgs/globex")).body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let of_axum: WholeUriFn = |parts| parts.extensions.get();
        for (selector, expected) in [
            (OrganizationSelector::path("/orgs/{org}"), RequestOrganization::named("globex")),
            (OrganizationSelector::path("/orgs/{org}").never_nested(), RequestOrganization::named("acme")),
            (OrganizationSelector::path("/orgs/{org}").original_uri(|_| None), RequestOrganization::Refused),
        ] {
            let Ok(OrganizationSource::Request(organization)) = selector.build(Some(of_axum)) else {
                panic!()
            };
            assert_eq!(organization(&parts), expected);
        }
    }

    #[test]
    fn a8_a_header_names_an_organization_only_once_and_in_visible_ascii() {
        let of = |values: &[&[u8]]| {
            let mut request = Request::new(());
            for value in values {
                request.headers_mut().append("x-org", HeaderValue::from_bytes(value).unwrap());
            }
            answer(OrganizationSelector::header("X-Org"), request)
        };
        assert_eq!(of(&[b"acme"]), RequestOrganization::named("acme"));
        let refused: [&[&[u8]]; 5] =
            [&[], &[b"acme", b"acme"], &[b"acme", b"globex"], &[b"acm\xe9"], &["\u{e4}".as_bytes()]];
        for values in refused {
            assert_eq!(of(values), RequestOrganization::Refused, "{values:?}");
        }
        // These are malformed names, which the layer refuses.
        for value in ["", "acme, globex", "acme\t", "Acme", "%61cme"] {
            assert_eq!(of(&[value.as_bytes()]), RequestOrganization::named(value));
        }
    }

    /// On a layer that reads a suffix, a request of another scheme than Basic has no identifier.
    #[tokio::test]
    async fn a8_a_request_without_an_identifier_names_no_organization_by_a_suffix() {
        let clerk = crate::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build().unwrap();
        let suffix = OrganizationSelector::identifier_suffix('/', ["acme"]);
        _ = ClerkBasicAuthLayer::new(clerk).organization_by(suffix).unwrap().with(|policy| {
            let rejection = policy.access_of(None).unwrap_err();
            assert_eq!(rejection.kind(), RejectionKind::OrganizationForbidden);
        });
    }

    #[test]
    fn a8_an_unusable_selector_is_an_error_that_says_why() {
        for (selector, problem) in [
            (OrganizationSelector::path("/orgs/{org").never_nested(), r#""/orgs/{org": braces"#),
            (OrganizationSelector::header("x organization"), r#""x organization" is no name"#),
            (OrganizationSelector::header(""), "is no name"),
            (OrganizationSelector::host("https://example.com"), "base domain"),
            (OrganizationSelector::host("example.com").allow(["acme", "org_2abC"]), r#""org_2abC""#),
            (OrganizationSelector::host("example.com").allow(["acme_inc"]), r#""acme_inc""#),
            (OrganizationSelector::host("example.com").never_nested(), "about a path"),
            (OrganizationSelector::header("x-org").original_uri(|_| None), "about a path"),
            (OrganizationSelector::header("x-org").allow(["Acme"]), r#""Acme""#),
            (OrganizationSelector::header("x-org").allow([""; 0]), "empty"),
            (OrganizationSelector::identifier_suffix('/', [""; 0]), "empty"),
            (OrganizationSelector::identifier_suffix('@', ["acme"]), "separator"),
            (OrganizationSelector::identifier_suffix('-', ["acme-inc"]), "separator"),
        ] {
            let shown = format!("{selector:?}");
            let error = built(selector).err().unwrap();
            assert!(error.contains(problem), "{shown}: {error}");
        }
    }
}
