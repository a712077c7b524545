//! From a request to its answer, by way of script, holds and instance.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AUTHORIZATION, DATE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Request, Response, StatusCode};

use super::faults::{Fault, TokenFlaw, json_response};
use super::fill::fill_tokens;
use super::handler::{ClientToken, Context, Handled};
use super::hold::Moment;
use super::request::Call;
use super::state::Now;
use super::tokens::Unsigned;
use super::{FakeClerk, lock};
use crate::transport::{MAX_BODY, Transport, TransportError, TransportFuture};

/// What becomes of a request to a [`FakeClerk`].
///
/// For those who put the stand-in behind a server or a client of their own; [`Transport`] and
/// [`serve`](FakeClerk::serve) turn it into what it means there.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// An answer.
    Whole(Response<Bytes>),
    /// An answer, of whose body only half arrives.
    Truncated(Response<Bytes>),
    /// The connection is closed before the answer.
    Reset,
    /// No connection is made.
    Refused,
}

impl FakeClerk {
    /// Answers one request.
    ///
    /// `peer` is the address the request comes from, which is what Clerk counts sign-ins by. The URI is absolute,
    /// or there is a `Host` header: tokens name the address as their issuer.
    pub async fn handle(&self, request: Request<Bytes>, peer: Option<IpAddr>) -> Answer {
        let call = Call::read(request, peer, &self.hosts());
        let number = lock(&self.inner.log).arrived(&call, self.inner.clock.now());
        let fault = lock(&self.inner.script).next(call.endpoint);
        self.inner.gates.pass(call.endpoint, Moment::Arrival).await;
        let answer = self.carry_out(&call, fault).await;
        self.inner.gates.pass(call.endpoint, Moment::Answer).await;
        if let Answer::Whole(response) | Answer::Truncated(response) = &answer {
            lock(&self.inner.log).answered(number, response.status());
        }
        answer
    }

    async fn carry_out(&self, call: &Call, fault: Option<Fault>) -> Answer {
        match &fault {
            Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Refused) => return Answer::Refused,
            _ => {}
        }
        let instead = fault.as_ref().and_then(|fault| fault.instead(self.now()));
        let (mut response, takes) = match instead {
            Some(response) => (response, Duration::ZERO),
            None => self.respond(call, fault.as_ref()),
        };
        // Without a timer where nothing takes time: the stand-in runs on any executor.
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match fault {
            Some(Fault::DelayAnswer(time)) => tokio::time::sleep(time).await,
            Some(Fault::Reset) => return Answer::Reset,
            Some(Fault::Empty) => *response.body_mut() = Bytes::new(),
            Some(Fault::NotJson) => *response.body_mut() = Bytes::from_static(b"upstream says hello"),
            _ => {}
        }
        // Dated when it goes out, as servers do.
        let seconds = u64::try_from(self.now().unix()).unwrap_or_default();
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        response.headers_mut().extend(HeaderValue::from_str(&date).ok().map(|date| (DATE, date)));
        match fault {
            Some(Fault::Truncated) => Answer::Truncated(response),
            _ => Answer::Whole(response),
        }
    }

    /// The instance's own answer, what a fault makes of it, and how long Clerk works on it.
    fn respond(&self, call: &Call, fault: Option<&Fault>) -> (Response<Bytes>, Duration) {
        let (handled, mailed, takes, hook) = {
            let world = &mut *lock(&self.inner.world);
            let now = Now::read(&self.inner.clock, world.settings.clock_skew);
            let (state, settings) = (&mut world.state, &world.settings);
            let mut context =
                Context { state, settings, call, now, mailed: Vec::new(), takes: Duration::ZERO };
            let handled = context.handle();
            let (mailed, takes) = (context.mailed, context.takes);
            (handled, mailed, takes, world.settings.on_code.clone())
        };
        // Outside the lock: signing takes a moment, and a hook may ask the stand-in something.
        for (identifier, code) in mailed {
            if let Some(hook) = &hook {
                hook(&identifier, &code);
            }
        }
        (write(handled, call, fault), takes)
    }

    pub(super) fn now(&self) -> Now {
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
        // An empty value tells native clients to forget the one they have.
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

impl Transport for FakeClerk {
    fn send(&self, request: Request<Bytes>) -> TransportFuture<'_> {
        Box::pin(async move {
            match self.handle(request, self.address).await {
                Answer::Whole(response) if response.body().len() > MAX_BODY => {
                    Err(TransportError::too_large())
                }
                Answer::Whole(response) => Ok(response),
                Answer::Truncated(_) => Err(TransportError::broken("the connection ended within the body")),
                Answer::Reset => Err(TransportError::broken("the connection was reset")),
                Answer::Refused => Err(TransportError::connect("connection refused")),
            }
        })
    }
}
