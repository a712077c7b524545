//! How a layer decodes credentials (rules C2, C4).

use super::layer::ClerkBasicAuthLayer;

impl<R> ClerkBasicAuthLayer<R> {
    /// Decodes identifier and password from `application/x-www-form-urlencoded`, for an OAuth token endpoint.
    ///
    /// [RFC 6749, section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) has OAuth clients encode them
    /// that way inside the Basic token. Don't use it for other routes: all other clients send `%` and `+` as plain
    /// characters of a password.
    pub fn form_encoded_credentials(self) -> Self {
        self.with(|policy| policy.decoding.form = true)
    }

    /// Decodes credentials that are not UTF-8 as ISO-8859-1 (Latin-1): off by default.
    ///
    /// [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617#section-2.1) has clients send UTF-8, as the challenge asks for,
    /// and some don't: Python's `requests` encodes a `str` as Latin-1, so that the `ä` of `pässwörd` is one byte. Such
    /// credentials are answered 401 [`CredentialsMalformed`](crate::RejectionKind::CredentialsMalformed) without this
    /// setting, and the log names the setting. With it, a client of either charset signs in with the same password. Without
    /// letters beyond ASCII, the two don't differ.
    ///
    /// - Credentials that are valid UTF-8 stay UTF-8. In Latin-1, the same bytes would be a sequence such as `Ã¤`, which
    ///   few passwords have.
    /// - The bytes 0x80 to 0x9F are control characters in Latin-1, and refused like all others. Windows-1252 has
    ///   printable characters there, such as `€`; a client that uses it can't send them.
    /// - The setting is part of a credential's cache key, and so is each way of encoding a credential: they share no
    ///   session in the cache, and each costs a sign-in of its own.
    ///
    /// `pässwörd` with decomposed letters is UTF-8, so this setting doesn't concern it: see
    /// [`normalize_nfc`](Self::normalize_nfc). With [`form_encoded_credentials`](Self::form_encoded_credentials), percent
    /// signs are decoded first.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// let layer = ClerkBasicAuthLayer::new(clerk).latin1_fallback().normalize_nfc();
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn latin1_fallback(self) -> Self {
        self.with(|policy| policy.decoding.latin1 = true)
    }

    /// Composes decomposed characters of identifier and password (Unicode's form NFC): off by default.
    ///
    /// `ä` is one character in most places, and two where text is decomposed (`a` and U+0308, NFD), as some input methods
    /// and macOS file names have it. Both look alike, but they are different text, so their hashes differ. Without this
    /// setting, the decomposed `pässwörd` is answered 401
    /// [`CredentialsRejected`](crate::RejectionKind::CredentialsRejected) like any other wrong password, and counts as a
    /// failed attempt; neither the answer nor the log shows the cause. With it, the password is composed before anything
    /// is checked, and reaches Clerk in composed form.
    ///
    /// Use it where all passwords were set in composed form, as browsers send them on most systems. A user whose password
    /// is decomposed *at Clerk* can't sign in through such a layer. Composition also replaces a few characters that only
    /// look special (the Kelvin sign becomes `K`), and leaves compatibility characters such as `ﬁ` alone.
    ///
    /// It changes nothing for credentials that aren't UTF-8, which stay
    /// [malformed](crate::RejectionKind::CredentialsMalformed) unless [`latin1_fallback`](Self::latin1_fallback) is set
    /// too. The setting is part of a credential's cache key, and so is each way of encoding a credential: they share no
    /// session in the cache, and each costs a sign-in of its own.
    pub fn normalize_nfc(self) -> Self {
        self.with(|policy| policy.decoding.nfc = true)
    }
}
