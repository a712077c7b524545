//! The built-in transport, made of `reqwest`.

use bytes::{Bytes, BytesMut};
use http::{Request, Response};

use crate::transport::{Transport, TransportError, TransportFuture, max_body};

/// Sends requests with `reqwest`, without the options that could leak a password or repeat a sign-in (rule S1).
///
/// Options are turned off explicitly, because another crate of the program may enable their `reqwest` features: Cargo
/// unifies features.
pub(crate) struct HttpTransport {
    client: reqwest::Client,
}

impl HttpTransport {
    pub(crate) fn new(https: bool) -> Result<Self, reqwest::Error> {
        Ok(Self { client: Self::builder(https).build()? })
    }

    /// A transport to an identity provider that trusts the certificate authorities in this PEM alone.
    #[cfg(all(feature = "federation", feature = "rustls"))]
    pub(crate) fn with_authority(pem: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)?;
        // Of a text without any, the list is empty, and nothing would be trusted.
        if certificates.is_empty() {
            return Err("there is no certificate in it".into());
        }
        Ok(Self { client: Self::builder(true).tls_certs_only(certificates).build()? })
    }

    fn builder(https: bool) -> reqwest::ClientBuilder {
        let mut builder = reqwest::Client::builder()
            // A redirect would send the password to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Clerk counts each sign-in, so the client must not repeat one on its own.
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .user_agent(super::caller::USER_AGENT)
            .https_only(https);
        if !https {
            // HTTP_PROXY applies to loopback too, so the password would reach the proxy in clear text.
            builder = builder.no_proxy();
        }
        builder
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let most = max_body(&request);
        let request = reqwest::Request::try_from(request).map_err(broken)?;
        let mut response = self.client.execute(request).await.map_err(|error| {
            if error.is_connect() { TransportError::connect(error.without_url()) } else { broken(error) }
        })?;
        let mut answer = Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            *headers = std::mem::take(response.headers_mut());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > most {
                return Err(TransportError::too_large());
            }
            body.extend_from_slice(&chunk);
        }
        answer.body(body.freeze()).map_err(TransportError::broken)
    }
}

/// Removes the URL from the error: it can hold a session token (`expired_token`) that is still valid.
fn broken(error: reqwest::Error) -> TransportError {
    TransportError::broken(error.without_url())
}

impl Transport for HttpTransport {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(self.exchange(request))
    }
}
