//! The `Authorization` field (rules C1 to C3).

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::credentials::{BearerToken, Decoding, Presented, presented};

/// The value of an `Authorization` field.
pub fn header(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value.clone())]);
    _ = BearerToken::of(&value);
    let Ok(Presented::Basic(token)) = presented(&headers) else { return };
    for decoding in Decoding::ALL {
        let Ok(credentials) = token.decode(decoding) else { continue };
        assert!(!credentials.identifier().is_empty() && !credentials.identifier().contains(':'));
        assert!(
            !format!("{credentials:?}").contains(credentials.identifier())
                || credentials.identifier().len() < 16
        );
        if decoding == Decoding::PLAIN {
            // Each credential has one token, so that the cache may be keyed on the token.
            assert_eq!(&**credentials.token(), token.as_bytes());
            let again = HeaderMap::from_iter([(AUTHORIZATION, credentials.to_header())]);
            let Ok(Presented::Basic(again)) = presented(&again) else { panic!("a field of Basic") };
            assert_eq!(again.as_bytes(), token.as_bytes());
        }
    }
}
