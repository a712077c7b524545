//! A server on a real socket, and its clients.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Server};
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::Service;
use tower_clerk::layer::RejectionResponse;
use tower_clerk::{ClerkBasicAuthLayer, RejectionKind, testing};

pub(crate) const JANE: (&str, &str) = ("jane@example.com", "correct horse battery staple");
pub(crate) const JANE_WRONG: (&str, &str) = ("jane@example.com", "wrong");
pub(crate) const BOB: (&str, &str) = ("bob@example.com", "hunter2hunter2");
pub(crate) const MFA: (&str, &str) = ("mfa@example.com", "second factor please");
pub(crate) const EXPIRED: (&str, &str) = ("expired@example.com", "please choose a new one");

/// Serves the health service behind a layer.
pub(crate) async fn serve<R>(layer: ClerkBasicAuthLayer<R>) -> SocketAddr
where
    R: RejectionResponse<Body> + Send + Sync + 'static,
{
    let (_, health) = tonic_health::server::health_reporter();
    serve_behind(layer, health).await
}

pub(crate) async fn serve_behind<R, S>(layer: ClerkBasicAuthLayer<R>, service: S) -> SocketAddr
where
    R: RejectionResponse<Body> + Send + Sync + 'static,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: NamedService + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().accept_http1(true).layer(layer).add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// A request with an `authorization` in its metadata, like a client has it.
pub(crate) fn asking(credentials: Option<(&str, &str)>) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    if let Some((identifier, password)) = credentials {
        let field = testing::basic(identifier, password);
        request.metadata_mut().insert("authorization", field.as_bytes().try_into().unwrap());
    }
    request
}

pub(crate) async fn client(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

/// Whether the service serves, or why the client isn't let in.
pub(crate) async fn check(address: SocketAddr, credentials: Option<(&str, &str)>) -> Result<bool, Status> {
    let response = client(address).await.check(asking(credentials)).await?;
    Ok(response.into_inner().status == ServingStatus::Serving as i32)
}

#[track_caller]
pub(crate) fn metadata<'a>(status: &'a Status, key: &str) -> Option<&'a str> {
    status.metadata().get(key).map(|value| value.to_str().unwrap())
}

#[track_caller]
pub(crate) fn assert_rejected(result: Result<bool, Status>, code: Code, kind: RejectionKind) -> Status {
    let status = result.unwrap_err();
    assert_eq!((status.code(), metadata(&status, "x-clerk-code")), (code, Some(kind.code())), "{status:?}");
    assert_eq!(metadata(&status, "cache-control"), Some("no-store"));
    assert_eq!(metadata(&status, "www-authenticate"), None);
    status
}

/// An HTTP/1.1 client that knows nothing of gRPC.
pub(crate) async fn plain(address: SocketAddr, content_type: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: {address}\r\ncontent-type: {content_type}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.to_lowercase()
}
