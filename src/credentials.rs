//! Reads credentials from an `Authorization` field (RFC 7617), without copying the secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

mod bearer;
mod decoding;
mod malformed;

pub(crate) use bearer::BearerToken;
pub(crate) use decoding::Decoding;
#[cfg(feature = "token-endpoint")]
pub(crate) use decoding::form_decoded;
pub use malformed::{MalformedCredentials, MalformedReason};

/// The longest accepted Basic token.
const MAX_TOKEN: usize = 8 * 1024;

/// The longest `identifier:password` that fits into `MAX_TOKEN`.
const MAX_PAIR: usize = MAX_TOKEN / 4 * 3;

/// The content of an `Authorization` field before decoding. Borrowed from the header, so the secret is not copied.
#[derive(Clone, Copy)]
pub(crate) enum Presented<'h> {
    /// There is no `Authorization` field.
    None,
    /// A field of a scheme other than Basic.
    Other(&'h HeaderValue),
    /// A Basic token.
    Basic(BasicToken<'h>),
}

// By hand, since the value of a field may be a secret of another scheme.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Other(_) => "Other(..)",
            Self::Basic(_) => "Basic(..)",
        })
    }
}

/// Finds the Basic token among the headers.
///
/// Decodes and allocates nothing, because it runs for each request. Errors inside the token are left to
/// [`BasicToken::decode`]: a token that fails there never gets a session, so no session is ever found under it.
///
/// # Errors
///
/// Returns an error if there is more than one field, or if the length or the padding of a Basic token is wrong.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, MalformedCredentials> {
    match headers.get(AUTHORIZATION) {
        None => Ok(Presented::None),
        Some(_) if has_several(headers) => Err(MalformedReason::SeveralFields.into()),
        Some(field) => presented_by(field),
    }
}

/// The same as [`presented`], and marks the field as sensitive: a second search for it would cost each hit.
pub(crate) fn presented_and_marked(headers: &mut HeaderMap) -> Result<Presented<'_>, MalformedCredentials> {
    let has_several = has_several(headers);
    match headers.get_mut(AUTHORIZATION) {
        None => Ok(Presented::None),
        Some(_) if has_several => Err(MalformedReason::SeveralFields.into()),
        Some(field) => {
            field.set_sensitive(true);
            presented_by(field)
        }
    }
}

/// Whether there is more than one field: a proxy in front may have checked one, and this crate would check the other.
fn has_several(headers: &HeaderMap) -> bool {
    // Where each name has one field, as in nearly all requests, there is nothing to search for.
    headers.len() != headers.keys_len() && headers.get_all(AUTHORIZATION).iter().nth(1).is_some()
}

fn presented_by(field: &HeaderValue) -> Result<Presented<'_>, MalformedCredentials> {
    // RFC 9110 section 11.4: a case-insensitive scheme, then one or more spaces.
    let Some((scheme, mut token)) = from_scheme(field).split_first_chunk::<5>() else {
        return Ok(Presented::Other(field));
    };
    if !scheme.eq_ignore_ascii_case(b"basic") || token.first().is_some_and(|&byte| byte != b' ') {
        return Ok(Presented::Other(field));
    }
    while let [b' ', rest @ ..] = token {
        token = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = token {
        token = rest;
    }
    BasicToken::new(token).map(Presented::Basic)
}

/// A field's value without the white space in front, which is no part of it (RFC 9110 section 5.5). Servers of HTTP/1.1 trim
/// it, those of HTTP/2 don't. If it counted, a field with it would pass for one of another scheme, and a proxy behind the
/// layer would make the credentials of it that the layer was to verify or to strip.
pub(crate) fn from_scheme(field: &HeaderValue) -> &[u8] {
    let mut value = field.as_bytes();
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    value
}

/// A Basic token without its `=`. Each pair of identifier and password has exactly one such token that decodes to it.
#[derive(Clone, Copy)]
pub(crate) struct BasicToken<'h>(&'h [u8]);

