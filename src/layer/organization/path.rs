//! Path patterns that name an organization, such as `/orgs/{org}/{*rest}`.

use std::collections::HashSet;

/// A pattern for a whole path. Literals are compared with the path as it was sent.
#[derive(Debug)]
pub(super) struct PathPattern {
    segments: Box<[Segment]>,
    /// The pattern ends in `{*rest}`.
    has_rest: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// `{name}`: one segment that is not empty.
    Parameter,
    /// `{org}`.
    Organization,
}

impl PathPattern {
    /// # Errors
    ///
    /// Returns what is wrong with the pattern.
    pub(super) fn parse(pattern: &str) -> Result<Self, &'static str> {
        let Some(rest) = pattern.strip_prefix('/') else { return Err("it must begin with a slash") };
        if !pattern.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#')) {
            return Err("it must be visible ASCII without ? and #, percent-encoded where necessary");
        }
        if !is_plain(pattern) {
            return Err("it has a dot segment or a backslash, so it would match no path");
        }
        let texts: Vec<&str> = rest.split('/').collect();
        let (mut segments, mut names, mut has_rest) = (Vec::new(), HashSet::new(), false);
        for (at, text) in texts.iter().enumerate() {
            let is_last = at + 1 == texts.len();
            let Some(name) = parameter(text)? else {
                if text.is_empty() && !is_last {
                    return Err("it has an empty segment: two slashes in a row");
                }
                segments.push(Segment::Literal((*text).into()));
                continue;
            };
            let (name, is_rest) = name.strip_prefix('*').map_or((name, false), |name| (name, true));
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_of_name) {
                return Err("the name of a parameter must be letters, digits and underscores");
            }
            if !names.insert(name) {
                return Err("two parameters have one name");
            }
            match (is_rest, name) {
                (true, "org") => return Err("{*org} can't be an organization, since it may hold slashes"),
                (true, _) if !is_last => return Err("{*…} is only possible at the end"),
                (true, _) => has_rest = true,
                (false, "org") => segments.push(Segment::Organization),
                (false, _) => segments.push(Segment::Parameter),
            }
        }
        if !segments.contains(&Segment::Organization) {
            return Err("it needs a segment {org}, which is the organization");
        }
        Ok(Self { segments: segments.into(), has_rest })
    }

    /// The percent-decoded `{org}` of a path, if the whole path matches.
    pub(super) fn organization(&self, path: &str) -> Option<String> {
        if !is_plain(path) {
            return None;
        }
        let mut left = Some(path.strip_prefix('/')?);
        let mut organization = None;
        for segment in &self.segments {
            let (text, after) = match left?.split_once('/') {
                Some((text, after)) => (text, Some(after)),
                None => (left?, None),
            };
            left = after;
            match segment {
                Segment::Literal(literal) if **literal == *text => {}
                Segment::Parameter if !text.is_empty() => {
                    // A server further in that decodes its slash would count the segments after it differently.
                    if organization.is_none() && percent_decoded(text).0.contains(&b'/') {
                        return None;
                    }
                }
                Segment::Organization if !text.is_empty() => organization = Some(text),
                _ => return None,
            }
        }
        let is_whole = match left {
            Some(rest) => self.has_rest && !rest.is_empty(),
            None => !self.has_rest,
        };
        let (name, is_valid) = percent_decoded(organization.filter(|_| is_whole)?);
        // A slash that was encoded would make two segments of one further in.
        String::from_utf8(name).ok().filter(|name| is_valid && !name.contains('/'))
    }
}

/// The inside of a segment in braces, or `None` for a literal.
fn parameter(segment: &str) -> Result<Option<&str>, &'static str> {
    let inside = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    match inside {
        Some(name) if !name.contains(['{', '}']) => Ok(Some(name)),
        None if !segment.contains(['{', '}']) => Ok(None),
        _ => Err("braces must enclose a whole segment"),
    }
}

/// Whether a path means the same to each server that it passes: it has no dot segment and no backslash, in plain or
/// percent-encoded.
///
/// A proxy or a framework further in may resolve a dot segment, take a backslash for a slash, or decode `%2F`, and so
/// serve another organization than the one that this crate has read. Some also ignore `;` and the text after it in a
/// segment (RFC 3986 section 3.3), and then resolve `..;`.
fn is_plain(path: &str) -> bool {
    if !path.contains(['.', '%', '\\']) {
        return true;
    }
    let (decoded, _) = percent_decoded(path);
    let is_dots = |segment: &[u8]| {
        let end = segment.iter().position(|&byte| byte == b';').unwrap_or(segment.len());
        matches!(&segment[..end], b"." | b"..")
    };
    !decoded.contains(&b'\\') && !decoded.split(|&byte| byte == b'/').any(is_dots)
}

