//! An API that a page of another origin calls, through a CORS layer outside of the layer.
//!
//! `cargo run --example browser` needs nothing: without `CLERK_PUBLISHABLE_KEY` it starts a stand-in for Clerk inside its
//! own process. It serves the API, and on another port, which makes it another origin, a page that asks for a password and
//! calls the API. `docs/browsers.md` explains the parts.
//!
//! | route of the API | answers |
//! |---|---|
//! | `GET /me` | the user's id; the layer spares the page's scripts the browser's dialog |
//! | `GET /prompting/me` | the same, without that setting, for comparison |
//! | `GET /` | the page, for requests of the same origin |
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `CLERK_PUBLISHABLE_KEY` | the instance | the stand-in |
//! | `LISTEN_ADDR` | the address of the API; port 0 picks a free one | `127.0.0.1:3000` |
//! | `PAGE_ADDR` | the address of the page | `127.0.0.1:3001` |

use std::env;
use std::error::Error;

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method};
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;
use tower_clerk::testing::FakeClerk;
use tower_clerk::{Clerk, ClerkBasicAuthLayer, ClerkSession};
use tower_http::cors::CorsLayer;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (clerk, stand_in) = match env::var("CLERK_PUBLISHABLE_KEY") {
        Ok(key) if !key.is_empty() => (Clerk::builder(key).build()?, None),
        _ => {
            // Without the limit of Clerk, since this is about what a browser sees.
            let stand_in = FakeClerk::builder().no_rate_limit().build().serve("127.0.0.1:0").await?;
            (Clerk::builder(stand_in.url()).unlimited_sign_ins().build()?, Some(stand_in))
        }
    };
    let listener = listen("LISTEN_ADDR", "127.0.0.1:3000").await?;
    let page_listener = listen("PAGE_ADDR", "127.0.0.1:3001").await?;
    let (url, page_url) =
        (format!("http://{}", listener.local_addr()?), format!("http://{}", page_listener.local_addr()?));
    let page = page(&url);
    let api = api(&clerk, &page_url, page.clone())?;
    println!("page on {page_url}");
    println!("listening on {url}");
    println!("try: open {page_url} in a browser");
    if stand_in.is_some() {
        println!("or:  curl -i -u 'jane@example.com:wrong' -H 'Origin: {page_url}' {url}/me");
    }
    tokio::try_join!(
        axum::serve(listener, api).into_future(),
        axum::serve(page_listener, Router::new().route("/", page)).into_future(),
    )?;
    Ok(())
}

/// Opens the port that a variable names. An error begins with the variable.
async fn listen(name: &str, default: &str) -> Result<TcpListener, String> {
    let address = env::var(name).unwrap_or_else(|_| default.to_owned());
    TcpListener::bind(&address).await.map_err(|error| format!("{name}: can't listen on {address}: {error}"))
}

/// The API, for pages of this origin.
pub(crate) fn api(
    clerk: &Clerk,
    page_origin: &str,
    page: axum::routing::MethodRouter,
) -> Result<Router, Box<dyn Error>> {
    let me = || get(async |session: ClerkSession| session.user_id().to_owned());
    let auth = ClerkBasicAuthLayer::new(clerk.clone()).problem_json();
    Ok(Router::new()
        .route("/me", me().layer(auth.clone().no_prompt_for_fetch()))
        .route("/prompting/me", me().layer(auth))
        .route("/", page)
        // The last layer is the outermost: it answers preflights, and marks rejections for the page as well.
        .layer(cors(page_origin.parse()?)))
}

fn cors(page_origin: HeaderValue) -> CorsLayer {
    CorsLayer::new()
        .allow_origin([page_origin])
        .allow_methods([Method::GET, Method::POST])
        // A page may set its own credentials, and the type of a body.
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        // Of a rejection, it may read these fields besides status and body.
        .expose_headers([RETRY_AFTER, WWW_AUTHENTICATE])
        // Whether the browser may send a password that the user has typed into its own dialog.
        .allow_credentials(true)
}

/// The page, which calls the API at this URL.
pub(crate) fn page(api: &str) -> axum::routing::MethodRouter {
    let page = include_str!("page.html").replace("{API}", api);
    get(move || async move { Html(page) })
}
