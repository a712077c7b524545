//! The two documents of a provider.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::faults::{ConnectionFault, json_response};
use crate::issuer::{FakeIssuer, IssuerDocument, IssuerFault, State};
use crate::sync::lock;

impl FakeIssuer {
    /// Sets a fault of a document, or takes it away.
    ///
    /// ```
    /// use fake_clerk::{FakeIssuer, IssuerDocument, IssuerFault};
    /// use serde_json::json;
    ///
    /// let issuer = FakeIssuer::new("https://token.ci.example");
    /// // A discovery document of somebody else's.
    /// let lie = IssuerFault::Members(json!({ "issuer": "https://accounts.example" }));
    /// issuer.set_fault(IssuerDocument::Discovery, lie);
    /// issuer.set_fault(IssuerDocument::Discovery, None);
    /// ```
    pub fn set_fault(&self, document: IssuerDocument, fault: impl Into<Option<IssuerFault>>) {
        let faults = &mut lock(&self.inner.state).documents.faults;
        match fault.into() {
            Some(fault) => drop(faults.insert(document, fault)),
            None => drop(faults.remove(&document)),
        }
    }

    /// Returns how often a document was asked for.
    #[must_use]
    pub fn count(&self, document: IssuerDocument) -> usize {
        lock(&self.inner.state).documents.counts.get(&document).copied().unwrap_or_default()
    }

    /// Handles a request in process.
    ///
    /// A request for another host than the issuer's is answered 404, so that a test notices the mistake.
    ///
    /// # Errors
    ///
    /// Returns an error if a [fault](IssuerFault::Reset) breaks the connection.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectionFault> {
        let uri = request.uri();
        let in_issuer = self.issuer().parse::<http::Uri>().unwrap_or_default();
        if uri.authority().is_some() && uri.authority() != in_issuer.authority() {
            return Ok(empty(StatusCode::NOT_FOUND));
        }
        let base = in_issuer.path().trim_end_matches('/');
        let document = match uri.path().strip_prefix(base) {
            Some("/.well-known/openid-configuration") => IssuerDocument::Discovery,
            Some("/jwks") => IssuerDocument::Keys,
            _ => return Ok(empty(StatusCode::NOT_FOUND)),
        };
        if request.method() != Method::GET {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return Ok(response);
        }
        let (whole, fault) = {
            let state = &mut *lock(&self.inner.state);
            *state.documents.counts.entry(document).or_default() += 1;
            (self.document(document, state), state.documents.faults.get(&document).cloned())
        };
        answer(whole, fault).await
    }

    fn document(&self, document: IssuerDocument, state: &State) -> Value {
        let issuer = self.issuer();
        let base = issuer.trim_end_matches('/');
        match document {
            IssuerDocument::Keys => state.keys.jwks(),
            // The members that OpenID Connect Discovery 1.0, section 3, requires of every provider.
            IssuerDocument::Discovery => json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
                "jwks_uri": format!("{base}/jwks"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
            }),
        }
    }
}

async fn answer(mut document: Value, fault: Option<IssuerFault>) -> Result<Response<Bytes>, ConnectionFault> {
    let ok = |document: &Value| json_response(StatusCode::OK, document);
    Ok(match fault {
        None => ok(&document),
        Some(IssuerFault::Redirect(to)) => {
            let mut response = empty(StatusCode::FOUND);
            response.headers_mut().extend(HeaderValue::from_str(&to).ok().map(|to| (LOCATION, to)));
            response
        }
        Some(IssuerFault::Status(status)) => {
            empty(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        Some(IssuerFault::Members(Value::Object(members))) => {
            if let Value::Object(document) = &mut document {
                document.extend(members);
                document.retain(|_, value| !value.is_null());
            }
            ok(&document)
        }
        Some(IssuerFault::Members(other)) => ok(&other),
        Some(IssuerFault::NotJson) => {
            let mut response = Response::new(Bytes::from_static(b"<html>sign in first</html>"));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
            response
        }
        Some(IssuerFault::Padded(bytes)) => {
            document["_"] = json!("x".repeat(bytes));
            ok(&document)
        }
        Some(IssuerFault::Hang) => std::future::pending().await,
        Some(IssuerFault::Reset) => return Err(ConnectionFault::Reset),
    })
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