/// Decodes percent-encoding once, and returns whether all escapes are valid. An invalid one is left as it is.
fn percent_decoded(text: &str) -> (Vec<u8>, bool) {
    let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (mut decoded, mut is_valid) = (Vec::with_capacity(text.len()), true);
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let escaped = match tail {
            [high, low, ..] if *byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                is_valid &= *byte != b'%';
                decoded.push(*byte);
            }
        }
    }
    (decoded, is_valid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn organization(pattern: &str, path: &str) -> Option<String> {
        PathPattern::parse(pattern).unwrap().organization(path)
    }

    #[test]
    fn a8_a_path_pattern_matches_the_whole_path() {
        for (pattern, path, expected) in [
            ("/orgs/{org}", "/orgs/acme", Some("acme")),
            ("/orgs/{org}", "/orgs/acme/", None),
            ("/orgs/{org}", "/orgs/", None),
            ("/orgs/{org}", "/orgs", None),
            ("/orgs/{org}", "/v1/orgs/acme", None),
            ("/orgs/{org}", "/orgs/acme/me", None),
            ("/orgs/{org}", "//orgs/acme", None),
            ("/orgs/{org}", "/orgs//acme", None),
            ("/orgs/{org}", "/Orgs/acme", None),
            ("/orgs/{org}", "/%6Frgs/acme", None),
            ("/orgs/{org}", "orgs/acme", None),
            ("/orgs/{org}", "", None),
            ("/orgs/{org}", "*", None),
            ("/orgs/{org}/", "/orgs/acme/", Some("acme")),
            ("/orgs/{org}/", "/orgs/acme", None),
            ("/orgs/{org}/", "/orgs/acme//", None),
            ("/{org}", "/acme", Some("acme")),
            ("/{org}", "/", None),
            ("/{region}/{org}/me", "/eu/acme/me", Some("acme")),
            ("/{region}/{org}/me", "//acme/me", None),
            ("/orgs/{org}/{*rest}", "/orgs/acme/a/b", Some("acme")),
            ("/orgs/{org}/{*rest}", "/orgs/acme//", Some("acme")),
            ("/orgs/{org}/{*rest}", "/orgs/acme/", None),
            ("/orgs/{org}/{*rest}", "/orgs/acme", None),
            ("/a%20b/{org}", "/a%20b/acme", Some("acme")),
            ("/a%20b/{org}", "/a b/acme", None),
            // A server further in may decode the slash, and find the organization in another place.
            ("/{region}/{org}/{*rest}", "/eu%2Facme/globex/me", None),
            ("/{region}/{org}/{*rest}", "/eu%2facme/globex/me", None),
            ("/{region}/{org}/{*rest}", "/eu/acme/a%2Fb", Some("acme")),
            ("/{org}/{project}/me", "/acme/a%2Fb/me", Some("acme")),
        ] {
            assert_eq!(organization(pattern, path).as_deref(), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a8_the_organization_of_a_path_is_decoded_exactly_once() {
        for (path, expected) in [
            ("/orgs/%61cme", Some("acme")),
            ("/orgs/%2561cme", Some("%61cme")),
            ("/orgs/a%2Fb", None),
            ("/orgs/a%2fb", None),
            ("/orgs/%", None),
            ("/orgs/a%4", None),
            ("/orgs/a%g1", None),
            ("/orgs/%+1acme", None),
            ("/orgs/%ff", None),
            ("/orgs/%c3%a4", Some("\u{e4}")),
            ("/orgs/acme%00", Some("acme\0")),
            ("/orgs/a+b", Some("a+b")),
        ] {
            assert_eq!(organization("/orgs/{org}", path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a8_a_path_that_servers_read_differently_matches_no_pattern() {
        for rest in [
            "..",
            ".",
            "../globex",
            "a/../b",
            "a/./b",
            "a/..",
            "%2e%2e/b",
            "%2E./b",
            ".%2e",
            "%2e",
            "..%2fglobex",
            "a%2F..%2Fb",
            "..;/b",
            "..;x=1/b",
            ".;a",
            "%2e%2e%3b/b",
            "a\\b",
            "a%5cb",
            "a%5Cb",
            "..\\b",
            "..%5cb",
        ] {
            let path = format!("/orgs/acme/{rest}");
            assert_eq!(organization("/orgs/{org}/{*rest}", &path), None, "{path}");
        }
        for org in ["..", ".", "%2e%2e", "..;", "a%5cb"] {
            assert_eq!(organization("/orgs/{org}", &format!("/orgs/{org}")), None, "{org}");
        }
        for rest in ["...", ".git", "a.b", "..a", "a%2Fb", "100%", "a;b", "%252e%252e/b"] {
            let path = format!("/orgs/acme/{rest}");
            assert_eq!(organization("/orgs/{org}/{*rest}", &path).as_deref(), Some("acme"), "{path}");
        }
    }

    #[test]
    fn a8_a_malformed_pattern_is_an_error_that_says_why() {
        for (pattern, problem) in [
            ("", "slash"),
            ("orgs/{org}", "slash"),
            ("/orgs", "{org}"),
            ("/orgs/{name}", "{org}"),
            ("/orgs/{*rest}", "{org}"),
            ("/orgs/{org", "braces"),
            ("/orgs/x{org}", "braces"),
            ("/orgs/{org}x", "braces"),
            ("/orgs/{{org}}", "braces"),
            ("/orgs/{a}{org}", "braces"),
            ("/orgs/}{", "braces"),
            ("/{}/{org}", "name"),
            ("/{*}/{org}", "name"),
            ("/{org}/{*a b}", "visible ASCII"),
            ("/{org}/{a-b}", "name"),
            ("/{org}/{org}", "one name"),
            ("/{a}/{a}/{org}", "one name"),
            ("/{*org}", "{*org}"),
            ("/{*rest}/{org}", "at the end"),
            ("/{org}/{*rest}/", "at the end"),
            ("//{org}", "two slashes"),
            ("/{org}//", "two slashes"),
            ("/../{org}", "dot segment"),
            ("/%2e/{org}", "dot segment"),
            ("/a\\b/{org}", "backslash"),
            ("/orgs/{org}?x", "visible ASCII"),
            ("/orgs/{org}#x", "visible ASCII"),
            ("/\u{e4}/{org}", "visible ASCII"),
        ] {
            let error = PathPattern::parse(pattern).unwrap_err();
            assert!(error.contains(problem), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a8_arbitrary_patterns_and_paths_never_panic(pattern in any::<String>(), path in any::<String>()) {
            if let Ok(pattern) = PathPattern::parse(&pattern) {
                let _ = pattern.organization(&path);
            }
            let _ = organization("/orgs/{org}/{*rest}", &path);
        }

        #[test]
        fn a8_a_matched_organization_is_one_segment_of_the_path(
            path in "(/(orgs|acme|\\.|\\.\\.|%2[eEfF]|%5[cC]|%61|%|;|[a-z]|\\\\){0,3}){0,5}",
        ) {
            for pattern in ["/{org}", "/orgs/{org}", "/orgs/{org}/", "/orgs/{org}/{*rest}", "/{a}/{org}/{b}"] {
                let Some(org) = organization(pattern, &path) else { continue };
                prop_assert!(!org.is_empty() && !org.contains(['/', '\\']) && org != "." && org != "..");
                let at = pattern.split('/').position(|segment| segment == "{org}").unwrap();
                let (decoded, is_valid) = percent_decoded(path.split('/').nth(at).unwrap());
                prop_assert!(is_valid && decoded == org.as_bytes());
                if pattern.starts_with("/orgs/") {
                    prop_assert!(path.starts_with("/orgs/"));
                }
                if !pattern.ends_with("{*rest}") {
                    prop_assert_eq!(path.matches('/').count(), pattern.matches('/').count());
                }
            }
        }

        #[test]
        fn a8_an_encoded_name_is_found_again(name in "[a-z0-9_-]{1,20}", encode in any::<u32>()) {
            let encoded: String = name.bytes().enumerate().map(|(at, byte)| match encode >> (at % 32) & 1 {
                0 => char::from(byte).to_string(),
                _ => format!("%{byte:02x}"),
            }).collect();
            prop_assert_eq!(organization("/orgs/{org}/me", &format!("/orgs/{encoded}/me")), Some(name));
        }
    }
}
