//! How a connection to Redis comes about: over TCP, TLS or a Unix socket.

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ErrorKind, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::store::Address;

/// The time for a connection, its login included.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long a command may take. One that times out twice costs the connection.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects and logs in. The connection is driven on the runtime of the caller, and ends when it is dropped.
pub(super) async fn dial(address: &Address) -> RedisResult<MultiplexedConnection> {
    match tokio::time::timeout(TIMEOUT, connect(address)).await {
        Ok(connection) => connection,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

async fn connect(address: &Address) -> RedisResult<MultiplexedConnection> {
    match address.info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            if address.tls {
                over(address, tls(host, stream).await?).await
            } else {
                over(address, stream).await
            }
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => over(address, tokio::net::UnixStream::connect(path).await?).await,
        _ => Err(RedisError::from((ErrorKind::InvalidClientConfig, "no such kind of address"))),
    }
}

async fn over<S>(address: &Address, stream: S) -> RedisResult<MultiplexedConnection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(COMMAND_TIMEOUT));
    // `CLIENT SETINFO` is newer than Redis 6.2, and another command that an ACL would have to allow.
    let settings = address.info.redis_settings().clone().set_skip_set_lib_name();
    let (connection, driver) = MultiplexedConnection::new_with_config(&settings, stream, config).await?;
    tokio::spawn(driver);
    Ok(connection)
}

#[cfg(feature = "rustls")]
async fn tls(
    host: &str,
    stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    use std::sync::Arc;

    use rustls_platform_verifier::BuilderVerifierExt as _;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{ClientConfig, Error};

    let config = || -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        Ok(builder.with_safe_default_protocol_versions()?.with_platform_verifier()?.with_no_client_auth())
    };
    let config = config().map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[cfg(not(feature = "rustls"))]
async fn tls(_: &str, stream: TcpStream) -> io::Result<TcpStream> {
    // `RedisStore::new` refuses such an address.
    drop(stream);
    Err(io::ErrorKind::Unsupported.into())
}
