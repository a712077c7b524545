//! The token endpoint, asked over a socket by the client-credentials client of the crate `oauth2`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse, BasicTokenType};
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RequestTokenError, Scope,
    TokenResponse as _, TokenUrl,
};
use tokio::net::TcpListener;
use tower_clerk::testing::{self, FakeUser};
use tower_clerk::token_endpoint::TokenEndpoint;
use tower_clerk::{Access, BearerTokens, Clerk, ClerkBasicAuthLayer, ClerkSession};

/// Characters that a form escapes, and a colon.
const PARTNER: (&str, &str) = ("partner+tag@x.io", "p%41ss: w\u{f6}rd&=+");

/// Serves the endpoint and an API that takes its tokens.
async fn serve(endpoint: TokenEndpoint, clerk: Clerk) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let layer = ClerkBasicAuthLayer::new(clerk).accept_bearer(BearerTokens::new()).unwrap();
    let app = Router::new()
        .route("/me", get(async |session: ClerkSession| session.user_id().to_owned()))
        .layer(layer)
        .route_service("/auth/token", endpoint);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn send(request: HttpRequest) -> Result<HttpResponse, hyper_util::client::legacy::Error> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request.map(|body| Full::from(Bytes::from(body)))).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    Ok(HttpResponse::from_parts(parts, body.to_vec()))
}

type Answer = Result<BasicTokenResponse, BasicErrorResponseType>;

async fn ask(server: &str, (id, secret): (&str, &str), kind: AuthType, scope: Option<&str>) -> Answer {
    let client = BasicClient::new(ClientId::new(id.to_owned()))
        .set_client_secret(ClientSecret::new(secret.to_owned()))
        .set_token_uri(TokenUrl::new(format!("{server}/auth/token")).unwrap())
        .set_auth_type(kind);
    let scope = scope.map(|scope| Scope::new(scope.to_owned()));
    match client.exchange_client_credentials().add_scopes(scope).request_async(&send).await {
        Ok(token) => Ok(token),
        Err(RequestTokenError::ServerResponse(response)) => Err(response.error().clone()),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e2_a_client_of_the_oauth2_crate_gets_a_token_and_reads_errors() {
    let (fake, clerk) = testing::unlimited();
    fake.add_user_unchecked(FakeUser::new(PARTNER.0).password(PARTNER.1));
    let endpoint = TokenEndpoint::new(clerk.clone()).form_encoded_credentials().credentials_in_form();
    let endpoint = endpoint.access_from(|request| match request.scope() {
        None => Some(Access::new()),
        Some("acme") => Some(Access::new().organization("acme")),
        Some(_) => None,
    });
    let server = serve(endpoint, clerk).await;

    for kind in [AuthType::BasicAuth, AuthType::RequestBody] {
        let token = ask(&server, PARTNER, kind.clone(), None).await.unwrap();
        assert_eq!(*token.token_type(), BasicTokenType::Bearer);
        assert!(token.expires_in().is_some_and(|left| left >= Duration::from_secs(29)), "{token:?}");
        let request = http::Request::get(format!("{server}/me"))
            .header("authorization", format!("Bearer {}", token.access_token().secret()))
            .body(Vec::new())
            .unwrap();
        let me = send(request).await.unwrap();
        assert!(me.status() == 200 && me.body().starts_with(b"user_"), "{me:?}");

        let wrong = (PARTNER.0, "wrong");
        let refused = ask(&server, wrong, kind.clone(), None).await;
        assert_eq!(refused.unwrap_err(), BasicErrorResponseType::InvalidClient);
        let scope = ask(&server, PARTNER, kind, Some("acme")).await;
        assert_eq!(scope.unwrap_err(), BasicErrorResponseType::InvalidScope, "not a member");
    }
}