impl<'h> BasicToken<'h> {
    fn new(padded: &'h [u8]) -> Result<Self, MalformedCredentials> {
        if padded.len() > MAX_TOKEN {
            return Err(MalformedReason::TooLong.into());
        }
        let token = match padded {
            [token @ .., b'=', b'='] | [token @ .., b'='] => token,
            token => token,
        };
        let is_padded = token.len() != padded.len();
        if token.last() == Some(&b'=') || (is_padded && !padded.len().is_multiple_of(4)) {
            return Err(MalformedReason::Padding.into());
        }
        if token.is_empty() {
            return Err(MalformedReason::NoToken.into());
        }
        Ok(Self(token))
    }

    /// The token in the header, without its `=`.
    pub(crate) fn as_bytes(&self) -> &'h [u8] {
        self.0
    }

    /// Decodes the token and checks its content.
    ///
    /// # Errors
    ///
    /// Returns an error if the token is not canonical base64, if its content is not UTF-8 (RFC 7617 section 2.1 leaves
    /// other charsets undefined) and `decoding` allows no other, or if it does not make [`Credentials`].
    pub(crate) fn decode(self, decoding: Decoding) -> Result<Credentials, MalformedCredentials> {
        let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(self.0.len())]);
        // The error of base64 is dropped, because it shows a byte of the token.
        let len = STANDARD_NO_PAD.decode_slice(self.0, &mut bytes).map_err(|_| MalformedReason::NotBase64)?;
        decoding.credentials(&bytes[..len])
    }
}

impl fmt::Debug for BasicToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicToken(..)")
    }
}

/// An identifier (an email address, a phone number or a user name) and its password.
///
/// The layer reads credentials from the `Authorization` header. Create them yourself to authenticate without a request,
/// with [`Clerk::authenticate`](crate::Clerk::authenticate). Identifier and password are wiped from memory on drop, and
/// `Debug` shows neither.
///
/// ```
/// use tower_clerk::Credentials;
///
/// let credentials = Credentials::new("ada@example.com", "correct:horse")?;
/// assert_eq!(credentials.identifier(), "ada@example.com");
/// assert_eq!(format!("{credentials:?}"), "Credentials { .. }");
/// # Ok::<(), tower_clerk::error::MalformedCredentials>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    /// `identifier:password`, as in a token.
    pair: Zeroizing<String>,
    colon: usize,
    /// How they were read, which is a part of their key (rule K1).
    decoding: Decoding,
}

impl Credentials {
    /// Creates credentials from an identifier and a password.
    ///
    /// The rules are those of an `Authorization` header, so that a direct caller and a request with the same
    /// credentials share one session.
    ///
    /// # Errors
    ///
    /// Returns an error if
    /// - the identifier or the password is empty,
    /// - either has a control character (C0, DEL, or C1: U+0080 to U+009F),
    /// - the identifier has a colon, or
    /// - both are together longer than 6,143 bytes, the most that a Basic token of 8 KiB can hold.
    ///
    /// ```
    /// use tower_clerk::Credentials;
    /// use tower_clerk::error::MalformedReason;
    ///
    /// let error = Credentials::new("ada@example.com", "").unwrap_err();
    /// assert_eq!(error.reason(), MalformedReason::EmptyPassword);
    /// ```
    pub fn new(
        identifier: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, MalformedCredentials> {
        let identifier = Zeroizing::new(identifier.into());
        let password = Zeroizing::new(password.into());
        Self::checked(&identifier, &password, Decoding::PLAIN)
    }

    fn checked(identifier: &str, password: &str, decoding: Decoding) -> Result<Self, MalformedCredentials> {
        if identifier.is_empty() {
            return Err(MalformedReason::EmptyIdentifier.into());
        }
        if password.is_empty() {
            return Err(MalformedReason::EmptyPassword.into());
        }
        // Form decoding can produce a colon. `a:b` with `c` would then be the same pair as `a` with `b:c`.
        if identifier.contains(':') {
            return Err(MalformedReason::ColonInIdentifier.into());
        }
        // RFC 7617 section 2 forbids control characters.
        if identifier.chars().chain(password.chars()).any(char::is_control) {
            return Err(MalformedReason::ControlCharacter.into());
        }
        let colon = identifier.len();
        let len = colon.saturating_add(1).saturating_add(password.len());
        if len > MAX_PAIR {
            return Err(MalformedReason::TooLong.into());
        }
        // Allocated at its full size, because a growing buffer leaves copies behind.
        let mut pair = Zeroizing::new(String::with_capacity(len));
        pair.push_str(identifier);
        pair.push(':');
        pair.push_str(password);
        Ok(Self { pair, colon, decoding })
    }

    /// The identifier as it was given, neither trimmed nor lower-cased.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.pair[..self.colon]
    }

