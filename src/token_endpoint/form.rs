//! The parameters of a request (RFC 6749, section 3.2).

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use zeroize::Zeroizing;

use super::error::TokenError;
use crate::credentials::form_decoded;

/// The media type of a request (RFC 6749, section 4.4.2).
const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters of a form. Values are decoded on use, since most are not used.
pub(super) struct Form<'b> {
    /// Sorted by name, and each name once.
    parameters: Vec<(Zeroizing<Vec<u8>>, &'b [u8])>,
}

impl<'b> Form<'b> {
    /// Reads a form. Unlike `form_urlencoded`, it passes no broken escape through and drops no repeated parameter.
    pub(super) fn parse(headers: &HeaderMap, body: &'b [u8]) -> Result<Self, TokenError> {
        if !is_form(headers) {
            return Err(TokenError::invalid_request(
                "the Content-Type must be application/x-www-form-urlencoded",
            ));
        }
        let mut parameters = Vec::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let end = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = end.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            parameters.push((decoded(name)?, value));
        }
        parameters.sort_unstable_by(|(name, _), (other, _)| name.as_slice().cmp(other));
        if parameters.windows(2).any(|pair| *pair[0].0 == *pair[1].0) {
            return Err(TokenError::invalid_request("a parameter comes more than once"));
        }
        Ok(Self { parameters })
    }

    /// The value of a parameter. One without a value counts as one that is left out (RFC 6749, section 3.2).
    pub(super) fn value(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, TokenError> {
        let found = self.parameters.binary_search_by(|(key, _)| key.as_slice().cmp(name.as_bytes()));
        match found.map(|at| self.parameters[at].1) {
            Ok(value) if !value.is_empty() => decoded(value).map(Some),
            _ => Ok(None),
        }
    }

    /// The value of a parameter that is no secret.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, TokenError> {
        let Some(value) = self.value(name)? else { return Ok(None) };
        let text =
            str::from_utf8(&value).map_err(|_| TokenError::invalid_request("the form is not UTF-8"))?;
        Ok(Some(text.to_owned()))
    }
}

fn decoded(part: &[u8]) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    form_decoded(part).map_err(|_| {
        TokenError::invalid_request("a percent sign in the form is not followed by two hexadecimal digits")
    })
}

/// Whether there is one `Content-Type`, and it is that of a form, with parameters or without.
fn is_form(headers: &HeaderMap) -> bool {
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return false };
    let essence = field.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(FORM)
}
