//! Answers of a layer to browsers (rule A7).

use super::layer::ClerkBasicAuthLayer;

impl<R> ClerkBasicAuthLayer<R> {
    /// Spares the user the browser's dialog for a password where a script in a page has sent the request: off by default.
    ///
    /// A browser answers the challenge `Basic` of a 401 by a dialog of its own, also if the request was a page's `fetch` or
    /// `XMLHttpRequest`. Use this setting for an API whose pages ask for the password themselves: a 401 to a script's
    /// request then has a challenge that browsers leave to the page. It is that of `Bearer`, if the layer
    /// [accepts such tokens](Self::accept_bearer); otherwise it is that of Basic with the scheme `xBasic`, which no browser
    /// knows. Navigations, and clients other than browsers, are challenged as before.
    ///
    /// A request is a script's if it has `Sec-Fetch-Dest: empty` and is no navigation, or if it has
    /// `X-Requested-With: XMLHttpRequest`. Browsers send the first by themselves, but only to `https` and to addresses of
    /// the same machine; a page elsewhere, or for Safari before 16.4, sets the second, which a CORS layer must allow.
    ///
    /// - A browser that already has the user's password, from a dialog, sends it along unasked for paths beside and below
    ///   the one that asked ([RFC 7617, section 2.2](https://www.rfc-editor.org/rfc/rfc7617#section-2.2)). For any other path
    ///   it waits for the challenge, which a script's request then doesn't get.
    /// - A 401 is never stored (`Cache-Control: no-store`). Its `Vary` names the fields that are read, for caches that store
    ///   it nevertheless.
    /// - The fields choose the challenge of a refusal, and nothing else. This is no protection against forged requests of
    ///   other sites: a browser sends a password that it has with those as well.
    ///
    /// `docs/browsers.md` has an example with a CORS layer.
    ///
    /// ```
    /// # #[cfg(feature = "testing")]
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::convert::Infallible;
    ///
    /// use http::{Request, Response};
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_clerk::{ClerkBasicAuthLayer, testing};
    ///
    /// let (_fake, clerk) = testing::unlimited();
    /// let service = ClerkBasicAuthLayer::new(clerk)
    ///     .no_prompt_for_fetch()
    ///     .layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new()))));
    ///
    /// let navigation = Request::builder().header("sec-fetch-dest", "document").body(())?;
    /// let response = service.clone().oneshot(navigation).await?;
    /// assert_eq!(response.headers()["www-authenticate"], r#"Basic realm="api", charset="UTF-8""#);
    ///
    /// let fetch = Request::builder().header("sec-fetch-dest", "empty").body(())?;
    /// let response = service.oneshot(fetch).await?;
    /// assert_eq!(response.status(), 401);
    /// assert_eq!(response.headers()["www-authenticate"], r#"xBasic realm="api", charset="UTF-8""#);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "testing"))] fn main() {}
    /// ```
    pub fn no_prompt_for_fetch(self) -> Self {
        self.with(|policy| policy.challenge = policy.challenge.no_prompt_for_fetch())
    }
}
