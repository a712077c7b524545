//! Handles a request: script, holds, instance, response.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Request, Response, StatusCode};

use crate::clock::Now;
use crate::context::{ClientToken, Context, Handled};
use crate::fake::FakeClerk;
use crate::faults::{ConnectionFault, Fault, json_response};
use crate::hold::Moment;
use crate::request::Call;
use crate::sync::lock;
use crate::tokens::fill::fill_tokens;
use crate::tokens::{TokenFlaw, Unsigned};
use crate::{backend, frontend};

impl FakeClerk {
    /// Handles a request in process.
    ///
    /// The request's URI must be absolute, or the request must have a `Host` header, because tokens name that address
    /// as their issuer. Clerk limits sign-ins by client address; requests come from the address set with
    /// [`at_address`](Self::at_address), or from none.
    ///
    /// # Errors
    ///
    /// Returns an error if a scripted [`Fault`] breaks the connection. A request that Clerk would refuse is an `Ok`
    /// response.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use bytes::Bytes;
    /// use fake_clerk::{Endpoint, FakeClerk, Fault};
    ///
    /// let clerk = FakeClerk::new();
    /// let keys = || http::Request::get(clerk.fapi_url() + "/.well-known/jwks.json").body(Bytes::new());
    /// assert_eq!(clerk.handle(keys()?).await?.status(), 200);
    ///
    /// clerk.script(Endpoint::Jwks, Fault::Reset);
    /// assert!(clerk.handle(keys()?).await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectionFault> {
        self.handle_from(request, self.address).await
    }

    /// Handles a request from a client address.
    pub(crate) async fn handle_from(
        &self,
        request: Request<Bytes>,
        peer: Option<IpAddr>,
    ) -> Result<Response<Bytes>, ConnectionFault> {
        let call = Call::read(request, peer, &self.hosts());
        let number = lock(&self.inner.log).arrived(&call, self.inner.clock.now());
        let fault = lock(&self.inner.script).next(call.endpoint);
        self.inner.gates.pass(call.endpoint, Moment::Arrival).await;
        let answer = self.carry_out(&call, fault).await;
        let hooks = lock(&self.inner.hooks).answered(call.endpoint);
        hooks.into_iter().for_each(|hook| hook(self));
        self.inner.gates.pass(call.endpoint, Moment::Answer).await;
        let status = match &answer {
            Ok(response) => Some(response.status()),
            Err(ConnectionFault::Truncated(response)) => Some(response.status()),
            Err(_) => None,
        };
        if let Some(status) = status {
            lock(&self.inner.log).answered(number, status);
        }
        answer
    }

    async fn carry_out(&self, call: &Call, fault: Option<Fault>) -> Result<Response<Bytes>, ConnectionFault> {
        match &fault {
            Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Refused) => return Err(ConnectionFault::Refused),
            _ => {}
        }
        let instead = fault.as_ref().and_then(|fault| fault.instead(self.now()));
        let (mut response, takes) = match instead {
            Some(response) => (response, Duration::ZERO),
            None => self.respond(call, fault.as_ref()),
        };
        // No timer unless a delay is configured, so that the stand-in runs on any executor.
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match fault {
            Some(Fault::DelayAnswer(time)) => tokio::time::sleep(time).await,
            Some(Fault::Reset) => return Err(ConnectionFault::Reset),
            Some(Fault::Empty) => *response.body_mut() = Bytes::new(),
            Some(Fault::NotJson) => *response.body_mut() = Bytes::from_static(b"upstream says hello"),
            _ => {}
        }
        // `Date` is the time at which the response is sent.
        let seconds = u64::try_from(self.now().unix()).unwrap_or_default();
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        response.headers_mut().extend(HeaderValue::from_str(&date).ok().map(|date| (DATE, date)));
        match fault {
            Some(Fault::Truncated) => Err(ConnectionFault::Truncated(Box::new(response))),
            _ => Ok(response),
        }
    }

    /// Returns the instance's own response, altered by a fault if there is one, and how long Clerk takes for it.
    fn respond(&self, call: &Call, fault: Option<&Fault>) -> (Response<Bytes>, Duration) {
        let (handled, mailed, takes, hook) = {
            let world = &mut *lock(&self.inner.world);
            let now = Now::read(&self.inner.clock, world.settings.clock_skew);
            let (state, settings) = (&mut world.state, &world.settings);
            let mut context =
                Context { state, settings, call, now, mailed: Vec::new(), takes: Duration::ZERO };
            let handled = match call.endpoint.is_backend() {
                true => backend::handle(&mut context),
                false => frontend::handle(&mut context),
            };
            let (mailed, takes) = (context.mailed, context.takes);
            self.post_changes(world, now, Some(call));
            (handled, mailed, takes, world.settings.on_code.clone())
        };
        self.inner.webhooks.start();
        // Outside the lock: signing is slow, and a hook may call the stand-in.
        for (identifier, code) in mailed {
            if let Some(hook) = &hook {
                hook(&identifier, &code);
            }
        }
        (write(handled, call, fault), takes)
    }

    pub(crate) fn now(&self) -> Now {
        Now::read(&self.inner.clock, lock(&self.inner.world).settings.clock_skew)
    }
}

fn write(handled: Handled, call: &Call, fault: Option<&Fault>) -> Response<Bytes> {
    let flaw = match fault {
        Some(Fault::TokenWith(flaw)) => Some(*flaw),
        _ => None,
    };
    let (mut response, client_token) = match handled {
        Ok(reply) => {
            let mut body = reply.body;
            fill_tokens(&mut body, &sign(reply.tokens, flaw));
            if let Some(fault) = fault {
                fault.rewrite(&mut body);
            }
            (json_response(StatusCode::OK, &body), reply.client_token)
        }
        Err(mut error) => {
            let tokens = std::mem::take(&mut error.tokens);
            let mut body = error.body();
            fill_tokens(&mut body, &sign(tokens, None));
            let mut response = json_response(error.status, &body);
            if let Some(seconds) = error.retry_after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            (response, error.client_token.take().map_or(ClientToken::Unchanged, ClientToken::New))
        }
    };
    let token = match client_token {
        ClientToken::Unchanged => return response,
        ClientToken::New(token) => token.sign(),
        // An empty value tells native clients to drop their token.
        ClientToken::Gone => String::new(),
    };
    let (name, value) = if call.is_native() {
        (AUTHORIZATION, token)
    } else {
        (SET_COOKIE, format!("__client={token}; Path=/; HttpOnly; SameSite=Lax"))
    };
    response.headers_mut().extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
    response
}

fn sign(tokens: Vec<Unsigned>, flaw: Option<TokenFlaw>) -> Vec<String> {
    let sign = |token: Unsigned| match flaw {
        Some(flaw) => token.sign_with(flaw),
        None => token.sign(),
    };
    tokens.into_iter().map(sign).collect()
}