    /// Only for the sign-in request.
    pub(crate) fn password(&self) -> &str {
        &self.pair[self.colon + 1..]
    }

    pub(crate) fn decoding(&self) -> Decoding {
        self.decoding
    }

    /// Returns the value of an `Authorization` field with these credentials (`Basic …`), for a client or a test.
    ///
    /// It is UTF-8 ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)), so a layer reads the same credentials from it.
    /// It is marked as [sensitive](HeaderValue::set_sensitive), and its bytes are wiped from memory with its last clone.
    ///
    /// ```
    /// use http::Request;
    /// use http::header::AUTHORIZATION;
    /// use tower_clerk::Credentials;
    ///
    /// let credentials = Credentials::new("Aladdin", "open sesame")?;
    /// let request = Request::get("/").header(AUTHORIZATION, credentials.to_header()).body(())?;
    /// assert_eq!(request.headers()[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// assert_eq!(format!("{:?}", request.headers()[AUTHORIZATION]), "Sensitive");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_header(&self) -> HeaderValue {
        const SCHEME: &[u8] = b"Basic ";
        // Three bytes become four. The size is exact, because a growing buffer leaves copies behind.
        let len = SCHEME.len() + self.pair.len().div_ceil(3) * 4;
        let mut field = Zeroizing::new(vec![0; len]);
        field[..SCHEME.len()].copy_from_slice(SCHEME);
        STANDARD.encode_slice(self.pair.as_bytes(), &mut field[SCHEME.len()..]).expect("the size is exact");
        let field = HeaderValue::from_maybe_shared(Bytes::from_owner(field));
        let mut field = field.expect("base64 is visible ASCII");
        field.set_sensitive(true);
        field
    }

    /// The token of a header with these credentials under [`Decoding::PLAIN`], without its `=`.
    pub(crate) fn token(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(STANDARD_NO_PAD.encode(self.pair.as_bytes()).into_bytes())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: Decoding = Decoding { form: true, ..Decoding::PLAIN };

    fn headers(fields: &[&[u8]]) -> HeaderMap {
        fields.iter().map(|field| (AUTHORIZATION, HeaderValue::from_bytes(field).unwrap())).collect()
    }

    fn token(field: &[u8]) -> Result<Option<Vec<u8>>, MalformedReason> {
        match presented(&headers(&[field])) {
            Ok(Presented::Basic(token)) => Ok(Some(token.as_bytes().to_vec())),
            Ok(Presented::Other(_)) => Ok(None),
            Ok(Presented::None) => panic!("there is a field"),
            Err(error) => Err(error.reason()),
        }
    }

    fn decoded(pair: &[u8], decoding: Decoding) -> Result<(String, String), MalformedReason> {
        let token = STANDARD_NO_PAD.encode(pair);
        let credentials = BasicToken::new(token.as_bytes()).unwrap().decode(decoding);
        credentials
            .map(|credentials| (credentials.identifier().to_owned(), credentials.password().to_owned()))
            .map_err(|error| error.reason())
    }

    fn accepted(identifier: &str, password: &str) -> Result<(String, String), MalformedReason> {
        Ok((identifier.to_owned(), password.to_owned()))
    }

    #[test]
    fn c1_no_field_is_no_credentials_and_two_are_malformed() {
        assert!(matches!(presented(&HeaderMap::new()), Ok(Presented::None)));
        for second in ["Basic YTpi", "Bearer x", ""] {
            let error = presented(&headers(&[b"Basic YTpi", second.as_bytes()])).unwrap_err();
            assert_eq!(error.reason(), MalformedReason::SeveralFields);
        }
        assert!(presented(&headers(&[b"Bearer x", b"Bearer x"])).is_err());
    }

    #[test]
    fn c1_scheme_in_any_case_then_spaces_then_token_then_white_space() {
        for field in
            ["Basic YTpi", "basic YTpi", "BASIC YTpi", "bAsIc    YTpi", "Basic YTpi \t ", "Basic YTpi\t"]
        {
            assert_eq!(token(field.as_bytes()), Ok(Some(b"YTpi".to_vec())), "{field:?}");
        }
        // A tab before the token is part of the token, which makes it invalid.
        let field = headers(&[b"Basic \tYTpi"]);
        let Ok(Presented::Basic(token)) = presented(&field) else { panic!("not Basic") };
        assert_eq!(token.decode(Decoding::PLAIN).unwrap_err().reason(), MalformedReason::NotBase64);
    }

    #[test]
    fn c1_white_space_in_front_of_the_scheme_is_ignored() {
        for field in [" Basic YTpi", "\tBasic YTpi", " \t Basic YTpi"] {
            assert_eq!(token(field.as_bytes()), Ok(Some(b"YTpi".to_vec())), "{field:?}");
        }
        assert_eq!(token(b" Basic"), Err(MalformedReason::NoToken));
        assert_eq!(token(b" Digest x"), Ok(None));
    }

    #[test]
    fn c1_basic_without_a_token_is_malformed() {
        for field in ["Basic", "basic", "Basic ", "Basic   ", "Basic \t"] {
            assert_eq!(token(field.as_bytes()), Err(MalformedReason::NoToken), "{field:?}");
        }
    }

    #[test]
    fn c1_a_token_may_have_8_kib_padding_included() {
        let longest = "YWFh".repeat(2048);
        assert_eq!(token(format!("Basic   {longest}  ").as_bytes()), Ok(Some(longest.clone().into_bytes())));
        assert_eq!(token(format!("Basic {longest}Y").as_bytes()), Err(MalformedReason::TooLong));
        assert_eq!(token(format!("Basic {longest}YQ==").as_bytes()), Err(MalformedReason::TooLong));
    }

    #[test]
    fn c1_padding_is_absent_or_makes_the_length_a_multiple_of_four() {
        for (field, expected) in
            [("YQ==", "YQ"), ("YQ", "YQ"), ("YWI=", "YWI"), ("YWI", "YWI"), ("YWJj", "YWJj")]
        {
            let field = format!("Basic {field}");
            assert_eq!(token(field.as_bytes()), Ok(Some(expected.as_bytes().to_vec())), "{field}");
        }
        for field in
            ["YQ=", "YWI==", "YWJj=", "YWJj==", "Y===", "YWJjY===", "YWJj====", "=", "==", "===", "===="]
        {
            let field = format!("Basic {field}");
            assert_eq!(token(field.as_bytes()), Err(MalformedReason::Padding), "{field}");
        }
    }

    #[test]
    fn c1_an_equals_sign_inside_is_malformed() {
        let token = BasicToken::new(b"Y=Jj").unwrap();
        assert_eq!(token.decode(Decoding::PLAIN).unwrap_err().reason(), MalformedReason::NotBase64);
    }

    #[test]
    fn c2_only_canonical_base64_of_the_standard_alphabet_is_decoded() {
        // Stray bits at the end, the URL-safe alphabet, an impossible length, white space, a comma.
        for token in ["YTpiYx", "YTpiY2N", "YTp_", "YTp-", "YTpiY", "YT pi", "YTpi,YTpi", "YTpé"] {
            let error = BasicToken::new(token.as_bytes()).unwrap().decode(Decoding::PLAIN).unwrap_err();
            assert_eq!(error.reason(), MalformedReason::NotBase64, "{token}");
        }
    }

    #[test]
    fn c2_credentials_that_are_not_utf_8_are_refused() {
        for decoding in [Decoding::PLAIN, FORM] {
            assert_eq!(decoded(b"ad\xE4:secret", decoding), Err(MalformedReason::NotUtf8));
        }
        assert_eq!(decoded(b"ada:s%E4cret", FORM), Err(MalformedReason::NotUtf8));
        assert_eq!(
            decoded("ad\u{e4}:s\u{20ac}".as_bytes(), Decoding::PLAIN),
            accepted("ad\u{e4}", "s\u{20ac}")
        );
    }

    #[test]
    fn c2_control_characters_are_refused() {
        for control in ["\0", "\n", "\t", "\u{1f}", "\u{7f}", "\u{80}", "\u{9f}"] {
            for pair in [format!("a{control}da:secret"), format!("ada:secret{control}")] {
                for decoding in [Decoding::PLAIN, FORM] {
                    assert_eq!(decoded(pair.as_bytes(), decoding), Err(MalformedReason::ControlCharacter));
                }
            }
        }
        assert_eq!(decoded(b"ada:secret%0A", FORM), Err(MalformedReason::ControlCharacter));
        assert_eq!(decoded("ada:\u{a0}".as_bytes(), Decoding::PLAIN), accepted("ada", "\u{a0}"));
    }

    #[test]
    fn c3_the_first_colon_splits_and_neither_part_is_empty() {
        assert_eq!(decoded(b"ada:a:b:", Decoding::PLAIN), accepted("ada", "a:b:"));
        assert_eq!(decoded(b"ada::", Decoding::PLAIN), accepted("ada", ":"));
        for (pair, reason) in [
            ("ada", MalformedReason::NoColon),
            (":secret", MalformedReason::EmptyIdentifier),
            (":", MalformedReason::EmptyIdentifier),
            ("ada:", MalformedReason::EmptyPassword),
        ] {
            for decoding in [Decoding::PLAIN, FORM] {
                assert_eq!(decoded(pair.as_bytes(), decoding), Err(reason), "{pair:?}");
            }
        }
    }

    #[test]
    fn c4_nothing_is_form_decoded_unless_asked_for() {
        let pair = b"user+tag@x.io:p%20w+";
        assert_eq!(decoded(pair, Decoding::PLAIN), accepted("user+tag@x.io", "p%20w+"));
        assert_eq!(decoded(b"user%2Btag%40x.io:p%20w+", FORM), accepted("user+tag@x.io", "p w "));
        assert_eq!(decoded(b"ada:%c3%A4", FORM), accepted("ada", "\u{e4}"));
        assert_eq!(decoded(b"ada:a%3Ab:c", FORM), accepted("ada", "a:b:c"));
    }

    #[test]
    fn c4_broken_sequences_and_an_encoded_colon_in_the_identifier_are_malformed() {
        for pair in ["ada:%", "ada:%4", "ada:%4g", "ada:%g4", "a%:b", "ada:%%41", "ada:%+1"] {
            assert_eq!(decoded(pair.as_bytes(), FORM), Err(MalformedReason::FormEncoding), "{pair}");
        }
        assert_eq!(decoded(b"a%3Ab:c", FORM), Err(MalformedReason::ColonInIdentifier));
    }

    #[test]
    fn c5_another_scheme_is_not_basic_whatever_its_size() {
        let large = format!("Bearer {}", "x".repeat(64 * 1024));
        for field in
            ["", "B", "Bearer x", "Digest a=b, c=d", "Basically x", "Basic,x y", "Basic\tYTpi", &large]
        {
            assert_eq!(token(field.as_bytes()), Ok(None), "{field:.20}");
        }
    }

    #[test]
    fn c6_debug_shows_no_secret() {
        let field = headers(&[b"Basic YWRhOnMzY3IzdA=="]);
        let token = presented(&field).unwrap();
        let Presented::Basic(basic) = token else { panic!("not Basic") };
        let shown = format!("{token:?} {basic:?} {:?}", basic.decode(Decoding::PLAIN).unwrap());
        assert!(!shown.contains("ada") && !shown.contains("s3cr3t") && !shown.contains("YWRh"), "{shown}");
    }

    #[test]
    fn direct_credentials_follow_the_rules_of_a_header() {
        for (identifier, password, reason) in [
            ("", "secret", MalformedReason::EmptyIdentifier),
            ("ada", "", MalformedReason::EmptyPassword),
            ("a:b", "secret", MalformedReason::ColonInIdentifier),
            ("ada", "sec\nret", MalformedReason::ControlCharacter),
            ("a\u{85}da", "secret", MalformedReason::ControlCharacter),
        ] {
            assert_eq!(Credentials::new(identifier, password).unwrap_err().reason(), reason);
        }
        let longest = "x".repeat(MAX_PAIR - 4);
        assert_eq!(Credentials::new("ada", longest.as_str()).unwrap().token().len(), MAX_TOKEN);
        let error = Credentials::new("ada", longest + "x").unwrap_err();
        assert_eq!(error.reason(), MalformedReason::TooLong);
    }

    proptest! {
        #[test]
        fn credentials_survive_the_way_through_a_header(
            identifier in "[^:\\p{Cc}]{1,40}",
            password in "[^\\p{Cc}]{1,80}",
        ) {
            let field = Credentials::new(identifier.as_str(), password.as_str()).unwrap().to_header();
            prop_assert!(field.is_sensitive());
            let headers = HeaderMap::from_iter([(AUTHORIZATION, field)]);
            let Ok(Presented::Basic(token)) = presented(&headers) else { panic!("not Basic") };
            let read = token.decode(Decoding::PLAIN).unwrap();
            prop_assert_eq!((read.identifier(), read.password()), (&*identifier, &*password));
            prop_assert_eq!(&read.token()[..], token.as_bytes());
        }

        #[test]
        fn encoded_credentials_are_decoded_unchanged(
            identifier in "[^:\\p{Cc}]{1,40}",
            password in "[^\\p{Cc}]{1,80}",
        ) {
            let pair = format!("{identifier}:{password}");
            prop_assert_eq!(decoded(pair.as_bytes(), Decoding::PLAIN), accepted(&identifier, &password));
            let form: String = [&identifier, &password]
                .map(|part| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>())
                .join(":");
            prop_assert_eq!(decoded(form.as_bytes(), FORM), accepted(&identifier, &password));
        }

        #[test]
        fn c2_all_spellings_of_a_credential_make_one_token(
            pair in "[a-z]{1,9}:[ -~]{1,20}",
            upper in prop::array::uniform5(any::<bool>()),
            spaces in 1usize..6,
            padded in any::<bool>(),
            tail in "[ \t]{0,4}",
        ) {
            let mut scheme = *b"basic";
            for (byte, upper) in scheme.iter_mut().zip(upper) {
                if upper { byte.make_ascii_uppercase() }
            }
            let encoded = if padded { STANDARD.encode(&pair) } else { STANDARD_NO_PAD.encode(&pair) };
            let field = [&scheme[..], &b" ".repeat(spaces), encoded.as_bytes(), tail.as_bytes()].concat();
            let (identifier, password) = pair.split_once(':').unwrap();
            let direct = Credentials::new(identifier, password).unwrap().token();
            prop_assert_eq!(token(&field), Ok(Some(direct.to_vec())));
        }

        #[test]
        fn arbitrary_fields_never_panic(tail in prop::collection::vec(any::<u8>(), 0..64), basic in any::<bool>()) {
            let field = if basic { [b"Basic ", &tail[..]].concat() } else { tail.clone() };
            if let Ok(value) = HeaderValue::from_bytes(&field) {
                let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
                if let Ok(Presented::Basic(token)) = presented(&headers) {
                    for decoding in Decoding::ALL {
                        let _ = token.decode(decoding);
                    }
                }
            }
            let _ = decoded(&[b"a", &tail[..]].concat(), FORM);
        }

        #[test]
        fn c2_an_accepted_token_is_the_only_one_of_its_credentials(
            token in prop_oneof![
                "[A-Za-z0-9+/=]{1,16}",
                "[a-z:]{2,9}:?[ -~]{0,9}".prop_map(|s| STANDARD_NO_PAD.encode(s)),
            ],
        ) {
            if let Ok(token) = BasicToken::new(token.as_bytes())
                && let Ok(credentials) = token.decode(Decoding::PLAIN)
            {
                prop_assert_eq!(&credentials.token()[..], token.as_bytes());
            }
        }
    }
}
