//! The ways from the bytes inside a Basic token to the text of an identifier and a password (rules C2, C4).

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use zeroize::Zeroizing;

use super::{Credentials, MalformedCredentials, MalformedReason};

/// How much longer UTF-8 text can become when it is composed: <https://www.unicode.org/faq/normalization.html#12>.
const NFC_GROWTH: usize = 3;

/// The encoding of identifier and password inside a Basic token. All combinations are legal, and each is a part of the
/// key (rule K1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoding {
    /// Form-encoded, as OAuth requires it at token endpoints (RFC 6749 section 2.3.1). Otherwise verbatim: the plus in
    /// `user+tag@x.io` is a plus (RFC 7617).
    pub(crate) form: bool,
    /// Bytes that are not UTF-8 are ISO-8859-1. Otherwise they are malformed.
    pub(crate) latin1: bool,
    /// Decomposed characters are composed (NFC). Otherwise they stay as they are.
    pub(crate) nfc: bool,
}

impl Decoding {
    /// UTF-8, verbatim: the encoding of a layer without opt-ins, and of [`Credentials::new`].
    pub(crate) const PLAIN: Self = Self { form: false, latin1: false, nfc: false };

    /// The number of combinations.
    pub(crate) const COUNT: usize = 8;

    /// All combinations, each at its [`index`](Self::index).
    #[cfg(any(test, fuzzing))]
    pub(crate) const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::PLAIN; Self::COUNT];
        let mut at = 0;
        while at < Self::COUNT {
            all[at] = Self { form: at & 1 != 0, latin1: at & 2 != 0, nfc: at & 4 != 0 };
            at += 1;
        }
        all
    };

    /// The place of this combination in a table of all of them.
    pub(crate) fn index(self) -> usize {
        usize::from(self.form) | usize::from(self.latin1) << 1 | usize::from(self.nfc) << 2
    }

    /// Decodes `identifier:password`, and checks both.
    pub(super) fn credentials(self, pair: &[u8]) -> Result<Credentials, MalformedCredentials> {
        // Before anything else, so that a wrong charset is not reported as what it happens to look like.
        if !self.latin1 && str::from_utf8(pair).is_err() {
            return Err(MalformedReason::NotUtf8.into());
        }
        // RFC 7617 section 2: the identifier has no colon; the password may have colons. A colon is the same byte in
        // both charsets.
        let colon = pair.iter().position(|&byte| byte == b':').ok_or(MalformedReason::NoColon)?;
        let (identifier, password) = (&pair[..colon], &pair[colon + 1..]);
        if self.form {
            self.text(&form_decoded(identifier)?, &form_decoded(password)?)
        } else {
            self.text(identifier, password)
        }
    }

    /// Reads both parts in one charset, since a client has only one.
    pub(crate) fn text(
        self,
        identifier: &[u8],
        password: &[u8],
    ) -> Result<Credentials, MalformedCredentials> {
        match (str::from_utf8(identifier), str::from_utf8(password)) {
            (Ok(identifier), Ok(password)) => self.composed(identifier, password),
            _ if self.latin1 => self.composed(&from_latin1(identifier), &from_latin1(password)),
            _ => Err(MalformedReason::NotUtf8.into()),
        }
    }

    fn composed(self, identifier: &str, password: &str) -> Result<Credentials, MalformedCredentials> {
        if self.nfc && !(identifier.is_ascii() && password.is_ascii()) {
            Credentials::checked(&to_nfc(identifier)?, &to_nfc(password)?, self)
        } else {
            Credentials::checked(identifier, password, self)
        }
    }
}

/// Decodes `application/x-www-form-urlencoded`.
///
/// Written by hand, because `form_urlencoded` passes broken sequences through and replaces invalid UTF-8: two tokens
/// would become one credential.
pub(crate) fn form_decoded(part: &[u8]) -> Result<Zeroizing<Vec<u8>>, MalformedCredentials> {
    // The result is never longer than the part, so the buffer never moves and leaves no copy behind.
    let mut decoded = Zeroizing::new(Vec::with_capacity(part.len()));
    let mut rest = part;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let [high, low, tail @ ..] = tail else {
                    return Err(MalformedReason::FormEncoding.into());
                };
                rest = tail;
                hex(*high)? << 4 | hex(*low)?
            }
            other => *other,
        });
    }
    Ok(decoded)
}

fn hex(digit: u8) -> Result<u8, MalformedCredentials> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(MalformedReason::FormEncoding.into()),
    }
}

/// Each byte of ISO-8859-1 is the character of the same number, at most two bytes long in UTF-8.
fn from_latin1(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    text.extend(bytes.iter().map(|&byte| char::from(byte)));
    text
}

fn to_nfc(text: &str) -> Result<Zeroizing<String>, MalformedCredentials> {
    let mut composed = Zeroizing::new(String::with_capacity(NFC_GROWTH * text.len()));
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    nfc.normalize_to(text, &mut WithoutGrowth(&mut composed)).map_err(|_| MalformedReason::TooLong)?;
    Ok(composed)
}

/// Writes into the room that a string has. A string that grows would leave a copy of its content behind.
struct WithoutGrowth<'a>(&'a mut String);

impl fmt::Write for WithoutGrowth<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() > self.0.capacity() - self.0.len() {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(pair: &[u8], decoding: Decoding) -> Result<(String, String), MalformedReason> {
        let credentials = decoding.credentials(pair).map_err(|error| error.reason())?;
        Ok((credentials.identifier().to_owned(), credentials.password().to_owned()))
    }

    fn accepted(identifier: &str, password: &str) -> Result<(String, String), MalformedReason> {
        Ok((identifier.to_owned(), password.to_owned()))
    }

