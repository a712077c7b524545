//! Deliveries over a socket, without TLS.

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::uri::Scheme;
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::webhooks::answer::Answer;
use crate::webhooks::secret::InvalidWebhook;

/// Maximum number of attempts at a time, so that a storm of events doesn't exhaust the file descriptors.
pub(crate) const MOST: usize = 128;

/// The address of an endpoint.
#[derive(Clone)]
pub(crate) struct Address {
    host: String,
    port: u16,
    /// The value of `Host`.
    authority: HeaderValue,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, InvalidWebhook> {
        let invalid = || InvalidWebhook("must be like http://127.0.0.1:3000/webhooks/clerk".to_owned());
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        match (uri.scheme() == Some(&Scheme::HTTP), authority) {
            (true, Some(authority)) if !authority.host().is_empty() => Ok(Self {
                host: authority.host().trim_matches(['[', ']']).to_owned(),
                port: authority.port_u16().unwrap_or(80),
                authority: HeaderValue::from_str(authority.as_str()).map_err(|_| invalid())?,
            }),
            _ => Err(invalid()),
        }
    }

    /// Sends a request on a connection of its own. Redirects aren't followed, as Svix follows none.
    pub(crate) async fn send(&self, mut request: Request<Bytes>) -> Option<Answer> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
        request.headers_mut().insert(HOST, self.authority.clone());
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let answer = async move {
            let answer = sender.send_request(request.map(Full::new)).await.ok()?;
            let control = answer.headers().get("webhook-delivery").cloned();
            Some(Answer { status: answer.status(), control })
        };
        // The connection is polled here rather than in a task, so that it ends with the attempt.
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // The connection may end in the same moment in which it hands the answer over.
            _ = &mut connection => answer.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_no_tls_and_no_user() {
        for right in
            ["http://127.0.0.1:3000/webhooks", "http://localhost/", "http://[::1]:1?a=b", "http://app"]
        {
            assert!(Address::parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "/webhooks",
            "127.0.0.1:3000",
            "https://app.example/",
            "http://a:b@app/",
            "http://",
            "ftp://app/",
        ] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        let address = Address::parse("http://[::1]:3000/webhooks").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 3000));
    }
}
