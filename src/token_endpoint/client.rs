//! The credentials of a request: HTTP Basic, or parameters of the form (RFC 6749, section 2.3.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::error::TokenError;
use super::form::Form;
use crate::credentials::{
    Credentials, Decoding, MalformedCredentials, MalformedReason, Presented, presented,
};
use crate::rejection::{Rejection, RejectionKind};

/// How an endpoint takes credentials.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAuthentication {
    /// Of Basic. Parameters of the form are form-encoded in any case.
    pub(super) decoding: Decoding,
    pub(super) in_form: bool,
}

impl ClientAuthentication {
    /// The credentials of a request.
    pub(super) fn credentials(self, headers: &HeaderMap, form: &Form<'_>) -> Result<Credentials, TokenError> {
        let (id, secret) = (form.value("client_id")?, form.value("client_secret")?);
        // A proxy in front may have looked at one of them, and this crate would look at the other.
        if secret.is_some() && headers.contains_key(AUTHORIZATION) {
            return Err(TokenError::invalid_request(
                "there are credentials both in the header and in the form",
            ));
        }
        if let Some(secret) = secret {
            if !self.in_form {
                return Err(missing("send the credentials as HTTP Basic, not in the form"));
            }
            let id =
                id.ok_or_else(|| TokenError::invalid_request("there is a client_secret and no client_id"))?;
            return Decoding::PLAIN.text(&id, &secret).map_err(malformed);
        }
        let Presented::Basic(token) = presented(headers).map_err(malformed)? else {
            return Err(missing("the credentials are missing"));
        };
        let credentials = token.decode(self.decoding).map_err(malformed)?;
        // Some clients repeat their id in the form.
        if id.is_some_and(|id| *id != credentials.identifier().as_bytes()) {
            return Err(TokenError::invalid_request("the client_id is not that of the credentials"));
        }
        Ok(credentials)
    }
}

fn missing(description: &'static str) -> TokenError {
    Rejection::new(RejectionKind::CredentialsMissing).detail_of(description).into()
}

fn malformed(error: MalformedCredentials) -> TokenError {
    let rejection = Rejection::malformed(error.reason());
    match error.reason() {
        // More than one way of authentication is a malformed request (RFC 6749, section 5.2).
        MalformedReason::SeveralFields => {
            TokenError::invalid_request(MalformedReason::SeveralFields.as_str()).caused_by(rejection)
        }
        _ => rejection.into(),
    }
}