    fn with(form: bool, latin1: bool, nfc: bool) -> Decoding {
        Decoding { form, latin1, nfc }
    }

    const NFC: &str = "p\u{e4}ssw\u{f6}rd";
    const NFD: &str = "pa\u{308}sswo\u{308}rd";
    const LATIN1: &[u8] = b"p\xe4ssw\xf6rd";

    #[test]
    fn k1_each_combination_has_an_index_of_its_own() {
        for (at, decoding) in Decoding::ALL.into_iter().enumerate() {
            assert_eq!(decoding.index(), at);
        }
        assert_eq!(Decoding::PLAIN.index(), 0);
    }

    #[test]
    fn c2_latin1_is_decoded_only_as_a_fallback_and_only_where_asked_for() {
        let pair = [b"jane:", LATIN1].concat();
        for decoding in Decoding::ALL {
            let expected =
                if decoding.latin1 { accepted("jane", NFC) } else { Err(MalformedReason::NotUtf8) };
            assert_eq!(decoded(&pair, decoding), expected, "{decoding:?}");
            // The two bytes of the letter could be read as two letters of ISO-8859-1.
            assert_eq!(decoded(format!("jane:{NFC}").as_bytes(), decoding), accepted("jane", NFC));
        }
        // One charset for both: a UTF-8 letter beside a Latin-1 letter makes both parts Latin-1.
        let both = [b"j\xc3\xa4ne:", LATIN1].concat();
        assert_eq!(decoded(&both, with(false, true, false)), accepted("j\u{c3}\u{a4}ne", NFC));
    }

    #[test]
    fn c2_c1_control_characters_of_latin1_are_refused() {
        for byte in 0x80..=0xff {
            // 0x80 is the euro sign of Windows-1252.
            let refused = byte < 0xa0;
            for pair in [[b"jane:x", &[byte][..]].concat(), [&[byte][..], b":secret"].concat()] {
                let result = decoded(&pair, with(false, true, false));
                assert_eq!(result == Err(MalformedReason::ControlCharacter), refused, "{byte:x}");
                assert_eq!(result.is_ok(), !refused, "{byte:x}");
            }
        }
    }

    #[test]
    fn c2_decomposed_characters_are_composed_only_where_asked_for() {
        let pair = format!("ja\u{308}ne:{NFD}");
        for decoding in Decoding::ALL {
            let expected = if decoding.nfc { ("j\u{e4}ne", NFC) } else { ("ja\u{308}ne", NFD) };
            assert_eq!(decoded(pair.as_bytes(), decoding), accepted(expected.0, expected.1), "{decoding:?}");
        }
        // A combining character after the colon belongs to the password, and compatibility characters stay.
        let nfc = with(false, false, true);
        assert_eq!(decoded("a:\u{308}x".as_bytes(), nfc), accepted("a", "\u{308}x"));
        assert_eq!(decoded("a:\u{fb01}x".as_bytes(), nfc), accepted("a", "\u{fb01}x"));
    }

    #[test]
    fn c4_form_encoding_comes_off_before_the_charset_and_the_composition() {
        let all = with(true, true, true);
        assert_eq!(decoded(b"j%E4ne:p%E4ssw%F6rd+%2B", all), accepted("j\u{e4}ne", &format!("{NFC} +")));
        assert_eq!(decoded(b"jane:pa%CC%88sswo%CC%88rd", all), accepted("jane", NFC));
        assert_eq!(decoded(b"jane:\xe4%3A%25", all), accepted("jane", "\u{e4}:%"));
        assert_eq!(decoded(b"jane:p%E4ss", with(true, false, true)), Err(MalformedReason::NotUtf8));
        assert_eq!(decoded(b"jane:%80", all), Err(MalformedReason::ControlCharacter));
        assert_eq!(decoded(b"j%3Aane:\xe4", all), Err(MalformedReason::ColonInIdentifier));
        assert_eq!(decoded(b"jane:\xe4%8", all), Err(MalformedReason::FormEncoding));
    }

    #[test]
    fn c2_text_that_is_too_long_once_it_is_decoded_is_malformed() {
        let longest = crate::credentials::MAX_PAIR;
        for (password, length) in [(vec![0xe4; longest / 2 - 2], longest / 2), (vec![0xe4; longest], longest)]
        {
            let result = decoded(&[b"a:", &password[..]].concat(), with(false, true, false));
            assert_eq!(result.is_ok(), length < longest, "{length}");
        }
        // U+1D160 becomes three characters of four bytes each, the most that NFC makes of anything.
        let growing = "\u{1d160}".repeat(longest / 8);
        let result = decoded(format!("a:{growing}").as_bytes(), with(false, false, true));
        assert_eq!(result, Err(MalformedReason::TooLong));
        assert_eq!(to_nfc(&growing).unwrap().len(), 3 * growing.len());
    }

    proptest! {
        #[test]
        fn c6_no_buffer_grows_when_text_is_decoded(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let latin1 = from_latin1(&bytes);
            prop_assert_eq!(latin1.capacity(), 2 * bytes.len());
            prop_assert_eq!(latin1.chars().count(), bytes.len());
            let composed = to_nfc(&text).unwrap();
            prop_assert_eq!(composed.capacity(), 3 * text.len());
            prop_assert_eq!(&*to_nfc(&composed).unwrap(), &*composed);
        }

        #[test]
        fn arbitrary_bytes_never_panic(pair in any::<Vec<u8>>(), at in 0..Decoding::COUNT) {
            let pair = [b"a:", &pair[..]].concat();
            let _ = Decoding::ALL[at].credentials(&pair);
        }
    }
}
