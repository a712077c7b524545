//! The token endpoint: requests, credentials, the choice of a token, answers, and the documents beside it.

mod access;
mod answers;
mod credentials;
mod documents;
#[cfg(feature = "federation")]
mod exchange;
mod partners;
mod requests;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::{Service, ServiceExt as _};
use tower_clerk::Rejection;
use tower_clerk::token_endpoint::{ResponseBody, TokenEndpoint, TokenError};

use crate::common::{Pair, World, authorization, in_time};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const GRANT: &str = "grant_type=client_credentials";

/// A response with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) error: Option<TokenError>,
    pub(crate) rejection: Option<Rejection>,
}

impl Answer {
    /// The status, and the code of the error.
    pub(crate) fn failure(&self) -> (u16, &str) {
        (self.status, self.json["error"].as_str().unwrap_or_default())
    }

    #[track_caller]
    pub(crate) fn token(&self) -> &str {
        assert_eq!(self.status, 200, "{self:?}");
        self.json["access_token"].as_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn claims(&self) -> Value {
        use base64::Engine as _;
        let payload = self.token().split('.').nth(1).unwrap();
        serde_json::from_slice(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
    }

    pub(crate) fn expires_in(&self) -> u64 {
        self.json["expires_in"].as_u64().unwrap()
    }

    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn read(response: Response<ResponseBody>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        json: serde_json::from_slice(&body).unwrap(),
        error: parts.extensions.get().cloned(),
        rejection: parts.extensions.get().cloned(),
    }
}

pub(crate) async fn send<S, B>(service: S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<ResponseBody>>,
    S::Error: std::fmt::Debug,
{
    read(in_time(service.oneshot(request)).await.unwrap()).await
}

pub(crate) fn form(authorization: Option<&str>, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post("/token").header(CONTENT_TYPE, FORM);
    if let Some(field) = authorization {
        request = request.header(AUTHORIZATION, field);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Asks for a token by HTTP Basic.
pub(crate) async fn token(endpoint: &TokenEndpoint, pair: (&str, &str)) -> Answer {
    send(endpoint.clone(), form(Some(&authorization(pair)), GRANT)).await
}

/// Asks for a token with further parameters in the form.
pub(crate) async fn token_with(endpoint: &TokenEndpoint, pair: Pair, parameters: &str) -> Answer {
    send(endpoint.clone(), form(Some(&authorization(pair)), format!("{GRANT}&{parameters}"))).await
}

impl World {
    pub(crate) fn endpoint(&self) -> TokenEndpoint {
        TokenEndpoint::new(self.clerk.clone())
    }
}
